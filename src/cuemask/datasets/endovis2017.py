"""EndoVis 2017, robotic instrument segmentation: the challenge's releases and two that others made of them.

The 1080x1920 frames show the picture at row 28, column 320, 1024 high and 1280 wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8

from cuemask.datasets.codes import (
    Shape,
    decoded,
    frame_size,
    read_labels,
    refuse_other_size,
    refuse_unknown_frame,
)
from cuemask.datasets.dataset import About, Dataset, GivenAnchors, Kind, Recording, Split, Truth
from cuemask.datasets.listing import (
    absent_numbers,
    contents,
    find_folders,
    folder_called,
    folders_in,
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
from cuemask.media.pictures import decoded_picture, read_picture_bytes

NAME = "endovis2017"
TITLE = "EndoVis 2017"
TOOLS = {
    1: "bipolar forceps",
    2: "prograsp forceps",
    3: "large needle driver",
    4: "vessel sealer",
    5: "grasping retractor",
    6: "monopolar curved scissors",
    7: "other",
}
CLASSES: Mapping[Kind, Mapping[int, str]] = {
    "binary": {1: "instrument"},
    "parts": {1: "shaft", 2: "wrist", 3: "clasper"},
    "type": TOOLS,
    "instances": {},
}
FOLDS = ((1, 3), (2, 5), (4, 8), (6, 7))
CROP = (28, 320, 1024, 1280)
WHOLE: Shape = (1080, 1920)

Layout = Literal["raw", "cropped", "authors"]

_OTHER = 7  # an ultrasound probe, mostly: no instrument, no parts
_NUMBERS: Mapping[Split, range] = {"train": range(1, 9), "test": range(1, 11)}
_FRAMES_OF_TRAINING = 225
_FOLDER = r"instrument_dataset_(\d+)(?:_(train|test))?"
_DEPTH = 4
_EXPECTED = "instrument_dataset_1, instrument_dataset_2 ... with left_frames, with images, or below image"
_LAYOUTS: Mapping[Layout, str] = {
    "raw": "as released: left_frames with ground_truth (training) or gt (test)",
    "cropped": "cropped_train: images, binary_masks, parts_masks, instruments_masks",
    "authors": "with anchors: image, ground_truth, anchors",
}
_PART_OF_CODE = {0: 0, 10: 1, 20: 2, 30: 3}
# Copies of the test truth hold class numbers, or those spread over the greys. The probe (40) is no part.
_TEST_FOLDERS: Mapping[Kind, str] = {
    "binary": "BinarySegmentation",
    "parts": "PartsSegmentation",
    "type": "TypeSegmentation",
}
_TEST_CODES: Mapping[Kind, Mapping[int, int]] = {
    "binary": {0: 0, 1: 1, 255: 1},
    "parts": {**_PART_OF_CODE, 40: 0, 1: 1, 2: 2, 3: 3, 4: 0, 85: 1, 170: 2, 255: 3},
    "type": {factor * number: number for factor in (1, 10, 32) for number in range(8)},
}
_CROPPED_FOLDERS: Mapping[Kind, str] = {
    "binary": "binary_masks",
    "parts": "parts_masks",
    "type": "instruments_masks",
}
_CROPPED_CODES: Mapping[Kind, Mapping[int, int]] = {
    "binary": {0: 0, 255: 1},
    "parts": {0: 0, 85: 1, 170: 2, 255: 3},
    "type": {32 * number: number for number in range(8)},
}
# The truth of training recording 7 is saved in colours, blended here and there between two codes.
_BLENDED_SHARE = 0.1


def read(root: Path) -> Dataset:
    """Look an EndoVis 2017 folder over, in whichever of its layouts.

    Parameters
    ----------
    root
        The folder that holds `instrument_dataset_1` ..., or one above it; training and test may lie side by side.

    Raises
    ------
    DatasetError
        If no recording is found, or a folder of truth names no known tool.
    """
    refuse_no_folder(root, _EXPECTED)
    places = [_Place(folder, int(match[1]), match[2]) for folder, match in find_folders(root, _FOLDER, _DEPTH)]
    by_layout: dict[Layout | None, list[_Place]] = {}
    for place in places:
        by_layout.setdefault(_layout_of(place.folder), []).append(place)
    found: list[Layout] = [layout for layout in _LAYOUTS if layout in by_layout]
    if not found:
        raise nothing_usable(root, TITLE, _EXPECTED)
    layout = found[0]
    oddities = [
        f"{root}: {listed([str(place.folder) for place in others])} left out, another layout of the same recordings."
        for other, others in by_layout.items()
        if other not in (layout, None)
    ]
    truth_apart = {place.number: place.folder for place in by_layout.get(None, [])}
    recordings: dict[str, Recording] = {}
    for place in by_layout[layout]:
        recording = _recording(root, layout, place, truth_apart, oddities)
        if recording and recordings.setdefault(recording.name, recording) is not recording:
            oddities.append(f"{place.folder}: left out, as {recording.name} was found before it.")
    if not recordings:
        raise DatasetError(f"{root}: {oddities[-1]}", "Unpack the release again.")
    return _dataset(root, layout, list(recordings.values()), oddities)


@dataclass(frozen=True)
class _Place:
    """A folder that is named after a recording."""

    folder: Path
    number: int
    split: str | None


@dataclass(frozen=True)
class _KindTruth:
    """Truth in one file a frame and kind."""

    frames: Mapping[str, Path]
    files: Mapping[Kind, Mapping[str, Path]]
    codes: Mapping[Kind, Mapping[int, int]]
    kinds: tuple[Kind, ...]
    names: tuple[str, ...]

    def labels(self, name: str, kind: Kind = "binary") -> UInt8[np.ndarray, "H W"]:
        """As `Truth.labels`."""
        frame = self.frames.get(name, Path(name))
        refuse_unknown_frame(frame.parent, self.names, name, self.kinds, kind)
        return read_labels(self.files[kind][name], self.codes[kind], frame_size(frame))


@dataclass(frozen=True)
class _ToolTruth:
    """Truth in one file a frame and tool, with part codes; where two tools meet, the later folder's is on top.

    Each folder is one instrument of the whole recording: its number among the instances is its place, from 1.
    """

    frames: Mapping[str, Path]
    tools: tuple[tuple[int, Mapping[str, Path]], ...]
    names: tuple[str, ...]
    kinds: tuple[Kind, ...] = ("binary", "parts", "type", "instances")

    def labels(self, name: str, kind: Kind = "binary") -> UInt8[np.ndarray, "H W"]:
        """As `Truth.labels`."""
        frame = self.frames.get(name, Path(name))
        refuse_unknown_frame(frame.parent, self.names, name, self.kinds, kind)
        shape = frame_size(frame)
        labels = np.zeros(shape, np.uint8)
        number = 0
        for tool, files in self.tools:
            if tool == _OTHER and kind != "type":
                continue
            number += 1
            parts = _tool_parts(files[name], tool, shape)
            shown = {"type": np.uint8(tool), "instances": np.uint8(number)}.get(kind, parts)
            np.copyto(labels, shown, where=parts > 0)
        return labels if kind != "binary" else (labels > 0).view(np.uint8)


def _tool_parts(path: Path, tool: int, shape: Shape) -> UInt8[np.ndarray, "H W"]:
    """Parts of one tool, 1 to 3; of what is none, which bears codes of its own, 1 throughout."""
    stored = decoded_picture(path, read_picture_bytes(path), cv2.IMREAD_UNCHANGED)
    if stored.dtype != np.uint8:
        raise DatasetError(f"{path}: truth of type {stored.dtype}, not of 8 bits.", "Copy it again from its source.")
    refuse_other_size(path, stored, shape)
    codes = stored if stored.ndim == 2 else cv2.cvtColor(stored[..., :3], cv2.COLOR_BGR2GRAY)
    if tool == _OTHER:
        return (codes > 0).view(np.uint8)
    return decoded(path, codes if stored.ndim == 2 else _unblended(codes), _PART_OF_CODE)


def _unblended(codes: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """Codes with the few blends among them set to the nearest code; unchanged where they are not few."""
    blended = (codes > 0) & (codes < 35) & ~np.isin(codes, list(_PART_OF_CODE))
    if not blended.any() or blended.sum() > _BLENDED_SHARE * np.count_nonzero(codes):
        return codes
    nearest = np.clip((codes + np.uint8(5)) // np.uint8(10), 1, 3) * np.uint8(10)
    return np.where(blended, nearest, codes)


def _layout_of(folder: Path) -> Layout | None:
    if folder_called(folder, "left_frames"):
        return "raw"
    if folder_called(folder, "images"):
        return "cropped"
    if folder.parent.name.lower() == "image":
        return "authors"
    return None


def _recording(
    root: Path, layout: Layout, place: _Place, truth_apart: Mapping[int, Path], oddities: list[str]
) -> Recording | None:
    """One recording; what is odd about it is added to `oddities`."""
    folder = folder_called(place.folder, "left_frames", "images") or place.folder
    frames = pictures_by_stem(folder)
    if not frames:
        oddities.append(f"{folder}: left out, as there is no picture in it (it holds {contents(folder)}).")
        return None
    oddities += gaps(folder, frames)
    split = _split_of(root, layout, place, len(frames))
    truth, anchors = None, None
    if layout == "cropped":
        truth = _kind_truth(place.folder, folder, frames, _CROPPED_FOLDERS, _CROPPED_CODES, oddities)
    elif layout == "authors":
        truth = _binary_truth(place.folder, frames, oddities)
        anchors = _given_anchors(place.folder, frames, oddities)
    elif split == "train":
        truth = _tool_truth(place.folder, folder, frames, oddities)
    else:
        home = _segmentation(place.folder) or _segmentation(truth_apart.get(place.number, place.folder))
        if home:
            truth = _kind_truth(home, folder, frames, _TEST_FOLDERS, _TEST_CODES, oddities)
    name = f"instrument_dataset_{place.number}" + "_test" * (split == "test")
    return Recording(ClipFiles(name, tuple(frames.values())), str(place.number), split, truth, anchors)


def _split_of(root: Path, layout: Layout, place: _Place, frames: int) -> Split:
    """By the folder's own name, its truth, its number, the names of the folders above, or its length."""
    if place.split:
        return "train" if place.split.lower() == "train" else "test"
    if folder_called(place.folder, "ground_truth"):
        return "train"
    if place.number > len(_NUMBERS["train"]) or (layout == "raw" and _segmentation(place.folder)):
        return "test"
    named = split_by_name(root, place.folder)
    if named:
        return named
    # Training recordings come with their truth; what has neither truth nor their length is of the test.
    return "train" if layout == "cropped" or frames == _FRAMES_OF_TRAINING else "test"


def _segmentation(folder: Path) -> Path | None:
    """Where test truth lies: in the recording's folder or in `gt` in it."""
    for home in (folder, folder_called(folder, "gt")):
        if home and folder_called(home, *_TEST_FOLDERS.values()):
            return home
    return None


def _tool_truth(folder: Path, shown: Path, frames: Mapping[str, Path], oddities: list[str]) -> Truth | None:
    home = folder_called(folder, "ground_truth")
    if home is None:
        oddities.append(f"{folder}: no ground_truth in it (it holds {contents(folder)}).")
        return None
    tools: list[tuple[int, Mapping[str, Path]]] = []
    for labels in folders_in(home):
        tool = _tool_of(labels)
        if tool is None:
            oddities.append(f"{labels}: left out, as its name is that of no tool.")
            continue
        pictures = pictures_by_stem(labels)
        oddities += mismatches(shown, frames, labels, pictures)
        tools.append((tool, pictures))
    names = tuple(name for name in frames if tools and all(name in pictures for _, pictures in tools))
    if not names:
        oddities.append(f"{home}: no frame has the truth of all tools (it holds {contents(home)}).")
        return None
    # What is no instrument lies below the instruments.
    return _ToolTruth(frames, tuple(sorted(tools, key=lambda tool: tool[0] != _OTHER)), names)


def _tool_of(folder: Path) -> int | None:
    """The tool's number by the folder's name, such as `Left_Prograsp_Forceps_labels`."""
    name = folder.name.lower().replace("_", " ")
    for number, tool in TOOLS.items():
        if tool in name:
            return number
    if name.endswith("labels"):
        raise DatasetError(
            f"{folder}: no tool of the challenge is called that.",
            f"Rename the folder, or move it out of {folder.parent}; known are: {', '.join(TOOLS.values())}.",
        )
    return None


def _kind_truth(
    home: Path,
    shown: Path,
    frames: Mapping[str, Path],
    folders: Mapping[Kind, str],
    codes: Mapping[Kind, Mapping[int, int]],
    oddities: list[str],
) -> Truth | None:
    """Truth of the kinds that there are folders of; binary comes from the others where it has none."""
    files: dict[Kind, Mapping[str, Path]] = {}
    for kind, name in folders.items():
        folder = folder_called(home, name)
        if folder is None:
            oddities.append(f"{home}: no {name} in it.")
            continue
        files[kind] = pictures_by_stem(folder)
        oddities += mismatches(shown, frames, folder, files[kind])
    names = tuple(name for name in frames if files and all(name in pictures for pictures in files.values()))
    if not names:
        return None
    if "binary" not in files:
        source: Kind = "parts" if "parts" in files else "type"
        files["binary"] = files[source]
        codes = {**codes, "binary": {code: int(0 < label != _OTHER) for code, label in codes[source].items()}}
    kinds: tuple[Kind, ...] = tuple(kind for kind in CLASSES if kind in files)
    return _KindTruth(frames, files, codes, kinds, names)


def _binary_truth(image: Path, frames: Mapping[str, Path], oddities: list[str]) -> Truth | None:
    home = image.parent.parent / "ground_truth" / image.name
    files = _in_place(frames, pictures_by_stem(home))
    oddities += mismatches(image, frames, home, files)
    names = tuple(name for name in frames if name in files)
    if not names:
        return None
    return _KindTruth(frames, {"binary": files}, {"binary": _TEST_CODES["binary"]}, ("binary",), names)


def _given_anchors(image: Path, frames: Mapping[str, Path], oddities: list[str]) -> GivenAnchors | None:
    anchors: list[Mapping[str, Path]] = []
    for sign in ("pos", "neg"):
        home = image.parent.parent / "anchors" / sign / image.name
        files = _in_place(frames, pictures_by_stem(home))
        missing = [name for name in frames if name not in files]
        if missing:
            oddities.append(f"{home}: no anchor for {len(missing)} of {len(frames)} frames: {listed(missing)}.")
        anchors.append({name: files[name] for name in frames if name in files})
    positive, negative = anchors
    return GivenAnchors(positive, negative) if positive and negative else None


def _in_place(frames: Mapping[str, Path], pictures: Mapping[str, Path]) -> Mapping[str, Path]:
    """Pictures by frame: by name or, as the authors' program pairs them, by place where no name fits."""
    if len(frames) == len(pictures) and not frames.keys() & pictures.keys():
        return dict(zip(frames, pictures.values(), strict=True))
    return pictures


def _dataset(root: Path, layout: Layout, recordings: list[Recording], oddities: list[str]) -> Dataset:
    recordings = sorted(recordings, key=lambda recording: (recording.split != "train", int(recording.number)))
    numbers: dict[Split, list[int]] = {"train": [], "test": []}
    for recording in recordings:
        numbers[recording.split].append(int(recording.number))
    for split, found in numbers.items():
        if found:
            oddities += absent_numbers(root, f"{split} recordings", found, _NUMBERS[split])
    kinds = {kind for recording in recordings if recording.truth for kind in recording.truth.kinds} or {"binary"}
    return Dataset(
        name=NAME,
        root=root,
        layout=_LAYOUTS[layout],
        recordings=tuple(recordings),
        classes={kind: names for kind, names in CLASSES.items() if kind in kinds},
        folds=_folds(numbers["train"]),
        crop=CROP if layout != "cropped" and frame_size(recordings[0].files.paths[0]) == WHOLE else None,
        oddities=tuple(oddities),
    )


def _folds(numbers: list[int]) -> tuple[tuple[str, ...], ...]:
    """The usual four folds; none unless there is a recording for each."""
    folds = [tuple(f"instrument_dataset_{number}" for number in fold if number in numbers) for fold in FOLDS]
    return tuple(folds) if all(folds) else ()


ABOUT = About(
    name=NAME,
    title=TITLE,
    content="robotic surgery in pigs: 8 training recordings of 225 frames, 10 test recordings of 75 or 300",
    terms="the challenge's terms, non-commercial research",
    access="https://endovissub2017-roboticinstrumentsegmentation.grand-challenge.org",
    layouts=(
        "training: instrument_dataset_1/left_frames and ground_truth/Left_Prograsp_Forceps_labels ...",
        "test: instrument_dataset_1/left_frames and gt/BinarySegmentation, PartsSegmentation, TypeSegmentation",
        "cropped_train: instrument_dataset_1/images, binary_masks, parts_masks, instruments_masks",
        "with anchors: image, ground_truth, anchors/pos, anchors/neg, each with instrument_dataset_1_train ...",
    ),
    kinds=("binary", "parts", "type", "instances"),
    protocol=NAME,
    read=read,
)
