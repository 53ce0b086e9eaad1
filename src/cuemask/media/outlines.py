"""The endoscope's picture where it changes within a clip: zoomed, or another scope.

The picture of the whole clip holds that of every frame. Sought is a stretch of the clip whose picture is plainly
smaller and leaves a dark border in all four corners; a shorter stretch, or a picture that grows step by step, counts
as the whole clip's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.errors import InputError
from cuemask.media.area import PictureArea, picture_area
from cuemask.media.clips import Clip

SHORTEST = 3  # sampled frames
_SMALLER = 0.93  # share of the whole clip's picture
_ALIKE = 0.95  # intersection over union of two stretches of the same picture
_LOOKED_AT_PX = 200  # shorter side of the pictures in which stretches are looked for


class Small:
    """Small copies of the frames that it is given."""

    def __init__(self) -> None:
        self.frames: list[UInt8[np.ndarray, "h w 3"]] = []

    def add(self, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        """Take in a frame."""
        scale = min(1.0, _LOOKED_AT_PX / min(rgb.shape[:2]))
        while scale <= 0.5:  # by means of 2 x 2 pixels as far as that goes, which take an eighth of the time
            height, width = rgb.shape[:2]
            rgb, scale = cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA), 2 * scale
        self.frames.append(np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)))


def with_outlines(clip: Clip, area: PictureArea, small: Sequence[UInt8[np.ndarray, "h w 3"]]) -> PictureArea:
    """`area` with the smaller pictures that stretches of the clip show, smallest first; itself where there are none.

    Parameters
    ----------
    small
        The clip's sampled frames, in order and all reduced alike.

    Raises
    ------
    VideoError, PictureError
        If a frame of the clip cannot be read.
    """
    stretches = stretches_in(small)
    if not stretches:
        return area
    frames, found = list(clip.sample()), list[Bool[np.ndarray, "height width"]]()
    for first, last in stretches:
        own = _within(area, _smaller(frames[first:last], area))
        if own is not None and not any(_overlap(own, other) > _ALIKE for other in found):
            found.append(own)
    return replace(area, outlines=tuple(sorted(found, key=lambda own: int(own.sum()))))


def stretches_in(frames: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[tuple[int, int]]:
    """First and one past the last of the frames of each stretch that shows less than the others do."""
    if len(frames) < 2 * SHORTEST:
        return []
    try:
        whole = picture_area(frames)
    except InputError:  # black
        return []
    found, first = list[tuple[int, int]](), 0
    while first + SHORTEST <= len(frames):
        last = first + SHORTEST
        if _smaller(frames[first:last], whole) is None:
            first += 1
            continue
        while last < len(frames) and _smaller(frames[first : last + 1], whole) is not None:
            last += 1
        found.append((first, last))
        first = last
    shown = len(frames) - sum(last - first for first, last in found)
    return found if shown >= SHORTEST else []


def _smaller(frames: Sequence[UInt8[np.ndarray, "h w 3"]], whole: PictureArea) -> PictureArea | None:
    """The picture in these frames where it is plainly smaller than `whole`, and dark in its corners; else None."""
    try:
        own = picture_area(frames)
    except InputError:  # black
        return None
    inside = _within(whole, own)
    assert inside is not None
    size = inside.size if whole.inside is None else int(whole.inside.sum())
    if inside.sum() > _SMALLER * size:
        return None
    rows, columns = (max(1, side // 50) for side in inside.shape)
    corners = (part for side in (inside[:rows], inside[-rows:]) for part in (side[:, :columns], side[:, -columns:]))
    if any(part.any() for part in corners):
        return None
    alone = replace(whole, outlines=(inside,))
    shown = (alone.shown(whole.crop(rgb)).inside for rgb in frames)
    return own if all(part is not None and np.array_equal(part, inside) for part in shown) else None


def _within(whole: PictureArea, own: PictureArea | None) -> Bool[np.ndarray, "height width"] | None:
    """The pixels of `whole` that `own` shows."""
    if own is None:
        return None
    shown = np.ones((own.height_px, own.width_px), np.bool_) if own.inside is None else own.inside
    frame = (
        max(whole.top + whole.height_px, own.top + own.height_px),
        max(whole.left + whole.width_px, own.left + own.width_px),
    )
    inside = whole.crop(own.paste(shown, *frame))
    return inside.copy() if whole.inside is None else inside & whole.inside


def _overlap(one: Bool[np.ndarray, "h w"], other: Bool[np.ndarray, "h w"]) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))
