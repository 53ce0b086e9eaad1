"""The colour cue: instruments are grey, tissue is red and saturated."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

Channels = Literal["a*saturation", "a*saturation*chroma"]
Scale = Literal["fixed", "minmax", "channels"]

_TAILS_PERCENT = (1.0, 99.0)  # what of a channel's range is left to noise and glare


def color_cue(
    rgb: UInt8[np.ndarray, "H W 3"],
    inside: Bool[np.ndarray, "H W"] | None = None,
    *,
    channels: Channels = "a*saturation",
    scale: Scale = "fixed",
) -> Float32[np.ndarray, "H W"]:
    """How instrument-coloured each pixel is: grey scores high, red saturated tissue low.

    The product of inverted channels (paper, section 2.1).

    Parameters
    ----------
    rgb
        One frame, 0 to 255.
    inside
        Where the endoscope's picture is; elsewhere the cue is 0 and takes no part in the scaling.
    channels
        LAB a* and HSV saturation (the paper), or these and LAB chroma: saturation means little in the dark and
        chroma little in dark organs, so each makes up for the other.
    scale
        `fixed`: channels as in 8-bit pictures, (a* + 128) / 255 and so on. `minmax`: the product is then
        stretched to [0, 1] over the picture. `channels`: each channel is stretched so that its 1st and 99th
        percentile over the picture become 0 and 1, before it is inverted.

    Returns
    -------
    Probability in [0, 1].
    """
    scaled = rgb.astype(np.float32) / 255
    lab = cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)
    chosen = [(lab[..., 1] + 128) / 255, cv2.cvtColor(scaled, cv2.COLOR_RGB2HSV)[..., 1]]
    if channels == "a*saturation*chroma":
        chosen.append(np.minimum(np.hypot(lab[..., 1], lab[..., 2]) / 128, 1))
    if scale == "channels":
        chosen = [_without_tails(channel, inside) for channel in chosen]
    cue = np.prod([1 - channel for channel in chosen], axis=0, dtype=np.float32)
    if scale == "minmax":
        cue = stretch(cue, inside)
    return cue if inside is None else np.where(inside, cue, np.float32(0))


def stretch(
    cue: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None = None
) -> Float32[np.ndarray, "H W"]:
    """`cue` mapped linearly so that its range over `inside` is [0, 1]; a constant gives 0."""
    values = cue if inside is None else cue[inside]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    return _between(cue, low, high)


def _without_tails(channel: np.ndarray, inside: np.ndarray | None) -> np.ndarray:
    values = channel if inside is None else channel[inside]
    low, high = np.percentile(values, _TAILS_PERCENT) if values.size else (0.0, 0.0)
    return _between(channel, float(low), float(high))


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    if high - low <= 1e-6:
        return np.zeros_like(values)
    return np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
