"""In which order frames are shown for review: the doubtful first, and those far apart in time before neighbours."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import chain

import numpy as np
from jaxtyping import Float32

_FIRST = 8  # frames of a clip that are apart at first
_BANDS = 4  # of doubt


def by_doubt(confidences: Sequence[Float32[np.ndarray, " _"]]) -> list[int]:
    """All frames of a run, the doubtful quarter first, within it as far apart as can be, then the next quarter.

    Neighbours show the same, so that two frames that follow each other here are at least a sixteenth of their clip
    apart as long as there are such in the same quarter; then an ever smaller share.

    Parameters
    ----------
    confidences
        Of each clip's frames in their order, 0 to 1.

    Returns
    -------
    Numbers of frames, counted through all clips.
    """
    every = np.concatenate(confidences) if confidences else np.zeros(0, np.float32)
    if not len(every):
        return []
    bounds = np.quantile(every, np.arange(1, _BANDS) / _BANDS)
    begins = np.cumsum([0, *(len(one) for one in confidences)])
    ranked = chain.from_iterable(
        ((*rank, float(values[index]), int(begin) + index) for index, rank in _ranks(values, bounds).items())
        for values, begin in zip(confidences, begins, strict=False)
    )
    return [frame for *_, frame in sorted(ranked)]


def _ranks(values: Float32[np.ndarray, " n"], bounds: np.ndarray) -> dict[int, tuple[int, int]]:
    """Of each frame of a clip its band of doubt, and at which of ever smaller distances it was taken."""
    bands = np.searchsorted(bounds, values, side="right")
    order = np.lexsort((np.arange(len(values)), values))
    taken, ranks = list[int](), dict[int, tuple[int, int]]()
    for band in range(_BANDS):
        waiting = [int(index) for index in order if bands[index] == band]
        gap, turn = max(1, (len(values) // _FIRST + 1) // 2), 0
        while waiting:
            left = list[int]()
            for index in waiting:
                if gap == 1 or _is_apart(taken, index, gap):
                    insort(taken, index)
                    ranks[index] = (band, turn)
                else:
                    left.append(index)
            waiting, gap, turn = left, max(1, gap // 2), turn + 1
    return ranks


def _is_apart(taken: list[int], index: int, gap: int) -> bool:
    place = bisect_left(taken, index)
    return not any(abs(other - index) < gap for other in taken[max(0, place - 1) : place + 1])
