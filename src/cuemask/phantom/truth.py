"""What is true of a drawn frame: which part and which instrument each pixel shows, and where the tips are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.phantom.cover import PLACES, Patch
from cuemask.phantom.surfaces import Point, Surface

Seen = Bool[np.ndarray, "H W"]


@dataclass(frozen=True)
class Tip:
    """An end of an instrument that is seen, such as of one finger of a jaw.

    Attributes
    ----------
    instance
        Number of the instrument in the clip, from 1.
    x_px, y_px
        Place, from the picture's upper left corner; the middle of the first pixel is 0.5, 0.5.
    """

    instance: int
    x_px: float
    y_px: float


def covered_places(patches: Iterable[Patch], shape: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    """How many of each pixel's 16 places the patches show."""
    covered = np.zeros(shape, np.uint8)
    for patch in patches:
        covered[patch.place] += patch.covered
    return covered


def most_shown(
    codes: Sequence[int], patches: Sequence[Patch], covered: UInt8[np.ndarray, "H W"], seen: Seen
) -> UInt8[np.ndarray, "H W"]:
    """The code that most of each pixel shows, where `covered` is at least half of it and it is seen; else 0.

    Parameters
    ----------
    codes
        One for each patch, 1 to 255; of codes that show equally much the smallest is taken.
    patches
        What each outline shows.
    covered
        Places that any of them shows, 0 to 16.
    seen
        Where the endoscope sees the pixel.
    """
    shown, most = np.zeros(covered.shape, np.uint8), np.zeros(covered.shape, np.uint8)
    for code in sorted(set(codes)):
        count = covered_places([p for c, p in zip(codes, patches, strict=True) if c == code], covered.shape)
        shown[count > most] = code
        np.maximum(most, count, out=most)
    shown[~seen | (covered < PLACES // 2)] = 0
    return shown


def visible_tips(tools: Sequence[Sequence[Surface]], seen: Seen) -> list[Tip]:
    """The tips that lie in the picture and that no other instrument hides.

    Tips of one instrument that are closer than its outermost finger is wide are one: those of a closed jaw.

    Parameters
    ----------
    tools
        The surfaces of each instrument, from the lowest to the one on top.
    seen
        Where the endoscope sees the pixel.
    """
    tips: list[Tip] = []
    for n, surfaces in enumerate(tools):
        above = [surface for other in tools[n + 1 :] for surface in other]
        ends = [s.tip for s in surfaces if s.tip is not None]
        near_px = max((2.0 * s.half_width_px[1] for s in surfaces if s.tip is not None), default=0.0)
        tips += [
            Tip(n + 1, float(end[0]), float(end[1]))
            for end in _merged(ends, near_px)
            if _is_seen(end, seen) and not any(_hides(surface, end) for surface in above)
        ]
    return tips


def _merged(ends: list[Point], near_px: float) -> list[Point]:
    if len(ends) == 2 and float(np.linalg.norm(ends[0] - ends[1])) < near_px:
        return [(ends[0] + ends[1]) / 2.0]
    return ends


def _is_seen(place: Point, seen: Seen) -> bool:
    x, y = (int(np.floor(v)) for v in place)
    return 0 <= y < seen.shape[0] and 0 <= x < seen.shape[1] and bool(seen[y, x])


def _hides(surface: Surface, place: Point) -> bool:
    return cv2.pointPolygonTest(surface.outline.astype(np.float32), (float(place[0]), float(place[1])), False) >= 0
