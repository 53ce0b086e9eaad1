"""Pieces of drawn scenes on disk: drawn once, put together anew for every picture that a network sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from cuemask.media.arrays import mapped_array
from cuemask.media.files import make_folder, write_bytes, written_aside
from cuemask.phantom.fields import Shape
from cuemask.phantom.school import Cutout, DrawnScene, compose, draw_foreign, draw_instrument, draw_tissue
from cuemask.phantom.school.scene import foreign_count, instrument_count

_FOREIGN_SHARE = 8  # one foreign thing to so many tissues


@dataclass(frozen=True, eq=False)
class Pool:
    """Tissues, instruments and foreign things, memory-mapped.

    Attributes
    ----------
    tissues
        Pictures of tissue, larger than the pictures made of them.
    instruments, foreign
        Cut-outs: red, green, blue, opacity, cover.
    kinds
        The kind of each instrument.
    foreign_kinds
        The kind of each foreign thing.
    """

    tissues: UInt8[np.ndarray, "N h w 3"]
    instruments: UInt8[np.ndarray, "M H W 5"]
    foreign: UInt8[np.ndarray, "F H W 5"]
    kinds: list[str]
    foreign_kinds: list[str]

    def scene(self, rng: np.random.Generator, height_px: int, width_px: int) -> DrawnScene:
        """A picture of pieces drawn at random."""
        tissue = self.tissues[rng.integers(len(self.tissues))]
        cutouts = [
            _cutout(self.instruments[n], self.kinds[n])
            for n in rng.integers(0, len(self.instruments), instrument_count(rng))
        ]
        cutouts += [
            _cutout(self.foreign[n], self.foreign_kinds[n])
            for n in rng.integers(0, len(self.foreign), foreign_count(rng))
        ]
        return compose(rng, tissue, cutouts, (height_px, width_px))


def draw_pool(folder: Path, pictures: int, seed: int, shape: Shape, processes: int = 0) -> Pool:
    """Draw `pictures` tissues, twice as many instruments and a few foreign things; read what is drawn already.

    Parameters
    ----------
    shape
        Height and width of the pictures to be made of the pieces.
    processes
        How many processes draw; 0 draws in this one.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    make_folder(folder)
    name = f"{pictures}-{seed}"
    tissues, _ = _kept(folder / f"tissues-{name}.npy", pictures, partial(_tissue, shape, seed), processes)
    instruments, kinds = _kept(
        folder / f"instruments-{name}.npy", 2 * pictures, partial(_instrument, shape, seed), processes
    )
    count = max(4, pictures // _FOREIGN_SHARE)
    foreign, foreign_kinds = _kept(folder / f"foreign-{name}.npy", count, partial(_foreign, shape, seed), processes)
    return Pool(tissues, instruments, foreign, kinds, foreign_kinds)


def _kept(
    path: Path, count: int, draw: Callable[[int], tuple[np.ndarray, str]], processes: int
) -> tuple[np.ndarray, list[str]]:
    """`count` drawn arrays in one file, and their kinds in another, written last."""
    names = path.with_suffix(".json")
    if not (path.is_file() and names.is_file()):
        size = draw(0)[0].shape
        with written_aside(path) as aside:
            array = np.lib.format.open_memmap(aside, "w+", np.uint8, (count, *size))
            kinds: list[str] = []
            for n, (piece, kind) in enumerate(_drawn(draw, count, processes)):
                array[n] = piece
                kinds.append(kind)
            array.flush()
            del array  # Windows renames nothing that is mapped
        write_bytes(names, json.dumps(kinds).encode())
    return mapped_array(path), json.loads(names.read_text(encoding="utf-8"))


def _drawn(
    draw: Callable[[int], tuple[np.ndarray, str]], count: int, processes: int
) -> Iterator[tuple[np.ndarray, str]]:
    if not processes:
        yield from map(draw, range(count))
        return
    fresh = get_context("spawn")  # a forked process would wait for OpenCV's threads, which do not live in it
    with ProcessPoolExecutor(processes, fresh, cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(draw, range(count), chunksize=8)


def _tissue(shape: Shape, seed: int, n: int) -> tuple[UInt8[np.ndarray, "h w 3"], str]:
    kind, rgb = draw_tissue(np.random.default_rng([seed, 10, n]), shape)
    return rgb, kind


def _instrument(shape: Shape, seed: int, n: int) -> tuple[UInt8[np.ndarray, "H W 5"], str]:
    return _stacked(draw_instrument(np.random.default_rng([seed, 11, n]), shape))


def _foreign(shape: Shape, seed: int, n: int) -> tuple[UInt8[np.ndarray, "H W 5"], str]:
    return _stacked(draw_foreign(np.random.default_rng([seed, 12, n]), shape))


def _stacked(cutout: Cutout) -> tuple[UInt8[np.ndarray, "H W 5"], str]:
    return np.dstack([cutout.rgba, cutout.cover]), cutout.kind


def _cutout(piece: UInt8[np.ndarray, "H W 5"], kind: str) -> Cutout:
    return Cutout(np.ascontiguousarray(piece[..., :4]), np.ascontiguousarray(piece[..., 4]), kind)
