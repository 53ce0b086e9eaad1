"""The colour cue: instruments are grey, tissue is red and saturated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

Channels = Literal["a*saturation", "a*saturation*chroma"]
Scale = Literal["fixed", "minmax", "channels"]
Range = tuple[float, float]

# What of a*, saturation and chroma, each 0 to 1, is grey, and what is as red and full as tissue.
_GREY = (128 / 255, 0.0, 0.0)
_TISSUE = (160 / 255, 0.6, 30 / 128)
TRUE_GREY: tuple[Range, ...] = tuple(zip(_GREY, _TISSUE, strict=True))  # ranges by which a frame alone shows grey
_TAILS_PERCENT = 1.0  # what of a channel's values, at either end, is left to noise and glare
_SAMPLED = 61  # every so many values are looked at first


def color_cue(
    rgb: UInt8[np.ndarray, "H W 3"],
    inside: Bool[np.ndarray, "H W"] | None = None,
    *,
    channels: Channels = "a*saturation",
    scale: Scale = "fixed",
    dark: float = 0.0,
    ranges: Sequence[Range] | None = None,
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
    dark
        LAB lightness, 0 to 100, below which the cue fades, to 0 in black: what has no light has no colour.
    ranges
        With `channels`: what of each channel becomes 0 and 1 instead, as `color_ranges` finds it over a clip. A frame
        without instruments, stretched by its own percentiles, shows its palest tissue as grey.

    Returns
    -------
    Probability in [0, 1].

    Examples
    --------
    >>> import cuemask, numpy as np
    >>> rgb = np.full((60, 80, 3), (180, 60, 50), np.uint8)  # tissue
    >>> rgb[20:40, :50] = 150  # and a grey tool
    >>> cue = cuemask.cues.color(rgb)
    >>> cue.shape, round(float(cue[30, 10]), 2), round(float(cue[5, 5]), 2)
    ((60, 80), 0.5, 0.09)
    """
    lightness, chosen = _channels(rgb, channels)
    if scale == "channels":
        ranges = ranges or [_range(channel, inside) for channel in chosen]
        chosen = [between(channel, *limits) for channel, limits in zip(chosen, ranges, strict=True)]
    cue = 1 - chosen[0]
    for channel in chosen[1:]:
        cue *= np.subtract(1, channel, out=channel)
    if dark > 0:
        lightness /= dark
        cue *= np.minimum(lightness, 1, out=lightness)
    if scale == "minmax":
        cue = stretch(cue, inside)
    return cue if inside is None else np.where(inside, cue, np.float32(0))


def color_ranges(
    frames: Iterable[UInt8[np.ndarray, "H W 3"]],
    inside: Bool[np.ndarray, "H W"] | None = None,
    channels: Channels = "a*saturation",
) -> list[Range]:
    """The 1st and 99th percentile of each channel over all of some frames: `ranges` for `color_cue`."""
    pooled: list[list[np.ndarray]] = []
    for rgb in frames:
        pooled.append([c.ravel() if inside is None else c[inside] for c in _channels(rgb, channels)[1]])
    return [_range(np.concatenate(values), None) for values in zip(*pooled, strict=True)]


def true_grey(ranges: Sequence[Range]) -> tuple[list[Range], list[Range]]:
    """Ranges by which grey is grey, and not what is least coloured of what there is to see.

    Two of them, since neither finds every instrument: up to the end of `ranges`, and up to fixed ends.
    """
    own_end = [(min(low, grey), high) for (low, high), grey in zip(ranges, _GREY, strict=False)]
    return own_end, list(TRUE_GREY[: len(ranges)])


def _channels(rgb: UInt8[np.ndarray, "H W 3"], channels: Channels) -> tuple[np.ndarray, list[np.ndarray]]:
    """Lightness, 0 to 100, and the channels of the cue, 0 to 1, not yet inverted."""
    # In place where it can be: at video sizes, fresh memory costs as much as the arithmetic.
    scaled = np.divide(rgb, np.float32(255), dtype=np.float32)
    lightness, a, b = cv2.split(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB))
    chosen = [cv2.extractChannel(cv2.cvtColor(scaled, cv2.COLOR_RGB2HSV, dst=scaled), 1)]
    if channels == "a*saturation*chroma":
        # Not cv2.magnitude, whose last digit depends on where in memory its arrays lie.
        chroma = np.multiply(b, b, out=b)
        chroma += a * a
        np.sqrt(chroma, out=chroma)
        chroma /= 128
        chosen.append(np.minimum(chroma, 1, out=chroma))
    a += 128
    a /= 255
    return lightness, [a, *chosen]


def stretch(
    cue: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None = None
) -> Float32[np.ndarray, "H W"]:
    """`cue` mapped linearly so that its range over `inside` is [0, 1]; a constant gives 0."""
    values = cue if inside is None else cue[inside]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    return between(cue, low, high)


def _range(channel: np.ndarray, inside: np.ndarray | None) -> Range:
    values = channel if inside is None else channel[inside]
    return tails(values) if values.size else (0.0, 0.0)


def tails(values: Float32[np.ndarray, ...]) -> tuple[float, float]:
    """The percentiles of `_TAILS_PERCENT`, as np.percentile gives them and in a fifth of its time.

    Only what lies beyond twice the tails of a sample is put in order; where the sample misled, everything is.
    """
    flat = values.ravel()
    share = _TAILS_PERCENT / 100
    near_low, near_high = np.quantile(flat[::_SAMPLED], (2 * share, 1 - 2 * share))
    rank = share * (flat.size - 1)
    low = _at_rank(flat[flat <= near_low], rank)
    high = _at_rank(-flat[flat >= near_high], rank)
    if low is None or high is None:
        least, greatest = np.quantile(flat, (share, 1 - share))
        return float(least), float(greatest)
    return low, -high


def _at_rank(values: Float32[np.ndarray, " N"], rank: float) -> float | None:
    """The value `rank` places above the least, between two places linearly; None where there are too few."""
    below = int(rank)
    if below + 1 >= values.size:
        return None
    first, second = np.partition(values, (below, below + 1))[below : below + 2].tolist()
    return first + (rank - below) * (second - first)


def between(values: Float32[np.ndarray, "*n"], low: float, high: float) -> Float32[np.ndarray, "*n"]:
    """`values` mapped linearly so that `low` becomes 0 and `high` 1, and clipped there; zeros where they are equal."""
    if high - low <= 1e-6:
        return np.zeros_like(values)
    scaled = values - np.float32(low)
    scaled *= np.float32(1 / (high - low))
    return np.clip(scaled, 0, 1, out=scaled)
