from __future__ import annotations

import cv2
import numpy as np
import pytest

from cuemask.cues.clip import keep_clip, kept_before, working_inside, working_picture
from cuemask.cues.color import color_cue
from cuemask.errors import PictureError
from cuemask.media.area import PictureArea
from cuemask.media.clips import open_clips
from cuemask.phantom import PhantomScene
from cuemask.recipe import load_recipe

RECIPE = load_recipe("paper", ["input.height_px=48", "input.width_px=64"])


@pytest.fixture
def clip(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for t in range(4):
        rgb = PhantomScene(seed=2, height_px=96, width_px=128).frame(20 * t).rgb
        cv2.imwrite(str(folder / f"{t}.png"), rgb[..., ::-1])
    return open_clips([folder])[0]


def whole(clip) -> PictureArea:
    return PictureArea(0, 0, clip.height_px, clip.width_px, None)


def kept(clip, folder, recipe=RECIPE, area=None):
    folder.mkdir(exist_ok=True)
    return keep_clip(clip, area or whole(clip), recipe, folder, 0, clip.frames())


def test_the_location_cue_is_the_mean_colour_map_of_the_clip(clip, tmp_path):
    clip_kept = kept(clip, tmp_path / "w")
    maps = [color_cue(working_picture(f.rgb, whole(clip), RECIPE)) for f in clip.frames()]
    assert clip_kept.location == pytest.approx(np.mean(maps, axis=0), abs=1e-6)
    assert clip_kept.names == ["0", "1", "2", "3"]


def test_the_papers_anchors_are_the_products_of_the_kept_cues(clip, tmp_path):
    clip_kept = kept(clip, tmp_path / "w")
    maps = clip_kept.cues(2, RECIPE)
    positive, negative = clip_kept.anchors(2, RECIPE)
    assert positive == pytest.approx(maps.color * maps.objectness * maps.location, abs=1e-6)
    assert negative == pytest.approx((1 - maps.color) * (1 - maps.objectness) * (1 - maps.location), abs=1e-6)


@pytest.mark.parametrize("cues", ["color", "objectness,location", "location"])
def test_any_subset_of_cues_makes_anchors(clip, tmp_path, cues):
    recipe = load_recipe("paper", ["input.height_px=48", "input.width_px=64", f"cues.use={cues}"])
    clip_kept = kept(clip, tmp_path / "w", recipe)
    expected = np.prod([getattr(clip_kept.cues(1, recipe), cue) for cue in cues.split(",")], axis=0)
    assert clip_kept.anchors(1, recipe).positive == pytest.approx(expected, abs=1e-6)


def test_a_fixed_prior_takes_the_place_of_the_mean(clip, tmp_path):
    recipe = load_recipe("paper", ["input.height_px=48", "input.width_px=64", "cues.location=gaussian"])
    location = kept(clip, tmp_path / "w", recipe).location
    assert location[24, 32] > 0.99
    assert location == pytest.approx(location[::-1, ::-1], abs=1e-6)


def test_what_was_kept_is_found_again_and_half_kept_is_not(clip, tmp_path):
    first = kept(clip, tmp_path / "w")
    again = kept_before(tmp_path / "w", clip, whole(clip), RECIPE, 0)
    assert np.array_equal(again.anchors(3, RECIPE).positive, first.anchors(3, RECIPE).positive)
    (tmp_path / "w" / "names.json").unlink()
    assert kept_before(tmp_path / "w", clip, whole(clip), RECIPE, 0) is None


def test_outside_the_picture_there_are_neither_cues_nor_anchors(clip, tmp_path):
    inside = np.zeros((80, 100), bool)
    cv2.circle(view := inside.astype(np.uint8), (50, 40), 38, 1, -1)
    area = PictureArea(8, 14, 80, 100, view.astype(bool))
    clip_kept = kept(clip, tmp_path / "w", area=area)
    outside = ~working_inside(area, RECIPE)
    assert outside.any()
    for values in (*clip_kept.cues(0, RECIPE), *clip_kept.anchors(0, RECIPE)):
        assert (values[outside] == 0).all()


def test_a_black_clip_is_refused(tmp_path):
    folder = tmp_path / "black"
    folder.mkdir()
    for t in range(2):
        cv2.imwrite(str(folder / f"{t}.png"), np.zeros((64, 80, 3), np.uint8))
    (clip,) = open_clips([folder])
    with pytest.raises(PictureError, match="all 2 frames are black"):
        kept(clip, tmp_path / "w")
