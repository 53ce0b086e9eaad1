"""A clip that is longer than what may be kept: its results, its scratch disk, its way on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.runs.conftest import SETTINGS
from tests.runs.test_damage import cuemask, results

from cuemask.cues import clip as cues_clip
from cuemask.cues.clip import keep_clip, keep_pictures, kept_before
from cuemask.errors import OutputError, PictureError
from cuemask.media.area import PictureArea
from cuemask.media.clips import open_clips
from cuemask.recipe import load_recipe
from cuemask.runs import cueing, learning, space
from cuemask.runs.options import Options

STEP = ("training.steps=1", "training.pairs_per_step=1", "training.pasted=0")


@pytest.fixture
def short(monkeypatch):
    """Ten frames are a long clip, of which a look over it reads few."""
    monkeypatch.setattr(space, "FEW", 0)
    monkeypatch.setattr(space, "BESIDE", 6)
    monkeypatch.setattr(cues_clip, "_LOOKED_OVER", 3)
    monkeypatch.setattr(cueing, "SHEET_ROWS", 2)


def command(phantom, *more: object, settings: tuple[str, ...] = ()) -> list[object]:
    flags = [flag for one in (*SETTINGS, *STEP, *settings) for flag in ("--set", one)]
    return ["segment", phantom.frames, "--no-overlay", "--quiet", *flags, *more]


def pictures_of(out: Path) -> int:
    """Frames of which pictures lie in the work folder."""
    return len(np.load(out / ".work" / "frames" / "frames.npy"))


def stopped(run: list[object], out: Path, monkeypatch) -> None:
    """The run until its network is trained."""
    with monkeypatch.context() as patched:
        patched.setattr(learning, "save_model", lambda *_: (_ for _ in ()).throw(OutputError("stopped", "go on")))
        assert cuemask(*run, "--out", out).exit_code == 2


LABELS = ("anchors.labels=carried", "training.label_steps=1")


@pytest.mark.parametrize(
    ("settings", "labelled"),
    [
        (("cues.use=color,contour,location",), 0),
        (("cues.use=color,motion,location",), 0),
        (("cues.use=color,location", "training.pairing=random"), 0),
        (("cues.use=color,location", *LABELS), 2),
    ],
)
def test_a_long_clip_gives_what_it_gives_where_all_is_kept(phantom, tmp_path, monkeypatch, short, settings, labelled):
    labels = tmp_path / "labels"
    labels.mkdir()
    for mask in sorted(phantom.masks.glob("*.png"))[1::7][:labelled]:
        shutil.copy(mask, labels)
    run = command(phantom, *(("--labels", labels) if labelled else ()), settings=settings)
    assert cuemask(*run, "--out", tmp_path / "long").exit_code == 0
    monkeypatch.setattr(space, "FEW", 100)
    assert cuemask(*run, "--out", tmp_path / "kept").exit_code == 0
    assert results(tmp_path / "long") == results(tmp_path / "kept")


def test_only_what_is_read_is_kept_of_a_long_clip(phantom, out, monkeypatch, short):
    run = command(phantom, settings=("cues.use=color,location",))
    stopped(run, out, monkeypatch)
    assert 2 <= pictures_of(out) <= 2 + 3 + 2 < 10
    clips = open_clips([phantom.frames])
    recipe = load_recipe("default", [*SETTINGS, *STEP])
    scratch = (out / ".work" / "frames" / "rgb.npy").stat().st_size
    assert scratch <= space._kept(clips, Options(out, recipe), 1) + 128  # the header
    assert scratch < 10 * 3 * 48 * 64


@pytest.mark.parametrize("gone", ["rgb.npy", "frames.npy", "pictures.seal", "cues.seal"])
def test_an_interrupted_long_clip_goes_on(phantom, tmp_path, monkeypatch, short, gone):
    run = command(phantom, settings=("cues.use=color,location",))
    stopped(run, tmp_path / "out", monkeypatch)
    (tmp_path / "out" / ".work" / "frames" / gone).unlink()
    assert cuemask(*run, "--out", tmp_path / "out", "--resume").exit_code == 0
    assert cuemask(*run, "--out", tmp_path / "unbroken").exit_code == 0
    assert results(tmp_path / "out") == results(tmp_path / "unbroken")


@pytest.mark.parametrize(("most", "kept_frames"), [(None, 10), (10, 10), (9, 0), (0, 0)])
def test_pictures_are_kept_of_as_many_frames_as_may_be(phantom, tmp_path, most, kept_frames):
    (clip,) = open_clips([phantom.frames])
    area, recipe = PictureArea(0, 0, clip.height_px, clip.width_px, None), load_recipe("default", SETTINGS)
    kept = keep_clip(clip, area, recipe, tmp_path, 0, clip.frames(), most=most)
    assert len(kept.names) == 10
    assert kept.rgb.frames.tolist() == list(range(kept_frames))
    again = kept_before(tmp_path, clip, area, recipe, 0, most)
    assert again is not None
    assert len(again.rgb) == kept_frames
    some = keep_pictures(kept, recipe, tmp_path, clip.frames(), {2, 5})
    assert set(some.rgb.frames.tolist()) >= {2, 5}
    (tmp_path / "whole").mkdir()
    all_of_it = keep_clip(clip, area, recipe, tmp_path / "whole", 0, clip.frames())
    for index in (2, 5):
        assert np.array_equal(some.rgb[index], all_of_it.rgb[index])
    assert np.array_equal(kept.location, all_of_it.location)


def test_a_clip_that_lost_frames_meanwhile_is_told(phantom, tmp_path):
    (clip,) = open_clips([phantom.frames])
    area, recipe = PictureArea(0, 0, clip.height_px, clip.width_px, None), load_recipe("default", SETTINGS)
    kept = keep_clip(clip, area, recipe, tmp_path, 0, clip.frames(), most=0)
    with pytest.raises(PictureError, match="frame 000009 is not there any more"):
        keep_pictures(kept, recipe, tmp_path, list(clip.frames())[:5], {2, 9})
