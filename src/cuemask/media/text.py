"""Text and logos burnt into a clip's pictures: what never moves while all around it does.

Sought with care: a sign is small, white or of a strong colour, stays as it is in every sampled frame, and stands in a
line with two others; or it is half transparent, so that it is always paler and changes less than what is around it, and
stands in a line with three. A logo is small, of a strong green or blue that stays as it is in every frame, and what is
around it moves. Where little moves, or few frames can be seen, nothing is called so, nor is a tool that rests.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.media.area import PictureArea

FEWEST = 12  # sampled frames
BLANK = 40  # level of what is blanked
_STEADY = 28  # levels that a sign may change by: what codecs do at hard edges
_MOVING = 40  # levels by which half of the picture has to change at least
_WHITE = 170  # darkest channel of a white sign
_VIVID, _LIT = 110, 130  # difference of the channels of a coloured sign, and the least of its green or blue
_LOW, _HIGH = 0.01, 0.08  # heights of signs over the frame's
_FEWEST_PX = 5  # of a sign's height
_SIGNS = 3  # in a line, at least
_GAP = 1.5  # between signs, in their heights
# How far a line goes on in signs that change, in their heights: if they can be told from what is bright behind, or not.
_FAR, _NEAR = 8.0, 3.5
_SLACK = 0.2  # by which signs beside a line may be higher than it, in its height
_MARGIN = 0.35  # around a line, in its height
# Half transparent: signs in a line, and by how much it is paler, and how much less it changes, than what is around it.
_PALE_SIGNS, _PALER, _CHANGES_LESS = 4, 45, 0.75
_AROUND = 0.15  # how far that reaches, over the frame's height
_SAME = 0.8  # share of a box that lies in another, which then is enough
# A logo: its height and width over the frame's height, and the shares of its box that are coloured and that stay.
_LOGO_LOW, _LOGO_HIGH, _LOGO_WIDE = 0.03, 0.2, 0.4
_LOGO_COLORED, _LOGO_STEADY = 0.15, 0.6
_LOGO_CLOSED = 0.008  # gaps between its parts, over the frame's height


class Box(NamedTuple):
    """A rectangle of the frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


class Ranges:
    """Lowest and highest value of every pixel and channel over the frames that it is given."""

    def __init__(self) -> None:
        self.count = 0
        self.low = self.high = np.zeros((0, 0, 3), np.uint8)

    def add(self, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        """Take in a frame of the same size."""
        self.low = rgb.copy() if self.count == 0 else np.minimum(self.low, rgb, out=self.low)
        self.high = rgb.copy() if self.count == 0 else np.maximum(self.high, rgb, out=self.high)
        self.count += 1


def text_in(ranges: Ranges, area: PictureArea) -> list[Box]:
    """Lines of text and logos over the endoscope's picture, as boxes of the frame; none where that cannot be told."""
    if not can_tell(ranges, area):
        return []
    low, high = area.crop(ranges.low), area.crop(ranges.high)
    change = _greatest(high - low)
    white = _least(low) >= _WHITE
    vivid = (cv2.subtract(_greatest(low), _least(high)) >= _VIVID) & (_greatest(low[..., 1:]) >= _LIT)
    lines = [box for kind in (white, vivid) for box in _lines(kind & (change <= _STEADY))]
    found = [_grown(box, low, high) for box in lines]
    found += [_with_margin(box, *change.shape) for box in _lines(_pale(low, change), _PALE_SIGNS)]
    found += [_with_margin(box, *change.shape) for box in _logos(vivid & (change <= _STEADY), change, area.inside)]
    found = [b for k, b in enumerate(found) if not any(_lies_in(b, other) for other in found[:k])]
    return [Box(area.top + b.top, area.left + b.left, b.height, b.width) for b in found]


def can_tell(ranges: Ranges, area: PictureArea) -> bool:
    """Whether enough frames were seen, and enough moves in them, to tell what never does."""
    if ranges.count < FEWEST:
        return False
    change = _greatest(area.crop(ranges.high - ranges.low))
    return float(np.median(change if area.inside is None else change[area.inside])) >= _MOVING


def without_text(area: PictureArea, boxes: list[Box]) -> PictureArea:
    """The picture less what text covers: that has no cue, no anchor and no mask."""
    if not boxes:
        return area
    clear = np.ones((area.height_px, area.width_px), np.bool_)
    for top, left, height, width in boxes:
        row, column = top - area.top, left - area.left
        clear[row : row + height, column : column + width] = False
    outlines = tuple(outline & clear for outline in area.outlines)
    shown = clear if area.inside is None else area.inside & clear
    return replace(area, inside=shown, text=tuple(boxes), outlines=outlines) if shown.any() else area


def text_blanked(rgb: UInt8[np.ndarray, "H W 3"], area: PictureArea) -> UInt8[np.ndarray, "H W 3"]:
    """The frame with all around the endoscope's picture, and what was found to be text, in plain dark grey."""
    blank = np.full_like(rgb, BLANK)
    inside = area.shown(area.crop(rgb)).inside
    if inside is None:
        area.crop(blank)[:] = area.crop(rgb)
    else:
        cv2.copyTo(area.crop(rgb), inside.astype(np.uint8), area.crop(blank))
    return blank


def _pale(low: UInt8[np.ndarray, "h w 3"], change: UInt8[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """What is always paler than its surroundings, and changes less, as half of white or of a pale colour over them."""
    side = 2 * round(_AROUND * len(low) / 2) + 1
    darkest = _least(low).astype(np.float32)
    paler = darkest - cv2.blur(darkest, (side, side)) >= _PALER
    calmer = change <= _CHANGES_LESS * cv2.blur(change.astype(np.float32), (side, side))
    return np.asarray(paler & calmer)


def _logos(
    colored: Bool[np.ndarray, "h w"], change: UInt8[np.ndarray, "h w"], inside: Bool[np.ndarray, "h w"] | None
) -> list[Box]:
    """Boxes around coloured pixels that stay, none at the rim, where tools come in."""
    height, width = colored.shape
    gap = 2 * max(1, round(_LOGO_CLOSED * height)) + 1
    closed = cv2.morphologyEx(colored.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed)
    found: list[Box] = []
    for x, y, w, h, _ in stats[1:].tolist():
        fits = _LOGO_LOW * height <= h <= _LOGO_HIGH * height and _LOGO_LOW * height <= w <= _LOGO_WIDE * height
        if not fits or min(x, y, width - x - w, height - y - h) <= gap:
            continue
        box, margin = np.s_[y : y + h, x : x + w], max(2, round(_MARGIN * min(h, w)))
        upper, begin = max(0, y - margin), max(0, x - margin)
        near = np.s_[upper : y + h + margin, begin : x + w + margin]
        around = np.ones_like(change[near], np.bool_)
        around[y - upper : y - upper + h, x - begin : x - begin + w] = False
        stays = colored[box].mean() >= _LOGO_COLORED and (change[box] <= _STEADY).mean() >= _LOGO_STEADY
        if stays and np.median(change[near][around]) >= _MOVING and (inside is None or inside[near].all()):
            found.append(Box(y, x, h, w))
    return found


def _with_margin(box: Box, height: int, width: int) -> Box:
    margin = max(2, round(_MARGIN * min(box.height, 0.1 * height)))
    upper, first = max(0, box.top - margin), max(0, box.left - margin)
    lower, last = min(height, box.top + box.height + margin), min(width, box.left + box.width + margin)
    return Box(upper, first, lower - upper, last - first)


def _greatest(rgb: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w"]:
    """The greatest of each pixel's channels: what numpy's `max` gives, in a tenth of its time."""
    return np.asarray(reduce(cv2.max, cv2.split(rgb)))


def _least(rgb: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w"]:
    """The least of each pixel's channels."""
    return np.asarray(reduce(cv2.min, cv2.split(rgb)))


def _lies_in(box: Box, other: Box) -> bool:
    """Whether most of `box` is in `other`."""
    high = min(box.top + box.height, other.top + other.height) - max(box.top, other.top)
    wide = min(box.left + box.width, other.left + other.width) - max(box.left, other.left)
    return max(0, high) * max(0, wide) > _SAME * box.height * box.width


def _lines(signs: Bool[np.ndarray, "h w"], fewest: int = _SIGNS) -> list[Box]:
    """Boxes around `fewest` or more signs of like height that stand side by side."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(signs.astype(np.uint8))
    height = signs.shape[0]
    found = [Box(int(y), int(x), int(h), int(w)) for x, y, w, h, _ in stats[1:]]
    found = [
        b for b in found if max(_FEWEST_PX, _LOW * height) <= b.height <= _HIGH * height and b.width < 6 * b.height
    ]
    lines: list[list[Box]] = []
    for sign in sorted(found, key=lambda b: b.left):
        line = next((line for line in lines if _goes_on(line[-1], sign)), None)
        if line is None:
            lines.append([sign])
        else:
            line.append(sign)
    return [_around(line) for line in lines if len(line) >= fewest]


def _goes_on(last: Box, sign: Box) -> bool:
    """Whether `sign` follows `last` in a line of text."""
    shared = min(last.top + last.height, sign.top + sign.height) - max(last.top, sign.top)
    smaller, larger = sorted((last.height, sign.height))
    gap = sign.left - (last.left + last.width)
    return shared >= 0.6 * smaller and larger <= 1.8 * smaller and -0.5 * larger <= gap <= _GAP * larger


def _around(line: list[Box]) -> Box:
    top, left = min(b.top for b in line), min(b.left for b in line)
    bottom, right = max(b.top + b.height for b in line), max(b.left + b.width for b in line)
    return Box(top, left, bottom - top, right - left)


def _grown(box: Box, low: UInt8[np.ndarray, "h w 3"], high: UInt8[np.ndarray, "h w 3"]) -> Box:
    """The box with a margin, and with signs beside it that change, as a clock's do, but reach the line's colour."""
    top, left, height, width = box
    inner = low[top : top + height, left : left + width]
    color = np.quantile(inner.reshape(-1, 3), 0.9, axis=0)
    strokes = np.asarray((high >= color - _STEADY).all(axis=2))
    signs, bright = _signs_beside(box, strokes), np.asarray(strokes[top : top + height].any(axis=0))
    ways = ((signs, _FAR * height), (bright, _NEAR * height))
    first = left - max(_reach(columns[:left][::-1], height, far) for columns, far in ways)
    last = left + width + max(_reach(columns[left + width :], height, far) for columns, far in ways)
    margin = max(2, round(_MARGIN * height))
    first, last = max(0, first - margin), min(low.shape[1], last + margin)
    upper, lower = max(0, top - margin), min(low.shape[0], top + height + margin)
    return Box(upper, first, lower - upper, last - first)


def _signs_beside(box: Box, strokes: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, " w"]:
    """Which columns hold strokes that belong to parts no higher than the line."""
    top, _, height, _ = box
    first = max(0, top - height)
    window = strokes[first : top + 2 * height].astype(np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(window)
    upper, lower = stats[:, cv2.CC_STAT_TOP] + first, stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] + first
    slack = _SLACK * height
    fits = (upper >= top - slack) & (lower <= top + height + slack) & (lower - upper >= height / 8)
    fits[0] = False  # what is no stroke
    return np.asarray(fits[np.asarray(parts, np.intp)].any(axis=0))


def _reach(columns: Bool[np.ndarray, " n"], height: int, far: float) -> int:
    """How far, at most `far`, columns with signs go on, with gaps of no more than a sign."""
    reached = 0
    for column in np.flatnonzero(columns[: round(far)]):
        if column - reached > height:
            break
        reached = int(column) + 1
    return reached
