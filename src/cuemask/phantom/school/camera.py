"""What an endoscope makes of a scene: its light, haze, lens, sensor, round opening, screen text and compression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.phantom.fields import Field, Shape, mix
from cuemask.phantom.school.waves import Picture, grid, planes, waves

_BANK = 4  # pieces of noise that sensors share


@dataclass(frozen=True)
class Opening:
    """The round opening that the endoscope sees through; lengths in picture heights from the middle."""

    middle_x: float
    middle_y: float
    radius: float
    border: float  # level of what lies outside, 0 to 1


def draw_opening(rng: np.random.Generator, shape: Shape) -> Opening | None:
    """A round picture on black, in two pictures of five."""
    if rng.random() < 0.58:
        return None
    # From a whole disc to one whose corners alone are cut off.
    corner = 0.5 * float(np.hypot(1.0, shape[1] / shape[0]))
    middle = rng.normal(0.0, 0.03, 2)
    return Opening(
        float(middle[0]), float(middle[1]), float(rng.uniform(0.5, 0.97 * corner)), float(rng.uniform(0, 0.09))
    )


def seen_through(opening: Opening | None, shape: Shape) -> Field:
    """How much of each pixel the endoscope sees, 0 to 1."""
    if opening is None:
        return np.ones(shape, np.float32)
    x, y = grid(shape)
    radius = np.sqrt((x - np.float32(opening.middle_x)) ** 2 + (y - np.float32(opening.middle_y)) ** 2)
    return np.clip((np.float32(opening.radius) - radius) * np.float32(shape[0]) + np.float32(0.5), 0.0, 1.0)


def light(rng: np.random.Generator, shape: Shape) -> Field:
    """Brightness of the headlight over the picture: a hot spot, dark corners, depth that swallows it."""
    x, y = grid(shape)
    off = rng.normal(0.0, 0.22, 2)
    squared = (x - np.float32(off[0])) ** 2 + (y - np.float32(off[1])) ** 2
    falls = 1.0 / (1.0 + rng.uniform(0.0, 3.5) * squared)
    depth = np.exp(rng.uniform(0.0, 0.45) * waves(rng, shape, 2.0))
    return (falls * depth).astype(np.float32)


def develop(
    rng: np.random.Generator, rgb: Picture, opening: Opening | None
) -> tuple[UInt8[np.ndarray, "H W 3"], Bool[np.ndarray, "H W"]]:
    """The picture that comes out of the camera, and where the endoscope's picture is."""
    shape = (rgb.shape[0], rgb.shape[1])
    rgb = cv2.transform(rgb, np.diag(_cast(rng, float(np.percentile(rgb[::7, ::7], 90))))).astype(
        np.float32, copy=False
    )
    rgb = _hazed(rng, rgb)
    rgb = _focused(rng, rgb)
    np.clip(rgb, 0.0, 1.0, out=rgb)
    rgb = cv2.pow(rgb, float(np.exp(rng.normal(0.0, 0.22))))
    rgb = _toned(rng, rgb.astype(np.float32, copy=False))
    seen = seen_through(opening, shape)
    if opening is not None:
        rgb = rgb * planes(seen) + planes(np.float32(opening.border) * (1.0 - seen))
    levels = rgb * np.float32(255.0) + _noise(rng, shape)
    picture = np.clip(levels + np.float32(0.5), 0.0, 255.0).astype(np.uint8)
    if rng.random() < 0.08:
        _write_on(rng, picture)
    if rng.random() < 0.05:
        picture = _interlaced(rng, picture)
    return (_compressed(rng, picture) if rng.random() < 0.6 else picture), seen >= 0.5


def _cast(rng: np.random.Generator, bright: float) -> Float32[np.ndarray, 3]:
    """Exposure, which the camera sets by what is bright, and the colour cast of its white balance."""
    wanted = rng.uniform(0.45, 1.05) if rng.random() < 0.85 else rng.uniform(0.2, 1.6)
    gain = np.clip(wanted / max(bright, 0.05), 0.4, 4.0)
    gains = gain * np.exp(rng.normal(0.0, 0.10, 3))
    if rng.random() < 0.06:
        gains = gains * np.exp(rng.normal(0.0, 0.35, 3))
    return gains.astype(np.float32)


def _hazed(rng: np.random.Generator, rgb: Picture) -> Picture:
    """Smoke over all or a part of some pictures."""
    if rng.random() < 0.82:
        return rgb
    shape = (rgb.shape[0], rgb.shape[1])
    thick = np.clip(rng.uniform(0.0, 0.55) + 0.25 * waves(rng, shape, rng.uniform(1, 4)), 0.0, 0.9)
    gray = np.array([0.55, 0.53, 0.54], np.float32) * np.float32(rng.uniform(0.6, 1.5))
    return mix(rgb, gray.tolist(), thick.astype(np.float32))


def _focused(rng: np.random.Generator, rgb: Picture) -> Picture:
    """Blur of the lens or of motion; some cameras sharpen."""
    kind = rng.random()
    if kind < 0.5:
        return cv2.GaussianBlur(rgb, (0, 0), 0.25 + rng.exponential(0.45)).astype(np.float32, copy=False)
    if kind < 0.6:
        reach = int(rng.integers(3, 10))
        line = np.zeros((reach, reach), np.float32)
        angle = rng.uniform(0.0, np.pi)
        half = 0.5 * (reach - 1) * np.array([np.cos(angle), np.sin(angle)])
        ends = [tuple(np.round(0.5 * (reach - 1) + sign * half).astype(int).tolist()) for sign in (-1, 1)]
        cv2.line(line, ends[0], ends[1], 1.0)
        return cv2.filter2D(rgb, -1, line / line.sum()).astype(np.float32, copy=False)
    if kind < 0.8:
        soft = cv2.GaussianBlur(rgb, (0, 0), 1.2)
        return (rgb + rng.uniform(0.2, 1.0) * (rgb - soft)).astype(np.float32)
    return rgb


def _toned(rng: np.random.Generator, rgb: Picture) -> Picture:
    """Saturation and contrast as the console sets them; some pictures in grey or with channels swapped."""
    if rng.random() < 0.02:
        rgb = np.ascontiguousarray(rgb[..., rng.permutation(3)])
    fullness = rng.uniform(0.6, 1.35) if rng.random() < 0.96 else 0.0
    contrast = np.exp(rng.normal(0.0, 0.12))
    across = np.full((3, 3), (1.0 - fullness) / 3.0) + fullness * np.eye(3)
    matrix = np.hstack([contrast * across, np.full((3, 1), 0.45 * (1.0 - contrast))])
    return cv2.transform(rgb, matrix).astype(np.float32, copy=False)


def _noise(rng: np.random.Generator, shape: Shape) -> Float32[np.ndarray, "H W 3"]:
    """Sensor noise in grey levels: a window on one of a few larger pieces, some of it smoothed to grains."""
    pieces = _noise_bank((shape[0] + 64, shape[1] + 64))
    top, left = rng.integers(0, 64, 2)
    piece = pieces[rng.integers(len(pieces))]
    return piece[top : top + shape[0], left : left + shape[1]] * np.float32(rng.exponential(2.0))


@lru_cache(maxsize=8)
def _noise_bank(shape: Shape) -> list[Picture]:
    rng = np.random.default_rng(0)
    pieces: list[Picture] = []
    for n in range(_BANK):
        piece = rng.standard_normal((*shape, 3), np.float32)
        if n % 2:
            piece = np.float32(1.8) * cv2.GaussianBlur(piece, (0, 0), 0.7)
        pieces.append(piece.astype(np.float32, copy=False))
    return pieces


def _write_on(rng: np.random.Generator, picture: UInt8[np.ndarray, "H W 3"]) -> None:
    """Text and frames of the console near the rim, in place."""
    height, width = picture.shape[:2]
    color = [int(level) for level in rng.choice([[255, 255, 255], [255, 255, 0], [0, 255, 0], [90, 160, 255]])]
    for _ in range(rng.integers(1, 4)):
        text = "".join(rng.choice(list("ABCDEHILMNORSTX0123456789:/ "), rng.integers(2, 12)))
        row = int(rng.choice([rng.uniform(0.03, 0.12), rng.uniform(0.9, 0.99)]) * height)
        place = (int(rng.uniform(-0.05, 0.85) * width), row)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.2, 0.5), color, 1, cv2.LINE_AA)
    if rng.random() < 0.3:
        left, top = int(rng.choice([0.0, 0.75]) * width), int(rng.choice([0.0, 0.8]) * height)
        cv2.rectangle(picture, (left, top), (left + width // 4, top + height // 5), color, 1)


def _interlaced(rng: np.random.Generator, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Every other row a little aside, as of a camera that moved between two fields."""
    picture = picture.copy()
    picture[1::2] = np.roll(picture[1::2], int(rng.integers(1, 3)), axis=1)
    return picture


def _compressed(rng: np.random.Generator, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """The same after JPEG: blocks and bleeding colours."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 96))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
