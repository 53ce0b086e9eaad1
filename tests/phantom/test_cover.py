from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import polygon2mask

from cuemask.phantom.cover import PLACES, Patch, cover


def whole(patch: Patch, shape: tuple[int, int]) -> np.ndarray:
    counts = np.zeros(shape, np.uint8)
    counts[patch.place] = patch.covered
    return counts


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def test_whole_pixels_are_covered_whole() -> None:
    (patch,) = cover([box(2, 1, 5, 3)], (6, 8))
    expected = np.zeros((6, 8))
    expected[1:3, 2:5] = PLACES
    # OpenCV fills the places that an edge touches, so an outline gains up to one place a side.
    np.testing.assert_array_less(np.abs(whole(patch, (6, 8)) - expected), PLACES // 2)
    np.testing.assert_array_equal(whole(patch, (6, 8))[1:3, 2:5], PLACES)


def test_half_a_pixel_counts_half() -> None:
    (patch,) = cover([box(0, 0, 4.5, 4)], (4, 8))
    assert whole(patch, (4, 8))[1, 4] in (PLACES // 2, PLACES * 3 // 4)


def test_a_later_outline_hides_an_earlier_one_and_together_they_fill_each_pixel_once() -> None:
    below, above = cover([box(0, 0, 6, 6), box(3.3, 2.2, 8, 8)], (8, 8))
    together = whole(below, (8, 8)) + whole(above, (8, 8))
    assert together.max() == PLACES
    assert not whole(below, (8, 8))[4:6, 4:6].any()


def test_outlines_outside_the_picture_touch_nothing() -> None:
    for outline in (box(-9, -9, -3, -3), box(20, 2, 30, 3), box(2, 50, 3, 60)):
        (patch,) = cover([outline], (8, 8))
        assert not patch.covered.any()


@pytest.mark.parametrize("seed", range(4))
def test_coverage_agrees_with_a_much_finer_count(seed: int) -> None:
    outline = np.random.default_rng(seed).uniform(-5, 45, (3, 2))
    (patch,) = cover([outline], (32, 40))
    fine = polygon2mask((32 * 16, 40 * 16), outline[:, ::-1] * 16 - 0.5).reshape(32, 16, 40, 16)
    expected = PLACES * fine.mean(axis=(1, 3))
    difference = whole(patch, (32, 40)) - expected
    assert np.abs(difference).max() <= 0.5 * PLACES
    # An eighth of a pixel a side is what the filled edges may add.
    edge = (expected > 0) & (expected < PLACES)
    assert 0 <= difference[edge].mean() <= PLACES / 6
