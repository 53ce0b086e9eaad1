"""What confidence is worth: the frames that are left when those that a run is least sure of are left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def iou_kept(confidence: Sequence[float], iou: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Mean IoU of the surest frames, for each share of them that is kept: the risk-coverage curve, with IoU for risk.

    Of frames of one confidence each counts as much as the others.

    Parameters
    ----------
    confidence, iou
        Of each frame, 0 to 1; at least one frame.
    shares
        Above 0, up to 1; at least one frame is kept.
    """
    sureness, found = np.asarray(confidence, float), np.asarray(iou, float)
    levels, level = np.unique(-sureness, return_inverse=True)
    alike = np.bincount(level, found, len(levels)) / np.bincount(level, minlength=len(levels))
    ordered = np.sort(level)
    means = np.cumsum(alike[ordered]) / np.arange(1, len(found) + 1)
    return [float(means[max(1, round(share * len(found))) - 1]) for share in shares]
