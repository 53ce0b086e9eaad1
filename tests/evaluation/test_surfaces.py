from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError
from tests.reference import surface_figures

from cuemask.evaluation.surfaces import TOLERANCE, Tolerance, surface

PIXEL = Tolerance(1.0)
EMPTY = np.zeros((30, 40), np.bool_)  # its diagonal is 50 px


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    masks = arrays(np.bool_, (draw(st.integers(1, 9)), draw(st.integers(1, 9))))
    return draw(masks), draw(masks)


def square(top: int, left: int, side: int = 10) -> np.ndarray:
    mask = EMPTY.copy()
    mask[top : top + side, left : left + side] = True
    return mask


@given(mask_pairs(), st.sampled_from([0, 1, 2**0.5, 2, 3.5]))
def test_figures_equal_the_definitions_as_literal_loops(pair: tuple[np.ndarray, np.ndarray], tolerance: float) -> None:
    predicted, truth = pair
    if predicted.any() and truth.any():
        expected = surface_figures(predicted.tolist(), truth.tolist(), tolerance)
        found = surface(predicted, truth, Tolerance(float(tolerance)))
        assert (found.nsd, found.hd95_px) == pytest.approx(expected, abs=1e-9)


@given(mask_pairs())
def test_swapping_prediction_and_truth_changes_no_figure(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert surface(*pair, PIXEL) == surface(*pair[::-1], PIXEL)


@given(mask_pairs())
def test_figures_keep_their_bounds(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found = surface(*pair, PIXEL)
    assert 0 <= found.nsd <= 1
    assert 0 <= found.hd95_px <= np.hypot(*pair[0].shape)


@given(mask_pairs())
def test_a_mask_on_itself_is_perfect_at_no_tolerance(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found = surface(pair[0], pair[0], Tolerance(0.0))
    assert (found.nsd, found.hd95_px) == (1.0, 0.0)


@given(mask_pairs())
def test_more_tolerance_never_lowers_the_figure(pair: tuple[np.ndarray, np.ndarray]) -> None:
    values = [surface(*pair, Tolerance(float(px))).nsd for px in (0, 1, 2, 4)]
    assert values == sorted(values)


def test_a_square_moved_by_three_pixels_is_three_pixels_off() -> None:
    found = surface(square(5, 5), square(5, 8), Tolerance(3.0))
    assert (found.nsd, found.hd95_px) == (1.0, 3.0)
    assert surface(square(5, 5), square(5, 8), Tolerance(2.9)).nsd < 1


def test_two_empty_masks_agree_and_one_empty_mask_is_the_diagonal_off() -> None:
    assert surface(EMPTY, EMPTY, PIXEL) == surface(square(5, 5), square(5, 5), PIXEL)
    for pair in ((EMPTY, square(5, 5)), (square(5, 5), EMPTY)):
        found = surface(*pair, PIXEL)
        assert (found.nsd, found.hd95_px) == (0.0, 50.0)


def test_one_empty_mask_is_nothing_even_at_a_tolerance_of_the_whole_picture() -> None:
    assert surface(EMPTY, square(5, 5), Tolerance(1000.0)).nsd == 0.0


def test_the_edge_of_the_picture_is_a_surface() -> None:
    full = np.ones((30, 40), np.bool_)
    inner = full.copy()
    inner[[0, -1]] = inner[:, [0, -1]] = False
    assert surface(full, inner, Tolerance(0.0)).nsd == 0.0  # not without outline: its rim is, one pixel further out
    assert surface(full, inner, Tolerance(2.0)).nsd == 1.0


def test_a_tolerance_is_pixels_or_a_share_of_the_diagonal() -> None:
    assert Tolerance(3.0).px(30, 40) == 3
    assert Tolerance(0.1, "diagonal").px(30, 40) == pytest.approx(5)
    assert (str(Tolerance(3.0)), str(TOLERANCE)) == ("3 px", "1 % of the diagonal")


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_below_zero_or_without_end_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not 0 or more"):
        Tolerance(value)


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises((ValueError, TypeCheckError)):
        surface(EMPTY, EMPTY[:, :5], PIXEL)
