from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.report.stretches import Stretches, apart, evenly


@given(st.lists(st.integers(0, 9), max_size=200), st.sampled_from([2, 4, 16]))
def test_stretches_are_few_and_hold_every_item_once_in_order(items, most):
    stretches = Stretches[list[int]](most, lambda one, other: one + other)
    for item in items:
        stretches.add([item])
        assert len(stretches.items) <= most
    assert [item for stretch in stretches.items for item in stretch] == items
    lengths = {len(stretch) for stretch in stretches.items[:-1]}
    assert len(lengths) <= 1, "all whole stretches are equally long"
    assert not lengths or len(stretches.items[-1]) <= lengths.pop()


def test_an_odd_number_of_stretches_is_refused():
    with pytest.raises(ValueError, match="even"):
        Stretches[int](3, max)


def test_the_lowest_five_of_one_dip_give_way_to_frames_elsewhere():
    values = [0.9] * 100
    values[50:55] = [0.1, 0.11, 0.12, 0.13, 0.14]
    values[5], values[95] = 0.5, 0.4
    chosen = apart(range(100), values, 5, 100)
    assert chosen[:3] == [50, 95, 5]
    assert all(abs(a - b) >= 10 for a in chosen for b in chosen if a != b)
    assert len(chosen) == 5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=120), st.integers(1, 8))
def test_chosen_frames_are_apart_the_lowest_comes_first_and_long_clips_give_all(values, count):
    total = len(values)
    chosen = apart(range(total), values, count, total)
    assert values[chosen[0]] == min(values)
    assert [values[k] for k in chosen] == sorted(values[k] for k in chosen)
    if total >= 2 * count:
        assert all(abs(a - b) >= 2 for a in chosen for b in chosen if a != b)
    if total >= 4 * count or total <= count:
        assert len(chosen) == min(count, total)


@pytest.mark.parametrize(
    ("count", "of", "expected"), [(3, 9, [0, 4, 8]), (5, 3, [0, 1, 2]), (1, 9, [0]), (0, 9, []), (3, 0, [])]
)
def test_even_indices_run_from_the_first_to_the_last(count, of, expected):
    assert evenly(count, of) == expected
