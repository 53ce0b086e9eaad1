"""Skins of the organs that endoscopes look at, each drawn anew between limits."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from cuemask.phantom.school.bodies import Skin
from cuemask.phantom.school.waves import Color, any_color, drawn

# deep colour from, to; light colour from, to; grains; contrast, bumps, wetness and vessels up to
_Limits = tuple[Color, Color, Color, Color, tuple[str, ...], float, float, float, int]
_SKINS: dict[str, _Limits] = {
    "liver": ((0.22, 0.08, 0.09), (0.40, 0.22, 0.24), (0.36, 0.14, 0.13), (0.55, 0.30, 0.32), ("smooth", "mottled"), 0.05, 0.25, 0.6, 0),  # noqa: E501
    "gallbladder": ((0.40, 0.36, 0.36), (0.62, 0.58, 0.52), (0.52, 0.50, 0.52), (0.85, 0.80, 0.74), ("smooth", "mottled", "fibrous"), 0.09, 0.5, 0.9, 14),  # noqa: E501
    "bluish": ((0.22, 0.24, 0.32), (0.45, 0.46, 0.55), (0.40, 0.42, 0.50), (0.72, 0.72, 0.78), ("smooth", "mottled"), 0.07, 0.4, 0.9, 10),  # noqa: E501
    "fat": ((0.62, 0.36, 0.12), (0.85, 0.62, 0.36), (0.80, 0.54, 0.22), (1.00, 0.88, 0.62), ("lobular", "smooth", "mottled"), 0.14, 1.0, 0.8, 8),  # noqa: E501
    "bowel": ((0.62, 0.32, 0.28), (0.85, 0.56, 0.50), (0.80, 0.48, 0.42), (0.98, 0.80, 0.74), ("smooth", "mottled"), 0.06, 0.4, 0.9, 12),  # noqa: E501
    "peritoneum": ((0.52, 0.25, 0.25), (0.78, 0.52, 0.50), (0.68, 0.40, 0.38), (0.95, 0.78, 0.74), ("fibrous", "mottled"), 0.12, 0.6, 0.7, 14),  # noqa: E501
    "muscle": ((0.30, 0.07, 0.08), (0.55, 0.22, 0.22), (0.50, 0.14, 0.14), (0.80, 0.40, 0.38), ("fibrous", "mottled"), 0.18, 1.0, 0.8, 12),  # noqa: E501
    "fascia": ((0.60, 0.50, 0.46), (0.85, 0.74, 0.68), (0.78, 0.70, 0.66), (1.00, 0.95, 0.90), ("fibrous", "smooth"), 0.14, 0.6, 0.8, 6),  # noqa: E501
    "dissected": ((0.34, 0.12, 0.08), (0.62, 0.36, 0.24), (0.60, 0.34, 0.22), (0.92, 0.74, 0.56), ("fibrous", "lobular"), 0.25, 1.4, 0.9, 16),  # noqa: E501
    "cavity": ((0.01, 0.00, 0.00), (0.10, 0.03, 0.04), (0.05, 0.01, 0.02), (0.22, 0.10, 0.10), ("smooth", "mottled"), 0.10, 0.5, 0.3, 0),  # noqa: E501
    "blood": ((0.14, 0.00, 0.01), (0.36, 0.02, 0.03), (0.34, 0.01, 0.02), (0.60, 0.06, 0.07), ("smooth", "mottled"), 0.08, 0.5, 1.0, 0),  # noqa: E501
    "kidney": ((0.34, 0.22, 0.26), (0.52, 0.38, 0.42), (0.48, 0.34, 0.38), (0.72, 0.56, 0.60), ("smooth", "mottled"), 0.05, 0.3, 0.7, 8),  # noqa: E501
    "mucosa": ((0.62, 0.20, 0.04), (0.86, 0.46, 0.30), (0.85, 0.36, 0.08), (1.00, 0.66, 0.46), ("smooth", "mottled"), 0.06, 0.4, 1.0, 16),  # noqa: E501
    "bile": ((0.24, 0.22, 0.02), (0.50, 0.40, 0.10), (0.55, 0.45, 0.08), (0.80, 0.68, 0.24), ("smooth", "mottled"), 0.12, 0.6, 0.8, 4),  # noqa: E501
}  # fmt: skip
SKINS = (*_SKINS, "any")
_VESSELS: tuple[Color, Color] = ((0.30, 0.02, 0.04), (0.62, 0.16, 0.18))


def draw_skin(rng: np.random.Generator, name: str) -> Skin:
    """A skin of the named organ; `any` may have any colour."""
    if name == "any":
        return _any_skin(rng)
    deep, deep_to, light, light_to, grains, contrast, bumps, wet, vessels = _SKINS[name]
    return Skin(
        drawn(rng, deep, deep_to),
        drawn(rng, light, light_to),
        str(rng.choice(grains)),
        contrast * rng.uniform(0.4, 1.3),
        bumps * rng.uniform(0.3, 1.3),
        wet * rng.uniform(0.0, 1.2) if rng.random() < 0.8 else 0.0,
        int(rng.integers(0, vessels + 1)),
        _vessel_color(rng),
    )


def _any_skin(rng: np.random.Generator) -> Skin:
    color = any_color(rng)
    other = any_color(rng) if rng.random() < 0.4 else np.clip(color * rng.uniform(0.6, 1.5), 0.0, 1.0)
    return Skin(
        color,
        other.astype(np.float32),
        str(rng.choice(("smooth", "mottled", "fibrous", "lobular"))),
        rng.uniform(0.02, 0.25),
        rng.uniform(0.0, 1.2),
        rng.uniform(0.0, 1.0),
        int(rng.integers(0, 10)),
        any_color(rng),
    )


def _vessel_color(rng: np.random.Generator) -> Float32[np.ndarray, 3]:
    return drawn(rng, *_VESSELS) if rng.random() < 0.85 else any_color(rng)
