"""One frame's score: what every protocol counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64

from cuemask.errors import EvaluationError
from cuemask.evaluation.metrics import Counts, accuracy, dice, iou, sensitivity, specificity
from cuemask.evaluation.surfaces import Surface, Tolerance, surface

FigureName = Literal["iou", "dice", "accuracy", "sensitivity", "specificity", "nsd", "hd95_px"]
SURFACE_FIGURES: tuple[FigureName, ...] = ("nsd", "hd95_px")
OF_COUNTS = {
    "iou": iou,
    "dice": dice,
    "accuracy": accuracy,
    "sensitivity": sensitivity,
    "specificity": specificity,
}
NAMES_SHOWN = 10


@dataclass(frozen=True)
class FrameScore:
    """One frame with truth.

    Attributes
    ----------
    video
        What it is of: a recording of a data set, or the subfolder of the masks; empty where there is none.
    frame
        Its name in the video.
    counts
        Its pixels.
    surface
        Figures of the outline, where they were asked for.
    """

    video: str
    frame: str
    counts: Counts
    surface: Surface | None = None

    @property
    def name(self) -> str:
        """`video/frame`; the frame's name alone where there is no video."""
        return f"{self.video}/{self.frame}" if self.video else self.frame

    @cached_property
    def iou(self) -> float:
        """Intersection over union, 0 to 1."""
        return float(iou(self.counts))

    @cached_property
    def dice(self) -> float:
        """Dice coefficient, 0 to 1."""
        return float(dice(self.counts))

    def figure(self, name: FigureName) -> float:
        """One figure by name: 0 to 1, `hd95_px` in pixels.

        Raises
        ------
        ValueError
            If it is one of the surface, which was not looked at.
        """
        if name in OF_COUNTS:
            return float(OF_COUNTS[name](self.counts))
        if self.surface is None:
            raise ValueError(f"{self.name}: {name} needs the surface, which was not looked at")
        return self.surface.nsd if name == "nsd" else self.surface.hd95_px


def score(
    video: str,
    frame: str,
    predicted: Bool[np.ndarray, "H W"],
    truth: Bool[np.ndarray, "h w"],
    tolerance: Tolerance | None = None,
) -> FrameScore:
    """Compare one predicted mask with the true one; surfaces only where there is a `tolerance`.

    Raises
    ------
    ValueError
        If the masks differ in shape.
    """
    found = None if tolerance is None else surface(predicted, truth, tolerance)
    return FrameScore(video, frame, Counts.of(predicted, truth), found)


def counted_pixels(frames: Sequence[FrameScore]) -> Int64[np.ndarray, "frames 4"]:
    """Intersection, predicted, truth and total of each frame, in pixels."""
    counts = (frame.counts for frame in frames)
    return np.array([(c.intersection, c.predicted, c.truth, c.total) for c in counts], np.int64).reshape(-1, 4)


def counts_of(pixels: Int64[np.ndarray, "*any 4"]) -> Counts:
    """Counts from such numbers, or sums of them."""
    intersection, predicted, truth, total = (np.asarray(pixels[..., n]) for n in range(4))
    return Counts(intersection, predicted, truth, total)


def refuse_sizes(prediction: object, predicted: np.ndarray, truth: object, true: np.ndarray) -> None:
    """Refuse two masks of different sizes, with both named.

    Raises
    ------
    EvaluationError
        If they differ.
    """
    if predicted.shape != true.shape:
        raise EvaluationError(
            f"{prediction} is {_size(predicted)} and {truth} is {_size(true)} pixels.",
            "Compare masks of one size: predict again from the frames that the true masks were drawn on.",
        )


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _size(mask: np.ndarray) -> str:
    return f"{mask.shape[1]}x{mask.shape[0]}"
