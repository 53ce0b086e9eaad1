"""Frames that carry their number, so that a test can see which one it got."""

from __future__ import annotations

import numpy as np

BITS = 10


def numbered(number: int, height: int = 64, width: int = 96) -> np.ndarray:
    """A grey frame with `number` in bright and dark columns."""
    rgb = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        rgb[: height // 2, left:right] = 220 if number >> bit & 1 else 40
    return rgb


def number_of(rgb: np.ndarray) -> int:
    """The number that `numbered` drew."""
    height, width = rgb.shape[:2]
    middles = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(int(rgb[height // 4, middle].mean() > 130) << bit for bit, middle in enumerate(middles))
