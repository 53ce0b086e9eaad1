"""Folders of pictures as streams of frames: naturally sorted, read ahead in two threads."""

from __future__ import annotations

import re
import stat
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from jaxtyping import UInt8

from cuemask.errors import PictureError
from cuemask.media.frames import Frame, Selection
from cuemask.media.headers import Claimed, claimed_size
from cuemask.media.threads import in_threads

PICTURE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})

# Pictures carry no time. One slow rate serves all: --start, --end and --fps count by it and the overlay
# video plays at it, so that what stands at 0:10 there is what --start 10 selects.
PICTURES_PER_SECOND = Fraction(10)

READERS = 2
READ_AHEAD = 4

LARGEST_MEGAPIXELS = 64.0  # a frame of 8K has 33; what a header may ask for unless told otherwise
_OPENCVS_SIDE_PX = 1 << 20
_allowed = {"megapixels": LARGEST_MEGAPIXELS}  # one bound for the whole process, however many threads read


def is_picture(path: Path) -> bool:
    """Whether the name says so: a known ending, and not hidden."""
    return path.suffix.lower() in PICTURE_ENDINGS and not path.name.startswith(".")


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort as people count, folder by folder: frame_2 before frame_10."""
    return sorted(paths, key=lambda path: (_natural_key(str(path.parent)), _natural_key(path.stem), path.name))


def read_picture(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Read one picture as RGB: grey in three channels, 16 bit scaled to 8, transparency ignored.

    Raises
    ------
    PictureError
        If the file is absent, may not be read, is empty, damaged or no picture.
    """
    bgr = decoded_picture(path, read_picture_bytes(path), cv2.IMREAD_COLOR)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def allow_pictures_up_to(megapixels: float) -> None:
    """Set, for this process, how many million pixels a picture's header may ask for (`LARGEST_MEGAPIXELS`)."""
    _allowed["megapixels"] = megapixels


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
        If the file is absent, is none (a folder, a pipe, a device), may not be read, is empty, or no PNG, JPEG, BMP,
        TIFF, WebP or PNM; if it is larger, or claims to be, than `allow_pictures_up_to` says.
    """
    most = int(8 * 1e6 * _allowed["megapixels"]) + (64 << 20)  # four channels of 16 bits, and what describes them
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PictureError(f"{path}: no file, so no picture.", "Move it out of the folder.")
        if status.st_size > most:
            raise PictureError(
                f"{path}: {status.st_size:,} bytes, more than the {most:,} that a picture of "
                f"{_allowed['megapixels']:g} megapixels can have.",
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
    _refuse_too_large(path, claimed, len(data))
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
        for (index, path), rgb in zip(selected, pictures, strict=True):
            first_shape = rgb.shape if first_shape is None else first_shape
            if rgb.shape != first_shape and not sizes_vary:
                raise mixed_sizes(selected[0][1], first_shape, path, rgb.shape)
            yield Frame(names[index] if names else path.stem, index, None, rgb)


def mixed_sizes(first: Path, first_shape: tuple[int, ...], other: Path, other_shape: tuple[int, ...]) -> PictureError:
    """Say that two pictures of one clip differ in size."""
    return PictureError(
        f"{other.parent}: {first.name} is {first_shape[1]}x{first_shape[0]} pixels and "
        f"{other.name} is {other_shape[1]}x{other_shape[0]}; the pictures of a clip share one size.",
        "Put the pictures of each size in a folder of their own and give every folder.",
    )


def refuse_shared_stems(paths: Sequence[Path]) -> None:
    """Refuse pictures whose masks would overwrite each other.

    Raises
    ------
    PictureError
        If two pictures differ only in their endings.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise PictureError(
                f"{path.parent}: {other.name} and {path.name} would both be written to {path.stem}.png.",
                f'Give a pattern for one of them, such as "{path.parent}/*{path.suffix}".',
            )


def _refuse_too_large(path: Path, claimed: Claimed, size_bytes: int) -> None:
    kind, width, height, block = claimed
    says = f"{path}: its header says {width:,}x{height:,} pixels ({kind}, {size_bytes:,} bytes)"
    if max(width * height, block) > _allowed["megapixels"] * 1e6:
        what = f"in tiles of {block / 1e6:,.0f} megapixels" if block > width * height else ""
        asked = what or f"{width * height / 1e6:,.0f} megapixels"
        raise PictureError(
            f"{says}, {asked}, more than the {_allowed['megapixels']:g} that are allowed.",
            "If it is whole all the same, allow it: --largest-picture MEGAPIXELS; else move it out of the folder.",
        )
    if max(width, height) > _OPENCVS_SIDE_PX:
        raise PictureError(
            f"{says}; a side may have {_OPENCVS_SIDE_PX:,}.", "Cut it into smaller ones, or move it out of the folder."
        )


def _nothing_selected(paths: Sequence[Path], selection: Selection) -> PictureError:
    seconds = float(len(paths) / PICTURES_PER_SECOND)
    return PictureError(
        f"{paths[0].parent}: none of {len(paths)} pictures is selected; at {PICTURES_PER_SECOND} a second "
        f"they last {seconds:g} s and --start is {selection.start_seconds:g} s.",
        "Give an earlier --start, a later --end or a smaller --every.",
    )


def _natural_key(stem: str) -> list[tuple[int, str]]:
    # Text and digits alternate, so that text is only ever compared with text.
    parts = re.split(r"(\d+)", stem)
    return [(int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)]


def _looks_cut_off(data: bytes) -> bool:
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-64:]
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return False
