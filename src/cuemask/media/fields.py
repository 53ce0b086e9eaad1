"""Interlaced pictures: two fields, taken one after the other, in alternate rows; what moves is combed."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from jaxtyping import UInt8

# A tooth: both neighbours above and below are brighter, or darker, by more levels than noise makes. Two and more on end
# are a comb; a single one is a line in the picture.
_TOOTH = 12
# Shares of combed pixels: of rows, and how many times as many as there are along the other way.
_COMBED, _TIMES = 0.005, 5.0
_STRIDE = 16
_FEWEST_ROWS = 400  # interlaced video has 480 and more; in small pictures fine lines look like teeth


def is_combed(rgb: UInt8[np.ndarray, "H W 3"]) -> bool:
    """Whether a picture shows the teeth that motion leaves between two fields: across rows, not across columns.

    Pictures of few rows are never judged so.
    """
    green = rgb[..., 1]
    if len(green) < _FEWEST_ROWS:
        return False
    rows = _toothed(np.ascontiguousarray(green[:, ::_STRIDE]))
    if rows <= _COMBED:
        return False
    return rows > _TIMES * _toothed(np.ascontiguousarray(green[::_STRIDE].T))


def upper_field(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture of the field in the even rows alone; the rows between are the mean of those above and below."""
    whole = rgb.copy()
    between = whole[1:-1:2]
    between[:] = cv2.addWeighted(rgb[:-2:2], 0.5, rgb[2::2], 0.5, 0)
    if len(rgb) % 2 == 0:
        whole[-1] = rgb[-2]
    return whole


def _toothed(levels: UInt8[np.ndarray, "h w"]) -> float:
    """Share of pixels that stand out from both neighbours in their column to the same side, as the next one does."""
    above, middle, below = levels[:-2], levels[1:-1], levels[2:]
    brighter = cv2.min(cv2.subtract(middle, above), cv2.subtract(middle, below))
    darker = cv2.min(cv2.subtract(above, middle), cv2.subtract(below, middle))
    teeth = cast(np.ndarray, cv2.max(brighter, darker)) > _TOOTH
    return float((teeth[1:] & teeth[:-1]).mean()) if len(teeth) > 1 else 0.0
