"""The endoscope's picture inside the frame: without black borders, round or cut corners, and burnt-in text.

What counts as border stays dark over the whole clip and ends in a step. Dark tissue at the edge of a picture
is lit at times or fades in slowly, and the picture then reaches to the frame's edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from cuemask.errors import InputError
from cuemask.media.clips import Clip
from cuemask.media.packed import PackedMask, PackedMasks, with_packed
from cuemask.media.stereo import Eye, half_of_eye
from cuemask.media.threads import in_threads

# Levels of 0 to 255. Borders are black, or video black (16) taken for a colour, plus noise.
BRIGHTEST_BORDER = 24
ABOVE_BORDER = 16
SMALLEST_STEP = 8

# Shares of a length or an area.
CORNER = 0.02
SMALLEST_PART = 0.02
STEP_SHARE = 0.4
WHOLE = 0.995
ERODED = 0.006

# Where the picture changes: how far around a smaller one, by the picture's height, light may spread, and the share of
# what lies beyond that may be lit (burnt-in text is).
RIM = 0.02
LIT_BEYOND = 0.04
LOOKED_AT_PX = 100

# What cameras and recorders put out, rows by columns, and how much of it, at most, a dark rim takes away.
RASTERS = (
    (2160, 3840),
    (1080, 1920),
    (1080, 1440),
    (1024, 1280),
    (960, 1280),
    (720, 1280),
    (768, 1024),
    (576, 768),
    (576, 720),
    (480, 720),
    (480, 640),
)
DARK_RIM = 0.015


@dataclass(frozen=True)
class PictureArea:
    """Where the endoscope's picture lies in the frame.

    Attributes
    ----------
    top, left
        First row and column of the smallest rectangle around the picture.
    height_px, width_px
        Size of that rectangle.
    inside
        Which of its pixels show the picture, for round and octagonal ones; None where all do.
    whole
        Whether it is the whole of every frame, whatever its size: of clips whose pictures differ in size.
    text
        Top, left, height and width in the frame of what text covers (`media.text`); `inside` leaves it out.
    outlines
        Where the picture changes within the clip (`media.outlines`): the smaller ones that some frames show, as
        `inside` has them, smallest first. Which one a frame shows, `shown` tells.
    """

    top: int
    left: int
    height_px: int
    width_px: int
    if TYPE_CHECKING:
        inside: PackedMask = PackedMask()  # which tells what is given from what is had
    else:
        inside: Bool[np.ndarray, "height width"] | None = PackedMask()
    whole: bool = False
    text: tuple[tuple[int, int, int, int], ...] = ()
    if TYPE_CHECKING:
        outlines: PackedMasks = PackedMasks()
    else:
        outlines: tuple[Bool[np.ndarray, "height width"], ...] = PackedMasks()

    def of(self, height_px: int, width_px: int) -> PictureArea:
        """The area in a frame of this size: itself, unless it is the whole of frames that differ in size."""
        if not self.whole or (height_px, width_px) == (self.height_px, self.width_px):
            return self
        return replace(self, height_px=height_px, width_px=width_px)

    def shown(self, picture: UInt8[np.ndarray, "h w 3"]) -> PictureArea:
        """The area of one frame: with the smallest of `outlines` outside which it is dark, where there are any.

        `picture` is what the rectangle shows of the frame, of any size.
        """
        if not self.outlines:
            return self
        step = max(1, min(picture.shape[:2]) // LOOKED_AT_PX)
        lit = picture[::step, ::step].max(axis=2) > BRIGHTEST_BORDER + ABOVE_BORDER
        for number, inside in enumerate(self.outlines):
            rim = np.ones((2 * max(1, round(RIM * lit.shape[0])) + 1,) * 2, np.uint8)
            near = cv2.resize(inside.astype(np.uint8), lit.shape[::-1], interpolation=cv2.INTER_NEAREST)
            beyond = cv2.dilate(near, rim) == 0
            if self.inside is not None:
                whole = cv2.resize(self.inside.astype(np.uint8), lit.shape[::-1], interpolation=cv2.INTER_NEAREST)
                beyond &= whole > 0
            if lit[beyond].sum() <= LIT_BEYOND * beyond.sum():
                return with_packed(self, "inside", "outlines", number)
        return with_packed(self, "inside", "outlines", None)

    @property
    def common(self) -> PictureArea:
        """What every frame shows."""
        if not self.outlines:
            return self
        return replace(self, inside=np.logical_and.reduce(self.outlines), outlines=())

    def crop(self, rgb: Shaped[np.ndarray, "H W ..."]) -> Shaped[np.ndarray, "h w ..."]:
        """Cut the rectangle out of a frame, mask or map; a view."""
        return rgb[self.top : self.top + self.height_px, self.left : self.left + self.width_px]

    def paste(
        self, map_in_area: Shaped[np.ndarray, "h w ..."], height_px: int, width_px: int
    ) -> Shaped[np.ndarray, "H W ..."]:
        """Put a mask or map of the rectangle back into a whole frame; zeros (or False) outside."""
        whole = np.zeros((height_px, width_px, *map_in_area.shape[2:]), map_in_area.dtype)
        self.crop(whole)[:] = map_in_area
        return whole


def fixed_area(top: int, left: int, height: int, width: int, frame_height: int, frame_width: int) -> PictureArea:
    """Take a rectangle that the user gave.

    Raises
    ------
    InputError
        If it is empty or leaves the frame.
    """
    given = f"--crop {top},{left},{height},{width}"
    if height < 1 or width < 1:
        raise InputError(f"{given}: the rectangle is empty.", "Give --crop top,left,height,width in pixels.")
    if top < 0 or left < 0 or top + height > frame_height or left + width > frame_width:
        raise InputError(
            f"{given}: rows {top} to {top + height} and columns {left} to {left + width} leave the frame of "
            f"{frame_height} rows and {frame_width} columns.",
            f"Give --crop top,left,height,width within 0,0,{frame_height},{frame_width}.",
        )
    return PictureArea(top, left, height, width, None)


def eye_area(clip: Clip, eye: Eye, *, whole: bool = False) -> PictureArea:
    """Find one eye's picture in a stereo recording; all of its half of the frame if `whole`.

    Raises
    ------
    InputError
        If no two halves of the frames are alike, or every sampled frame is black.
    VideoError, PictureError
        If a frame of the clip cannot be read.
    """
    top, left, height, width = half_of_eye(clip.sample(), eye, clip.source)
    half = PictureArea(top, left, height, width, None)
    if whole:
        return half
    within = picture_area(half.crop(rgb) for rgb in clip.sample())
    return replace(within, top=top + within.top, left=left + within.left)


def picture_area(
    source: Clip | Iterable[UInt8[np.ndarray, "H W 3"]],
    look: Callable[[UInt8[np.ndarray, "H W 3"]], None] | None = None,
) -> PictureArea:
    """Find the endoscope's picture.

    Parameters
    ----------
    source
        A clip, of which about 16 frames are sampled, or frames of one size. The more the scene changes
        between them the surer the result; a dozen frames spread over the clip are plenty.
    look
        Is given each of the frames, in order, from a thread beside the one that decodes them.

    Raises
    ------
    InputError
        If every sampled frame is black.
    VideoError, PictureError
        If a frame of the clip cannot be read.
    """
    name = source.name if isinstance(source, Clip) else "frames"
    brightest = _brightest(source.sample() if isinstance(source, Clip) else source, look)
    height, width = brightest.shape
    level = _border_level(brightest)
    if level > BRIGHTEST_BORDER:
        return PictureArea(0, 0, height, width, None)
    inside = _filled_outline(brightest > level + ABOVE_BORDER)
    if inside is None:
        if np.percentile(brightest, 99) > level + ABOVE_BORDER:
            return PictureArea(0, 0, height, width, None)
        raise InputError(
            f"{name}: every sampled frame is black (no level above {int(brightest.max())} of 255).",
            "Choose a stretch that shows something with --start and --end, or give --crop.",
        )
    _reach_to_sides(inside, brightest)
    _fill_corners(inside, brightest)
    return _area_around(inside)


def _brightest(
    frames: Iterable[UInt8[np.ndarray, "H W 3"]], look: Callable[[UInt8[np.ndarray, "H W 3"]], None] | None
) -> UInt8[np.ndarray, "H W"]:
    """Each pixel's highest value over time, of its brightest channel."""

    def level_of(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W"]:
        if look is not None:
            look(rgb)
        return cast(np.ndarray, cv2.medianBlur(_brightest_channel(rgb), 3))

    brightest = None
    for level in in_threads(level_of, frames, threads=1):
        brightest = level if brightest is None else cv2.max(brightest, level, dst=brightest)
    if brightest is None:
        raise InputError("No frame was given to find the picture in.", "Give at least one frame.")
    return brightest


def _brightest_channel(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W"]:
    red, green, blue = cv2.split(rgb)
    cv2.max(red, green, dst=red)  # in place: new memory takes five times as long
    return cast(np.ndarray, cv2.max(red, blue, dst=red))


def _border_level(brightest: UInt8[np.ndarray, "H W"]) -> float:
    """Level of the darkest corner: every border, straight, round or octagonal, fills at least one."""
    height, width = brightest.shape
    rows, columns = max(2, round(height * CORNER)), max(2, round(width * CORNER))
    return min(
        float(np.median(corner))
        for side in (brightest[:rows], brightest[-rows:])
        for corner in (side[:, :columns], side[:, -columns:])
    )


def _filled_outline(bright: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"] | None:
    """Fill the convex hull of the large bright parts; letters and logos in the border are small ones."""
    opened = cv2.morphologyEx(bright.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
    large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= SMALLEST_PART * bright.size) + 1
    if large.size == 0:
        return None
    shown = np.isin(labels, large)
    rows = np.flatnonzero(shown.any(axis=1))  # the ends of each row span the same hull, and are a thousandth of it
    first, last = shown[rows].argmax(axis=1), shown.shape[1] - 1 - shown[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)])
    hull = cv2.convexHull(ends.astype(np.int32))
    return cv2.fillConvexPoly(np.zeros(bright.shape, np.uint8), hull, 1).astype(bool)


def _reach_to_sides(inside: Bool[np.ndarray, "H W"], brightest: UInt8[np.ndarray, "H W"]) -> None:
    """Extend `inside`, in place, to every side of the frame that no true border separates it from."""
    for turns in range(4):
        # Turned views: every side takes its turn at being the left one.
        part, levels = np.rot90(inside, turns), np.rot90(brightest, turns)
        top, bottom, left, right = _bounds(part)
        near = max(1, round(0.03 * (right - left)))
        if left > 0 and not _is_border(_steps(part[top:bottom], levels[top:bottom], left + near)):
            part[top:bottom, :left] = True
            part[top:bottom] = np.maximum.accumulate(part[top:bottom, ::-1], axis=1)[:, ::-1]


def _fill_corners(inside: Bool[np.ndarray, "H W"], brightest: UInt8[np.ndarray, "H W"]) -> None:
    """Fill, in place, the corners of the rectangle around `inside` that are dark but no border."""
    for turns in range(4):
        part, levels = np.rot90(inside, turns), np.rot90(brightest, turns)
        top, bottom, left, right = _bounds(part)
        corner = np.s_[top : (top + bottom) // 2, left : (left + right) // 2]
        if not part[corner].all() and not _is_border(_steps(part[corner], levels[corner])):
            part[corner] = True


def _widen_to_raster(top: int, bottom: int, left: int, right: int, frame: tuple[int, int]) -> PictureArea:
    """Take the camera's standard raster for a rectangle that only its dark outermost pixels are missing from.

    Where pictures carry such a dark rim, published crops and masks count it in.
    """
    height, width = bottom - top, right - left
    for raster_height, raster_width in RASTERS:
        fits = 0 <= raster_height - height <= DARK_RIM * raster_height
        if fits and 0 <= raster_width - width <= DARK_RIM * raster_width:
            row, column = (top + bottom - raster_height) // 2, (left + right - raster_width) // 2
            if 0 <= row <= frame[0] - raster_height and 0 <= column <= frame[1] - raster_width:
                return PictureArea(row, column, raster_height, raster_width, None)
    return PictureArea(top, left, height, width, None)


def _is_rectangle(inside: Bool[np.ndarray, "H W"]) -> bool:
    top, bottom, left, right = _bounds(inside)
    return bool(inside[top:bottom, left:right].mean() >= WHOLE)


def _steps(
    inside: Bool[np.ndarray, "h w"], levels: UInt8[np.ndarray, "h w"], rightmost: int | None = None
) -> Bool[np.ndarray, " n"]:
    """Whether brightness steps up where each row of `inside` begins, up to column `rightmost`."""
    starts = inside.argmax(axis=1)
    last = inside.shape[1] - 1
    near = starts <= (last if rightmost is None else rightmost)
    rows = np.flatnonzero(inside.any(axis=1) & (starts > 0) & near)
    reach = 4
    outer = levels[rows, np.maximum(starts[rows] - reach, 0)].astype(int)
    inner = levels[rows, np.minimum(starts[rows] + reach, last)].astype(int)
    return inner - outer >= SMALLEST_STEP


def _is_border(steps: Bool[np.ndarray, " n"]) -> bool:
    return bool(steps.size and steps.mean() >= STEP_SHARE)


def _bounds(inside: Bool[np.ndarray, "H W"]) -> tuple[int, int, int, int]:
    """First and one past the last row, first and one past the last column."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _area_around(inside: Bool[np.ndarray, "H W"]) -> PictureArea:
    top, bottom, left, right = _bounds(inside)
    if _is_rectangle(inside):
        return _widen_to_raster(top, bottom, left, right, (inside.shape[0], inside.shape[1]))
    # The rim blends with the border; where the frame itself cuts the picture, nothing is taken off.
    rim = 2 * max(2, round(ERODED * (bottom - top))) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim))
    shown = cv2.erode(inside.astype(np.uint8), disc).astype(bool)
    top, bottom, left, right = _bounds(shown)
    return PictureArea(top, left, bottom - top, right - left, shown[top:bottom, left:right])
