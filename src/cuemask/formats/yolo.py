"""YOLO's segmentation: polygons, so that holes are lost; how many pixels is said."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool

from cuemask.formats.frames import LABEL, MaskFrame
from cuemask.media.files import make_folder

_DATA = f"path: .\ntrain: images/train\nval: images/train\nnames:\n  0: {LABEL}\n"
_QUARTER = 0.25  # of a pixel: what ends in one or two pixels gets corners around them, so that it has an area


def write_yolo(folder: Path, frames: Iterable[MaskFrame]) -> list[str]:
    """Write `labels/train/FRAME.txt`, a polygon a line, and `data.yaml`; the pictures belong into `images/train`.

    Corners are centres of pixels over the frame's size: who cuts the decimals off and fills the polygon with its
    outline, as Ultralytics does, gets every pixel but the holes back.

    Returns
    -------
    What polygons have lost.
    """
    make_folder(folder / "labels" / "train")
    (folder / "data.yaml").write_text(_DATA, encoding="utf-8", newline="\n")
    lost, frames_with_loss = 0, 0
    for frame in frames:
        contours = _outlines(frame.mask)
        path = folder / "labels" / "train" / f"{frame.stem}.txt"
        make_folder(path.parent)
        path.write_text(
            "".join(_line(contour, frame.mask.shape) for contour in contours), encoding="utf-8", newline="\n"
        )
        filled = cv2.drawContours(np.zeros(frame.mask.shape, np.uint8), contours, -1, 1, cv2.FILLED)
        differing = int(np.count_nonzero((filled > 0) != frame.mask))
        lost += differing
        frames_with_loss += differing > 0
    return [f"polygons have no holes: {lost:,} pixels of {frames_with_loss:,} frames were filled"] if lost else []


def _outlines(mask: Bool[np.ndarray, "H W"]) -> list[np.ndarray]:
    return list(cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0])


def _line(contour: np.ndarray, shape: tuple[int, ...]) -> str:
    height, width = shape
    corners = contour.reshape(-1, 2) + 0.5
    if len(corners) < 3:
        (dx, dy), aside = corners[-1] - corners[0], np.full(2, _QUARTER)
        aside[1] *= -1 if dx * dy > 0 else 1
        corners = np.concatenate([corners + aside, corners[::-1] - aside])
        if len(corners) == 2:  # a speck: the two other corners of the square around its centre
            corners = np.insert(corners, [1, 2], [[corners[1, 0], corners[0, 1]], [corners[0, 0], corners[1, 1]]], 0)
    return " ".join(["0", *(f"{value:.7f}" for value in (corners / (width, height)).ravel())]) + "\n"
