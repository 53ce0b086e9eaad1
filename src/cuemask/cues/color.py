"""The colour cue: instruments are grey, tissue is red and saturated."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8


def color_cue(
    rgb: UInt8[np.ndarray, "H W 3"], inside: Bool[np.ndarray, "H W"] | None = None, *, minmax: bool = False
) -> Float32[np.ndarray, "H W"]:
    """How instrument-coloured each pixel is: grey scores high, red saturated tissue low.

    Inverted LAB a* times inverted HSV saturation (paper, section 2.1). a* is scaled as in 8-bit images,
    (a* + 128) / 255.

    Parameters
    ----------
    rgb
        One frame, 0 to 255.
    inside
        Where the endoscope's picture is; elsewhere the cue is 0 and takes no part in the scaling.
    minmax
        Stretch the product to [0, 1] over the picture; a constant picture gives 0.

    Returns
    -------
    Probability in [0, 1].
    """
    scaled = rgb.astype(np.float32) / 255
    a = (cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)[..., 1] + 128) / 255
    saturation = cv2.cvtColor(scaled, cv2.COLOR_RGB2HSV)[..., 1]
    cue = ((1 - a) * (1 - saturation)).astype(np.float32)
    if minmax:
        cue = stretch(cue, inside)
    return cue if inside is None else np.where(inside, cue, np.float32(0))


def stretch(
    cue: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None = None
) -> Float32[np.ndarray, "H W"]:
    """`cue` mapped linearly so that its range over `inside` is [0, 1]; a constant gives 0."""
    values = cue if inside is None else cue[inside]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if high - low <= 1e-6:
        return np.zeros_like(cue)
    return np.clip((cue - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
