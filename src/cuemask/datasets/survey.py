"""A data set read from end to end: what is in it, and what of it cannot be used."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from cuemask.datasets.dataset import Dataset, Kind, Recording, Split, Truth
from cuemask.datasets.listing import listed
from cuemask.errors import InputError
from cuemask.media.clips import open_clips
from cuemask.media.pictures import is_picture, read_picture
from cuemask.media.threads import in_threads

Progress = Callable[[Iterable["Source"]], Iterable["Source"]]

PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class Source:
    """What is read at once: one picture with its truth, or a whole video; `frame_name` is None for a video."""

    recording: Recording
    path: Path
    frame_name: str | None


@dataclass(frozen=True)
class ClassFound:
    """How often a class occurs in the truth.

    Attributes
    ----------
    code
        Its number in the label maps; 0 is background.
    name
        What the data set calls it.
    pixel_share
        Of all pixels with truth, 0 to 1.
    frame_count
        Frames in which it has a pixel.
    """

    code: int
    name: str
    pixel_share: float
    frame_count: int


@dataclass(frozen=True)
class RecordingFound:
    """One recording: how many frames it has, and how many of them have truth that could be read."""

    name: str
    number: str
    split: Split
    frame_count: int
    truth_count: int


@dataclass(frozen=True)
class Survey:
    """What a data set holds.

    Attributes
    ----------
    name, root, layout, oddities
        As in the `Dataset`.
    recordings
        In its order.
    sizes
        How many frames have each height and width in pixels, most frequent first.
    classes
        For each kind every class, those that never occur too.
    problems
        One sentence for each file that cannot be read or is not as the data set says.
    """

    name: str
    root: Path
    layout: str
    recordings: tuple[RecordingFound, ...]
    sizes: Mapping[tuple[int, int], int]
    classes: Mapping[Kind, tuple[ClassFound, ...]]
    oddities: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def frame_count(self) -> int:
        """Frames of all recordings."""
        return sum(recording.frame_count for recording in self.recordings)

    @property
    def truth_count(self) -> int:
        """Frames of all recordings with truth that could be read."""
        return sum(recording.truth_count for recording in self.recordings)

    def table(self) -> str:
        """The survey as lines of text; of many problems, the first few."""
        blocks = [self._head(), self._recordings(), self._sizes()]
        blocks += [_class_lines(kind, found) for kind, found in self.classes.items()]
        blocks += [["oddities", *(f"  {oddity}" for oddity in self.oddities)]] if self.oddities else []
        blocks += [self._problems()]
        return "\n\n".join("\n".join(block) for block in blocks)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values, with every problem."""
        return {
            "name": self.name,
            "root": str(self.root),
            "layout": self.layout,
            "frame_count": self.frame_count,
            "frames_without_truth": self.frame_count - self.truth_count,
            "recordings": [
                {
                    "name": found.name,
                    "number": found.number,
                    "split": found.split,
                    "frame_count": found.frame_count,
                    "frames_without_truth": found.frame_count - found.truth_count,
                }
                for found in self.recordings
            ],
            "sizes": [{"height_px": h, "width_px": w, "frame_count": n} for (h, w), n in self.sizes.items()],
            "classes": {kind: [vars(found).copy() for found in classes] for kind, classes in self.classes.items()},
            "oddities": list(self.oddities),
            "problem_count": len(self.problems),
            "problems": list(self.problems),
        }

    def _head(self) -> list[str]:
        return [f"{self.name} in {self.root}", f"layout: {self.layout}"]

    def _recordings(self) -> list[str]:
        rows = [("recording", "number", "split", "frames", "without truth")]
        rows += [
            (found.name, found.number, found.split, str(found.frame_count), str(found.frame_count - found.truth_count))
            for found in self.recordings
        ]
        rows.append(("all", "", "", str(self.frame_count), str(self.frame_count - self.truth_count)))
        return _columns(rows, left=3)

    def _sizes(self) -> list[str]:
        shown = list(self.sizes.items())[:PROBLEMS_SHOWN]
        more = len(self.sizes) - len(shown)
        rows = [("width x height", "frames"), *((f"{w}x{h}", str(count)) for (h, w), count in shown)]
        return _columns(rows, left=1) + ([f"and {more} more sizes"] if more else [])

    def _problems(self) -> list[str]:
        if not self.problems:
            return ["problems: none"]
        more = len(self.problems) - PROBLEMS_SHOWN
        shown = [f"  {problem}" for problem in self.problems[:PROBLEMS_SHOWN]]
        return [f"problems: {len(self.problems)}", *shown, *([f"  and {more} more"] if more > 0 else [])]


def survey(dataset: Dataset, progress: Progress | None = None) -> Survey:
    """Read every frame and all truth of a data set.

    Files that cannot be read, or are not as the data set says, are gathered as problems and not raised.

    Parameters
    ----------
    progress
        Wraps the list of what is read, one item a picture or video: a progress bar.
    """
    sources = [source for recording in dataset.recordings for source in _sources(recording)]
    tally = _Tally(dataset)
    for seen in in_threads(_look, sources if progress is None else progress(sources)):
        tally.add(seen)
    return tally.survey()


def _no_codes() -> Int64[np.ndarray, " 256"]:
    return np.zeros(256, np.int64)


@dataclass
class _Seen:
    """What was found in one source."""

    recording: str
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter[tuple[int, int]])
    frame_count: int = 0
    truth_count: int = 0
    pixels: dict[Kind, Int64[np.ndarray, " 256"]] = field(default_factory=lambda: defaultdict(_no_codes))
    frames: dict[Kind, Int64[np.ndarray, " 256"]] = field(default_factory=lambda: defaultdict(_no_codes))
    problems: list[str] = field(default_factory=list)


class _Tally:
    """The sum of what was found."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.frame_counts: Counter[str] = Counter()
        self.truth_counts: Counter[str] = Counter()
        self.sizes = {recording.name: Counter[tuple[int, int]]() for recording in dataset.recordings}
        self.pixels = {kind: _no_codes() for kind in dataset.classes}
        self.frames = {kind: _no_codes() for kind in dataset.classes}
        self.problems: list[str] = []

    def add(self, seen: _Seen) -> None:
        self.frame_counts[seen.recording] += seen.frame_count
        self.truth_counts[seen.recording] += seen.truth_count
        self.sizes[seen.recording] += seen.sizes
        for kind in seen.pixels:
            self.pixels[kind] += seen.pixels[kind]
            self.frames[kind] += seen.frames[kind]
        self.problems += seen.problems

    def survey(self) -> Survey:
        recordings = tuple(
            RecordingFound(it.name, it.number, it.split, self.frame_counts[it.name], self.truth_counts[it.name])
            for it in self.dataset.recordings
        )
        return Survey(
            self.dataset.name,
            self.dataset.root,
            self.dataset.layout,
            recordings,
            dict(sum(self.sizes.values(), Counter[tuple[int, int]]()).most_common()),
            {kind: self._classes(kind) for kind in self.dataset.classes},
            self.dataset.oddities,
            (*self.problems, *self._mixed_sizes()),
        )

    def _mixed_sizes(self) -> Iterator[str]:
        """Say which recordings cannot be opened as one clip, since their pictures differ in size."""
        for recording in self.dataset.recordings:
            sizes = self.sizes[recording.name].most_common()
            if len(sizes) > 1 and not recording.files.sizes_vary:
                told = listed([f"{count} of {width}x{height}" for (height, width), count in sizes])
                yield f"{recording.files.paths[0].parent}: its pictures differ in size: {told}."

    def _classes(self, kind: Kind) -> tuple[ClassFound, ...]:
        names = {0: "background", **self.dataset.classes[kind]}
        other = "instrument" if kind == "instances" else "?"
        pixels, frames = self.pixels[kind], self.frames[kind]
        codes = sorted(names.keys() | set(np.flatnonzero(pixels).tolist()))
        shares = pixels / max(1, pixels.sum())
        return tuple(ClassFound(code, names.get(code, other), float(shares[code]), int(frames[code])) for code in codes)


def _sources(recording: Recording) -> Iterator[Source]:
    paths, names = recording.files.paths, recording.files.frame_names
    if not all(is_picture(path) for path in paths):
        yield Source(recording, paths[0], None)
        return
    for number, path in enumerate(paths):
        yield Source(recording, path, names[number] if names else path.stem)


def _look(source: Source) -> _Seen:
    seen = _Seen(source.recording.name)
    if source.frame_name is None:
        _look_at_video(source, seen)
    else:
        _look_at_picture(source.path, seen)
        truth = source.recording.truth
        if truth and source.frame_name in truth.names:
            _look_at_truth(truth, source.frame_name, seen)
    return seen


def _look_at_picture(path: Path, seen: _Seen) -> None:
    seen.frame_count += 1
    try:
        height, width, _ = read_picture(path).shape
    except InputError as error:
        seen.problems.append(error.what)
        return
    seen.sizes[height, width] += 1


def _look_at_video(source: Source, seen: _Seen) -> None:
    names: set[str] = set()
    try:
        for frame in open_clips([source.recording.files])[0].frames():
            names.add(frame.name)
            seen.sizes[frame.rgb.shape[0], frame.rgb.shape[1]] += 1
    except InputError as error:
        seen.problems.append(error.what)
    seen.frame_count = len(names)
    _look_at_truth_of_video(source, names, seen)


def _look_at_truth_of_video(source: Source, names: set[str], seen: _Seen) -> None:
    truth = source.recording.truth
    if truth is None:
        return
    try:
        named = truth.names
    except InputError as error:  # truth that is a video is decoded for its names
        seen.problems.append(error.what)
        return
    for name in named:
        if name in names:
            _look_at_truth(truth, name, seen)
        else:
            seen.problems.append(f"{source.path}: there is truth of frame {name}, and no such frame.")


def _look_at_truth(truth: Truth, name: str, seen: _Seen) -> None:
    readable = True
    for kind in truth.kinds:
        try:
            counts = np.bincount(truth.labels(name, kind).ravel(), minlength=256)
        except InputError as error:
            readable = False
            # A file that tells several kinds fails in each of them, and is one problem.
            seen.problems += [error.what] if error.what not in seen.problems else []
            continue
        seen.pixels[kind] += counts
        seen.frames[kind] += counts > 0
    seen.truth_count += readable


def _class_lines(kind: Kind, classes: Iterable[ClassFound]) -> list[str]:
    rows = [(kind, "", "of pixels", "frames")]
    rows += [(str(it.code), it.name, f"{100 * it.pixel_share:.3f} %", str(it.frame_count)) for it in classes]
    return _columns(rows, left=2)


def _columns(rows: list[tuple[str, ...]], left: int) -> list[str]:
    """Rows as lines, the first `left` columns flush left and the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
