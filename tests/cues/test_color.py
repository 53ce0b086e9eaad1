from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2lab

from cuemask.cues.color import color_cue, stretch, tails

GREY, RED, FAT = (128, 128, 128), (170, 40, 45), (220, 190, 90)


def picture(*colors: tuple[int, int, int]) -> np.ndarray:
    return np.array([colors], np.uint8).repeat(3, axis=0)


def test_the_papers_cue_is_inverted_a_times_inverted_saturation():
    rgb = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    a = (rgb2lab(rgb)[..., 1] + 128) / 255
    s = np.array([[colorsys.rgb_to_hsv(*(pixel / 255))[1] for pixel in row] for row in rgb])
    assert color_cue(rgb) == pytest.approx((1 - a) * (1 - s), abs=2e-3)


@pytest.mark.parametrize("channels", ["a*saturation", "a*saturation*chroma"])
@pytest.mark.parametrize("scale", ["fixed", "minmax", "channels"])
def test_grey_scores_above_fat_and_fat_above_red(channels, scale):
    grey, fat, red = color_cue(picture(GREY, FAT, RED), channels=channels, scale=scale)[0]
    assert 1 >= grey > fat > red >= 0


def test_minmax_reaches_both_ends_of_the_range():
    cue = color_cue(picture(GREY, FAT, RED), scale="minmax")
    assert (cue.min(), cue.max()) == (0, 1)


def test_outside_the_picture_the_cue_is_zero_and_scales_nothing():
    rgb = picture(FAT, RED, GREY)
    inside = np.array([[True, True, False]]).repeat(3, axis=0)
    assert color_cue(rgb, inside, scale="minmax")[0].tolist() == [1, 0, 0]
    assert color_cue(rgb, inside, scale="channels")[0, 2] == 0


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("scale", ["fixed", "minmax", "channels"])
def test_a_constant_picture_gives_finite_values(level, scale):
    cue = color_cue(np.full((8, 8, 3), level, np.uint8), scale=scale)
    assert np.isfinite(cue).all()
    assert cue.min() >= 0
    assert cue.max() <= 1


def test_stretching_a_constant_gives_zeros():
    assert (stretch(np.full((3, 3), 0.7, np.float32)) == 0).all()
    nowhere = np.zeros((3, 3), bool)
    assert (stretch(np.full((3, 3), 0.7, np.float32), nowhere) == 0).all()


@given(st.integers(1, 3000), st.integers(0, 999), st.sampled_from(["even", "one value", "few values", "misleading"]))
def test_tails_are_numpys_percentiles(count, seed, kind):
    rng = np.random.default_rng(seed)
    values = rng.random(count, dtype=np.float32)
    if kind == "one value":
        values[:] = 0.3
    if kind == "few values":
        values = np.round(values, 1)
    if kind == "misleading":
        values[::61] = 0  # all that the sample sees
    assert tails(values) == pytest.approx(np.percentile(values, (1, 99)).tolist(), abs=1e-6)
