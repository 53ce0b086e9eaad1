from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.inference.confidence import confidence

SEEDS = st.integers(0, 2**31 - 1)


def random_map(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((20, 25)) ** 2).astype(np.float32)


def tool(height: int = 40, width: int = 50) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, : width // 2] = True
    return mask


def test_a_mask_that_is_what_the_network_says_is_wholly_sure():
    assert confidence(tool().astype(np.float32), tool()) == 1


def test_it_is_the_iou_where_every_probability_is_0_or_1():
    said = np.roll(tool(), 4, axis=0)
    true = np.sum(said & tool()) / np.sum(said | tool())
    assert confidence(said.astype(np.float32), tool()) == pytest.approx(true, abs=0.01)


@given(SEEDS)
def test_it_is_the_sum_over_pixels_counted_one_by_one(seed):
    p, mask = random_map(seed), random_map(seed + 1) > 0.4
    both = sum(float(v) for v, m in zip(p.ravel(), mask.ravel(), strict=True) if m)
    either = sum(1.0 if m else float(v) for v, m in zip(p.ravel(), mask.ravel(), strict=True))
    assert confidence(p, mask) == pytest.approx((both + 1) / (either + 1), abs=1e-4)  # c: 0.002 of 500 pixels


def test_what_the_network_sees_beside_the_mask_counts_against_it_as_what_it_misses_in_it_does():
    p = tool().astype(np.float32)
    beside, within = p.copy(), p.copy()
    beside[30:, 30:] = 0.5
    within[15:20] *= 0.5
    assert confidence(beside, tool()) < 0.9
    assert confidence(within, tool()) < 0.9


def test_an_empty_mask_is_sure_where_the_network_sees_nothing_and_doubtful_where_it_sees_a_tool():
    empty = np.zeros((40, 50), bool)
    assert confidence(np.zeros((40, 50), np.float32), empty) == 1
    assert confidence(np.full((40, 50), 1e-4, np.float32), empty) > 0.9
    assert confidence(tool().astype(np.float32), empty) < 0.02


def test_what_lies_outside_the_endoscopes_picture_does_not_count():
    p = tool().astype(np.float32)
    p[30:] = 0.9
    inside = np.ones((40, 50), bool)
    inside[30:] = False
    assert confidence(p, tool(), inside) == 1
    assert confidence(p, tool()) < 0.6


def test_a_mask_of_another_size_than_the_map_is_brought_to_its_size():
    p = np.array([[0.9, 0.1], [0.7, 0.2]], np.float32)
    mask = np.repeat(np.repeat(p > 0.5, 3, axis=0), 3, axis=1)
    assert confidence(p, mask) == pytest.approx(1.608 / 2.308)


@given(SEEDS)
def test_it_lies_in_0_to_1(seed):
    assert 0 < confidence(random_map(seed), random_map(seed + 1) > 0.5) <= 1
