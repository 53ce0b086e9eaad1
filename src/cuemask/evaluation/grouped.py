"""Instances, tracks, parts, classes or tips of clips against the true ones: figures by name."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

from cuemask.errors import EvaluationError
from cuemask.evaluation import classes, instances, parts, tips, tracks
from cuemask.evaluation.frames import refuse_sizes
from cuemask.evaluation.overlaps import Labels, box_overlaps, joint_counts, mask_overlaps
from cuemask.evaluation.pairing import FRAME, FilePair, matched_files
from cuemask.evaluation.tables import Row, Value, text_of
from cuemask.media.masks import read_numbers
from cuemask.media.pictures import composed
from cuemask.media.threads import in_threads

What = Literal["instances", "tracks", "parts", "classes", "tips"]
ROOM: Mapping[What, str] = {
    "instances": "instances",
    "tracks": "instances",
    "parts": "parts",
    "classes": "classes",
    "tips": "instances",
}
RULES: Mapping[What, str] = {
    "instances": instances.RULE,
    "tracks": tracks.RULE,
    "parts": parts.RULE,
    "classes": classes.RULE,
    "tips": tips.RULE,
}
TIPS, TRACKS = "tips.csv", "tracks.csv"

Line = Mapping[str, str]


@dataclass(frozen=True)
class GroupedEvaluation:
    """Figures of one kind.

    Attributes
    ----------
    what
        What was looked at.
    figures
        Of all frames together: 0 to 1, `_px` in pixels, counts as whole numbers; None where there is nothing to count.
    clips
        The same of each clip, where there are several.
    frames
        The same of each frame, with its `video` and `frame`.
    without_truth, unpredicted
        How many frames have no truth, or no prediction, and by request do not count.
    """

    what: What
    figures: Mapping[str, Value]
    clips: Mapping[str, Mapping[str, Value]]
    frames: tuple[Row, ...]
    without_truth: int = 0
    unpredicted: int = 0

    def table(self) -> str:
        """The figures as lines of text."""
        width = max(len(name) for name in ("frames", *self.figures))
        lines = [f"{'frames':<{width}}  {len(self.frames)}"]
        lines += [f"{name:<{width}}  {_told(value)}" for name, value in self.figures.items()]
        lines.append(f"({self.what}; figures from 0 to 1, _px in pixels; {RULES[self.what]})")
        left_out = {"without truth": self.without_truth, "without prediction": self.unpredicted}
        lines += [f"{count} frames {what}, not counted" for what, count in left_out.items() if count]
        rows = [{"video": name, **figures} for name, figures in self.clips.items()]
        return "\n".join([*lines, *(["", text_of(rows)] if rows else [])])

    def as_json(self) -> dict[str, Any]:
        """The same as plain values, with every frame."""
        return {
            "what": self.what,
            "rule": RULES[self.what],
            "frame_count": len(self.frames),
            "without_truth": self.without_truth,
            "unpredicted": self.unpredicted,
            **self.figures,
            "videos": [{"name": name, **figures} for name, figures in self.clips.items()],
            "frames": [dict(frame) for frame in self.frames],
        }

    def frame_rows(self) -> list[Row]:
        """A row a frame."""
        return list(self.frames)


def evaluate_grouped(
    what: What,
    predicted: Path,
    truth: Path,
    *,
    boxes: bool = False,
    truth_name: str = FRAME,
    only_truth: bool = False,
    only_predicted: bool = False,
) -> GroupedEvaluation:
    """Compare what a run tells of instruments with the truth, frame by frame of the same names.

    Parameters
    ----------
    what
        "instances" and "tracks" read `<clip>/instances/<frame>.png`, "parts" `<clip>/parts`, and `instances` where both
        sides have it, "classes" `<clip>/classes`, "tips" `<clip>/tips.csv`, else `tracks.csv`, of the frames of
        `instances`. Confidences stand in `<clip>/tracks.csv`; without it all are 1.
    predicted
        A run, a clip of one, or a folder of such pictures.
    truth
        The same, such as a phantom.
    boxes
        Whether instruments overlap by their boxes, not their pixels: of "instances" and "tracks".
    truth_name, only_truth, only_predicted
        As `evaluate_folders`.

    Raises
    ------
    EvaluationError
        If the two do not match, or tips are nowhere told.
    PictureError
        If a picture cannot be read.
    """
    found = matched_files(
        predicted,
        truth,
        room=ROOM[what],
        truth_name=truth_name,
        only_truth=only_truth,
        only_predicted=only_predicted,
    )
    measure = _measure(what, boxes)
    with closing(in_threads(measure.of_frame, found.pairs)) as records:
        looked_at = list(zip(found.pairs, records, strict=True))
    frames = tuple({"video": p.video, "frame": p.frame, **measure.figures([[record]])} for p, record in looked_at)
    by_clip: dict[str, list[Any]] = {}
    for pair, record in looked_at:
        by_clip.setdefault(pair.video, []).append(record)
    clips = {name: measure.figures([records]) for name, records in by_clip.items()} if len(by_clip) > 1 else {}
    figures = measure.figures(by_clip.values())
    return GroupedEvaluation(what, figures, clips, frames, found.without_truth, found.unpredicted)


@dataclass(frozen=True)
class _Measure:
    """How one frame is looked at, and what follows from the frames of some clips."""

    of_frame: Callable[[FilePair], Any]
    figures: Callable[[Iterable[Sequence[Any]]], dict[str, Value]]


def _measure(what: What, boxes: bool) -> _Measure:
    overlaps = box_overlaps if boxes else mask_overlaps
    lines = cache(_lines_by_frame)  # of each clip's file once
    if what == "tracks":
        return _Measure(lambda pair: overlaps(*_labels(pair)), tracks.track_figures)
    if what == "instances":

        def instances_of(pair: FilePair) -> instances.FoundInstances:
            found = overlaps(*_labels(pair))
            return instances.FoundInstances(found, _confidences(pair, found.predicted.tolist(), lines))

        return _Measure(instances_of, lambda clips: instances.instance_figures(_all(clips)))
    if what == "parts":
        return _Measure(_parts_of, lambda clips: parts.part_figures(_all(clips)))
    if what == "classes":
        return _Measure(lambda pair: joint_counts(*_labels(pair)), lambda clips: classes.class_figures(_all(clips)))
    return _Measure(lambda pair: _tips_of(pair, lines), lambda clips: tips.tip_figures(_all(clips)))


def _all(clips: Iterable[Sequence[Any]]) -> list[Any]:
    return [record for records in clips for record in records]


def _labels(pair: FilePair) -> tuple[Labels, Labels]:
    predicted, true = read_numbers(pair.prediction), read_numbers(pair.truth)
    refuse_sizes(pair.prediction, predicted, pair.truth, true)
    return predicted, true


def _parts_of(pair: FilePair) -> parts.FoundParts:
    predicted, true = _labels(pair)
    beside = [path.parent.with_name("instances") / path.name for path in (pair.prediction, pair.truth)]
    both = None
    if all(path.is_file() for path in beside):
        both = _labels(FilePair(pair.video, pair.frame, *beside))
        refuse_sizes(beside[0], both[0], pair.prediction, predicted)
    return parts.found_parts(predicted, true, both)


Lines = Callable[[Path], dict[str, list[Line]]]


def _confidences(pair: FilePair, numbers: Sequence[int], lines: Lines) -> Float64[np.ndarray, " P"]:
    path = pair.prediction.parent.with_name(TRACKS)
    of_frame = lines(path).get(composed(pair.frame), []) if path.is_file() else []
    known = {int(line["instrument"]): _number(path, line, "confidence") for line in of_frame}
    return np.array([known.get(number, 1.0) for number in numbers], np.float64)


def _tips_of(pair: FilePair, lines: Lines) -> tips.FoundTips:
    predicted, _ = _tip_places(pair.prediction, pair.frame, lines)
    true, numbers = _tip_places(pair.truth, pair.frame, lines)
    shape = read_numbers(pair.truth).shape
    return tips.found_tips(predicted, true, np.array(numbers, np.int64), (shape[0], shape[1]))


def _tip_places(picture: Path, frame: str, lines: Lines) -> tuple[Float64[np.ndarray, "n 2"], list[int]]:
    """Places of a frame's tips, and the instruments that they are of."""
    one, two = ("tip_x", "tip_y"), ("tip2_x", "tip2_y")
    files = {picture.parent.with_name(TIPS): [("x", "y")], picture.parent.with_name(TRACKS): [one, two]}
    for path, columns in files.items():
        if path.is_file():
            of_frame = lines(path).get(composed(frame), [])
            told = [(line, pair) for line in of_frame for pair in columns if line.get(pair[0])]
            places = [[_number(path, line, column) for column in pair] for line, pair in told]
            return np.array(places, np.float64).reshape(-1, 2), [int(line["instrument"]) for line, _ in told]
    raise EvaluationError(
        f"{picture.parent.parent}: tells no tips.", f"Give a folder of clips with {TIPS} or {TRACKS} in each."
    )


def _lines_by_frame(path: Path) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if not {"frame", "instrument"} <= line.keys() or not str(line["instrument"]).isdecimal():
                raise EvaluationError(
                    f"{path}: a line without frame and instrument: {dict(line)}.", "Write it again: cuemask group RUN"
                )
            found.setdefault(composed(line["frame"]), []).append(line)
    return found


def _number(path: Path, line: Line, column: str) -> float:
    try:
        value = float(line[column])
    except (KeyError, TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise EvaluationError(
            f"{path}: frame {line['frame']} tells no {column}, but {line.get(column)!r}.",
            "Write it again: cuemask group RUN",
        )
    return value


def _told(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
