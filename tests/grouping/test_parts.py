"""Shaft, wrist and clasper of drawn instruments, told over a track."""

from __future__ import annotations

import numpy as np
from tests.instruments import SHAPE, bar, instrument, picture, with_collar

from cuemask.grouping.parts import USUAL, Profiles, parts_of
from cuemask.grouping.tracks import Tracker


def _iou(codes: np.ndarray, truth: np.ndarray, code: int) -> float:
    return float(((codes == code) & (truth == code)).sum() / ((codes == code) | (truth == code)).sum())


def test_parts_of_a_track_are_found_by_width_branching_and_material():
    tracker, profiles, frames = Tracker(), Profiles(), []
    for step in range(8):
        start, end = (-10, 110), (80 + 4 * step, 100 - 3 * step)
        mask, truth, _ = instrument(start, end, 16, 0.15 + 0.05 * step)
        rgb = with_collar(picture(truth), start, end, 16)
        labels, found = tracker.push(mask, None, rgb)
        profiles.add(labels, found, rgb)
        frames.append((labels, found, truth))
    ends = profiles.ends()
    for labels, found, truth in frames:
        codes = parts_of(labels, found, ends)
        assert np.array_equal(codes > 0, truth > 0)
        for code, least in ((10, 0.93), (20, 0.6), (30, 0.9)):
            assert _iou(codes, truth, code) > least


def test_what_shows_too_little_of_itself_gets_the_usual_parts():
    profiles = Profiles()
    assert profiles.ends() == {}
    mask, truth, _ = instrument((-10, 110), (80, 100), 16)
    labels, found = Tracker().push(mask, None, picture(truth))
    codes = parts_of(labels, found, {})
    assert set(np.unique(codes)) == {0, 10, 20, 30}
    assert USUAL.clasper < USUAL.wrist
    assert not parts_of(np.zeros(SHAPE, np.uint16), [], {}).any()


def test_a_tube_is_shaft_up_to_its_tip():
    tracker, profiles = Tracker(), Profiles()
    for step in range(5):
        x = 90 + 4 * step
        mask = bar((-10, 80), (x, 80), 24) | bar((x, 80), (x + 40, 80), 16)
        rgb = picture(np.where(mask, 10, 0).astype(np.uint8))
        labels, found = tracker.push(mask, None, rgb)
        profiles.add(labels, found, rgb)
    codes = parts_of(labels, found, profiles.ends())
    assert np.array_equal(codes, np.where(mask, 10, 0))


def test_of_an_instrument_whose_head_lies_outside_only_shaft_is_told():
    mask = bar((-10, 60), (220, 90), 20)
    labels, found = Tracker().push(mask, None, picture(np.where(mask, 10, 0).astype(np.uint8)))
    assert set(np.unique(parts_of(labels, found, {}))) == {0, 10}
