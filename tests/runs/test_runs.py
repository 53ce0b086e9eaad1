from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors import safe_open

from cuemask.cli import main
from cuemask.media.masks import read_mask


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*arguments: object) -> str:
    """What a command that cannot work says; it has to exit 2 with a remedy on a line of its own."""
    result = cuemask(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert len(result.stderr.strip().splitlines()) >= 2
    return result.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


def weights(run: Path) -> dict[str, np.ndarray]:
    with safe_open(run / "model.safetensors", "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_segment_writes_everything_that_it_promises(phantom, quick, out):
    result = cuemask("segment", phantom.video, phantom.frames, "--out", out, "--save-probability", *quick)
    assert result.exit_code == 0, result.output
    for clip in ("clip", "frames"):
        names = [f"{k:06d}.png" for k in range(10)]
        assert sorted(p.name for p in (out / clip / "masks").iterdir()) == names
        assert sorted(p.name for p in (out / clip / "probability").iterdir()) == names
        mask = read_mask(out / clip / "masks" / "000003.png")
        assert mask.shape == (96, 128)
        assert set(np.unique(mask)) <= {0, 255}
        assert cv2.imread(str(out / clip / "sheet.png")).shape[1] < 800
        assert cv2.imread(str(out / clip / "cues.png")).shape[1] > 1000
        assert len((out / clip / "confidence.csv").read_text().splitlines()) == 11
        assert str(out / clip / "overlay.mp4") in result.output
    with av.open(str(out / "clip" / "overlay.mp4")) as video:
        assert video.streams.video[0].average_rate == Fraction(25)
        assert sum(1 for _ in video.decode(video=0)) == 10
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["recipe"]["training"]["steps"] == 4
    assert [len(i["sha256"]) for i in record["inputs"]] == [64, 64]
    assert {"cues", "features", "training", "prediction"} <= set(record["seconds"])
    assert record["losses"][-1]["step"] == 4
    assert cv2.imread(str(out / "losses.png")) is not None
    assert not (out / ".work").exists()


def test_train_then_predict_equals_segment(phantom, quick, tmp_path):
    cuemask("segment", phantom.frames, "--out", tmp_path / "s", "--quiet", *quick)
    cuemask("train", phantom.frames, "--out", tmp_path / "t", "--quiet", *quick)
    cuemask("predict", tmp_path / "t", phantom.frames, "--out", tmp_path / "p", "--quiet")
    assert contents(tmp_path / "s" / "frames" / "masks") == contents(tmp_path / "p" / "frames" / "masks")
    record = json.loads((tmp_path / "p" / "run.json").read_text())
    assert record["recipe"]["network"]["width"] == 4


def test_without_the_overlay_everything_else_is_the_same(phantom, quick, tmp_path):
    for name, flag in (("with", "--overlay"), ("without", "--no-overlay")):
        result = cuemask("segment", phantom.video, "--out", tmp_path / name, flag, *quick)
        assert ("overlay.mp4" in result.output) == (name == "with")
    one, other = (tmp_path / name / "clip" for name in ("with", "without"))
    assert {p.name for p in one.iterdir()} - {p.name for p in other.iterdir()} == {"overlay.mp4"}
    assert contents(one / "masks") == contents(other / "masks")
    assert (one / "sheet.png").read_bytes() == (other / "sheet.png").read_bytes()


def test_anchors_writes_cues_and_anchors_without_torch(phantom, out):
    script = (
        "import sys; from cuemask.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "anchors", phantom.frames, "--out", out, "--quiet"], check=False, timeout=100
    )
    assert done.returncode == 0
    for name in ("color", "contour", "shape", "positive", "negative"):
        assert len(list((out / "frames" / name).iterdir())) == 10
    assert (out / "frames" / "location.png").is_file()
    assert cv2.imread(str(out / "frames" / "cues.png")).shape[1] > 1000


def test_anchors_writes_folders_of_the_cues_that_the_recipe_uses_and_no_others(phantom, quick, out):
    cuemask("anchors", phantom.frames, "--out", out, "--quiet", "--recipe", "paper", *quick)
    folders = {path.name for path in (out / "frames").iterdir() if path.is_dir()}
    assert folders == {"color", "objectness", "positive", "negative"}


def test_evaluate_prints_a_table_and_json(phantom):
    assert "IoU     1.0000 +- 0.0000" in cuemask("evaluate", phantom.masks, phantom.masks).output
    values = json.loads(cuemask("evaluate", phantom.masks, phantom.parts, "--positive", "10,20,30", "--json").output)
    assert values["iou"]["mean"] == pytest.approx(1)


def test_every_n_th_frame_keeps_the_sources_names(phantom, quick, out):
    cuemask("segment", phantom.video, "--out", out, "--every", "4", "--quiet", *quick)
    assert [p.name for p in sorted((out / "clip" / "masks").iterdir())] == ["000000.png", "000004.png", "000008.png"]


def test_a_crop_leaves_the_rest_of_the_frame_empty(phantom, quick, out):
    cuemask("segment", phantom.frames, "--out", out, "--crop", "10,20,80,100", "--quiet", *quick)
    for path in (out / "frames" / "masks").iterdir():
        mask = read_mask(path)
        mask[10:90, 20:120] = 0
        assert not mask.any()


def test_two_runs_with_one_seed_are_equal_and_another_seed_differs(phantom, quick, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        cuemask("train", phantom.frames, "--out", tmp_path / name, "--seed", seed, "--quiet", *quick)
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert not all(np.array_equal(a[k], c[k]) for k in a)


# Wrong inputs


def test_a_missing_video_is_named(out):
    assert "nowhere.mp4" in refused("segment", "nowhere.mp4", "--out", out)
    assert not out.exists()


def test_a_text_file_named_mp4_is_refused(tmp_path, out):
    (tmp_path / "notes.mp4").write_text("not a video")
    assert "notes.mp4" in refused("segment", tmp_path / "notes.mp4", "--out", out)


def test_an_empty_file_and_an_empty_folder_are_refused(tmp_path, out):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    assert "empty" in refused("segment", tmp_path / "empty.mp4", "--out", out)
    assert "folder" in refused("segment", tmp_path / "folder", "--out", out)


def test_a_truncated_video_gives_the_masks_of_the_frames_that_decode(phantom, quick, tmp_path, out):
    data = phantom.video.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * 0.9)])
    assert cuemask("segment", cut, "--out", out, "--quiet", *quick).exit_code == 0
    assert 0 < len(list((out / "cut" / "masks").iterdir())) < 10


def test_a_folder_of_mixed_sizes_is_refused(tmp_path, quick, out):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for k, size in enumerate((64, 64, 80)):
        cv2.imwrite(str(folder / f"{k}.png"), np.full((size, 90, 3), 90 + k, np.uint8))
    text = refused("segment", folder, "--out", out, *quick)
    assert "90x64" in text
    assert "2.png" in text


def test_one_frame_only_names_predict(phantom, tmp_path, quick, out):
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "a.png").write_bytes((phantom.frames / "000000.png").read_bytes())
    assert "cuemask predict" in refused("segment", folder, "--out", out, *quick)
    cuemask("train", phantom.frames, "--out", tmp_path / "run", "--quiet", *quick)
    assert cuemask("predict", tmp_path / "run", folder, "--out", tmp_path / "p", "--quiet").exit_code == 0
    assert (tmp_path / "p" / "one" / "masks" / "a.png").is_file()


@pytest.mark.parametrize("area", ["auto", "full"])
def test_an_all_black_clip_is_refused(tmp_path, quick, out, area):
    folder = tmp_path / "black"
    folder.mkdir()
    for k in range(3):
        cv2.imwrite(str(folder / f"{k}.png"), np.zeros((64, 80, 3), np.uint8))
    assert "black" in refused("segment", folder, "--out", out, *quick, "--set", f"input.area={area}")


def test_an_output_that_cannot_be_a_folder_is_refused(phantom, quick, tmp_path):
    (tmp_path / "file").touch()
    assert "--out" in refused("segment", phantom.frames, "--out", tmp_path / "file" / "run", *quick)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_output_is_refused(phantom, quick, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "may not be written" in refused("segment", phantom.frames, "--out", tmp_path / "locked" / "run", *quick)


def test_an_unknown_recipe_key_suggests_the_nearest(phantom, out):
    assert "training.steps" in refused("segment", phantom.frames, "--out", out, "--set", "training.step=3")
    assert "paper" in refused("segment", phantom.frames, "--out", out, "--recipe", "papre")


def test_features_without_weights_name_the_file_and_texture(phantom, quick, out, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    flags = (*quick, "--set", "features.extractor=vgg16", "--set", "losses.background_weight=1")
    text = refused("segment", phantom.frames, "--out", out, *flags)
    assert "vgg16-397923af.pth" in text
    assert "features.extractor=texture" in text


def _no_network(*_args, **_kwargs):
    raise TimeoutError("no network in tests")


def test_a_crop_that_leaves_the_frame_is_refused(phantom, quick, out):
    assert "crop" in refused("segment", phantom.frames, "--out", out, "--crop", "0,0,500,500", *quick).lower()


def test_cuda_where_there_is_none_is_refused(phantom, quick, out):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert "--device cpu" in refused("segment", phantom.frames, "--out", out, "--device", "cuda", *quick)


def test_a_full_disk_is_said_and_the_run_resumes(phantom, quick, out, monkeypatch):
    import errno

    from cuemask.runs import predicting

    original = predicting.write_mask
    written = []

    def full(path, mask):
        if len(written) == 3:
            raise learning_output_error(path, errno.ENOSPC)
        written.append(path)
        original(path, mask)

    monkeypatch.setattr(predicting, "write_mask", full)
    assert "--resume" in refused("segment", phantom.frames, "--out", out, *quick)
    monkeypatch.setattr(predicting, "write_mask", original)
    assert cuemask("segment", phantom.frames, "--out", out, "--resume", "--quiet", *quick).exit_code == 0
    assert len(list((out / "frames" / "masks").iterdir())) == 10


def learning_output_error(path: Path, number: int) -> Exception:
    from cuemask.media.files import output_errors

    try:
        with output_errors(path):
            raise OSError(number, os.strerror(number))
    except Exception as error:
        return error


# Runs that go on


def test_a_second_run_into_one_folder_is_refused_without_resume(phantom, quick, out):
    cuemask("train", phantom.frames, "--out", out, "--quiet", *quick)
    before = contents(out)
    assert "--resume" in refused("train", phantom.frames, "--out", out, *quick)
    assert contents(out) == before


def test_a_complete_run_resumed_does_nothing_twice(phantom, quick, out):
    cuemask("segment", phantom.frames, "--out", out, "--quiet", *quick)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert cuemask("segment", phantom.frames, "--out", out, "--resume", "--quiet", *quick).exit_code == 0
    assert before == {p: p.stat().st_mtime_ns for p in out.rglob("*")}


def test_a_run_that_failed_before_it_made_anything_may_be_started_anew(phantom, tmp_path, quick, out):
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "a.png").write_bytes((phantom.frames / "000000.png").read_bytes())
    refused("segment", folder, "--out", out, *quick)
    (folder / "b.png").write_bytes((phantom.frames / "000001.png").read_bytes())
    assert cuemask("segment", folder, "--out", out, "--quiet", *quick).exit_code == 0


@pytest.mark.parametrize(("flags", "named"), [(("--seed", "4"), "seed"), (("--set", "training.steps=5"), "steps")])
def test_resuming_with_other_options_says_what_differs(phantom, quick, out, flags, named):
    cuemask("train", phantom.frames, "--out", out, "--quiet", *quick)
    assert named in refused("train", phantom.frames, "--out", out, "--resume", *quick, *flags)


def killed_when(condition, *arguments: object) -> None:
    """Start a command and kill it with SIGKILL as soon as `condition` holds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cuemask", *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 180
    while not condition():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_kill_9_in_training_then_resume_gives_the_result_of_an_unbroken_run(phantom, quick, tmp_path):
    flags = [*quick, "--set", "training.steps=100", "--set", "training.checkpoint_seconds=0.0", "--quiet"]
    cuemask("segment", phantom.frames, "--out", tmp_path / "whole", *flags)
    cut = tmp_path / "cut"
    killed_when((cut / ".work" / "checkpoint.pt").is_file, "segment", phantom.frames, "--out", cut, *flags)
    assert not (cut / "model.safetensors").exists()
    assert cuemask("segment", phantom.frames, "--out", cut, "--resume", *flags).exit_code == 0
    whole, resumed = weights(tmp_path / "whole"), weights(cut)
    assert all(np.array_equal(whole[k], resumed[k]) for k in whole)
    assert contents(tmp_path / "whole" / "frames" / "masks") == contents(cut / "frames" / "masks")


@pytest.mark.parametrize(
    "begun",
    [
        ".rgb.part.npy",
        pytest.param("names.json", marks=pytest.mark.slow),
        pytest.param(".features.part.npy", marks=pytest.mark.slow),
    ],
)
def test_kill_9_before_training_then_resume_gives_the_result_of_an_unbroken_run(phantom, quick, tmp_path, begun):
    cuemask("segment", phantom.frames, "--out", tmp_path / "whole", "--quiet", *quick)
    cut = tmp_path / "cut"
    killed_when((cut / ".work" / "frames" / begun).exists, "segment", phantom.frames, "--out", cut, "--quiet", *quick)
    assert not (cut / "model.safetensors").exists()
    assert cuemask("segment", phantom.frames, "--out", cut, "--resume", "--quiet", *quick).exit_code == 0
    assert contents(tmp_path / "whole" / "frames" / "masks") == contents(cut / "frames" / "masks")
    assert not (cut / ".work").exists()


def test_kill_9_in_prediction_then_resume_gives_the_result_of_an_unbroken_run(phantom, quick, tmp_path):
    # Enlarged frames, so that prediction takes long enough to be killed.
    folder = tmp_path / "large"
    folder.mkdir()
    for path in phantom.frames.iterdir():
        for copy in "ab":
            picture = cv2.resize(cv2.imread(str(path)), (1280, 960))
            cv2.imwrite(str(folder / f"{copy}{path.name}"), picture)
    cuemask("segment", folder, "--out", tmp_path / "whole", "--quiet", *quick)
    cut = tmp_path / "cut"
    masks, log = cut / "large" / "masks", cut / ".work" / "large" / "confidence.csv"

    def told() -> list[str]:
        """Frames of which the table has a whole line; a mask without one is made again."""
        return [line.split(",")[0] for line in log.read_text().split("\n")[1:-1]] if log.is_file() else []

    killed_when(lambda: len(told()) >= 3, "segment", folder, "--out", cut, "--quiet", *quick)
    assert not (cut / "large" / "overlay.mp4").exists()
    kept = {masks / f"{name}.png": (masks / f"{name}.png").stat().st_mtime_ns for name in told()}
    assert 3 <= len(kept) < 20
    assert cuemask("segment", folder, "--out", cut, "--resume", "--quiet", *quick).exit_code == 0
    assert all(p.stat().st_mtime_ns == time_ns for p, time_ns in kept.items())
    assert contents(tmp_path / "whole" / "large" / "masks") == {
        name: data for name, data in contents(masks).items() if not name.startswith(".")
    }
    assert (tmp_path / "whole" / "large" / "confidence.csv").read_bytes() == (
        cut / "large" / "confidence.csv"
    ).read_bytes()
    with av.open(str(cut / "large" / "overlay.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 20
