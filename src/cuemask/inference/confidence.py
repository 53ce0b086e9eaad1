"""How far to trust a mask, from its probabilities alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

_AT_ISSUE = 0.1  # probability above which a pixel may be an instrument


def confidence(p: Float32[np.ndarray, "H W"]) -> float:
    """How decided the network is where an instrument may be: the mean of |2 p - 1| over pixels with p above 0.1.

    A sharp mask is nearly all ones; a region that the network is not sure of pulls the mean down, and so does an
    edge that it cannot place. No label enters. docs/deviations.md tells how well it ranks frames by their true IoU.

    Parameters
    ----------
    p
        `thresholds.finished_probability`: 0 outside the endoscope's picture.

    Returns
    -------
    In [0, 1]; 1 where no pixel is above 0.1, so that an empty mask without doubt is a sure one.
    """
    at_issue = p[p > _AT_ISSUE]
    return float(np.abs(2 * at_issue - 1).mean()) if at_issue.size else 1.0
