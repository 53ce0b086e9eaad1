"""EndoVis 2018, robotic scene segmentation: labels in colours, of instruments and of tissue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from cuemask.datasets.codes import first_place, frame_size, refuse_other_size, refuse_unknown_frame
from cuemask.datasets.dataset import About, Dataset, Kind, Recording, Split, Truth
from cuemask.datasets.listing import (
    absent_numbers,
    contents,
    find_folders,
    folder_called,
    gaps,
    listed,
    mismatches,
    nothing_usable,
    pictures_by_stem,
    refuse_no_folder,
    split_by_name,
)
from cuemask.errors import DatasetError
from cuemask.media.clips import ClipFiles
from cuemask.media.pictures import read_picture

NAME = "endovis2018"
TITLE = "EndoVis 2018"
# In the order of the challenge's labels.json; 0 is other tissue.
NAME_OF_COLOR = {
    (0, 0, 0): "background",
    (0, 255, 0): "instrument shaft",
    (0, 255, 255): "instrument clasper",
    (125, 255, 12): "instrument wrist",
    (255, 55, 0): "kidney",
    (24, 55, 125): "covered kidney",
    (187, 155, 25): "thread",
    (0, 255, 125): "clamps",
    (255, 255, 125): "needle",
    (123, 15, 175): "suction",
    (124, 155, 5): "small intestine",
    (12, 255, 141): "ultrasound probe",
}
CLASSES: Mapping[Kind, Mapping[int, str]] = {
    "binary": {1: "instrument"},
    "parts": {1: "shaft", 2: "wrist", 3: "clasper"},
    "type": {number: name for number, name in enumerate(NAME_OF_COLOR.values()) if number},
}
VALIDATION = (2, 5, 9, 15)

_KEYS = np.array([red << 16 | green << 8 | blue for red, green, blue in NAME_OF_COLOR], np.uint32)
_ORDER = np.argsort(_KEYS)
_PARTS = np.array([0, 1, 3, 2, *[0] * (len(_KEYS) - 4)], np.uint8)
_OF_KIND: Mapping[Kind, UInt8[np.ndarray, " colors"]] = {
    "binary": (_PARTS > 0).astype(np.uint8),
    "parts": _PARTS,
    "type": np.arange(len(_KEYS), dtype=np.uint8),
}
_NUMBERS: Mapping[Split, tuple[int, ...]] = {
    "train": (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16),
    "test": (1, 2, 3, 4),
}
_DEPTH = 5
_EXPECTED = "seq_1, seq_2 ... with left_frames and labels, or the folders of the releases with these in them"


def read(root: Path) -> Dataset:
    """Look an EndoVis 2018 folder over.

    Parameters
    ----------
    root
        The folder that holds `seq_1` ..., or one above it, such as that of all the releases. The labels that the
        challenge corrected, in a folder `repairs`, take the place of those they correct.

    Raises
    ------
    DatasetError
        If no recording is found.
    """
    refuse_no_folder(root, _EXPECTED)
    repairs = _repairs(root)
    oddities: list[str] = []
    recordings: dict[str, Recording] = {}
    for folder, match in find_folders(root, r"seq_(\d+)", _DEPTH):
        recording = _recording(root, folder, int(match[1]), repairs, oddities)
        if recording and recordings.setdefault(recording.name, recording) is not recording:
            oddities.append(f"{folder}: left out, as {recording.name} was found before it.")
    if not recordings and oddities:
        raise DatasetError(f"{root}: {oddities[-1]}", "Unpack the release again.")
    if not recordings:
        raise nothing_usable(root, TITLE, _EXPECTED)
    return _dataset(root, list(recordings.values()), oddities)


@dataclass(frozen=True)
class _ColorTruth:
    """Truth in one picture a frame, a colour a class."""

    frames: Mapping[str, Path]
    files: Mapping[str, Path]
    names: tuple[str, ...]
    kinds: tuple[Kind, ...] = ("binary", "parts", "type")

    def labels(self, name: str, kind: Kind = "binary") -> UInt8[np.ndarray, "H W"]:
        """As `Truth.labels`."""
        frame = self.frames.get(name, Path(name))
        refuse_unknown_frame(frame.parent, self.names, name, self.kinds, kind)
        path = self.files[name]
        rgb = read_picture(path)
        refuse_other_size(path, rgb, frame_size(frame))
        return _OF_KIND[kind][_colors(path, rgb)]


def _colors(path: Path, rgb: UInt8[np.ndarray, "H W 3"]) -> np.ndarray:
    """The place of each pixel's colour in `NAME_OF_COLOR`.

    Raises
    ------
    DatasetError
        If there is another colour.
    """
    keys = rgb[..., 0].astype(np.uint32) << 16 | rgb[..., 1].astype(np.uint32) << 8 | rgb[..., 2]
    places = np.searchsorted(_KEYS[_ORDER], keys).clip(max=len(_KEYS) - 1)
    unknown = _KEYS[_ORDER][places] != keys
    if unknown.any():
        row, column = first_place(unknown)
        color = tuple(int(value) for value in rgb[row, column])
        allowed = ", ".join(f"{known} {name}" for known, name in NAME_OF_COLOR.items())
        raise DatasetError(
            f"{path}: colour {color} at row {row}, column {column}; "
            f"{int(unknown.sum()):,} pixels have colours that the set does not know.",
            f"Copy the file again from its source; allowed are {allowed}.",
        )
    return _ORDER[places]


def _recording(
    root: Path, folder: Path, number: int, repairs: Mapping[str, Path], oddities: list[str]
) -> Recording | None:
    """One recording; what is odd about it is added to `oddities`."""
    shown = folder_called(folder, "left_frames")
    frames = pictures_by_stem(shown)
    if shown is None or not frames:
        oddities.append(f"{folder}: left out, as there is no picture in left_frames (it holds {contents(folder)}).")
        return None
    oddities += gaps(shown, frames)
    # The test has sequences of the same numbers, of other operations.
    split = split_by_name(root, folder) or "train"
    name = f"seq_{number}" + "_test" * (split == "test")
    truth = _truth(folder, shown, frames, oddities)
    if truth and split == "train":
        truth = _repaired(truth, name, repairs, oddities)
    return Recording(ClipFiles(name, tuple(frames.values())), str(number), split, truth)


def _truth(folder: Path, shown: Path, frames: Mapping[str, Path], oddities: list[str]) -> _ColorTruth | None:
    home = folder_called(folder, "labels")
    if home is None:
        oddities.append(f"{folder}: no labels in it (it holds {contents(folder)}).")
        return None
    files = pictures_by_stem(home)
    oddities += mismatches(shown, frames, home, files)
    names = tuple(name for name in frames if name in files)
    return _ColorTruth(frames, files, names) if names else None


def _repairs(root: Path) -> dict[str, Path]:
    """Corrected labels by recording and frame: `seq_1_frame042.png`."""
    return {
        stem.lower(): path
        for folder, _ in find_folders(root, r"repairs", _DEPTH - 2)
        for home in (folder, folder_called(folder, "repairs"))
        for stem, path in pictures_by_stem(home).items()
    }


def _repaired(truth: _ColorTruth, name: str, repairs: Mapping[str, Path], oddities: list[str]) -> Truth:
    found = {frame: repairs[key] for frame in truth.names if (key := f"{name}_{frame}".lower()) in repairs}
    if not found:
        return truth
    oddities.append(f"{name}: corrected labels take the place of those of {listed(list(found))}.")
    return _ColorTruth(truth.frames, {**truth.files, **found}, truth.names)


def _dataset(root: Path, recordings: list[Recording], oddities: list[str]) -> Dataset:
    recordings = sorted(recordings, key=lambda recording: (recording.split != "train", int(recording.number)))
    for split, expected in _NUMBERS.items():
        found = [int(recording.number) for recording in recordings if recording.split == split]
        if found:
            oddities += absent_numbers(root, f"{split} sequences", found, expected)
    names = {recording.name for recording in recordings}
    held_out = tuple(name for number in VALIDATION if (name := f"seq_{number}") in names)
    return Dataset(
        name=NAME,
        root=root,
        layout="as released: left_frames and labels in colours",
        recordings=tuple(recordings),
        classes=CLASSES,
        folds=(held_out,) if held_out else (),
        oddities=tuple(oddities),
    )


ABOUT = About(
    name=NAME,
    title=TITLE,
    content="robotic surgery in pigs: 15 training sequences of 149 frames, 4 test sequences; 1280x1024",
    terms="the challenge's terms, non-commercial research",
    access="https://endovissub2018-roboticscenesegmentation.grand-challenge.org",
    layouts=("seq_1/left_frames and labels ..., also below the folders of the releases, repairs beside them",),
    kinds=("binary", "parts", "type"),
    protocol="endovis2017",
    read=read,
)
