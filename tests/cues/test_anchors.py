from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from cuemask.cues.anchors import Usual, anchors, sharpen, smooth, smoothing_factor, spread_of
from cuemask.cues.location import MeanMap, gaussian_location
from cuemask.cues.otsu import otsu_threshold

SEEDS = st.integers(0, 2**31 - 1)


def maps(seed: int, count: int = 3, shape: tuple[int, int] = (8, 10)) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random(shape).astype(np.float32) for _ in range(count)]


@given(SEEDS, st.integers(1, 3))
def test_anchors_are_the_products_of_the_cues_and_of_the_inverted_cues(seed, count):
    cues = maps(seed, count)
    positive, negative = anchors(cues)
    for y in range(8):
        for x in range(10):
            assert positive[y, x] == pytest.approx(np.prod([float(c[y, x]) for c in cues]), abs=1e-6)
            assert negative[y, x] == pytest.approx(np.prod([1 - float(c[y, x]) for c in cues]), abs=1e-6)


@given(SEEDS)
def test_inverting_all_cues_swaps_the_anchors(seed):
    cues = maps(seed)
    one, other = anchors(cues), anchors([1 - cue for cue in cues])
    assert one.positive == pytest.approx(other.negative, abs=1e-6)
    assert one.negative == pytest.approx(other.positive, abs=1e-6)


@given(SEEDS, st.floats(1, 4))
@settings(max_examples=40)
def test_anchors_stay_probabilities_that_do_not_exceed_one_together(seed, smoothing):
    positive, negative = anchors(maps(seed), smoothing=smoothing)
    assert min(positive.min(), negative.min()) >= 0
    assert (positive + negative).max() <= 1 + 1e-5


@given(SEEDS, st.floats(0.1, 2))
def test_a_weight_is_an_exponent_of_the_cue_and_of_its_inverse(seed, weight):
    one, two = maps(seed, 2)
    positive, negative = anchors([one, two], weights=[1.0, weight])
    assert positive == pytest.approx(one * two**weight, abs=1e-6)
    assert negative == pytest.approx((1 - one) * (1 - two) ** weight, abs=1e-6)


@given(SEEDS, st.floats(0.2, 2))
def test_a_positive_power_is_an_exponent_of_the_positive_product_alone(seed, power):
    plain, risen = anchors(maps(seed)), anchors(maps(seed), positive_power=power)
    assert risen.positive == pytest.approx(plain.positive**power, abs=1e-6)
    assert risen.negative == pytest.approx(plain.negative, abs=1e-6)


def test_each_cue_needs_its_weight():
    with pytest.raises(ValueError, match="argument"):
        anchors(maps(0), weights=[1.0])


def test_outside_the_picture_there_are_no_anchors():
    inside = np.zeros((8, 10), bool)
    inside[2:6, 2:8] = True
    for anchor in anchors(maps(1), inside, smoothing=2.0):
        assert (anchor[~inside] == 0).all()
        assert anchor[inside].any()


def test_the_given_cues_are_left_as_they_are():
    cues = maps(0)
    before = [cue.copy() for cue in cues]
    anchors(cues)
    assert all(np.array_equal(a, b) for a, b in zip(cues, before, strict=True))


def test_no_cue_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one cue"):
        anchors([])


def test_sharpening_is_centred_at_the_otsu_threshold_and_keeps_the_order():
    cue = np.concatenate([np.full(50, 0.2), np.full(30, 0.6)]).astype(np.float32).reshape(8, 10)
    cue += np.random.default_rng(0).normal(0, 0.02, cue.shape).astype(np.float32)
    sharp = sharpen(cue, 4.0)
    assert sharp[cue < 0.35].max() < 0.5 < sharp[cue > 0.45].min()
    assert (np.argsort(sharp, axis=None) == np.argsort(cue, axis=None)).all()


def test_a_constant_cue_decides_nothing_when_sharpened():
    assert (sharpen(np.full((4, 4), 0.9, np.float32), 4.0) == 0.5).all()


def two_levels(dim: float, bright: float, seed: int = 0, spread: float = 0.01) -> np.ndarray:
    """50 pixels about `dim` and 30 about `bright`."""
    cue = np.concatenate([np.full(50, dim), np.full(30, bright)]).reshape(8, 10)
    return (cue + np.random.default_rng(seed).normal(0, spread, cue.shape)).astype(np.float32)


def test_a_spread_is_the_threshold_the_deviation_and_the_mean_above_the_threshold():
    cue = two_levels(0.2, 0.6)
    threshold, deviation, bright = spread_of(cue)
    assert threshold == otsu_threshold(cue)
    above = [float(value) for value in cue.flat if value > threshold]
    assert len(above) == 30
    assert bright == pytest.approx(sum(above) / 30, abs=1e-6)
    mean = sum(cue.ravel().tolist()) / 80
    assert deviation == pytest.approx((sum((v - mean) ** 2 for v in cue.ravel().tolist()) / 80) ** 0.5, abs=1e-6)


def test_the_spread_of_a_constant_has_nothing_bright_and_that_of_nothing_is_zero():
    constant = spread_of(np.full(9, 0.7, np.float32))
    assert constant.bright == 0
    assert constant.deviation == pytest.approx(0, abs=1e-6)
    assert spread_of(np.empty(0, np.float32)) == (0, 0, 0)


# Spread so far that no gap is left between the levels, in which Otsu's threshold would be anywhere.
CLIP = spread_of(np.stack([two_levels(0.2, 0.6, seed, 0.07) for seed in range(40)]))


@given(SEEDS, st.floats(0, 0.2), st.floats(0.25, 0.36))
def test_a_frame_that_lies_below_its_clips_threshold_comes_out_below_half_everywhere(seed, dim, bright):
    cue = two_levels(dim, bright, seed)
    assert cue.max() < CLIP.threshold
    assert sharpen(cue, 4.0).max() > 0.5, "by its own threshold a part of it is bright"
    assert sharpen(cue, 4.0, usual=CLIP).max() < 0.5


@given(SEEDS, st.floats(0, 0.5), st.floats(0.45, 0.95))
def test_a_frame_with_a_part_above_its_clips_threshold_is_sharpened_by_its_own(seed, dim, bright):
    cue = two_levels(min(dim, bright - 0.1), bright, seed)
    assert np.array_equal(sharpen(cue, 4.0, usual=CLIP), sharpen(cue, 4.0))


def test_by_the_clips_spread_the_curve_is_centred_and_as_steep_as_the_clip_says():
    cue = two_levels(0.1, 0.3)
    expected = 1 / (1 + np.exp(-4.0 * (cue - CLIP.threshold) / CLIP.deviation))
    assert sharpen(cue, 4.0, usual=CLIP) == pytest.approx(expected, abs=1e-5)


def test_only_what_is_inside_the_picture_decides_whether_a_frame_is_dim():
    cue = two_levels(0.1, 0.3)
    inside = np.ones(cue.shape, bool)
    inside[0] = False
    cue[0] = 0.9
    assert sharpen(cue, 4.0, inside, CLIP)[inside].max() < 0.5
    assert sharpen(cue, 4.0, None, CLIP)[inside].max() < 0.5 < sharpen(cue, 4.0, None, CLIP)[0].min()


def test_a_constant_frame_of_a_clip_is_judged_by_the_clip():
    assert sharpen(np.full((4, 4), 0.1, np.float32), 4.0, usual=CLIP).max() < 0.5


def test_a_frame_of_a_constant_clip_decides_nothing():
    flat = Usual(1.0, 0.0, 0.0)
    assert (sharpen(np.full((4, 4), 0.1, np.float32), 4.0, usual=flat) == 0.5).all()


@pytest.mark.parametrize("factor", [2.0, 4.0])
def test_smoothing_takes_means_under_triangles_and_enlarges_again(factor):
    product = maps(0, 1, (16, 24))[0]
    reduced = np.zeros((int(16 / factor), int(24 / factor)), np.float32)
    for row, column in np.ndindex(reduced.shape):
        total = weight = 0.0
        for y, x in np.ndindex(product.shape):
            near_y = 1 - abs(y + 0.5 - (row + 0.5) * factor) / factor
            near_x = 1 - abs(x + 0.5 - (column + 0.5) * factor) / factor
            if near_y > 0 and near_x > 0:
                total += near_y * near_x * product[y, x]
                weight += near_y * near_x
        reduced[row, column] = total / weight
    assert smooth(product, factor) == pytest.approx(cv2.resize(reduced, (24, 16)), abs=1e-5)
    assert smooth(product, 1.0) is product


def test_smoothing_is_meant_for_1024_rows_and_less_in_smaller_pictures():
    assert [smoothing_factor(4, rows) for rows in (1024, 512, 256, 64, 2048)] == [4, 2, 1, 1, 8]
    assert [smoothing_factor(1, rows) for rows in (64, 2048)] == [1, 1]


@given(SEEDS)
def test_otsu_agrees_with_scikit_image(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0.3, 0.1, 500), rng.normal(0.7, 0.08, 200)]).clip(0, 1).astype(np.float32)
    levels = np.rint(values * 255).astype(np.uint8)
    ours = otsu_threshold(values)
    # The best threshold may be any within an empty gap of the histogram: what counts is the split.
    theirs = threshold_otsu(levels, nbins=256)
    assert abs((values > ours).sum() - (levels > theirs).sum()) <= 0.01 * values.size


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_otsu_leaves_nothing_of_a_constant(level):
    values = np.full(10, level, np.float32)
    for own_range in (False, True):
        assert not (values > otsu_threshold(values, own_range=own_range)).any()
        assert otsu_threshold(np.empty(0, np.float32), own_range=own_range) == 1


@given(SEEDS, st.sampled_from([1e-6, 0.004, 0.05, 1.0]), st.floats(0, 0.5))
def test_on_its_own_range_otsu_splits_a_dim_map_as_a_bright_one(seed, scale, shift):
    rng = np.random.default_rng(seed)
    bright = np.concatenate([rng.normal(0.3, 0.1, 500), rng.normal(0.7, 0.08, 200)]).clip(0, 1).astype(np.float32)
    dim = (np.float32(scale) * bright).astype(np.float32)
    theirs = threshold_otsu(bright, nbins=256)  # scikit-image takes the range of the values
    for values in (dim, dim + np.float32(shift) if scale == 0.05 else dim):
        split = values > otsu_threshold(values, own_range=True)
        # Rounding moves a threshold by a level: at most so many values lie in one.
        assert abs(int(split.sum()) - int((bright > theirs).sum())) <= 0.02 * bright.size


def test_from_0_to_1_a_dim_map_has_few_levels_left():
    dim = np.linspace(0, 0.05, 500, dtype=np.float32)
    assert len(np.unique(np.rint(dim * 255))) == 14
    dim[:450] = np.linspace(0, 0.0018, 450, dtype=np.float32)  # within the lowest level
    dim[450:] = np.linspace(0.0019, 0.0021, 50, dtype=np.float32)
    assert (dim > otsu_threshold(dim, own_range=True)).sum() != (dim > otsu_threshold(dim)).sum()


def test_the_location_cue_is_the_mean_in_any_order():
    frames = maps(0, 5)
    forwards, backwards = MeanMap(8, 10), MeanMap(8, 10)
    for frame in frames:
        forwards.add(frame)
    for frame in reversed(frames):
        backwards.add(frame)
    assert forwards.mean() == pytest.approx(np.mean(frames, axis=0), abs=1e-6)
    assert forwards.mean() == pytest.approx(backwards.mean(), abs=1e-7)
    assert (MeanMap(2, 2).mean() == 0).all()


def test_the_gaussian_prior_is_centred_and_symmetric():
    prior = gaussian_location(11, 15)
    assert prior[5, 7] == prior.max() == 1
    assert prior == pytest.approx(prior[::-1, ::-1])
    assert prior[0, 0] < 0.2
