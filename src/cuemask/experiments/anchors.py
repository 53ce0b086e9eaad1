"""Anchors as masks: what they would give under Otsu, without any network (table 2)."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cuemask.cues.clip import KeptClip
from cuemask.inference.thresholds import mask_of
from cuemask.recipe import MasksRecipe

OTSU = MasksRecipe()


def mask_under_otsu(
    values: Float32[np.ndarray, "h w"], kept: KeptClip, height_px: int, width_px: int
) -> Bool[np.ndarray, "H W"]:
    """A map at working size as a mask at the frame's own: enlarged, then split by Otsu within the picture."""
    area = kept.area.of(height_px, width_px)
    size = (area.width_px, area.height_px)
    p = cv2.resize(np.ascontiguousarray(values), size, interpolation=cv2.INTER_LINEAR)
    return area.paste(mask_of(p, area.inside, OTSU), height_px, width_px)
