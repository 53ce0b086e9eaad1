from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuemask.cues.contour import _core, _gradient, contour_cue

SEEDS = st.integers(0, 2**31 - 1)


def smooth_map(seed: int, height: int = 24, width: int = 32, sigma: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def rectangle_and_blob(height: int = 96, width: int = 144, soften: float = 0.0) -> np.ndarray:
    """Equally bright: a rectangle with sharp edges on the left, a blob that fades on the right."""
    y, x = np.mgrid[:height, :width] / height
    cue = 0.2 + 0.5 * np.exp(-((y - 0.5) ** 2 + (x - 1.1) ** 2) / (2 * 0.11**2))
    cue[int(0.3 * height) : int(0.7 * height), int(0.2 * height) : int(0.45 * height)] = 0.7
    return cv2.GaussianBlur(cue, (0, 0), soften * height).astype(np.float32) if soften else cue.astype(np.float32)


def at(cue: np.ndarray, y: float, x: float) -> float:
    """The value at a place given in heights."""
    return float(cue[int(y * cue.shape[0]), int(x * cue.shape[0])])


# The text as loops


def regions_of(above: list[list[bool]]) -> list[list[tuple[int, int]]]:
    """4-connected parts, by flood fill."""
    height, width = len(above), len(above[0])
    seen, regions = set(), []
    for y in range(height):
        for x in range(width):
            if not above[y][x] or (y, x) in seen:
                continue
            region, waiting = [], [(y, x)]
            seen.add((y, x))
            while waiting:
                b, a = waiting.pop()
                region.append((b, a))
                for near in ((b - 1, a), (b + 1, a), (b, a - 1), (b, a + 1)):
                    inside = 0 <= near[0] < height and 0 <= near[1] < width
                    if inside and above[near[0]][near[1]] and near not in seen:
                        seen.add(near)
                        waiting.append(near)
            regions.append(region)
    return regions


def on_the_outline(above: list[list[bool]], y: int, x: int) -> bool:
    """Whether one of the 8 pixels around is not above; beyond the picture there is none."""
    for b in range(max(0, y - 1), min(len(above), y + 2)):
        for a in range(max(0, x - 1), min(len(above[0]), x + 2)):
            if not above[b][a]:
                return True
    return False


def region_score(
    above: list[list[bool]], region: list[tuple[int, int]], gradient: np.ndarray, trusted: np.ndarray, picture: int
) -> float:
    """The power mean of exponent 0.25 along the outline; a short outline counts as if it were followed by zeros."""
    if not 0.002 * picture <= len(region) <= 0.5 * picture:
        return 0.0
    total, length = 0.0, 0
    for y, x in region:
        if trusted[y, x] and on_the_outline(above, y, x):
            total += float(gradient[y, x]) ** 0.25
            length += 1
    return (total / (length + 0.02 * sum(gradient.shape))) ** 4


def contour_in_loops(cue: np.ndarray, inside: np.ndarray) -> np.ndarray:
    height, width = cue.shape
    gradient, trusted = _gradient(cue), _core(inside, height)
    picture = [float(cue[y, x]) for y in range(height) for x in range(width) if inside[y, x]]
    low, high = np.percentile(np.float32(picture), (30, 99.5))
    best = np.zeros((height, width))
    for level in np.linspace(low, high, 16):
        above = [[bool(cue[y, x] > level and inside[y, x]) for x in range(width)] for y in range(height)]
        for region in regions_of(above):
            score = region_score(above, region, gradient, trusted, len(picture))
            for y, x in region:
                best[y, x] = max(best[y, x], score)
    return np.minimum(best * height / 256 / 0.1, 1)


@pytest.mark.parametrize("seed", range(4))
def test_each_pixel_takes_the_best_score_of_the_regions_that_hold_it(seed):
    cue = smooth_map(seed)
    expected = contour_in_loops(cue, np.ones_like(cue, bool))
    assert expected.max() > 0.05
    assert contour_cue(cue) == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_within_a_round_picture_the_scores_are_those_of_the_loops(seed):
    cue = smooth_map(seed, 32, 32)
    y, x = np.mgrid[:32, :32] - 15.5
    inside = np.hypot(y, x) < 14
    expected = contour_in_loops(cue, inside)
    assert expected.max() > 0.05
    assert contour_cue(cue, inside) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_the_gradient_of_a_slope_is_its_change_a_pixel():
    slope = np.tile(np.arange(40, dtype=np.float32) / 50, (30, 1))
    assert _gradient(slope)[15, 20] == pytest.approx(1 / 50, rel=1e-4)
    assert _gradient(slope.T.copy())[20, 15] == pytest.approx(1 / 50, rel=1e-4)


# What it is for


def test_a_sharp_rectangle_scores_above_an_equally_bright_blob_that_fades():
    cue = rectangle_and_blob()
    assert at(cue, 0.5, 0.32) == pytest.approx(at(cue, 0.5, 1.1), abs=0.01)
    contour = contour_cue(cue)
    assert at(contour, 0.5, 0.32) > 0.5
    assert at(contour, 0.5, 1.1) < 0.15


def test_a_region_with_one_faded_side_scores_below_one_that_is_sharp_all_around():
    sharp = np.full((96, 128), 0.2, np.float32)
    sharp[30:66, 40:90] = 0.7
    faded = sharp.copy()
    faded[30:66, 90:] = 0.7 - 0.5 * np.linspace(0, 1, 38, dtype=np.float32)
    assert at(contour_cue(faded), 0.5, 0.5) < 0.8 * at(contour_cue(sharp), 0.5, 0.5)


def test_a_region_that_the_picture_cuts_off_is_judged_by_the_outline_that_is_seen():
    cue = np.full((96, 128), 0.2, np.float32)
    middle, cut = cue.copy(), cue.copy()
    middle[40:60, 40:90] = 0.7
    cut[40:60, :50] = 0.7  # an instrument comes in from the side
    assert contour_cue(cut)[50, 25] == pytest.approx(contour_cue(middle)[50, 65], rel=0.25)
    assert contour_cue(cut)[50, 0] == contour_cue(cut)[50, 25]


@pytest.mark.parametrize("height", [128, 256])
def test_the_same_scene_twice_as_large_has_about_the_same_contour(height):
    small, large = (contour_cue(rectangle_and_blob(h, h * 3 // 2, soften=0.04)) for h in (64, height))
    for x in (0.32, 1.1):
        assert at(large, 0.5, x) == pytest.approx(at(small, 0.5, x), rel=0.1)


@given(SEEDS, st.floats(0.5, 4))
@settings(max_examples=30)
def test_values_lie_in_0_to_1(seed, sigma):
    cue = contour_cue(smooth_map(seed, 20, 28, sigma))
    assert cue.dtype == np.float32
    assert 0 <= cue.min() <= cue.max() <= 1


@given(SEEDS)
@settings(max_examples=20)
def test_mirroring_the_map_mirrors_its_contour(seed):
    cue = smooth_map(seed)
    assert contour_cue(cue[:, ::-1].copy())[:, ::-1] == pytest.approx(contour_cue(cue), rel=1e-3, abs=1e-4)


@given(SEEDS, st.floats(0.1, 0.9))
@settings(max_examples=20)
def test_less_contrast_gives_that_much_less_contour(seed, share):
    cue = smooth_map(seed) * np.float32(0.5)
    assert contour_cue(cue).max() < 1, "not cut off"
    fainter = contour_cue(0.5 + cue * np.float32(share))
    # Rounding moves a pixel across a level here and there.
    assert np.median(np.abs(fainter - share * contour_cue(cue))) < 1e-4


# Degenerate maps


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_constant_map_has_no_contour(level):
    assert (contour_cue(np.full((32, 40), level, np.float32)) == 0).all()


def test_outside_the_picture_there_is_no_contour():
    inside = np.zeros((24, 32), bool)
    inside[4:20, 6:26] = True
    contour = contour_cue(smooth_map(0), inside)
    assert (contour[~inside] == 0).all()
    assert contour[inside].any()


def test_the_border_of_a_round_picture_is_no_outline():
    y, x = np.mgrid[:96, :96] - 47.5
    inside = np.hypot(y, x) < 40
    grey = np.where(inside, np.float32(0.7), np.float32(0))
    grey[:, :40] *= 0.98  # not constant
    assert contour_cue(grey, inside).max() < 0.1


def test_a_picture_without_any_pixel_gives_zeros():
    assert (contour_cue(smooth_map(0), np.zeros((24, 32), bool)) == 0).all()


def test_regions_too_small_or_too_large_count_for_nothing():
    cue = np.zeros((64, 64), np.float32)
    cue[30:32, 30:34] = 1  # 8 of 4096 pixels are just below 0.2 %
    assert contour_cue(cue).max() == 0
    cue[29:32, 30:34] = 1
    # The highest level has to lie below the region, of which 0.5 % of the pixels must be.
    cue[40:44, 40:44] = 1
    assert contour_cue(cue)[30, 31] > 0
    large = np.zeros((64, 64), np.float32)
    large[:, :40] = 1
    assert contour_cue(large).max() == 0


def test_the_given_map_is_left_as_it_is():
    cue = smooth_map(0)
    before = cue.copy()
    contour_cue(cue)
    assert np.array_equal(cue, before)
    assert math.isclose(before.max(), 1)


def test_large_pictures_are_looked_at_with_256_rows() -> None:
    # as the same picture reduced says, at the larger size, and nothing outside
    large, small = (rectangle_and_blob(h, h * 3 // 2, soften=0.04) for h in (768, 256))
    inside = np.ones(large.shape, bool)
    inside[:, :60] = False
    found = contour_cue(large, inside)
    assert (found[:, :60] == 0).all()
    enlarged = cv2.resize(contour_cue(small, inside[1::3, 1::3]), large.shape[::-1])
    assert np.abs(found - enlarged)[:, 120:].mean() < 0.02
