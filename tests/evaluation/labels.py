"""Label maps of clips in which instruments are missed, invented, moved and take each other's numbers."""

from __future__ import annotations

import numpy as np

from cuemask.evaluation.overlaps import Overlaps, mask_overlaps

Maps = list[np.ndarray]


def clip(seed: int, frames: int = 12) -> tuple[Maps, Maps]:
    """Predicted and true numbers, frame by frame."""
    rng = np.random.default_rng(seed)
    predicted, true = ([np.zeros((24, 32), np.uint16) for _ in range(frames)] for _ in range(2))
    for t in range(frames):
        for number in (1, 2, 3):
            left = int(8 * number - 6 + 2 * np.sin(t / 3))
            if rng.random() < 0.85:
                true[t][4 + t % 3 : 20, left : left + 6] = number
            if rng.random() < 0.85:
                moved = max(0, left + int(rng.integers(-2, 3)))
                swapped = {1: 2, 2: 1, 3: 3}[number] if t > frames // 2 else number
                predicted[t][3:19, moved : left + 6] = swapped + 10
    return predicted, true


def overlaps(seed: int, frames: int = 12) -> list[Overlaps]:
    """How far they overlap."""
    return [mask_overlaps(p, t) for p, t in zip(*clip(seed, frames), strict=True)]
