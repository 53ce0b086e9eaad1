"""Anchors: pixels that all cues call instrument, and pixels that no cue does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cuemask.cues.otsu import otsu_threshold

SMOOTHING_ROWS = 1024  # of the picture that `anchors.smoothing` is meant for


class Anchors(NamedTuple):
    """Pseudo labels of one frame (paper, section 2.1), each in [0, 1]."""

    positive: Float32[np.ndarray, "H W"]
    negative: Float32[np.ndarray, "H W"]


def anchors(
    cues: Sequence[Float32[np.ndarray, "H W"]],
    inside: Bool[np.ndarray, "H W"] | None = None,
    *,
    weights: Sequence[float] | None = None,
    positive_power: float = 1.0,
    smoothing: float = 1.0,
) -> Anchors:
    """The product of the cues and the product of the inverted cues.

    Parameters
    ----------
    cues
        One or more maps in [0, 1].
    inside
        Where the endoscope's picture is; both anchors are 0 elsewhere, so nothing is learnt there.
    weights
        An exponent for each cue and inverted cue; 1 each is the paper's plain product.
    positive_power
        An exponent of the positive product; 1 is the paper's. Of many factors that are each below 1, 0.5 leaves more.
    smoothing
        Reduce both products by this factor and enlarge them again; 1 does nothing.

    Raises
    ------
    ValueError
        Without any cue.

    Examples
    --------
    >>> import cuemask, numpy as np
    >>> color, prior = np.full((4, 6), 0.8, np.float32), np.full((4, 6), 0.5, np.float32)
    >>> both = cuemask.cues.anchors([color, prior])
    >>> round(float(both.positive[0, 0]), 2), round(float(both.negative[0, 0]), 2)
    (0.4, 0.1)
    """
    if not cues:
        raise ValueError("anchors need at least one cue")
    positive, negative = np.ones_like(cues[0]), np.ones_like(cues[0])
    for cue, weight in zip(cues, weights or [1.0] * len(cues), strict=True):
        positive *= cue if weight == 1 else cue**weight
        negative *= 1 - cue if weight == 1 else (1 - cue) ** weight
    if positive_power != 1:
        positive **= positive_power
    maps = [smooth(product, smoothing) for product in (positive, negative)]
    if inside is not None:
        maps = [np.where(inside, product, np.float32(0)) for product in maps]
    return Anchors(*maps)


class Usual(NamedTuple):
    """How a map is spread, over a frame or a clip."""

    threshold: float  # Otsu's
    deviation: float  # standard
    bright: float  # mean of what is above the threshold


def spread_of(values: Float32[np.ndarray, ...]) -> Usual:
    """Threshold, deviation and mean above the threshold; zeros where there are no values."""
    if not values.size:
        return Usual(0.0, 0.0, 0.0)
    threshold = otsu_threshold(values)
    above = values[values > threshold]
    return Usual(threshold, float(values.std()), float(above.mean()) if above.size else 0.0)


def sharpen(
    cue: Float32[np.ndarray, "H W"],
    steepness: float,
    inside: Bool[np.ndarray, "H W"] | None = None,
    usual: Usual | None = None,
) -> Float32[np.ndarray, "H W"]:
    """A logistic curve centred at the cue's own Otsu threshold: what is clearly on one side goes to 0 or 1.

    Parameters
    ----------
    steepness
        Slope of the curve per standard deviation of the cue inside the picture.
    usual
        How the cue is spread in the clip. A frame whose own bright part, that above its Otsu threshold, is on average
        below the clip's threshold has nothing that the clip's other frames call instrument: it takes the clip's.

    Returns
    -------
    Values in [0, 1]; a constant cue gives 0.5 everywhere, so that it decides nothing, unless the clip is known.
    """
    values = cue if inside is None else cue[inside]
    own = spread_of(values)
    if usual is not None and own.bright <= usual.threshold:
        own = usual
    if own.deviation <= 1e-6:
        return np.full_like(cue, 0.5)
    centred = (cue - np.float32(own.threshold)) * np.float32(steepness / own.deviation)
    return (1 / (1 + np.exp(-centred))).astype(np.float32)


def smoothing_factor(smoothing: int, height_px: int) -> float:
    """By how much to reduce a picture of so many rows where one of 1024 is reduced by `smoothing`; at least 1."""
    return 1.0 if smoothing == 1 else max(1.0, smoothing * height_px / SMOOTHING_ROWS)


def smooth(product: Float32[np.ndarray, "H W"], factor: float) -> Float32[np.ndarray, "H W"]:
    """`product` reduced by `factor` and enlarged again, both bilinear.

    Reduced without aliasing, as the published code's library does it: each of the fewer pixels is a mean under a
    triangle that reaches the centres of its neighbours.
    """
    if factor == 1:
        return product
    height, width = product.shape
    rows, columns = (_triangles(max(1, int(size / factor)), size) for size in (height, width))
    return cv2.resize(rows @ product @ columns.T, (width, height), interpolation=cv2.INTER_LINEAR)


@lru_cache(maxsize=8)
def _triangles(count: int, size: int) -> Float32[np.ndarray, "count size"]:
    """Row i: the weights of `size` samples in the i-th of `count`; each row sums to 1."""
    step = size / count
    centres = (np.arange(count)[:, None] + 0.5) * step
    weights = np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - centres) / max(step, 1))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
