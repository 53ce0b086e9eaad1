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
        Pixels of a frame; an array where frames differ in size.
    """

    intersection: Int64[np.ndarray, "*frames"]
    predicted: Int64[np.ndarray, "*frames"]
    truth: Int64[np.ndarray, "*frames"]
    total: int | Int64[np.ndarray, "*frames"]

    @classmethod
    def of(cls, predicted: Bool[np.ndarray, "*frames H W"], truth: Bool[np.ndarray, "*frames H W"]) -> Counts:
        """Count the pixels of each frame.

        Raises
        ------
        ValueError
            If the masks differ in shape.
        """
        require_one_shape(predicted, truth)
        return cls(
            _pixels(predicted & truth),
            _pixels(predicted),
            _pixels(truth),
            predicted.shape[-2] * predicted.shape[-1],
        )


def iou(counts: Counts) -> Float64[np.ndarray, "*frames"]:
    """Intersection over union, 0 to 1: (I + 1e-15) / (U + 1e-15); empty on empty is 1."""
    return _share(counts.intersection, counts.predicted + counts.truth - counts.intersection)


def dice(counts: Counts) -> Float64[np.ndarray, "*frames"]:
    """Dice coefficient, 0 to 1: (2 I + 1e-15) / (P + T + 1e-15); empty on empty is 1."""
    return _share(2 * counts.intersection, counts.predicted + counts.truth)


def accuracy(counts: Counts) -> Float64[np.ndarray, "*frames"]:
    """Share of the pixels on which prediction and truth agree, 0 to 1: (TP + TN) / (TP + FP + FN + TN)."""
    return _share(counts.intersection + _true_negatives(counts), np.asarray(counts.total))


def sensitivity(counts: Counts) -> Float64[np.ndarray, "*frames"]:
    """Share of the true pixels that were found, 0 to 1: TP / (TP + FN); 1 where there are none to find."""
    return _share(counts.intersection, counts.truth)


def specificity(counts: Counts) -> Float64[np.ndarray, "*frames"]:
    """Share of the background that was spared, 0 to 1: TN / (TN + FP); 1 where there is none to spare."""
    return _share(_true_negatives(counts), counts.total - counts.truth)


def _share(part: np.ndarray | np.integer, whole: np.ndarray | np.integer) -> Float64[np.ndarray, "*frames"]:
    return np.asarray((part + EPSILON) / (whole + EPSILON), np.float64)


def _true_negatives(counts: Counts) -> Int64[np.ndarray, "*frames"]:
    return np.asarray(counts.total - counts.predicted - counts.truth + counts.intersection, np.int64)


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
    require_one_shape(predicted, truth)
    found, true = boundary(predicted), boundary(truth)
    if not (found.any() and true.any()):
        return float(np.array_equal(predicted, truth))
    reach = tolerance * float(np.hypot(*truth.shape))
    precision = float(within(reach, squared_distances(true)[found]).mean())
    recall = float(within(reach, squared_distances(found)[true]).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def require_one_shape(predicted: np.ndarray, truth: np.ndarray) -> None:
    """Refuse masks that cannot be compared.

    Raises
    ------
    ValueError
        If the masks differ in shape.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"masks of shapes {predicted.shape} and {truth.shape} cannot be compared")


def boundary(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """The mask's pixels of which one of the four neighbours is outside it.

    The picture's own edge bounds nothing: where an instrument leaves the picture it has no outline.
    """
    inner = cv2.erode(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    return mask & (inner == 0)


def squared_distances(pixels: Bool[np.ndarray, "H W"]) -> Float64[np.ndarray, "H W"]:
    """Square of each pixel's straight distance to the nearest of `pixels`, of which there is one at least, in px^2."""
    distance = cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares of distances between pixels are whole numbers, which single precision has not quite hit.
    return np.rint(np.square(distance, dtype=np.float64))


def within(reach_px: float, squared: Float64[np.ndarray, "*pixels"]) -> Bool[np.ndarray, "*pixels"]:
    """Which of the squared distances are no farther than `reach_px`; one that equals it is not."""
    return squared <= reach_px**2 + 1e-9


def _pixels(mask: Bool[np.ndarray, "*frames H W"]) -> Int64[np.ndarray, "*frames"]:
    return np.asarray(np.count_nonzero(mask, axis=(-2, -1)), np.int64)
