"""From masks to counts, and from counts to figures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int64

EPSILON = 1e-15  # added above and below, so that an empty prediction of an empty truth scores 1
BOUNDARY_TOLERANCE = 0.01  # of the picture's diagonal


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
        _require_one_shape(predicted, truth)
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


def boundary_f(
    predicted: Bool[np.ndarray, "H W"], truth: Bool[np.ndarray, "H W"], tolerance: float = BOUNDARY_TOLERANCE
) -> float:
    """How well the outline of one frame's mask follows the true one, 0 to 1: 2 P R / (P + R).

    P is the share of the predicted boundary's pixels that lie within `tolerance` times the picture's diagonal of a
    pixel of the true boundary, R that of the true boundary's within it of the predicted one (Csurka, Larlus and
    Perronnin, What is a good evaluation measure for semantic segmentation?, BMVC 2013; Perazzi et al., A benchmark
    dataset and evaluation methodology for video object segmentation, CVPR 2016). Where one of the masks has no
    boundary, being empty or the whole picture, the figure is 1 if the masks are equal and 0 otherwise.

    Raises
    ------
    ValueError
        If the masks differ in shape.
    """
    _require_one_shape(predicted, truth)
    found, true = boundary(predicted), boundary(truth)
    if not (found.any() and true.any()):
        return float(np.array_equal(predicted, truth))
    reach = tolerance * float(np.hypot(*truth.shape))
    precision = float(_within(reach, true)[found].mean())
    recall = float(_within(reach, found)[true].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _require_one_shape(predicted: np.ndarray, truth: np.ndarray) -> None:
    if predicted.shape != truth.shape:
        raise ValueError(f"masks of shapes {predicted.shape} and {truth.shape} cannot be compared")


def boundary(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """The mask's pixels of which one of the four neighbours is outside it.

    The picture's own edge bounds nothing: where an instrument leaves the picture it has no outline.
    """
    inner = cv2.erode(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    return mask & (inner == 0)


def _within(reach: float, pixels: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Which pixels lie within `reach` px, straight, of one of `pixels`."""
    distance = cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares of distances between pixels are whole numbers, which single precision has not quite hit.
    return np.rint(np.square(distance, dtype=np.float64)) <= reach**2 + 1e-9


def _pixels(mask: Bool[np.ndarray, "*frames H W"]) -> Int64[np.ndarray, "*frames"]:
    return np.asarray(np.count_nonzero(mask, axis=(-2, -1)), np.int64)
