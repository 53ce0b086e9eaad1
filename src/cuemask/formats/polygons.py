"""Polygons to pixels, for what people draw in other programs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64


def draw_polygon(mask: Bool[np.ndarray, "H W"], corners: Float64[np.ndarray, "n 2"]) -> None:
    """Set the pixels whose centres lie in a polygon, by the even-odd rule; what leaves the frame is cut off.

    Parameters
    ----------
    corners
        x and y, at least 3, in pixels: the first pixel reaches from 0 to 1 and its centre is at 0.5.

    Raises
    ------
    ValueError
        If there are fewer corners, or they are not finite.
    """
    if len(corners) < 3 or not np.isfinite(corners).all():
        raise ValueError("a polygon needs at least 3 corners")
    height, width = mask.shape
    crossings = np.zeros((height, width + 1), np.uint8)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = sorted((y1, y2))
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in (low, high))
        if first >= last:
            continue
        rows = np.arange(first, last)
        x = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
        columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
        crossings[rows, columns] ^= 1  # an edge crosses a row once
    mask |= np.bitwise_xor.accumulate(crossings, axis=1)[:, :width] > 0
