"""Masks and label maps: their size, their border, their parts."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt16

Labels = UInt16[np.ndarray, "H W"]
ROWS = 256  # instruments are told apart in masks of at most so many rows
_EDGE_PX = 2  # at that size, how far a full mask may reach beyond its reduced one
BORDER_PX = 3  # at that size, how far from the border a mask counts as touching it


def reduced(mask: Bool[np.ndarray, "H W"], rows: int = ROWS) -> Bool[np.ndarray, "h w"]:
    """The mask at `rows` rows, or as it is where it has no more."""
    height, width = mask.shape
    if height <= rows:
        return mask
    size = (max(1, round(width * rows / height)), rows)
    return cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) >= 128


def lifted(labels: UInt16[np.ndarray, "h w"], mask: Bool[np.ndarray, "H W"]) -> Labels:
    """Labels of a reduced mask at the size of `mask`: each pixel gets the label that lies next, within reach."""
    height, width = mask.shape
    near = spread(labels, np.ones(labels.shape, np.bool_), _EDGE_PX)
    full = cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST)
    full[~mask] = 0
    return full


def spread(labels: Labels, within: Bool[np.ndarray, "H W"], most: int) -> Labels:
    """Labels grown pixel by pixel into what is unlabelled of `within`, at most so many pixels far."""
    free = within & (labels == 0)
    if not free.any():
        return labels
    rows, columns = np.flatnonzero(free.any(axis=1)), np.flatnonzero(free.any(axis=0))
    place = np.s_[max(0, rows[0] - 1) : rows[-1] + 2, max(0, columns[0] - 1) : columns[-1] + 2]
    part, free = labels[place].copy(), free[place]
    square = np.ones((3, 3), np.uint8)
    for _ in range(most):
        new = free & (part == 0) & ((grown := cv2.dilate(part, square)) > 0)
        if not new.any():
            break
        part[new] = grown[new]
    labels = labels.copy()
    labels[place] = part
    return labels


def border_of(inside: Bool[np.ndarray, "H W"], width_px: int = BORDER_PX) -> Bool[np.ndarray, "H W"]:
    """The picture's outermost pixels."""
    square = np.ones((2 * width_px + 1, 2 * width_px + 1), np.uint8)
    inner = cv2.erode(inside.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return inside & (inner == 0)


def pieces(mask: Bool[np.ndarray, "H W"], smallest: float) -> list[Bool[np.ndarray, "H W"]]:
    """The connected parts of a mask that have so many pixels, the largest first."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    order = sorted(range(1, count), key=lambda n: -int(stats[n, cv2.CC_STAT_AREA]))
    return [labels == n for n in order if stats[n, cv2.CC_STAT_AREA] >= smallest]


def without_crumbs(mask: Bool[np.ndarray, "H W"], smallest: float) -> Bool[np.ndarray, "H W"]:
    """The mask without its connected parts that have fewer pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest
    keep[0] = False
    return keep[labels.astype(np.intp)]
