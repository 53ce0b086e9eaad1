from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2lab

from cuemask.cues.color import color_cue, color_ranges, stretch, tails

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


def test_below_the_darkness_asked_for_the_cue_fades_with_lightness():
    rgb = np.random.default_rng(1).integers(0, 60, (7, 9, 3)).astype(np.uint8)
    lightness = rgb2lab(rgb)[..., 0]
    assert lightness.min() < 10 < lightness.max()
    expected = color_cue(rgb) * np.minimum(lightness / 10, 1)
    assert color_cue(rgb, dark=10.0) == pytest.approx(expected, abs=2e-3)


def test_black_is_grey_but_not_an_instrument_where_darkness_counts():
    cue = picture((0, 0, 0), (6, 6, 6), GREY)
    assert color_cue(cue, dark=10.0)[0] == pytest.approx(
        [0, 0.1 * rgb2lab(cue)[0, 1, 0], 1] * color_cue(cue)[0], abs=1e-3
    )
    assert color_cue(cue)[0, 0] == pytest.approx(color_cue(cue)[0, 2], abs=1e-3)


@pytest.mark.parametrize("scale", ["fixed", "minmax", "channels"])
def test_a_bright_picture_is_the_same_whether_darkness_counts_or_not(scale):
    rgb = picture(GREY, FAT, RED)
    assert np.array_equal(color_cue(rgb, scale=scale, dark=10.0), color_cue(rgb, scale=scale))


@given(st.integers(0, 999), st.floats(0.1, 100), st.floats(0.1, 100))
def test_the_more_counts_as_dark_the_lower_the_cue(seed, dark, darker):
    rgb = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    dark, darker = sorted((dark, darker))
    one, other = color_cue(rgb, dark=dark), color_cue(rgb, dark=darker)
    assert (other <= one + 1e-6).all()
    assert other.min() >= 0


@pytest.mark.parametrize("dark", [0.0, 10.0])
@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("scale", ["fixed", "minmax", "channels"])
def test_a_constant_picture_gives_finite_values(level, scale, dark):
    cue = color_cue(np.full((8, 8, 3), level, np.uint8), scale=scale, dark=dark)
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


def test_ranges_are_the_percentiles_over_all_frames_together():
    rng = np.random.default_rng(3)
    frames = [rng.integers(low, low + 60, (40, 50, 3)).astype(np.uint8) for low in (20, 90, 160)]
    inside = np.zeros((40, 50), bool)
    inside[5:30, 10:40] = True
    saturation = [
        [colorsys.rgb_to_hsv(*(pixel / 255))[1] for pixel in rgb[inside].reshape(-1, 3).astype(float)] for rgb in frames
    ]
    _, (low, high) = color_ranges(frames, inside)
    assert (low, high) == pytest.approx(tuple(np.percentile(np.concatenate(saturation), (1, 99))), abs=1e-4)


def test_a_frame_stretched_by_its_own_ranges_is_the_same_whoever_finds_them():
    rgb = np.random.default_rng(4).integers(0, 256, (30, 20, 3)).astype(np.uint8)
    channels = "a*saturation*chroma"
    own = color_cue(rgb, channels=channels, scale="channels")
    given_ranges = color_cue(rgb, channels=channels, scale="channels", ranges=color_ranges([rgb], None, channels))
    assert np.array_equal(own, given_ranges)


def test_the_palest_tissue_of_a_frame_is_no_grey_beside_a_clip_that_shows_grey():
    with_tool, without = picture(GREY, FAT, RED), picture(FAT, FAT, RED)
    ranges = color_ranges([with_tool, without])
    alone = color_cue(without, scale="channels")[0]
    assert alone[0] == pytest.approx(1, abs=1e-3)
    assert color_cue(without, scale="channels", ranges=ranges)[0][0] < 0.6
