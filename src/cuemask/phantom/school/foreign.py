"""Foreign things that are no instrument and not in the mask: needles, threads, gauze and clips."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cuemask.phantom.fields import step
from cuemask.phantom.school.bodies import Skin, lump, skin_colors, slopes
from cuemask.phantom.school.metals import draw_metal
from cuemask.phantom.school.parts import Layer, empty_layer, lay, strip
from cuemask.phantom.school.waves import any_color, draw_line, drawn, grid, rough, winding

Shape = tuple[int, int]


def thread(rng: np.random.Generator, shape: Shape) -> Layer:
    """A thin, long, bent thread of any colour, mostly violet, blue, black or white."""
    height, width = shape
    ink = np.zeros(shape, np.uint8)
    start = rng.uniform(0.0, 1.0, 2) * (width, height)
    points = winding(rng, start, rng.uniform(0.0, 6.3), rng.uniform(0.3, 1.5) * height, rng.uniform(0.03, 0.3), 30)
    draw_line(ink, points, rng.uniform(0.4, 2.2) * height / 192)
    cover = cv2.GaussianBlur(ink, (0, 0), 0.5).astype(np.float32) / np.float32(255.0)
    color = any_color(rng) if rng.random() < 0.5 else drawn(rng, (0.05, 0.05, 0.10), (0.85, 0.82, 0.92))
    return Layer(np.broadcast_to(color, (*shape, 3)).copy(), cover, cover)


def needle(rng: np.random.Generator, shape: Shape) -> Layer:
    """A bent steel needle."""
    height, width = shape
    ink = np.zeros(shape, np.uint8)
    middle, radius = rng.uniform(0.1, 0.9, 2) * (width, height), rng.uniform(0.04, 0.15) * height
    angles = rng.uniform(0.0, 6.3) + np.linspace(0.0, rng.uniform(1.5, 3.4), 24)
    points = middle + radius * np.stack([np.cos(angles), rng.uniform(0.3, 1.0) * np.sin(angles)], axis=1)
    draw_line(ink, points, rng.uniform(0.8, 2.6) * height / 192)
    cover = cv2.GaussianBlur(ink, (0, 0), 0.45).astype(np.float32) / np.float32(255.0)
    value = np.clip(rng.uniform(0.3, 0.9) + 0.3 * rough(rng, shape, 12.0, 1), 0.0, 1.4)
    return Layer(np.repeat(value[..., None], 3, axis=2).astype(np.float32), cover, cover)


def gauze(rng: np.random.Generator, shape: Shape) -> Layer:
    """A crumpled white cloth, woven, some of it soaked with blood."""
    outline = lump(rng, shape, rng.uniform(0.06, 0.4))
    cover = np.clip((outline.depth + 0.02 * rough(rng, shape, 14.0, 2)) / np.float32(0.012) + 0.5, 0.0, 1.0)
    slope_x, slope_y = slopes((0.05 * rough(rng, shape, rng.uniform(3, 8), 3)).astype(np.float32))
    white = drawn(rng, (0.62, 0.60, 0.58), (0.97, 0.96, 0.95))
    skin = Skin(white, white, "mottled", 0.03, 0.0, 0.0, 0, white)
    x, y = grid(shape)
    angle, fine = rng.uniform(0.0, 1.6), rng.uniform(120.0, 320.0)
    weave = np.sin(fine * (x * np.cos(angle) + y * np.sin(angle) + 0.2 * slope_x / fine * 40))
    weave = weave * np.sin(fine * (y * np.cos(angle) - x * np.sin(angle)))
    deep = rng.uniform(0.1, 0.6)
    lit = np.clip(1.0 - deep * slope_x - 0.8 * deep * slope_y, 0.3, 1.3) * (1.0 + rng.uniform(0.0, 0.18) * weave)
    rgb = skin_colors(rng, shape, skin) * lit[..., None]
    soaked = step(0.5 + 0.8 * rough(rng, shape, 3.0) - rng.uniform(0.0, 1.5)) * rng.uniform(0.0, 0.9)
    rgb = rgb * (1.0 - soaked[..., None] * np.array([0.35, 0.9, 0.85], np.float32))
    return Layer(rgb.astype(np.float32), cover.astype(np.float32), cover.astype(np.float32))


def clips(rng: np.random.Generator, shape: Shape) -> Layer:
    """One to four small clips left on a duct."""
    layer = empty_layer(shape)
    height, width = shape
    at, angle = rng.uniform(0.15, 0.85, 2) * (width, height), rng.uniform(0.0, 6.3)
    axis = np.array([np.cos(angle), np.sin(angle)])
    metal = draw_metal(rng, "bright", "steel", "plastic", "blue", "green")
    for _ in range(rng.integers(1, 5)):
        lay(rng, layer, strip(at, axis, rng.uniform(0.02, 0.07) * height, rng.uniform(0.004, 0.012) * height, metal))
        at = at + np.array([-axis[1], axis[0]]) * rng.uniform(0.02, 0.05) * height
    return layer


# Kinds and how often each is drawn.
FOREIGN: dict[str, tuple[Callable[[np.random.Generator, Shape], Layer], float]] = {
    "thread": (thread, 0.42),
    "needle": (needle, 0.12),
    "gauze": (gauze, 0.36),
    "clips": (clips, 0.10),
}
