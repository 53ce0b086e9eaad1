"""How instruments move between two frames, as optical flow says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from cuemask.grouping.shafts import Shaft

FLOW_ROWS = 128  # optical flow is computed at so many rows


def small_grey(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w"]:
    """The picture in grey, at most `FLOW_ROWS` high."""
    height, width = rgb.shape[:2]
    rows = min(FLOW_ROWS, height)
    size = (max(16, round(width * rows / height)), max(16, rows))
    return cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def flow_between(one: UInt8[np.ndarray, "h w"], other: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w 2"]:
    """For each pixel of `one` the way to its place in `other`."""
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST).calc(one, other, cast(Any, None))


def moved_shaft(shaft: Shaft, flow: Float32[np.ndarray, "H W 2"] | None) -> Shaft:
    """A shaft where the flow along its axis takes it."""
    if flow is None:
        return shaft
    along = np.linspace(0, shaft.length, 16)
    x = np.clip(np.rint(shaft.entry[0] + along * shaft.direction[0]), 0, flow.shape[1] - 1).astype(int)
    y = np.clip(np.rint(shaft.entry[1] + along * shaft.direction[1]), 0, flow.shape[0] - 1).astype(int)
    first, last = np.median(flow[y[:8], x[:8]], axis=0), np.median(flow[y[8:], x[8:]], axis=0)
    entry = np.array(shaft.entry) + first
    end = np.array(shaft.end) + last
    axis = end - entry
    norm = float(np.linalg.norm(axis))
    if norm < 4.0:
        return shaft
    return replace(
        shaft, entry=(float(entry[0]), float(entry[1])), direction=(float(axis[0] / norm), float(axis[1] / norm))
    )
