"""Instruments found and missed: average precision as COCO has it, panoptic quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from cuemask.evaluation.overlaps import Overlaps
from cuemask.evaluation.tables import Value

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_DETECTIONS = 100  # of a frame, the surest
RULE = (
    "AP: COCO's, of masks without regard to class, over IoU .50 to .95, ordered by confidence; PQ: Kirillov et al. "
    "2019, pairs above IoU .5; all frames pooled"
)


@dataclass(frozen=True, eq=False)
class FoundInstances:
    """One frame's instruments.

    Attributes
    ----------
    overlaps
        Of the predicted with the true ones.
    confidences
        Of the predicted ones, in their order.
    """

    overlaps: Overlaps
    confidences: Float64[np.ndarray, " P"]


def instance_figures(frames: Sequence[FoundInstances]) -> dict[str, Value]:
    """AP, AP50, PQ, SQ and RQ of frames together, 0 to 1; None of AP without truth, of PQ with nothing on either side.

    `matched`, `missed` and `surplus` count instruments at IoU above 0.5.
    """
    precisions = [average_precision(frames, threshold) for threshold in THRESHOLDS]
    known = [precision for precision in precisions if precision is not None]
    return {"ap50": precisions[0], "ap": float(np.mean(known)) if known else None, **panoptic_quality(frames)}


def average_precision(frames: Sequence[FoundInstances], threshold: float) -> float | None:
    """Mean precision at 101 recalls, of instruments that overlap a true one by at least `threshold`; None without any.

    Greedy as COCO's: the surest takes the true instrument that it overlaps most among those not taken.
    """
    true = sum(len(frame.overlaps.true) for frame in frames)
    if true == 0:
        return None
    orders = [np.argsort(-frame.confidences, kind="stable")[:MOST_DETECTIONS] for frame in frames]
    confidences = np.concatenate([frame.confidences[order] for frame, order in zip(frames, orders, strict=True)])
    hits = [_hits(frame.overlaps.iou[order], threshold) for frame, order in zip(frames, orders, strict=True)]
    is_hit = np.concatenate(hits)[np.argsort(-confidences, kind="stable")]
    right, wrong = np.cumsum(is_hit), np.cumsum(~is_hit)
    precision = np.maximum.accumulate((right / np.maximum(right + wrong, 1))[::-1])[::-1]
    places = np.searchsorted(right / true, RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(places, len(precision))].mean())


def _hits(iou: Float64[np.ndarray, "P T"], threshold: float) -> Bool[np.ndarray, " P"]:
    """Which of the predictions, the surest first, take a true instrument."""
    is_hit, free = np.zeros(len(iou), np.bool_), np.ones(iou.shape[1], np.bool_)
    for n, row in enumerate(iou):
        left = np.where(free, row, -1.0)
        if len(left) and left.max() >= threshold:
            best = len(left) - 1 - int(np.argmax(left[::-1]))  # of equal ones COCO takes the last
            is_hit[n], free[best] = True, False
    return is_hit


def panoptic_quality(frames: Sequence[FoundInstances]) -> dict[str, Value]:
    """PQ = SQ RQ; SQ the mean IoU of pairs above 0.5, which cannot be ambiguous; RQ their F1."""
    pairs = [frame.overlaps.iou[frame.overlaps.iou > 0.5] for frame in frames]
    matched = sum(len(pair) for pair in pairs)
    missed = sum(len(frame.overlaps.true) for frame in frames) - matched
    surplus = sum(len(frame.overlaps.predicted) for frame in frames) - matched
    total = matched + (missed + surplus) / 2
    overlap = float(sum(pair.sum() for pair in pairs))
    return {
        "pq": overlap / total if total else None,
        "sq": overlap / matched if matched else (0.0 if total else None),
        "rq": matched / total if total else None,
        "matched": matched,
        "missed": missed,
        "surplus": surplus,
    }
