"""Instruments of whole frames: told apart in the endoscope's picture, reduced, and told in the frame's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.grouping.instrument import Instrument, scaled
from cuemask.grouping.labels import Labels, lifted, reduced
from cuemask.grouping.tracks import Tracker
from cuemask.media.area import PictureArea


@dataclass(frozen=True, eq=False)
class Reduced:
    """A frame's instruments in the reduced picture, and that picture."""

    labels: Labels
    found: list[Instrument]
    rgb: UInt8[np.ndarray, "h w 3"]


@dataclass
class WholeFrames:
    """Numbers the instruments of one clip, or of a live source, frame by frame; memory stays flat."""

    _tracker: Tracker = field(default_factory=Tracker)
    _inside: Bool[np.ndarray, "h w"] | None = None

    def push(self, mask: Bool[np.ndarray, "H W"], rgb: UInt8[np.ndarray, "H W 3"], area: PictureArea) -> Reduced:
        """Split the next frame's mask.

        Parameters
        ----------
        mask, rgb
            Of the whole frame.
        area
            Where the endoscope's picture lies in it.
        """
        small = reduced(np.ascontiguousarray(area.crop(mask)))
        if area.inside is None:
            self._inside = None
        elif self._inside is None or self._inside.shape != small.shape:
            self._inside = reduced(area.inside)
        picture = cv2.resize(area.crop(rgb), (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA)
        labels, found = self._tracker.push(small, self._inside, picture)
        return Reduced(labels, found, picture)


def at_full_size(told: Reduced, mask: Bool[np.ndarray, "H W"], area: PictureArea) -> tuple[Labels, list[Instrument]]:
    """Label map and instruments in the frame's pixels; instruments without a pixel there are left out."""
    height, width = mask.shape
    labels = area.paste(lifted(told.labels, np.ascontiguousarray(area.crop(mask))), height, width)
    factors = area.width_px / told.labels.shape[1], area.height_px / told.labels.shape[0]
    found = [_measured(labels, scaled(one, *factors, area.top, area.left)) for one in told.found]
    return labels, [one for one in found if one.area_px > 0]


def boxes_of(found: Sequence[Instrument]) -> dict[int, tuple[int, int, int, int]]:
    """The box of each instrument, by its number."""
    return {one.number: one.box for one in found}


def _measured(labels: Labels, one: Instrument) -> Instrument:
    """Box and area as they are at full size."""
    x0, y0, x1, y1 = one.box
    margin = 2 + round(3 * labels.shape[0] / 256)
    top, left = max(0, y0 - margin), max(0, x0 - margin)
    own = (labels[top : y1 + margin, left : x1 + margin] == one.number).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(own)
    box = (left + x, top + y, left + x + width, top + y + height)
    return replace(one, box=box, area_px=int(np.count_nonzero(own)))
