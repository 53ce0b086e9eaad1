"""One's own recordings: pictures or a video, with masks of the same names beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from cuemask.datasets.codes import Shape, frame_size, read_labels, refuse_unknown_frame
from cuemask.datasets.dataset import About, Dataset, Kind, Recording, Truth
from cuemask.datasets.finding import nothing_found
from cuemask.datasets.listing import folders_in, listed, mismatches, pictures_by_stem, refuse_no_folder
from cuemask.datasets.mask_files import ABOVE_ZERO, FROM_HALF
from cuemask.media.clips import ClipFiles, open_clips
from cuemask.media.mask_films import is_film, paths_in
from cuemask.media.mask_folders import holds_masks, place_of_masks
from cuemask.media.pictures import composed, natural_order

VIDEOS = ("frames.mp4", "clip.mp4", "video.mp4")
LOSSY_ENDINGS = frozenset({".jpg", ".jpeg"})
LAYOUTS = (
    f"frames/ or {', '.join(VIDEOS)}, and masks/ with pictures of the same names (000000.png ... for a video), "
    "or masks.mov, as --masks video writes it",
    "one folder a recording, each as above; a folder called test is for testing",
)


@dataclass(frozen=True)
class OwnMasks:
    """Truth of one's own: instrument above 0, and from 128 on in a JPEG, which blurs values.

    Attributes
    ----------
    folder
        Where they lie.
    masks
        By frame name, in the recording's order.
    pictures
        The frames, where they are pictures.
    video
        The frames, where they are a video; all its frames have one size.
    """

    folder: Path
    masks: Mapping[str, Path]
    pictures: Mapping[str, Path]
    video: ClipFiles | None = None
    kinds: tuple[Kind, ...] = ("binary",)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the frames that have a mask."""
        return tuple(self.masks)

    def labels(self, name: str, kind: Kind = "binary") -> UInt8[np.ndarray, "H W"]:
        """The class of each pixel of one frame.

        Raises
        ------
        PictureError, VideoError
            If the mask or its frame cannot be read.
        DatasetError
            If there is none of that name, or it has not the frame's size.
        """
        refuse_unknown_frame(self.folder, self.masks, name, self.kinds, kind)
        path = self.masks[name]
        codes = FROM_HALF if path.suffix.lower() in LOSSY_ENDINGS else ABOVE_ZERO
        return read_labels(path, codes, frame_size(self.pictures[name]) if self.pictures else self._video_size)

    @cached_property
    def _video_size(self) -> Shape:
        clips = open_clips([self.video] if self.video else [])
        return clips[0].height_px, clips[0].width_px


def read(root: Path) -> Dataset:
    """Look a folder over; lists files only, and what is in films of masks.

    Raises
    ------
    DatasetError
        If there is no such folder, or neither it nor a folder in it holds frames.
    InputError
        If a recording's masks lie both in a folder and in a film.
    PictureError
        If a film cannot be read.
    """
    refuse_no_folder(root, "frames or a video, and masks")
    folders = [root] if _holds(root) else [folder for folder in folders_in(root) if _holds(folder)]
    recordings, oddities = list[Recording](), list[str]()
    for folder in folders:
        recording, odd = _recording(folder)
        recordings += [recording] if recording else []
        oddities += odd
    if not recordings:
        raise nothing_found(
            root,
            "recordings",
            " or ".join(LAYOUTS),
            "Put the pictures into a folder called frames, the masks into masks.",
        )
    layout = "frames and masks" if folders == [root] else "a folder of frames and masks a recording"
    return Dataset("folders", root, layout, tuple(recordings), {"binary": {1: "instrument"}}, oddities=tuple(oddities))


ABOUT = About(
    name="folders",
    title="Folders of one's own",
    content="whatever you put there",
    terms="yours",
    access="-",
    layouts=LAYOUTS,
    kinds=("binary",),
    protocol="endovis2017",
    read=read,
)


def _holds(folder: Path) -> bool:
    return (folder / "frames").is_dir() or _video(folder) is not None


def _video(folder: Path) -> Path | None:
    return next((folder / name for name in VIDEOS if (folder / name).is_file()), None)


def _recording(folder: Path) -> tuple[Recording | None, list[str]]:
    name = folder.resolve().name or "folders"
    place = place_of_masks(folder)
    masks = _masks_in(place) if holds_masks(place) else None
    odd = [f"{place}: the folder is absent, so the frames have no truth."] if masks is None else []
    video = _video(folder)
    pictures = pictures_by_stem(folder / "frames")
    if pictures:
        files = ClipFiles(name, tuple(pictures.values()))
        truth, of_masks = _truth_of_pictures(pictures, masks or {}, place)
    elif video:
        files = ClipFiles(name, (video,))
        truth, of_masks = _truth_of_video(files, masks or {}, place)
    else:
        return None, [f"{folder / 'frames'}: no picture in it."]
    recording = Recording(files, name, "test" if name == "test" else "train", truth)
    return recording, odd if masks is None else of_masks


def _masks_in(place: Path) -> dict[str, Path]:
    """By the names of their frames."""
    if is_film(place):
        return {composed(path.stem): path for path in natural_order(paths_in(place))}
    return pictures_by_stem(place)


def _truth_of_pictures(
    pictures: dict[str, Path], masks: dict[str, Path], folder: Path
) -> tuple[Truth | None, list[str]]:
    found = {name: masks[name] for name in pictures if name in masks}
    odd = mismatches(folder.with_name("frames"), pictures, folder, masks) + _lossy(folder, found)
    return OwnMasks(folder, found, pictures) if found else None, odd


def _truth_of_video(files: ClipFiles, masks: dict[str, Path], folder: Path) -> tuple[Truth | None, list[str]]:
    found = {name: path for name, path in masks.items() if len(name) == 6 and name.isdecimal()}
    stray = [path.name for name, path in masks.items() if name not in found]
    odd = _lossy(folder, found) if masks else [f"{folder}: no mask in it."]
    if stray:
        what = f"{len(stray)} of {len(masks)} masks are not named after a frame's number, 000000 on"
        odd.append(f"{folder}: {what} ({listed(stray)}).")
    return OwnMasks(folder, found, {}, files) if found else None, odd


def _lossy(folder: Path, masks: Mapping[str, Path]) -> list[str]:
    count = sum(path.suffix.lower() in LOSSY_ENDINGS for path in masks.values())
    return [f"{folder}: {count} masks are JPEG, which blurs them; instrument is from 128 on."] if count else []
