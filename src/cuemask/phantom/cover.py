"""How much of each pixel an outline covers, counted at finer places within the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from cuemask.phantom.fields import Shape

SIDE = 4  # places per pixel along each axis
PLACES = SIDE * SIDE
_FRACTION_BITS = 4  # OpenCV takes corners in sixteenths


@dataclass(frozen=True, eq=False)
class Patch:
    """The part of the picture that one outline touches.

    Attributes
    ----------
    place
        Rows and columns in the picture.
    covered
        How many of each pixel's 16 places show this outline: those that a later one hides do not count.
    """

    place: tuple[slice, slice]
    covered: UInt8[np.ndarray, "h w"]


def cover(outlines: Sequence[Float[np.ndarray, "_ 2"]], shape: Shape) -> list[Patch]:
    """Paint the outlines one over the other and count what each one still shows.

    OpenCV also fills the places that an edge touches: an outline gains about an eighth of a pixel a side.

    Parameters
    ----------
    outlines
        At most 255 polygons; corners x, y in px from the picture's upper left corner.
    shape
        Height and width of the picture in px.

    Returns
    -------
    list of Patch
        One for each outline; empty where it lies outside the picture.
    """
    height, width = shape
    labels = np.zeros((height * SIDE, width * SIDE), np.uint8)
    for label, outline in enumerate(outlines, start=1):
        fine = outline * SIDE - 0.5  # OpenCV counts from the middle of the first place
        cv2.fillPoly(labels, [np.round(fine * 2**_FRACTION_BITS).astype(np.int32)], label, shift=_FRACTION_BITS)
    return [_patch(labels, label, outline, shape) for label, outline in enumerate(outlines, start=1)]


def _patch(labels: UInt8[np.ndarray, "_ _"], label: int, outline: Float[np.ndarray, "_ 2"], shape: Shape) -> Patch:
    height, width = shape
    low, high = np.floor(outline.min(axis=0)) - 1, np.ceil(outline.max(axis=0)) + 2
    left, right = (int(v) for v in np.clip((low[0], high[0]), 0, width))
    top, bottom = (int(v) for v in np.clip((low[1], high[1]), 0, height))
    place = (slice(top, bottom), slice(left, right))
    if left == right or top == bottom:
        return Patch(place, np.zeros((bottom - top, right - left), np.uint8))
    fine = labels[top * SIDE : bottom * SIDE, left * SIDE : right * SIDE]
    shown = (fine == label).astype(np.uint8) * np.uint8(PLACES)  # their mean is the count, exactly
    return Patch(place, cv2.resize(shown, (right - left, bottom - top), interpolation=cv2.INTER_AREA))
