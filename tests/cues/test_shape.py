"""The shape cue: what it gives at any size, that it holds on drawn scenes, and that it is what torch computes."""

from __future__ import annotations

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
import torch

from cuemask.cues.onnx_bytes import model, node
from cuemask.cues.shape import HEIGHT_PX, RECORD, WEIGHTS, WIDTH_PX, entering, shape_cue, shape_model, shape_weights
from cuemask.learning.unet import UNet
from cuemask.phantom.school import DrawnScene, draw_scene

FIRST_SEED = 2_000_000  # neither learnt from nor held out in learning


@pytest.fixture(scope="module")
def scenes() -> list[DrawnScene]:
    return [draw_scene(FIRST_SEED + n, HEIGHT_PX, WIDTH_PX) for n in range(28)]


@pytest.mark.parametrize("size", [(33, 47), (160, 224), (480, 854), (1080, 1920)])
def test_any_size_gives_a_probability_of_that_size(size: tuple[int, int]):
    p = shape_cue(np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8))
    assert p.shape == size
    assert p.dtype == np.float32
    assert 0 <= p.min() <= p.max() <= 1


def test_black_pictures_hold_no_instrument():
    assert shape_cue(np.zeros((120, 160, 3), np.uint8)).max() < 0.5


def test_it_is_zero_outside_the_picture_and_unchanged_inside(scenes: list[DrawnScene]):
    scene = next(scene for scene in scenes if scene.mask.any())
    inside = np.zeros(scene.mask.shape, bool)
    inside[20:100, 30:150] = True
    p = shape_cue(scene.rgb, inside)
    assert not p[~inside].any()
    assert np.array_equal(p[inside], shape_cue(scene.rgb)[inside])


def test_it_finds_drawn_instruments(scenes: list[DrawnScene]):
    overlaps = []
    for scene in scenes:
        if scene.mask.mean() > 0.01:
            found = shape_cue(scene.rgb) > 0.5
            overlaps.append((found & scene.mask).sum() / (found | scene.mask).sum())
    assert len(overlaps) >= 12
    assert np.mean(overlaps) > 0.3


def test_it_stays_empty_where_nothing_is_drawn(scenes: list[DrawnScene]):
    empty = [scene for scene in scenes if not scene.mask.any()]
    assert len(empty) >= 3
    assert np.mean([(shape_cue(scene.rgb) > 0.5).mean() for scene in empty]) < 0.04


def test_it_is_the_same_from_several_threads(scenes: list[DrawnScene]):
    expected = [shape_cue(scene.rgb) for scene in scenes[:8]]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            for p, q in zip(pool.map(shape_cue, [scene.rgb for scene in scenes[:8]]), expected, strict=True):
                assert np.array_equal(p, q)


def test_it_is_what_torch_computes(scenes: list[DrawnScene]):
    net = UNet(16, 4, "batch", 2)
    net.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in shape_weights().items()})
    net.eval()
    rgb = scenes[0].rgb
    with torch.inference_mode():
        expected = torch.sigmoid(net(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255))[0, 0].numpy()
    assert np.abs(shape_cue(rgb) - expected).max() < 1e-3


def test_the_model_is_valid_onnx():
    onnx.checker.check_model(shape_model(shape_weights()), full_check=True)


def test_a_written_model_reads_back_as_it_was():
    weights = {"w": np.arange(200, dtype=np.float32).reshape(2, 100)}
    written = model([node("MatMul", ["x", "w"], "y")], weights, {"x": (3, 2)}, {"y": (3, 100)})
    read = onnx.load_from_string(written)
    assert np.array_equal(onnx.numpy_helper.to_array(read.graph.initializer[0]), weights["w"])
    assert [one.op_type for one in read.graph.node] == ["MatMul"]
    assert [size.dim_value for size in read.graph.output[0].type.tensor_type.shape.dim] == [3, 100]


def test_the_shipped_weights_are_those_of_the_record_and_small():
    data = WEIGHTS.read_bytes()
    record = json.loads(RECORD.read_text())
    assert hashlib.sha256(data).hexdigest() == record["sha256"]
    assert len(data) < 4_000_000
    assert record["lessons"]["picture_px"] == [HEIGHT_PX, WIDTH_PX]


def test_the_network_is_read_once_a_thread(monkeypatch: pytest.MonkeyPatch):
    shape_cue(np.zeros((40, 40, 3), np.uint8))
    monkeypatch.setattr(sys.modules["cuemask.cues.shape"], "shape_weights", lambda: pytest.fail("read again"))
    shape_cue(np.zeros((40, 40, 3), np.uint8))


# What comes in from the rim


def test_what_comes_in_from_the_rim_is_kept_whole_and_a_hole_in_the_middle_is_not():
    seen = np.zeros((100, 140), np.float32)
    seen[40:50, 0:60] = 0.15  # a faint shaft, and a sure tip on it
    seen[38:52, 60:70] = 0.9
    seen[70:80, 90:100] = 1.0
    found = entering(seen)
    assert np.array_equal(found[:60], seen[:60])
    assert not found[60:].any()


def test_the_rim_is_that_of_the_endoscopes_picture():
    inside = np.zeros((100, 140), bool)
    inside[10:90, 20:120] = True
    seen = np.zeros((100, 140), np.float32)
    seen[40:50, 21:60] = 0.8
    assert np.array_equal(entering(seen, inside), seen)
    assert not entering(seen).any()


def test_nothing_comes_in_where_nothing_is():
    assert not entering(np.full((40, 50), 0.05, np.float32)).any()
