"""Contact sheets: for people frames with their outlines; for others what the cues and anchors say, a row a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_CELL_WIDTH_PX = 240
_GAP_PX = 4
_SIDE_PX = 190
_LINE_PX = 22
_TITLE_PX = 26
_WHITE = (255, 255, 255)
_TEXT_SIZES = (0.5, 0.45, 0.4, 0.35)


class Cell(NamedTuple):
    """One picture of the sheet: RGB, or a map in [0, 1] shown in grey."""

    title: str
    picture: UInt8[np.ndarray, "H W 3"] | Float[np.ndarray, "H W"]


def contact_sheet(rows: Sequence[tuple[str, Sequence[Cell]]]) -> UInt8[np.ndarray, "H W 3"]:
    """Rows of pictures of one size, titles above the columns, each row's name in its first cell.

    Parameters
    ----------
    rows
        The frame's name and its cells; all rows have the same titles.

    Raises
    ------
    ValueError
        Without any row.
    """
    if not rows:
        raise ValueError("a sheet needs at least one row")
    height, width = rows[0][1][0].picture.shape[:2]
    cell_height = max(1, round(_CELL_WIDTH_PX * height / width))
    lines = [_titles([cell.title for cell in rows[0][1]])]
    for name, cells in rows:
        pictures = [_fitted(cell.picture, cell_height) for cell in cells]
        _write(pictures[0], name, (6, cell_height - 8))
        lines.append(_joined(pictures, axis=1))
    return _joined(lines, axis=0)


def people_sheet(
    rows: Sequence[tuple[Sequence[str], Sequence[UInt8[np.ndarray, "_ _ 3"]]]],
) -> UInt8[np.ndarray, "H W 3"]:
    """Rows of two pictures each, a frame and the same with its outline, beside what is told of them.

    Parameters
    ----------
    rows
        Lines of text, and pictures of one size within the row.

    Raises
    ------
    ValueError
        Without any row.
    """
    if not rows:
        raise ValueError("a sheet needs at least one row")
    widest = max(sum(p.shape[1] for p in pictures) + _GAP_PX * len(pictures) for _, pictures in rows) + _SIDE_PX
    lines: list[np.ndarray] = []
    for told, pictures in rows:
        height = max(pictures[0].shape[0], _LINE_PX * len(told) + 10)
        side = np.full((height, _SIDE_PX, 3), 24, np.uint8)
        for number, text in enumerate(told, 1):
            _write(side, text, (8, _LINE_PX * number))
        line = _joined([side, *(_filled(picture, height, picture.shape[1]) for picture in pictures)], axis=1)
        lines.append(_filled(line, height, widest))
    return _joined(lines, axis=0)


def _filled(picture: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Black below and to the right of what is smaller."""
    below, right = height_px - picture.shape[0], width_px - picture.shape[1]
    return cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))


def _fitted(picture: np.ndarray, height_px: int) -> UInt8[np.ndarray, "h w 3"]:
    if picture.ndim == 2:
        grey = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    shrinks = picture.shape[0] > height_px
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, (_CELL_WIDTH_PX, height_px), interpolation=interpolation)


def _titles(titles: Sequence[str]) -> UInt8[np.ndarray, "h W 3"]:
    strips = [np.full((_TITLE_PX, _CELL_WIDTH_PX, 3), 32, np.uint8) for _ in titles]
    for strip, title in zip(strips, titles, strict=True):
        _write(strip, title, (6, _TITLE_PX - 8))
    return _joined(strips, axis=1)


def _write(picture: np.ndarray, text: str, place: tuple[int, int]) -> None:
    """White with a black rim; what is too long is written smaller and, if need be, without its beginning."""
    room = picture.shape[1] - 2 * place[0]
    size = next((s for s in _TEXT_SIZES if _width(text, s) <= room), _TEXT_SIZES[-1])
    while _width(text, size) > room:
        text = "..." + text.removeprefix("...")[1:]
    # Not a thicker stroke below: newer OpenCV then takes wider letters, which lie beside the white ones.
    for x, y, color in (*((x, y, (0, 0, 0)) for x in (-1, 0, 1) for y in (-1, 0, 1)), (0, 0, _WHITE)):
        where = (place[0] + x, place[1] + y)
        cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)


def _width(text: str, size: float) -> int:
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0]


def _joined(pictures: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Side by side (axis 1) or stacked (axis 0), with a gap between."""
    shape = list(pictures[0].shape)
    shape[axis] = _GAP_PX
    gap = np.zeros(shape, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)][:-1]
    return np.concatenate(parts, axis)
