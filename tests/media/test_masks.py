from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cuemask.errors import OutputError, PictureError
from cuemask.media.masks import read_mask, write_mask, write_probability, write_rgb
from cuemask.media.pictures import read_picture

TILE = b"\x00\x00\x00\x02\x00\x00\x00\x02\x08\x03\x00\x00\x00"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(mask=arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_a_mask_comes_back_as_0_and_255(tmp_path: Path, mask: np.ndarray) -> None:
    write_mask(tmp_path / "mask.png", mask)
    assert np.array_equal(read_mask(tmp_path / "mask.png"), mask * np.uint8(255))


def test_a_mask_has_one_channel_of_8_bits(tmp_path: Path) -> None:
    write_mask(tmp_path / "mask.png", np.ones((5, 7), bool))
    raw = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    assert raw is not None
    assert (raw.shape, raw.dtype) == ((5, 7), np.dtype(np.uint8))


def test_probabilities_are_rounded_and_clipped(tmp_path: Path) -> None:
    p = np.array([[0.0, 0.5, 1.0], [1 / 255, 1.0000001, -1e-9]], np.float32)
    write_probability(tmp_path / "p.png", p)
    assert read_mask(tmp_path / "p.png").tolist() == [[0, 128, 255], [1, 255, 0]]


def test_rgb_comes_back_as_it_was(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    write_rgb(tmp_path / "rgb.png", rgb)
    assert np.array_equal(read_picture(tmp_path / "rgb.png"), rgb)


def test_codes_are_read_untouched_from_one_three_or_four_equal_channels(tmp_path: Path) -> None:
    codes = np.array([[0, 10, 20], [30, 127, 129]], np.uint8)
    alpha = np.full((2, 3, 1), 255, np.uint8)
    for name, stored in (
        ("grey.png", codes),
        ("rgb.png", np.repeat(codes[..., None], 3, axis=2)),
        ("rgba.png", np.concatenate([np.repeat(codes[..., None], 3, axis=2), alpha], axis=2)),
        ("grey.bmp", codes),
        ("grey.tif", codes),
    ):
        cv2.imwrite(str(tmp_path / name), stored)
        assert np.array_equal(read_mask(tmp_path / name), codes), name


def test_a_palette_of_greys_is_read_as_its_greys(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    palette = bytes([0, 0, 0, 31, 31, 31, 32, 32, 32])
    rows = zlib.compress(b"\0\0\1" + b"\0\2\0")
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", TILE) + chunk(b"PLTE", palette) + chunk(b"IDAT", rows)
    (tmp_path / "palette.png").write_bytes(png + chunk(b"IEND", b""))
    assert read_mask(tmp_path / "palette.png").tolist() == [[0, 31], [32, 0]]


def test_colours_and_16_bits_are_no_mask(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "colour.png"), np.full((4, 4, 3), (10, 20, 30), np.uint8))
    with pytest.raises(PictureError, match=r"colour.png: a picture in colours"):
        read_mask(tmp_path / "colour.png")
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 4), 1000, np.uint16))
    with pytest.raises(PictureError, match=r"deep.png: a mask of type uint16"):
        read_mask(tmp_path / "deep.png")


def test_absent_empty_and_cut_off_masks_are_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"absent.png: cannot be read"):
        read_mask(tmp_path / "absent.png")
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(PictureError, match=r"empty.png: the file is empty"):
        read_mask(tmp_path / "empty.png")
    write_mask(tmp_path / "cut.png", np.random.default_rng(0).random((50, 50)) > 0.5)
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-40])
    with pytest.raises(PictureError, match=r"cut.png: the picture is cut off"):
        read_mask(tmp_path / "cut.png")


def test_a_full_disk_leaves_the_old_mask_and_no_half_one(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    write_mask(path, np.ones((4, 4), bool))
    (tmp_path / ".mask.part.png").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="no space left"):
        write_mask(path, np.zeros((4, 4), bool))
    assert [file.name for file in tmp_path.iterdir()] == ["mask.png"]
    assert read_mask(path).all()


def test_a_failed_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path, _target: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match=r"may not be written \(Read-only file system\)"):
        write_mask(tmp_path / "mask.png", np.ones((4, 4), bool))
    assert not list(tmp_path.iterdir())


def with_palette(path: Path, codes: np.ndarray, colors: list[int]) -> None:
    picture = Image.fromarray(codes)
    picture.putpalette(colors)
    picture.save(path)


VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, 128, 0, 128, 0, 128, 128, 128, 128, 128]


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_the_codes_of_a_palette_of_colours_are_its_indices(tmp_path: Path, ending: str) -> None:
    codes = np.array([[0, 1, 2], [3, 7, 0]], np.uint8)
    with_palette(tmp_path / f"voc.{ending}", codes, VOC)
    assert np.array_equal(read_mask(tmp_path / f"voc.{ending}"), codes)
    grey_by_chance = np.array([[0, 7, 7]], np.uint8)
    with_palette(tmp_path / f"seven.{ending}", grey_by_chance, VOC)
    assert np.array_equal(read_mask(tmp_path / f"seven.{ending}"), grey_by_chance)
    # Of greys that do not tell the codes apart, the indices count.
    codes_of_grey = np.array([[0, 1, 2]], np.uint8)
    with_palette(tmp_path / f"alike.{ending}", codes_of_grey, [0, 0, 0, 0, 0, 0, 9, 9, 9])
    assert np.array_equal(read_mask(tmp_path / f"alike.{ending}"), codes_of_grey)


def test_tags_that_are_damaged_are_told_though_the_pixels_can_be_read(tmp_path: Path) -> None:
    path, codes = tmp_path / "a.tif", np.array([[0, 1, 2], [3, 7, 0]], np.uint8)
    Image.fromarray(codes).save(path)
    whole, told = path.read_bytes(), list[str]()
    for place in range(8, 60):
        path.write_bytes(whole[:place] + b"\1" + whole[place + 1 :])
        try:
            read_mask(path)
        except PictureError as error:
            told.append(error.what)
    assert all(str(path) in what for what in told)
    assert any("what the file tells of its picture cannot be read" in what for what in told)


def test_where_the_colours_are_all_the_same_the_transparency_is_the_mask(tmp_path: Path) -> None:
    alpha = np.array([[0, 255, 0], [7, 0, 255]], np.uint8)
    for name, color in (("black.png", 0), ("white.png", 255)):
        cv2.imwrite(str(tmp_path / name), np.dstack([np.full((2, 3, 3), color, np.uint8), alpha]))
        assert np.array_equal(read_mask(tmp_path / name), alpha)
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((2, 3, 4), (255, 255, 255, 0), np.uint8))
    assert not read_mask(tmp_path / "empty.png").any()
    cv2.imwrite(str(tmp_path / "full.png"), np.full((2, 3, 4), 255, np.uint8))
    assert read_mask(tmp_path / "full.png").all()


def test_colours_and_transparency_may_agree_but_not_differ(tmp_path: Path) -> None:
    mask = np.array([[0, 255, 0], [255, 0, 255]], np.uint8)
    cv2.imwrite(str(tmp_path / "same.png"), np.dstack([mask, mask, mask, mask // 2]))
    assert np.array_equal(read_mask(tmp_path / "same.png"), mask)
    cv2.imwrite(str(tmp_path / "differ.png"), np.dstack([mask, mask, mask, mask[::-1]]))
    with pytest.raises(PictureError, match=r"differ.png: its colours tell one mask, its transparency another"):
        read_mask(tmp_path / "differ.png")


@pytest.mark.parametrize("kind", [3, 4])
def test_an_orientation_of_any_number_of_bytes_is_followed_by_pictures_and_masks(tmp_path: Path, kind: int) -> None:
    bright = np.zeros((24, 32), np.uint8)
    bright[:8, :8] = 255
    exif = (
        b"Exif\0\0MM\0*"
        + struct.pack(">IHHHI", 8, 1, 0x0112, kind, 1)
        + (b"\0\6\0\0" if kind == 3 else b"\0\0\0\6")
        + bytes(4)
    )
    Image.fromarray(bright).save(tmp_path / "a.jpg", exif=exif, quality=95)
    for upright in (read_picture(tmp_path / "a.jpg")[..., 0], read_mask(tmp_path / "a.jpg")):
        assert upright.shape == (32, 24)
        assert upright[:6, -6:].min() > 190  # a quarter turn to the right


@pytest.mark.parametrize("ending", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_and_pictures_follow_the_same_exif_orientation(tmp_path: Path, ending: str, orientation: int) -> None:
    stored = np.zeros((24, 32), np.uint8)
    stored[:8, :8], stored[:8, -8:] = 200, 100
    tag = Image.Exif()
    tag[0x0112] = orientation
    path = tmp_path / f"mask.{ending}"
    settings: dict[str, Any] = {"tiffinfo": {0x0112: orientation}} if ending == "tif" else {"exif": tag}
    Image.fromarray(stored).save(path, **settings | ({"lossless": True} if ending == "webp" else {"quality": 100}))
    mask, rgb = read_mask(path), read_picture(path)
    assert np.abs(mask.astype(int) - rgb[..., 0]).max() <= 2
    bright = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    assert mask.shape == ((32, 24) if orientation >= 5 else (24, 32))
    assert mask[bright[orientation]] > 190


def test_a_palette_mask_is_turned_too(tmp_path: Path) -> None:
    tag = Image.Exif()
    tag[0x0112] = 6
    picture = Image.fromarray(np.array([[1, 2, 3]], np.uint8))
    picture.putpalette(VOC)
    picture.save(tmp_path / "voc.png", exif=tag)
    assert read_mask(tmp_path / "voc.png").tolist() == [[1], [2], [3]]
