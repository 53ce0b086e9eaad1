"""The tissue that the camera moves over: folds, vessels, fat, a dark organ, blood."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from cuemask.phantom.fields import Field, Shape, layered_field, mix, region, smooth_field, step


@dataclass(frozen=True, eq=False)
class Tissue:
    """A piece of tissue larger than the picture.

    Attributes
    ----------
    rgb
        Colour under even light, 0 to 1, relief already shaded.
    surface
        Slope along x and along y (standard deviation about 1) and wetness (0 to 1): what decides the glare.
    """

    rgb: Float32[np.ndarray, "H W 3"]
    surface: Float32[np.ndarray, "H W 3"]


def grow_tissue(seed: int, shape: Shape, *, pale_fat: float, dark_organ: float, blood: float) -> Tissue:
    """Make the tissue of one scene.

    Parameters
    ----------
    seed
        The scene's seed.
    shape
        Height and width in px.
    pale_fat, dark_organ, blood
        Share of the tissue covered by each, 0 to 1.
    """
    rng = np.random.default_rng([seed, 1])
    fat = region(layered_field(rng, shape, (0.5, 0.16, 0.06, 0.03)), pale_fat, 0.3)
    organ = region(layered_field(rng, shape, (0.8, 0.3, 0.08)), dark_organ, 0.16) * (1.0 - fat)
    pool = region(layered_field(rng, shape, (0.3, 0.1, 0.04)), blood, 0.22)
    height = _relief(rng, shape) * _soft(1.0 - 0.55 * organ - 0.6 * pool) + 0.3 * _soft(fat)
    rgb = _flesh(rng, shape)
    rgb = mix(rgb, _organ_color(rng), 0.92 * organ)
    rgb = _with_vessels(rng, rgb, strength=1.0 - 0.7 * organ)
    rgb = mix(rgb, _fat_rgb(rng, shape), fat)
    rgb = mix(rgb, (0.36, 0.03, 0.04), 0.9 * pool)
    slope_x, slope_y = _slopes(height)
    wetness = step(0.5 + 0.45 * smooth_field(rng, shape, 0.25) + 0.4 * organ + 0.5 * pool - 0.2 * fat)
    shade = np.clip(1.0 - 0.22 * slope_y - 0.10 * slope_x - 0.07 * (slope_x**2 + slope_y**2), 0.38, 1.5)
    bumps = _slopes(layered_field(rng, shape, (0.05, 0.022), fall=0.45))
    surface = np.dstack([0.75 * slope_x + 0.55 * bumps[0], 0.75 * slope_y + 0.55 * bumps[1], wetness])
    return Tissue(np.clip(rgb * shade[..., None], 0.0, 1.0).astype(np.float32), surface.astype(np.float32, copy=False))


def _relief(rng: np.random.Generator, shape: Shape) -> Field:
    """Broad hills and, across them, long folds: the valleys of a bent wave."""
    hills = layered_field(rng, shape, (0.7, 0.3, 0.12), fall=0.45)
    bend = smooth_field(rng, shape, 0.6)
    angle = rng.uniform(0.0, np.pi)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / shape[0]
    along = np.cos(angle) * x + np.sin(angle) * y
    wave = np.sin(2.0 * np.pi * rng.uniform(1.5, 3.5) * along + 2.2 * bend)
    folds = (0.5 + 0.5 * wave) ** 2.5 * step(0.6 + 0.5 * smooth_field(rng, shape, 0.5))
    return (hills - 1.1 * folds).astype(np.float32)


def _soft(field: Field) -> Field:
    """The field without sharp edges, so that a relief made of it has no walls."""
    return cv2.GaussianBlur(field, (0, 0), 0.02 * field.shape[0]).astype(np.float32, copy=False)


def _slopes(height: Field) -> tuple[Field, Field]:
    """Slope along x and y, scaled together to standard deviation 1."""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
    scale = np.float32(np.sqrt((slope_x**2 + slope_y**2).mean() / 2.0) + 1e-6)
    return slope_x / scale, slope_y / scale


def _flesh(rng: np.random.Generator, shape: Shape) -> Float32[np.ndarray, "H W 3"]:
    """Reddish tissue between two reds, with paler membrane here and there and fine mottling."""
    deep = np.array([0.54, 0.21, 0.23]) + rng.uniform(-0.05, 0.05, 3)
    light = np.array([0.74, 0.41, 0.42]) + rng.uniform(-0.05, 0.05, 3)
    membrane = np.array([0.764, 0.574, 0.576]) + rng.uniform(-0.04, 0.04) + rng.uniform(-0.015, 0.015, 3)
    blend = step(0.5 + 0.3 * layered_field(rng, shape, (0.5, 0.2, 0.08, 0.03)))
    rgb = mix(np.broadcast_to(deep, (*shape, 3)), light.tolist(), blend)
    pale = region(layered_field(rng, shape, (0.4, 0.12, 0.04, 0.02)), rng.uniform(0.07, 0.18), 0.8)
    rgb = mix(rgb, membrane.tolist(), 0.82 * pale)
    mottling = layered_field(rng, shape, (0.06, 0.025, 0.012, 0.006), fall=0.75)
    return (rgb * (1.0 + 0.05 * mottling[..., None])).astype(np.float32)


def _fat_rgb(rng: np.random.Generator, shape: Shape) -> Float32[np.ndarray, "H W 3"]:
    """Yellowish lobules with redder seams."""
    fat = np.array([0.81, 0.65, 0.435]) + rng.uniform(-0.04, 0.04, 3)
    seam = np.array([0.74, 0.45, 0.32])
    lobules = np.abs(layered_field(rng, shape, (0.07, 0.035, 0.02)))
    rgb = mix(np.broadcast_to(fat, (*shape, 3)), seam.tolist(), 0.8 * step(1.0 - 2.2 * lobules))
    return (rgb * (0.90 + 0.12 * np.minimum(lobules, 1.5)[..., None])).astype(np.float32)


def _organ_color(rng: np.random.Generator) -> list[float]:
    return (np.array([0.25, 0.095, 0.085]) + rng.uniform(-0.02, 0.02, 3)).tolist()


def _with_vessels(
    rng: np.random.Generator, rgb: Float32[np.ndarray, "H W 3"], strength: Field
) -> Float32[np.ndarray, "H W 3"]:
    """Branching vessels drawn as random walks: thick ones soft and deep, thin ones crisp."""
    shape = (rgb.shape[0], rgb.shape[1])
    for thickness, count, opacity in ((0.010, 2, 0.35), (0.005, 4, 0.5), (0.0022, 9, 0.5)):
        ink = np.zeros(shape, np.uint8)
        for _ in range(count):
            _draw_vessel(rng, ink, thickness * shape[0])
        soft = cv2.GaussianBlur(ink, (0, 0), max(0.4, 0.35 * thickness * shape[0]))
        rgb = mix(rgb, (0.45, 0.07, 0.10), opacity * strength * (soft.astype(np.float32) / 255.0))
    return rgb


def _draw_vessel(rng: np.random.Generator, ink: np.ndarray, thickness_px: float, depth: int = 0) -> None:
    """One winding vessel and, at a random place along it, thinner branches."""
    stride = ink.shape[0] / 60.0
    start = rng.uniform(0.0, 1.0, 2) * (ink.shape[1], ink.shape[0])
    heading = rng.uniform(0.0, 2.0 * np.pi)
    _walk(rng, ink, start, heading, stride, thickness_px, depth)


def _walk(
    rng: np.random.Generator,
    ink: np.ndarray,
    start: np.ndarray,
    heading: float,
    stride: float,
    thickness_px: float,
    depth: int,
) -> None:
    steps = int(rng.integers(18, 42)) // (depth + 1)
    headings = heading + np.cumsum(rng.normal(0.0, 0.22, steps))
    points = start + stride * np.cumsum(np.stack([np.cos(headings), np.sin(headings)], axis=1), axis=0)
    fixed = np.round(points * 16.0).astype(np.int32)
    cv2.polylines(ink, [fixed], False, 255, max(1, round(thickness_px)), cv2.LINE_AA, shift=4)
    if depth < 2:
        for at in rng.integers(0, steps, 3):
            turn = rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0)
            _walk(rng, ink, points[at], headings[at] + turn, stride, 0.6 * thickness_px, depth + 1)
