"""Instruments that meet are told apart by what their heads looked like before."""

from __future__ import annotations

import numpy as np
import pytest
from tests.instruments import SHAPE, instrument, picture

from cuemask.grouping.instrument import Instrument
from cuemask.grouping.parts import Profiles, parts_of
from cuemask.grouping.tracks import Tracker

REDDER = np.array([40, -10, -40])
Frame = tuple[np.ndarray, np.ndarray, list[Instrument], np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def met() -> list[Frame]:
    """Two instruments from below; the right one's head moves over the left one's: owners, labels, found, parts, rgb."""
    tracker, frames = Tracker(), []
    for n in range(11):
        below, first, _ = instrument((40, 165), (75, 75), 16)
        above, second, _ = instrument((205, 110), (165 - 6 * n, 72), 16)
        owners = np.where(above, 2, np.where(below, 1, 0))
        parts = np.where(above, second, first)
        rgb = picture(parts)
        rgb[above] = np.clip(rgb[above].astype(int) + REDDER, 0, 255).astype(np.uint8)
        labels, found = tracker.push(owners > 0, None, rgb)
        frames.append((owners, labels, found, parts, rgb))
    return frames


def _numbers(frames: list[Frame]) -> tuple[int, int]:
    owners, labels = frames[0][:2]
    first, second = (int(np.bincount(labels[owners == n]).argmax()) for n in (1, 2))
    return first, second


def test_a_head_that_lies_over_another_instrument_keeps_its_pixels(met: list[Frame]):
    assert (met[-1][0] == 1).sum() < 0.98 * (met[0][0] == 1).sum()  # some of it is hidden
    for owners, labels, *_ in met:
        for own, number in zip((1, 2), _numbers(met), strict=True):
            both = ((owners == own) & (labels == number)).sum()
            assert both / ((owners == own) | (labels == number)).sum() > 0.9


def test_one_that_meets_another_is_known_not_to_be_alone(met: list[Frame]):
    assert all(one.alone == 1.0 for one in met[0][2])
    assert all(one.alone < 0.95 for one in met[-1][2])


def test_parts_of_a_head_that_another_hides_are_those_it_had(met: list[Frame]):
    profiles = Profiles()
    for _, labels, found, _, rgb in met:
        profiles.add(labels, found, rgb)
    owners, labels, found, parts, _ = met[-1]
    codes = parts_of(labels, found, profiles.ends())
    for code in (10, 30):
        both = ((codes == code) & (parts == code)).sum()
        assert both / ((codes == code) | (parts == code)).sum() > 0.75
    assert labels.shape == owners.shape == SHAPE
