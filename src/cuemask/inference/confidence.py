"""How far to trust a mask, by what the network itself says of the picture when it sees it mirrored."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32

_SMALL = 0.002  # share of the picture below which two masks do not differ much


def confidence(
    p: Float32[np.ndarray, "h2 w2"],
    mask: Bool[np.ndarray, "h w"],
    inside: Bool[np.ndarray, "h w"] | None = None,
) -> float:
    """The IoU that a mask is expected to have if its pixels have the probabilities p; no label enters.

    (sum(m p) + c) / (sum(m) + sum((1 - m) p) + c), where the constant c, a five hundredth of the picture, keeps an
    empty mask where p is next to nothing near 1. docs/deviations.md tells how well it ranks frames by their true IoU.

    Parameters
    ----------
    p
        What the network says of the picture mirrored (and mirrored back): a second opinion that had no part in the
        mask. Of the picture itself it says less.
    mask, inside
        Of the same picture, not always at the same size; outside the endoscope's picture p counts as 0.

    Returns
    -------
    In (0, 1].
    """
    height, width = p.shape
    marked = _reduced(mask, width, height) > 0
    seen = p if inside is None else p * _reduced(inside, width, height)
    small = _SMALL * p.size
    both = float(seen[marked].sum())
    return (both + small) / (float(marked.sum()) + float(seen.sum()) - both + small)


def _reduced(mask: Bool[np.ndarray, "H W"], width: int, height: int) -> np.ndarray:
    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
