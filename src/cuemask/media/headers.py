"""Sizes of pictures as their headers claim them, read before a pixel is: a few bytes may ask for gigabytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cuemask.errors import PictureError
from cuemask.media.names import shown

_TOKEN = re.compile(rb"(?:\s|#[^\n]*\n?)*([0-9]{1,20})")  # of a PNM header, after white space and comments
_NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})  # JPEG markers among those of frames that begin none
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})  # JPEG markers without a segment
_TAGS = {256: "width", 257: "height", 322: "tile_width", 323: "tile_height"}  # of TIFF


LARGEST_MEGAPIXELS = 64.0  # a frame of 8K has 33; what a header may ask for unless told otherwise
_OPENCVS_SIDE_PX = 1 << 20
_allowed = {"megapixels": LARGEST_MEGAPIXELS}  # one bound for the whole process, however many threads read


class Claimed(NamedTuple):
    """What the header of a picture says of it."""

    kind: str
    width_px: int
    height_px: int
    block_px: int = 0  # pixels of the largest part that is held whole besides the picture: a tile of a TIFF


def claimed_size(data: bytes) -> Claimed | None:
    """The size in the header of a PNG, JPEG, BMP, TIFF, WebP or PNM; None of anything else, or of half a header.

    None of a PNG too where a part claims more bytes than the file has: room is made for them before they are missed.
    """
    for starts, kind, read in _KINDS:
        if data.startswith(starts):
            try:
                return Claimed(kind, *read(data))
            except (struct.error, IndexError, ValueError, KeyError):
                return None
    return None


def allow_pictures_up_to(megapixels: float) -> None:
    """Set, for this process, how many million pixels a picture's header may ask for (`LARGEST_MEGAPIXELS`)."""
    _allowed["megapixels"] = megapixels


def allowed_megapixels() -> float:
    """How many million pixels a picture's header may ask for."""
    return _allowed["megapixels"]


def refuse_too_large(path: Path, claimed: Claimed, size_bytes: int) -> None:
    """Refuse a picture of a file, of `size_bytes` bytes, that claims to be larger than is allowed.

    Raises
    ------
    PictureError
        If it does.
    """
    kind, width, height, block = claimed
    says = f"{shown(path)}: its header says {width:,}x{height:,} pixels ({kind}, {size_bytes:,} bytes)"
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


def _png(data: bytes) -> tuple[int, ...]:
    place, kind = 8, b""
    while kind != b"IEND" and place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        place += 12 + length
    if place > len(data):
        raise ValueError("a chunk that goes on behind the end")
    return struct.unpack_from(">II", data, 16)


def _jpeg(data: bytes) -> tuple[int, ...]:
    place = 2
    while True:
        place = data.index(b"\xff", place)  # what stands between segments is passed over, as libjpeg does
        marker, place = data[place + 1], place + 1
        if marker in (0x00, 0xFF) or marker in _NO_LENGTH:
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack_from(">HH", data, place + 4)
            return width, height
        (length,) = struct.unpack_from(">H", data, place + 1)
        place += 1 + length


def _bmp(data: bytes) -> tuple[int, ...]:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # below 0: rows from the top


def _tiff(data: bytes) -> tuple[int, ...]:
    order = "<" if data.startswith(b"II") else ">"
    is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset, count, entry, value = ("Q", "Q", 20, 12) if is_big else ("I", "H", 12, 8)
    (place,) = struct.unpack_from(order + offset, data, 8 if is_big else 4)
    (entries,) = struct.unpack_from(order + count, data, place)
    place += 8 if is_big else 2
    found = {"tile_width": 0, "tile_height": 0}
    for at in range(place, min(place + entries * entry, len(data) - entry + 1), entry):
        tag, kind = struct.unpack_from(order + "HH", data, at)
        if tag in _TAGS:
            form = {1: "B", 3: "H", 4: "I", 16: "Q"}[kind]
            (found[_TAGS[tag]],) = struct.unpack_from(order + form, data, at + value)
    return found["width"], found["height"], found["tile_width"] * found["tile_height"]


def _webp(data: bytes) -> tuple[int, ...]:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    raise ValueError("no WebP that is known")


def _pnm(data: bytes) -> tuple[int, ...]:
    width = _TOKEN.match(data, 2)
    height = None if width is None else _TOKEN.match(data, width.end())
    if width is None or height is None:
        raise ValueError("no size")
    return int(width[1]), int(height[1])


_KINDS: list[tuple[bytes | tuple[bytes, ...], str, Callable[[bytes], tuple[int, ...]]]] = [
    (b"\x89PNG\r\n\x1a\n", "PNG", _png),
    (b"\xff\xd8\xff", "JPEG", _jpeg),
    (b"BM", "BMP", _bmp),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF", _tiff),
    (b"RIFF", "WebP", _webp),
    (tuple(f"P{digit}".encode() for digit in range(1, 7)), "PNM", _pnm),
]
