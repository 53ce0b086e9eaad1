from __future__ import annotations

import dataclasses
import logging
import os
import re
import resource
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors import safe_open

from cuemask.cli import main
from cuemask.errors import OutputError
from cuemask.learning.backbones import ResNet18, VGG16Relu53
from cuemask.learning.features import Texture, extractor_for
from cuemask.media.clips import open_clips
from cuemask.media.files import output_errors
from cuemask.recipe import load_recipe
from cuemask.runs import cueing, learning, record, space
from cuemask.runs.options import Options

Usage = namedtuple("Usage", "total used free")
full = pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full to write to")

# What a run writes, by the name under which it is written aside, in the order of its stages.
STAGES = [
    ".run.part.json",
    ".work/frames/.rgb.part.npy",
    ".work/frames/.location.part.npy",
    ".work/frames/.names.part.json",
    ".work/frames/.features.part.npy",
    ".work/frames/.anchors.part.npy",
    ".work/.checkpoint.part.pt",
    ".losses.part.png",
    ".model.part.safetensors",
    ".work/frames/.confidence.part.csv",
    "frames/masks/.000004.part.png",
    "frames/probability/.000004.part.png",
    "frames/.overlay.part.mp4",
    "frames/.sheet.part.png",
    "frames/.confidence.part.csv",
]


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def contents(run: Path) -> dict[str, bytes]:
    """Every picture, video and table of a run, by its path."""
    kinds = (".png", ".mp4", ".csv")
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("*")) if p.suffix in kinds}


def weights(run: Path) -> dict[str, np.ndarray]:
    with safe_open(run / "model.safetensors", "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@pytest.fixture(scope="session")
def unbroken(phantom, tmp_path_factory):
    """A whole run, to compare the interrupted ones with."""
    from tests.runs.conftest import SETTINGS

    out = tmp_path_factory.mktemp("unbroken") / "out"
    flags = [flag for setting in SETTINGS for flag in ("--set", setting)]
    assert cuemask("segment", phantom.frames, "--out", out, "--save-probability", *flags).exit_code == 0
    return out


# A full disk, really: the file that a stage writes aside is a link to a device that is always full.


# Every third here, the others where time is no matter.
@full
@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=[pytest.mark.slow] * (k % 3 > 0)) for k, stage in enumerate(STAGES)]
)
def test_a_disk_that_is_full_at_any_write_is_said_and_the_run_resumes_to_the_same_result(
    phantom, quick, out, unbroken, stage
):
    aside = out / stage
    aside.parent.mkdir(parents=True)
    aside.symlink_to("/dev/full")
    command = ["segment", phantom.frames, "--out", out, "--save-probability", *quick]
    broken = cuemask(*command)
    assert broken.exit_code == 2
    assert "no space left" in broken.stderr
    assert "Free some space" in broken.stderr.splitlines()[-1]
    assert "--resume" in broken.stderr.splitlines()[-1]
    assert not aside.is_symlink(), "what was written aside was left behind"
    assert cuemask(*command, "--resume").exit_code == 0
    assert contents(out) == contents(unbroken)
    assert all(np.array_equal(weights(out)[k], w) for k, w in weights(unbroken).items())
    assert not [p for p in out.rglob("*") if p.name.startswith(".")]


@full
def test_a_disk_that_is_full_in_the_midst_of_a_run_is_told_how_much_more_it_takes(phantom, quick, out):
    (out / "frames").mkdir(parents=True)
    (out / "frames" / ".overlay.part.mp4").symlink_to("/dev/full")
    said = cuemask("segment", phantom.frames, "--out", out, *quick).stderr
    assert re.search(r"Free some space, about \d+\.\d MB, then", said)


def test_a_file_larger_than_the_disk_takes_is_said(phantom, quick, out):
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(
        # -B: CPython 3.11 would leave its compiled modules cut off at that size, and the next process fails on them.
        [sys.executable, "-B", "-m", "cuemask", "segment", phantom.frames, "--out", out, *quick],
        preexec_fn=limited,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 2
    assert "rgb.npy: this disk takes no file that large" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EPERM", "EROFS", "EIO"])
def test_what_the_system_says_of_a_write_becomes_an_error_with_a_remedy(tmp_path, number):
    import errno

    code = getattr(errno, number)
    with pytest.raises(OutputError, match=r"a\.png") as error, output_errors(tmp_path / "a.png"):
        raise OSError(code, os.strerror(code))
    assert error.value.remedy.startswith(("Free", "Choose"))


# The need, against what real runs leave


def blocks(folder: Path) -> int:
    return space.occupied(folder)


def largest(monkeypatch, out: Path) -> list[int]:
    """What `out` occupies whenever something is about to be removed from it."""
    seen: list[int] = []

    def before(module, name):
        original = getattr(module, name)

        def remove(*args):
            seen.append(blocks(out))
            original(*args)

        monkeypatch.setattr(module, name, remove)

    before(learning, "remove_kept")
    before(record, "remove_work")
    return seen


@pytest.mark.parametrize("command", ["segment", "train", "anchors"])
def test_the_need_is_at_least_what_a_real_run_takes_and_at_most_twice_it(phantom, quick, out, monkeypatch, command):
    seen = largest(monkeypatch, out)
    # Larger pictures and networks than the other tests have, so that the constant parts count for little.
    sizes = ("input.height_px=192", "input.width_px=256", "network.width=16")
    flags = [*quick, *(flag for size in sizes for flag in ("--set", size))]
    needs: list[space.Need] = []
    monkeypatch.setattr(space, "log", logging.getLogger("unheard"))
    original = space.require_space

    def kept(*args):
        needs.append(original(*args))
        return needs[-1]

    monkeypatch.setattr(cueing if command == "anchors" else learning, "require_space", kept)
    assert cuemask(command, phantom.frames, "--out", out, *flags, "--quiet").exit_code == 0
    assert max(seen) <= needs[0].peak <= 2 * max(seen)
    assert blocks(out) <= needs[0].stays <= 2 * blocks(out)
    assert needs[0].least <= needs[0].peak


def test_kept_pictures_are_known_to_the_byte(phantom, tmp_path):
    recipe = load_recipe("default", ["input.height_px=48", "input.width_px=64"])
    clips = open_clips([phantom.frames])
    options = Options(tmp_path, recipe)
    kept = cueing.kept_cues(clips[0], cueing.area_of(clips[0], options), options)
    assert space._kept(clips, options, 1) == kept.rgb.records.path.stat().st_size - 128  # the header


def test_the_features_are_as_large_as_their_extractors_make_them():
    texture = load_recipe("lesion", ["input.height_px=52", "input.width_px=68"])
    assert space.feature_bytes(texture) == 2 * Texture()(np.zeros((52, 68, 3), np.uint8)).size
    drawn = load_recipe("lesion", ["features.extractor=drawn"])
    assert space.feature_bytes(drawn) == 2 * extractor_for(drawn)(np.zeros((256, 320, 3), np.uint8)).size
    with torch.device("meta"):
        for name, net in (("vgg16", VGG16Relu53()), ("resnet18", ResNet18(layers=3))):
            recipe = load_recipe("paper", [f"features.extractor={name}", "input.height_px=96", "input.width_px=128"])
            assert space.feature_bytes(recipe) == 2 * net(torch.zeros(1, 3, 96, 128)).numel()
    unread = load_recipe("paper", ["losses.foreground_weight=0", "losses.background_weight=0"])
    assert space.feature_bytes(unread) == 2 * extractor_for(unread)(np.zeros((52, 68, 3), np.uint8)).size


def test_what_training_keeps_ends_to_grow_where_its_steps_meet_no_more_frames(phantom):
    options = Options(out=Path("out"))
    (clip,) = open_clips([phantom.video])
    short, long, longer = (
        space._training([dataclasses.replace(clip, frame_count=n)], options, 1) for n in (600, 1200, 20_000)
    )
    assert long == longer == 2 * short


# What is said, and refused


@pytest.fixture
def disk(monkeypatch):
    """Sets how much disk is free."""

    def leave(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10 * free, 9 * free, free))

    return leave


def test_the_need_is_said_before_the_run_and_not_when_quiet(phantom, quick, tmp_path, disk):
    disk(45_000_000_000)
    said = cuemask("segment", phantom.frames, "--out", tmp_path / "a", *quick).stderr.splitlines()[0]
    assert said.startswith("needs about ")
    assert said.endswith("45 GB are free")
    assert cuemask("segment", phantom.frames, "--out", tmp_path / "b", *quick, "--quiet").stderr == ""


def test_a_run_that_is_refused_for_another_reason_says_nothing_of_its_need(phantom, quick, out):
    assert cuemask("anchors", phantom.frames, "--out", out, *quick, "--quiet").exit_code == 0
    for words in (["segment"], ["train"], ["anchors"], ["predict", "drawn"]):
        flags = [] if words[0] == "predict" else quick
        refused = cuemask(*words, phantom.frames, "--out", out, *flags)
        assert refused.exit_code == 2
        assert "holds a run already" in refused.stderr
        assert "needs about" not in refused.stderr


@pytest.mark.parametrize("command", ["segment", "train", "anchors"])
def test_a_run_that_cannot_fit_is_refused_without_a_trace(phantom, quick, out, disk, command):
    disk(100_000)
    refused = cuemask(command, phantom.frames, "--out", out, *quick)
    assert refused.exit_code == 2
    assert "0.1 MB are free" in refused.stderr
    assert "--out" in refused.stderr.splitlines()[-1]
    assert not out.exists()


def long_clip(phantom, frames: int = 20_000, **selection):
    from cuemask.media.frames import Selection

    (clip,) = open_clips([phantom.video], Selection(**selection))
    return dataclasses.replace(clip, frame_count=frames, height_px=1080, width_px=1920)


def need_of(clips):
    return lambda every: space.predict_need(clips, Options(Path("unused")), every=every)


def test_what_is_not_written_needs_no_disk(phantom):
    clips = [long_clip(phantom)]
    needs = [
        space.predict_need(clips, Options(Path("unused"), overlay=overlay, save_probability=probability)).stays
        for overlay, probability in ((False, False), (True, False), (True, True))
    ]
    assert needs[0] < needs[1] < needs[2]


def test_the_remedy_names_the_smallest_every_that_fits(phantom, out, disk):
    clips = [long_clip(phantom, every=2)]
    free = need_of(clips)(1).least // 2
    disk(free)
    with pytest.raises(OutputError) as error:
        space.require_space(need_of(clips), clips, Options(out))
    thinned = int(error.value.remedy.split("--every ")[1].split(";")[0])
    assert thinned % 2 == 0, "the --every that was given counts"
    assert need_of(clips)(thinned // 2).peak <= free < need_of(clips)(thinned // 2 - 1).peak


def test_the_remedy_names_fps_where_fps_was_given(phantom, out, disk):
    clips = [long_clip(phantom, frames_per_second=5.0)]
    disk(need_of(clips)(1).least // 2)
    with pytest.raises(OutputError, match=r"--fps 0\.\d+"):
        space.require_space(need_of(clips), clips, Options(out))


def test_a_run_that_may_just_fit_is_warned_of_and_begun(phantom, out, disk, caplog):
    clips = [long_clip(phantom)]
    disk((need_of(clips)(1).peak + need_of(clips)(1).least) // 2)
    options = Options(out)
    space.tell(space.require_space(need_of(clips), clips, options), options)
    assert "may become full" in caplog.text


def test_a_video_that_does_not_tell_its_length_is_named(phantom, out, disk):
    disk(10**12)
    said: list[str] = []
    clips = [dataclasses.replace(long_clip(phantom), frame_count=None)]
    options = Options(out, say=said.append)
    space.tell(space.require_space(need_of(clips), clips, options), options)
    assert said[0].endswith(f"not counting {phantom.video}, whose number of frames is not known")


def test_what_an_interrupted_run_left_counts_as_free_when_it_is_resumed(phantom, out, disk):
    clips = [long_clip(phantom, frames=100)]
    (out / "clip" / "masks").mkdir(parents=True)
    (out / "clip" / "masks" / "all.png").write_bytes(b"m" * need_of(clips)(1).peak)
    disk(0)
    space.require_space(need_of(clips), clips, Options(out, resume=True))
    with pytest.raises(OutputError):
        space.require_space(need_of(clips), clips, Options(out))


@pytest.mark.parametrize("folder", ["masks", "probability", "color", "contour", "motion", "objectness", "positive"])
def test_the_pictures_of_every_kind_count_as_left_by_the_run(phantom, tmp_path, folder):
    clips = [long_clip(phantom)]
    (tmp_path / "clip" / folder).mkdir(parents=True)
    (tmp_path / "clip" / folder / "a.png").write_bytes(b"m" * 10_000)
    assert space.left_behind(clips, Options(tmp_path)) >= 10_000


def test_other_files_in_the_folder_do_not_count_as_left_by_the_run(phantom, out, disk):
    clips = [long_clip(phantom, frames=100)]
    out.mkdir()
    (out / "the-video-itself.mp4").write_bytes(b"v" * need_of(clips)(1).peak)
    disk(0)
    with pytest.raises(OutputError, match=r"0\.0 MB are free"):
        space.require_space(need_of(clips), clips, Options(out, resume=True))


def test_a_complete_run_is_not_refused_for_want_of_space(phantom, quick, out, disk):
    cuemask("train", phantom.frames, "--out", out, "--quiet", *quick)
    disk(0)
    assert cuemask("train", phantom.frames, "--out", out, "--resume", "--quiet", *quick).exit_code == 0


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0.0 MB"),
        (8_140_000, "8.1 MB"),
        (340 * 10**6, "340 MB"),
        (1_240_000_000, "1.2 GB"),
        (45 * 10**9, "45 GB"),
        (2 * 10**12, "2.0 TB"),
    ],
)
def test_sizes_in_words(count, words):
    assert space.size(count) == words
