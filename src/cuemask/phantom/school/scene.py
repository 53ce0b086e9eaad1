"""Still scenes: tissue and cut-out instruments put together under one light, with the exact mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from cuemask.phantom.fields import Field, Shape, step
from cuemask.phantom.school.backgrounds import draw_background
from cuemask.phantom.school.camera import develop, draw_opening, light
from cuemask.phantom.school.foreign import FOREIGN
from cuemask.phantom.school.heads import HEADS
from cuemask.phantom.school.parts import Layer, empty_layer, lay
from cuemask.phantom.school.waves import Picture, planes, waves

TISSUE_MARGIN = 1.25  # the drawn tissue's size over the picture's
_COUNTS = (0.18, 0.30, 0.31, 0.15, 0.06)  # how often a picture holds 0, 1, 2, 3 or 4 instruments


@dataclass(frozen=True, eq=False)
class DrawnScene:
    """One drawn picture and the truth about it.

    Attributes
    ----------
    rgb
        The picture.
    mask
        Where instruments cover at least half of the pixel and the endoscope sees it. Needles, threads, gauze and
        clips are no instruments.
    foreign
        Where needles, threads, gauze and clips do.
    inside
        Where the endoscope's picture is.
    tissue, instruments
        The kinds of tissue and of instruments that were drawn.
    """

    rgb: UInt8[np.ndarray, "H W 3"]
    mask: Bool[np.ndarray, "H W"]
    foreign: Bool[np.ndarray, "H W"]
    inside: Bool[np.ndarray, "H W"]
    tissue: str
    instruments: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cutout:
    """An instrument or foreign thing as drawn once and pasted often.

    Attributes
    ----------
    rgba
        Colours and opacity; colours at half their brightness, so that blown-out metal keeps what it has.
    cover
        How much of each pixel it covers.
    kind
        Its kind: a key of `HEADS` or `FOREIGN`.
    """

    rgba: UInt8[np.ndarray, "H W 4"]
    cover: UInt8[np.ndarray, "H W"]
    kind: str


def draw_scene(seed: int, height_px: int, width_px: int) -> DrawnScene:
    """Draw one picture, all of it decided by `seed`; at least 32 px each way."""
    rng = np.random.default_rng([seed, 0])
    shape = (height_px, width_px)
    kind, tissue = draw_tissue(np.random.default_rng([seed, 1]), shape)
    count = int(rng.choice(len(_COUNTS), p=_COUNTS))
    cutouts = [draw_instrument(np.random.default_rng([seed, 2, n]), shape) for n in range(count)]
    cutouts += [draw_foreign(np.random.default_rng([seed, 3, n]), shape) for n in range(foreign_count(rng))]
    return compose(rng, tissue, cutouts, shape, kind)


def draw_tissue(rng: np.random.Generator, shape: Shape) -> tuple[str, UInt8[np.ndarray, "H W 3"]]:
    """The kind and the colours of a piece of tissue `TISSUE_MARGIN` times as large as the picture of `shape`."""
    kind, rgb = draw_background(rng, (round(TISSUE_MARGIN * shape[0]), round(TISSUE_MARGIN * shape[1])))
    return kind, (rgb * 255.0 + 0.5).astype(np.uint8)


def draw_instrument(rng: np.random.Generator, shape: Shape) -> Cutout:
    """An instrument of any kind, entering from the picture's rim."""
    names = list(HEADS)
    kind = str(rng.choice(names, p=[HEADS[name][1] for name in names]))
    layer = empty_layer(shape)
    for part in HEADS[kind][0](rng, shape):
        lay(rng, layer, part)
    return _cutout(_soiled(rng, layer), kind)


def draw_foreign(rng: np.random.Generator, shape: Shape) -> Cutout:
    """A needle, thread, gauze or clip."""
    names = list(FOREIGN)
    kind = str(rng.choice(names, p=[FOREIGN[name][1] for name in names]))
    return _cutout(FOREIGN[kind][0](rng, shape), kind)


def instrument_count(rng: np.random.Generator) -> int:
    """How many instruments a picture holds."""
    return int(rng.choice(len(_COUNTS), p=_COUNTS))


def foreign_count(rng: np.random.Generator) -> int:
    """How many foreign things a picture holds: none in three of five."""
    return int(rng.choice(3, p=(0.60, 0.30, 0.10)))


def compose(
    rng: np.random.Generator,
    tissue: UInt8[np.ndarray, "h w 3"],
    cutouts: Sequence[Cutout],
    shape: Shape,
    kind: str = "",
) -> DrawnScene:
    """Paste cut-outs on tissue, light them alike, and let the camera see them.

    Tissue and cut-outs are turned over and cut anew, so that few of them give many pictures.
    """
    rgb = _cut(rng, tissue, shape).astype(np.float32) * np.float32(1.0 / 255.0)
    lamp = light(rng, shape)
    rgb, mask, foreign = _laid(rng, rgb, rgb * planes(lamp), cutouts, lamp)
    opening = draw_opening(rng, shape)
    picture, inside = develop(rng, rgb.astype(np.float32, copy=False), opening)
    kinds = tuple(cutout.kind for cutout in cutouts if cutout.kind in HEADS)
    return DrawnScene(picture, (mask >= 0.5) & inside, (foreign >= 0.5) & inside, inside, kind, kinds)


def paste(
    rng: np.random.Generator, rgb: Float32[np.ndarray, "H W 3"], cutouts: Sequence[Cutout]
) -> tuple[Float32[np.ndarray, "H W 3"], Float32[np.ndarray, "H W"], Float32[np.ndarray, "H W"]]:
    """Lay cut-outs on a picture that a camera took: its light and its colours stay as they are.

    Parameters
    ----------
    rgb
        In [0, 1].

    Returns
    -------
    The picture, in [0, 1]; how much of each pixel pasted instruments cover; and how much needles, threads, gauze and
    clips do.
    """
    laid, mask, foreign = _laid(rng, rgb, rgb, cutouts, light(rng, (rgb.shape[0], rgb.shape[1])))
    return np.clip(laid, 0, 1), mask, foreign


def _laid(
    rng: np.random.Generator, around: Picture, rgb: Picture, cutouts: Sequence[Cutout], lamp: Field
) -> tuple[Picture, Field, Field]:
    """Cut-outs laid on `rgb`, whose metal mirrors the colours of `around`; what instruments and other things cover."""
    height, width = rgb.shape[:2]
    shape = (height, width)
    rgb, mirrored = rgb.copy(), _around(around)
    mask, foreign = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for cutout in cutouts:
        rgba, cover = _placed(rng, cutout, shape)
        place = _box(cover, round(0.12 * height))
        if place is None:
            continue
        alpha = rgba[place][..., 3].astype(np.float32) * np.float32(1.0 / 255.0)
        covered = cover[place].astype(np.float32) * np.float32(1.0 / 255.0)
        if cutout.kind in HEADS and rng.random() < 0.15:
            shown = _shown(rng, covered)
            alpha, covered = alpha * shown, covered * shown
        rgb[place] = _pasted(rng, rgb[place], rgba[place][..., :3], alpha, lamp[place], mirrored[place], height)
        seen, hidden = (mask, foreign) if cutout.kind in HEADS else (foreign, mask)
        hidden[place] *= 1.0 - alpha
        seen[place] = np.maximum(seen[place], covered)
    return rgb, mask, foreign


def _pasted(
    rng: np.random.Generator,
    rgb: Picture,
    color: UInt8[np.ndarray, "H W 3"],
    alpha: Field,
    lamp: Field,
    around: Float32[np.ndarray, "H W 3"],
    height_px: int,
) -> Picture:
    """One cut-out laid on the picture: its shadow, the lamp on it, the tissue's colour in its metal."""
    lit = color.astype(np.float32) * np.float32(rng.uniform(0.6, 1.3) * 2.0 / 255.0)
    kind = rng.random()
    if kind < 0.2:
        lit *= np.float32(rng.uniform(1.3, 2.8))  # near the lamp: blown out
    elif kind < 0.4:  # no brighter and no darker than the tissue behind it
        lit *= np.float32(rng.uniform(0.7, 1.2)) * _mean(rgb, alpha) / np.float32(max(0.02, _mean(lit, alpha)))
    mirrored = np.float32(max(0.0, rng.normal(0.12, 0.12)))
    grey = cv2.transform(lit, np.full((3, 3), 0.4)).astype(np.float32, copy=False)
    lit = lit * (1 - mirrored) + mirrored * (grey + np.float32(0.4)) * around
    lit *= planes(np.power(lamp, np.float32(rng.uniform(0.2, 0.9))))
    if rng.random() < 0.6:
        rgb = rgb * planes(_shadow(rng, alpha, height_px))
    if rng.random() < 0.18:  # out of focus, nearer than the tissue
        blur = rng.uniform(0.004, 0.015) * height_px
        alpha = cv2.GaussianBlur(alpha, (0, 0), blur).astype(np.float32, copy=False)
        lit = cv2.GaussianBlur(lit, (0, 0), blur).astype(np.float32, copy=False)
    return rgb + planes(alpha) * (lit - rgb)


def _mean(rgb: Picture, alpha: Field) -> np.float32:
    """Brightness where a cut-out lies."""
    return np.float32(np.dot(rgb.mean(axis=2).ravel(), alpha.ravel()) / max(1.0, float(alpha.sum())))


def _shadow(rng: np.random.Generator, alpha: Field, height_px: int) -> Field:
    """How much light reaches the tissue beside an instrument; `height_px` is the whole picture's."""
    height, width = alpha.shape
    small = cv2.resize(alpha, (max(2, width // 3), max(2, height // 3)), interpolation=cv2.INTER_AREA)
    off_x, off_y = np.clip(rng.normal(0.0, 0.02, 2), -0.04, 0.04) * height_px / 3
    move = np.array([[1.0, 0.0, off_x], [0.0, 1.0, off_y]])
    small = cv2.warpAffine(small, move, (small.shape[1], small.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.004, 0.02) * height_px / 3 + 0.2)
    return (1.0 - rng.uniform(0.1, 0.7) * cv2.resize(small, (width, height))).astype(np.float32)


def _shown(rng: np.random.Generator, cover: Field) -> Field:
    """Where an instrument is not hidden by tissue that it holds or reaches behind, 0 to 1."""
    rows, columns = np.nonzero(cover > 0.5)
    if not rows.size:
        return np.ones_like(cover)
    at = rng.integers(rows.size)
    height, width = cover.shape
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None, :]
    radius = np.sqrt((x - np.float32(columns[at])) ** 2 + (y - np.float32(rows[at])) ** 2)
    size = rng.uniform(0.1, 0.4) * min(height, width)
    hole = (size - radius) / size + 0.5 * waves(rng, (height, width), rng.uniform(2, 8))
    return (1.0 - step(hole / rng.uniform(0.05, 0.4))).astype(np.float32)


def _box(cover: UInt8[np.ndarray, "H W"], margin: int) -> tuple[slice, slice] | None:
    """Rows and columns that hold all of a cut-out, and its shadow; None where there is none of it."""
    left, top, width, height = cv2.boundingRect(cover)
    if not width:
        return None
    return (
        slice(max(0, top - margin), min(cover.shape[0], top + height + margin)),
        slice(max(0, left - margin), min(cover.shape[1], left + width + margin)),
    )


def _around(rgb: Picture) -> Float32[np.ndarray, "H W 3"]:
    """The tissue's colour far and wide around each pixel: what metal mirrors."""
    height, width = rgb.shape[:2]
    small = cv2.resize(rgb, (8, 6), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _cut(rng: np.random.Generator, tissue: UInt8[np.ndarray, "h w 3"], shape: Shape) -> UInt8[np.ndarray, "H W 3"]:
    """A piece of the tissue, turned over at random."""
    cut = _resized(tissue[_piece(rng, tissue.shape, rng.uniform(0.55, 1.0))], shape)
    return cut[:: int(rng.choice((-1, 1))), :: int(rng.choice((-1, 1)))]


def _placed(
    rng: np.random.Generator, cutout: Cutout, shape: Shape
) -> tuple[UInt8[np.ndarray, "H W 4"], UInt8[np.ndarray, "H W"]]:
    """A cut-out turned over at random, and enlarged so that it still enters from the rim."""
    rgba, cover = cutout.rgba, cutout.cover
    if rng.random() < 0.5:
        place = _piece(rng, cover.shape, rng.uniform(0.6, 1.0))
        if cv2.countNonZero(cover[place]) > 0.3 * cv2.countNonZero(cover):
            rgba, cover = _resized(rgba[place], shape), _resized(cover[place], shape)
    turns = (slice(None, None, int(rng.choice((-1, 1)))), slice(None, None, int(rng.choice((-1, 1)))))
    return np.ascontiguousarray(_resized(rgba, shape)[turns]), np.ascontiguousarray(_resized(cover, shape)[turns])


def _piece(rng: np.random.Generator, size: tuple[int, ...], share: float) -> tuple[slice, slice]:
    rows, columns = max(2, round(share * size[0])), max(2, round(share * size[1]))
    top, left = int(rng.integers(0, size[0] - rows + 1)), int(rng.integers(0, size[1] - columns + 1))
    return slice(top, top + rows), slice(left, left + columns)


def _resized(picture: UInt8[np.ndarray, "h w *c"], shape: Shape) -> UInt8[np.ndarray, "H W *c"]:
    height, width = shape
    if picture.shape[:2] == shape:
        return picture
    method = cv2.INTER_AREA if picture.shape[0] > height else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=method)
    return resized.astype(np.uint8, copy=False)


def _soiled(rng: np.random.Generator, layer: Layer) -> Layer:
    """Blood and char on some instruments."""
    if rng.random() < 0.7:
        return layer
    shape = (layer.alpha.shape[0], layer.alpha.shape[1])
    where = step(rng.uniform(-0.8, 0.3) + waves(rng, shape, rng.uniform(4, 20))) * rng.uniform(0.3, 0.95)
    stain: Float[np.ndarray, 3] = rng.uniform((0.15, 0.0, 0.0), (0.6, 0.12, 0.12))
    rgb = layer.rgb + where[..., None] * (stain * (0.4 + layer.rgb.mean(axis=2, keepdims=True)) - layer.rgb)
    return Layer(rgb.astype(np.float32), layer.alpha, layer.cover)


def _cutout(layer: Layer, kind: str) -> Cutout:
    color = np.clip(layer.rgb * 127.5, 0.0, 255.0)
    rgba = np.dstack([color, layer.alpha * 255.0]) + 0.5
    return Cutout(rgba.astype(np.uint8), (layer.cover * 255.0 + 0.5).astype(np.uint8), kind)
