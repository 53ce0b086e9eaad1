"""Instruments drawn over a frame: each in a colour of its own, with box and number, or each class in one."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16

from cuemask.media.overlay import RIM, Style, overlay

Box = tuple[int, int, int, int]
_TINT = 0.3  # how opaque an instrument's colour is

# Told apart by people with any colour vision (Okabe and Ito, 2008), begun anew after the last.
COLORS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178))


def color_of(number: int) -> tuple[int, int, int]:
    """Red, green and blue of instrument `number`, which counts from 1."""
    return COLORS[(number - 1) % len(COLORS)]


def with_numbers(
    rgb: UInt8[np.ndarray, "H W 3"],
    labels: UInt16[np.ndarray, "H W"],
    boxes: Mapping[int, Box],
    style: Style = "fill",
) -> UInt8[np.ndarray, "H W2 3"]:
    """A new picture with each instrument outlined in its colour, its box x0, y0, x1, y1 and its number.

    Parameters
    ----------
    labels
        0 where no instrument is, else its number.
    boxes
        Those that are drawn, by number.
    style
        As of `overlay.overlay`.
    """
    drawn = rgb.copy()
    line = max(1, round(rgb.shape[0] / 400))
    for number, (x0, y0, x1, y1) in boxes.items():
        color, place = color_of(number), np.s_[y0:y1, x0:x1]
        own = labels[place] == number
        if own.any():
            drawn[place] = overlay(drawn[place], own, color, "outline" if style == "outline" else "fill", _TINT)
        cv2.rectangle(drawn, (x0, y0), (x1 - 1, y1 - 1), RIM, line + 2)
        cv2.rectangle(drawn, (x0, y0), (x1 - 1, y1 - 1), color, line)
    for number, (x0, y0, _, _) in boxes.items():
        _write(drawn, str(number), (x0, y0), color_of(number))
    return np.concatenate([rgb, drawn], axis=1) if style == "side-by-side" else drawn


def with_classes(
    rgb: UInt8[np.ndarray, "H W 3"], codes: UInt8[np.ndarray, "H W"], style: Style = "fill", tint: float = _TINT
) -> UInt8[np.ndarray, "H W2 3"]:
    """A new picture with the pixels of each class outlined and tinted in its colour.

    Parameters
    ----------
    codes
        0 background, else the class, from 1.
    style, tint
        As of `overlay.overlay`.
    """
    drawn = rgb
    for code in np.unique(codes[codes > 0]).tolist():
        drawn = overlay(drawn, codes == code, color_of(code), "outline" if style == "outline" else "fill", tint)
    return np.concatenate([rgb, drawn], axis=1) if style == "side-by-side" else drawn


def _write(drawn: UInt8[np.ndarray, "H W 3"], text: str, corner: tuple[int, int], color: tuple[int, int, int]) -> None:
    """A number in its colour on a dark plate, inside the box's upper left corner."""
    scale, weight = max(0.35, drawn.shape[0] / 700), max(1, round(drawn.shape[0] / 350))
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    x = max(0, min(corner[0], drawn.shape[1] - wide - 6))
    y = max(0, min(corner[1], drawn.shape[0] - high - below - 6))
    cv2.rectangle(drawn, (x, y), (x + wide + 6, y + high + below + 4), RIM, cv2.FILLED)
    cv2.putText(drawn, text, (x + 3, y + high + 3), cv2.FONT_HERSHEY_SIMPLEX, scale, color, weight, cv2.LINE_AA)
