"""Masks, probabilities and pictures as PNG files, whole or absent; masks are read from films, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt16

from cuemask.errors import OutputError, PictureError
from cuemask.media.files import write_bytes
from cuemask.media.mask_films import film_of, is_in_film
from cuemask.media.pictures import decoded_picture, read_picture_bytes
from cuemask.media.run_png import png_of_runs
from cuemask.media.tagged import is_jpeg, orientation, palette_indices, turned

# Level 1 is several times as fast as the default and masks stay small: runs of equal bytes cost nothing.
COMPRESSION = 1
# JPEG blurs a mask of 0 and 255: what lies beside its edge is no longer 0.
JPEG_INSTRUMENT = 128


def write_mask(path: Path, mask: Bool[np.ndarray, "H W"]) -> None:
    """Write a mask as a PNG of one channel, 255 where true and 0 elsewhere.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    data = png_of_runs(mask)
    if data is not None:
        write_bytes(path, data)
        return
    # Without a filter, which finds nothing to gain in a mask, encoding takes a quarter of the time.
    _write_png(path, mask.view(np.uint8) * np.uint8(255), [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE])


def write_codes(path: Path, codes: UInt8[np.ndarray, "H W"]) -> None:
    """Write codes, 0 to 255, as they are: a PNG of one channel.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    _write_png(path, codes)


def write_numbers(path: Path, numbers: UInt16[np.ndarray, "H W"]) -> None:
    """Write the numbers of instruments, 0 to 65535, as they are: a 16-bit PNG of one channel.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    _write_png(path, numbers)


def read_numbers(path: Path) -> UInt16[np.ndarray, "H W"]:
    """Read the numbers of instruments from a picture of one channel, of 16 bits or of 8 as `read_mask` reads it.

    Raises
    ------
    PictureError
        If the file cannot be read or has several channels that differ.
    """
    data = read_picture_bytes(path)
    numbers = decoded_picture(path, data, cv2.IMREAD_UNCHANGED)
    if numbers.dtype == np.uint16 and numbers.ndim == 2:
        return turned(numbers, orientation(path, data))
    return read_mask(path).astype(np.uint16)


def write_probability(path: Path, p: Float[np.ndarray, "H W"]) -> None:
    """Write probabilities in [0, 1] as an 8-bit PNG of one channel, rounded to the nearest of 0 to 255.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    _write_png(path, np.rint(np.clip(p, 0, 1) * 255).astype(np.uint8))


def write_rgb(path: Path, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
    """Write a picture as PNG.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    _write_png(path, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def read_mask(path: Path) -> UInt8[np.ndarray, "H W"]:
    """Read a mask's codes as they are: one channel, or colours whose three channels are equal.

    Of a palette of colours, as VOC and DAVIS have, the indices are the codes; one of greys is resolved to them. Where
    the colours are all the same, the transparency is the mask. It is turned as its EXIF orientation says. A path that
    leads into a film, `masks.mov/FRAME.png`, gives the film's mask of that frame.

    Raises
    ------
    PictureError
        If the file cannot be read, has more than 8 bits, holds colours, or tells one mask by its colours and another
        by its transparency.
    """
    if (film := film_of(path)) is not None:
        return film.read(path.stem)
    data = read_picture_bytes(path)
    codes = decoded_picture(path, data, cv2.IMREAD_UNCHANGED)
    indices = palette_indices(path, data)
    codes = turned(codes if indices is None else indices, orientation(path, data))
    if codes.dtype != np.uint8:
        raise PictureError(
            f"{path}: a mask of type {codes.dtype}, not of 8 bits.",
            "Save it with one channel of 8 bits, codes 0 to 255.",
        )
    if codes.ndim == 2:
        return codes
    if codes.shape[2] == 4 and (alpha := _mask_in_alpha(path, codes)) is not None:
        return alpha
    if not (np.array_equal(codes[..., 0], codes[..., 1]) and np.array_equal(codes[..., 0], codes[..., 2])):
        raise PictureError(
            f"{path}: a picture in colours, not a mask.", "Save it with one channel, one code for each class."
        )
    return np.ascontiguousarray(codes[..., 0])


def instrument(path: Path, codes: UInt8[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """What is instrument of the codes read from `path` where none is named: all above 0; of a JPEG, from 128 on."""
    return codes >= JPEG_INSTRUMENT if not is_in_film(path) and is_jpeg(path) else codes > 0


def _mask_in_alpha(path: Path, codes: UInt8[np.ndarray, "H W 4"]) -> UInt8[np.ndarray, "H W"] | None:
    """The transparency where it is the mask: the colours are all the same, and not all is opaque; else None."""
    colors, alpha = codes[..., :3], codes[..., 3]
    if alpha.min() == 255:
        return None
    if (colors == colors[:1, :1]).all():
        return np.ascontiguousarray(alpha)
    if alpha.min() < alpha.max() and not np.array_equal(alpha > 0, colors.any(axis=2)):
        raise PictureError(
            f"{path}: its colours tell one mask, its transparency another.",
            "Save it with one channel, one code for each class.",
        )
    return None


def _write_png(path: Path, picture: np.ndarray, settings: Sequence[int] = ()) -> None:
    # cv2.imwrite returns False or half a file in silence where the disk is full; bytes written by us raise.
    encoded, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION, *settings])
    if not encoded:
        raise OutputError(f"{path}: the picture could not be encoded as PNG.", "Give --out a path ending in .png.")
    write_bytes(path, data.tobytes())
