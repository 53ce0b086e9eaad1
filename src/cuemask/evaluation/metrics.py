"""From masks to counts, and from counts to figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

EPSILON = 1e-15  # added above and below, so that an empty prediction of an empty truth scores 1


@dataclass(frozen=True, eq=False)
class Counts:
    """Pixels of one frame, or of each of several.

    Attributes
    ----------
    intersection
        Pixels that both masks hold.
    predicted, truth
        Pixels that each mask holds.
    total
        Pixels of the frame.
    """

    intersection: Int64[np.ndarray, "*frames"]
    predicted: Int64[np.ndarray, "*frames"]
    truth: Int64[np.ndarray, "*frames"]
    total: int

    @classmethod
    def of(cls, predicted: Bool[np.ndarray, "*frames H W"], truth: Bool[np.ndarray, "*frames H W"]) -> Counts:
        """Count the pixels of each frame.

        Raises
        ------
        ValueError
            If the masks differ in shape.
        """
        if predicted.shape != truth.shape:
            raise ValueError(f"masks of shapes {predicted.shape} and {truth.shape} cannot be compared")
        return cls(
            _pixels(predicted & truth),
            _pixels(predicted),
            _pixels(truth),
            predicted.shape[-2] * predicted.shape[-1],
        )


def iou(counts: Counts) -> Float64[np.ndarray, "*frames"]:
    """Intersection over union, 0 to 1: (I + 1e-15) / (U + 1e-15); empty on empty is 1."""
    union = counts.predicted + counts.truth - counts.intersection
    return np.asarray((counts.intersection + EPSILON) / (union + EPSILON), np.float64)


def dice(counts: Counts) -> Float64[np.ndarray, "*frames"]:
    """Dice coefficient, 0 to 1: (2 I + 1e-15) / (P + T + 1e-15); empty on empty is 1."""
    both = counts.predicted + counts.truth
    return np.asarray((2 * counts.intersection + EPSILON) / (both + EPSILON), np.float64)


def _pixels(mask: Bool[np.ndarray, "*frames H W"]) -> Int64[np.ndarray, "*frames"]:
    return np.asarray(np.count_nonzero(mask, axis=(-2, -1)), np.int64)
