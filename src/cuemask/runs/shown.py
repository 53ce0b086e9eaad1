"""The few frames of a clip that report and sheet show, kept as small JPEG while its masks are made.

They are chosen as the frames stream by, from a clip of unknown length, in memory that does not grow with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from cuemask.errors import InputError, PictureError
from cuemask.media.area import PictureArea
from cuemask.media.files import is_passing, make_folder, write_bytes
from cuemask.media.frames import Frame
from cuemask.media.mask_folders import mask_path
from cuemask.media.masks import read_mask
from cuemask.media.overlay import blanked, overlay
from cuemask.media.pictures import read_picture
from cuemask.report.sheet import people_sheet
from cuemask.report.stretches import Stretches, apart, evenly
from cuemask.report.words import clock, percent
from cuemask.runs.confidences import Told

FOLDER, TABLE, SHEET = "shown", "shown.json", "sheet.png"
OUTSIDE = "outside the body"
LOOKS = 8  # frames to look at
NAMED = 5  # of them, at the end of a run
STRIP = 24  # frames of the strip over the clip
WIDEST_PX = 800
_QUALITY = 82
_LOOK = "Look to the disk or network that it lies on, then run the same command again."
_STRETCHES = 64
_SHEET_ROWS = 3  # spread over the clip, and as many of the least sure
_SHEET_PX = 280


@dataclass(frozen=True)
class ShownFrame:
    """A frame that people are shown.

    Attributes
    ----------
    frame
        Its name.
    number
        Its place among the frames with a mask, from 0.
    seconds
        Its time in the source; None of pictures.
    confidence, share
        As `confidences.Told`.
    area
        Top, left, height and width in pixels of what its picture shows of the frame: the endoscope's picture.
    look
        Its rank among the frames that most deserve a look, from 1; 0 if it is none of them.
    in_strip
        Whether it is one of those spread over the clip.
    outside
        Whether it was filmed outside the body.
    """

    frame: str
    number: int
    seconds: float | None
    confidence: float
    share: float
    area: tuple[int, int, int, int]
    look: int = 0
    in_strip: bool = False
    outside: bool = False


@dataclass(eq=False)
class _Kept:
    """A frame; its picture waits until no later frame of its stretch can take its place."""

    frame: ShownFrame
    waiting: UInt8[np.ndarray, "H W 3"] | None = None
    jpeg: bytes = b""


@dataclass(frozen=True)
class _Stretch:
    """Of a stretch of frames the first, and the one that is least sure."""

    first: _Kept
    worst: _Kept

    def merged(self, later: _Stretch) -> _Stretch:
        is_lower = later.worst.frame.confidence < self.worst.frame.confidence
        return _Stretch(self.first, later.worst if is_lower else self.worst)


class Shown:
    """Chooses among the frames of one clip, told in their order.

    Parameters
    ----------
    pixel_aspect
        Width of a pixel over its height: the JPEG's pixels are square.
    blanks_outside
        Whether nothing of frames filmed outside the body is kept.
    """

    def __init__(self, pixel_aspect: Fraction = Fraction(1), *, blanks_outside: bool = False) -> None:
        self._aspect = float(pixel_aspect)
        self._blanks_outside = blanks_outside
        self._stretches = Stretches(_STRETCHES, _Stretch.merged)
        self._count = 0
        self._waiting: list[_Kept] = []

    def add(self, frame: Frame, told: Told, area: PictureArea, *, is_outside: bool = False) -> None:
        """Take in the next frame; its picture is kept only while it may be shown."""
        place = _place(area)
        one = _Kept(ShownFrame(frame.name, self._count, frame.time_seconds, *told, place, outside=is_outside))
        self._count += 1
        self._stretches.add(_Stretch(one, one))
        one.waiting = area.crop(frame.rgb)
        self._waiting.append(one)
        self._settle(self._stretches.items[-1:])

    def _settle(self, open_: Sequence[_Stretch] = ()) -> None:
        """Make the small pictures of frames that stay, but for those of stretches that are still `open_`."""
        stay = {kept for stretch in self._stretches.items for kept in (stretch.first, stretch.worst)}
        may_go = {kept for stretch in open_ for kept in (stretch.first, stretch.worst)}
        for one in [kept for kept in self._waiting if kept not in may_go]:
            if one in stay and one.waiting is not None:
                small = _fitted(one.waiting, WIDEST_PX, self._aspect)
                one.jpeg = _encoded(blanked(small, OUTSIDE) if one.frame.outside and self._blanks_outside else small)
            one.waiting = None
            self._waiting.remove(one)

    def least_sure(self, count: int = NAMED) -> list[ShownFrame]:
        """The frames that most deserve a look, apart in time, the least sure first."""
        worst = [stretch.worst.frame for stretch in self._stretches.items]
        chosen = apart([w.number for w in worst], [w.confidence for w in worst], count, self._count)
        return [worst[index] for index in chosen]

    def write(self, folder: Path) -> None:
        """Write `shown/<frame>.jpg` and, last, `shown.json` into the clip's folder.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        self._settle()
        stretches = self._stretches.items
        ranks = {frame.number: rank for rank, frame in enumerate(self.least_sure(LOOKS), 1)}
        strip = {stretches[index].first.frame.number for index in evenly(STRIP, len(stretches))}
        kept = {one.frame.number: one for stretch in stretches for one in (stretch.first, stretch.worst)}
        table: list[dict[str, Any]] = []
        place = make_folder(folder / FOLDER)
        for number in sorted(ranks.keys() | strip):
            one = kept[number]
            write_bytes(place / f"{one.frame.frame}.jpg", one.jpeg)
            table.append(asdict(one.frame) | {"look": ranks.get(number, 0), "in_strip": number in strip})
        write_bytes(folder / TABLE, (json.dumps(table, indent=1) + "\n").encode())


def read_shown(folder: Path) -> list[ShownFrame]:
    """What `Shown.write` told of the clip in `folder`, in the clip's order; nothing where that is gone or damaged."""
    try:
        rows = json.loads((folder / TABLE).read_text(encoding="utf-8"))
        names = {field.name for field in fields(ShownFrame)}
        rows = [{"outside": False} | row for row in rows]  # older versions did not look for it
        return [ShownFrame(**row | {"area": tuple(row["area"])}) for row in rows if row.keys() == names]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        if is_passing(error):
            raise InputError(f"{folder / TABLE}: cannot be read ({error}).", _LOOK) from error
        return []


def shown_files(folder: Path) -> Iterator[Path]:
    """The files that `Shown.write` made in `folder`, as far as that can be known."""
    yield folder / TABLE
    yield from (folder / FOLDER / f"{shown.frame}.jpg" for shown in read_shown(folder))


class Picture(NamedTuple):
    """JPEG of a shown frame, and of the same with its mask's outline; empty where one cannot be read."""

    plain: bytes
    outlined: bytes
    height_px: int
    width_px: int


def picture_of(
    folder: Path,
    shown: ShownFrame,
    widest_px: int,
    *,
    blanks_outside: bool = False,
    text: Sequence[Sequence[int]] = (),
) -> Picture:
    """A shown frame of the clip in `folder`, at most `widest_px` wide and high; the boxes of `text` are blanked."""
    rgb, drawn = _read(folder, shown, widest_px)
    if rgb is None:
        return Picture(b"", b"", 0, 0)
    if shown.outside and blanks_outside:
        rgb = drawn = blanked(rgb, OUTSIDE)
    for picture in (rgb, *(() if drawn is None else (drawn,))):
        _blank_boxes(picture, text, shown.area)
    return Picture(_encoded(rgb), b"" if drawn is None else _encoded(drawn), *rgb.shape[:2])


def _blank_boxes(
    rgb: UInt8[np.ndarray, "h w 3"], boxes: Sequence[Sequence[int]], area: tuple[int, int, int, int]
) -> None:
    """Paint over `boxes` of the frame, in place, in a picture of `area` of it."""
    down, across = rgb.shape[0] / area[2], rgb.shape[1] / area[3]
    for top, left, height, width in boxes:
        first, last = math.floor((top - area[0]) * down), math.ceil((top + height - area[0]) * down)
        begin, end = math.floor((left - area[1]) * across), math.ceil((left + width - area[1]) * across)
        rgb[max(0, first) : max(0, last), max(0, begin) : max(0, end)] = 40


def sheet_of(folder: Path) -> UInt8[np.ndarray, "H W 3"]:
    """The sheet for people, of what `Shown.write` left in `folder`: some frames of the clip and the least sure ones."""
    shown = read_shown(folder)
    spread = [one for one in shown if one.in_strip]
    chosen = {spread[index].number for index in evenly(_SHEET_ROWS, len(spread))}
    rows: list[tuple[list[str], list[UInt8[np.ndarray, "h w 3"]]]] = []
    for one in shown:
        if one.number in chosen or 0 < one.look <= _SHEET_ROWS:
            rgb, drawn = _read(folder, one, _SHEET_PX)
            if rgb is not None and drawn is not None:
                rows.append((_lines(one), [rgb, drawn]))
    return people_sheet(rows)


def _lines(shown: ShownFrame) -> list[str]:
    time = [] if shown.seconds is None else [clock(shown.seconds)]
    rank = [f"least sure: {shown.look}"] if shown.look else []
    if shown.outside:
        return [shown.frame, *time, OUTSIDE]
    return [shown.frame, *time, f"confidence {shown.confidence:.2f}", f"{percent(shown.share)} covered", *rank]


def _read(
    folder: Path, shown: ShownFrame, widest_px: int
) -> tuple[UInt8[np.ndarray, "h w 3"] | None, UInt8[np.ndarray, "h w 3"] | None]:
    """A shown frame, bare and with the outline of its mask; None for what is gone or damaged.

    A fault of the disk is neither: what is shown must not hang on it.
    """
    try:
        rgb = _fitted(read_picture(folder / FOLDER / f"{shown.frame}.jpg"), widest_px)
    except PictureError as error:
        if is_passing(error):
            raise
        return None, None
    try:
        mask = read_mask(mask_path(folder, shown.frame))
    except PictureError as error:
        if is_passing(error):
            raise
        return rgb, None
    top, left, height, width = shown.area
    small = cv2.resize(mask[top : top + height, left : left + width], rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
    return rgb, overlay(rgb, small > 127)


def _place(area: PictureArea) -> tuple[int, int, int, int]:
    return area.top, area.left, area.height_px, area.width_px


def _fitted(rgb: UInt8[np.ndarray, "H W 3"], widest_px: int, aspect: float = 1.0) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with square pixels, at most so wide and high; never enlarged."""
    height, width = rgb.shape[0], rgb.shape[1] * aspect
    scale = min(1.0, widest_px / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Halved first where it is to be halved at least; what is left is between neighbours. As good to look at as means
    # over areas that no whole pixels fill, which cost ten times as much.
    while min(rgb.shape[1] / size[0], rgb.shape[0] / size[1]) >= 2:
        rgb = cv2.resize(rgb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR)


def _encoded(rgb: UInt8[np.ndarray, "H W 3"]) -> bytes:
    settings = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), settings)[1].tobytes()
