"""Masks from the network that has seen drawn scenes only, without a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.cues.shape import HEIGHT_PX, RECORD, WIDTH_PX
from cuemask.errors import CuemaskError
from cuemask.inference.drawn import RECIPE, DrawnModel
from cuemask.inference.prediction import Predictor
from cuemask.phantom.school import draw_scene
from cuemask.runs.models import open_model
from cuemask.runs.options import Options
from cuemask.runs.predicting import predict


@pytest.fixture
def frames(tmp_path):
    """Three drawn scenes that no lesson holds, with their masks."""
    folder = tmp_path / "clip"
    folder.mkdir()
    scenes = [draw_scene(2_000_000 + seed, 240, 320) for seed in range(3)]
    for number, scene in enumerate(scenes):
        cv2.imwrite(str(folder / f"{number}.png"), scene.rgb[..., ::-1])
    return folder


def test_the_word_drawn_masks_frames_without_a_run(frames, tmp_path):
    out = predict(Path("drawn"), [frames], Options(tmp_path / "out"))
    masks = sorted((out / "clip" / "masks").iterdir())
    assert [path.name for path in masks] == ["0.png", "1.png", "2.png"]
    assert all(set(np.unique(cv2.imread(str(path), 0))) <= {0, 255} for path in masks)
    told = json.loads((out / "run.json").read_text())
    assert told["recipe"]["name"] == "drawn"
    assert told["model_sha256"] == json.loads(RECORD.read_text())["sha256"]
    assert (out / "clip" / "overlay.mp4").is_file()


def test_no_torch_is_loaded_for_it(frames, tmp_path):
    code = (
        "import sys; from cuemask.cli import main; "
        f"main(['predict', 'drawn', {str(frames)!r}, '--out', {str(tmp_path / 'out')!r}], standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)


def test_a_run_of_that_name_goes_before_the_word(tmp_path, monkeypatch):
    (tmp_path / "drawn").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CuemaskError, match="no trained model there"):
        open_model(Path("drawn"), "cpu", "auto")


def test_a_provider_is_refused_with_what_to_do():
    with pytest.raises(CuemaskError, match="OpenCV runs this one"):
        open_model(Path("drawn"), "cpu", "openvino")


def test_the_drawn_model_is_a_predictor_at_its_own_size():
    model = DrawnModel()
    assert isinstance(model, Predictor)
    assert (RECIPE.input.height_px, RECIPE.input.width_px) == (HEIGHT_PX, WIDTH_PX)
    p = model.working_probability(np.stack([draw_scene(7, HEIGHT_PX, WIDTH_PX).rgb] * 2))
    assert p.shape == (2, HEIGHT_PX, WIDTH_PX)
    assert p.dtype == np.float32
    assert np.array_equal(p[0], p[1])
