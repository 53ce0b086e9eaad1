"""In which order frames are shown for review: the doubtful first, and those far apart in time before neighbours."""

from __future__ import annotations

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
    ranks = dict[int, tuple[int, int]]()
    for band in range(_BANDS):
        waiting = order[bands[order] == band]
        gap, turn = max(1, (len(values) // _FIRST + 1) // 2), 0
        while len(waiting):
            near = _near(list(ranks), gap, len(values))
            for index in waiting[~near[waiting]].tolist():
                if not near[index]:
                    ranks[index] = (band, turn)
                    near[max(0, index - gap + 1) : index + gap] = True
            waiting = waiting[[index not in ranks for index in waiting.tolist()]]
            gap, turn = max(1, gap // 2), turn + 1
    return ranks


def _near(taken: list[int], gap: int, count: int) -> np.ndarray:
    """Which of `count` frames lie nearer than `gap` to one that was taken."""
    changes = np.zeros(count + 1, np.int64)
    places = np.array(taken, np.int64)
    np.add.at(changes, np.maximum(0, places - gap + 1), 1)
    np.add.at(changes, np.minimum(count, places + gap), -1)
    return np.cumsum(changes[:-1]) > 0
