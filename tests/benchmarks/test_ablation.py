from __future__ import annotations

import pytest
from benchmarks.ablation import CHANGES, changed, chosen_on_the_others, table
from benchmarks.cells import Cell
from benchmarks.clips import GROUPS
from benchmarks.scores import METHODS, FrameScore

from cuemask.recipe import DEFAULT, recipe_as_mapping


@pytest.mark.parametrize("name", list(CHANGES))
def test_each_change_is_a_recipe_that_differs_from_default(name):
    assert changed(name) != DEFAULT


def test_what_is_best_on_the_other_groups_is_what_counts():
    means = {
        "default": {"a": 0.5, "b": 0.5, "c": 0.5},
        "for a": {"a": 0.9, "b": 0.45, "c": 0.5},
        "for b": {"a": 0.5, "b": 0.6, "c": 0.5},
    }
    # without a, `for b` leads; without b, `for a` does, and pays for it on b
    assert chosen_on_the_others(means) == {"a": ("for b", 0.5), "b": ("for a", 0.45), "c": ("for a", 0.5)}
    assert chosen_on_the_others({}) == {}
    assert chosen_on_the_others({"default": {"a": 0.5}}) == {}


def test_the_table_gives_groups_one_voice_and_leaves_frames_without_an_instrument_out():
    def cell(label, case, iou, seed=0):
        def frame(value, instrument):
            return FrameScore("clip", "f", dict.fromkeys(METHODS, (value, value, value)), 0.5, instrument)

        frames = (frame(iou, True), frame(1.0, False))
        return Cell(label, case, seed, 1.0, recipe_as_mapping(DEFAULT), "", frames)

    first, second = list(GROUPS)[:2]
    cells = [cell("default", first, 0.4), cell("default", first, 0.6, 1), cell("default", second, 0.3)]
    told = table([*cells, cell("- x", first, 0.7), cell("- x", second, 0.2)])
    assert f"| recipe | {GROUPS[first]} | {GROUPS[second]} | mean |" in told
    assert "| default | 0.500 ± 0.141 | 0.300 | 0.400 |" in told
    assert "| - x | 0.700 | 0.200 | 0.450 |" in told
    assert "| chosen on the others | 0.500 (default) | 0.200 (- x) | 0.350 |" in told
