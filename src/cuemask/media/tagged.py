"""What OpenCV leaves aside of a picture's file where it reads codes: palette, EXIF orientation, loss by JPEG."""

from __future__ import annotations

import io
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped, UInt8

from cuemask.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

_PNG = b"\x89PNG"
_TAGGED = ((_PNG, b"eXIf"), (b"\xff\xd8", b"Exif"), (b"RIFF", b"EXIF"))  # how files begin, and what marks their tags
_TIFF = (b"II*\0", b"MM\0*")
_PNG_PALETTE = 3
_ORIENTATION = 0x0112


def palette_indices(path: Path, data: bytes) -> UInt8[np.ndarray, "H W"] | None:
    """The indices of a picture with a palette; None where it has none, or one of greys that tell them apart.

    Raises
    ------
    PictureError
        If the palette or what tells of it is damaged; `path` is named.
    """
    if data.startswith(_PNG):
        if len(data) < 26 or data[25] != _PNG_PALETTE:
            return None
    elif not data.startswith((b"BM", *_TIFF)):
        return None
    with _opened(path, data) as image:
        if image.mode != "P":
            return None
        colors = np.array(image.getpalette("RGB")).reshape(-1, 3)
        indices = np.asarray(image).astype(np.uint8)
        used = colors[np.unique(indices[indices < len(colors)])]
        if (colors == colors[:, :1]).all() and len(np.unique(used[:, 0])) == len(used):
            return None
        return indices


def is_jpeg(path: Path) -> bool:
    """Whether a picture that can be read was saved as JPEG, whatever its file is called: a TIFF may hold one, too."""
    with path.open("rb") as file:
        begin = file.read(4)
    if begin not in _TIFF:
        return begin.startswith(b"\xff\xd8")
    with _opened(path, path.read_bytes()) as image:
        return "jpeg" in str(image.info.get("compression", ""))


def orientation(path: Path, data: bytes) -> int:
    """The EXIF orientation that OpenCV has not followed, 1 to 8; 1 is upright.

    Raises
    ------
    PictureError
        If the tags are damaged; `path` is named.
    """
    # That of a TIFF it follows, whatever it was told.
    if not any(data.startswith(kind) and mark in data for kind, mark in _TAGGED):
        return 1
    with _opened(path, data) as image:
        told = image.getexif().get(_ORIENTATION, 1)
    return told if told in range(1, 9) else 1


@contextmanager
def _opened(path: Path, data: bytes) -> Generator[Image, None, None]:
    """The picture as Pillow sees it, which is read once OpenCV has found it whole."""
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data)) as image:
            yield image
    except (OSError, ValueError, LookupError, TypeError, SyntaxError, ArithmeticError, struct.error) as error:
        raise PictureError(
            f"{path}: damaged: what the file tells of its picture cannot be read.",
            "Save it again, as PNG, or leave it out.",
        ) from error


def turned(picture: Shaped[np.ndarray, "h w ..."], orientation: int) -> Shaped[np.ndarray, "H W ..."]:
    """Turn and mirror a picture upright that is stored in an EXIF orientation, 1 to 8."""
    upright = picture.swapaxes(0, 1) if orientation >= 5 else picture
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(upright[::rows, ::columns])
