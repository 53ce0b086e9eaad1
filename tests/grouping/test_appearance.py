from __future__ import annotations

import cv2
import numpy as np
import pytest

from cuemask.grouping.appearance import BINS, KINDS, SIZE, appearance, reduced, weighted


def drawn(turn: float = 0.0, fork: bool = False, grey: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """A bar 20 px wide from beyond the left border, on red; with `fork` its end has two fingers."""
    boxes = [(-300, 200, 110, 130)]
    if fork:
        boxes += [(190, 240, 100, 107), (190, 240, 133, 140), (190, 200, 107, 133)]
    mask = np.zeros((240, 320), np.uint8)
    matrix = cv2.getRotationMatrix2D((160, 120), turn, 1)
    for left, right, top, bottom in boxes:
        corners = np.array([(left, top, 1), (right, top, 1), (right, bottom, 1), (left, bottom, 1)])
        cv2.fillPoly(mask, [np.rint(corners @ matrix.T - 0.5).astype(np.int32)], 1)
    rgb = np.full((240, 320, 3), (150, 50, 40), np.uint8)
    rgb[mask > 0] = grey
    return rgb, mask > 0


def part(told: np.ndarray, name: str) -> np.ndarray:
    start = 0
    for kind in KINDS:
        if kind.name == name:
            return told[start : start + kind.size]
        start += kind.size
    raise KeyError(name)


def test_colour_and_width_are_what_was_drawn():
    rgb, own = drawn(grey=200)
    told = appearance(rgb, own, (1.0, 0.0))
    assert told is not None
    assert told.shape == (SIZE,)
    lab = cv2.cvtColor(np.full((1, 1, 3), 200, np.uint8), cv2.COLOR_RGB2LAB)[0, 0]
    for name in ("shaft", "head"):
        assert abs(part(told, f"lightness of the {name}")[0] - lab[0]) <= 1
        assert np.abs(part(told, f"hue of the {name}") - lab[1:]).max() <= 1
    assert abs(part(told, "width")[0] - 20 / 240) < 0.005
    assert np.abs(part(told, "outline: width along the axis") - 1).max() < 0.1
    assert part(told, "outline: gaps along the axis").max() < 0.15


def test_two_fingers_are_wide_with_a_gap():
    rgb, own = drawn(fork=True)
    told = appearance(rgb, own, (1.0, 0.0))
    assert told is not None
    assert part(told, "outline: width along the axis")[0] > 1.7
    assert part(told, "outline: gaps along the axis")[0] > 0.5
    assert abs(part(told, "outline: width along the axis")[BINS - 1] - 1) < 0.1


def test_the_profile_turns_with_the_instrument_and_needs_no_direction():
    straight = appearance(*drawn(fork=True), None)
    turned = appearance(*drawn(turn=35, fork=True), None)
    assert straight is not None
    assert turned is not None
    widths = [part(told, "outline: width along the axis") for told in (straight, turned)]
    assert np.abs(widths[0] - widths[1]).max() < 0.3


def test_an_instrument_of_few_pixels_is_not_told():
    rgb, own = drawn()
    own[:] = False
    assert appearance(rgb, own, None) is None
    own[3:8, 3:8] = True
    assert appearance(rgb, own, None) is None


def test_a_square_without_direction_is_told():
    rgb = np.zeros((60, 60, 3), np.uint8)
    own = np.zeros((60, 60), np.bool_)
    own[20:40, 20:40] = True
    told = appearance(rgb, own, None)
    assert told is not None
    assert np.isfinite(told).all()


def test_each_kind_of_number_counts_by_its_weight():
    looks = np.random.default_rng(0).standard_normal((50, SIZE)) * np.arange(100, 100 + SIZE)
    told = weighted(looks)
    start = 0
    for kind in KINDS:
        assert (told[:, start : start + kind.size] ** 2).sum(1).mean() == pytest.approx(kind.weight)
        start += kind.size


def test_differences_that_are_noise_are_not_stretched():
    looks = np.ones((4, SIZE))
    looks[:, 0], looks[:, 1] = [100, 140, 180, 220], [128.0, 128.1, 127.9, 128.0]
    told = weighted(looks)
    assert (told[:, 2:] == 0).all()
    assert told[:, 0].std() > 0.5
    assert 0 < told[:, 1].std() < 0.05


def test_large_pictures_are_reduced_with_their_numbers():
    rgb, numbers = reduced(np.zeros((720, 1280, 3), np.uint8), np.full((720, 1280), 7, np.uint16))
    assert rgb.shape == (360, 640, 3)
    assert numbers.shape == (360, 640)
    assert set(np.unique(numbers)) == {7}
