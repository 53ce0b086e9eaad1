"""What drawn instruments are made of, and the light on a cylinder or a plate of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from cuemask.phantom.school.waves import Color, drawn

_ACROSS = 128  # places across an instrument at which its shading is worked out


@dataclass(frozen=True, eq=False)
class Metal:
    """A material, metal or not.

    Attributes
    ----------
    rgb
        Colour, 0 to 1.
    bands
        Lines of light along the axis: place across (-1 to 1), width and strength of each.
    roundness
        1 shades it as a cylinder, 0 as a plate.
    ambient
        How bright its darkest side is beside its brightest.
    streaks
        Strength of the fine lines that brushing leaves along the axis.
    mirror
        How much of the tissue's colour it throws back, 0 to 1.
    wear
        Unevenness of its brightness along the axis.
    """

    rgb: Float32[np.ndarray, 3]
    bands: tuple[tuple[float, float, float], ...]
    roundness: float
    ambient: float
    streaks: float
    mirror: float
    wear: float

    def plain(self, brightness: float = 1.0) -> Metal:
        """The same without lines of light, brighter or darker: for slots, pins and edges."""
        return replace(self, rgb=np.clip(self.rgb * np.float32(brightness), 0.0, 1.0), bands=(), roundness=0.3)

    def profile(self, rng: np.random.Generator) -> Float32[np.ndarray, "N 3"]:
        """Its colour across the axis, from one edge to the other."""
        s = np.linspace(-1.0, 1.0, _ACROSS, dtype=np.float32)
        facing = np.sqrt(np.clip(1.0 - s**2, 0.0, 1.0))
        lean = rng.uniform(-0.6, 0.6)
        lit = np.clip(facing + lean * s, 0.0, None) / np.sqrt(1.0 + lean**2)
        value = 1.0 - self.roundness + self.roundness * (self.ambient + (1.0 - self.ambient) * lit)
        if self.streaks > 0.0:
            value = value * (1.0 + self.streaks * rng.standard_normal(_ACROSS).astype(np.float32))
        rgb = value[:, None] * self.rgb
        for place, width, strength in self.bands:
            rgb = rgb + (strength * np.exp(-(((s - place) / width) ** 2)))[:, None]
        return np.clip(rgb, 0.0, 1.6).astype(np.float32)


# colour from, to; bands (most, strongest); roundness; ambient; streaks; mirror; wear
_Limits = tuple[Color, Color, int, float, tuple[float, float], tuple[float, float], float, float, float]
_METALS: dict[str, _Limits] = {
    "steel": ((0.35, 0.35, 0.36), (0.80, 0.79, 0.80), 4, 0.8, (0.4, 1.0), (0.1, 0.5), 0.06, 0.45, 0.25),
    "bright": ((0.70, 0.70, 0.72), (0.98, 0.98, 1.00), 4, 0.9, (0.2, 0.9), (0.2, 0.7), 0.05, 0.25, 0.20),
    "dark": ((0.14, 0.14, 0.15), (0.36, 0.35, 0.36), 3, 0.5, (0.5, 1.0), (0.2, 0.6), 0.08, 0.35, 0.25),
    "matt": ((0.08, 0.08, 0.09), (0.34, 0.35, 0.38), 1, 0.22, (0.4, 1.0), (0.3, 0.8), 0.03, 0.10, 0.10),
    "black": ((0.01, 0.01, 0.01), (0.10, 0.10, 0.11), 2, 0.45, (0.5, 1.0), (0.2, 0.6), 0.04, 0.08, 0.15),
    "brushed": ((0.22, 0.22, 0.23), (0.52, 0.52, 0.53), 2, 0.25, (0.4, 1.0), (0.2, 0.5), 0.22, 0.20, 0.25),
    "ceramic": ((0.80, 0.78, 0.76), (1.00, 1.00, 1.00), 1, 0.6, (0.2, 0.8), (0.4, 0.8), 0.01, 0.10, 0.05),
    "gold": ((0.50, 0.36, 0.12), (0.85, 0.70, 0.42), 3, 0.7, (0.4, 1.0), (0.2, 0.5), 0.06, 0.30, 0.25),
    "blue": ((0.05, 0.15, 0.40), (0.35, 0.55, 0.95), 2, 0.4, (0.3, 1.0), (0.3, 0.7), 0.02, 0.05, 0.10),
    "green": ((0.05, 0.30, 0.15), (0.45, 0.85, 0.60), 2, 0.4, (0.3, 1.0), (0.3, 0.7), 0.02, 0.05, 0.10),
    "plastic": ((0.30, 0.30, 0.30), (0.95, 0.95, 0.92), 2, 0.4, (0.3, 1.0), (0.3, 0.7), 0.01, 0.10, 0.10),
    "tissue": ((0.45, 0.25, 0.22), (0.85, 0.62, 0.55), 4, 0.8, (0.4, 1.0), (0.1, 0.5), 0.06, 0.60, 0.30),
    "clear": ((0.75, 0.60, 0.40), (1.00, 0.95, 0.80), 3, 0.6, (0.2, 0.8), (0.3, 0.7), 0.04, 0.50, 0.15),
}
METALS = tuple(_METALS)


def draw_metal(rng: np.random.Generator, *names: str) -> Metal:
    """One of the named materials, its look drawn between its limits."""
    low, high, most, strongest, roundness, ambient, streaks, mirror, wear = _METALS[str(rng.choice(names))]
    count = int(rng.integers(0, most + 1))
    bands = [
        (
            float(rng.uniform(-0.9, 0.9)),
            float(np.exp(rng.uniform(np.log(0.05), np.log(0.4)))),
            float(strongest * rng.uniform(0.2, 1.0) * (1.0 if rng.random() < 0.8 else -0.6)),
        )
        for _ in range(count)
    ]
    return Metal(
        drawn(rng, low, high) if rng.random() < 0.3 else _one(rng, low, high),
        tuple(bands),
        rng.uniform(*roundness),
        rng.uniform(*ambient),
        streaks * rng.uniform(0.0, 1.5),
        mirror * rng.uniform(0.2, 1.2),
        wear * rng.uniform(0.2, 1.4),
    )


def _one(rng: np.random.Generator, low: Color, high: Color) -> Float32[np.ndarray, 3]:
    """A colour between two, all channels together: grey stays grey."""
    share = rng.uniform(0.0, 1.0)
    return (np.asarray(low) + share * (np.asarray(high) - np.asarray(low))).astype(np.float32)
