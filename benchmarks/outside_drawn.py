"""What a camera sees outside the body, drawn; and hard pictures from within, made of frames.

Each drawing takes the picture's size, a generator that decides what it is like, and how far it has moved.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cuemask.phantom.fields import smooth_field

Drawing = Callable[[tuple[int, int], np.random.Generator, float, np.ndarray], np.ndarray]
TOWELS = ((50, 115, 90), (60, 100, 165), (150, 165, 175), (35, 70, 60))
GLOVES = ((215, 218, 214), (95, 150, 205), (70, 145, 120), (222, 205, 170))
WALLS = ((150, 152, 155), (70, 74, 78), (175, 185, 180), (110, 135, 150))


def towel(size: tuple[int, int], rng: np.random.Generator, moved: float, tissue: np.ndarray) -> np.ndarray:
    """Woven cloth with folds; every fourth one is stained with blood."""
    color, stained = np.array(TOWELS[rng.integers(4)], float), rng.random() < 0.25
    x, y = _grid(size, moved)
    folds = 0.75 + 0.25 * np.sin(3 * x + 2 * np.sin(2 * y + rng.uniform(0, 6)) + rng.uniform(0, 6))
    weave = 1 + 0.08 * np.sign(np.sin(140 * x) * np.sin(140 * y))
    rgb = color * (folds * weave)[..., None]
    if stained:
        rgb[np.hypot(x - moved - 0.7, y - 0.4) < 0.2] = (110, 18, 16)
    return _lit(rgb, x - moved, y)


def glove(size: tuple[int, int], rng: np.random.Generator, moved: float, tissue: np.ndarray) -> np.ndarray:
    """Fingers in white, blue, green or cream before a drape."""
    color, drape = np.array(GLOVES[rng.integers(4)], float), np.array(TOWELS[rng.integers(2)], float)
    x, y = _grid(size, moved)
    rgb = np.broadcast_to(0.5 * drape, (*size, 3)).copy()
    for _ in range(4):
        middle, wide, lean = rng.uniform(0.1, 1.2), rng.uniform(0.08, 0.16), rng.uniform(-0.5, 0.5)
        across = (x - middle - lean * (y - 0.5)) / wide
        finger = (np.abs(across) < 1) & (y > rng.uniform(0, 0.3))
        rgb[finger] = color * (0.55 + 0.45 * np.sqrt(1 - np.minimum(across**2, 1)))[finger][:, None]
    return _lit(rgb, x - moved, y)


def trocar(size: tuple[int, int], rng: np.random.Generator, moved: float, tissue: np.ndarray) -> np.ndarray:
    """The trocar's wall, and in the middle its end, 6 to 25 % of the height in radius, through which tissue shows."""
    color, hole = np.array(WALLS[rng.integers(4)], float), rng.uniform(0.06, 0.25)
    x, y = _grid(size, 0)
    far = np.hypot(x - 0.625, y - 0.5)
    rings = 0.75 + 0.12 * np.sin(40 * np.log(far + 0.05) + 9 * moved)
    rgb = color * (rings * np.clip(0.25 + 0.9 * far, 0, 1))[..., None]
    rgb[far < hole] = 0.6 * tissue[far < hole]
    return rgb


def black(size: tuple[int, int], rng: np.random.Generator, moved: float, tissue: np.ndarray) -> np.ndarray:
    """No light."""
    return np.full((*size, 3), rng.uniform(0, 8))


def card(size: tuple[int, int], rng: np.random.Generator, moved: float, tissue: np.ndarray) -> np.ndarray:
    """A white card; before its balance is set it is tinted by up to 8 %, every other one warm."""
    x, y = _grid(size, moved)
    warm = rng.uniform(-0.08, 0.08)
    return _lit(np.array([1 + warm, 1, 1 - warm]) * np.full((*size, 1), rng.uniform(170, 245)), x - moved, y)


def screen(size: tuple[int, int], rng: np.random.Generator, moved: float, tissue: np.ndarray) -> np.ndarray:
    """A monitor with panels and lines; every other one shows the operation in a third of it."""
    height, width = size
    rgb = np.full((height, width, 3), (18, 20, 24), np.uint8)
    left = round((0.05 + 0.1 * moved) * width)
    cv2.rectangle(rgb, (left, height // 10), (left + 4 * width // 5, 9 * height // 10), (58, 74, 104), -1)
    for _ in range(12):
        at = (left + int(rng.integers(width // 2)), int(rng.integers(height // 8, 7 * height // 8)))
        cv2.putText(rgb, "HR 72  SpO2 98", at, cv2.FONT_HERSHEY_SIMPLEX, height / 600, (190, 225, 240), 1)
    if rng.random() < 0.5:
        small = cv2.resize(tissue, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        rgb[height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2] = 0.9 * small
    return rgb.astype(float)


KINDS: dict[str, Drawing] = {
    "towel": towel,
    "glove": glove,
    "trocar wall": trocar,
    "black": black,
    "white-balance card": card,
    "screen": screen,
}


def drawn(kind: str, seed: int, moved: float, tissue: np.ndarray) -> np.ndarray:
    """A picture of `kind` at the size of `tissue`, a frame from within, (H, W, 3) uint8, with the sensor's noise."""
    rng = np.random.default_rng([seed, *kind.encode()])
    rgb = KINDS[kind](tissue.shape[:2], rng, moved, tissue)
    noise = np.random.default_rng([seed, int(1000 * moved)]).normal(0, 2, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def heavy_smoke(rgb: np.ndarray) -> np.ndarray:
    """Three quarters of the light come from smoke, uneven and bluish."""
    field = smooth_field(np.random.default_rng(0), rgb.shape[:2], 0.4)
    field = (field - field.min()) / max(float(np.ptp(field)), 1e-6)
    share = (0.65 + 0.2 * field)[..., None]
    return np.clip((1 - share) * rgb + share * np.array([176, 180, 186]), 0, 255).astype(np.uint8)


def tool_before_the_lens(rgb: np.ndarray) -> np.ndarray:
    """A metal shaft over nine tenths of the picture, tissue along one side, some of its red mirrored."""
    x, y = _grid(rgb.shape[:2], 0)
    across = (x + 0.3 * y) / 1.45
    metal = np.array([148, 146, 148]) * (0.35 + 0.6 * np.sin(np.pi * np.clip(across, 0, 1)))[..., None]
    return np.where((across < 0.9)[..., None], metal, rgb).astype(np.uint8)


def dim(rgb: np.ndarray) -> np.ndarray:
    """An eighth of the light."""
    return (rgb * 0.125).astype(np.uint8)


def blurred(rgb: np.ndarray) -> np.ndarray:
    """The lens fogged or on the tissue."""
    return cv2.GaussianBlur(rgb, (0, 0), rgb.shape[0] / 10)


HARD = {"heavy smoke": heavy_smoke, "tool before the lens": tool_before_the_lens, "dim": dim, "blurred": blurred}


def _grid(size: tuple[int, int], moved: float) -> tuple[np.ndarray, np.ndarray]:
    """X and y in heights, x moved on."""
    y, x = np.mgrid[: size[0], : size[1]] / size[0]
    return x + moved, y


def _lit(rgb: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Under a light at the camera: darker towards the rim."""
    return rgb * (1.1 - 0.7 * np.hypot(x - 0.625, y - 0.5))[..., None]
