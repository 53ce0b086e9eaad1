"""Frames made by hand, from their pixels."""

from __future__ import annotations

import numpy as np

from cuemask.evaluation.frames import FrameScore
from cuemask.evaluation.metrics import Counts
from cuemask.evaluation.surfaces import Surface


def frame(
    video: str, name: str, both: int, predicted: int, truth: int, total: int = 100, surface: Surface | None = None
) -> FrameScore:
    return FrameScore(video, name, Counts(np.array(both), np.array(predicted), np.array(truth), total), surface)


GOOD = frame("a", "good", 10, 10, 10)  # IoU 1
HALF = frame("a", "half", 10, 20, 10)  # IoU 1/2, Dice 2/3
EMPTY = frame("b", "empty", 0, 0, 0)  # 1 by convention
FALSE = frame("b", "false", 0, 30, 0)  # nothing there, something predicted: 0
MISSED = frame("b", "missed", 0, 0, 20)  # 0
FRAMES = (GOOD, HALF, EMPTY, FALSE, MISSED)
