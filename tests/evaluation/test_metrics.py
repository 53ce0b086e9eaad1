from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError
from skimage.metrics import contingency_table
from tests.reference import boundary_f as literal_boundary_f

from cuemask.evaluation.metrics import Counts, boundary, boundary_f, dice, iou

EMPTY = np.zeros((5, 7), np.bool_)
FULL = np.ones((5, 7), np.bool_)


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    frames, height, width = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    masks = arrays(np.bool_, (frames, height, width))
    return draw(masks), draw(masks)


def figures(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    counts = Counts.of(predicted, truth)
    return float(iou(counts)), float(dice(counts))


@given(mask_pairs())
def test_figures_equal_those_from_a_contingency_table(pair: tuple[np.ndarray, np.ndarray]) -> None:
    counts = Counts.of(*pair)
    for n, (predicted, truth) in enumerate(zip(*pair, strict=True)):
        table = np.zeros((2, 2))
        found = contingency_table(truth.astype(int), predicted.astype(int), sparse_type="array").toarray()
        table[: found.shape[0], : found.shape[1]] = found
        hit, miss, false = table[1, 1], table[1, 0], table[0, 1]
        expected_iou = hit / (hit + miss + false) if hit + miss + false else 1.0
        expected_dice = 2 * hit / (2 * hit + miss + false) if hit + miss + false else 1.0
        assert iou(counts)[n] == pytest.approx(expected_iou, abs=1e-12)
        assert dice(counts)[n] == pytest.approx(expected_dice, abs=1e-12)


@given(mask_pairs())
def test_swapping_prediction_and_truth_changes_no_figure(pair: tuple[np.ndarray, np.ndarray]) -> None:
    there, back = Counts.of(*pair), Counts.of(*pair[::-1])
    np.testing.assert_array_equal(iou(there), iou(back))
    np.testing.assert_array_equal(dice(there), dice(back))


@given(mask_pairs())
def test_dice_follows_from_iou(pair: tuple[np.ndarray, np.ndarray]) -> None:
    j = iou(Counts.of(*pair))
    np.testing.assert_allclose(dice(Counts.of(*pair)), 2 * j / (1 + j), atol=1e-12)


def test_a_known_overlap_gives_a_third_and_a_half() -> None:
    predicted, truth = EMPTY.copy(), EMPTY.copy()
    predicted[:, :2] = True
    truth[:, 1:3] = True
    assert figures(predicted, truth) == (pytest.approx(1 / 3), pytest.approx(1 / 2))


def test_empty_on_empty_is_one() -> None:
    assert figures(EMPTY, EMPTY) == (1.0, 1.0)


@pytest.mark.parametrize(("predicted", "truth"), [(EMPTY, FULL), (FULL, EMPTY)])
def test_empty_on_anything_else_is_nothing(predicted: np.ndarray, truth: np.ndarray) -> None:
    assert max(figures(predicted, truth)) < 1e-12


def test_full_on_full_is_one() -> None:
    assert figures(FULL, FULL) == (1.0, 1.0)


def test_counts_name_the_pixels_of_one_frame() -> None:
    counts = Counts.of(np.stack([FULL, EMPTY]), np.stack([FULL, FULL]))
    assert counts.total == 35
    assert counts.intersection.tolist() == [35, 0]
    assert counts.predicted.tolist() == [35, 0]
    assert counts.truth.tolist() == [35, 35]


def test_masks_of_different_shapes_are_refused() -> None:
    # Where annotations are checked, as here, they refuse the masks before our own check does.
    with pytest.raises((ValueError, TypeCheckError)):
        Counts.of(EMPTY, EMPTY[:, :5])


def square(top: int, left: int, side: int = 20, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


@given(mask_pairs(), st.sampled_from([0.01, 0.1, 0.2, 0.5]))
def test_the_boundary_figure_equals_the_definition_as_literal_loops(
    pair: tuple[np.ndarray, np.ndarray], tolerance: float
) -> None:
    for predicted, truth in zip(*pair, strict=True):
        expected = literal_boundary_f(predicted.tolist(), truth.tolist(), tolerance)
        assert boundary_f(predicted, truth, tolerance) == pytest.approx(expected, abs=1e-12)


@given(mask_pairs())
def test_swapping_prediction_and_truth_keeps_the_boundary_figure(pair: tuple[np.ndarray, np.ndarray]) -> None:
    for predicted, truth in zip(*pair, strict=True):
        assert boundary_f(predicted, truth, 0.2) == pytest.approx(boundary_f(truth, predicted, 0.2))


def test_an_outline_off_by_less_than_the_tolerance_is_whole() -> None:
    assert boundary_f(square(20, 20), square(20, 21)) == 1.0  # the diagonal is 100 px, one hundredth of it 1 px
    assert boundary_f(square(20, 20), square(20, 22)) < 1.0
    assert boundary_f(square(20, 20), square(20, 22), 0.02) == 1.0


def test_an_outline_far_away_is_nothing() -> None:
    assert boundary_f(square(2, 2), square(35, 50)) == 0.0


def test_a_hole_costs_precision_only() -> None:
    truth = square(20, 20)
    predicted = truth.copy()
    predicted[30, 30] = False  # a boundary of 4 pixels besides the 76 of the square
    precision = 76 / 80
    assert boundary_f(predicted, truth) == pytest.approx(2 * precision / (precision + 1))


def test_a_distance_that_equals_the_tolerance_is_within_it() -> None:
    one, other = np.zeros((2, 100, 100), np.bool_)
    one[50, 50] = other[51, 51] = True  # apart by the root of 2: one hundredth of the diagonal
    assert boundary_f(one, other) == 1.0


def test_the_edge_of_the_picture_is_no_boundary() -> None:
    assert not boundary(FULL).any()
    assert np.argwhere(boundary(square(0, 0, 2, (4, 4)))).tolist() == [[0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [(EMPTY, EMPTY, 1.0), (FULL, FULL, 1.0), (EMPTY, FULL, 0.0), (EMPTY, square(1, 1, 3, (5, 7)), 0.0)],
)
def test_masks_without_a_boundary_score_one_where_they_are_equal(
    predicted: np.ndarray, truth: np.ndarray, expected: float
) -> None:
    assert boundary_f(predicted, truth) == boundary_f(truth, predicted) == expected


def test_boundaries_of_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises((ValueError, TypeCheckError)):
        boundary_f(EMPTY, EMPTY[:, :5])
