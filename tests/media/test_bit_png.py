from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from cuemask.media.bit_png import mask_of_bits, png_of_bits


@pytest.mark.parametrize("size", [(1, 1), (3, 8), (5, 17), (40, 300)])
def test_a_mask_is_a_png_that_others_read_and_comes_back_to_the_pixel(size):
    for share in (0.0, 0.02, 0.5, 1.0):
        mask = np.random.default_rng(0).random(size) < share
        data = png_of_bits(mask)
        assert np.array_equal(mask_of_bits(data, *size), mask * np.uint8(255))
        assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), mask * np.uint8(255))


def test_a_byte_that_was_changed_anywhere_is_noticed_and_so_are_an_end_that_is_missing_and_another_size():
    data = png_of_bits(np.eye(9, 14, dtype=bool))
    for at in range(len(data)):
        for turned in (0x01, 0x80):
            with pytest.raises(ValueError):
                mask_of_bits(data[:at] + bytes([data[at] ^ turned]) + data[at + 1 :], 9, 14)
        with pytest.raises(ValueError):
            mask_of_bits(data[:at], 9, 14)
    with pytest.raises(ValueError, match="no mask of its size"):
        mask_of_bits(data, 14, 9)


@pytest.mark.parametrize("packed", [b"", b"nothing of zlib's", zlib.compress(bytes(20))])
def test_what_was_written_so_and_is_no_mask_is_refused(packed):
    data = png_of_bits(np.eye(9, 14, dtype=bool))
    chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed + struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    with pytest.raises(ValueError):
        mask_of_bits(data[:33] + chunk + data[-12:], 9, 14)
