from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.phantom.test_scene import grown

from cuemask.errors import RecipeError
from cuemask.media.masks import read_numbers
from cuemask.phantom import SCENES, PhantomFrame, PhantomScene, named_scene, read_scene, write_phantom
from cuemask.phantom.heads import KINDS
from cuemask.phantom.tools import LEAVE_ABSENT, MEET_PERIOD

FIVE = {
    kind: PhantomScene(seed=3, height_px=128, width_px=160, tools=1, leaving=False, kinds=(kind,)) for kind in KINDS
}


def small(name: str) -> PhantomScene:
    return named_scene(name, 2, 128, 160)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def shafts_cross(frame: PhantomFrame) -> bool:
    """Whether the lower instrument is cut into pieces by the upper one."""
    count = cv2.connectedComponents((frame.instances == 1).astype(np.uint8))[0]
    return count > 2


@pytest.mark.parametrize("name", SCENES)
def test_instances_and_classes_cover_just_the_mask(name: str) -> None:
    scene = small(name)
    frame = scene.frame(MEET_PERIOD // 4)
    np.testing.assert_array_equal(frame.instances > 0, frame.mask)
    assert set(np.unique(frame.instances)) == set(range(scene.tools + 1))
    for number in range(1, scene.tools + 1):
        kind = scene.kinds[(number - 1) % len(scene.kinds)]
        assert set(frame.classes[frame.instances == number]) == {KINDS.index(kind) + 1}


def test_an_instruments_pixels_are_those_that_go_with_it_and_the_upper_one_hides_the_lower() -> None:
    both = small("crossing")
    together, alone = both.frame(100), replace(both, tools=1).frame(100)
    upper = together.instances == 2
    assert (together.instances[alone.mask & ~grown(upper, 1)] == 1).all()
    assert (alone.mask & upper).sum() > 100
    assert not ((together.instances == 1) & ~grown(alone.mask, 1)).any()


def test_the_default_is_a_pair_of_graspers_that_do_not_meet() -> None:
    frame = PhantomScene(seed=1, height_px=64, width_px=80).frame(0)
    told = PhantomScene(seed=1, height_px=64, width_px=80, kinds=("grasper", "grasper"), meeting="apart").frame(0)
    np.testing.assert_array_equal(frame.rgb, told.rgb)
    assert set(np.unique(frame.classes)) == {0, 1}


def test_every_kind_has_its_own_shape_and_its_own_look() -> None:
    frames = {kind: scene.frame(40) for kind, scene in FIVE.items()}
    tissue = replace(FIVE["hook"], tools=0).frame(40).rgb
    for one in KINDS:
        assert np.abs(frames[one].rgb.astype(int) - tissue)[frames[one].mask].mean() > 20
        for other in KINDS[KINDS.index(one) + 1 :]:
            shared = (frames[one].parts == 10) & (frames[other].parts == 10)
            looks = [frames[kind].rgb[shared].astype(float).mean(axis=0) for kind in (one, other)]
            assert iou(frames[one].mask, frames[other].mask) < 0.97
            assert np.abs(looks[0] - looks[1]).max() > 5


@pytest.mark.parametrize(
    ("kind", "codes", "ends"),
    [
        ("grasper", {0, 10, 20, 30}, 2),
        ("hook", {0, 10, 20, 30}, 1),
        ("scissors", {0, 10, 20, 30}, 2),
        ("suction", {0, 10}, 1),
        ("clip_applier", {0, 10, 20, 30}, 2),
    ],
)
def test_each_kind_has_its_parts_and_its_ends(kind: str, codes: set[int], ends: int) -> None:
    frame = FIVE[kind].frame(40)
    assert set(np.unique(frame.parts)) == codes
    assert len(frame.tips) == ends
    last = 30 if 30 in codes else 10
    for tip in frame.tips:
        x, y = int(tip.x_px), int(tip.y_px)
        assert (frame.parts[y - 2 : y + 3, x - 2 : x + 3] == last).any()
        assert tip.instance == 1


def test_a_closed_jaw_ends_in_one_tip_and_an_open_one_in_two() -> None:
    scene = FIVE["grasper"]
    grips = [scene._tools[0].grip.at(t) for t in range(0, 400, 10)]
    counts = [len(scene.frame(10 * int(pick(grips))).tips) for pick in (np.argmin, np.argmax)]
    assert counts == [1, 2]


def test_a_tip_below_another_instrument_is_not_seen() -> None:
    scene = replace(small("four"), height_px=64, width_px=80)
    fewer = [replace(scene, tools=n) for n in range(1, scene.tools)]
    hidden = 0
    for t in range(0, 200, 25):
        frame = scene.frame(t)
        for n, below in enumerate(fewer, start=1):
            for tip in below.frame(t).tips:
                if tip.instance == n and tip not in frame.tips:
                    hidden += 1
                    assert frame.instances[int(tip.y_px), int(tip.x_px)] != n
    assert hidden > 0


def test_a_tip_outside_the_picture_or_its_circle_is_not_seen() -> None:
    scene = replace(PhantomScene(seed=3, height_px=128, width_px=160, tools=1))
    leaves_at = scene._tools[0].leaves_at
    assert leaves_at is not None
    assert scene.frame(leaves_at).tips
    assert not scene.frame(leaves_at + LEAVE_ABSENT // 2).tips
    scene = small("round")
    for t in range(0, 200, 40):
        frame = scene.frame(t)
        assert all(np.hypot(tip.x_px - 80, tip.y_px - 64) <= 0.56 * 128 + 1 for tip in frame.tips)


def test_instruments_cross_and_part_again() -> None:
    scene = small("crossing")
    assert not shafts_cross(scene.frame(0))
    assert shafts_cross(scene.frame(MEET_PERIOD // 2))
    assert not shafts_cross(scene.frame(MEET_PERIOD))


def test_instruments_touch_with_little_of_either_hidden() -> None:
    scene = small("touching")
    lower = replace(scene, tools=1)
    merged = []
    for t in range(0, MEET_PERIOD, 20):
        frame = scene.frame(t)
        merged.append(cv2.connectedComponents(frame.mask.astype(np.uint8))[0] == 2)
        assert (frame.instances == 1).sum() > 0.85 * lower.frame(t).mask.sum()
    assert any(merged)
    assert not all(merged)


def test_the_truth_on_disk_is_that_of_the_scene(tmp_path: Path) -> None:
    scene = replace(small("crossing"), height_px=64, width_px=80)
    files = write_phantom(tmp_path, 2, scene)
    with files.tips.open(newline="") as lines:
        told = list(csv.DictReader(lines))
    for t in range(2):
        frame = scene.frame(t)
        name = f"{t:06}.png"
        stored = cv2.imread(str(files.instances / name), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16
        np.testing.assert_array_equal(stored, frame.instances)
        np.testing.assert_array_equal(read_numbers(files.instances / name), frame.instances)
        np.testing.assert_array_equal(cv2.imread(str(files.classes / name), cv2.IMREAD_UNCHANGED), frame.classes)
        here = [(int(line["instrument"]), float(line["x"])) for line in told if line["frame"] == f"{t:06}"]
        assert here == [(tip.instance, pytest.approx(tip.x_px, abs=0.005)) for tip in frame.tips]
    described = json.loads(files.scene.read_text())
    assert described["classes"] == {kind: n for n, kind in enumerate(KINDS, start=1)}
    assert read_scene(files.scene) == scene


def test_descriptions_from_before_there_were_kinds_are_read(tmp_path: Path) -> None:
    files = write_phantom(tmp_path, 1, PhantomScene(seed=4, height_px=64, width_px=80))
    described = json.loads(files.scene.read_text())
    del described["kinds"], described["meeting"]
    files.scene.write_text(json.dumps(described))
    assert read_scene(files.scene) == PhantomScene(seed=4, height_px=64, width_px=80)


@pytest.mark.parametrize(("field", "value"), [("kinds", ("drill",)), ("kinds", ()), ("meeting", "fighting")])
def test_unknown_kinds_and_meetings_are_refused_with_those_that_are_known(field: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"{field} is") as error:
        PhantomScene(**{field: value})
    assert "grasper" in error.value.remedy or "crossing" in error.value.remedy


def test_unknown_scenes_are_refused_with_the_names_of_all() -> None:
    with pytest.raises(RecipeError, match="no scene is called 'five'") as error:
        named_scene("five")
    assert all(name in error.value.remedy for name in SCENES)
