"""Otsu's threshold: the split of a histogram that leaves the least variance within its two halves."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32


def otsu_threshold(values: Float32[np.ndarray, ...]) -> float:
    """The threshold of Otsu (1979) on 256 levels; what lies above it is foreground.

    Parameters
    ----------
    values
        Any shape, in [0, 1].

    Returns
    -------
    A threshold in [0, 1], halfway between two of the 256 levels, to be compared with `>`. No values at all,
    or values of one level only, give a threshold that leaves nothing above it.
    """
    levels = np.rint(np.clip(values, 0, 1).reshape(1, -1) * 255).astype(np.uint8)
    if levels.size == 0 or levels.min() == levels.max():
        return 1.0
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return (level + 0.5) / 255
