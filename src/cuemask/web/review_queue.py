"""In which order frames are shown for review: those first that tell most of the doubtful ones around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

_STRETCHES = 128  # of a clip, at most
_REACH = 1 / 8  # of the clip: over so much of it, what a corrected frame tells falls to a third


def by_doubt(confidences: Sequence[Float32[np.ndarray, " _"]]) -> list[int]:
    """All frames of a run, those first whose correction tells most.

    A corrected frame tells of the frames around it, too, and of these the more the nearer they are. So each next one is
    the least sure frame of that stretch of its clip from which most doubt comes into reach that no frame before it in
    the queue reaches as well; doubt is (1 - c)^2 with c the confidence. When each stretch has had one, the second of
    each follow, and so on.

    Parameters
    ----------
    confidences
        Of each clip's frames in their order, 0 to 1.

    Returns
    -------
    Numbers of frames, counted through all clips.
    """
    ranked, begin = list[tuple[int, float, int]](), 0
    for values in confidences:
        stretches = np.array_split(np.arange(len(values)), min(len(values), _STRETCHES)) if len(values) else []
        doubts = np.array([np.sum((1 - values[stretch]) ** 2) for stretch in stretches])
        for stretch, gain in zip(stretches, _gains(doubts), strict=True):
            least_sure = stretch[np.argsort(values[stretch], kind="stable")].tolist()
            ranked += [(turn, -gain, begin + number) for turn, number in enumerate(least_sure)]
        begin += len(values)
    return [number for *_, number in sorted(ranked)]


def _gains(doubts: np.ndarray) -> list[float]:
    """How much doubt each stretch brought into reach when it was taken; each next one is that which brings most."""
    places, gains = np.arange(len(doubts)), np.zeros(len(doubts))
    told = np.exp(-np.abs(places[:, None] - places) / max(len(doubts) * _REACH, 1e-9))
    known, waiting = np.zeros(len(doubts)), np.ones(len(doubts), bool)
    for _ in places:
        brought = np.where(waiting, np.maximum(told - known, 0) @ doubts, -1)
        taken = int(brought.argmax())
        gains[taken], waiting[taken] = brought[taken], False
        known = np.maximum(known, told[taken])
    return gains.tolist()
