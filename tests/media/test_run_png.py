from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cuemask.media.masks import read_mask, write_mask
from cuemask.media.run_png import png_of_runs


def read_by_all(data: bytes) -> np.ndarray:
    """What OpenCV and Pillow read, once they are found to agree with what zlib gives."""
    ours = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), ours)
    begin = data.index(b"IDAT")
    content = data[begin + 4 : begin + 4 + int.from_bytes(data[begin - 4 : begin], "big")]
    assert zlib.decompress(content) == np.pad(ours, ((0, 0), (1, 0))).tobytes()
    return ours


@given(st.lists(st.integers(1, 1200), min_size=1, max_size=40), st.integers(1, 700), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_its_runs_are_a_mask_is_read_as_it_was(lengths, width, begins):
    flat = np.repeat((np.arange(len(lengths)) + begins) % 2 == 1, lengths)
    mask = np.resize(flat, (-(-flat.size // width), width))
    data = png_of_runs(mask)
    if data is not None:
        assert np.array_equal(read_by_all(data), mask * np.uint8(255))


@pytest.mark.parametrize("length", [1, 2, 3, 10, 11, 66, 130, 131, 256, 257, 258, 259, 260, 261, 516, 517, 518])
def test_every_kind_of_copy_is_written(length):
    for is_set in (False, True):
        mask = np.full((1, length), is_set)
        assert np.array_equal(read_by_all(png_of_runs(mask)), mask * np.uint8(255))


def test_a_speckled_mask_is_left_to_the_compressor_and_read_all_the_same(tmp_path):
    mask = np.random.default_rng(0).random((90, 100)) < 0.5
    assert png_of_runs(mask) is None
    write_mask(tmp_path / "m.png", mask)
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask * np.uint8(255))


def test_a_mask_of_a_frame_takes_less_room_than_a_compressor_makes_of_it():
    y, x = np.mgrid[:1080, :1920]
    mask = (abs((x - 900) / 2 - (y - 300)) < 90) & (x < 1200)
    data = png_of_runs(mask)
    assert len(data) < len(zlib.compress((mask * np.uint8(255)).tobytes(), 1))
    assert np.array_equal(read_by_all(data), mask * np.uint8(255))
