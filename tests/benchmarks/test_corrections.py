from __future__ import annotations

import pytest
from benchmarks.corrections import Outcome, Run, at_random, every_kth, from_queue, table

from cuemask.recipe import DEFAULT


@pytest.fixture
def run():
    confidence = (0.9, 0.1, 0.2, 0.9, 0.9, 0.9, 0.3, 0.9, 0.9, 0.9)
    return Run(tuple(("clip", f"{n:02}") for n in range(10)), (0.5,) * 10, confidence)


def test_the_queue_takes_the_least_sure_frames_that_are_no_neighbours(run):
    assert from_queue(run, 2, 0) == [1, 6]


def test_every_kth_frame_lies_in_the_middle_of_its_stretch(run):
    assert every_kth(run, 2, 0) == [2, 7]
    assert every_kth(run, 5, 0) == [1, 3, 5, 7, 9]


def test_frames_at_random_are_the_seeds_own_and_no_frame_comes_twice(run):
    assert at_random(run, 4, 1) == at_random(run, 4, 1) != at_random(run, 4, 2)
    assert len(set(at_random(run, 10, 1))) == 10


def test_the_table_has_the_mean_change_over_seeds_and_what_came_out():
    outcomes = [Outcome("clip", "queue", 5, seed, 0.5, after) for seed, after in ((0, 0.6), (1, 0.7))]
    line = table(outcomes, DEFAULT).splitlines()[-1]
    assert line == "| clip | queue | +0.150 ± 0.071 (0.650) |"
