"""Anchors as masks: what they would give under Otsu, without any network (table 2)."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cuemask.cues.clip import KeptClip
from cuemask.inference.thresholds import mask_of
from cuemask.recipe import MasksRecipe

OTSU = MasksRecipe()


def inverted(
    negative: Float32[np.ndarray, "h w"], inside: Bool[np.ndarray, "h w"] | None
) -> Float32[np.ndarray, "h w"]:
    """1 - the negative anchor within the endoscope's picture, and like the positive anchor 0 outside it.

    Else 1 would flow in from outside where the map is enlarged, and a single cue's two masks would differ at the rim.
    """
    return 1 - negative if inside is None else np.where(inside, 1 - negative, np.float32(0))


def mask_under_otsu(
    values: Float32[np.ndarray, "h w"], kept: KeptClip, height_px: int, width_px: int
) -> Bool[np.ndarray, "H W"]:
    """A map at working size as a mask at the frame's own: enlarged, then split by Otsu within the picture."""
    area = kept.area.of(height_px, width_px)
    size = (area.width_px, area.height_px)
    p = cv2.resize(np.ascontiguousarray(values), size, interpolation=cv2.INTER_LINEAR)
    return area.paste(mask_of(p, area.inside, OTSU), height_px, width_px)
