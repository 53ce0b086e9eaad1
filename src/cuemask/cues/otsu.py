"""Otsu's threshold: the split of a histogram that leaves the least variance within its two halves."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32


def otsu_threshold(values: Float32[np.ndarray, ...], *, own_range: bool = False) -> float:
    """The threshold of Otsu (1979) on 256 levels; what lies above it is foreground.

    Parameters
    ----------
    values
        Any shape, in [0, 1].
    own_range
        Whether the levels reach from the least of the values to the greatest, so that a dim map has as many as a
        bright one, or from 0 to 1.

    Returns
    -------
    A threshold in [0, 1], halfway between two of the 256 levels, to be compared with `>`. No values at all,
    or values of one level only, give a threshold that leaves nothing above it.

    Examples
    --------
    >>> import cuemask, numpy as np
    >>> values = np.array([0.1, 0.12, 0.8, 0.82], np.float32)
    >>> 0.12 < cuemask.cues.otsu(values) < 0.8
    True
    """
    flat = np.clip(values, 0, 1).reshape(1, -1)
    low, high = (float(flat.min()), float(flat.max())) if own_range and flat.size else (0.0, 1.0)
    if low == high:
        return 1.0
    levels = np.rint((flat - np.float32(low)) * np.float32(255 / (high - low))).astype(np.uint8)
    if levels.size == 0 or levels.min() == levels.max():
        return 1.0
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return low + (level + 0.5) / 255 * (high - low)
