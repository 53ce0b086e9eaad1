from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cuemask.errors import InputError
from cuemask.media.area import eye_area
from cuemask.media.clips import open_clips
from cuemask.media.stereo import Eye, half_of_eye
from cuemask.phantom.school import draw_scene
from cuemask.runs.options import Options, area_of

Draw = Callable[..., Path]

SHIFT = 4


def eyes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same scene twice, a little shifted."""
    scene = draw_scene(2_000_000 + seed, 96, 128).rgb
    return scene[:, SHIFT:], scene[:, :-SHIFT]


@pytest.mark.parametrize(
    ("axis", "eye", "half"),
    [
        (1, "left", (0, 0, 96, 124)),
        (1, "right", (0, 124, 96, 124)),
        (0, "left", (0, 0, 96, 124)),
        (0, "right", (96, 0, 96, 124)),
    ],
)
def test_the_half_of_an_eye_is_found_side_by_side_and_over_and_under(
    axis: int, eye: Eye, half: tuple[int, int, int, int]
) -> None:
    frames = [np.concatenate(eyes(seed), axis) for seed in range(4)]
    assert half_of_eye(frames, eye) == half


def test_frames_of_one_picture_are_refused() -> None:
    rng = np.random.default_rng(0)
    frames = [np.kron(rng.integers(0, 256, (12, 16, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(4)]
    with pytest.raises(InputError, match="no two halves of frames show the same scene"):
        half_of_eye(frames, "left")
    with pytest.raises(InputError, match="no two halves"):
        half_of_eye([np.zeros((32, 32, 3), np.uint8)], "left")


@pytest.fixture
def side_by_side(tmp_path: Path, draw_video: Draw) -> Path:
    """Both eyes beside each other, each with a black border."""

    def bordered() -> Iterator[np.ndarray]:
        for seed in range(6):
            yield np.concatenate([np.pad(eye, ((16, 16), (10, 10), (0, 0))) for eye in eyes(seed)], axis=1)

    frames = list(bordered())
    return draw_video(tmp_path / "op.mp4", 6, size=(128, 288), draw=lambda number, *_: frames[number])


def test_the_picture_is_found_within_the_half(tmp_path: Path, side_by_side: Path) -> None:
    (clip,) = open_clips([side_by_side])
    for eye, left in (("left", 10), ("right", 154)):
        area = eye_area(clip, eye)
        assert abs(area.left - left) <= 3
        assert abs(area.top - 16) <= 3
        assert abs(area.width_px - 124) <= 6
        assert abs(area.height_px - 96) <= 6
        told = area_of(clip, Options(tmp_path, stereo=eye))
        assert (told.top, told.left, told.width_px) == (area.top, area.left, area.width_px)
    whole = eye_area(clip, "right", whole=True)
    assert (whole.top, whole.left, whole.height_px, whole.width_px) == (0, 144, 128, 144)


def test_an_eye_and_a_crop_exclude_each_other(tmp_path: Path, side_by_side: Path) -> None:
    (clip,) = open_clips([side_by_side])
    with pytest.raises(InputError, match="--stereo left and --crop exclude each other"):
        area_of(clip, Options(tmp_path, stereo="left", crop=(0, 0, 10, 10)))
