from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.errors import OutputError, RecipeError
from cuemask.media.clips import open_clips
from cuemask.media.masks import read_mask
from cuemask.media.pictures import read_picture
from cuemask.phantom import PhantomScene, read_scene, write_phantom

SCENE = PhantomScene(seed=4, height_px=96, width_px=128)


def test_the_clip_decodes_to_the_promised_frames(tmp_path: Path) -> None:
    files = write_phantom(tmp_path / "phantom", 12, SCENE)
    (clip,) = open_clips([str(files.video)])
    decoded = list(clip.frames())
    assert len(decoded) == files.frame_count == 12
    assert clip.frame_rate == 25
    for t, frame in enumerate(decoded):
        drawn = SCENE.frame(t).rgb.astype(float)
        assert 10 * np.log10(255**2 / ((frame.rgb - drawn) ** 2).mean()) > 28  # dB


def test_frames_masks_and_parts_on_disk_are_those_of_the_scene(tmp_path: Path) -> None:
    files = write_phantom(tmp_path, 3, SCENE)
    names = ["000000.png", "000001.png", "000002.png"]
    for folder in (files.frames, files.masks, files.parts):
        assert sorted(path.name for path in folder.iterdir()) == names
    for t, name in enumerate(names):
        frame = SCENE.frame(t)
        np.testing.assert_array_equal(read_picture(files.frames / name), frame.rgb)
        np.testing.assert_array_equal(read_mask(files.masks / name), frame.mask * np.uint8(255))
        np.testing.assert_array_equal(cv2.imread(str(files.parts / name), cv2.IMREAD_UNCHANGED), frame.parts)


def test_the_description_gives_the_scene_back(tmp_path: Path) -> None:
    files = write_phantom(tmp_path, 1, SCENE)
    assert json.loads(files.scene.read_text())["frames"] == 1
    assert read_scene(files.scene) == SCENE


@pytest.mark.parametrize("text", ["", "[]", '{"seed": 1}', "[" * 5000])
def test_other_files_are_no_description(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scene.json"
    path.write_text(text)
    with pytest.raises(RecipeError, match="no description of a phantom scene"):
        read_scene(path)


def test_a_shorter_clip_replaces_a_longer_one(tmp_path: Path) -> None:
    write_phantom(tmp_path, 3, SCENE)
    files = write_phantom(tmp_path, 1, SCENE)
    assert [path.name for path in files.masks.iterdir()] == ["000000.png"]


def test_the_callers_progress_sees_every_frame(tmp_path: Path) -> None:
    seen: list[int] = []

    def progress(numbers: Iterable[int], total: int) -> Iterable[int]:
        assert total == 4
        for number in numbers:
            yield number
            seen.append(number)

    write_phantom(tmp_path, 4, SCENE, progress=progress)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("frames", [0, -3, 1_000_001])
def test_impossible_numbers_of_frames_are_refused_before_anything_is_written(tmp_path: Path, frames: int) -> None:
    with pytest.raises(RecipeError, match="cannot be written") as error:
        write_phantom(tmp_path / "out", frames, SCENE)
    assert "--frames" in error.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_seed_stands_for_its_usual_scene(tmp_path: Path) -> None:
    assert read_scene(write_phantom(tmp_path, 1, 6).scene) == PhantomScene(seed=6)


def test_odd_sizes_are_refused_for_clips(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="even sizes"):
        write_phantom(tmp_path, 1, PhantomScene(height_px=97, width_px=128))


def test_a_file_in_the_folders_place_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError):
        write_phantom(tmp_path / "taken", 1, SCENE)
