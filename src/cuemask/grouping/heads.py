"""What the end of each instrument looked like when it was last seen by itself, to tell it from another that it meets.

Where two instruments touch or lie over one another, a mask does not say which pixel is whose. But a moment ago each was
seen alone. Its head, as it was then, is laid on the end of its shaft, moved along the axis and turned until the
picture agrees; where several lie over one another the one on top is that which the picture agrees with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.grouping.instrument import Instrument
from cuemask.grouping.labels import Labels, spread, without_crumbs
from cuemask.grouping.shafts import Shaft

_CELLS = 6  # of a head, a width of the shaft
_BEHIND, _AHEAD, _ASIDE = 2 * _CELLS, 5 * _CELLS, 3 * _CELLS + _CELLS // 2
_SHAPE = (_BEHIND + _AHEAD, 2 * _ASIDE + 1)
_NEAR_CELLS = 2  # another instrument that is nearer than so many cells meets it
_TURNS = tuple(np.deg2rad((0.0, -10.0, 10.0, -20.0, 20.0, -32.0, 32.0)).tolist())
_TURN_COST = 0.03  # of a radian
_FARTHEST_WIDTHS = 1.5  # from where its end is found, or expected
_COLOR = 60.0  # by which a picture may differ, mean of red, green and blue, until it is quite another
_ABSENT, _UNKNOWN = 1.2, 0.5  # what it costs to be where a head has no pixel; to be one whose head has not been seen
_MAYBE = 0.8  # to be where it is not known whether a head has one
_OTHER, _MOVED = 0.15, 0.15  # what it costs to be another than was told, than is expected
_WORST = 0.5  # a head that agrees no better is not there
_SMOOTH_PX = 5
_CRUMB_WIDTHS = 0.2  # squared: what is less is no piece of an instrument


@dataclass(frozen=True, eq=False)
class Head:
    """The end of an instrument in cells, along its axis by aside.

    Attributes
    ----------
    rgb
        Its colours.
    own, known
        Which cells are its own, and of which it is known whether they are: not near another instrument.
    share
        Of the cells that seem to be its own, those that are known.
    reach_widths
        How far in its tips lie (`Instrument.reach_px`), in widths of its shaft.
    """

    rgb: Float32[np.ndarray, "n m 3"]
    own: Bool[np.ndarray, "n m"]
    known: Bool[np.ndarray, "n m"]
    share: float
    reach_widths: float


class Placed(NamedTuple):
    """Where a head lies: how far in its shaft ends, by how much it is turned (radians), how badly it agrees, 0 to 1."""

    length_px: float
    turn: float
    cost: float


def _places(
    shaft: Shaft, width_px: float, first_px: float, rows: int
) -> tuple[Float32[np.ndarray, "n m"], Float32[np.ndarray, "n m"]]:
    """Places x and y of cells, whose first row lies `first_px` along the axis."""
    step = width_px / _CELLS
    along = first_px + step * np.arange(rows)[:, None]
    aside = step * np.arange(-_ASIDE, _ASIDE + 1)[None, :]
    (x, y), (dx, dy) = shaft.entry, shaft.direction
    return (x + along * dx - aside * dy).astype(np.float32), (y + along * dy + aside * dx).astype(np.float32)


def _cells(
    values: np.ndarray,
    shaft: Shaft,
    width_px: float,
    first_px: float,
    rows: int = _SHAPE[0],
    mode: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    x, y = _places(shaft, width_px, first_px, rows)
    return cv2.remap(values, x, y, mode, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def head_of(rgb: UInt8[np.ndarray, "H W 3"], labels: Labels, one: Instrument) -> Head:
    """An instrument's end as it is seen; what lies near another instrument is not known to be its own or not."""
    first = one.shaft.length - _BEHIND * one.width_px / _CELLS
    told = _cells(labels, one.shaft, one.width_px, first, mode=cv2.INTER_NEAREST)
    own = told == one.number
    other = ((told > 0) & ~own).astype(np.uint8)
    known = cv2.dilate(other, np.ones((2 * _NEAR_CELLS + 1,) * 2, np.uint8)) == 0
    colors = _cells(rgb, one.shaft, one.width_px, first).astype(np.float32)
    share = float((own & known).sum() / max(1, int(own.sum())))
    return Head(colors, own & known, known, share, one.reach_px / one.width_px)


def merged(new: Head, old: Head, turn: float) -> Head:
    """A head as it is seen now, and where that is not known as it was before."""
    bent = _turned(old, turn)
    own, known = np.where(new.known, new.own, bent.own), new.known | bent.known
    rgb = np.where((new.known & new.own)[..., None], new.rgb, bent.rgb)
    return Head(rgb, own, known, new.share, bent.reach_widths)


def _turned(head: Head, turn: float) -> Head:
    """A head that is bent at the end of its shaft."""
    if turn == 0.0:
        return head
    middle = (float(_ASIDE), float(_BEHIND))
    around = cv2.getRotationMatrix2D(middle, float(np.rad2deg(turn)), 1.0)
    size = (_SHAPE[1], _SHAPE[0])
    ahead = head.own.copy()
    ahead[:_BEHIND] = False
    own = cv2.warpAffine(ahead.astype(np.uint8), around, size, flags=cv2.INTER_NEAREST) > 0
    known = cv2.warpAffine(head.known.astype(np.uint8), around, size, flags=cv2.INTER_NEAREST, borderValue=1) > 0
    rgb = cv2.warpAffine(head.rgb, around, size, flags=cv2.INTER_LINEAR)
    behind = head.own & (np.arange(_SHAPE[0]) < _BEHIND)[:, None]
    rgb[behind] = head.rgb[behind]
    return replace(head, rgb=rgb, own=own | behind, known=known)


def placed(
    head: Head, rgb: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"], one: Instrument, expected_px: float
) -> Placed:
    """Where on the axis of `one` its head agrees best with the picture."""
    step = one.width_px / _CELLS
    reach = _FARTHEST_WIDTHS * one.width_px
    low, high = min(one.shaft.length, expected_px) - reach, max(one.shaft.length, expected_px) + reach
    count = int((high - low) / step) + 1
    first = low - _BEHIND * step
    rows = count + _SHAPE[0]
    colors = _cells(rgb, one.shaft, one.width_px, first, rows).astype(np.float32)
    seen = _cells(mask.astype(np.uint8), one.shaft, one.width_px, first, rows, cv2.INTER_NEAREST) > 0
    best = Placed(one.shaft.length, 0.0, 1.0)
    thirds = np.full(3, 1 / (3 * _COLOR), np.float32)
    for turn in _TURNS:
        bent = _turned(head, turn)
        at = np.flatnonzero(bent.own)
        if not len(at):
            continue
        wanted = bent.rgb.reshape(-1, 3)[at]
        for shift in range(count):
            rows_there = slice(shift, shift + _SHAPE[0])
            away = np.abs(colors[rows_there].reshape(-1, 3)[at] - wanted) @ thirds
            away[~seen[rows_there].reshape(-1)[at]] = 1.0
            cost = float(np.minimum(away, 1.0).sum()) / len(at) + _TURN_COST * abs(turn)
            if cost < best.cost:
                best = Placed(low + shift * step, turn, cost)
    return best


def _costs(head: Head, place: Placed, rgb: UInt8[np.ndarray, "H W 3"], one: Instrument) -> Float32[np.ndarray, "H W"]:
    """How badly each pixel agrees with an instrument whose head lies there."""
    bent = _turned(head, place.turn)
    step = one.width_px / _CELLS
    along, aside = one.shaft.coordinates((rgb.shape[0], rgb.shape[1]))
    row = ((along - np.float32(place.length_px)) / np.float32(step) + _BEHIND).astype(np.float32)
    column = (aside / np.float32(step) + _ASIDE).astype(np.float32)
    own = cv2.remap(bent.own.astype(np.float32), column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    colors = cv2.remap(bent.rgb, column, np.maximum(row, 1.0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    away = np.minimum(np.abs(colors - rgb.astype(np.float32)).mean(axis=2) / np.float32(_COLOR), 1.0)
    half = np.maximum(np.float32(one.shaft.width) + np.float32(one.shaft.taper) * along, 1.0) / 2 + 1
    known = cv2.remap(
        bent.known.astype(np.uint8), column, row, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=1
    )
    is_own = np.where(row < 1.0, np.abs(aside) <= half, own >= 0.5)
    cost = np.where(is_own, away, np.float32(_ABSENT)).astype(np.float32)
    cost[(known == 0) & ~is_own & (row >= 1.0)] = _MAYBE
    return cost


def told_apart(
    labels: Labels,
    found: Sequence[Instrument],
    heads: Mapping[int, Head],
    lengths: Mapping[int, float],
    expected: Labels | None,
    rgb: UInt8[np.ndarray, "H W 3"],
) -> tuple[Labels, dict[int, Placed]]:
    """Labels of instruments that meet, by what their heads looked like; and where these heads lie.

    Parameters
    ----------
    labels, found
        Instruments that meet, and no others, with numbers by which `heads` and `expected` know them.
    heads
        Heads as they were seen before.
    lengths
        How far in each shaft is expected to end, in px.
    expected
        Where the pixels of the frame before have moved to.
    """
    mask = labels > 0
    smooth = cv2.GaussianBlur(rgb, (0, 0), 1.0)
    costs: list[Float32[np.ndarray, "H W"]] = []
    places: dict[int, Placed] = {}
    for one in found:
        is_told = labels == one.number
        cost = np.where(is_told, np.float32(_UNKNOWN), np.float32(_ABSENT))
        if one.number in heads:
            place = placed(heads[one.number], smooth, mask, one, lengths[one.number])
            if place.cost <= _WORST:
                cost = _costs(heads[one.number], place, smooth, one)
                places[one.number] = place
        cost[~is_told] += np.float32(_OTHER)
        if expected is not None:
            cost[expected != one.number] += np.float32(_MOVED)
        costs.append(cost)
    if not places:
        return labels, {}
    size = (_SMOOTH_PX, _SMOOTH_PX)  # of as many pixels of the mask each time: their number does not matter
    smoothed = [cv2.blur(np.where(mask, cost, np.float32(0)), size) for cost in costs]
    numbers = np.array([one.number for one in found], np.uint16)
    told = np.where(mask, numbers[np.argmin(smoothed, axis=0)], np.uint16(0))
    for one in found:
        own = told == one.number
        told[own & ~without_crumbs(own, _CRUMB_WIDTHS * one.width_px**2)] = 0
    return spread(told, mask, max(mask.shape)), places
