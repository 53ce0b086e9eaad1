from __future__ import annotations

import cv2
import numpy as np
import pytest

from cuemask.cues.clip import KeptClip, keep_clip
from cuemask.experiments.anchors import inverted, mask_under_otsu
from cuemask.experiments.plan import Split, rows_of
from cuemask.media.area import picture_area
from cuemask.media.clips import Clip, open_clips
from cuemask.phantom.scene import PhantomScene
from cuemask.recipe import Recipe, load_recipe

SPLIT = Split(((("a",), ("b",)), (("b",), ("a",))))
SMALL = ("input.height_px=96", "input.width_px=120", "cues.objectness_windows=100")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Clip:
    """Frames of a round picture in a black border."""
    folder = tmp_path_factory.mktemp("round")
    scene = PhantomScene(seed=3, height_px=150, width_px=200, round_picture=True)
    for t in range(3):
        cv2.imwrite(str(folder / f"{t}.png"), scene.frame(5 * t).rgb[..., ::-1])
    (opened,) = open_clips([folder])
    return opened


def kept_of(clip: Clip, recipe: Recipe, folder) -> KeptClip:
    area = picture_area(clip)
    assert area.inside is not None
    return keep_clip(clip, area, recipe, folder, 0, clip.frames())


@pytest.mark.parametrize("name", ["paper", "default", "released", "fast"])
def test_a_single_cue_makes_the_same_mask_of_both_anchors_in_a_round_picture_too(name, clip, tmp_path):
    rows = rows_of("table2", SPLIT, load_recipe(name, SMALL))
    single = [cell.recipe for row in rows if row.printed for cell in row.cells if len(cell.recipe.cues.use) == 1]
    assert len(single) == 3
    for recipe in single:
        folder = tmp_path / recipe.cues.use[0]
        folder.mkdir()
        kept = kept_of(clip, recipe, folder)
        for index in range(len(kept.names)):
            both = kept.anchors(index, recipe)
            other = inverted(both.negative, kept.inside)
            assert np.abs(both.positive - other).max() < 1e-6
            size = (clip.height_px, clip.width_px)
            mask = mask_under_otsu(both.positive, kept, *size)
            assert mask.any()
            assert np.array_equal(mask, mask_under_otsu(other, kept, *size))


def test_outside_the_picture_no_anchor_is_instrument():
    inside = np.array([[True, False]])
    negative = np.array([[0.25, 0.0]], np.float32)
    assert inverted(negative, inside).tolist() == [[0.75, 0.0]]
    assert inverted(negative, None).tolist() == [[0.75, 1.0]]
    assert inverted(negative, inside).dtype == np.float32
