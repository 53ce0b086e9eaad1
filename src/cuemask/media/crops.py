"""The part of a frame around one instrument, which is outlined: an exemplar."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.media.overlay import overlay

CROP_PX = (180, 240)  # height and width of an exemplar


def outlined_crop(rgb: UInt8[np.ndarray, "H W 3"], own: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "h w 3"]:
    """The part of a frame around an instrument, of `CROP_PX`, the instrument outlined.

    Parameters
    ----------
    own
        The instrument's pixels, one at least.
    """
    x, y, width, height = cv2.boundingRect(own.astype(np.uint8))
    tall, wide = CROP_PX
    scale = 1.15 * max(width / wide, height / tall)
    tall, wide = min(round(scale * tall), rgb.shape[0]), min(round(scale * wide), rgb.shape[1])
    top = int(np.clip(y + height / 2 - tall / 2, 0, rgb.shape[0] - tall))
    left = int(np.clip(x + width / 2 - wide / 2, 0, rgb.shape[1] - wide))
    place = slice(top, top + tall), slice(left, left + wide)
    drawn = overlay(np.ascontiguousarray(rgb[place]), np.ascontiguousarray(own[place]), style="outline")
    return cv2.resize(drawn, CROP_PX[::-1], interpolation=cv2.INTER_AREA)
