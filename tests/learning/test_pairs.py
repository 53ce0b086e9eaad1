from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.learning.pairs import (
    Pair,
    Pairs,
    Schedule,
    View,
    frames_met,
    jitter,
    random_view,
    schedule,
    seen,
    step_pairs,
)
from cuemask.recipe import TrainingRecipe

STILL = TrainingRecipe(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)


def test_adjacent_pairs_never_cross_clips():
    assert list(Pairs([3, 1, 2], "adjacent", 0)) == [Pair(0, 0, 1), Pair(0, 1, 2), Pair(2, 0, 1)]


@given(st.lists(st.integers(0, 9), max_size=4), st.integers(0, 99))
def test_random_pairs_are_of_two_frames_of_one_clip(lengths, seed):
    pairs = Pairs(lengths, "random", seed)
    assert len(pairs) == sum(n for n in lengths if n > 1)
    assert all(p.first != p.second and max(p.first, p.second) < lengths[p.clip] for p in pairs)


def passes(order: Schedule, count: int) -> list[list[Pair]]:
    """The pairs of so many passes over all of them, each in the order of its first frames."""
    drawn = [pair for step in range(count * len(order.pairs)) for pair in step_pairs(order, step)]
    size = len(order.pairs)
    return [sorted(drawn[k * size : (k + 1) * size]) for k in range(count)]


def test_each_pass_draws_random_partners_anew():
    met = passes(schedule([30, 2], TrainingRecipe(pairing="random", pairs_per_step=1), 4), 20)
    firsts = [(0, t) for t in range(30)] + [(1, 0), (1, 1)]
    assert all([pair[:2] for pair in one] == firsts for one in met)
    for first in firsts[:30]:
        partners = {pair.second for one in met for pair in one if pair[:2] == first}
        assert len(partners) > 9  # of 29, in 20 draws; 14.6 are expected
        assert first[1] not in partners
    assert all(pair.second == 1 - pair.first for one in met for pair in one if pair.clip == 1)


def test_random_partners_follow_from_the_seed():
    runs = [passes(schedule([30], TrainingRecipe(pairing="random"), seed), 3) for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_the_first_frame_of_random_pairs_of_labelled_frames_is_labelled():
    recipe = TrainingRecipe(pairing="random", pairs_per_step=2, labelled_share=0.5)
    order = schedule([50], recipe, 0, [frozenset({3, 9})])
    drawn = [step_pairs(order, step) for step in range(40)]
    assert all(any(pair.first in (3, 9) for pair in pairs) for pairs in drawn)
    assert len({pair.second for pairs in drawn for pair in pairs if pair.first == 3}) > 8


@given(st.integers(1, 30), st.integers(1, 7), st.integers(0, 5))
def test_every_pass_meets_each_pair_once(count, per_step, seed):
    pairs = [Pair(0, t, t + 1) for t in range(count)]
    drawn = [p for step in range(3 * count) for p in step_pairs(Schedule(pairs, [], per_step, 0.0, seed), step)]
    for epoch in range(len(drawn) // count):
        assert sorted(drawn[epoch * count : (epoch + 1) * count]) == pairs


def test_the_order_of_pairs_changes_from_pass_to_pass():
    pairs = [Pair(0, t, t + 1) for t in range(20)]
    order = Schedule(pairs, [], 20, 0.0, 0)
    assert step_pairs(order, 0) != step_pairs(order, 1)
    assert step_pairs(order, 0) == step_pairs(order, 0)


@given(st.integers(0, 999))
def test_a_view_stays_within_the_picture(seed):
    view = random_view(TrainingRecipe(), np.random.default_rng(seed))
    assert 0.85 <= view.height == view.width <= 1
    assert 0 <= view.top <= 1 - view.height
    assert 0 <= view.left <= 1 - view.width


def test_the_whole_view_is_the_picture_and_its_flip_the_mirror():
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    assert np.array_equal(seen(picture, View(0.0, 0.0, 1.0, 1.0, False)), picture)
    assert np.array_equal(seen(picture, View(0.0, 0.0, 1.0, 1.0, True)), picture[:, ::-1])


def test_no_jitter_is_the_picture_in_zero_to_one():
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    assert jitter(picture, STILL, np.random.default_rng(0)) == pytest.approx(picture / 255, abs=1e-5)


def test_each_jitter_changes_what_it_is_named_after():
    picture = np.full((4, 4, 3), (150, 90, 60), np.uint8)
    hsv = cv2.cvtColor((picture / 255).astype(np.float32), cv2.COLOR_RGB2HSV)[0, 0]

    def changed(**strength: float) -> np.ndarray:
        rgb = jitter(picture, dataclasses.replace(STILL, **strength), np.random.default_rng(5))
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)[0, 0]

    bright, dull, turned = changed(brightness=0.5), changed(saturation=0.9), changed(hue=0.1)
    assert bright[:2] == pytest.approx(hsv[:2], abs=1e-3)
    assert bright[2] != pytest.approx(hsv[2], abs=0.01)
    assert dull[0] == pytest.approx(hsv[0], abs=0.5)
    assert dull[1] != pytest.approx(hsv[1], abs=0.01)
    assert abs(turned[0] - hsv[0]) > 2
    assert abs(turned[0] - hsv[0]) < 40


@given(st.lists(st.integers(0, 30), min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 4), st.integers(0, 9))
@pytest.mark.parametrize("pairing", ["adjacent", "random"])
@pytest.mark.parametrize("labelled", [(), (3, 7)])
def test_the_frames_that_training_meets_are_those_of_its_steps(labelled, pairing, lengths, steps, per_step, seed):
    recipe = TrainingRecipe(steps=steps, pairs_per_step=per_step, pairing=pairing)
    order = schedule(lengths, recipe, seed, [frozenset(labelled)] * len(lengths))
    met = [set() for _ in lengths]
    for step in range(steps if order.pairs else 0):
        for pair in step_pairs(order, step):
            met[pair.clip] |= {pair.first, pair.second}
    assert [f.tolist() for f in frames_met(order, len(lengths), steps)] == [sorted(frames) for frames in met]


def test_training_meets_no_more_frames_of_a_longer_video():
    recipe = TrainingRecipe(steps=200, pairs_per_step=2)
    assert all(len(frames_met(schedule([n], recipe, 0), 1, 200)[0]) <= 800 for n in (500, 5_000, 50_000))


@given(st.integers(1, 6), st.integers(0, 9), st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_few_labelled_frames_are_met_in_their_share_of_the_pairs(per_step, seed, share):
    recipe = TrainingRecipe(pairs_per_step=per_step, labelled_share=share)
    order = schedule([1000], recipe, seed, [frozenset({500})])
    drawn = [pair for step in range(120) for pair in step_pairs(order, step)]
    held = [pair for pair in drawn if 500 in (pair.first, pair.second)]
    assert len(held) >= int(share * len(drawn))
    assert {pair.first for pair in held} == {499, 500}


def test_labels_of_every_second_frame_leave_the_order_of_pairs_as_it_is():
    recipe = TrainingRecipe()
    plain, labelled = schedule([40], recipe, 3), schedule([40], recipe, 3, [frozenset(range(0, 40, 2))])
    assert [step_pairs(plain, step) for step in range(20)] == [step_pairs(labelled, step) for step in range(20)]


def test_the_order_of_a_pass_is_drawn_from_seed_and_pass():
    pairs = [Pair(0, t, t + 1) for t in range(20)]
    order = np.random.default_rng([7, 1]).permutation(20)  # the second pass of a run with seed 7
    assert step_pairs(Schedule(pairs, [], 5, 0.0, 7), 4) == [pairs[k] for k in order[:5]]


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 9))
def test_the_last_steps_meet_labelled_frames_alone_each_as_often(rounds, per_step, seed):
    recipe = TrainingRecipe(steps=3, pairs_per_step=per_step, label_steps=4 * rounds)
    order = schedule([9, 5, 5], recipe, seed, [frozenset({1, 4, 7}), frozenset(), frozenset({2})])
    assert order.all_steps == 3 + 4 * rounds
    drawn = [pair for step in range(3, order.all_steps) for pair in step_pairs(order, step)]
    firsts = [(pair.clip, pair.first) for pair in drawn]
    assert {(pair.clip, pair.first, pair.second) for pair in drawn} == {(0, 1, 4), (0, 4, 7), (0, 7, 1), (2, 2, 2)}
    assert {firsts.count(frame) for frame in firsts} == {rounds * per_step}
    first, _, third = frames_met(order, 3, order.all_steps)
    assert set(first) >= {1, 4, 7}
    assert 2 in third


def test_without_labels_there_are_no_steps_on_them():
    recipe = TrainingRecipe(steps=3, label_steps=4)
    assert schedule([9], recipe, 0).all_steps == schedule([9], recipe, 0, [frozenset()]).all_steps == 3
