"""One instrument of one frame: what is told of it, and how far in its pixels lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cuemask.grouping.labels import Labels
from cuemask.grouping.shafts import Point, Shaft

HEAD_WIDTHS = 5.0  # how far a head reaches beyond its shaft, in widths
_BLUNT_WIDTHS = 0.25  # of a tip: its end may be blunt, and cut at a slant
_KERNELS = (np.ones((3, 3), np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))  # by turns: nearly round


@dataclass(frozen=True)
class Instrument:
    """One instrument of one frame. Places are x and y in px, from the picture's upper left corner.

    Attributes
    ----------
    number
        Its value in the label map, from 1.
    box
        x0, y0, x1, y1 of the smallest box around it; the last two are one past it.
    area_px
        Its pixels.
    shaft
        Where it enters, its direction, width and length.
    width_px
        Width of its shaft where its head begins; over a track, the mean of the frames so far.
    tips
        One or two places that lie farthest in, along its axis and its bent head; two of an open jaw. None where that
        is at the picture's border: its head lies outside, or it only passes.
    confidence
        0 to 1: how much of it lies where a straight shaft with a short head has to lie.
    reach_px
        How far its tips lie from where its head may turn, on the way through the head (`reach_of`): of one that meets
        another the tips of its head as it was before, seen or hidden. 0 where that is not known.
    alone
        0 to 1: the share of its end that lies near no other instrument.
    """

    number: int
    box: tuple[int, int, int, int]
    area_px: int
    shaft: Shaft
    width_px: float
    tips: tuple[Point, ...]
    confidence: float
    reach_px: float = 0.0
    alone: float = 1.0


def numbered(
    labels: Labels, shafts: Sequence[Shaft], border: Bool[np.ndarray, "H W"]
) -> tuple[Labels, list[Instrument]]:
    """Instruments of a label map whose value n is that of `shafts[n - 1]`; those without pixels are left out.

    Parameters
    ----------
    border
        The picture's outermost pixels (`labels.border_of`): what ends there has no tip.
    """
    found: list[Instrument] = []
    told = np.zeros_like(labels)
    for value, shaft in enumerate(shafts, 1):
        own = labels == value
        if own.any():
            number = len(found) + 1
            told[own] = number
            found.append(_instrument(number, own, shaft, border))
    return told, found


def told_again(
    labels: Labels,
    found: Sequence[Instrument],
    shafts: Mapping[int, Shaft],
    reach_px: Mapping[int, float],
    border: Bool[np.ndarray, "H W"],
) -> list[Instrument]:
    """Instruments of labels that have changed, some with another shaft and reach; numbers and widths are kept."""
    kept: list[Instrument] = []
    for one in found:
        own = labels == one.number
        if own.any():
            again = _instrument(one.number, own, shafts.get(one.number, one.shaft), border)
            reach = reach_px.get(one.number, again.reach_px)
            kept.append(replace(again, width_px=one.width_px, reach_px=reach))
    return kept


def _instrument(number: int, own: Bool[np.ndarray, "H W"], shaft: Shaft, border: Bool[np.ndarray, "H W"]) -> Instrument:
    left, top, width, height = cv2.boundingRect(own.astype(np.uint8))
    part = own[top : top + height, left : left + width]
    moved = replace(shaft, entry=(shaft.entry[0] - left, shaft.entry[1] - top))
    along, aside = moved.coordinates((height, width))
    half = np.maximum(shaft.width + shaft.taper * np.minimum(along, shaft.length), 1.0) / 2
    expected = part & (along <= shaft.length) & (np.abs(aside) <= half + 1.5)
    head = part & (along > shaft.length)
    expected |= head & (np.hypot(along - shaft.length, aside) <= HEAD_WIDTHS * shaft.width_at(shaft.length))
    area = int(np.count_nonzero(part))
    confidence = float(np.count_nonzero(expected) / area) * (0.5 + 0.5 * shaft.share)
    reach = reach_of(shaft, part, top, left)
    return Instrument(
        number,
        (left, top, left + width, top + height),
        area,
        shaft,
        shaft.width_at(shaft.length),
        _tips(part, reach, shaft, (top, left), border),
        round(min(1.0, max(0.0, confidence)), 4),
        farthest(reach, part),
    )


def farthest(reach: Float32[np.ndarray, "h w"], own: Bool[np.ndarray, "h w"]) -> float:
    """How far in the tips of an instrument lie, by `reach_of`."""
    return float(np.percentile(reach[own], 99.5)) if own.any() else 0.0


def _tips(
    part: Bool[np.ndarray, "h w"],
    reach: Float32[np.ndarray, "h w"],
    shaft: Shaft,
    corner: tuple[int, int],
    border: Bool[np.ndarray, "H W"],
) -> tuple[Point, ...]:
    """The places that lie farthest in: the end of a head, or of both fingers of an open jaw; none at the border."""
    top, left = corner
    most = float(np.percentile(reach[part], 99.8)) if part.any() else 0.0
    span = 0.5 * max(shaft.width_at(shaft.length), 4.0)
    count, labels = cv2.connectedComponents((part & (reach >= most - span)).astype(np.uint8))
    found: list[tuple[float, Point]] = []
    blunt = max(1.0, _BLUNT_WIDTHS * shaft.width_at(shaft.length))
    for n in range(1, count):
        rows, columns = np.nonzero(labels == n)
        values = reach[rows, columns]
        last = values >= values.max() - blunt
        middle = np.array([columns[last].mean(), rows[last].mean()])
        ahead = middle - (np.array([columns[~last].mean(), rows[~last].mean()]) if not last.all() else middle)
        away = max(float(np.linalg.norm(ahead)), 1.0)
        middle += float(values.max() - values[last].mean()) * ahead / away
        found.append((float(values.max()), (float(middle[0]) + left, float(middle[1]) + top)))
    found.sort(reverse=True)
    inner = (point for value, point in found[:2] if value >= found[0][0] - span / 2)
    return tuple(point for point in inner if not _at(border, point))


def _at(where: Bool[np.ndarray, "H W"], point: Point) -> bool:
    """Whether a place lies there, or outside the picture."""
    column, row = round(point[0]), round(point[1])
    is_in = 0 <= row < where.shape[0] and 0 <= column < where.shape[1]
    return not is_in or bool(where[row, column])


def reach_of(shaft: Shaft, own: Bool[np.ndarray, "h w"], top: int, left: int) -> Float32[np.ndarray, "h w"]:
    """How far in each pixel of an instrument lies: along the shaft, then from its end on the way through its head.

    Parameters
    ----------
    own
        The instrument's pixels in a box whose upper left corner is at `top`, `left`.

    Returns
    -------
    Px; 0 is half a width before the shaft's end, about where its head may turn, and below 0 is shaft. Beside the
    instrument, and in pieces of it that something hides from its shaft, the straight distance.
    """
    moved = replace(shaft, entry=(shaft.entry[0] - left, shaft.entry[1] - top))
    along, aside = moved.coordinates((own.shape[0], own.shape[1]))
    beyond = along - np.float32(max(0.0, shaft.length - 0.5 * shaft.width_at(shaft.length)))
    is_head = beyond > 0
    reach = np.where(is_head, np.hypot(beyond, aside), beyond).astype(np.float32)
    on_band = np.abs(aside) <= np.float32(0.5 * shaft.width_at(shaft.length) + 1.0)
    steps = _steps_within(own & is_head, own & is_head & on_band & (beyond <= 2.0))
    reached = steps > 0
    reach[reached] = steps[reached]
    return reach


def _steps_within(within: Bool[np.ndarray, "h w"], start: Bool[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """How many px each pixel lies from the start, on the way within a shape, about; 0 where none leads."""
    steps = np.zeros(within.shape, np.float32)
    if not start.any():
        return steps
    rows, columns = np.flatnonzero(within.any(axis=1)), np.flatnonzero(within.any(axis=0))
    place = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    free, told = within[place].astype(np.uint8), start[place].astype(np.uint8)
    count = told.astype(np.uint16)
    for step in range(sum(within.shape)):
        grown = cv2.dilate(told, _KERNELS[step % 2])
        cv2.bitwise_and(grown, free, dst=grown)
        if not cv2.countNonZero(cv2.absdiff(grown, told)):
            break
        told = grown
        count += told
    steps[place] = np.where(count > 0, count.max() + 1.0 - count, 0.0)
    return steps


def scaled(one: Instrument, factor_x: float, factor_y: float, top: int = 0, left: int = 0) -> Instrument:
    """An instrument of a reduced picture, told in px of the frame that the picture lies in.

    Places are told so that the middle of the frame's first pixel is 0.5, 0.5.
    """
    factor = float(np.sqrt(factor_x * factor_y))

    def moved(point: Point) -> Point:
        return (point[0] + 0.5) * factor_x + left, (point[1] + 0.5) * factor_y + top

    shaft = replace(
        one.shaft, entry=moved(one.shaft.entry), width=one.shaft.width * factor, length=one.shaft.length * factor
    )
    x0, y0, x1, y1 = one.box
    return replace(
        one,
        box=(
            int(x0 * factor_x) + left,
            int(y0 * factor_y) + top,
            int(np.ceil(x1 * factor_x)) + left,
            int(np.ceil(y1 * factor_y)) + top,
        ),
        area_px=round(one.area_px * factor_x * factor_y),
        shaft=shaft,
        width_px=one.width_px * factor,
        reach_px=one.reach_px * factor,
        tips=tuple(moved(tip) for tip in one.tips),
    )
