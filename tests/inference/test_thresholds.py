from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cuemask.inference.thresholds import finished_probability, full_mask, mask_of, refined, without_small_blobs
from cuemask.media.area import PictureArea
from cuemask.recipe import RELEASED, MasksRecipe, Recipe


def soft_disc(size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2
    return (1 / (1 + np.exp(np.hypot(y, x) - 14))).astype(np.float32)


def test_otsu_finds_the_disc():
    mask = mask_of(soft_disc(), None, MasksRecipe())
    assert 0.9 * np.pi * 14**2 < mask.sum() < 1.15 * np.pi * 14**2


def test_a_fixed_threshold_is_taken_as_it_is():
    p = np.array([[0.59, 0.61]], np.float32)
    assert mask_of(p, None, MasksRecipe(threshold=0.6)).tolist() == [[False, True]]


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_map_gives_an_empty_mask_under_otsu(level):
    assert not mask_of(np.full((8, 8), level, np.float32), None, MasksRecipe()).any()


@pytest.mark.parametrize("scale", [1.0, 0.05, 0.004])
def test_a_dim_map_is_split_as_a_bright_one_under_the_papers_otsu(scale):
    expected = mask_of(soft_disc(), None, MasksRecipe()).sum()
    mask = mask_of(np.float32(scale) * soft_disc(), None, MasksRecipe())
    assert abs(int(mask.sum()) - int(expected)) <= 0.01 * expected


def test_the_threshold_of_released_is_153_of_the_whole_levels():
    """Theirs: the map times 255, cut to whole levels, above 0.6 times 255."""
    rng = np.random.default_rng(0)
    near = np.float32(154 / 255)
    around = [near]
    for towards in (0, 1):
        for _ in range(40):
            around.append(np.nextafter(around[-1], np.float32(towards)))
        around.append(near)
    values = [
        *around,
        *np.float32(np.arange(256) / 255),
        *rng.random(20_000, np.float32),
        *rng.uniform(0.6, 0.608, 20_000),
    ]
    p = np.array([values], np.float32)
    theirs = (p * np.float32(255)).astype(np.uint8) > 255 * 0.6
    assert np.array_equal(mask_of(p, None, dataclasses.replace(RELEASED.masks, smallest_blob=0.0)), theirs)


def test_the_mask_stays_inside_the_picture():
    inside = np.zeros((64, 64), bool)
    inside[:, :32] = True
    mask = mask_of(soft_disc(), inside, MasksRecipe())
    assert mask[:, :32].any()
    assert not mask[:, 32:].any()


def test_small_blobs_go_and_large_ones_stay():
    mask = np.zeros((100, 100), bool)
    mask[:20, :20] = mask[50:53, 50:53] = True
    kept = without_small_blobs(mask, 0.01)
    assert kept.sum() == 400
    assert np.array_equal(without_small_blobs(mask, 0.0), mask)
    assert not without_small_blobs(np.zeros((5, 5), bool), 0.5).any()


@pytest.mark.parametrize("parts", [3, 40])
def test_few_parts_and_many_are_counted_alike(parts):
    mask = np.zeros((40, 12 * parts), bool)
    for part in range(parts):
        mask[: 10 + 20 * (part % 2), 12 * part : 12 * part + 8] = True
    kept = without_small_blobs(mask, 100 / mask.size)
    assert np.array_equal(kept, mask & (np.arange(12 * parts) // 12 % 2 == 1))
    assert np.array_equal(without_small_blobs(mask, 10 / mask.size), mask)


def test_diagonal_neighbours_are_one_blob():
    mask = np.eye(10, dtype=bool)
    assert without_small_blobs(mask, 0.1).sum() == 10
    assert not without_small_blobs(mask, 0.1, connectivity=4).any()
    assert (MasksRecipe().blob_connectivity, RELEASED.masks.blob_connectivity) == (8, 4)


def test_the_recipe_says_which_pixels_are_one_blob():
    p = np.eye(10, dtype=np.float32)
    recipe = MasksRecipe(threshold=0.5, smallest_blob=0.1)
    assert mask_of(p, None, recipe).sum() == 10
    corners_apart = dataclasses.replace(recipe, blob_connectivity=4)
    assert not mask_of(p, None, corners_apart).any()
    assert not full_mask(p, PictureArea(0, 0, 10, 10, None), 10, 10, corners_apart).any()


def test_refinement_sharpens_a_blurred_edge_where_the_picture_has_one():
    rgb = np.zeros((128, 128, 3), np.uint8)
    rgb[:, 64:] = (200, 120, 90)
    blurred = np.tile(1 / (1 + np.exp(-(np.arange(128) - 63.5) / 6)), (128, 1)).astype(np.float32)
    sharp = refined(blurred, rgb, MasksRecipe(refinement="guided", refinement_radius=0.1))
    truth = rgb[..., 0] > 0
    assert np.abs(sharp - truth)[:, 56:72].mean() < 0.6 * np.abs(blurred - truth)[:, 56:72].mean()
    assert 0 <= sharp.min() <= sharp.max() <= 1
    assert refined(blurred, rgb, MasksRecipe()) is blurred


def at(height_px: int, **masks: object) -> Recipe:
    return Recipe(masks=MasksRecipe(height_px=height_px, **masks))


@pytest.mark.parametrize(("height_px", "expected"), [(0, (90, 120)), (90, (90, 120)), (200, (90, 120)), (45, (45, 60))])
def test_probabilities_are_finished_at_the_height_asked_for_but_never_above_the_pictures_own(height_px, expected):
    area = PictureArea(5, 7, 90, 120, None)
    rgb = np.zeros((100, 140, 3), np.uint8)
    assert finished_probability(soft_disc(), rgb, area, at(height_px)).shape == expected


def test_masks_finished_at_half_the_height_are_nearly_those_of_the_full():
    area = PictureArea(0, 0, 256, 256, None)
    rgb = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    full, half = (
        full_mask(finished_probability(soft_disc(), rgb, area, at(height_px)), area, 256, 256, MasksRecipe())
        for height_px in (0, 128)
    )
    assert (full & half).sum() / (full | half).sum() > 0.98


def test_a_blob_dropped_at_the_finishing_size_leaves_nothing_in_the_full_mask():
    p = np.zeros((50, 50), np.float32)
    p[10:30, 10:30] = 0.9
    p[40:42, 40:42] = 1.0
    area = PictureArea(3, 3, 173, 181, None)
    recipe = MasksRecipe(threshold=0.3, smallest_blob=0.01)
    mask = full_mask(p, area, 180, 190, recipe)
    assert mask.shape == (180, 190)
    assert mask[40:100, 45:100].any()
    assert not mask[120:].any()
    assert full_mask(p, area, 180, 190, MasksRecipe(threshold=0.3))[120:].any()


def test_the_full_mask_ends_where_the_round_picture_ends():
    y, x = np.mgrid[:120, :120] - 59.5
    area = PictureArea(10, 20, 120, 120, np.hypot(y, x) < 55)
    rgb = np.zeros((140, 160, 3), np.uint8)
    recipe = at(60, threshold=0.3)
    p = finished_probability(np.full((32, 32), 0.8, np.float32), rgb, area, recipe)
    mask = full_mask(p, area, 140, 160, recipe.masks)
    assert not (mask & ~area.paste(area.inside, 140, 160)).any()
    assert mask.sum() > 0.97 * area.inside.sum()
