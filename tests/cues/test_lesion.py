from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cuemask.cues.lesion import lesion_cue

SKIN, LESION = (225, 180, 160), (120, 70, 50)


def spot(height: int = 60, width: int = 80, skin: tuple[int, ...] = SKIN) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width]
    true = ((y - height / 2) / 15) ** 2 + ((x - width / 2) / 20) ** 2 < 1
    return np.where(true[..., None], LESION, skin).astype(np.uint8), true


def test_what_differs_from_the_rim_is_lesion():
    rgb, true = spot()
    cue = lesion_cue(rgb)
    assert cue[true].min() > 0.99
    assert cue[~true].max() < 0.01


def test_hair_on_the_rim_is_not_taken_for_skin():
    rgb, true = spot()
    rgb[:, ::5] = np.where(true[:, ::5, None], rgb[:, ::5], (40, 30, 25))
    assert lesion_cue(rgb)[~true][:50].min() < 0.01
    assert lesion_cue(rgb)[true].min() > 0.3


def test_black_corners_of_the_lens_are_neither_skin_nor_lesion():
    rgb, true = spot()
    y, x = np.mgrid[:60, :80]
    corner = (y - 30) ** 2 + (x - 40) ** 2 > 38**2
    rgb[corner] = 5
    cue = lesion_cue(rgb)
    assert not cue[corner].any()
    assert cue[true].min() > 0.99


def test_what_is_only_lighter_than_skin_counts_nothing():
    rgb = np.full((60, 80, 3), 150, np.uint8)
    rgb[20:30, 30:40] = 250  # glare
    rgb[35:45, 30:40] = 60
    cue = lesion_cue(rgb)
    assert cue[25, 35] == 0
    assert cue[40, 35] == 1


def test_outside_the_picture_the_cue_is_zero_and_the_rim_is_of_the_picture():
    rgb, true = spot()
    inside = np.zeros(true.shape, np.bool_)
    inside[5:55, 5:75] = True
    rgb[~inside] = (0, 0, 255)
    cue = lesion_cue(rgb, inside)
    assert not cue[~inside].any()
    assert cue[true].min() > 0.99


@given(st.integers(0, 255))
def test_a_picture_of_one_colour_has_no_lesion(level):
    assert not lesion_cue(np.full((20, 30, 3), level, np.uint8)).any()


@given(st.integers(0, 99))
def test_any_picture_gives_a_probability(seed):
    rgb = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
    cue = lesion_cue(rgb)
    assert cue.dtype == np.float32
    assert cue.min() >= 0
    assert cue.max() <= 1
