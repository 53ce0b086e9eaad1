"""Optical flow between two frames, and how far it can be believed."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from jaxtyping import Float32, Shaped, UInt8

FAST, MEDIUM = cv2.DISOPTICAL_FLOW_PRESET_FAST, cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
_PATCH_PX = 16  # the least side of a picture that has any


def flow(
    here: UInt8[np.ndarray, "H W"], there: UInt8[np.ndarray, "H W"], preset: int = MEDIUM
) -> Float32[np.ndarray, "H W 2"]:
    """By how much each pixel of `here` lies elsewhere in `there`, in pixels, x before y; nothing in tiny pictures.

    Dense inverse search (Kroeger et al., ECCV 2016).
    """
    if min(here.shape) < _PATCH_PX:
        return np.zeros((*here.shape, 2), np.float32)
    search = cv2.DISOpticalFlow.create(preset)
    # Not an array to write to: OpenCV would start the search from what is in it.
    return search.calc(here, there, cast(Any, None))


def fetched(
    maps: Shaped[np.ndarray, "H W ..."], by: Float32[np.ndarray, "H W 2"], border: int = cv2.BORDER_REPLICATE
) -> Shaped[np.ndarray, "H W ..."]:
    """What lies where `by` points to from each pixel, bilinear."""
    height, width = by.shape[:2]
    x = by[..., 0] + np.arange(width, dtype=np.float32)
    y = by[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return cast(np.ndarray, cv2.remap(maps, x, y, cv2.INTER_LINEAR, borderMode=border))


def missed_px(forth: Float32[np.ndarray, "H W 2"], back: Float32[np.ndarray, "H W 2"]) -> Float32[np.ndarray, "H W"]:
    """By how many pixels each pixel misses itself, there and back."""
    return np.linalg.norm(forth + fetched(back, forth), axis=2)
