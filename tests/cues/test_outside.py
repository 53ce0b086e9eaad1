"""Frames filmed outside the body: found where nothing of tissue is left, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cuemask.cues.outside import Look, Outside, Stretch, Stretches, look_of, outside_of
from cuemask.media.frames import Frame
from cuemask.phantom import PhantomScene

SIZE = (80, 112)


def plain(color: tuple[int, int, int]) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.7, (*SIZE, 3))
    return np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def within() -> list[np.ndarray]:
    scene = PhantomScene(seed=3, height_px=SIZE[0], width_px=SIZE[1])
    return [scene.frame(t).rgb for t in range(0, 120, 10)]


@pytest.fixture(scope="module")
def judge(within: list[np.ndarray]) -> Outside:
    return outside_of(within, None)


@pytest.mark.parametrize(
    "color",
    [(60, 120, 90), (60, 100, 165), (3, 3, 3), (228, 230, 232), (120, 122, 126)],
    ids=["green towel", "blue towel", "black", "white card", "steel"],
)
def test_what_shows_no_tissue_is_outside(judge: Outside, color: tuple[int, int, int]) -> None:
    assert judge.holds(plain(color), None)


def test_no_frame_of_the_clip_itself_is_outside(judge: Outside, within: list[np.ndarray]) -> None:
    assert judge.least > 0
    assert not any(judge.holds(rgb, None) for rgb in within)


@pytest.mark.parametrize("share", [0.6, 0.75])
def test_tissue_seen_through_smoke_is_within(judge: Outside, within: list[np.ndarray], share: float) -> None:
    for rgb in within:
        smoky = ((1 - share) * rgb + share * np.array([176, 180, 186])).astype(np.uint8)
        assert look_of(smoky, None).tissue < 0.3
        assert not judge.holds(smoky, None)


def test_dim_and_blurred_frames_and_a_large_tool_are_within(judge: Outside, within: list[np.ndarray]) -> None:
    for rgb in within:
        assert not judge.holds((rgb * 0.15).astype(np.uint8), None)
        assert not judge.holds(cv2.GaussianBlur(rgb, (0, 0), 8), None)
        covered = rgb.copy()
        covered[:, :100] = (150, 150, 152)
        assert not judge.holds(covered, None)


def test_a_clip_too_short_or_without_much_tissue_is_not_judged(within: list[np.ndarray]) -> None:
    for clip in (within[:7], [], [plain((120, 122, 126))] * 12):
        assert outside_of(clip, None).least == 0
        assert not outside_of(clip, None).holds(plain((60, 120, 90)), None)


def test_thick_smoke_that_leaves_a_trace_of_colour_is_within(judge: Outside, within: list[np.ndarray]) -> None:
    smoky = (0.15 * within[0] + 0.85 * np.array([176, 180, 186])).astype(np.uint8)
    look = look_of(smoky, None)
    assert look.tissue < judge.least
    assert look.redder < 0.05  # only that it is hazy speaks for it
    assert not judge.holds(smoky, None)


def test_pale_tissue_in_a_corner_is_within(judge: Outside) -> None:
    pale = plain((90, 92, 96))
    pale[:, :20] = (180, 162, 160)
    assert look_of(pale, None).tissue < judge.least
    assert not judge.holds(pale, None)


def test_a_clip_that_shows_a_fifth_of_tissue_throughout_is_not_judged() -> None:
    little = plain((120, 122, 126))
    little[:16] = (200, 60, 50)
    assert look_of(little, None).tissue == pytest.approx(0.2, abs=0.02)
    assert outside_of([little] * 12, None).least == 0


def test_a_clip_of_which_a_third_is_outside_is_judged_all_the_same(within: list[np.ndarray]) -> None:
    judge = outside_of([*within, *[plain((60, 120, 90))] * 6], None)
    assert judge.holds(plain((60, 120, 90)), None)
    assert not any(judge.holds(rgb, None) for rgb in within)


def test_what_lies_around_the_picture_does_not_count(within: list[np.ndarray]) -> None:
    inside = np.zeros(SIZE, bool)
    inside[20:60, 30:80] = True
    red = np.where(inside[..., None], plain((60, 120, 90)), plain((200, 60, 50)))
    assert look_of(red, inside).tissue == pytest.approx(0, abs=0.01)
    assert look_of(red, None).tissue == pytest.approx(1 - inside.mean(), abs=0.03)


def test_a_black_picture_has_no_look() -> None:
    assert look_of(np.zeros((*SIZE, 3), np.uint8), None) == Look(0, 0, 0, 0, 0, 0, 0)


def test_frames_that_follow_each_other_are_one_stretch() -> None:
    found = Stretches()
    for index, is_outside in enumerate([False, True, True, False, True]):
        rgb = np.zeros((1, 1, 3), np.uint8)
        found.add(Frame(f"f{index}", 2 * index, index / 10, rgb), is_outside=is_outside)
    assert found.items == [Stretch("f1", "f2", 2, 4, 2, 0.1, 0.2), Stretch("f4", "f4", 8, 8, 1, 0.4, 0.4)]


def test_a_trocars_wall_is_outside_though_tissue_shows_through_its_end(
    judge: Outside, within: list[np.ndarray]
) -> None:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    far = np.hypot(y - 40, x - 56)
    wall = np.where((far < 22)[..., None], within[0], plain((120, 122, 126)))
    assert look_of(wall, None).tissue > judge.least
    assert judge.holds(wall, None)
    unlit = np.where((far < 22)[..., None], within[0], plain((6, 6, 6)))  # only the middle is lit
    assert not judge.holds(unlit, None)
