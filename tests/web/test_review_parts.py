"""The queue, masks that are carried, superpixels, and the pictures that are kept."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cuemask.web.review_clips import _Kept
from cuemask.web.review_flow import Carried, agreement, carried, superpixels, why_it_breaks
from cuemask.web.review_queue import by_doubt

from .reviewed import left_of, picture, square


def test_the_queue_holds_every_frame_once():
    rng = np.random.default_rng(0)
    clips = [rng.random(n).astype(np.float32) for n in (1, 50, 333)]
    assert sorted(by_doubt(clips)) == list(range(384))
    assert by_doubt([]) == []


def test_doubtful_stretches_come_first_each_once_before_either_is_looked_at_again():
    confidences = np.full(120, 0.9, np.float32)
    confidences[30:40] = np.linspace(0.1, 0.19, 10)
    confidences[80:90] = np.linspace(0.2, 0.29, 10)
    first, second, *later = by_doubt([confidences])
    assert 30 <= first < 40
    assert 80 <= second < 90
    assert min(abs(other - taken) for other in later[:2] for taken in (first, second)) > 1


def test_where_all_is_as_doubtful_the_queue_spreads_over_the_clip_whenever_one_stops():
    order = by_doubt([np.full(80, 0.5, np.float32)])
    for count in (1, 3, 7, 15):
        ends = [-1, *sorted(order[:count]), 80]
        assert max(np.diff(ends)) <= 1.7 * 80 / count, count


def test_of_a_stretch_of_a_long_clip_the_least_sure_frame_is_shown():
    confidences = np.random.default_rng(3).uniform(0.2, 0.9, 1280).astype(np.float32)
    for number in by_doubt([confidences])[:128]:
        stretch = confidences[number // 10 * 10 : number // 10 * 10 + 10]
        assert confidences[number] == stretch.min()


def test_the_doubt_of_all_clips_is_one_queue():
    sure, unsure = np.full(40, 0.9, np.float32), np.full(40, 0.2, np.float32)
    assert all(frame >= 40 for frame in by_doubt([sure, unsure])[:40])


def test_a_mask_moves_along_with_what_it_covers():
    step = carried(square(left_of(3)), picture(3), picture(4), square(left_of(4) - 10))
    assert agreement(step.mask, square(left_of(4))) > 0.9
    assert agreement(step.mask, square(left_of(3))) < agreement(step.mask, square(left_of(4)))
    assert step.agreement == pytest.approx(agreement(square(left_of(4)), square(left_of(4) - 10)), abs=0.06)
    assert step.unsteady < 0.2
    assert why_it_breaks(step, step.agreement, int(square(0).sum())) is None


def test_backwards_it_moves_back():
    step = carried(square(left_of(4)), picture(4), picture(3), square(left_of(3)))
    assert step.agreement > 0.9


def test_a_cut_cannot_be_followed():
    rng = np.random.default_rng(1)
    other = rng.integers(0, 255, picture(0).shape, np.uint8)
    step = carried(square(left_of(0)), picture(0), other, square(left_of(0)))
    assert why_it_breaks(step, 1.0, int(square(0).sum())) is not None


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (Carried(square(0), 0.6, 0.0), "agrees with the network to 60%"),
        (Carried(square(0), 0.9, 0.5), "cannot be followed"),
        (Carried(square(0) & square(20), 0.9, 0.0), "shrunk to 33%"),
        (Carried(square(0) | square(30), 0.9, 0.0), "grown to 200%"),
    ],
)
def test_where_carrying_breaks_the_reason_is_told(step, told):
    assert told in (why_it_breaks(step, 0.9, int(square(0).sum())) or "")


def test_where_the_network_was_wrong_from_the_first_it_may_stay_wrong():
    assert why_it_breaks(Carried(square(0), 0.0, 0.0), 0.1, int(square(0).sum())) is None


def test_two_empty_masks_agree():
    empty = np.zeros((4, 5), bool)
    assert agreement(empty, empty) == 1
    assert agreement(empty, ~empty) == 0
    step = carried(np.zeros((96, 128), bool), picture(0), picture(1), np.zeros((96, 128), bool))
    assert (step.agreement, step.unsteady, step.mask.any()) == (1, 0, False)


def test_a_superpixel_does_not_cross_a_strong_edge():
    labels = superpixels(picture(5))
    assert labels.shape == (96, 128)
    inside = square(left_of(5))
    mixed = 0
    for label in np.unique(labels):
        share = inside[labels == label].mean()
        mixed += min(share, 1 - share) * (labels == label).sum()
    assert mixed < 0.05 * inside.sum()


def test_superpixels_of_a_large_frame_are_looked_for_in_a_smaller_one():
    large = cv2.resize(picture(0), (1920, 1080))
    assert superpixels(large).shape == (360, 640)


def test_the_pictures_that_are_kept_are_the_last_and_never_more_than_allowed():
    kept = _Kept(100)
    for number in range(30):
        kept.add(("op1", f"f{number}", 0), bytes(30))
        kept.add(("op1", f"f{number}", 0), bytes(30))
    assert [key[1] for key in kept.items] == ["f27", "f28", "f29"]
    assert kept.held == 90
    kept.add(("op1", "large", 0), bytes(500))
    assert [key[1] for key in kept.items] == ["large"]
