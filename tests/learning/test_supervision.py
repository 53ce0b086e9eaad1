from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.cues.anchors import smooth
from cuemask.cues.clip import KeptClip, keep_clip
from cuemask.datasets.dataset import GivenAnchors
from cuemask.errors import InputError
from cuemask.learning.supervision import Labels, Supervision
from cuemask.media.area import PictureArea, fixed_area
from cuemask.media.clips import ClipFiles, open_clips
from cuemask.recipe import DEFAULT, Recipe, load_recipe

SMALL = load_recipe("default", ["input.height_px=32", "input.width_px=40", 'cues.use=["color", "location"]'])


def kept_frames(folder: Path, area: PictureArea | None = None, height: int = 64, width: int = 80) -> KeptClip:
    rng = np.random.default_rng(0)
    paths = []
    for t in range(3):
        paths.append(folder / f"f{t}.png")
        cv2.imwrite(str(paths[-1]), rng.integers(0, 255, (height, width, 3), np.uint8))
    (clip,) = open_clips([ClipFiles("clip", tuple(paths))])
    area = area or fixed_area(0, 0, height, width, height, width)
    work = folder / "work"
    work.mkdir()
    return keep_clip(clip, area, SMALL, work, 0, clip.frames())


def left_half(name: str, height: int = 64, width: int = 80) -> np.ndarray:
    del name
    mask = np.zeros((height, width), np.bool_)
    mask[:, : width // 2] = True
    return mask


def test_a_labelled_frame_has_its_mask_and_the_complement_for_anchors(tmp_path):
    known = Supervision(Labels(frozenset({"f1"}), left_half))
    positive, negative = known.anchors(kept_frames(tmp_path), 1, SMALL)
    assert np.array_equal(positive, left_half("", 32, 40).astype(np.float32))
    assert np.array_equal(negative, 1 - positive)


def test_other_frames_keep_their_computed_anchors(tmp_path):
    kept, known = kept_frames(tmp_path), Supervision(Labels(frozenset({"f1"}), left_half))
    for side, computed in zip(known.anchors(kept, 0, SMALL), kept.anchors(0, SMALL), strict=True):
        assert np.array_equal(side, computed)
    assert known.labelled(kept) == {1}


def test_labels_weigh_as_the_recipe_says(tmp_path):
    heavy = dataclasses.replace(SMALL, losses=dataclasses.replace(SMALL.losses, label_weight=3.0))
    both = Supervision(Labels(frozenset({"f0"}), left_half)).anchors(kept_frames(tmp_path), 0, heavy)
    assert np.array_equal(both.positive + both.negative, np.full((32, 40), 3, np.float32))


def test_a_label_is_cut_out_as_its_frame_is_and_says_nothing_outside_the_picture(tmp_path):
    inside = np.ones((64, 40), np.bool_)
    inside[:32] = False
    kept = kept_frames(tmp_path, PictureArea(0, 20, 64, 40, inside))
    both = Supervision(Labels(frozenset({"f0"}), left_half)).anchors(kept, 0, SMALL)
    assert not both.positive[:16].any()
    assert not both.negative[:16].any()
    assert np.array_equal(both.positive[16:] > 0.5, np.arange(40)[None].repeat(16, 0) < 20)


def test_a_label_of_another_size_is_refused_with_both_sizes(tmp_path):
    known = Supervision(Labels(frozenset({"f0"}), lambda name: left_half(name, 32, 40)))
    with pytest.raises(InputError, match=r"40x32 pixels, its frame 80x64"):
        known.anchors(kept_frames(tmp_path), 0, SMALL)


@pytest.mark.parametrize(("source", "replaced"), [("given", True), ("cues", False)])
def test_anchors_that_came_with_the_data_are_taken_where_the_recipe_says_so(tmp_path, source, replaced):
    kept = kept_frames(tmp_path)
    given = GivenAnchors({"f0": tmp_path / "pos.png"}, {"f0": tmp_path / "neg.png"})
    cv2.imwrite(str(tmp_path / "pos.png"), np.full((64, 80), 51, np.uint8))
    cv2.imwrite(str(tmp_path / "neg.png"), np.full((64, 80), 204, np.uint8))
    recipe: Recipe = dataclasses.replace(SMALL, anchors=dataclasses.replace(SMALL.anchors, source=source))
    both = Supervision(given=given).anchors(kept, 0, recipe)
    assert (np.allclose(both.positive, 0.2) and np.allclose(both.negative, 0.8)) is replaced


def test_given_anchors_are_smoothed_at_their_own_size_as_the_authors_do_with_these_files(tmp_path):
    """1024 rows, reduced by 4: the size of the authors' crops."""
    kept = kept_frames(tmp_path, fixed_area(0, 0, 1024, 80, 1024, 80), 1024, 80)
    rng = np.random.default_rng(1)
    given = GivenAnchors({"f0": tmp_path / "pos.png"}, {"f0": tmp_path / "neg.png"})
    on_disk = rng.integers(0, 256, (2, 1024, 80), np.uint8)
    for path, values in zip(("pos.png", "neg.png"), on_disk, strict=True):
        cv2.imwrite(str(tmp_path / path), values)
    settings = ["input.height_px=512", "input.width_px=40", "anchors.source=given"]
    plain, smoothed = (load_recipe("released", [*settings, f"anchors.smoothing={k}"]) for k in (1, 4))
    for recipe, factor in ((plain, 1.0), (smoothed, 4.0)):
        both = Supervision(given=given).anchors(kept, 0, recipe)
        for found, values in zip(both, on_disk, strict=True):
            expected = cv2.resize(
                smooth(values.astype(np.float32) / 255, factor), (40, 512), interpolation=cv2.INTER_AREA
            )
            assert found == pytest.approx(expected, abs=1e-6)


def test_a_true_mask_goes_before_anchors_that_came_with_the_data(tmp_path):
    kept, given = kept_frames(tmp_path), GivenAnchors({}, {})
    recipe = dataclasses.replace(
        DEFAULT, input=SMALL.input, anchors=dataclasses.replace(DEFAULT.anchors, source="given")
    )
    both = Supervision(Labels(frozenset({"f0"}), left_half), given).anchors(kept, 0, recipe)
    assert both.positive.max() == 1


@pytest.fixture(scope="module")
def still(tmp_path_factory) -> KeptClip:
    """Five frames of one picture."""
    folder = tmp_path_factory.mktemp("still")
    rgb = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (64, 80, 3), np.uint8), (9, 9), 0)
    paths = [folder / f"f{t}.png" for t in range(5)]
    for path in paths:
        cv2.imwrite(str(path), rgb)
    (clip,) = open_clips([ClipFiles("clip", tuple(paths))])
    return keep_clip(clip, fixed_area(0, 0, 64, 80, 64, 80), SMALL, folder, 0, clip.frames())


def test_labels_say_in_the_frames_beside_theirs_what_is_to_be_learnt(still):
    heavy = dataclasses.replace(SMALL, losses=dataclasses.replace(SMALL.losses, label_weight=3.0))
    both = Supervision(Labels(frozenset({"f1"}), left_half)).anchors(still, 3, heavy)
    assert np.array_equal(both.positive, 3 * left_half("", 32, 40).astype(np.float32))
    assert np.array_equal(both.negative, 3 - both.positive)


def test_the_paper_s_labels_say_nothing_of_other_frames(still):
    own = dataclasses.replace(SMALL, anchors=dataclasses.replace(SMALL.anchors, labels="own"))
    known = Supervision(Labels(frozenset({"f1"}), left_half))
    assert known.carried(still, 2, own) is None
    for side, computed in zip(known.anchors(still, 2, own), still.anchors(2, own), strict=True):
        assert np.array_equal(side, computed)


def test_one_label_before_and_one_after_a_frame_are_asked_and_its_own_is_not(still):
    asked = list[str]()

    def read(name: str) -> np.ndarray:
        asked.append(name)
        return left_half(name)

    known = Supervision(Labels(frozenset({"f0", "f1", "f2", "f4"}), read))
    for index, expected in enumerate([["f1"], ["f0", "f2"], ["f1", "f4"], ["f2", "f4"], ["f2"]]):
        asked.clear()
        assert known.carried(still, index, SMALL) is not None
        assert sorted(set(asked)) == expected
    assert Supervision(Labels(frozenset({"f2"}), read)).carried(still, 2, SMALL) is None
