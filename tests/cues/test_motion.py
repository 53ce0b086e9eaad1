from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuemask.cues.motion import agreement, frame_gap, motion_cue

HEIGHT, WIDTH = 96, 128
TOP, LEFT, TALL, WIDE = 30, 50, 36, 44  # the patch at t = 0
SEEDS = st.integers(0, 2**31 - 1)


def texture(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.rint(255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())).astype(np.uint8)


TISSUE, PATCH = texture(HEIGHT + 40, WIDTH + 60, 0), texture(TALL, WIDE, 1)


def seen(t: int, *, patch: bool = True, camera_px: int = 3) -> np.ndarray:
    """Tissue that the camera passes at `camera_px` a frame, and a patch that moves by 4 px down and right."""
    rgb = TISSUE[20 : 20 + HEIGHT, 20 + camera_px * t : 20 + camera_px * t + WIDTH].copy()
    if patch:
        y, x = TOP + 4 * t, LEFT + 4 * t
        rgb[y : y + TALL, x : x + WIDE] = PATCH
    return rgb


def patch_and_around(t: int) -> tuple[np.ndarray, np.ndarray]:
    """What is well within the patch and what is well outside it."""
    patch = np.zeros((HEIGHT, WIDTH), np.uint8)
    patch[TOP + 4 * t : TOP + 4 * t + TALL, LEFT + 4 * t : LEFT + 4 * t + WIDE] = 1
    return cv2.erode(patch, np.ones((9, 9))) > 0, cv2.dilate(patch, np.ones((17, 17))) == 0


# The cue


@pytest.mark.parametrize("others", [(0, 2), (0,), (2,)])
def test_what_moves_on_its_own_stands_out_of_what_the_camera_moves(others):
    cue = motion_cue(seen(1), [seen(t) for t in others])
    patch, around = patch_and_around(1)
    assert np.median(cue[patch]) > 0.7 > 0.6 > np.quantile(cue[around], 0.9)
    assert np.median(cue[around]) == pytest.approx(1 / 3, abs=0.1)


def test_a_camera_alone_leaves_about_a_third_without_structure():
    cue = motion_cue(seen(1, patch=False), [seen(0, patch=False), seen(2, patch=False)])
    patch, around = patch_and_around(1)
    assert np.median(cue) < 0.4
    assert abs(cue[patch].mean() - cue[around].mean()) < 0.15
    assert abs(agreement(cue, patch.astype(np.float32))) < 0.4


def test_a_camera_that_turns_and_nears_is_explained_too():
    still = seen(0, patch=False)
    turn = np.float32(cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 4.0, 1.04))
    turned = cv2.warpAffine(still, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    cue = motion_cue(still, [turned])
    assert np.median(cue[16:-16, 16:-16]) < 0.4


def test_over_two_neighbours_it_is_the_geometric_mean_of_both():
    now, before, after = seen(1), seen(0), seen(2)
    one, other = motion_cue(now, [before]), motion_cue(now, [after])
    expected = np.sqrt((one + 0.02) * (other + 0.02)) - 0.02
    assert motion_cue(now, [before, after]) == pytest.approx(expected, abs=1e-5)
    assert motion_cue(now, [after, before]) == pytest.approx(expected, abs=1e-5)


def test_where_the_flow_does_not_lead_back_nothing_is_known():
    now, then = seen(0), seen(0)
    then[:, WIDTH // 2 :] = texture(HEIGHT, WIDTH - WIDTH // 2, 5)  # what was there is gone
    cue = motion_cue(now, [then])
    assert np.median(cue[:, : WIDTH // 2 - 10]) < 0.3
    assert np.median(cue[:, WIDTH // 2 + 10 :]) == pytest.approx(0.5, abs=1e-6)


def test_without_neighbours_nothing_is_known():
    cue = motion_cue(seen(0), [])
    assert cue.dtype == np.float32
    assert (cue == 0.5).all()


def test_identical_frames_show_no_motion():
    assert motion_cue(seen(0), [seen(0), seen(0)]) == pytest.approx(0, abs=1e-3)


def test_black_frames_show_no_motion():
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert motion_cue(black, [black]) == pytest.approx(0, abs=1e-3)


def test_what_lies_outside_the_picture_is_0_and_takes_no_part():
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[:, 24:-8] = True
    frames = [seen(t) for t in range(3)]
    for rgb in frames:
        rgb[~inside] = 0
    cue = motion_cue(frames[1], [frames[0], frames[2]], inside)
    assert (cue[~inside] == 0).all()
    patch, around = patch_and_around(1)
    assert np.median(cue[patch & inside]) > 0.6 > 0.4 > np.median(cue[around & inside])


@pytest.mark.parametrize("others", [[], [seen(0)]])
def test_a_picture_without_any_pixel_has_no_motion(others):
    assert not motion_cue(seen(1), others, np.zeros((HEIGHT, WIDTH), bool)).any()


@pytest.fixture
def flow_of_a_patch(monkeypatch):
    """In place of the search: a still picture in which a patch of 10 columns moves so far to the right."""

    def moves_by(px: int) -> None:
        forth, back = np.zeros((2, HEIGHT, WIDTH, 2), np.float32)
        forth[20:60, 10:20, 0] = px
        back[20:60, 10 + px : 20 + px, 0] = -px
        flows = iter([forth, back])
        monkeypatch.setattr(sys.modules["cuemask.cues.motion"], "flow", lambda _now, _then, _preset: next(flows))

    return moves_by


@pytest.mark.parametrize("px", [2, 8, 30, 90])
def test_known_flow_gives_the_share_of_its_length_and_stays_below_1(flow_of_a_patch, px):
    flow_of_a_patch(px)
    cue = motion_cue(seen(0), [seen(1)])
    assert cue[40, 14] == pytest.approx(px / (px + 2 * 0.25), abs=1e-4)
    assert cue[80, 100] == pytest.approx(0, abs=1e-4)
    assert cue.max() < 1


@given(SEEDS, st.integers(32, 70), st.integers(32, 70))
@settings(max_examples=25)
def test_values_lie_in_0_to_1_at_any_size_that_a_recipe_allows(seed, height, width):
    one, other = texture(height, width, seed % 2**16), texture(height, width, seed % 2**16 + 1)
    cue = motion_cue(one, [other])
    assert cue.shape == (height, width)
    assert 0 <= cue.min() <= cue.max() < 1


def test_the_cue_does_not_depend_on_what_memory_held():
    now, then = seen(1), seen(0)
    first = motion_cue(now, [then])
    for value in (np.nan, 1e9, -40.0):
        rubbish = [np.full((HEIGHT, WIDTH, 2), value, np.float32) for _ in range(20)]
        del rubbish  # what is asked for next is given this
        assert np.array_equal(motion_cue(now, [then]), first)


# The gap


def passing(px: float):
    """Frames of tissue that passes at `px` a frame."""

    def frame(t: int) -> np.ndarray:
        there = np.float32([[1, 0, -20 - px * t], [0, 1, -20]])
        return cv2.warpAffine(TISSUE, there, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)

    return frame


@pytest.mark.parametrize(("px", "gap"), [(0.5, 8), (1.0, 4), (2.0, 2), (4.0, 1)])
def test_the_slower_the_motion_the_greater_the_gap(px, gap):
    assert frame_gap(passing(px), 12) == gap


@pytest.mark.parametrize(("count", "gap"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 4), (8, 4), (9, 8), (20, 8)])
def test_a_clip_that_stands_still_has_the_greatest_gap_that_fits(count, gap):
    assert frame_gap(passing(0), count) == gap


def test_only_frames_of_the_clip_are_asked_for():
    asked: list[int] = []
    frame = passing(0)

    def counted(t: int) -> np.ndarray:
        asked.append(t)
        return frame(t)

    frame_gap(counted, 7)
    assert min(asked) == 0
    assert max(asked) == 6


# Agreement


def maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((6, 9)).astype(np.float32), rng.random((6, 9)).astype(np.float32)


@given(SEEDS)
def test_a_map_agrees_with_itself_and_not_with_its_inverse(seed):
    cue, _ = maps(seed)
    assert agreement(cue, cue) == pytest.approx(1)
    assert agreement(cue, 1 - cue) == pytest.approx(-1)


@given(SEEDS)
def test_agreement_is_the_correlation_counted_pixel_by_pixel(seed):
    cue, other = (values.astype(float).ravel().tolist() for values in maps(seed))
    mean, others_mean = sum(cue) / len(cue), sum(other) / len(other)
    both = sum((a - mean) * (b - others_mean) for a, b in zip(cue, other, strict=True))
    spread = sum((a - mean) ** 2 for a in cue) * sum((b - others_mean) ** 2 for b in other)
    assert agreement(*maps(seed)) == pytest.approx(both / spread**0.5, abs=1e-4)
    assert agreement(*maps(seed)) == pytest.approx(agreement(*reversed(maps(seed))), abs=1e-6)


def test_agreement_is_that_within_the_picture():
    cue, _ = maps(0)
    inside = np.zeros(cue.shape, bool)
    inside[:, :5] = True
    assert agreement(cue, np.where(inside, cue, 1 - cue), inside) == pytest.approx(1)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_constant_agrees_with_nothing(level):
    cue, _ = maps(0)
    constant = np.full(cue.shape, level, np.float32)
    assert agreement(cue, constant) == agreement(constant, cue) == agreement(constant, constant) == 0


def test_where_there_is_no_picture_there_is_no_agreement():
    assert agreement(*maps(0), np.zeros((6, 9), bool)) == 0
