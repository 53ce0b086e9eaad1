"""The flat outlines that instruments are drawn with, and how their material is shaded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from cuemask.phantom.fields import Field

Point = Float[np.ndarray, "2"]
Color = Float[np.ndarray, "3"]

# What metal mirrors of the tissue, and what blood on it takes away: red, green, blue.
_MIRRORED = np.array([1.0, 0.34, 0.38], np.float32)
_WITHOUT_RED = np.array([0.35, 0.80, 0.76], np.float32)


@dataclass(frozen=True, eq=False)
class Material:
    """What a surface is made of.

    Attributes
    ----------
    rgb
        Colour, 0 to 1.
    shine
        Strength of the highlight line, 0 to 1.
    pattern
        What is drawn on it: "shaft", "collar", "wrist", "finger", "tube", "blade" or "plain".
    soil
        Phases that decide where blood clings to it.
    """

    rgb: Color
    shine: float
    pattern: str
    soil: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Surface:
    """One flat outline of an instrument.

    Attributes
    ----------
    outline
        Corners in px from the picture's upper left corner, x before y.
    part
        EndoVis 2017 part code: 10 shaft, 20 wrist, 30 clasper.
    material
        How it is shaded.
    origin, axis
        Where its own axis starts, in px, and the axis' unit direction.
    length_px, half_width_px
        Length along the axis; half width at the start and at the end.
    tip
        Where it ends the instrument, in px; None if it does not.
    """

    outline: Float[np.ndarray, "N 2"]
    part: int
    material: Material
    origin: Point
    axis: Point
    length_px: float
    half_width_px: tuple[float, float]
    tip: Point | None = None

    def shade(self, x: Float32[np.ndarray, "1 W"], y: Float32[np.ndarray, "H 1"]) -> Float32[np.ndarray, "H W 3"]:
        """Colour at the pixels (x, y), as of a cylinder lit from the camera."""
        axis_x, axis_y = np.float32(self.axis[0]), np.float32(self.axis[1])
        x, y = x - np.float32(self.origin[0]), y - np.float32(self.origin[1])
        start, end = self.half_width_px
        along = x * axis_x + y * axis_y
        half_width = start + (end - start) * np.clip(along / np.float32(self.length_px), 0.0, 1.0)
        across = (y * axis_x - x * axis_y) / np.maximum(half_width, 0.5)
        along /= np.float32(2.0 * start)
        down = across * axis_x  # towards the picture's lower border, as far as the instrument lies level
        value = 0.28 + 0.80 * np.sqrt(np.clip(1.0 - 0.95 * across**2, 0.0, 1.0))
        value *= _pattern(self.material.pattern, along, across)
        line = 0.75 * np.exp(-(((across + 0.25 * axis_x) / 0.17) ** 2))
        line += 0.25 * np.exp(-(((across - 0.5) / 0.1) ** 2))
        rgb = value[..., None] * self.material.rgb.astype(np.float32)
        rgb += (self.material.shine * line * (0.8 + 0.2 * np.sin(1.7 * along)))[..., None]
        rgb += (0.07 + 0.12 * np.clip(down, 0.0, 1.0))[..., None] * _MIRRORED
        rgb *= 1.0 - self._soiled(along, across)[..., None] * _WITHOUT_RED
        return rgb.astype(np.float32, copy=False)

    def _soiled(self, along: Field, across: Field) -> Field:
        """How thick blood lies on it, 0 to 0.8."""
        first, second = self.material.soil
        patches = np.sin(2.1 * along + 1.1 * across + first) * np.sin(3.3 * along - 1.7 * across + second)
        patches += 0.2 * np.sin(12.0 * along + 5.0 * across + 2.0 * patches)
        return np.clip(1.2 * (patches - 0.50), 0.0, 0.6).astype(np.float32)


def bar(
    start: Point,
    axis: Point,
    length: float,
    half_width: tuple[float, float],
    px: int,
    part: int,
    material: Material,
) -> Surface:
    """A straight bar that widens or narrows evenly; lengths in picture heights of `px` each."""
    length = max(length, 1e-3)
    end, side = start + length * axis, normal(axis)
    first, last = half_width
    corners = np.stack([start + first * side, end + last * side, end - last * side, start - first * side])
    return Surface(corners * px, part, material, start * px, axis, length * px, (first * px, last * px))


def bowed_finger(
    root: Point, axis: Point, sign: float, width: float, px: int, part: int, material: Material
) -> Surface:
    """One finger of a jaw, bowed towards `sign`, so that closed fingers meet at their tips."""
    s = np.linspace(0.0, 1.0, 13)
    middle = 0.15 * width * sign * np.sin(np.pi * s)
    half = width * (0.21 - 0.11 * s**1.5) * np.sqrt(np.clip(1.02 - s**6, 0.0, 1.0))
    side = np.concatenate([middle + half, (middle - half)[::-1]])
    length = 1.9 * width
    along = length * np.concatenate([s, s[::-1]])
    outline = root + along[:, None] * axis + side[:, None] * normal(axis)
    widths = (0.32 * width * px, 0.20 * width * px)
    return Surface(outline * px, part, material, root * px, axis, length * px, widths, (root + length * axis) * px)


def normal(axis: Point) -> Point:
    """The direction a quarter turn from `axis`."""
    return np.array([-axis[1], axis[0]])


def _pattern(name: str, along: Field, across: Field) -> Field:
    """Brightness factor drawn on a surface; `along` in widths from its start, `across` -1 to 1."""
    if name == "shaft":
        streaks = 0.08 * np.sin(37.0 * across + 1.3 * np.sin(2.1 * along)) * np.sin(11.0 * across)
        rings = 0.5 * (np.abs((along % 2.9) - 0.7) < 0.09)
        return (1.0 + streaks - rings).astype(np.float32)
    if name == "collar":
        return (1.0 - 0.5 * (np.abs(along - 0.55) < 0.06)).astype(np.float32)
    if name == "plain":
        return np.ones_like(along)
    if name == "tube":
        holes = ((along - 0.45) % 0.8 - 0.4) ** 2 + (0.5 * across) ** 2
        return (1.0 - 0.8 * (holes < 0.02) * (along < 2.0) - 0.6 * (along < 0.12)).astype(np.float32)
    if name == "blade":
        return (1.0 + 0.35 * (across > 0.3) - 0.5 * (np.abs(along - 0.35) < 0.12)).astype(np.float32)
    if name == "wrist":
        pin = (along - 0.55) ** 2 + (0.5 * across) ** 2
        slits = 0.4 * (np.abs(np.abs(across) - 0.55) < 0.10) * (along > 0.3)
        return (1.0 - slits - 0.6 * (np.abs(pin - 0.06) < 0.02)).astype(np.float32)
    teeth = 0.35 * (np.sin(20.0 * along) > 0.3) * (across > 0.15)
    groove = 0.6 * (np.abs(across) < 0.2) * (along > 0.5) * (along < 2.3)
    return (1.0 - teeth - groove).astype(np.float32)
