"""Folders of pictures as streams of frames: naturally sorted, read ahead in two threads."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from jaxtyping import UInt8

from cuemask.errors import PictureError
from cuemask.media.dicom import is_dicom, read_instance
from cuemask.media.dicom_pixels import frames_rgb
from cuemask.media.files import refuse_special
from cuemask.media.frames import Frame, Selection
from cuemask.media.headers import allowed_megapixels, claimed_size, refuse_too_large
from cuemask.media.tagged import orientation, turned
from cuemask.media.threads import in_threads

PICTURE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})

# Pictures carry no time. One slow rate serves all: --start, --end and --fps count by it and the overlay
# video plays at it, so that what stands at 0:10 there is what --start 10 selects.
PICTURES_PER_SECOND = Fraction(10)

READERS = 2
READ_AHEAD = 4
DEPTH_SAMPLES = 8


def is_picture(path: Path) -> bool:
    """Whether the name says so: a known ending, and not hidden."""
    return path.suffix.lower() in PICTURE_ENDINGS and not path.name.startswith(".")


def composed(name: str) -> str:
    """A name as it can be compared: some systems write an umlaut as one letter, others as two."""
    return unicodedata.normalize("NFC", name)


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort as people count, folder by folder: frame_2 before frame_10, 0.25 before 0.5, but section 1.9 before 1.10."""
    listed = list(paths)
    decimal = _are_decimals([path.stem for path in listed])
    return sorted(
        listed, key=lambda path: (_natural_key(str(path.parent)), _natural_key(path.stem, decimal=decimal), path.name)
    )


def read_picture(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Read one picture as RGB: grey in three channels, 16 bit scaled to 8, transparency ignored, upright as EXIF says.

    Raises
    ------
    PictureError
        If the file is absent, may not be read, is empty, damaged, no picture, or several.
    """
    if is_dicom(path):
        return next(frames_rgb(read_instance(path), [0]))
    data = read_picture_bytes(path)
    bgr = decoded_picture(path, data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    try:
        return turned(rgb, orientation(path, data))
    except PictureError:  # its pixels are whole
        return rgb


def decoded_picture(path: Path, data: bytes, flags: int) -> np.ndarray:
    """Decode `data`, what `read_picture_bytes` gave of `path`, as OpenCV does by `flags`.

    Returns
    -------
    (H, W) or (H, W, channels), channels in OpenCV's order, BGR.

    Raises
    ------
    PictureError
        If it is damaged.
    """
    try:
        picture = cast("np.ndarray | None", cv2.imdecode(np.frombuffer(data, np.uint8), flags))
    except cv2.error as error:  # a limit of OpenCV's own, or memory
        raise undecodable(path, data) from error
    if picture is None:
        raise undecodable(path, data)
    return picture


def read_picture_bytes(path: Path) -> bytes:
    """Read a picture's file, and look at its header: whoever decodes what this gives is asked for no more than allowed.

    Raises
    ------
    PictureError
        If the file is absent, may not be read, is empty, holds several pictures, or is no PNG, JPEG, BMP, TIFF, WebP or
        PNM; if it is larger, or claims to be, than `allow_pictures_up_to` says.
    InputError
        If it is no file but a pipe or a device.
    """
    refuse_special(path)
    most = int(8 * 1e6 * allowed_megapixels()) + (64 << 20)  # four channels of 16 bits, and what describes them
    try:
        size_bytes = path.stat().st_size
        if size_bytes > most:
            raise PictureError(
                f"{path}: {size_bytes:,} bytes, more than the {most:,} that a picture of "
                f"{allowed_megapixels():g} megapixels can have.",
                "Move it out of the folder, or allow larger pictures: --largest-picture MEGAPIXELS",
            )
        data = path.read_bytes()
    except PermissionError as error:
        raise PictureError(f"{path}: may not be read.", f"Run: chmod u+r {path}") from error
    except OSError as error:
        raise PictureError(
            f"{path}: cannot be read ({error.strerror or error}).",
            "Check the path and the disk, then run again.",
        ) from error
    if not data:
        raise PictureError(f"{path}: the file is empty.", "Delete it, or copy it again from its source.")
    claimed = claimed_size(data)
    if claimed is None:
        raise undecodable(path, data)
    refuse_too_large(path, claimed, len(data))
    pages = _pages(path, data)
    if pages > 1:
        raise PictureError(
            f"{path}: holds {pages} pictures; only files of one picture are read.",
            f"Split it into a folder of its own: magick {path} FOLDER/{path.stem}_%04d.png",
        )
    return data


def undecodable(path: Path, data: bytes) -> PictureError:
    """Say why `data`, the bytes of `path`, gave no picture."""
    if _looks_cut_off(data):
        what = f"{path}: the picture is cut off or damaged (its end is missing; {len(data):,} bytes)."
    else:
        what = f"{path}: no picture could be decoded ({len(data):,} bytes)."
    return PictureError(what, "Copy it again from its source, or move it out of the folder.")


def read_ahead(paths: Sequence[Path]) -> Generator[UInt8[np.ndarray, "H W 3"], None, None]:
    """Read pictures in order, at most `READ_AHEAD` ahead of the one that is asked for.

    Raises
    ------
    PictureError
        As `read_picture`, at the picture's turn.
    """
    return in_threads(read_picture, paths, READERS, READ_AHEAD + 1)


def selected_pictures(paths: Sequence[Path], selection: Selection) -> list[tuple[int, Path]]:
    """Choose among `paths`: (number in the source, path) at `PICTURES_PER_SECOND`."""
    timed = ((index, index / PICTURES_PER_SECOND, path) for index, path in enumerate(paths))
    return [(index, path) for index, _, path in selection.take(timed, PICTURES_PER_SECOND)]


def picture_frames(
    paths: Sequence[Path], selection: Selection, names: Sequence[str] = (), *, sizes_vary: bool = False
) -> Generator[Frame, None, None]:
    """Stream the selected pictures of `paths`, which all share one size unless `sizes_vary`.

    Parameters
    ----------
    names
        What the frames are called, where not after their files.

    Raises
    ------
    PictureError
        If no picture is selected, one cannot be read, or its size differs from the first's and may not.
    """
    selected = selected_pictures(paths, selection)
    if not selected:
        raise _nothing_selected(paths, selection)
    first_shape = None
    with closing(read_ahead([path for _, path in selected])) as pictures:
        for place, ((index, path), rgb) in enumerate(zip(selected, pictures, strict=True)):
            first_shape = rgb.shape if first_shape is None else first_shape
            if rgb.shape != first_shape and not sizes_vary:
                raise mixed_sizes(selected[0][1], first_shape, path, rgb.shape)
            yield Frame(names[index] if names else composed(path.stem), index, None, rgb, place)


def mixed_sizes(first: Path, first_shape: tuple[int, ...], other: Path, other_shape: tuple[int, ...]) -> PictureError:
    """Say that two pictures of one clip differ in size."""
    return PictureError(
        f"{other.parent}: {first.name} is {first_shape[1]}x{first_shape[0]} pixels and "
        f"{other.name} is {other_shape[1]}x{other_shape[0]}; the pictures of a clip share one size.",
        "Put the pictures of each size in a folder of their own and give every folder.",
    )


def _nothing_selected(paths: Sequence[Path], selection: Selection) -> PictureError:
    seconds = float(len(paths) / PICTURES_PER_SECOND)
    return PictureError(
        f"{paths[0].parent}: none of {len(paths)} pictures is selected; at {PICTURES_PER_SECOND} a second "
        f"they last {seconds:g} s and --start is {selection.start_seconds:g} s.",
        "Give an earlier --start, a later --end or a smaller --every.",
    )


def refuse_few_bits(paths: Sequence[Path]) -> None:
    """Refuse 16-bit pictures that hold values of fewer bits, such as a 12-bit camera's: they would look black.

    Raises
    ------
    PictureError
        If no value of some pictures spread over `paths` needs the upper bits; if one of them cannot be read.
    """
    if not paths:
        return
    places = np.unique(np.linspace(0, len(paths) - 1, DEPTH_SAMPLES).astype(int)).tolist()
    greatest = 0
    for place in places:
        values = decoded_picture(paths[place], read_picture_bytes(paths[place]), cv2.IMREAD_UNCHANGED)
        if values.dtype != np.uint16:
            return
        colors = values[..., :3] if values.ndim == 3 else values
        greatest = max(greatest, int(colors.max()))
    bits = next(bits for bits in (8, 10, 12, 14, 16) if greatest < 1 << bits)
    if greatest > 0 and bits < 16:
        folder = paths[0].parent
        raise PictureError(
            f"{folder}: its 16-bit pictures hold values of {bits} bits (none above {greatest} of 65535), "
            "and would be read as almost black.",
            f"Spread them over 16 bits: magick mogrify -evaluate multiply {1 << (16 - bits)} -path NEW_FOLDER "
            f'"{folder}/*{paths[0].suffix}"',
        )


def _pages(path: Path, data: bytes) -> int:
    """How many pictures a file holds that may hold several: TIFF, animated PNG and WebP."""
    animated = (data.startswith(b"\x89PNG") and b"acTL" in data[:1024]) or b"ANIM" in data[:64]
    if not animated and not data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return 1
    return max(cv2.imcount(str(path), cv2.IMREAD_UNCHANGED), 2 if animated else 1)


def _are_decimals(stems: Iterable[str]) -> bool:
    """Whether digits behind a point count as decimals: 0.5 and 0.25 are, sections 1.9 and 1.10 are not."""
    fractions = [match[1] for stem in stems if (match := re.search(r"(?<![\d.])\d+\.(\d+)(?![\d.])", stem))]
    lengths = {len(fraction) for fraction in fractions}
    return len(lengths) > 1 and not any(len(fraction) > 1 and fraction.endswith("0") for fraction in fractions)


def _natural_key(stem: str, *, decimal: bool = False) -> list[tuple[int, str]]:
    # Text and digits alternate, so that text is only ever compared with text.
    parts = re.split(r"(\d+(?:\.\d+)?)" if decimal else r"(\d+)", stem)
    return [_number_key(part) if place % 2 else (0, part) for place, part in enumerate(parts)]


def _number_key(digits: str) -> tuple[int, str]:
    whole, _, fraction = digits.partition(".")
    return int(whole), fraction


def _looks_cut_off(data: bytes) -> bool:
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-64:]
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return False
