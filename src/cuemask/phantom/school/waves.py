"""Quick smooth noise and winding lines: what organs, glare, stains and smoke of drawn scenes are made of."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32

from cuemask.phantom.fields import Field, Shape

Color = tuple[float, float, float]
Picture = Float32[np.ndarray, "H W 3"]


@lru_cache(maxsize=8)
def grid(shape: Shape) -> tuple[Field, Field]:
    """Place of each pixel, x and y from the picture's middle, in picture heights; not to be written to."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return (x - (width - 1) / 2) / np.float32(height), (y - (height - 1) / 2) / np.float32(height)


def waves(rng: np.random.Generator, shape: Shape, rows: float, columns: float | None = None) -> Field:
    """Gaussian noise with about `rows` waves to a picture height, as many to the same length across by default."""
    height, width = shape
    down = max(1, round(rows)) + 2
    across = max(1, round((rows if columns is None else columns) * width / height)) + 2
    dots = rng.standard_normal((down, across), np.float32)
    if down < 24 and across < 32:  # coarse ones are enlarged in two steps: twice as fast
        dots = cv2.resize(dots, (width // 2, height // 2), interpolation=cv2.INTER_CUBIC)
        return cv2.resize(dots, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
    return cv2.resize(dots, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32, copy=False)


def planes(field: Field) -> Picture:
    """`field` three times over, to multiply a picture with: numpy is slow at a last axis of 3."""
    return cv2.merge((field, field, field)).astype(np.float32, copy=False)


def rough(rng: np.random.Generator, shape: Shape, rows: float, octaves: int = 3, fall: float = 0.6) -> Field:
    """Sum of waves, each octave twice as fine and `fall` times as strong; standard deviation about 1."""
    field = waves(rng, shape, rows)
    for octave in range(1, octaves):
        field += np.float32(fall**octave) * waves(rng, shape, rows * 2**octave)
    return field / np.float32(0.8 * np.sqrt(sum(fall ** (2 * octave) for octave in range(octaves))))


def fibres(rng: np.random.Generator, shape: Shape, fine: float, length: float, bend: float) -> Field:
    """Noise drawn out along bent lines: `fine` waves a height across them, `length` along them."""
    angle = rng.uniform(0.0, np.pi)
    x, y = grid(shape)
    across = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    along = np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x
    across = across + np.float32(bend) * waves(rng, shape, 2.0) + np.float32(0.3 * bend) * waves(rng, shape, 5.0)
    dots = rng.standard_normal((97, 97), np.float32)
    columns, rows = np.mod(across * np.float32(fine), 96), np.mod(along * np.float32(length), 96)
    return cv2.remap(dots, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).astype(np.float32, copy=False)


def winding(
    rng: np.random.Generator, start: Float[np.ndarray, 2], heading: float, length: float, turn: float, steps: int = 16
) -> Float[np.ndarray, "N 2"]:
    """Points of a line that wanders: its heading changes by about `turn` radians a step."""
    headings = heading + np.cumsum(rng.normal(0.0, turn, steps))
    strides = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / steps)
    return start + np.cumsum(strides, axis=0)


def draw_line(ink: np.ndarray, points: Float[np.ndarray, "N 2"], width_px: float, value: float = 255.0) -> None:
    """Draw a line through `points` (px), smooth-edged; lines thinner than a pixel are drawn fainter."""
    fixed = np.round(points * 16.0).astype(np.int32)
    strength = value * min(1.0, max(0.25, width_px))
    cv2.polylines(ink, [fixed], False, strength, max(1, round(width_px)), cv2.LINE_AA, shift=4)


def drawn(
    rng: np.random.Generator, low: Color | Float[np.ndarray, 3], high: Color | Float[np.ndarray, 3]
) -> Float32[np.ndarray, 3]:
    """A colour between two, each channel a little on its own."""
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    share = rng.uniform(0.0, 1.0) + rng.uniform(-0.15, 0.15, 3)
    return np.clip(low + share * (high - low), 0.0, 1.0).astype(np.float32)


def any_color(rng: np.random.Generator) -> Float32[np.ndarray, 3]:
    """A colour of any hue, mostly not very full."""
    value, fullness = rng.uniform(0.08, 0.95), rng.beta(1.2, 1.6)
    tint = rng.uniform(0.0, 1.0, 3)
    tint = (tint - tint.min()) / (tint.max() - tint.min() + 1e-6)
    return (value * (1.0 - fullness * (1.0 - tint))).astype(np.float32)
