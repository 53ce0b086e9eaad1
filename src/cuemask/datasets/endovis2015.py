"""EndoVis 2015, robotic instruments: videos, and their truth as videos of greys."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from cuemask.datasets.codes import decoded, refuse_other_size, refuse_unknown_frame
from cuemask.datasets.dataset import About, Dataset, Kind, Recording, Split, Truth
from cuemask.datasets.listing import (
    absent_numbers,
    contents,
    file_called,
    find_folders,
    nothing_usable,
    refuse_no_folder,
    split_by_name,
)
from cuemask.errors import DatasetError
from cuemask.media.clips import ClipFiles
from cuemask.media.decoding import OpenVideo
from cuemask.media.frames import Frame, Selection
from cuemask.media.video import video_frames

NAME = "endovis2015"
TITLE = "EndoVis 2015, robotic instruments"
CLASSES: Mapping[Kind, Mapping[int, str]] = {
    "binary": {1: "instrument"},
    "parts": {1: "shaft", 2: "manipulator"},
}

_GREYS = {0: 0, 70: 2, 160: 1}
# The truth is compressed with loss: each grey counts as the nearest of those. Far above them it is another truth.
_BRIGHTEST = 205
_LABEL_OF_GREY = {grey: _GREYS[min(_GREYS, key=lambda known: abs(known - grey))] for grey in range(_BRIGHTEST + 1)}
_NUMBERS: Mapping[Split, range] = {"train": range(1, 5), "test": range(1, 7)}
_VIDEO = "Video.avi"
_BOTH = "Segmentation.avi"
_ONE_EACH = ("Left_Instrument_Segmentation.avi", "Right_Instrument_Segmentation.avi")
_DEPTH = 4
_EXPECTED = f"Dataset1, Dataset2 ... with {_VIDEO} and {_BOTH}"


def read(root: Path) -> Dataset:
    """Look an EndoVis 2015 folder over.

    Parameters
    ----------
    root
        The folder that holds `Dataset1` ..., or one above it, such as that of Training and Testing.

    Raises
    ------
    DatasetError
        If no recording is found.
    """
    refuse_no_folder(root, _EXPECTED)
    places = [(folder, int(match[1])) for folder, match in find_folders(root, r"dataset_?(\d+)", _DEPTH)]
    truth_apart = {number: folder for folder, number in places if file_called(folder, _VIDEO) is None}
    oddities: list[str] = []
    recordings: dict[str, Recording] = {}
    for folder, number in places:
        recording = _recording(root, folder, number, truth_apart, oddities)
        if recording and recordings.setdefault(recording.name, recording) is not recording:
            oddities.append(f"{folder}: left out, as {recording.name} was found before it.")
    if not recordings and oddities:
        raise DatasetError(f"{root}: {oddities[-1]}", "Unpack the release again.")
    if not recordings:
        raise nothing_usable(root, TITLE, _EXPECTED)
    return _dataset(root, list(recordings.values()), oddities)


class _VideoTruth:
    """Truth in one video or in one a tool; in order each frame is decoded once.

    Parameters
    ----------
    paths
        The videos; what any of them shows is true.
    """

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.kinds: tuple[Kind, ...] = ("binary", "parts")
        self._readers = [_VideoReader(path) for path in paths]
        self._names: tuple[str, ...] | None = None
        self._known: tuple[str, UInt8[np.ndarray, "H W"]] | None = None
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """Six digits a frame. Headers only promise how many there are, so this decodes all, once."""
        if self._names is None:
            self._names = tuple(f"{number:06d}" for number in range(min(reader.count() for reader in self._readers)))
        return self._names

    def labels(self, name: str, kind: Kind = "binary") -> UInt8[np.ndarray, "H W"]:
        """As `Truth.labels`; asked backwards it decodes from the first frame again."""
        with self._lock:
            refuse_unknown_frame(self._readers[0].path, self.names, name, self.kinds, kind)
            if self._known is None or self._known[0] != name:
                self._known = name, self._parts(int(name))
            parts = self._known[1]
        return parts.copy() if kind == "parts" else (parts > 0).view(np.uint8)

    def _parts(self, number: int) -> UInt8[np.ndarray, "H W"]:
        first, *others = self._readers
        parts = decoded(first.path, first.grey(number), _LABEL_OF_GREY)
        for reader in others:
            grey = reader.grey(number)
            refuse_other_size(reader.path, grey, (parts.shape[0], parts.shape[1]))
            # Where two tools meet, the manipulator is in front of the shaft.
            parts = np.maximum(parts, decoded(reader.path, grey, _LABEL_OF_GREY))
        return parts


class _VideoReader:
    """A video's frames by number, through one open decoder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frames: Generator[Frame, None, None] | None = None
        self._next = 0

    def count(self) -> int:
        """How many frames it holds, those that cannot be decoded included."""
        with OpenVideo(self.path) as video:
            return sum(1 for _ in video.from_first())

    def grey(self, number: int) -> UInt8[np.ndarray, "H W"]:
        """Decode on to frame `number`, or anew where it lies behind."""
        if self._frames is None or number < self._next:
            if self._frames is not None:
                self._frames.close()
            self._frames, self._next = video_frames(self.path, Selection()), 0
        for frame in self._frames:
            self._next = frame.index + 1
            if frame.index == number:
                return np.ascontiguousarray(frame.rgb[..., 1])
            if frame.index > number:
                raise DatasetError(f"{self.path}: frame {number} cannot be decoded.", "Copy it again from its source.")
        raise DatasetError(f"{self.path}: ends before frame {number}.", "Copy it again from its source.")


def _recording(
    root: Path, folder: Path, number: int, truth_apart: Mapping[int, Path], oddities: list[str]
) -> Recording | None:
    """One recording; what is odd about it is added to `oddities`."""
    video = file_called(folder, _VIDEO)
    if video is None:
        if not _segmentations(folder):
            oddities.append(f"{folder}: left out, as there is no {_VIDEO} in it (it holds {contents(folder)}).")
        return None
    split = split_by_name(root, folder) or ("train" if number in _NUMBERS["train"] else "test")
    name = f"Dataset{number}" + "_test" * (split == "test")
    return Recording(ClipFiles(name, (video,)), str(number), split, _truth(folder, number, truth_apart, oddities))


def _truth(folder: Path, number: int, truth_apart: Mapping[int, Path], oddities: list[str]) -> Truth | None:
    paths = _segmentations(folder) or _segmentations(truth_apart.get(number, folder))
    if not paths:
        oddities.append(f"{folder}: no {_BOTH} in it (it holds {contents(folder)}).")
        return None
    names = [path.name.lower() for path in paths]
    if _BOTH.lower() not in names and len(names) < len(_ONE_EACH):
        oddities.append(f"{paths[0].parent}: truth of one tool only, {paths[0].name}.")
    return _VideoTruth(paths)


def _segmentations(folder: Path) -> tuple[Path, ...]:
    """The videos of truth; one release has both that of all tools and one of the left tool."""
    found = (file_called(folder, name) for name in (_BOTH, *_ONE_EACH))
    return tuple(path for path in found if path is not None)


def _dataset(root: Path, recordings: list[Recording], oddities: list[str]) -> Dataset:
    recordings = sorted(recordings, key=lambda recording: (recording.split != "train", int(recording.number)))
    for split, expected in _NUMBERS.items():
        found = [int(recording.number) for recording in recordings if recording.split == split]
        if found:
            oddities += absent_numbers(root, f"{split} recordings", found, expected)
    return Dataset(
        name=NAME,
        root=root,
        layout=f"as released: {_VIDEO} and {_BOTH}",
        recordings=tuple(recordings),
        classes=CLASSES,
        oddities=tuple(oddities),
    )


ABOUT = About(
    name=NAME,
    title=TITLE,
    content="robotic instruments on tissue ex vivo: 4 training videos of 45 s, 6 test videos; 720x576",
    terms="the challenge's terms, non-commercial research",
    access="https://endovissub-instrument.grand-challenge.org",
    layouts=("Dataset1/Video.avi and Segmentation.avi, or one for each tool; also below Training and Testing",),
    kinds=("binary", "parts"),
    protocol="endovis2017",
    read=read,
)
