"""Shaft, wrist and clasper: IoU of each, and part-aware panoptic quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from cuemask.evaluation.overlaps import Labels, joint_counts, mask_overlaps
from cuemask.evaluation.tables import Value

PARTS = {10: "shaft", 20: "wrist", 30: "clasper"}  # the codes of EndoVis 2017
RULE = (
    "IoU: pixels of all frames pooled, mean over the parts that occur; PartPQ: de Geus et al. 2021, pairs of "
    "instruments above IoU .5, each by the mean IoU of its parts and of the background"
)


@dataclass(frozen=True, eq=False)
class FoundParts:
    """One frame's parts.

    Attributes
    ----------
    pixels
        Both, predicted and true pixels of each of `PARTS`.
    pairs
        Of each pair of instruments above IoU 0.5 the mean IoU of its parts; None where instruments are not known.
    predicted, true
        Numbers of instruments.
    """

    pixels: Int64[np.ndarray, "parts 3"]
    pairs: Float64[np.ndarray, " n"] | None
    predicted: int = 0
    true: int = 0


def found_parts(predicted: Labels, true: Labels, instances: tuple[Labels, Labels] | None) -> FoundParts:
    """Compare the part codes of one frame; `instances` are the predicted and the true ones, 0 background."""
    counts = [(predicted == code, true == code) for code in PARTS]
    pixels = np.array([((p & t).sum(), p.sum(), t.sum()) for p, t in counts], np.int64)
    if instances is None:
        return FoundParts(pixels, None)
    overlaps = mask_overlaps(*instances)
    pairs = [
        _part_iou(
            np.where(instances[0] == overlaps.predicted[p], predicted, 0),
            np.where(instances[1] == overlaps.true[t], true, 0),
            (instances[1] == overlaps.true[t]) & (true == 0),
        )
        for p, t in zip(*np.nonzero(overlaps.iou > 0.5), strict=True)
    ]
    return FoundParts(pixels, np.array(pairs, np.float64), len(overlaps.predicted), len(overlaps.true))


def _part_iou(predicted: Labels, true: Labels, untold: np.ndarray) -> float:
    """Mean IoU over the codes that occur, background included, but where the true instrument's part is not told."""
    counts = joint_counts(predicted[~untold][None], true[~untold][None])
    ious: list[float] = []
    for code in np.unique(counts[:, :2]):
        is_predicted, is_true = counts[:, 0] == code, counts[:, 1] == code
        ious.append(float(counts[is_predicted & is_true, 2].sum() / counts[is_predicted | is_true, 2].sum()))
    return float(np.mean(ious))


def part_figures(frames: Sequence[FoundParts]) -> dict[str, Value]:
    """IoU of each part, their mean, and PartPQ, 0 to 1; None of what does not occur on either side."""
    both, predicted, true = np.sum([frame.pixels for frame in frames], axis=0).T
    union = predicted + true - both
    told: dict[str, Value] = {
        f"iou_{name}": float(both[n] / union[n]) if union[n] else None for n, name in enumerate(PARTS.values())
    }
    known = [value for value in told.values() if isinstance(value, float)]
    told["mean_iou"] = float(np.mean(known)) if known else None
    return told | {"part_pq": _part_pq(frames)}


def _part_pq(frames: Sequence[FoundParts]) -> float | None:
    grouped = [frame.pairs for frame in frames if frame.pairs is not None]
    instruments = sum(frame.predicted + frame.true for frame in frames)
    if len(grouped) < len(frames) or not instruments:
        return None
    # Matched, and half of the missed and the surplus: half of all instruments on both sides.
    return float(sum(pairs.sum() for pairs in grouped) / (instruments / 2))
