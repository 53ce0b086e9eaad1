from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.cues.color import TRUE_GREY, color_cue
from cuemask.inference.confidence import agreement, certainty, confidence, separation

SEEDS = st.integers(0, 2**31 - 1)


def map_of(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def random_map(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((6, 7)) ** 2).astype(np.float32)


# How sure the network is


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 0.0), 1.0),
        ((0.9, 0.7, 0.5), 0.8),  # what is not in the mask does not count
        ((0.45, 0.35, 0.0, 0.0), 0.8),  # an empty mask: what lies above 0.25 does
        ((0.25, 0.2, 0.1, 0.0), 1.0),
    ],
)
def test_certainties_that_are_known(values, expected):
    p = map_of(*values)
    assert certainty(p, p > 0.5) == pytest.approx(expected, abs=1e-6)


def test_a_sharp_mask_is_wholly_sure():
    p = np.zeros((20, 20), np.float32)
    p[5:12, 4:15] = 1
    assert certainty(p, p > 0.5) == 1


@pytest.mark.parametrize("level", [0.0, 0.1, 0.2499])
def test_an_empty_mask_without_doubt_is_wholly_sure(level):
    assert certainty(np.full((5, 5), level, np.float32), np.zeros((5, 5), bool)) == 1


def test_an_empty_mask_of_a_network_in_doubt_everywhere_is_as_unsure_as_a_mask_can_be():
    assert certainty(np.full((5, 5), 0.5, np.float32), np.zeros((5, 5), bool)) == 0.5


def test_a_doubtful_region_beside_a_sharp_one_pulls_it_down_by_its_share():
    p = np.zeros((10, 30), np.float32)
    p[:, :15] = 1
    sure = certainty(p, p > 0.5)
    p[:, 25:] = 0.6
    assert (sure, certainty(p, p > 0.5)) == (1, pytest.approx(0.9))


@given(SEEDS)
def test_it_is_the_mean_over_pixels_counted_one_by_one(seed):
    p = random_map(seed)
    said = [value for value in p.ravel().tolist() if value > 0.3]
    assert certainty(p, p > 0.3) == pytest.approx(sum(said) / len(said), abs=1e-5)


@given(SEEDS, st.floats(0, 1))
def test_the_certainty_lies_in_0_to_1_however_large_the_values(seed, scale):
    p = random_map(seed) * np.float32(scale)
    assert 0 <= certainty(p, p > 0.5) <= 1


def test_a_mask_of_another_size_than_the_map_is_brought_to_its_size():
    p = np.array([[0.9, 0.1], [0.7, 0.2]], np.float32)
    mask = np.repeat(np.repeat(p > 0.5, 3, axis=0), 3, axis=1)
    assert certainty(p, mask) == pytest.approx(0.8)


@given(SEEDS)
def test_the_more_probable_the_mask_the_surer_it_is(seed):
    p, mask = random_map(seed), random_map(seed) > 0.4
    assert certainty(p + (1 - p) / 2, mask) >= certainty(p, mask)


# Whether the mask is greyer than what lies beside it

STEEL, TISSUE, FAT, BLACK = (128, 128, 128), (200, 60, 50), (240, 200, 90), (0, 0, 0)


def picture(tool: tuple[int, ...] = STEEL, around: tuple[int, ...] = TISSUE, rows: int = 64) -> np.ndarray:
    """A tool from the left border to the middle on a plain ground."""
    rgb = np.full((rows, rows, 3), around, np.uint8)
    rgb[rows // 4 : rows // 2, : rows // 2] = tool
    return rgb


def mask_of_tool(rows: int = 64) -> np.ndarray:
    mask = np.zeros((rows, rows), bool)
    mask[rows // 4 : rows // 2, : rows // 2] = True
    return mask


def test_a_grey_tool_on_tissue_is_wholly_separate():
    assert separation(picture(), mask_of_tool()) == 1


@pytest.mark.parametrize(
    ("tool", "around"),
    [
        (FAT, TISSUE),  # both strongly coloured: none is the greyer one
        (FAT, FAT),
        (STEEL, STEEL),
        (BLACK, TISSUE),  # what has no light has no colour
        (TISSUE, STEEL),  # less grey than what lies beside it counts no less than as grey
    ],
)
def test_a_mask_that_is_no_greyer_than_what_lies_beside_it_is_not_separate(tool, around):
    assert separation(picture(tool, around), mask_of_tool()) == 0


def test_it_is_the_chance_of_being_greyer_scaled_so_that_even_chances_give_0():
    rgb = picture()
    rgb[16:24, :32] = TISSUE  # half of the tool looks like what is around: q = 1/2 + 1/2 * 1/2
    assert separation(rgb, mask_of_tool()) == pytest.approx(0.5, abs=1e-6)


def test_only_what_is_near_the_mask_lies_beside_it():
    rgb = picture()
    rgb[36:] = STEEL
    rgb[:, 36:] = STEEL
    assert separation(rgb, mask_of_tool()) == 1


def test_a_mask_that_holds_part_of_a_tool_only_is_less_separate():
    part = mask_of_tool()
    part[:, 16:] = False
    assert separation(picture(), part) < 0.9


def test_a_mask_that_runs_over_into_tissue_is_less_separate():
    wide = mask_of_tool()
    wide[32:48, :32] = True
    assert separation(picture(), wide) < 0.6


@pytest.mark.parametrize("rgb", [picture(), np.zeros((64, 64, 3), np.uint8)])
def test_an_empty_mask_is_separate_and_one_of_the_whole_picture_is_not(rgb):
    assert separation(rgb, np.zeros((64, 64), bool)) == 1
    assert separation(rgb, np.ones((64, 64), bool)) == 0


def test_what_is_outside_the_endoscopes_picture_does_not_lie_beside_the_mask():
    rgb, inside = picture(), np.ones((64, 64), bool)
    rgb[:16] = STEEL
    inside[:16] = False  # the picture begins where the tool does
    assert separation(rgb, mask_of_tool(), inside) == 1 > separation(rgb, mask_of_tool())
    rgb[16:] = STEEL
    rgb[:16] = TISSUE
    assert separation(rgb, mask_of_tool(), inside) == 0 < separation(rgb, mask_of_tool())


def test_a_few_pixels_at_256_rows_are_a_mask_to_be_judged():
    mask = np.zeros((256, 32), bool)
    mask[33:35, 9:11] = True
    assert separation(np.full((256, 32, 3), TISSUE, np.uint8), mask) == 0


def test_a_mask_too_fine_to_be_seen_at_256_rows_counts_as_none():
    mask = np.zeros((2048, 16), bool)
    mask[1, 1] = True
    assert separation(np.full((2048, 16, 3), TISSUE, np.uint8), mask) == 1


@pytest.mark.parametrize("rows", [128, 512, 1080])
def test_the_size_of_the_picture_changes_little(rows):
    rng = np.random.default_rng(1)
    noise = cv2.resize(rng.normal(0, 25, (64, 64, 3)).astype(np.float32), (rows, rows))
    rgb = np.clip(picture((150, 128, 120), (170, 110, 110), rows) + noise, 0, 255).astype(np.uint8)
    large = picture((150, 128, 120), (170, 110, 110), 256) + cv2.resize(noise, (256, 256))
    expected = separation(np.clip(large, 0, 255).astype(np.uint8), mask_of_tool(256))
    assert 0.2 < expected < 0.9
    assert separation(rgb, mask_of_tool(rows)) == pytest.approx(expected, abs=0.1)


@given(SEEDS)
def test_it_is_the_mean_over_pairs_counted_one_by_one(seed):
    rng = np.random.default_rng(seed)
    rgb = (128 + rng.integers(-30, 31, (9, 9, 3))).astype(np.uint8)
    mask = np.zeros((9, 9), bool)
    mask[2:6, 2:5] = True
    beside = np.zeros((9, 9), bool)
    beside[1:7, 1:6] = ~mask[1:7, 1:6]
    grey = color_cue(rgb, channels="a*saturation*chroma", scale="channels", dark=10.0, ranges=TRUE_GREY)
    levels = np.round(grey * 255)
    signs = [np.sign(ours - theirs) for ours in levels[mask] for theirs in levels[beside]]
    assert separation(rgb, mask) == pytest.approx(max(0, np.mean(signs)), abs=0.01)


# Both together


def test_the_confidence_is_how_sure_the_network_is_times_how_separate_its_mask_is():
    p, mask, rgb = np.full((8, 8), 0.8, np.float32), mask_of_tool(), picture()
    rgb[16:24, :32] = TISSUE
    assert confidence(p, rgb, mask) == certainty(p, mask) * separation(rgb, mask) == pytest.approx(0.8 / 2)


def test_an_empty_mask_without_doubt_is_a_sure_one_whatever_the_picture_shows():
    assert confidence(np.zeros((8, 8), np.float32), picture(), np.zeros((64, 64), bool)) == 1


def test_a_decided_mask_on_fat_is_trusted_less_than_one_on_steel():
    p = mask_of_tool().astype(np.float32)
    assert confidence(p, picture(FAT), mask_of_tool()) == 0
    assert confidence(p, picture(STEEL), mask_of_tool()) == 1


@given(SEEDS)
def test_it_lies_in_0_to_1_whatever_the_picture(seed):
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
    assert 0 <= confidence(random_map(seed), rgb, rng.random((12, 10)) < 0.4, rng.random((12, 10)) < 0.8) <= 1


# Whether the mask is what the shape cue sees


def test_agreement_is_dice_for_probabilities_and_small_pictures_of_both_do_not_count():
    mask = np.zeros((20, 50), bool)
    mask[:10, :10] = True  # 100 of 1000 pixels; the constant is 2
    shape = np.zeros((20, 50), np.float32)
    shape[:10, :5] = 0.5
    shape[10:, :5] = 1.0
    assert agreement(mask, shape) == pytest.approx((2 * 25 + 2) / (100 + 75 + 2))
    assert agreement(mask, mask.astype(np.float32)) == 1
    assert agreement(np.zeros_like(mask), np.zeros_like(shape)) == 1
    assert agreement(np.zeros_like(mask), shape) == pytest.approx(2 / 77)
    assert agreement(mask, np.zeros_like(shape)) == pytest.approx(2 / 102)


def test_agreement_takes_the_mask_at_the_size_of_the_shape_cue():
    mask = np.zeros((80, 120), bool)
    mask[20:60, 30:90] = True
    small = mask[::4, ::4].astype(np.float32)
    assert agreement(mask, small) == 1


def test_a_mask_that_is_not_what_shape_sees_has_less_confidence():
    rgb = np.full((40, 60, 3), (150, 60, 50), np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:40] = True
    rgb[mask] = 140
    p, elsewhere = mask.astype(np.float32), np.roll(mask, 25, axis=1).astype(np.float32)
    assert confidence(p, rgb, mask, None, p) == confidence(p, rgb, mask)
    assert confidence(p, rgb, mask, None, elsewhere) < 0.5 * confidence(p, rgb, mask)
