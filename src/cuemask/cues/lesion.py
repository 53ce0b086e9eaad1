"""The colour cue of another field: a skin lesion differs from the skin around it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.color import between, tails

_RIM = 0.1  # of the shorter side: what shows skin, as a rule
_BLACK = 15.0  # LAB lightness below which there is no skin but the rim of the lens


def lesion_cue(
    rgb: UInt8[np.ndarray, "H W 3"], inside: Bool[np.ndarray, "H W"] | None = None
) -> Float32[np.ndarray, "H W"]:
    """How unlike the skin each pixel is: distance in LAB from the skin's colour; what is only lighter counts nothing.

    The skin's colour is the median over the rim of the picture without the black corners of the lens. Ours: the paper
    leaves a cue for lesions to the future (section 3.5).

    Parameters
    ----------
    rgb
        One picture, 0 to 255.
    inside
        Where the picture is; elsewhere the cue is 0 and takes no part in the scaling.

    Returns
    -------
    In [0, 1]: the 1st and 99th percentile of the distance over the picture become 0 and 1.

    Examples
    --------
    >>> import cuemask, numpy as np
    >>> rgb = np.full((60, 80, 3), (220, 180, 160), np.uint8)  # skin
    >>> rgb[20:40, 30:50] = (90, 60, 50)  # and a mole
    >>> cue = cuemask.cues.lesion(rgb)
    >>> float(cue[30, 40]), float(cue[5, 5])
    (1.0, 0.0)
    """
    lab = cv2.cvtColor(np.divide(rgb, np.float32(255), dtype=np.float32), cv2.COLOR_RGB2LAB)
    lit = lab[..., 0] > _BLACK
    if inside is not None:
        lit &= inside
    skin = _skin(lab, lit)
    away = lab - skin
    away[..., 0] = np.minimum(away[..., 0], 0)
    distance = np.sqrt(np.square(away).sum(-1))
    if not lit.any():
        return np.zeros_like(distance)
    return np.where(lit, between(distance, *tails(distance[lit])), np.float32(0))


def _skin(lab: Float32[np.ndarray, "H W 3"], lit: Bool[np.ndarray, "H W"]) -> Float32[np.ndarray, " 3"]:
    height, width = lit.shape
    rim_px = max(1, round(_RIM * min(height, width)))
    rim = lit.copy()
    rim[rim_px : height - rim_px, rim_px : width - rim_px] = False
    chosen = lab[rim] if rim.any() else lab[lit]
    return np.median(chosen, axis=0) if chosen.size else np.zeros(3, np.float32)
