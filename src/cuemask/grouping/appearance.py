"""What one instrument looks like in one frame, in numbers that tell kinds of instruments apart and need no label."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

ROWS = 360  # pictures are looked at in so many rows, or as they are where they have fewer
BINS = 12  # of the profile along the axis, from the end backwards
BIN_WIDTHS = 0.5  # length of one of them, in widths of the shaft
_HEAD_WIDTHS = 3.0  # what lies so near to the end is the head
_LEAST_PX = 60  # of an instrument of which something can be said


class Kind(NamedTuple):
    """Some of the numbers.

    Attributes
    ----------
    weight
        How much they count together.
    least
        Differences of that size are noise: a number whose spread is smaller is not stretched.
    """

    name: str
    size: int
    weight: float
    least: float


# Lightness follows the lamp's distance as much as the material, and counts half of what hue does.
KINDS = (
    Kind("lightness of the shaft", 1, 0.5, 10.0),
    Kind("hue of the shaft", 2, 1.0, 3.0),
    Kind("texture of the shaft", 2, 0.5, 5.0),
    Kind("lightness of the head", 1, 0.5, 10.0),
    Kind("hue of the head", 2, 1.0, 3.0),
    Kind("texture of the head", 2, 0.5, 5.0),
    Kind("outline: width along the axis", BINS, 1.5, 0.1),
    Kind("outline: gaps along the axis", BINS, 1.0, 0.1),
    Kind("width", 1, 0.5, 0.02),
)
SIZE = sum(kind.size for kind in KINDS)


def appearance(
    rgb: UInt8[np.ndarray, "H W 3"], own: Bool[np.ndarray, "H W"], direction: tuple[float, float] | None
) -> Float[np.ndarray, " F"] | None:
    """Colour, texture, outline and width of one instrument in one frame: `KINDS`, one after another.

    The profile runs from the farthest pixel along the axis backwards, in widths of the shaft, so that it is the same
    wherever the instrument is. Colours are of CIE L*a*b*, 8-bit; the width is in picture heights.

    Parameters
    ----------
    rgb
        The picture, of any size; `reduced` makes it cheaper.
    own
        The instrument's pixels in it.
    direction
        From where it enters the picture inwards, x before y, of any length; None where that is not known.

    Returns
    -------
    `SIZE` numbers; None of an instrument that is too small to be told.
    """
    y, x = np.nonzero(own)
    if len(y) < _LEAST_PX:
        return None
    places = np.column_stack([x, y]).astype(np.float64)
    axis = _unit(_axis(places, own.shape) if direction is None else np.array(direction, np.float64))
    along = places @ axis
    from_end = along.max() - along
    across = places @ np.array([-axis[1], axis[0]])
    width_px = _shaft_width(from_end, across)
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    slope = np.abs(cv2.Laplacian(lab[..., 0], cv2.CV_32F))
    is_inner = cv2.erode(own.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)[y, x] > 0
    is_head = from_end < _HEAD_WIDTHS * width_px
    told: list[Float[np.ndarray, " _"]] = []
    for part in (~is_head, is_head):
        chosen = is_inner & part
        chosen = chosen if chosen.sum() >= 9 else part if part.any() else np.ones_like(part)
        colors = lab[y[chosen], x[chosen]].astype(np.float64)
        told += [np.median(colors, 0), _texture(colors[:, 0], slope[y[chosen], x[chosen]])]
    widths, gaps = _profile(from_end, across, width_px)
    return np.concatenate([*told, widths, gaps, [width_px / own.shape[0]]])


def reduced(rgb: UInt8[np.ndarray, "H W 3"], numbers: np.ndarray) -> tuple[UInt8[np.ndarray, "h w 3"], np.ndarray]:
    """Picture and numbers of its instruments at `ROWS` rows, or as they are where they have fewer."""
    height, width = rgb.shape[:2]
    if height <= ROWS:
        return rgb, numbers
    size = max(1, round(width * ROWS / height)), ROWS
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.resize(
        numbers, size, interpolation=cv2.INTER_NEAREST
    )


def weighted(looks: Float[np.ndarray, "n F"]) -> Float[np.ndarray, "n F"]:
    """Appearances so scaled that distances between them compare: each number by its spread, each kind by its weight.

    A number in which all nearly agree says little.
    """
    least = np.concatenate([np.full(kind.size, kind.least) for kind in KINDS])
    scaled = (looks - looks.mean(0)) / np.maximum(looks.std(0), least)
    each = np.concatenate([np.full(kind.size, np.sqrt(kind.weight / kind.size)) for kind in KINDS])
    return scaled * each


def _axis(places: Float[np.ndarray, "n 2"], shape: tuple[int, ...]) -> Float[np.ndarray, " 2"]:
    """The longest extent of the pixels, away from the picture's border where they touch it."""
    middle = places.mean(0)
    axis = np.linalg.svd(np.cov((places - middle).T))[0][:, 0]
    height, width = shape[:2]
    x, y = places.T
    at_border = (x < 2) | (y < 2) | (x >= width - 2) | (y >= height - 2)
    if at_border.any() and (middle - places[at_border].mean(0)) @ axis < 0:
        axis = -axis
    return axis


def _unit(axis: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " 2"]:
    length = float(np.linalg.norm(axis))
    return axis / length if length > 0 else np.array([1.0, 0.0])


def _shaft_width(from_end: Float[np.ndarray, " n"], across: Float[np.ndarray, " n"]) -> float:
    """Median width over the half that lies farther from the end, in px; at least 1."""
    row = from_end.astype(np.intp)
    length = int(row.max()) + 1
    low, high = np.full(length, np.inf), np.full(length, -np.inf)
    np.minimum.at(low, row, across)
    np.maximum.at(high, row, across)
    widths = (high - low + 1)[length // 2 :]
    widths = widths[np.isfinite(widths)]
    return max(1.0, float(np.median(widths))) if len(widths) else 1.0


def _texture(light: Float[np.ndarray, " n"], slope: Float[np.ndarray, " n"]) -> Float[np.ndarray, " 2"]:
    """Spread of the lightness, and how rough it is."""
    return np.array([light.std(), slope.mean()])


def _profile(
    from_end: Float[np.ndarray, " n"], across: Float[np.ndarray, " n"], width_px: float
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Of each stretch from the end backwards: how wide it is, in shaft widths, and which share of that is a gap.

    Where the instrument ends, and in the last width of its shaft, which the picture's border cuts off at a slant, it is
    as wide as its shaft, without a gap.
    """
    widths, gaps = np.ones(BINS), np.zeros(BINS)
    length = BIN_WIDTHS * width_px
    row = np.floor(from_end / length).astype(np.intp)
    whole = int((from_end.max() - width_px) // length)
    for number in range(min(BINS, max(whole, 1))):
        there = across[row == number]
        if len(there) < 3:
            continue
        low, high = np.quantile(there, (0.02, 0.98))
        extent = float(high - low) + 1.0
        filled = len(there) / (length * extent)
        widths[number] = min(extent / width_px, 4.0)
        gaps[number] = float(np.clip(1.0 - filled, 0.0, 1.0))
    return widths, gaps
