"""Masks as pictures with the palette of VOC and DAVIS: 0 background, 1 dark red, the instrument."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from cuemask.media.files import make_folder
from cuemask.media.masks import COMPRESSION

INSTRUMENT_RGB = (128, 0, 0)


def write_indices(path: Path, mask: Bool[np.ndarray, "H W"]) -> None:
    """Write a mask as PNG of 8-bit indices, 1 where true, with VOC's palette; folders are made."""
    from PIL import Image

    image = Image.fromarray(mask.view(np.uint8))
    image.putpalette(_palette())
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=COMPRESSION)
    make_folder(path.parent)
    path.write_bytes(data.getvalue())


def _palette() -> bytes:
    """VOC's 256 colours: bits 0, 3, 6 of the index are the high bits of red, 1, 4, 7 of green, 2 and 5 of blue."""
    index = np.arange(256)[:, None]
    bits = (index >> np.arange(9)) & 1
    colors = sum(bits[:, 3 * place : 3 * place + 3] << (7 - place) for place in range(3))
    return np.asarray(colors, np.uint8).tobytes()
