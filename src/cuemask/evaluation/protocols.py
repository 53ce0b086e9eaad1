"""By which rule the frames of a run become its figures: name the protocol with the figures, they differ by points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cuemask.errors import EvaluationError
from cuemask.evaluation.frames import OF_COUNTS, SURFACE_FIGURES, FigureName, FrameScore, counted_pixels, counts_of

Unit = Literal["frames", "videos", "pixels"]

DEFAULT = "endovis2017"


@dataclass(frozen=True)
class Figure:
    """A mean, 0 to 1 or pixels, and the population's standard deviation; None where the protocol has none."""

    mean: float
    deviation: float | None


@dataclass(frozen=True)
class Pooled:
    """What a protocol makes of frames.

    Attributes
    ----------
    frames
        Those that it counts, one at least.
    figures
        By name.
    videos
        For each video its figures, where the protocol averages over videos; else empty.
    """

    frames: tuple[FrameScore, ...]
    figures: Mapping[FigureName, Figure]
    videos: Mapping[str, Mapping[FigureName, float]]


def _any(frame: FrameScore) -> bool:
    del frame
    return True


def _has_truth(frame: FrameScore) -> bool:
    return bool(frame.counts.truth > 0)


def _has_either(frame: FrameScore) -> bool:
    return bool(frame.counts.truth > 0 or frame.counts.predicted > 0)


@dataclass(frozen=True)
class Protocol:
    """How frames become figures.

    Attributes
    ----------
    name
        What `--protocol` calls it.
    rule
        The whole rule in a sentence, to stand beside the figures.
    unit
        What is averaged: `frames` alike, `videos` alike (each the mean of its frames), or `pixels` alike, that is one
        confusion matrix.
    counts
        Which frames count.
    left_out
        What the others are, in words.
    figures
        Names of its figures; those of surfaces come on top where they were looked at.
    """

    name: str
    rule: str
    unit: Unit = "frames"
    counts: Callable[[FrameScore], bool] = _any
    left_out: str = ""
    figures: tuple[FigureName, ...] = ("iou", "dice")


# The first is the rule of the winners of EndoVis 2017; IoU and Dice have 1e-15 added above and below in all of them.
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(DEFAULT, "all frames pooled, empty on empty is 1, population deviation"),
        Protocol(
            "with-truth",
            "frames without a true instrument discarded, all others pooled, population deviation",
            counts=_has_truth,
            left_out="without a true instrument",
        ),
        Protocol(
            "skip-both-empty",
            "frames where prediction and truth are both empty left out, all others pooled, population deviation",
            counts=_has_either,
            left_out="where prediction and truth are both empty",
        ),
        Protocol(
            "per-video",
            "mean over each video's frames, then mean and population deviation over videos, empty on empty is 1",
            unit="videos",
        ),
        Protocol(
            "global",
            "one confusion matrix summed over all frames, no deviation; surface figures, which have none, pooled over "
            "frames",
            unit="pixels",
        ),
        Protocol(
            "isic2016",
            "Jaccard (IoU), Dice, accuracy, sensitivity and specificity of each picture, averaged, nothing over "
            "nothing is 1, population deviation",
            figures=("iou", "dice", "accuracy", "sensitivity", "specificity"),
        ),
    )
}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises
    ------
    EvaluationError
        If there is none.
    """
    if name not in PROTOCOLS:
        raise EvaluationError(f"{name!r}: there is no such protocol.", f"Choose one of {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


def pooled(protocol: Protocol, frames: Sequence[FrameScore]) -> Pooled:
    """The figures of `frames` by the rule of `protocol`.

    Raises
    ------
    EvaluationError
        If there is no frame, or none that counts.
    """
    counted = tuple(frame for frame in frames if protocol.counts(frame))
    if not frames:
        raise EvaluationError("There is no frame to evaluate.", "Give masks with truth.")
    if not counted:
        raise EvaluationError(
            f"Protocol {protocol.name} leaves out every frame: all {len(frames)} are {protocol.left_out}.",
            f"Choose a protocol that counts them, such as --protocol {DEFAULT}, or add frames with instruments.",
        )
    names = figures_of(protocol, counted)
    videos = (
        {video: _means(own, names) for video, own in by_video(counted).items()} if protocol.unit == "videos" else {}
    )
    return Pooled(counted, {name: _figure(protocol, counted, videos, name) for name in names}, videos)


def figures_of(protocol: Protocol, frames: Sequence[FrameScore]) -> tuple[FigureName, ...]:
    """Names of the protocol's figures, and of those of surfaces where all `frames` have them."""
    return protocol.figures + (SURFACE_FIGURES if all(frame.surface is not None for frame in frames) else ())


def by_video(frames: Sequence[FrameScore]) -> dict[str, list[FrameScore]]:
    """The frames of each video, in the order of their first frames."""
    videos: dict[str, list[FrameScore]] = {}
    for frame in frames:
        videos.setdefault(frame.video, []).append(frame)
    return videos


def is_of_pixels(protocol: Protocol, name: FigureName) -> bool:
    """Whether the figure comes from one confusion matrix instead of from an average."""
    return protocol.unit == "pixels" and name in OF_COUNTS


def _figure(
    protocol: Protocol, frames: Sequence[FrameScore], videos: Mapping[str, Mapping[FigureName, float]], name: FigureName
) -> Figure:
    if is_of_pixels(protocol, name):
        return Figure(float(OF_COUNTS[name](counts_of(counted_pixels(frames).sum(axis=0)))), None)
    values = [means[name] for means in videos.values()] if videos else [frame.figure(name) for frame in frames]
    return Figure(float(np.mean(values)), float(np.std(values)))


def _means(frames: Sequence[FrameScore], names: Sequence[FigureName]) -> dict[FigureName, float]:
    return {name: float(np.mean([frame.figure(name) for frame in frames])) for name in names}
