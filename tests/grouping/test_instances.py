"""Masks into instruments: plain shapes whose owner is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.instruments import SHAPE, bar, instrument

from cuemask.grouping.instances import instruments
from cuemask.grouping.instrument import Instrument
from cuemask.grouping.labels import lifted, reduced


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def _best(labels: np.ndarray, truth: np.ndarray) -> float:
    return max(_iou(labels == n, truth) for n in range(1, int(labels.max()) + 1))


def test_an_empty_mask_holds_no_instrument():
    labels, found = instruments(np.zeros(SHAPE, np.bool_))
    assert not labels.any()
    assert found == []


def test_of_one_instrument_entry_direction_width_and_tips_are_told():
    mask, _, tips = instrument((-10, 100), (90, 80), 20)
    labels, (one,) = instruments(mask)
    assert np.array_equal(labels > 0, mask)
    assert one.shaft.entry == pytest.approx((0, 98), abs=1.5)
    assert one.shaft.direction == pytest.approx((0.98, -0.196), abs=0.03)
    assert one.shaft.width == pytest.approx(20, abs=2)
    assert one.shaft.length == pytest.approx(92, abs=4)
    assert one.area_px == mask.sum()
    for tip in tips:
        assert min(np.hypot(tip[0] - x, tip[1] - y) for x, y in one.tips) < 2
    assert one.confidence > 0.9


def test_shafts_that_cross_are_two_and_the_one_that_is_hidden_goes_on_behind():
    first, second = bar((-5, 40), (150, 130), 18), bar((205, 30), (40, 120), 18)
    labels, found = instruments(first | second)
    assert len(found) == 2
    assert np.array_equal(labels > 0, first | second)
    assert sorted((_best(labels, first), _best(labels, second))) >= [0.84, 0.97]  # the one on top is whole


def test_two_heads_that_meet_are_two_instruments():
    one, _, _ = instrument((-5, 80), (40, 80), 20, 0.1)
    other, _, _ = instrument((205, 84), (160, 84), 20, 0.1)
    mask = one | other | bar((95, 80), (105, 82), 6)
    labels, found = instruments(mask)
    assert len(found) == 2
    assert _best(labels, one) > 0.93
    assert _best(labels, other) > 0.88


def test_a_head_behind_another_shaft_belongs_to_the_shaft_on_the_other_side():
    over = bar((-5, 90), (170, 90), 24)
    under, _, _ = instrument((100, -5), (100, 92), 16)
    labels, found = instruments(over | under)
    assert len(found) == 2
    assert _best(labels, over) > 0.98
    assert _best(labels, under & ~over) > 0.96


def test_what_tissue_cuts_off_on_the_axis_is_the_same_instrument():
    mask = bar((-5, 60), (180, 60), 16)
    mask[:, 110:125] = False
    labels, found = instruments(mask)
    assert len(found) == 1
    assert np.array_equal(labels > 0, mask)


def test_a_part_beside_the_axis_is_an_instrument_of_its_own():
    labels, found = instruments(bar((-5, 60), (80, 60), 16) | bar((120, 100), (180, 130), 10))
    assert len(found) == 2
    assert labels[60, 40] != labels[115, 150]


def test_in_a_round_picture_instruments_enter_at_the_circle():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = np.hypot(x - 100, y - 80) < 75
    _, (one,) = instruments(bar((0, 80), (100, 80), 16) & inside, inside)
    assert one.shaft.entry == pytest.approx((26, 80), abs=3)


def test_where_shafts_cross_the_one_whose_edges_are_seen_lies_on_top():
    first, second = bar((-5, 40), (150, 130), 18), bar((205, 30), (40, 120), 18)
    for top, low in ((first, second), (second, first)):
        rgb = np.full((*SHAPE, 3), 120, np.uint8)
        rgb[low], rgb[top] = 60, 200
        labels, _ = instruments(first | second, None, rgb)
        assert _best(labels, top) > 0.97


def test_a_known_shaft_is_found_where_two_enter_side_by_side():
    left, right = bar((60, -5), (40, 120), 18), bar((79, -5), (110, 120), 18)
    known: list[Instrument] = [instruments(mask)[1][0] for mask in (left, right)]
    labels, found = instruments(left | right, None, None, [one.shaft for one in known])
    assert len(found) == 2
    assert _best(labels, left) > 0.98
    assert _best(labels, right) > 0.98


def test_labels_of_a_reduced_mask_cover_the_full_one():
    mask, _, _ = instrument((-10, 100), (90, 80), 20)
    full = cv2.resize(mask.astype(np.uint8), (SHAPE[1] * 4, SHAPE[0] * 4), interpolation=cv2.INTER_NEAREST) > 0
    full[100:400, 333] = False
    small = reduced(full, 160)
    labels, _ = instruments(small)
    assert small.shape == SHAPE
    assert np.array_equal(lifted(labels, full) > 0, full)


def test_two_heads_that_touch_are_shared_by_the_shafts_that_they_hang_on():
    one, _, _ = instrument((-10, 120), (50, 95), 18)
    other, _, _ = instrument((210, 120), (150, 95), 18)
    labels, found = instruments(one | other)
    assert len(found) == 2
    assert _best(labels, one & ~other) > 0.95
    assert _best(labels, other & ~one) > 0.95


def test_a_shaft_whose_end_is_not_seen_has_no_tip():
    (passing,) = instruments(bar((-10, 60), (220, 90), 20))[1]
    assert passing.tips == ()
    (ending,) = instruments(bar((-10, 60), (120, 75), 20))[1]
    assert ending.tips == (pytest.approx((120, 75), abs=2.5),)


def test_the_tip_of_a_hook_is_its_end_and_not_its_corner():
    hook = bar((-10, 60), (80, 60), 20) | bar((80, 60), (110, 60), 6) | bar((110, 57), (110, 85), 6)
    (one,) = instruments(hook)[1]
    assert one.tips[0] == pytest.approx((110, 85), abs=3)
