from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.errors import InputError
from cuemask.inference.live import (
    RATE_SECONDS,
    RECENT_SECONDS,
    SAMPLE_EVERY_SECONDS,
    Latencies,
    LiveArea,
    Newest,
    Rate,
    Recent,
    live_mask,
)
from cuemask.inference.prediction import Seen, segmented
from cuemask.inference.thresholds import class_codes
from cuemask.media.area import fixed_area
from cuemask.media.frames import Frame
from cuemask.recipe import DEFAULT, load_recipe


def test_only_the_newest_item_is_taken_and_the_others_are_counted():
    newest = Newest[int]()
    for item in range(5):
        newest.put(item)
    assert newest.take(0.0) == 4
    assert newest.take(0.0) is None
    newest.put(5)
    assert newest.take(0.0) == 5
    assert (newest.received, newest.dropped) == (6, 4)


def test_the_last_item_is_taken_before_the_end_is_seen():
    newest = Newest[int]()
    newest.put(1)
    newest.close()
    assert not newest.is_over
    assert newest.take(0.0) == 1
    assert newest.is_over
    assert newest.take(60.0) is None, "it waited for what cannot come"


def test_an_error_of_the_reader_comes_out_after_its_last_item():
    newest = Newest[int]()
    newest.put(1)
    newest.close(ValueError("broken"))
    assert newest.take(0.0) == 1
    with pytest.raises(ValueError, match="broken"):
        newest.take(0.0)


def test_whoever_waits_gets_an_item_as_soon_as_it_is_put():
    newest, got = Newest[int](), []
    waiter = threading.Thread(target=lambda: got.append(newest.take(60.0)))
    waiter.start()
    newest.put(7)
    waiter.join(10)
    assert got == [7]


def test_every_item_is_taken_or_dropped_when_two_threads_race():
    newest, taken = Newest[int](), []

    def take() -> None:
        while not newest.is_over:
            item = newest.take(1.0)
            if item is not None:
                taken.append(item)

    taker = threading.Thread(target=take)
    taker.start()
    for item in range(5000):
        newest.put(item)
    newest.close()
    taker.join()
    assert taken == sorted(set(taken))
    assert taken[-1] == 4999
    assert len(taken) + newest.dropped == newest.received == 5000


def test_what_nobody_will_take_counts_as_dropped():
    newest = Newest[int]()
    newest.put(1)
    newest.drop()
    newest.drop()
    assert (newest.received, newest.dropped, newest.take(0.0)) == (1, 1, None)


@given(st.lists(st.floats(1e-4, 100), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_quantiles_are_those_of_all_durations_to_half_a_per_cent(seconds, share):
    latencies = Latencies()
    for duration in seconds:
        latencies.add(duration)
    assert latencies.quantile(share) == pytest.approx(np.quantile(seconds, share, method="inverted_cdf"), rel=0.0051)


def test_durations_out_of_range_are_counted_at_its_ends():
    latencies = Latencies()
    for duration in (0.0, -1.0, 1e9):
        latencies.add(duration)
    assert latencies.quantile(0.5) == pytest.approx(1e-5)
    assert latencies.quantile(1.0) == pytest.approx(1e4, rel=0.01)


def test_without_any_duration_there_is_no_quantile():
    assert Latencies().quantile(0.5) is None


def test_a_rate_is_right_from_the_start_and_sinks_to_nothing_in_a_stall():
    rate = Rate()
    assert rate.per_second(0.0) == 0
    for k in range(100):
        rate.add(k / 25)
        if k >= 25:
            assert rate.per_second(k / 25) == pytest.approx(25, rel=0.05)
    assert 0 < rate.per_second(99 / 25 + RATE_SECONDS / 2) < 15
    assert rate.per_second(99 / 25 + RATE_SECONDS) == 0


def bordered(height: int, width: int, left: int) -> np.ndarray:
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, left:-left] = 120
    return rgb


def test_the_picture_is_found_at_once_and_anew_when_the_size_changes():
    area = LiveArea(DEFAULT, None)
    assert area.of(bordered(200, 300, 60), 0.0).left == 60
    assert area.of(bordered(200, 300, 60), 0.1).left == 60
    assert area.of(bordered(240, 400, 30), 0.2).left == 30
    assert area.of(bordered(200, 300, 60), 0.3).left == 60


def test_a_first_frame_that_is_dark_on_one_side_is_corrected_by_later_ones():
    dark = bordered(200, 300, 60)
    dark[:, 60:110] = 0
    area = LiveArea(DEFAULT, None)
    assert area.of(dark, 0.0).left == 110
    found = [area.of(bordered(200, 300, 60), k * SAMPLE_EVERY_SECONDS).left for k in range(1, 9)]
    assert found == [60] * 8


def test_black_frames_leave_the_whole_frame_until_something_is_seen():
    area = LiveArea(DEFAULT, None)
    black = np.zeros((200, 300, 3), np.uint8)
    for k in range(20):
        assert area.of(black, float(k)).width_px == 300
    assert area.of(bordered(200, 300, 60), 21.0).left == 60


def test_no_more_frames_are_looked_at_once_the_picture_is_known():
    area = LiveArea(DEFAULT, None)
    for k in range(8):
        area.of(bordered(200, 300, 60), float(k))
    assert area.of(bordered(200, 300, 20), 100.0).left == 60


def test_a_crop_counts_as_long_as_it_fits_and_is_an_error_at_the_first_frame_only():
    area = LiveArea(DEFAULT, (0, 100, 200, 150))
    assert area.of(bordered(200, 300, 60), 0.0).left == 100
    assert area.of(bordered(100, 200, 20), 1.0).left == 20
    assert area.of(bordered(200, 300, 60), 2.0).left == 100
    with pytest.raises(InputError, match="--crop 0,100,200,150"):
        LiveArea(DEFAULT, (0, 100, 200, 150)).of(bordered(100, 200, 20), 0.0)


def test_the_recipe_may_say_that_the_frame_is_the_picture():
    area = LiveArea(load_recipe("default", ["input.area=full"]), None)
    assert area.of(bordered(200, 300, 60), 0.0).width_px == 300


class Redness:
    """A stand-in for a network: how red each pixel is."""

    recipe = load_recipe("default", ["input.height_px=48", "input.width_px=64"])
    device, one_core = "test", False

    def working_probability(self, pictures: np.ndarray) -> np.ndarray:
        return pictures[..., 0].astype(np.float32) / 255


def test_what_is_older_than_ten_seconds_is_forgotten():
    recent = Recent()
    for second in range(15):
        recent.add(float(second), float(second))
    assert recent.values(14.0) == list(range(5, 15))
    assert recent.values(14.0 + RECENT_SECONDS) == []


def test_who_puts_an_item_is_told_whether_it_replaces_another():
    newest: Newest[int] = Newest()
    assert [newest.put(1), newest.put(2)] == [False, True]
    newest.take(1.0)
    assert not newest.put(3)


def test_a_live_mask_is_that_of_predict():
    rgb = np.random.default_rng(0).integers(0, 90, (96, 130, 3)).astype(np.uint8)
    rgb[20:60, 30:80, 0] = 250
    area = fixed_area(4, 6, 90, 120, 96, 130)
    (expected,) = segmented(Redness(), [Frame("0", 0, 0.0, rgb)], area, lambda *_: None)
    found = live_mask(Redness(), rgb, area)
    assert np.array_equal(found.p, expected.probability)
    assert np.array_equal(found.mask, expected.mask)
    assert 0.5 < found.mask.sum() / (40 * 50) < 2
    assert found.codes() is None


class RedAndGreen(Redness):
    """A stand-in for a network of two classes: how red a pixel is, and how green."""

    recipe = replace(Redness.recipe, network=replace(Redness.recipe.network, classes=2))

    def working_classes(self, pictures: np.ndarray) -> np.ndarray:
        return pictures[..., :2].transpose(0, 3, 1, 2).astype(np.float32) / 255

    def working_probability(self, pictures: np.ndarray) -> np.ndarray:
        return self.working_classes(pictures).sum(1).clip(0, 1)


def test_a_live_mask_of_a_model_of_classes_and_its_codes_are_those_of_predict():
    rgb = np.zeros((96, 130, 3), np.uint8)
    rgb[20:60, 30:60, 0], rgb[20:60, 80:110, 1] = 250, 250
    area = fixed_area(4, 6, 90, 120, 96, 130)
    codes: list[np.ndarray] = []

    def finish(frame: Frame, mask: np.ndarray, seen: Seen) -> None:
        codes.append(class_codes(seen.classes, mask, seen.area))

    (expected,) = segmented(RedAndGreen(), [Frame("0", 0, 0.0, rgb)], area, finish)
    found = live_mask(RedAndGreen(), rgb, area)
    assert np.array_equal(found.mask, expected.mask)
    assert np.array_equal(found.codes(), codes[0])
    assert (codes[0][40, 45], codes[0][40, 95], codes[0][40, 70]) == (1, 2, 0)
