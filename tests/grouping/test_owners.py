from __future__ import annotations

import numpy as np

from cuemask.grouping.owners import owned
from cuemask.grouping.shafts import Shaft

SHAPE = (120, 110)
HEAD = np.s_[25:60, 20:71]  # hangs on the end of the first shaft, and reaches as far as that of the second


def shaft(x: int, end: int) -> Shaft:
    """A shaft of 16 px from below, straight up to row `end`."""
    return Shaft((float(x), 119.0), (0.0, -1.0), 16.0, 0.0, float(119 - end), 1.0)


def drawn(*shafts: Shaft) -> np.ndarray:
    mask = np.any([one.band(SHAPE) for one in shafts], axis=0)
    mask[HEAD] = True
    return mask


def test_a_head_that_hangs_clearly_on_one_end_is_not_shared_with_a_neighbour_that_has_its_own():
    shafts = shaft(40, 60), shaft(70, 72)
    mask, own = drawn(*shafts), np.s_[61:72, 66:91]
    mask[own] = True
    labels = owned(mask, shafts, None, None)
    assert (labels[HEAD] == 1).all()
    assert (labels[own] == 2).all()


def test_a_shaft_without_a_head_of_its_own_has_a_share_in_what_touches_its_end():
    labels = owned(drawn(shaft(40, 60), shaft(70, 60)), (shaft(40, 60), shaft(70, 60)), None, None)
    assert labels[58, 70] == 2
    assert labels[58, 40] == 1
