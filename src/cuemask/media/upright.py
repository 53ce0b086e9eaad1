"""Decoded frames as upright RGB, turned and mirrored as their stream says."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from cuemask.media.fields import is_combed, upper_field
from cuemask.media.threads import CONVERTING


def upright_rgb(frame: VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
    """Convert a decoded frame to RGB, turned and mirrored as its display matrix says, which is as FFmpeg does it.

    Turns that are not of a quarter are rounded to one. Where the frame is marked as interlaced, or seen to be, the
    upper field alone is shown: the picture of one instant.
    """
    rgb = frame.to_ndarray(format="rgb24", threads=CONVERTING)
    if len(rgb) > 2 and (frame.interlaced_frame or is_combed(rgb)):
        rgb = upper_field(rgb)
    matrix = _display_matrix(frame)
    if matrix is None:
        return rgb
    # A pixel at (x, y) is shown at (a x + c y, b x + d y), up to a shift.
    (a, b), (c, d) = matrix
    if is_turned(frame):
        rgb, (a, d) = rgb.swapaxes(0, 1), (c, b)
    return np.ascontiguousarray(rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def upright_size(frame: VideoFrame) -> tuple[int, int]:
    """Height and width of what `upright_rgb` makes of a frame."""
    return (frame.width, frame.height) if is_turned(frame) else (frame.height, frame.width)


def is_turned(frame: VideoFrame) -> bool:
    """Whether the upright picture's rows are the decoded one's columns."""
    matrix = _display_matrix(frame)
    return matrix is not None and bool(abs(matrix[0, 1]) > abs(matrix[0, 0]))


def _display_matrix(frame: VideoFrame) -> np.ndarray | None:
    told = frame.side_data.get("DISPLAYMATRIX")
    return None if told is None else np.frombuffer(bytes(told), np.int32).reshape(3, 3)[:2, :2]
