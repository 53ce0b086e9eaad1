"""Numbers that stay with their instruments: crossing, leaving and coming back, coming apart."""

from __future__ import annotations

import cv2
import numpy as np
from tests.instruments import SHAPE, instrument, picture

from cuemask.grouping.labels import Labels
from cuemask.grouping.tracks import MOST_TRACKS, Tracker

Scene = list[tuple[tuple[float, float], tuple[float, float]]]


def _pushed(tracker: Tracker, scene: Scene) -> tuple[Labels, list[np.ndarray]]:
    parts = np.zeros(SHAPE, np.uint8)
    masks: list[np.ndarray] = []
    for start, end in scene:
        mask, own, _ = instrument(start, end, 14)
        parts[mask] = own[mask]
        masks = [*(before & ~mask for before in masks), mask]
    labels, _ = tracker.push(parts > 0, None, picture(parts))
    return labels, masks


def _number(labels: Labels, mask: np.ndarray) -> int:
    return int(np.bincount(labels[mask]).argmax())


def test_numbers_hold_while_two_instruments_cross():
    tracker = Tracker()
    numbers: set[tuple[int, ...]] = set()
    for x in range(60, 125, 5):
        labels, masks = _pushed(tracker, [((-5, 130), (x, 75)), ((205, 130), (200 - x, 70))])
        numbers.add(tuple(_number(labels, mask) for mask in masks))
    assert numbers == {(1, 2)} or numbers == {(2, 1)}


def test_one_that_leaves_and_comes_back_keeps_its_number():
    tracker = Tracker()
    seen: list[int] = []
    for x in [120, 60, 20, None, None, None, None, None, 15, 60, 110]:
        scene: Scene = [((205, 120), (140, 70))] + ([] if x is None else [((-5, 40), (x, 40 + 0.16 * x))])
        labels, masks = _pushed(tracker, scene)
        if x is not None:
            seen.append(_number(labels, masks[1]))
    assert len(set(seen)) == 1
    assert seen[0] != 0


def test_another_one_from_another_side_gets_a_new_number():
    tracker = Tracker()
    for _ in range(3):
        first, masks = _pushed(tracker, [((-5, 40), (60, 60))])
    number = _number(first, masks[0])
    for _ in range(6):
        tracker.push(np.zeros(SHAPE, np.bool_), None, picture(np.zeros(SHAPE, np.uint8)))
    labels, masks = _pushed(tracker, [((100, -5), (110, 60))])
    assert _number(labels, masks[0]) == number + 1


def test_what_is_small_and_floats_gets_a_number_only_when_it_has_lasted_and_what_enters_or_is_large_at_once():
    tracker = Tracker()
    _pushed(tracker, [((205, 120), (140, 70))])
    told: list[list[int]] = []
    for n in range(9):
        parts = instrument((205, 120), (140, 70), 14)[1]
        if n in (0, 1, 4, 5, 6):  # first for two frames only
            parts[cv2.circle(np.zeros(SHAPE, np.uint8), (50, 80), 9, 1, cv2.FILLED) > 0] = 10
        if n == 7:
            parts[:30, 40:54] = 10
        if n == 8:  # large
            parts[cv2.circle(np.zeros(SHAPE, np.uint8), (60, 130), 20, 1, cv2.FILLED) > 0] = 10
        told.append([one.number for one in tracker.push(parts > 0, None, picture(parts))[1]])
    assert told == [[1], [1], [1], [1], [1], [1], [1, 2], [1, 3], [1, 4]]


def test_in_the_first_frame_which_may_be_the_only_one_what_floats_has_a_number():
    parts = np.zeros(SHAPE, np.uint8)
    parts[cv2.circle(parts.copy(), (50, 80), 9, 1, cv2.FILLED) > 0] = 10
    assert len(Tracker().push(parts > 0, None, picture(parts))[1]) == 1


def test_a_gap_that_opens_in_an_instrument_does_not_make_two_of_it():
    tracker = Tracker()
    mask, parts, _ = instrument((-5, 80), (120, 80), 14)
    tracker.push(mask, None, picture(parts))
    for row in (None, 60, 60, 60, 60):
        broken = mask.copy()
        if row is not None:
            broken[:, row : row + 12] = False
        labels, found = tracker.push(broken, None, picture(parts))
        assert [one.number for one in found] == [1]
        assert np.array_equal(labels > 0, broken)


def test_memory_does_not_grow_with_the_number_of_instruments():
    tracker = Tracker()
    for n in range(MOST_TRACKS + 5):
        angle = 2.4 * n
        x, y = 100 + 300 * np.cos(angle), 80 + 300 * np.sin(angle)
        _pushed(tracker, [((x, y), (100 + 30 * np.cos(angle), 80 + 30 * np.sin(angle)))])
    assert len(tracker._tracks) <= MOST_TRACKS


def test_one_that_moves_too_fast_for_the_flow_keeps_its_number():
    tracker, seen = Tracker(), set[int]()
    for y in (20, 50, 85, 115, 60):
        labels, masks = _pushed(tracker, [((-5, y), (110, y + 10))])
        seen.add(_number(labels, masks[0]))
    assert seen == {1}


def test_what_was_here_a_moment_ago_is_not_taken_for_one_that_left():
    tracker, seen = Tracker(), set[int]()
    for _ in range(3):
        labels, masks = _pushed(tracker, [((-5, 40), (110, 50))])
        left = _number(labels, masks[0])
    for _ in range(5):
        tracker.push(np.zeros(SHAPE, np.bool_), None, picture(np.zeros(SHAPE, np.uint8)))
    for y in (125, 118, 110, 100, 88, 76, 64, 52, 44):  # goes where the first one was
        labels, masks = _pushed(tracker, [((-5, y), (110, y + 10))])
        seen.add(_number(labels, masks[0]))
    assert seen == {left} or seen == {left + 1}


def test_what_comes_apart_belongs_to_its_instrument_until_it_has_lasted():
    tracker = Tracker()
    whole, parts, _ = instrument((-5, 80), (120, 80), 30)
    for split in (False, False, True):
        mask = whole.copy()
        mask[79:82] &= not split
        labels, _ = tracker.push(mask, None, picture(parts))
        assert np.array_equal(labels > 0, mask)
        assert set(np.unique(labels)) == {0, 1}
