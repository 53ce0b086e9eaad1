"""Text burnt into a clip's pictures: lines of signs that never move while all around them does.

Sought with care: a sign is small, white or of a strong colour, stays as it is in every sampled frame, and stands in a
line with two others. Where little moves, or few frames can be seen, nothing is called text, nor is a tool that rests.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.media.area import PictureArea

FEWEST = 12  # sampled frames
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
        self.low = rgb.copy() if self.count == 0 else np.minimum(self.low, rgb)
        self.high = rgb.copy() if self.count == 0 else np.maximum(self.high, rgb)
        self.count += 1


def text_in(ranges: Ranges, area: PictureArea) -> list[Box]:
    """Lines of text over the endoscope's picture, as boxes of the frame; none where that cannot be told."""
    if not can_tell(ranges, area):
        return []
    low, high = area.crop(ranges.low), area.crop(ranges.high)
    change = (high - low).max(axis=2)
    white = low.min(axis=2) >= _WHITE
    vivid = (low.max(axis=2).astype(int) - high.min(axis=2) >= _VIVID) & (low[..., 1:].max(axis=2) >= _LIT)
    lines = [box for kind in (white, vivid) for box in _lines(kind & (change <= _STEADY))]
    grown = [_grown(box, low, high) for box in lines]
    return [Box(area.top + b.top, area.left + b.left, b.height, b.width) for b in grown]


def can_tell(ranges: Ranges, area: PictureArea) -> bool:
    """Whether enough frames were seen, and enough moves in them, to tell what never does."""
    if ranges.count < FEWEST:
        return False
    change = area.crop(ranges.high - ranges.low).max(axis=2)
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
    blank = np.full_like(rgb, 40)
    inside = area.shown(area.crop(rgb)).inside
    if inside is None:
        area.crop(blank)[:] = area.crop(rgb)
    else:
        cv2.copyTo(area.crop(rgb), inside.astype(np.uint8), area.crop(blank))
    return blank


def _lines(signs: Bool[np.ndarray, "h w"]) -> list[Box]:
    """Boxes around three or more signs of like height that stand side by side."""
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
    return [_around(line) for line in lines if len(line) >= _SIGNS]


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
