from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from cuemask.media.clips import open_clips
from cuemask.media.fields import is_combed, upper_field

Draw = Callable[..., Path]


def block(at: int, height: int = 480, width: int = 640) -> np.ndarray:
    """A smooth background with a bright block, whose left edge is in column 5 `at`."""
    rgb = np.repeat(np.linspace(40, 90, width).astype(np.uint8)[None, :, None], height, axis=0).repeat(3, axis=2)
    rgb[100:380, 5 * at : 5 * at + 200] = 200
    return rgb


def woven(at: int, step: int = 12) -> np.ndarray:
    """Two fields: the lower one shows the block 5 `step` columns on."""
    rgb = block(at)
    rgb[1::2] = block(at + step)[1::2]
    return rgb


def test_teeth_across_rows_are_seen_and_nothing_else_is() -> None:
    assert is_combed(woven(30))
    assert not is_combed(block(30))
    assert not is_combed(np.ascontiguousarray(woven(30).swapaxes(0, 1)))
    assert not is_combed(np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8))
    assert not is_combed(np.zeros((2, 2, 3), np.uint8))
    assert not is_combed(woven(30)[:300])


@pytest.mark.parametrize("height", [3, 4, 7, 96])
def test_the_upper_field_is_the_picture_of_one_instant(height: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (height, 8, 3), np.uint8)
    field = upper_field(rgb)
    assert np.array_equal(field[::2], rgb[::2])
    middle = (rgb[0].astype(int) + rgb[2]) / 2
    assert np.abs(field[1] - middle).max() <= 0.5
    if height % 2 == 0:
        assert np.array_equal(field[-1], rgb[-2])
    changed = rgb.copy()
    changed[1::2] = 0
    assert np.array_equal(upper_field(changed), field)


@pytest.mark.parametrize("flagged", [True, False])
def test_interlaced_video_comes_without_teeth_whether_it_is_marked_or_seen(
    tmp_path: Path, draw_video: Draw, flagged: bool
) -> None:
    def draw(number: int, height: int, width: int) -> np.ndarray:
        return woven(10 + 3 * number, 24)

    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"} if flagged else {"qp": "4"}
    path = draw_video(tmp_path / "op.mp4", 8, size=(480, 640), draw=draw, **options)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame == flagged
    for number, frame in enumerate(open_clips([path])[0].frames()):
        expected = upper_field(block(10 + 3 * number))
        assert np.abs(frame.rgb.astype(int) - expected).mean() < 3
        assert not is_combed(frame.rgb)


def test_progressive_video_is_left_as_it_is(tmp_path: Path, draw_video: Draw) -> None:
    def draw(number: int, height: int, width: int) -> np.ndarray:
        rgb = block(10 + 3 * number)
        rgb[40] = 255  # a line one row high, as menus have
        return rgb

    path = draw_video(tmp_path / "op.mp4", 4, size=(480, 640), draw=draw, qp="4")
    for frame in open_clips([path])[0].frames():
        assert frame.rgb[40].mean() > frame.rgb[39].mean() + 80
