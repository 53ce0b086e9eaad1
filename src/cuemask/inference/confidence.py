"""How far to trust a mask: how sure the network is, and whether the mask is grey and shaped as instruments are."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.color import TRUE_GREY, color_cue

_BACKGROUND = 0.25  # probability up to which nothing is suspected
_ROWS = 256  # at which the picture is looked at
_BESIDE = 4 / 256  # how far from the mask is beside it, in heights
_DARK = 10.0  # lightness below which nothing is grey, as in the default recipe
_LEVELS = 256  # of greyness that are told apart
_SMALL = 0.002  # share of the picture below which two masks do not differ much


def confidence(
    p: Float32[np.ndarray, "h2 w2"],
    rgb: UInt8[np.ndarray, "h w 3"],
    mask: Bool[np.ndarray, "h w"],
    inside: Bool[np.ndarray, "h w"] | None = None,
    shape: Float32[np.ndarray, "h3 w3"] | None = None,
) -> float:
    """The `certainty` of the network times the `separation` of its mask, times its `agreement`; no label enters.

    The first alone takes tools and what the network is sure to be tools for the same, the second alone knows nothing
    of a mask that is empty, the third nothing of tools that were never drawn. docs/deviations.md tells how well they
    rank frames by their true IoU.

    Parameters
    ----------
    p
        `thresholds.finished_probability`: 0 outside the endoscope's picture.
    rgb, mask, inside
        Of the same picture: the frame and its mask cut to the rectangle, and the area's `inside`.
    shape
        The shape cue of the same picture; without it, agreement does not count.

    Returns
    -------
    In [0, 1].
    """
    agreed = 1.0 if shape is None else agreement(mask, shape)
    return certainty(p, mask) * separation(rgb, mask, inside) * agreed


def certainty(p: Float32[np.ndarray, "h2 w2"], mask: Bool[np.ndarray, "h w"]) -> float:
    """The share of the mask that by the network's own probabilities is right: the mean of p over it.

    Of an empty mask, the share of the picture that is right to be left out: 1 less the mean of p, where p up to 0.25
    counts as 0, since networks that are right to mark nothing leave up to that much everywhere.

    Parameters
    ----------
    p, mask
        Of the same picture, not always at the same size.

    Returns
    -------
    In [0, 1]; 1 for an empty mask where p is low: an empty mask without doubt is a sure one.
    """
    height, width = p.shape
    marked = p[_reduced(mask, (width, height)) > 0]
    if marked.size:
        return float(marked.mean())
    return 1 - float(p[p > _BACKGROUND].sum()) / p.size


def separation(
    rgb: UInt8[np.ndarray, "H W 3"],
    mask: Bool[np.ndarray, "H W"],
    inside: Bool[np.ndarray, "H W"] | None = None,
) -> float:
    """How surely a pixel of the mask is greyer than a pixel beside it.

    Greyness is the colour cue with fixed ends (`TRUE_GREY`), so that among strongly coloured pixels none is the
    greyer one. With the probability q that the mask's pixel is the greyer, ties counting half (the area under the
    ROC curve), this is 2 q - 1, or 0 where that is less.

    Parameters
    ----------
    rgb, mask, inside
        A picture, its mask, and which pixels count; looked at with 256 rows where they have more.

    Returns
    -------
    In [0, 1]; 1 for a mask of which nothing is left at 256 rows, 0 for one with nothing beside it.
    """
    size = _looked_at(mask.shape)
    small = _reduced(mask, size)
    if not small.any():
        return 1.0
    within = None if inside is None else _reduced(inside, size) > 0
    grey = color_cue(
        cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False),
        within,
        channels="a*saturation*chroma",
        scale="channels",
        dark=_DARK,
        ranges=TRUE_GREY,
    )
    side = 2 * max(1, round(_BESIDE * size[1])) + 1
    beside = cv2.dilate(small, np.ones((side, side), np.uint8)) > small
    return max(0.0, 2 * _greater(grey[small > 0], grey[beside if within is None else beside & within]) - 1)


def agreement(mask: Bool[np.ndarray, "h w"], shape: Float32[np.ndarray, "h2 w2"]) -> float:
    """How far a mask is what the shape cue sees: (2 sum(m s) + c) / (sum(m) + sum(s) + c), Dice for probabilities.

    The constant c, a five hundredth of the picture, keeps an empty mask where shape sees next to nothing near 1.

    Parameters
    ----------
    mask, shape
        Of the same picture, not always at the same size; `shape` in [0, 1].

    Returns
    -------
    In (0, 1].
    """
    height, width = shape.shape
    marked = _reduced(mask, (width, height))
    both, either = float(shape[marked > 0].sum()), float(marked.sum()) + float(shape.sum())
    small = _SMALL * shape.size
    return (2 * both + small) / (either + small)


def _looked_at(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height."""
    height, width = shape
    return (width, height) if height <= _ROWS else (max(1, round(width * _ROWS / height)), _ROWS)


def _reduced(mask: Bool[np.ndarray, "H W"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)


def _greater(some: Float32[np.ndarray, " N"], others: Float32[np.ndarray, " M"]) -> float:
    """How often a value of `some` is greater than one of `others`, all in [0, 1]; equal ones count half."""
    if not (some.size and others.size):
        return 0.0
    ours, theirs = (np.bincount((v * (_LEVELS - 1) + 0.5).astype(np.intp), minlength=_LEVELS) for v in (some, others))
    below = np.cumsum(theirs) - theirs / 2
    return float(ours @ below) / (some.size * others.size)
