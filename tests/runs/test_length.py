"""What a run holds must not depend on how long the video is."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pytest

from cuemask.cues.clip import keep_clip
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip, open_clips
from cuemask.media.frames import Frame
from cuemask.recipe import Recipe, load_recipe
from cuemask.runs.cueing import sheet_indices
from cuemask.runs.options import Options
from cuemask.runs.predicting import write_masks

RECIPE = load_recipe("default", ["input.height_px=32", "input.width_px=40"])
FEW = 40  # frames, whatever the pipeline's depth: the longer of the two videos has ten times as many


@dataclass
class Alive:
    """Counts pictures that somebody holds."""

    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, rgb: np.ndarray) -> np.ndarray:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        weakref.finalize(rgb, self._gone)
        return rgb

    def _gone(self) -> None:
        with self.lock:
            self.now -= 1


class Looped(Clip):
    """A clip as long as wanted, whose frames are counted while they live."""

    alive: Alive

    def frames(self) -> Iterator[Frame]:  # type: ignore[override]
        noise = np.random.default_rng(0)
        assert self.frame_count is not None
        for number in range(self.frame_count):
            rgb = noise.integers(0, 256, (self.height_px, self.width_px, 3), np.uint8)
            yield Frame(f"{number:06d}", number, number / 25, self.alive.watch(rgb))


@dataclass
class Halves:
    """A model that takes the left half for an instrument."""

    recipe: Recipe = RECIPE
    device: str = "none"
    one_core: bool = False

    def working_probability(self, pictures: np.ndarray) -> np.ndarray:
        p = np.zeros(pictures.shape[:3], np.float32)
        p[:, :, : p.shape[2] // 2] = 1
        return p


def looped(phantom, length: int) -> Looped:
    (clip,) = open_clips([phantom.video])
    values = {f.name: getattr(clip, f.name) for f in fields(clip)}
    values.update(frame_count=length, height_px=48, width_px=64)
    made = Looped(**values)
    object.__setattr__(made, "alive", Alive())
    return made


def whole(clip: Clip) -> PictureArea:
    return PictureArea(0, 0, clip.height_px, clip.width_px, None)


@pytest.mark.parametrize("length", [30, 400])
def test_prediction_holds_few_frames_however_long_the_video(phantom, tmp_path, length):
    clip = looped(phantom, length)
    write_masks(Halves(), clip, whole(clip), Options(tmp_path, RECIPE), None)
    assert len(list((tmp_path / clip.name / "masks").iterdir())) == length
    assert 0 < clip.alive.most <= FEW


@pytest.mark.parametrize("length", [30, 400])
def test_the_cues_hold_few_frames_however_long_the_video(phantom, tmp_path, length):
    clip = looped(phantom, length)
    recipe = load_recipe("default", ["input.height_px=32", "input.width_px=40", "cues.use=color,location"])
    kept = keep_clip(clip, whole(clip), recipe, tmp_path, 0, clip.frames())
    assert len(kept.names) == len(kept.rgb) == length
    assert 0 < clip.alive.most <= FEW


def test_one_that_keeps_all_frames_is_found_out(phantom):
    clip = looped(phantom, 400)
    held = list(clip.frames())
    assert clip.alive.most == len(held) > FEW


@pytest.mark.parametrize("length", [1, 5, 20_000])
def test_a_sheet_shows_few_frames_however_long_the_video(length):
    assert len(sheet_indices(length)) <= 4


def test_every_frame_of_a_video_is_decoded_no_more_than_each_pass_needs(phantom, quick, tmp_path, monkeypatch):
    """Finding the picture's area and frames outside the body, counting and the sheets are no passes of their own."""
    from click.testing import CliRunner

    from cuemask.cli import main
    from cuemask.media import video
    from cuemask.phantom import PhantomScene, write_phantom

    decoded: list[int] = []
    original = video.upright_rgb
    monkeypatch.setattr(video, "upright_rgb", lambda *args: (decoded.append(1), original(*args))[1])
    source: Path = write_phantom(tmp_path / "v", 60, PhantomScene(seed=1, height_px=96, width_px=128)).video
    flags = ["--out", str(tmp_path / "out"), "--quiet", "--start", "0.2", *quick]
    assert CliRunner().invoke(main, ["segment", str(source), *flags]).exit_code == 0
    passes, samples = 2 * 55, 1 + 16 + 16 + 24  # opening; the area, which may step through its samples; outside
    assert len(decoded) <= passes + samples
