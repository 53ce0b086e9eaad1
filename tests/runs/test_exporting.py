from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cuemask.cli import main
from cuemask.evaluation import evaluate_folders
from cuemask.media.masks import read_mask
from cuemask.runs.models import open_model

# Exact agreement is promised for float32; torch's bfloat16, the default where the processor has it, rounds more.
FLOAT32 = ("--set", "training.precision=float32", "--set", "training.steps=30")


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


DECIDED = ("--set", "training.steps=40")  # after 4 steps probabilities lie about the threshold of one half


@pytest.fixture(scope="module")
def run(phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny trained run beside its exported model."""
    folder = tmp_path_factory.mktemp("trained")
    from .conftest import SETTINGS

    quick = [flag for setting in SETTINGS for flag in ("--set", setting)]
    done = cuemask("train", phantom.frames, "--out", folder / "run", "--quiet", *quick, *FLOAT32, *DECIDED)
    assert done.exit_code == 0, done.output
    done = cuemask("export", "onnx", folder / "run", "--out", folder / "model.onnx")
    assert done.exit_code == 0, done.output
    assert "largest difference to torch" in done.output
    assert "opset" in done.output
    assert str(folder / "model.onnx") in done.output
    return folder


def mean_iou(one: Path, other: Path) -> float:
    return evaluate_folders(one, other).iou_mean


WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from cuemask.cli import main; main()"


@pytest.mark.parametrize("command", ["segment", "train", "predict", "export"])
def test_what_needs_torch_says_how_to_get_it(phantom, run, tmp_path, command):
    model = {"predict": [run / "run"], "export": ["onnx", run / "run"]}.get(command, [])
    inputs = [] if command == "export" else [phantom.video]
    arguments = [command, *model, *inputs, "--out", tmp_path / "m.onnx"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments], timeout=100, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].strip() == "Run: pip install 'cuemask[train]'"
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.slow
def test_an_environment_with_the_runtime_extra_alone_predicts_and_goes_live(phantom, run, tmp_path):
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True, timeout=100)
    root = Path(__file__).parents[2]
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{root}[runtime]"], check=True, timeout=600)
    command = [python, "-m", "cuemask", "predict", run / "model.onnx", phantom.frames, "--out", tmp_path / "out"]
    subprocess.run(command, check=True, timeout=100)
    cuemask("predict", run / "model.onnx", phantom.frames, "--out", tmp_path / "here", "--quiet")
    alone, here = (tmp_path / name / "frames" / "masks" for name in ("out", "here"))
    assert mean_iou(alone, here) == 1
    live = ["live", phantom.video, "--model", run / "model.onnx", "--port", "0", "--figures", tmp_path / "live.json"]
    subprocess.run([python, "-m", "cuemask", *live], check=True, timeout=100)
    assert json.loads((tmp_path / "live.json").read_text())["frames_in"] == 10
    absent = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is not None)"
    subprocess.run([python, "-c", absent], check=True, timeout=100)


def test_a_model_of_ours_is_replaced_and_no_other_file(run, tmp_path):
    file = tmp_path / "m.onnx"
    file.write_bytes(b"somebody's")
    done = cuemask("export", "onnx", run / "run", "--out", file)
    assert done.exit_code == 2
    assert "m.onnx: exists" in done.stderr
    assert file.read_bytes() == b"somebody's"
    shutil.copy(run / "model.onnx", file)
    assert cuemask("export", "onnx", run / "run", "--out", file).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_masks_of_the_exported_model_are_those_of_torch(phantom, run, tmp_path):
    cuemask("predict", run / "run", phantom.video, "--out", tmp_path / "torch", "--quiet")
    cuemask("predict", run / "model.onnx", phantom.video, "--out", tmp_path / "onnx", "--quiet", "--save-probability")
    torch_masks, onnx_masks = (tmp_path / name / "clip" / "masks" for name in ("torch", "onnx"))
    assert any(read_mask(path).any() for path in torch_masks.iterdir())
    assert mean_iou(onnx_masks, torch_masks) >= 0.999
    for name in ("overlay.mp4", "sheet.png", "probability"):
        assert (tmp_path / "onnx" / "clip" / name).exists()
    record = json.loads((tmp_path / "onnx" / "run.json").read_text())
    assert re.fullmatch(r"onnxruntime [0-9.]+ cpu", record["device"])
    assert record["status"] == "complete"
    assert record["recipe"]["network"]["width"] == 4


@pytest.mark.real_frames
@pytest.mark.parametrize("clip", ["endovis17_dataset4/frames", "cholecseg8k_clip/*_endo.png"])
def test_masks_of_real_frames_are_those_of_torch(real_data, run, tmp_path, clip):
    for name, model in (("torch", run / "run"), ("onnx", run / "model.onnx")):
        done = cuemask("predict", model, real_data / clip, "--out", tmp_path / name, "--quiet", "--every", "3")
        assert done.exit_code == 0, done.output
    (one,), (other,) = (list((tmp_path / name).glob("*/masks")) for name in ("torch", "onnx"))
    assert mean_iou(one, other) >= 0.999


@pytest.mark.parametrize("torch", ["untouched", "unimportable"])
def test_predicting_with_an_exported_model_needs_no_torch(phantom, run, tmp_path, torch):
    script = (
        "import sys\n"
        "if sys.argv[1] == 'unimportable': sys.modules['torch'] = None\n"
        "from cuemask.cli import main\n"
        "try: main(sys.argv[2:])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert sys.modules.get('torch') is None"
    )
    arguments = ["predict", run / "model.onnx", phantom.frames, "--out", tmp_path / "out", "--provider", "cpu"]
    subprocess.run([sys.executable, "-c", script, torch, *arguments], check=True, timeout=100)
    assert len(list((tmp_path / "out" / "frames" / "masks").iterdir())) == 10


def test_an_interrupted_prediction_resumes_and_another_model_is_refused(phantom, run, tmp_path):
    out = tmp_path / "out"
    cuemask("predict", run / "model.onnx", phantom.frames, "--out", out, "--quiet")
    first = {p.name: p.read_bytes() for p in (out / "frames" / "masks").iterdir()}
    (out / "frames" / "masks" / "000004.png").unlink()
    record = (out / "run.json").read_text()
    (out / "run.json").write_text(record.replace('"complete"', '"running"'))
    assert cuemask("predict", run / "model.onnx", phantom.frames, "--out", out, "--resume").exit_code == 0
    assert first == {p.name: p.read_bytes() for p in (out / "frames" / "masks").iterdir()}
    refused = cuemask("predict", run / "run", phantom.frames, "--out", out, "--resume")
    assert refused.exit_code == 2
    assert "model_sha256" in refused.stderr


def test_eight_bits_report_how_well_their_masks_agree(phantom, run, tmp_path):
    done = cuemask("export", "onnx", run / "run", "--out", tmp_path / "8.onnx", "--int8", phantom.video)
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.output.splitlines() if "mean IoU" in line]
    assert "10 frames" in line
    said = float(line.split("mean IoU ")[1].split(",")[0])
    for name, model in (("exact", run / "model.onnx"), ("8", tmp_path / "8.onnx")):
        cuemask("predict", model, phantom.video, "--out", tmp_path / name, "--quiet")
    measured = mean_iou(tmp_path / "8" / "clip" / "masks", tmp_path / "exact" / "clip" / "masks")
    assert said == pytest.approx(measured, abs=1e-3)
    assert said > 0.6  # of a network of four steps, unsure of every pixel
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["8.onnx"]


def test_the_recipe_of_the_model_says_where_the_picture_lies(phantom, quick, tmp_path):
    frames = tmp_path / "bordered"
    frames.mkdir()
    import cv2

    for path in sorted(phantom.frames.iterdir()):
        cv2.imwrite(str(frames / path.name), np.pad(cv2.imread(str(path)), ((0, 0), (40, 40), (0, 0))))
    cuemask("segment", frames, "--out", tmp_path / "s", "--quiet", *quick, "--set", "input.area=full")
    cuemask("predict", tmp_path / "s", frames, "--out", tmp_path / "p", "--quiet")
    for path in (tmp_path / "s" / "bordered" / "masks").iterdir():
        assert path.read_bytes() == (tmp_path / "p" / "bordered" / "masks" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "m.onnx", "--int8"), "--int8 needs INPUT"),
        (("--out", "m.onnx", "clip.mp4"), "INPUT is for --int8 only"),
        (("--out", "m.safetensors"), "does not end in .onnx"),
    ],
)
def test_exports_that_cannot_be_meant_are_refused(run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    done = cuemask("export", "onnx", run / "run", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_provider_for_a_model_of_torch_names_the_export(phantom, run, tmp_path):
    done = cuemask("predict", run / "run", phantom.frames, "--out", tmp_path / "o", "--provider", "openvino")
    assert done.exit_code == 2
    assert "cuemask export onnx" in done.stderr
    assert not (tmp_path / "o").exists()


def test_a_device_that_onnx_runtime_lacks_is_named(phantom, run, tmp_path):
    done = cuemask("predict", run / "model.onnx", phantom.frames, "--out", tmp_path / "o", "--device", "cuda")
    assert done.exit_code == 2
    assert done.stderr.startswith("InstallationError provider cuda:")
    assert "has cpu" in done.stderr


def test_the_folder_of_a_clip_stands_for_its_run(run):
    model, file = open_model(run / "run" / "frames", "cpu", "auto")
    assert file == run / "run" / "model.safetensors"
    assert model.recipe == open_model(run / "run", "cpu", "auto")[0].recipe
