from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.inference.confidence import confidence

SEEDS = st.integers(0, 2**31 - 1)


def map_of(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def random_map(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((6, 7)) ** 2).astype(np.float32)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 0.0), 1.0),
        ((1.0, 0.5), 0.5),
        ((0.9, 0.7), 0.6),
        ((0.2, 0.0), 0.6),
        ((0.75, 0.09, 0.05, 0.0), 0.5),  # what is at most 0.1 is not at issue
    ],
)
def test_confidences_that_are_known(values, expected):
    assert confidence(map_of(*values)) == pytest.approx(expected, abs=1e-6)


def test_a_sharp_mask_is_wholly_sure():
    p = np.zeros((20, 20), np.float32)
    p[5:12, 4:15] = 1
    assert confidence(p) == 1


@pytest.mark.parametrize("level", [0.0, 0.05, 0.0999])
def test_an_empty_mask_without_doubt_is_wholly_sure(level):
    assert confidence(np.full((5, 5), level, np.float32)) == 1


def test_a_map_that_is_undecided_everywhere_has_no_confidence():
    p = np.random.default_rng(0).uniform(0.45, 0.55, (30, 30)).astype(np.float32)
    assert confidence(p) < 0.1
    assert confidence(np.full((5, 5), 0.5, np.float32)) == 0


def test_a_map_without_pixels_is_sure_since_nothing_is_at_issue():
    assert confidence(np.zeros((0, 0), np.float32)) == 1


def test_a_doubtful_region_beside_a_sharp_one_pulls_the_confidence_down_by_its_share():
    p = np.zeros((10, 30), np.float32)
    p[:, :15] = 1
    sure = confidence(p)
    p[:, 25:] = 0.5
    assert (sure, confidence(p)) == (1, pytest.approx(15 / 20))


@given(SEEDS)
def test_it_is_the_mean_over_pixels_counted_one_by_one(seed):
    p = random_map(seed)
    said = [abs(2 * value - 1) for value in p.ravel().tolist() if value > 0.1]
    assert confidence(p) == pytest.approx(sum(said) / len(said), abs=1e-5)


@given(SEEDS, st.floats(0, 1))
def test_it_lies_in_0_to_1_however_large_the_values(seed, scale):
    assert 0 <= confidence(random_map(seed) * np.float32(scale)) <= 1


@given(SEEDS)
def test_the_order_of_the_pixels_is_free_and_pixels_of_no_probability_change_nothing(seed):
    p = random_map(seed)
    shuffled = np.random.default_rng(seed).permuted(p.ravel()).reshape(7, 6)
    assert confidence(shuffled) == pytest.approx(confidence(p), abs=1e-6)
    assert confidence(np.pad(p, 3)) == pytest.approx(confidence(p), abs=1e-6)


@given(SEEDS, st.floats(0, 1))
def test_going_half_the_way_to_a_decision_never_lowers_it(seed, share):
    p = random_map(seed) * np.float32(0.9) + np.float32(0.101)  # all are at issue, and stay so
    decided = np.where(p > 0.5, 1, 0.101).astype(np.float32)
    assert confidence(p + np.float32(share) * (decided - p)) >= confidence(p) - 1e-6
