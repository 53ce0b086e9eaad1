"""Pictures of tissue without any instrument: one function a kind of scene, all looks drawn at random."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float32

from cuemask.phantom.fields import Field, Shape, mix, region, step
from cuemask.phantom.school.bodies import Outline, flank, fold, glare, lump, paint, sheet, skin_colors, slopes, tube
from cuemask.phantom.school.skins import draw_skin
from cuemask.phantom.school.waves import (
    Picture,
    any_color,
    draw_line,
    drawn,
    fibres,
    grid,
    planes,
    rough,
    waves,
    winding,
)

# Kinds and how often each is drawn.
BACKGROUNDS = {
    "abdomen": 0.20,
    "gallbladder": 0.23,
    "pelvis": 0.20,
    "bowel": 0.09,
    "colon": 0.09,
    "eye": 0.05,
    "cavity": 0.08,
    "wild": 0.06,
}


def draw_background(rng: np.random.Generator, shape: Shape) -> tuple[str, Float32[np.ndarray, "H W 3"]]:
    """One piece of tissue: its kind, and its colours in [0, 1] under near-even light."""
    kind = str(rng.choice(list(BACKGROUNDS), p=list(BACKGROUNDS.values())))
    rgb = _KINDS[kind](rng, shape)
    return kind, np.clip(rgb, 0.0, 1.0).astype(np.float32)


def _abdomen(rng: np.random.Generator, shape: Shape) -> Picture:
    """Organs of every kind before and behind one another."""
    rgb = _ground(rng, shape, _pick(rng, "liver", "peritoneum", "cavity", "muscle", "fat"))
    for _ in range(rng.integers(2, 6)):
        name = _pick(rng, "liver", "liver", "fat", "fat", "peritoneum", "bowel", "gallbladder", "fascia", "cavity")
        rgb = paint(rng, rgb, _outline(rng, shape), draw_skin(rng, name))
    if rng.random() < 0.3:
        rgb = _with_blown_tissue(rng, rgb)
    return _details(rng, rgb)


def _gallbladder(rng: np.random.Generator, shape: Shape) -> Picture:
    """Liver, a pale or bluish gallbladder held up, dissected tissue and fat beside it."""
    rgb = _ground(rng, shape, _pick(rng, "liver", "liver", "cavity", "peritoneum"))
    for name in ("liver", "liver", "fat")[: rng.integers(1, 4)]:
        rgb = paint(rng, rgb, flank(rng, shape), draw_skin(rng, name))
    for _ in range(rng.integers(1, 3)):
        outline = lump(rng, shape, rng.uniform(0.12, 0.4)) if rng.random() < 0.7 else tube(rng, shape, 0.2)
        rgb = paint(rng, rgb, outline, draw_skin(rng, _pick(rng, "gallbladder", "bluish", "peritoneum", "bowel")))
    for _ in range(rng.integers(1, 4)):
        name = _pick(rng, "dissected", "dissected", "fascia", "muscle", "fat")
        rgb = paint(rng, rgb, _outline(rng, shape), draw_skin(rng, name))
    if rng.random() < 0.5:
        rgb = paint(rng, rgb, flank(rng, shape), draw_skin(rng, "fat"))
    if rng.random() < 0.4:
        rgb = _with_blown_tissue(rng, rgb)
    return _details(rng, rgb)


def _pelvis(rng: np.random.Generator, shape: Shape) -> Picture:
    """Flesh and peritoneum from rim to rim, finely uneven and glittering."""
    rgb = _ground(rng, shape, _pick(rng, "muscle", "peritoneum", "dissected", "bowel"))
    for _ in range(rng.integers(1, 6)):
        name = _pick(rng, "muscle", "peritoneum", "dissected", "fascia", "fat", "kidney", "bowel")
        rgb = paint(rng, rgb, _outline(rng, shape), draw_skin(rng, name), rng.uniform(0.5, 1.0))
    return _details(rng, rgb)


def _bowel(rng: np.random.Generator, shape: Shape) -> Picture:
    """Loops and folds, long, pale and in glare."""
    rgb = _ground(rng, shape, _pick(rng, "peritoneum", "cavity", "fat", "muscle"))
    for _ in range(rng.integers(3, 8)):
        radius = float(np.exp(rng.uniform(np.log(0.02), np.log(0.25))))
        name = _pick(rng, "bowel", "bowel", "fascia", "fat", "mucosa", "bluish", "gallbladder", "any")
        rgb = paint(rng, rgb, tube(rng, shape, radius), draw_skin(rng, name))
    return _details(rng, rgb)


def _colon(rng: np.random.Generator, shape: Shape) -> Picture:
    """A tube seen along its axis: walls that darken towards the lumen, folds around it."""
    skin = draw_skin(rng, "mucosa" if rng.random() < 0.8 else _pick(rng, "bowel", "any"))
    x, y = grid(shape)
    x, y = x - np.float32(rng.uniform(-0.4, 0.4)), y - np.float32(rng.uniform(-0.4, 0.4))
    radius = np.sqrt(x**2 + y**2 * rng.uniform(0.6, 1.6)) + 0.05 * waves(rng, shape, 2.0)
    angle = np.arctan2(y, x)
    rings = np.zeros(shape, np.float32)
    for _ in range(rng.integers(2, 7)):
        at = rng.uniform(0.1, 0.8) * (
            1.0 + rng.uniform(0.0, 0.2) * np.cos(rng.integers(1, 4) * angle + rng.uniform(0, 6))
        )
        rings += np.exp(-(((radius - at) / rng.uniform(0.015, 0.06)) ** 2)) * step(0.7 + waves(rng, shape, 2.0))
    slope_x, slope_y = slopes((0.03 * rings + 0.02 * rough(rng, shape, 4.0)).astype(np.float32))
    lit = 1.0 + rng.uniform(0.2, 0.5) * np.clip((slope_x * x + slope_y * y) / (radius + 0.05), -1.5, 1.5)
    rgb = skin_colors(rng, shape, skin) * planes(lit.astype(np.float32))
    deep = 1.0 - step((radius / rng.uniform(0.05, 0.3)).astype(np.float32))
    rgb = rgb * planes((1.0 - rng.uniform(0.4, 1.0) * deep).astype(np.float32))
    rgb = rgb + planes(glare(rng, slope_x, slope_y, rng.uniform(0.3, 1.0)))
    if rng.random() < 0.5:
        rgb = _with_hole(rng, rgb.astype(np.float32))
    for _ in range(rng.integers(0, 4)):
        rgb = paint(rng, rgb.astype(np.float32), fold(rng, shape), skin, rng.uniform(0.4, 1.0))
    return rgb.astype(np.float32)


def _eye(rng: np.random.Generator, shape: Shape) -> Picture:
    """Sclera, iris and pupil, with lids or drape at the rim."""
    rgb = _ground(rng, shape, _pick(rng, "fascia", "bowel", "gallbladder"))
    x, y = grid(shape)
    x, y = x - np.float32(rng.uniform(-0.15, 0.15)), y - np.float32(rng.uniform(-0.15, 0.15))
    radius = np.sqrt(x**2 + (y * rng.uniform(0.9, 1.15)) ** 2) + 0.006 * waves(rng, shape, 5.0)
    outer = rng.uniform(0.22, 0.48)
    pupil = outer * rng.uniform(0.4, 0.85)
    iris = any_color(rng) * rng.uniform(0.4, 1.0)
    angle = np.arctan2(y, x)
    rays = 1.0 + 0.12 * np.sin(rng.integers(20, 60) * angle + 3.0 * waves(rng, shape, 4.0))
    rgb = mix(rgb, iris * rays[..., None], step((outer - radius) / 0.02 + 0.5))
    pupil_rgb = (
        drawn(rng, (0.02, 0.01, 0.01), (0.15, 0.06, 0.05))
        if rng.random() < 0.6
        else drawn(rng, (0.5, 0.2, 0.1), (0.8, 0.5, 0.3))
    )
    rgb = mix(rgb, pupil_rgb.tolist(), step((pupil - radius) / 0.015 + 0.5))
    if rng.random() < 0.5:
        rgb = paint(rng, rgb, flank(rng, shape), draw_skin(rng, _pick(rng, "any", "bluish", "bowel")))
    still = np.zeros(shape, np.float32)
    return rgb + planes(glare(rng, still, still, rng.uniform(0.3, 1.0)))


def _cavity(rng: np.random.Generator, shape: Shape) -> Picture:
    """Mostly dark: a hollow with a few lit organs before it."""
    rgb = _ground(rng, shape, "cavity")
    for _ in range(rng.integers(1, 5)):
        name = _pick(rng, "liver", "liver", "fat", "peritoneum", "cavity", "kidney")
        rgb = paint(rng, rgb, _outline(rng, shape), draw_skin(rng, name))
    return _details(rng, rgb)


def _wild(rng: np.random.Generator, shape: Shape) -> Picture:
    """Bodies of any colour and skin, so that colour alone tells nothing."""
    rgb = _ground(rng, shape, "any")
    for _ in range(rng.integers(2, 8)):
        rgb = paint(rng, rgb, _outline(rng, shape), draw_skin(rng, "any"), rng.uniform(0.5, 1.0))
    return _details(rng, rgb)


_KINDS = {
    "abdomen": _abdomen,
    "gallbladder": _gallbladder,
    "pelvis": _pelvis,
    "bowel": _bowel,
    "colon": _colon,
    "eye": _eye,
    "cavity": _cavity,
    "wild": _wild,
}


def _ground(rng: np.random.Generator, shape: Shape, name: str) -> Picture:
    """What lies behind everything: one skin over the whole picture."""
    level = Outline(np.ones(shape, np.float32), 0.5)
    return paint(rng, np.zeros((*shape, 3), np.float32), level, draw_skin(rng, name))


def _outline(rng: np.random.Generator, shape: Shape) -> Outline:
    kind = rng.random()
    if kind < 0.42:
        return lump(rng, shape, float(np.exp(rng.uniform(np.log(0.05), np.log(0.5)))))
    if kind < 0.65:
        return flank(rng, shape)
    if kind < 0.80:
        return tube(rng, shape, float(np.exp(rng.uniform(np.log(0.015), np.log(0.18)))))
    return sheet(rng, shape) if kind < 0.92 else fold(rng, shape)


def _with_blown_tissue(rng: np.random.Generator, rgb: Picture) -> Picture:
    """Small pale tissue so near the lamp that it is white in the picture: lumps, bands and hems."""
    shape = (rgb.shape[0], rgb.shape[1])
    for _ in range(rng.integers(1, 4)):
        skin = draw_skin(rng, _pick(rng, "fascia", "fascia", "fat", "bowel"))
        glow = np.float32(rng.uniform(1.1, 1.9))
        skin = replace(skin, deep=skin.deep * glow, light=skin.light * glow, wet=1.0)
        size = float(np.exp(rng.uniform(np.log(0.02), np.log(0.15))))
        kind = rng.random()
        outline = lump(rng, shape, size, 5.0) if kind < 0.5 else tube(rng, shape, 0.5 * size)
        rgb = paint(rng, rgb, outline if kind < 0.85 else fold(rng, shape), skin)
    return rgb


def _pick(rng: np.random.Generator, *names: str) -> str:
    """One of the names, and now and then a skin of any colour."""
    return "any" if rng.random() < 0.04 else str(rng.choice(names))


def _details(rng: np.random.Generator, rgb: Picture) -> Picture:
    """Strands, veils, blood, bile and char, each on some pictures; specks of glare on most."""
    if rng.random() < 0.55:
        rgb = _with_strands(rng, rgb)
    if rng.random() < 0.35:
        rgb = _with_veil(rng, rgb)
    if rng.random() < 0.15:
        rgb = _with_hole(rng, rgb)
    for name, share in (("blood", 0.35), ("bile", 0.10), ("char", 0.12)):
        if rng.random() < share:
            rgb = _stained(rng, rgb, name)
    if rng.random() < 0.6:
        rgb = _with_glitter(rng, rgb)
    return _with_specks(rng, rgb) if rng.random() < 0.7 else rgb


def _with_hole(rng: np.random.Generator, rgb: Picture) -> Picture:
    """A dark opening with a sharp rim and drops of glare around it: the way on in a colon, a gap between organs."""
    shape = (rgb.shape[0], rgb.shape[1])
    size = float(np.exp(rng.uniform(np.log(0.02), np.log(0.14))))
    hole = lump(rng, shape, size, 3.5)
    dark = drawn(rng, (0.0, 0.0, 0.0), (0.16, 0.14, 0.12))
    softness = float(np.exp(rng.uniform(np.log(0.004), np.log(0.03))))
    cover = step(hole.depth / np.float32(softness) + np.float32(0.5))
    rim = np.exp(-((hole.depth / np.float32(0.4 * size)) ** 2)) * rng.uniform(0.0, 0.6)
    rgb = rgb * planes((1.0 - rim).astype(np.float32))
    rgb = mix(rgb, dark.tolist(), (rng.uniform(0.85, 1.0) * cover).astype(np.float32))
    drops = np.clip(waves(rng, shape, rng.uniform(20, 60)) - rng.uniform(0.6, 1.4), 0.0, 1.0) * 2.0
    near = np.exp(-(((hole.depth + 0.3 * size) / np.float32(0.5 * size)) ** 2))
    return (rgb + planes((drops * near).astype(np.float32))).astype(np.float32)


def _with_strands(rng: np.random.Generator, rgb: Picture) -> Picture:
    """Strands of connective tissue, taut or slack, pale or red, fanning out from one place."""
    height, width = rgb.shape[:2]
    for _ in range(rng.integers(1, 4)):
        ink = np.zeros((height, width), np.uint8)
        root = rng.uniform(0.0, 1.0, 2) * (width, height)
        heading, spread = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.05, 0.9)
        for _ in range(rng.integers(2, 22)):
            start = root + rng.normal(0.0, 0.05, 2) * height
            points = winding(rng, start, heading + rng.normal(0.0, spread), rng.uniform(0.1, 0.6) * height, 0.08)
            width_px = float(np.exp(rng.uniform(np.log(0.002), np.log(0.014)))) * height
            draw_line(ink, points, width_px, rng.uniform(60, 255))
        color = draw_skin(rng, _pick(rng, "fascia", "peritoneum", "muscle", "dissected")).light
        soft = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.4, 1.4)).astype(np.float32) / 255.0
        color = color * (0.8 + 0.3 * waves(rng, (height, width), 20.0))[..., None]
        rgb = mix(rgb, color, np.float32(rng.uniform(0.4, 1.0)) * soft)
    return rgb


def _with_veil(rng: np.random.Generator, rgb: Picture) -> Picture:
    """A whitish, streaked membrane that the tissue shines through."""
    shape = (rgb.shape[0], rgb.shape[1])
    where = region(rough(rng, shape, 2.0), rng.uniform(0.1, 0.5), rng.uniform(0.2, 2.0))
    streaks = step(0.4 + 0.4 * fibres(rng, shape, rng.uniform(15, 50), 4.0, 0.15))
    return mix(rgb, draw_skin(rng, "fascia").light.tolist(), rng.uniform(0.2, 0.7) * where * streaks)


def _stained(rng: np.random.Generator, rgb: Picture, name: str) -> Picture:
    shape = (rgb.shape[0], rgb.shape[1])
    where = region(rough(rng, shape, rng.uniform(2, 6), 3, 0.6), rng.uniform(0.01, 0.2), rng.uniform(0.3, 1.6))
    color = drawn(rng, (0.02, 0.01, 0.0), (0.2, 0.1, 0.05)) if name == "char" else draw_skin(rng, name).deep
    rgb = mix(rgb, color.tolist(), rng.uniform(0.3, 0.95) * where)
    slope_x, slope_y = slopes(0.04 * rough(rng, shape, 8.0, 2))
    return rgb + planes(where * glare(rng, slope_x, slope_y, rng.uniform(0.0, 0.8)))


def _with_glitter(rng: np.random.Generator, rgb: Picture) -> Picture:
    """Broad glare broken up by a fine grain, white or bluish, as on a smooth wet organ near the lamp."""
    shape = (rgb.shape[0], rgb.shape[1])
    for _ in range(rng.integers(1, 5)):
        x, y = grid(shape)
        angle = rng.uniform(0.0, np.pi)
        x, y = x - np.float32(rng.uniform(-0.6, 0.6)), y - np.float32(rng.uniform(-0.5, 0.5))
        along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        size = float(np.exp(rng.uniform(np.log(0.02), np.log(0.16))))
        spot = np.exp(-((along / size) ** 2) - (across / (size * rng.uniform(0.15, 0.8))) ** 2)
        fine = rng.uniform(15.0, 90.0)
        grain = waves(rng, shape, fine) if rng.random() < 0.5 else fibres(rng, shape, fine, 0.4 * fine, 0.1)
        spot = (spot * np.clip(rng.uniform(-0.5, 1.0) + rng.uniform(1.0, 3.0) * grain, 0.0, 1.5)).astype(np.float32)
        tint = np.array([1.0, rng.uniform(0.9, 1.05), rng.uniform(0.9, 1.15)]) * rng.uniform(0.25, 1.2)
        rgb = rgb + cv2.transform(planes(spot), np.diag(tint)).astype(np.float32, copy=False)
    return rgb


def _with_specks(rng: np.random.Generator, rgb: Picture) -> Picture:
    """Bright specks in clusters, white or nearly so: drops and crests that mirror the light."""
    height, width = rgb.shape[:2]
    ink = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 7)):
        middle, spread = rng.uniform(0.0, 1.0, 2) * (width, height), rng.uniform(0.01, 0.2) * height
        heading = rng.uniform(0.0, np.pi)
        for _ in range(rng.integers(2, 16)):
            place = middle + rng.normal(0.0, spread, 2)
            points = winding(rng, place, heading + rng.normal(0.0, 0.5), rng.uniform(0.003, 0.04) * height, 0.3, 4)
            draw_line(ink, points, rng.uniform(0.3, 2.2) * height / 192, rng.uniform(120, 255))
    bright: Field = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.3, 0.8)).astype(np.float32) / 255.0
    return rgb + planes(np.float32(rng.uniform(0.5, 1.3)) * bright)
