from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.cues import clip as clip_module
from cuemask.cues.clip import keep_clip, kept_before, working_inside, working_picture
from cuemask.cues.color import color_cue
from cuemask.cues.contour import contour_cue
from cuemask.cues.fusion import Clipwide, CueMaps, anchors_of, evidence_of, fused, shape_say_of
from cuemask.cues.motion import frame_gap, motion_cue
from cuemask.cues.shape import shape_cue
from cuemask.errors import PictureError
from cuemask.media.area import PictureArea
from cuemask.media.clips import open_clips
from cuemask.phantom import PhantomScene
from cuemask.recipe import AnchorsRecipe, CuesRecipe, Recipe, load_recipe

SMALL = ("input.height_px=48", "input.width_px=64", "cues.objectness_windows=30")
RECIPE = load_recipe("paper", SMALL)
DEFAULT = load_recipe("default", SMALL)
ALL_CUES = load_recipe("default", [*SMALL, "cues.use=color,contour,motion,objectness,location,shape"])


def clip_of(folder, scene, numbers):
    folder.mkdir()
    for k, t in enumerate(numbers):
        cv2.imwrite(str(folder / f"{k}.png"), scene.frame(t).rgb[..., ::-1])
    return open_clips([folder])[0]


@pytest.fixture
def clip(tmp_path):
    scene = PhantomScene(seed=2, height_px=96, width_px=128)
    return clip_of(tmp_path / "pictures", scene, range(0, 80, 20))


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
    for values in (*clip_kept.cues(0, RECIPE)[:-1], *clip_kept.anchors(0, RECIPE)):  # the last: cues of one's own
        assert (values[outside] == 0).all()


def test_outside_the_picture_the_default_has_neither_cues_nor_anchors(clip, tmp_path):
    y, x = np.mgrid[:96, :128]
    area = PictureArea(0, 0, 96, 128, np.hypot(y - 47.5, x - 63.5) < 44)
    clip_kept = kept(clip, tmp_path / "w", ALL_CUES, area)
    outside = ~working_inside(area, ALL_CUES)
    maps = clip_kept.cues(1, ALL_CUES)
    for values in (
        maps.color,
        maps.objectness,
        maps.location,
        maps.contour,
        maps.motion,
        *clip_kept.anchors(1, ALL_CUES),
    ):
        assert (values[outside] == 0).all()
    assert np.array_equal(maps.contour, contour_cue(maps.color, ~outside))


def test_a_black_clip_is_refused(tmp_path):
    folder = tmp_path / "black"
    folder.mkdir()
    for t in range(2):
        cv2.imwrite(str(folder / f"{t}.png"), np.zeros((64, 80, 3), np.uint8))
    (clip,) = open_clips([folder])
    with pytest.raises(PictureError, match="all 2 frames are black"):
        kept(clip, tmp_path / "w")


# What a frame looks like

SEEDS = st.integers(0, 2**31 - 1)
WEIGHTS = st.floats(0.1, 3)
LOOKS = CuesRecipe(use=("color", "contour", "motion"))


def random_maps(seed: int, motion: str = "random") -> CueMaps:
    color, objectness, location, contour, moved = np.random.default_rng(seed).random((5, 7, 9)).astype(np.float32)
    if motion == "agrees":
        moved = color * contour
    if motion == "contrary":
        moved = 1 - color * contour
    return CueMaps(color, objectness, location, contour, moved, np.flipud(objectness))


@given(SEEDS, WEIGHTS, WEIGHTS, WEIGHTS)
def test_colour_contour_and_motion_are_multiplied_by_their_weights(seed, of_color, of_contour, of_motion):
    recipe = dataclasses.replace(LOOKS, color_weight=of_color, contour_weight=of_contour, motion_weight=of_motion)
    maps = random_maps(seed)
    color, contour, moved = (values.ravel().tolist() for values in (maps.color, maps.contour, maps.motion))
    two = [a**of_color * b**of_contour for a, b in zip(color, contour, strict=True)]
    say = min(max(float(np.corrcoef(moved, two)[0, 1]) / 0.3, 0), 1)
    expected = [a * m ** (say * of_motion) for a, m in zip(two, moved, strict=True)]
    assert fused(maps, None, recipe).ravel() == pytest.approx(expected, abs=1e-4)


@given(SEEDS)
def test_motion_that_agrees_has_its_whole_weight(seed):
    maps = random_maps(seed, "agrees")
    assert fused(maps, None, LOOKS) == pytest.approx((maps.color * maps.contour) ** 2, abs=1e-6)


@given(SEEDS)
def test_motion_that_does_not_agree_has_no_say(seed):
    maps = random_maps(seed, "contrary")
    assert np.array_equal(fused(maps, None, LOOKS), maps.color * maps.contour)
    unknown = maps._replace(motion=np.full_like(maps.color, 0.5))
    assert np.array_equal(fused(unknown, None, LOOKS), maps.color * maps.contour)


def test_motion_outside_the_picture_neither_agrees_nor_disagrees():
    maps = random_maps(0, "contrary")
    inside = np.zeros(maps.color.shape, bool)
    inside[:, :5] = True
    maps = maps._replace(motion=np.where(inside, maps.color * maps.contour, maps.motion))
    looks = fused(maps, inside, LOOKS)
    assert looks[inside] == pytest.approx(((maps.color * maps.contour) ** 2)[inside], abs=1e-6)


def test_a_cue_that_is_used_alone_is_what_the_frame_looks_like():
    maps = random_maps(0)
    for cue in ("color", "contour", "motion"):
        assert np.array_equal(fused(maps, None, CuesRecipe(use=(cue,))), getattr(maps, cue))
    assert fused(maps, None, CuesRecipe(use=("objectness", "location"))) is None


def test_all_cues_are_those_of_the_frame_and_its_neighbours(clip, tmp_path):
    clip_kept = kept(clip, tmp_path / "w", ALL_CUES)
    maps = clip_kept.cues(1, ALL_CUES)
    rgb = [clip_kept.rgb[k] for k in range(4)]
    assert np.array_equal(maps.contour, contour_cue(maps.color))
    gap = frame_gap(rgb.__getitem__, 4)
    for k in range(4):
        neighbours = [rgb[n] for n in (k - gap, k + gap) if n in range(4)]
        assert np.array_equal(clip_kept.cues(k, ALL_CUES).motion, motion_cue(rgb[k], neighbours))


def test_cues_that_the_recipe_does_not_use_are_zero(clip, tmp_path):
    maps = kept(clip, tmp_path / "w").cues(1, RECIPE)
    assert not maps.contour.any()
    assert not maps.motion.any()


def test_shape_is_one_more_factor_of_both_anchors_and_the_power_of_the_positive_one_alone():
    maps, clipwide = random_maps(3), Clipwide(None, 1.0)
    use = ("color", "location", "shape")
    cues = CuesRecipe(use=use, location_weight=0.5, shape_weight=2.0)
    recipe = Recipe(cues=cues, anchors=AnchorsRecipe(positive_power=0.5))
    both = anchors_of(maps, None, recipe, clipwide)
    positive = maps.color * np.sqrt(maps.location) * maps.shape**2
    negative = (1 - maps.color) * np.sqrt(1 - maps.location) * (1 - maps.shape) ** 2
    assert both.positive == pytest.approx(np.sqrt(positive), abs=1e-5)
    assert both.negative == pytest.approx(negative, abs=1e-5)


@pytest.mark.parametrize(("clearest", "say"), [((0.0, 0.1), 0.0), ((0.0, 0.9), 1.0), ((0.375,), 0.5)])
def test_shape_has_no_say_in_a_clip_where_it_sees_nothing(clearest, say):
    recipe = load_recipe("default")
    assert recipe.cues.least_shape == 0.25
    assert shape_say_of(clearest, recipe) == pytest.approx(say)
    for settings in ("cues.least_shape=0", "cues.use=shape,location", "cues.use=color,location"):
        assert shape_say_of(clearest, load_recipe("default", [settings])) == 1


def test_without_a_say_shape_changes_no_anchor(clip, tmp_path, monkeypatch):
    def blind(rgb, inside=None):
        return np.zeros(rgb.shape[:2], np.float32)

    recipe = load_recipe("default", [*SMALL, "cues.use=color,contour,shape"])
    without = load_recipe("default", [*SMALL, "cues.use=color,contour"])
    monkeypatch.setattr(clip_module, "shape_cue", blind)
    clip_kept = kept(clip, tmp_path / "w", recipe)
    assert clip_kept.clipwide(recipe).shape_say == 0
    for one, other in zip(clip_kept.anchors(1, recipe), clip_kept.anchors(1, without), strict=True):
        np.testing.assert_array_equal(one, other)
    assert clip_kept.anchors(1, recipe).positive.max() > 0
    stubborn = load_recipe("default", [*SMALL, "cues.use=color,contour,shape", "cues.least_shape=0"])
    assert clip_kept.anchors(1, stubborn).positive.max() == 0


def test_the_shape_cue_of_a_kept_frame_is_that_of_its_picture(clip, tmp_path):
    recipe = load_recipe("default", [*SMALL, "cues.use=color,shape"])
    clip_kept = kept(clip, tmp_path / "w", recipe)
    assert np.array_equal(clip_kept.cues(1, recipe).shape, shape_cue(clip_kept.rgb[1], clip_kept.inside))


def test_a_frame_alone_has_anchors_from_all_cues(tmp_path):
    scene = PhantomScene(seed=1, height_px=96, width_px=128)
    clip_kept = kept(clip_of(tmp_path / "one", scene, [0]), tmp_path / "w", ALL_CUES)
    assert (clip_kept.cues(0, ALL_CUES).motion == 0.5).all()
    assert clip_kept.anchors(0, ALL_CUES).positive.max() > 0.5


@pytest.mark.parametrize(
    "cues", ["location", "objectness", "objectness,location", "motion", "contour", "color", "shape", "color,shape"]
)
def test_any_subset_of_cues_makes_anchors_under_the_default_too(clip, tmp_path, cues):
    recipe = load_recipe("default", [*SMALL, f"cues.use={cues}"])
    clip_kept = kept(clip, tmp_path / "w", recipe)
    for anchor in clip_kept.anchors(1, recipe):
        assert 0 <= anchor.min() <= anchor.max() <= 1


# What is known of the whole clip


@pytest.fixture(scope="module")
def leaving(tmp_path_factory):
    """A clip at working size whose only instrument is away in the last three of its eight frames."""
    scene = PhantomScene(seed=5, height_px=128, width_px=160, tools=1)
    numbers = (0, 60, 120, 270, 330, 170, 190, 210)
    assert [scene.frame(t).mask.any() for t in numbers] == [True] * 5 + [False] * 3
    folder = tmp_path_factory.mktemp("leaving")
    return kept(clip_of(folder / "clip", scene, numbers), folder / "w", larger("default"))


def larger(name: str, *settings: str) -> Recipe:
    """At small size, with the plain product of the cues that know looks."""
    plain = ("anchors.positive_power=1", "cues.use=color,contour,motion,objectness,location")
    small = ("input.height_px=64", "input.width_px=80", "cues.objectness_windows=30")
    return load_recipe(name, [*small, *plain, *settings])


def test_frames_without_instrument_have_no_clear_positive_anchor_under_the_clips_threshold(leaving):
    # In this scene their tissue lies well below the clip's threshold; single brighter places would stay above 0.5.
    by_clip, by_frame = larger("default"), larger("default", "anchors.threshold=frame")
    assert leaving.clipwide(by_clip).evidence == leaving.clipwide(by_frame).evidence == 1
    for k in range(5, 8):
        assert leaving.anchors(k, by_clip).positive.max() < 0.5
        assert leaving.anchors(k, by_frame).positive.max() > 0.5


def test_frames_with_an_instrument_are_the_same_under_either_threshold(leaving):
    by_clip, by_frame = larger("default"), larger("default", "anchors.threshold=frame")
    for k in range(3):
        assert np.array_equal(leaving.anchors(k, by_clip).positive, leaving.anchors(k, by_frame).positive)
        assert leaving.anchors(k, by_clip).positive.max() > 0.5


def test_tissue_of_frames_without_instrument_is_less_grey_by_the_clips_ranges_than_by_their_own(leaving):
    by_clip, by_frame = larger("default"), larger("default", "cues.color_scale=channels")
    for k in range(5, 8):
        own, clips = (np.quantile(leaving.cues(k, recipe).color, 0.99) for recipe in (by_frame, by_clip))
        assert clips < own


def test_the_clip_is_looked_over_once_a_recipe(leaving, monkeypatch):
    recipe = larger("default", "anchors.sharpness=3.0")
    first = leaving.clipwide(recipe)
    monkeypatch.setattr(type(leaving), "cues", lambda *_: pytest.fail("looked over again"))
    assert leaving.clipwide(recipe) is first


def test_what_is_known_of_a_clip_is_found_again_with_what_was_kept(leaving, tmp_path):
    recipe = larger("default")
    again = kept_before(leaving.rgb.records.path.parent, leaving.clip, leaving.area, recipe, 0)
    assert again.clipwide(recipe) == leaving.clipwide(recipe)
    assert np.array_equal(again.anchors(1, recipe).positive, leaving.anchors(1, recipe).positive)


LARGE = ["input.height_px=128", "input.width_px=160", "cues.objectness_windows=30"]


@pytest.mark.parametrize("round_picture", [False, True])
def test_a_clip_without_instruments_has_no_evidence_of_one_and_is_background(tmp_path, round_picture):
    clip = clip_of(tmp_path / "clip", PhantomScene(seed=2, height_px=128, width_px=160, tools=0), range(0, 60, 15))
    y, x = np.mgrid[:128, :160]
    view = np.hypot(y - 63.5, x - 79.5) < 62
    area = PictureArea(0, 0, 128, 160, view if round_picture else None)
    recipe = load_recipe("default", LARGE)
    clip_kept = kept(clip, tmp_path / "w", recipe, area)
    inside = working_inside(area, recipe) if round_picture else np.ones((128, 160), bool)
    assert clip_kept.clipwide(recipe).evidence == 0
    for k in range(4):
        positive, negative = clip_kept.anchors(k, recipe)
        assert not positive.any()
        assert (negative == inside).all()


def test_a_clip_with_an_instrument_has_all_evidence(tmp_path):
    clip = clip_of(tmp_path / "clip", PhantomScene(seed=2, height_px=128, width_px=160, tools=1), range(0, 60, 15))
    recipe = load_recipe("default", LARGE)
    assert kept(clip, tmp_path / "w", recipe).clipwide(recipe).evidence == 1


@pytest.mark.parametrize(
    ("greatest", "count"),
    [
        ([0.9] * 24, 4),
        ([0.0] * 19 + [0.9] * 5, 16),
        ([0.1] * 24, 24),
        ([0.53] * 24, 24),
        ([0.6] * 2 + [0.1] * 22, 24),
    ],
)
def test_no_more_frames_are_measured_than_evidence_wants(leaving, monkeypatch, greatest, count):
    recipe, measured = load_recipe("default", LARGE), list[int]()
    monkeypatch.setattr(type(leaving), "_some", lambda _: list(range(24)))

    def clearest(index: int, recipe: Recipe) -> float:
        measured.append(index)
        return greatest[index]

    told = leaving._until_sure(clearest, evidence_of, recipe)
    assert told == evidence_of(greatest, recipe)
    assert len(measured) == len(set(measured)) == count


def test_evidence_rises_within_a_tenth_above_the_least_contour():
    recipe = load_recipe("default", [*LARGE, "anchors.least_contour=0.5"])
    assert [evidence_of([value], recipe) for value in (0.2, 0.5, 0.55, 0.9)] == [0, 0, 1, 1]
    assert evidence_of([0.525], recipe) == pytest.approx(0.5)
    # The clearest tenth of the frames decides.
    assert evidence_of([0.1] * 8 + [0.9, 0.9], recipe) == 1
    assert evidence_of([0.1] * 19 + [0.9], recipe) == 0


def test_some_evidence_takes_that_share_of_the_anchors_and_gives_the_rest_to_the_background(leaving):
    recipe = larger("default")
    maps, known = leaving.cues(1, recipe), leaving.clipwide(recipe)
    sure = anchors_of(maps, None, recipe, known)
    doubted = anchors_of(maps, None, recipe, known._replace(evidence=0.3))
    assert doubted.positive == pytest.approx(0.3 * sure.positive, abs=1e-6)
    assert doubted.negative == pytest.approx(0.3 * sure.negative + 0.7, abs=1e-6)


@pytest.mark.parametrize("setting", ["cues.use=color,location", "input.height_px=127", "anchors.least_contour=0"])
def test_without_contour_question_or_rows_there_is_always_evidence(setting):
    assert evidence_of([0.0], load_recipe("default", [*LARGE, setting])) == 1


def test_the_papers_clip_is_not_looked_over(clip, tmp_path, monkeypatch):
    clip_kept = kept(clip, tmp_path / "w")
    monkeypatch.setattr(type(clip_kept), "cues", lambda *_: pytest.fail("looked over"))
    assert clip_kept.clipwide(RECIPE) == Clipwide(None, 1.0)


@pytest.mark.parametrize(("left", "say"), [(0, 1.0), (20, 0.0)])
def test_shape_has_a_say_in_a_clip_where_something_comes_in_from_the_rim(clip, tmp_path, monkeypatch, left, say):
    def seen(rgb, inside=None):
        found = np.zeros(rgb.shape[:2], np.float32)
        found[20:30, left : left + 25] = 0.9
        return found

    monkeypatch.setattr(clip_module, "shape_cue", seen)
    recipe = load_recipe("default", [*SMALL, "cues.use=color,shape"])
    assert kept(clip, tmp_path / "w", recipe).clipwide(recipe).shape_say == say
