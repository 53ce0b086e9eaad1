"""Drawn still scenes: what is in them, and that their masks are exact."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.phantom.fields import mix
from cuemask.phantom.school import DrawnScene, compose, draw_foreign, draw_instrument, draw_scene, draw_tissue
from cuemask.phantom.school.backgrounds import BACKGROUNDS
from cuemask.phantom.school.camera import Opening, seen_through
from cuemask.phantom.school.foreign import FOREIGN
from cuemask.phantom.school.heads import HEADS
from cuemask.phantom.school.metals import METALS, draw_metal
from cuemask.phantom.school.parts import empty_layer, lay, strip
from cuemask.phantom.school.scene import Cutout
from cuemask.phantom.school.skins import SKINS, draw_skin

SHAPE = (96, 128)


@pytest.fixture(scope="module")
def scenes() -> list[DrawnScene]:
    return [draw_scene(seed, 64, 80) for seed in range(200)]


def test_the_same_seed_draws_the_same_scene():
    first, again, other = draw_scene(7, *SHAPE), draw_scene(7, *SHAPE), draw_scene(8, *SHAPE)
    assert np.array_equal(first.rgb, again.rgb)
    assert np.array_equal(first.mask, again.mask)
    assert not np.array_equal(first.rgb, other.rgb)


def test_a_scene_does_not_depend_on_what_was_drawn_before():
    first = draw_scene(3, *SHAPE)
    draw_scene(4, 64, 80)
    assert np.array_equal(first.rgb, draw_scene(3, *SHAPE).rgb)


@pytest.mark.parametrize("size", [(32, 32), (47, 33), (240, 426)])
def test_pictures_and_masks_have_the_size_asked_for(size: tuple[int, int]):
    scene = draw_scene(1, *size)
    assert scene.rgb.shape == (*size, 3)
    assert scene.rgb.dtype == np.uint8
    for mask in (scene.mask, scene.foreign, scene.inside):
        assert mask.shape == size
        assert mask.dtype == bool


def test_every_kind_of_tissue_and_instrument_is_drawn(scenes: list[DrawnScene]):
    assert {scene.tissue for scene in scenes} == set(BACKGROUNDS)
    assert {kind for scene in scenes for kind in scene.instruments} == set(HEADS)


def test_one_picture_in_five_holds_no_instrument_and_its_mask_is_empty(scenes: list[DrawnScene]):
    without = [scene for scene in scenes if not scene.instruments]
    assert 0.1 <= len(without) / len(scenes) <= 0.3
    assert not any(scene.mask.any() for scene in without)


def test_instruments_are_small_and_large(scenes: list[DrawnScene]):
    shares = np.array([scene.mask.mean() for scene in scenes if scene.mask.any()])
    assert (shares < 0.02).mean() > 0.1
    assert (shares > 0.15).mean() > 0.05
    assert shares.max() < 0.9


def test_nothing_outside_the_round_picture_is_masked(scenes: list[DrawnScene]):
    round_ones = [scene for scene in scenes if not scene.inside.all()]
    assert 0.2 < len(round_ones) / len(scenes) < 0.6
    assert not any((scene.mask & ~scene.inside).any() for scene in scenes)
    assert all(scene.rgb[~scene.inside].mean() < 60 for scene in round_ones)


def test_needles_threads_gauze_and_clips_are_no_instruments(scenes: list[DrawnScene]):
    assert any(scene.foreign.any() for scene in scenes)
    tissue = draw_tissue(np.random.default_rng(0), SHAPE)[1]
    for seed in range(20):
        foreign = draw_foreign(np.random.default_rng(seed), SHAPE)
        assert foreign.kind in FOREIGN
        assert not compose(np.random.default_rng(seed), tissue, [foreign], SHAPE).mask.any()


def test_an_instrument_changes_the_picture_within_its_mask_and_shadow_only(monkeypatch: pytest.MonkeyPatch):
    """The same scene with and without one instrument, seen by a camera that adds nothing of its own."""
    seen: list[np.ndarray] = []

    def plain(rng: np.random.Generator, rgb: np.ndarray, opening: object) -> tuple[np.ndarray, np.ndarray]:
        seen.append(rgb.copy())
        return np.zeros(rgb.shape, np.uint8), np.ones(rgb.shape[:2], bool)

    monkeypatch.setattr("cuemask.phantom.school.scene.develop", plain)
    tissue = draw_tissue(np.random.default_rng(5), SHAPE)[1]
    changed = []
    for seed in range(12):
        cutout = draw_instrument(np.random.default_rng(seed), SHAPE)
        scene = compose(np.random.default_rng(seed), tissue, [cutout], SHAPE)
        compose(np.random.default_rng(seed), tissue, [], SHAPE)
        with_it, without = seen[-2:]
        difference = np.abs(with_it - without).max(axis=2)
        reach = cv2.dilate(scene.mask.astype(np.uint8), np.ones((31, 31), np.uint8)).astype(bool)
        assert difference[~reach].max(initial=0.0) < 1e-5
        changed.append((difference[scene.mask] > 0.02).mean() if scene.mask.any() else 1.0)
    assert np.mean(changed) > 0.85


def test_a_strip_covers_exactly_its_area():
    layer = empty_layer(SHAPE)
    metal = draw_metal(np.random.default_rng(0), "steel")
    axis = np.array([np.cos(0.3), np.sin(0.3)])
    lay(np.random.default_rng(0), layer, strip(np.array([20.0, 30.0]), axis, 60.0, 7.0, metal))
    assert layer.cover.sum() == pytest.approx(60.0 * 14.0, rel=0.02)
    assert np.array_equal(layer.cover, layer.alpha)


def test_what_shines_through_still_counts_as_covered():
    layer = empty_layer(SHAPE)
    metal = draw_metal(np.random.default_rng(0), "clear")
    lay(
        np.random.default_rng(0),
        layer,
        strip(np.array([20.0, 30.0]), np.array([1.0, 0.0]), 60.0, 7.0, metal, opacity=0.3),
    )
    assert layer.alpha.max() == pytest.approx(0.3)
    assert layer.cover.max() == pytest.approx(1.0)


def test_a_strip_outside_the_picture_draws_nothing():
    layer = empty_layer(SHAPE)
    metal = draw_metal(np.random.default_rng(0), "steel")
    lay(np.random.default_rng(0), layer, strip(np.array([-90.0, -90.0]), np.array([-1.0, 0.0]), 60.0, 7.0, metal))
    assert not layer.cover.any()


@pytest.mark.parametrize("kind", list(HEADS))
def test_every_kind_enters_from_the_rim(kind: str):
    """Its shaft reaches the picture's border, or what is seen of it is a piece that tissue would cut off."""
    at_rim = []
    for seed in range(12):
        rng = np.random.default_rng([seed, 1])
        layer = empty_layer(SHAPE)
        for part in HEADS[kind][0](rng, SHAPE):
            lay(rng, layer, part)
        covered = layer.cover >= 0.5
        if covered.any():
            at_rim.append(covered[0].any() or covered[-1].any() or covered[:, 0].any() or covered[:, -1].any())
    assert at_rim
    assert np.mean(at_rim) > 0.8


@given(st.integers(0, 2**32 - 1), st.sampled_from(METALS))
def test_metals_shade_within_bounds(seed: int, name: str):
    profile = draw_metal(np.random.default_rng(seed), name).profile(np.random.default_rng(seed))
    assert profile.min() >= 0.0
    assert profile.max() <= 1.6


@pytest.mark.parametrize("name", SKINS)
def test_skins_lie_in_the_range_of_colours(name: str):
    for seed in range(20):
        skin = draw_skin(np.random.default_rng(seed), name)
        for color in (skin.deep, skin.light, skin.vessel_rgb):
            assert 0.0 <= color.min() <= color.max() <= 1.0


def test_a_wide_opening_shows_all_but_the_corners():
    seen = seen_through(Opening(0.0, 0.0, 0.62, 0.0), SHAPE)
    assert seen[48, 64] == 1.0
    assert seen[0, 0] == 0.0
    assert seen[0, 64] == 1.0


def test_cutouts_that_leave_the_picture_are_left_out():
    empty = np.zeros((*SHAPE, 4), np.uint8)
    cutout = Cutout(empty, empty[..., 0], "hook")
    tissue = draw_tissue(np.random.default_rng(0), SHAPE)[1]
    assert not compose(np.random.default_rng(0), tissue, [cutout], SHAPE).mask.any()


def test_mixing_is_the_weighted_mean():
    rng = np.random.default_rng(0)
    below, share = rng.random((5, 7, 3), np.float32), rng.random((5, 7), np.float32)
    expected = below * (1 - share[..., None]) + np.array([0.1, 0.2, 0.3], np.float32) * share[..., None]
    assert np.allclose(mix(below, (0.1, 0.2, 0.3), share), expected, atol=1e-6)
