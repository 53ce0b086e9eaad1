"""Instruments drawn as plain shapes: a straight shaft, and a head of two fingers where wanted."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

SHAPE = (160, 200)
SHAFT_RGB, WRIST_RGB, CLASPER_RGB, TISSUE_RGB = (60, 60, 70), (200, 200, 205), (120, 130, 150), (170, 60, 50)


def bar(start: tuple[float, float], end: tuple[float, float], width: float) -> Bool[np.ndarray, "H W"]:
    """A straight bar with blunt ends, from x, y to x, y."""
    return _filled([_corners(np.array(start), np.array(end), width, width)])


def instrument(
    start: tuple[float, float], end: tuple[float, float], width: float, open_by: float = 0.3
) -> tuple[Bool[np.ndarray, "H W"], UInt8[np.ndarray, "H W"], list[np.ndarray]]:
    """A shaft up to `end`, a thinner wrist of 1.2 widths and two fingers of 2 widths: mask, part codes, tips."""
    a, b = np.array(start, float), np.array(end, float)
    axis = (b - a) / np.linalg.norm(b - a)
    joint = b + 1.2 * width * axis
    parts = np.zeros(SHAPE, np.uint8)
    tips: list[np.ndarray] = []
    for sign in (-1, 1):
        c, s = np.cos(sign * open_by), np.sin(sign * open_by)
        tip = joint + 2 * width * np.array([c * axis[0] - s * axis[1], s * axis[0] + c * axis[1]])
        parts[_filled([_corners(joint, tip, 0.35 * width, 0.3 * width)])] = 30
        tips.append(tip)
    parts[_filled([_corners(b, joint, 0.8 * width, 0.6 * width)])] = 20
    parts[_filled([_corners(a, b, width, width)])] = 10
    return parts > 0, parts, tips


def picture(parts: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """The scene in colours, each part of its own material."""
    colors = np.zeros((31, 3), np.uint8)
    colors[0], colors[10], colors[20], colors[30] = TISSUE_RGB, SHAFT_RGB, WRIST_RGB, CLASPER_RGB
    noise = np.random.default_rng(0).integers(-8, 9, (*parts.shape, 3))
    return np.clip(colors[parts].astype(int) + noise, 0, 255).astype(np.uint8)


def _corners(a: np.ndarray, b: np.ndarray, width_a: float, width_b: float) -> np.ndarray:
    axis = (b - a) / np.linalg.norm(b - a)
    side = np.array([-axis[1], axis[0]])
    return np.array([a - side * width_a / 2, a + side * width_a / 2, b + side * width_b / 2, b - side * width_b / 2])


def _filled(polygons: list[np.ndarray]) -> Bool[np.ndarray, "H W"]:
    mask = np.zeros(SHAPE, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.rint(polygon * 16).astype(np.int32)], 1, shift=4)
    return mask > 0
