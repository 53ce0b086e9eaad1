from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.errors import InputError, PictureError
from cuemask.media import pictures
from cuemask.media.headers import LARGEST_MEGAPIXELS, allow_pictures_up_to, claimed_size
from cuemask.media.masks import read_mask
from cuemask.media.pictures import read_picture

RGB = np.random.default_rng(0).integers(0, 256, (35, 53, 3)).astype(np.uint8)
BIG = 60_000


@pytest.fixture
def usual_bound() -> Iterator[None]:
    yield
    allow_pictures_up_to(LARGEST_MEGAPIXELS)


def encoded(ending: str, *settings: int) -> bytes:
    return cv2.imencode(ending, RGB, settings)[1].tobytes()


def png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(bytes(9)), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
    )


def tiff(*tags: tuple[int, int]) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def jpeg(width: int, height: int) -> bytes:
    data = encoded(".jpg")
    place = data.index(b"\xff\xc0")
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]


def bmp(width: int, height: int) -> bytes:
    return encoded(".bmp")[:18] + struct.pack("<ii", width, height) + encoded(".bmp")[26:]


CLAIMS = {
    "png": png(BIG, BIG),
    "jpg": jpeg(BIG, BIG),
    "bmp": bmp(BIG, -BIG),
    "ppm": b"P6\n# drawn\n60000 60000\n255\nabc",
    "tif": tiff((256, BIG), (257, BIG)),
}


@pytest.mark.parametrize(
    ("ending", "settings"),
    [
        (".png", ()),
        (".jpg", ()),
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".bmp", ()),
        (".tif", ()),
        (".ppm", ()),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 80)),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101)),
    ],
)
def test_the_header_tells_the_size_of_every_kind_of_picture(ending: str, settings: tuple[int, ...]) -> None:
    claimed = claimed_size(encoded(ending, *settings))
    assert claimed is not None
    assert claimed[1:] == (53, 35, 0)


def test_a_transparent_webp_tells_its_size_too() -> None:
    data = cv2.imencode(".webp", np.dstack([RGB, RGB[..., 0]]), [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes()
    assert data[12:16] == b"VP8X"
    claimed = claimed_size(data)
    assert claimed is not None
    assert claimed[1:] == (53, 35, 0)


@pytest.mark.parametrize("read", [read_picture, read_mask])
@pytest.mark.parametrize("ending", CLAIMS)
def test_what_claims_to_be_huge_is_refused_before_a_pixel_is_read(ending, read, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pictures.cv2, "imdecode", lambda *_: pytest.fail("pixels were read"))
    file = tmp_path / f"huge.{ending}"
    file.write_bytes(CLAIMS[ending])
    with pytest.raises(PictureError, match=r"60,000x60,000 pixels.*3,600 megapixels.*\n.*--largest-picture"):
        read(file)


def test_tiles_count_as_what_they_ask_for(tmp_path: Path) -> None:
    (tmp_path / "tiles.tif").write_bytes(tiff((256, 64), (257, 64), (322, 1 << 16), (323, 1 << 16)))
    with pytest.raises(PictureError, match=r"64x64 pixels.*tiles of 4,295 megapixels"):
        read_picture(tmp_path / "tiles.tif")


def test_opencvs_limit_of_a_side_is_told_with_the_headers_numbers(tmp_path: Path) -> None:
    (tmp_path / "wide.png").write_bytes(png(2_000_000, 1))
    with pytest.raises(PictureError, match=r"2,000,000x1 pixels.*a side may have 1,048,576"):
        read_picture(tmp_path / "wide.png")


def test_the_bound_is_the_users(tmp_path: Path, usual_bound: None) -> None:
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    allow_pictures_up_to(53 * 35 / 1e6)
    assert read_picture(tmp_path / "a.png").shape == (35, 53, 3)
    allow_pictures_up_to((53 * 35 - 1) / 1e6)
    with pytest.raises(PictureError, match="53x35 pixels"):
        read_picture(tmp_path / "a.png")


def test_files_longer_than_any_allowed_picture_are_not_read(tmp_path: Path, usual_bound: None) -> None:
    file = tmp_path / "long.png"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)  # a hole, which takes no disk
    with pytest.raises(PictureError, match="1,099,511,627,776 bytes"):
        read_picture(file)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="a pipe"):
        read_picture(tmp_path / "pipe.png")


@pytest.mark.parametrize("part", [b"IHDR", b"IDAT", b"IEND"])
def test_a_part_that_claims_more_than_the_file_has_is_given_no_room(part: bytes, tmp_path: Path, monkeypatch) -> None:
    data = encoded(".png")
    at = data.index(part) - 4
    (tmp_path / "a.png").write_bytes(data[:at] + (1 << 30).to_bytes(4, "big") + data[at + 4 :])
    monkeypatch.setattr(pictures.cv2, "imdecode", lambda *_: pytest.fail("pixels were read"))
    with pytest.raises(PictureError, match="no picture could be decoded"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("data", [b"GIF89a" + bytes(40), b"\xff\xd8\xff", b"II*\0\xff\xff\xff\xff", b"P6\n#", b"RIFF"])
def test_half_headers_and_other_kinds_are_no_pictures(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "half.png").write_bytes(data)
    with pytest.raises(PictureError, match=r"no picture could be decoded|cut off"):
        read_picture(tmp_path / "half.png")
