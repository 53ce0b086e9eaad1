"""CholecSeg8k: stretches of 80 frames from 17 gall bladder operations of Cholec80, every pixel named."""

from __future__ import annotations

import re
from pathlib import Path

from cuemask.datasets.dataset import About, Dataset, Kind, Recording
from cuemask.datasets.finding import home, nothing_found, pictures_named
from cuemask.datasets.listing import folders_in, listed, mismatches
from cuemask.datasets.mask_files import Codes, beside
from cuemask.errors import DatasetError
from cuemask.media.clips import ClipFiles

LAYOUT = "videoXX/videoXX_NNNNN/frame_N_endo.png, frame_N_endo_watershed_mask.png"
EXPECTED = "video01, or is such a folder, or one clip in it"
MASK_SUFFIX = "_watershed_mask"
FRAME = re.compile(r"frame_(\d+)_endo")

GRASPER, L_HOOK = 31, 32
ELSE = {
    0: "never named",
    5: "liver ligament",
    11: "abdominal wall",
    12: "fat",
    13: "gastrointestinal tract",
    21: "liver",
    22: "gall bladder",
    23: "connective tissue",
    24: "blood",
    25: "cystic duct",
    33: "hepatic vein",
    50: "black background",
    255: "edge of the picture",
}
_BACKGROUND = dict.fromkeys(ELSE, 0)
CODES: dict[Kind, Codes] = {
    "binary": dict(sorted((_BACKGROUND | {GRASPER: 1, L_HOOK: 1}).items())),
    "type": dict(sorted((_BACKGROUND | {GRASPER: 1, L_HOOK: 2}).items())),
}


def read(root: Path) -> Dataset:
    """Look the data set over, or a folder of one video or one clip; lists files only.

    Raises
    ------
    DatasetError
        If there is no such folder, no clip in it, or two of one name.
    """
    found = home(root, lambda folder: bool(_clips(folder)), EXPECTED)
    if found is None:
        raise nothing_found(root, ABOUT.title, LAYOUT, f"Give the folder that holds {EXPECTED}.")
    recordings, oddities = list[Recording](), _empty(found)
    for folder in _clips(found):
        recording, odd = _recording(folder)
        recordings.append(recording)
        oddities += odd
    _refuse_shared_names(found, recordings)
    classes: dict[Kind, dict[int, str]] = {"binary": {1: "instrument"}, "type": {1: "grasper", 2: "L-hook"}}
    return Dataset("cholecseg8k", found, LAYOUT, tuple(recordings), classes, oddities=tuple(oddities))


ABOUT = About(
    name="cholecseg8k",
    title="CholecSeg8k",
    content="8,080 frames of 854x480 in 101 clips from 17 operations, 13 classes, two of them instruments",
    terms="CC BY-NC-SA 4.0",
    access="https://www.kaggle.com/datasets/newslab/cholecseg8k",
    layouts=(LAYOUT,),
    kinds=("binary", "type"),
    protocol="endovis2017",
    read=read,
)


def _clips(folder: Path) -> list[Path]:
    """The clips at or below `folder`: it is one, or a video, or holds videos."""
    if _is_clip(folder):
        return [folder]
    clips: list[Path] = []
    for below in _videos(folder):
        clips += [below] if _is_clip(below) else [clip for clip in _videos(below) if _is_clip(clip)]
    return clips


def _is_clip(folder: Path) -> bool:
    return any(FRAME.fullmatch(path.stem) for path in folder.glob("frame_*_endo.png"))


def _videos(folder: Path) -> list[Path]:
    return [path for path in folders_in(folder) if _number(path.name)]


def _number(name: str) -> str:
    """The video's number without leading zeros, from the name of its folder or of a clip; else empty."""
    match = re.fullmatch(r"video(\d+)(_\d+)?", name)
    return str(int(match[1])) if match else ""


def _recording(folder: Path) -> tuple[Recording, list[str]]:
    # Of the masks beside each frame, the watershed mask alone holds codes.
    pictures = {name: path for name, path in pictures_named(folder, {".png"}).items() if FRAME.fullmatch(name)}
    masks = pictures_named(folder, {".png"}, MASK_SUFFIX)
    name = folder.resolve().name
    files = ClipFiles(name, tuple(pictures.values()))
    recording = Recording(files, _number(name) or name, "train", beside(pictures, masks, CODES))
    return recording, mismatches(folder, pictures, folder, masks) + _gaps(folder, list(pictures))


def _gaps(folder: Path, names: list[str]) -> list[str]:
    """Say which frames are missing between the first and the last of a clip."""
    numbers = {int(match[1]) for name in names if (match := FRAME.fullmatch(name))}
    absent = [str(number) for number in range(min(numbers), max(numbers)) if number not in numbers]
    return [f"{folder}: its frames leave out {listed(absent)}."] if absent else []


def _empty(root: Path) -> list[str]:
    """Say which folders of videos or clips hold nothing."""
    folders = [] if _is_clip(root) else _videos(root)
    below = [clip for folder in folders if not _is_clip(folder) for clip in _videos(folder)]
    videos = [f"{folder}: no clip in it." for folder in folders if not _clips(folder)]
    return videos + [f"{clip}: no frame in it." for clip in below if not _is_clip(clip)]


def _refuse_shared_names(root: Path, recordings: list[Recording]) -> None:
    seen: dict[str, Path] = {}
    for recording in recordings:
        folder = recording.files.paths[0].parent
        other = seen.setdefault(recording.name, folder)
        if other != folder:
            raise DatasetError(f"{root}: {other} and {folder} have one name.", "Keep one of the two.")
