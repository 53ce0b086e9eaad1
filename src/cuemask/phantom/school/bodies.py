"""Organs as shaded bodies: an outline, a dome above it, a skin, and the glare of its wet surface."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from cuemask.phantom.fields import Field, Shape, mix, step
from cuemask.phantom.school.waves import Picture, draw_line, fibres, grid, planes, rough, waves, winding


@dataclass(frozen=True, eq=False)
class Skin:
    """What a body's surface looks like.

    Attributes
    ----------
    deep, light
        The two colours between which it varies, 0 to 1.
    grain
        `smooth`, `mottled`, `fibrous` or `lobular`.
    contrast
        How strongly the grain shows, about 0 to 0.5.
    bumps
        Unevenness of the surface; 0 is smooth, 1 is lumpy.
    wet
        Strength of its glare, 0 to 1.
    vessels
        How many vessels run over it, and their colour.
    """

    deep: Float32[np.ndarray, 3]
    light: Float32[np.ndarray, 3]
    grain: str
    contrast: float
    bumps: float
    wet: float
    vessels: int
    vessel_rgb: Float32[np.ndarray, 3]


@dataclass(frozen=True, eq=False)
class Outline:
    """Where a body lies.

    Attributes
    ----------
    depth
        Distance from its edge in picture heights, about; positive inside.
    dome
        Distance from the edge at which it is level.
    """

    depth: Field
    dome: float


def lump(rng: np.random.Generator, shape: Shape, size: float, longish: float = 2.2) -> Outline:
    """A closed, uneven body of about the radius `size` (heights), anywhere in the picture."""
    x, y = _turned(rng, shape)
    width = shape[1] / shape[0]
    middle_x, middle_y = rng.uniform(-0.6, 0.6) * width, rng.uniform(-0.6, 0.6)
    stretch = np.sqrt(rng.uniform(1.0, longish))
    radius = np.sqrt(((x - middle_x) / stretch) ** 2 + ((y - middle_y) * stretch) ** 2)
    depth = size - radius + size * rng.uniform(0.03, 0.22) * waves(rng, shape, max(1.0, 0.7 / size))
    return Outline(depth.astype(np.float32), float(size * rng.uniform(0.5, 1.2)))


def flank(rng: np.random.Generator, shape: Shape) -> Outline:
    """A large organ that fills one side of the picture, its edge bent."""
    x, y = _turned(rng, shape)
    edge = rng.uniform(-0.35, 0.45) + rng.uniform(-0.8, 0.8) * x**2
    depth = y - edge + rng.uniform(0.01, 0.08) * waves(rng, shape, rng.uniform(1, 6))
    return Outline(depth.astype(np.float32), float(rng.uniform(0.05, 0.6)))


def tube(rng: np.random.Generator, shape: Shape, radius: float) -> Outline:
    """A long bent organ, evenly wide or pinched by folds, that runs through the picture or ends in it."""
    x, y = _turned(rng, shape)
    # Never straight: what is straight is an instrument.
    middle = rng.uniform(-0.4, 0.4) + rng.choice((-1.0, 1.0)) * rng.uniform(0.25, 1.2) * x**2
    middle = middle + rng.uniform(0.0, 0.18) * np.sin(rng.uniform(2.0, 7.0) * x + rng.uniform(0.0, 6.3))
    slope = np.gradient(middle, axis=1) * shape[0]
    off = np.abs(y - middle) / np.sqrt(1.0 + slope**2)
    half = radius * (1.0 + rng.uniform(0.0, 0.25) * waves(rng, shape, 4.0))
    if rng.random() < 0.4:
        half = half * (1.0 - rng.uniform(0.1, 0.4) * np.abs(np.sin(rng.uniform(6.0, 20.0) * x)) ** 4)
    depth = half - off
    if rng.random() < 0.45:
        depth = np.minimum(depth, x - rng.uniform(-0.3, 0.3))
    return Outline(depth.astype(np.float32), float(radius))


def sheet(rng: np.random.Generator, shape: Shape) -> Outline:
    """A membrane or ligament held up between two places: two flanks cut it."""
    x, y = _turned(rng, shape)
    first = y - rng.uniform(-0.2, 0.3) + rng.uniform(-0.7, 0.7) * x + 0.03 * waves(rng, shape, 5.0)
    second = (
        rng.uniform(0.1, 0.4)
        - y
        + rng.uniform(-0.7, 0.7) * x
        + rng.uniform(-0.6, 0.6) * x**2
        + 0.03 * waves(rng, shape, 4.0)
    )
    return Outline(np.minimum(first, second).astype(np.float32), float(rng.uniform(0.02, 0.2)))


def fold(rng: np.random.Generator, shape: Shape) -> Outline:
    """A ridge along an arc, as of a colon's wall or a hem of peritoneum."""
    x, y = grid(shape)
    middle_x, middle_y = rng.uniform(-1.0, 1.0, 2)
    radius = np.sqrt((x - middle_x) ** 2 + (y - middle_y) ** 2 * rng.uniform(0.6, 1.6))
    half = rng.uniform(0.012, 0.08) * (1.0 + 0.4 * waves(rng, shape, 2.0))
    depth = half - np.abs(radius - rng.uniform(0.3, 1.0) + 0.02 * waves(rng, shape, 4.0))
    return Outline(depth.astype(np.float32), float(rng.uniform(0.02, 0.08)))


def paint(
    rng: np.random.Generator, rgb: Picture, outline: Outline, skin: Skin, opacity: float = 1.0
) -> Float32[np.ndarray, "H W 3"]:
    """Lay one body over the picture: its shadow below, its skin, its shading, its glare."""
    shape = (rgb.shape[0], rgb.shape[1])
    softness = float(np.exp(rng.uniform(np.log(0.004), np.log(0.03))))
    cover = np.clip(outline.depth / np.float32(softness) + np.float32(0.5), 0.0, 1.0)
    if not cover.any():
        return rgb
    rgb = _shadowed(rng, rgb, cover)
    slope_x, slope_y = slopes(_surface(rng, outline, skin))
    lean_x, lean_y = rng.normal(0.0, 0.35, 2)
    lit = (1.0 - lean_x * slope_x - lean_y * slope_y) / np.sqrt(1.0 + slope_x**2 + slope_y**2)
    lit = rng.uniform(0.1, 0.5) + np.clip(lit, 0.0, 1.5) * rng.uniform(0.5, 0.85)
    color = skin_colors(rng, shape, skin) * planes(lit.astype(np.float32))
    color += planes(glare(rng, slope_x, slope_y, skin.wet))
    return mix(rgb, color, (opacity * cover).astype(np.float32))


def skin_colors(rng: np.random.Generator, shape: Shape, skin: Skin) -> Float32[np.ndarray, "H W 3"]:
    """The skin's colour over the whole picture, under even light."""
    blend = step(0.5 + 0.42 * rough(rng, shape, rng.uniform(1, 5), 3))
    color = mix(np.broadcast_to(skin.deep, (*shape, 3)), skin.light.tolist(), blend)
    if skin.vessels:
        color = _with_vessels(rng, color, skin)
    return color * planes(1.0 + np.float32(skin.contrast) * _grain(rng, shape, skin.grain))


def glare(rng: np.random.Generator, slope_x: Field, slope_y: Field, wet: float) -> Float32[np.ndarray, "H W"]:
    """Glare where a wet surface, itself finely uneven, leans as the light asks: sheens, spots and specks."""
    shape = (slope_x.shape[0], slope_x.shape[1])
    if wet <= 0.0:
        return np.zeros(shape, np.float32)
    fine = rng.uniform(5, 45)
    uneven = rng.uniform(0.1, 0.7)
    off_x = slope_x + uneven * waves(rng, shape, fine) - rng.normal(0.0, 0.3)
    off_y = slope_y + uneven * waves(rng, shape, fine * rng.uniform(0.5, 1.0)) - rng.normal(0.0, 0.3)
    where = step(0.5 + 0.8 * waves(rng, shape, 3.0) + rng.uniform(-0.6, 0.3))
    squared = off_x**2 + off_y**2
    spots = np.exp(-rng.uniform(15.0, 70.0) * squared) * rng.uniform(0.6, 2.0)
    sheen = np.exp(-rng.uniform(1.5, 5.0) * squared) * rng.uniform(0.0, 0.3)
    return (wet * where * (spots + sheen)).astype(np.float32)


def slopes(height: Field) -> tuple[Field, Field]:
    """Slope along x and y of a surface whose height is in picture heights."""
    scale = height.shape[0] / 8.0
    return (
        cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=scale).astype(np.float32, copy=False),
        cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=scale).astype(np.float32, copy=False),
    )


def _surface(rng: np.random.Generator, outline: Outline, skin: Skin) -> Field:
    shape = (outline.depth.shape[0], outline.depth.shape[1])
    risen = np.clip(outline.depth / np.float32(outline.dome), 0.0, 1.0)
    height = outline.dome * rng.uniform(0.3, 0.9) * np.sqrt(1.0 - (1.0 - risen) ** 2 + np.float32(1e-3))
    broad = rng.uniform(2, 5)
    height = height + (skin.bumps * 0.05) * rough(rng, shape, broad, 4, 0.5)
    return height.astype(np.float32)


def _shadowed(rng: np.random.Generator, rgb: Picture, cover: Field) -> Picture:
    """Darken what lies beside the body, a little off it."""
    height, width = cover.shape
    small = cv2.resize(cover, (max(2, width // 4), max(2, height // 4)), interpolation=cv2.INTER_AREA)
    off_x, off_y = rng.normal(0.0, 0.012, 2) * height
    move = np.array([[1.0, 0.0, off_x], [0.0, 1.0, off_y]])
    small = cv2.warpAffine(small, move, (small.shape[1], small.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.004, 0.03) * height)
    shade = 1.0 - rng.uniform(0.1, 0.75) * cv2.resize(small, (width, height))
    return rgb * planes(shade.astype(np.float32))


def _grain(rng: np.random.Generator, shape: Shape, grain: str) -> Field:
    """Brightness of the skin's fine pattern around 0."""
    if grain == "smooth":
        return (0.4 * waves(rng, shape, 50.0)).astype(np.float32)
    if grain == "mottled":
        return rough(rng, shape, rng.uniform(10, 30), 3, 0.8)
    if grain == "fibrous":
        fine = rng.uniform(15, 60)
        return (fibres(rng, shape, fine, fine * rng.uniform(0.05, 0.25), 0.12) + 0.3 * waves(rng, shape, 60.0)).astype(
            np.float32
        )
    ridges = 1.0 - 2.2 * np.abs(rough(rng, shape, rng.uniform(6, 18), 2, 0.5))
    return (-np.clip(ridges, 0.0, 1.0) + 0.2 * waves(rng, shape, 50.0)).astype(np.float32)


def _with_vessels(rng: np.random.Generator, color: Picture, skin: Skin) -> Picture:
    height, width = color.shape[:2]
    ink = np.zeros((height, width), np.uint8)
    for _ in range(skin.vessels):
        start = rng.uniform(0.0, 1.0, 2) * (width, height)
        heading, length = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.2, 0.8) * height
        points = winding(rng, start, heading, length, 0.25)
        draw_line(ink, points, float(np.exp(rng.uniform(np.log(0.003), np.log(0.012)))) * height, rng.uniform(90, 255))
        for at in rng.integers(2, len(points), rng.integers(0, 4)):
            branch = winding(rng, points[at], heading + rng.normal(0.0, 0.9), 0.5 * length, 0.3, 10)
            draw_line(ink, branch, 0.003 * height, rng.uniform(60, 200))
    soft = cv2.GaussianBlur(ink, (0, 0), max(0.4, rng.uniform(0.001, 0.004) * height)).astype(np.float32) / 255.0
    return mix(color, skin.vessel_rgb.tolist(), np.float32(rng.uniform(0.3, 0.8)) * soft)


def _turned(rng: np.random.Generator, shape: Shape) -> tuple[Field, Field]:
    x, y = grid(shape)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * x + sine * y, cosine * y - sine * x
