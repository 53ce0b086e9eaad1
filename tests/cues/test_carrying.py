from __future__ import annotations

import cv2
import numpy as np
import pytest

from cuemask.cues.carrying import Carried, carried, together
from cuemask.cues.flow import flow, missed_px

SHAPE = (80, 112)


def grained(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(40, 216, (*SHAPE, 3), np.uint8)
    return cv2.GaussianBlur(noise, (7, 7), 0)


def scene(left: int, ground: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """RGB of a bright square of 24 pixels on a still ground, and its mask."""
    rgb, mask = grained(ground), np.zeros(SHAPE, np.float32)
    mask[30:54, left : left + 24] = 1
    grain = cv2.GaussianBlur(np.random.default_rng(9).integers(150, 255, (24, 24), np.uint8), (3, 3), 0)
    rgb[30:54, left : left + 24] = grain[..., None]
    return rgb, mask


def test_flow_says_where_each_pixel_went_and_leads_back():
    (here, _), (there, _) = scene(20), scene(24)
    grey = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (here, there)]
    forth, back = flow(*grey), flow(*grey[::-1])
    assert np.median(forth[34:50, 24:40], axis=(0, 1)) == pytest.approx([4, 0], abs=0.2)
    assert np.median(missed_px(forth, back)[34:50, 24:40]) < 0.3
    assert not flow(np.zeros((8, 90), np.uint8), np.ones((8, 90), np.uint8)).any(), "smaller than a patch"


def test_a_mask_moves_along_with_what_it_covers():
    (here, mask), (there, truth) = scene(20), scene(24)
    found = carried(mask, here, there)
    sure = found.trust > 0.9
    assert sure.mean() > 0.85
    assert ((found.mask > 0.5) == (truth > 0.5))[sure].mean() > 0.995
    assert ((mask > 0.5) == (truth > 0.5))[sure].mean() < 0.99, "or standing still would do"


def test_nothing_is_carried_to_a_frame_that_shows_something_else():
    here, mask = scene(20)
    assert not carried(mask, here, scene(24, ground=2)[0]).trust.any()


def test_what_came_in_since_is_not_believed():
    here, mask = scene(20)
    there = here.copy()
    there[5:20, 70:90] = 255
    found = carried(mask, here, there)
    assert not found.trust[7:18, 72:88].any()
    assert found.trust[60:75, 20:50].min() > 0.7


def test_outside_the_picture_nothing_is_believed():
    here, mask = scene(20)
    inside = np.repeat(np.arange(SHAPE[1])[None] < 60, SHAPE[0], 0)
    found = carried(mask, here, here, inside)
    assert not found.trust[:, 60:].any()
    assert found.trust[:, :60].all()


def test_of_two_frames_the_nearer_says_more_and_each_where_it_can_be_believed():
    ones, nothing = np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32)
    near = Carried(ones, np.array([[1, 0, 0.5]], np.float32))
    far = Carried(nothing, np.array([[1, 1, 0]], np.float32))
    both = together([near, far], [1, 3])
    assert both is not None
    assert both.mask == pytest.approx(np.array([[0.75, 0, 1]]))
    assert both.trust == pytest.approx(np.array([[1, 1, 0.5]]))
    assert together([Carried(ones, nothing)], [1]) is None
    assert together([], []) is None


def test_as_far_as_it_is_believed_it_takes_the_place_of_what_was_there():
    own = np.full((1, 3), 0.2, np.float32)
    near = Carried(np.ones((1, 3), np.float32), np.array([[0, 0.5, 1]], np.float32))
    assert near.over(own) == pytest.approx(np.array([[0.2, 0.6, 1]]))
    assert near.over(own, 3.0) == pytest.approx(np.array([[0.2, 1.6, 3]]))
