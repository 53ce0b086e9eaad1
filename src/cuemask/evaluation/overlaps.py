"""How far the instruments of a predicted frame and of the true one overlap, each with each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Shaped

Labels = Shaped[np.ndarray, "H W"]  # whole numbers, 0 background


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Of one frame.

    Attributes
    ----------
    predicted, true
        Numbers of the instruments, ascending.
    iou
        Intersection over union of each with each, 0 to 1.
    """

    predicted: Int64[np.ndarray, " P"]
    true: Int64[np.ndarray, " T"]
    iou: Float64[np.ndarray, "P T"]


def joint_counts(predicted: Labels, true: Labels) -> Int64[np.ndarray, "n 3"]:
    """Predicted number, true number and how many pixels have both, for each pair of numbers that occurs."""
    joint = predicted.astype(np.int64) << 32 | true.astype(np.int64)
    pairs, pixels = np.unique(joint, return_counts=True)
    return np.stack([pairs >> 32, pairs & 0xFFFFFFFF, pixels.astype(np.int64)], axis=1)


def mask_overlaps(predicted: Labels, true: Labels) -> Overlaps:
    """IoU of the pixels of each predicted instrument with those of each true one."""
    counts = joint_counts(predicted, true)
    of_predicted, row = np.unique(counts[:, 0], return_inverse=True)
    of_true, column = np.unique(counts[:, 1], return_inverse=True)
    both = np.zeros((len(of_predicted), len(of_true)))
    both[row, column] = counts[:, 2]
    union = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    p, t = of_predicted > 0, of_true > 0
    return Overlaps(of_predicted[p], of_true[t], (both / union)[p][:, t])


def box_overlaps(predicted: Labels, true: Labels) -> Overlaps:
    """IoU of the smallest boxes around the instruments."""
    of_predicted, inner = _boxes(predicted)
    of_true, outer = _boxes(true)
    low = np.maximum(inner[:, None, :2], outer[None, :, :2])
    high = np.minimum(inner[:, None, 2:], outer[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2).astype(np.float64)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1).astype(np.float64) for boxes in (inner, outer)]
    return Overlaps(of_predicted, of_true, both / (areas[0][:, None] + areas[1][None, :] - both))


def _boxes(labels: Labels) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, "n 4"]]:
    """Numbers, and top, left, bottom, right of their boxes; the last two are one past them."""
    numbers = np.unique(labels[labels > 0]).astype(np.int64)
    boxes = np.zeros((len(numbers), 4), np.int64)
    for n, number in enumerate(numbers):
        rows, columns = np.nonzero(labels == number)
        boxes[n] = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    return numbers, boxes
