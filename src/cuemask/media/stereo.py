"""Recordings of stereo endoscopes that hold both eyes' pictures in each frame, side by side or over and under."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

import cv2
import numpy as np
from jaxtyping import UInt8

from cuemask.errors import InputError

Eye = Literal["left", "right"]

# The eyes see the same scene a little shifted: thumbnails of this side hardly show the shift.
_THUMBNAIL_PX = 24
_ALIKE = 0.3


def half_of_eye(
    frames: Iterable[UInt8[np.ndarray, "H W 3"]], eye: Eye, name: str = "frames"
) -> tuple[int, int, int, int]:
    """Where one eye's picture lies in frames that hold both: top, left, height and width in pixels.

    The halves that resemble each other more are the two eyes: left and right, or top (the left eye) and bottom.

    Raises
    ------
    InputError
        If neither pair resembles each other.
    """
    beside, over, shape = list[float](), list[float](), (0, 0)
    for rgb in frames:
        shape = rgb.shape[:2]
        height, width = shape[0] // 2, shape[1] // 2
        beside.append(_likeness(rgb[:, :width], rgb[:, shape[1] - width :]))
        over.append(_likeness(rgb[:height], rgb[shape[0] - height :]))
    found = max(np.median(beside), np.median(over)) if beside else 0.0
    if found < _ALIKE:
        raise InputError(
            f"--stereo {eye}: no two halves of {name} show the same scene (likeness {found:.2f} of 1).",
            "Leave --stereo out, or cut the eye's picture out with --crop top,left,height,width.",
        )
    height, width = shape[0] // 2, shape[1] // 2
    if np.median(beside) >= np.median(over):
        return 0, 0 if eye == "left" else shape[1] - width, shape[0], width
    return 0 if eye == "left" else shape[0] - height, 0, height, shape[1]


def _likeness(one: UInt8[np.ndarray, "h w 3"], other: UInt8[np.ndarray, "h w 3"]) -> float:
    """Correlation of two pictures seen from afar, -1 to 1; 0 where one of them is flat."""
    first, second = _thumbnail(one), _thumbnail(other)
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale > 0 else 0.0


def _thumbnail(rgb: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    small = cast(np.ndarray, cv2.resize(grey, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA))
    return small.astype(np.float64) - small.mean()
