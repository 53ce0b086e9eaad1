from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from cuemask import __version__
from cuemask.cues.clip import working_picture
from cuemask.errors import InstallationError, OutputError, WeightsError
from cuemask.inference import export
from cuemask.inference.export import OPSET, resized, write_onnx
from cuemask.inference.model import Model
from cuemask.inference.passing import RESIZING
from cuemask.inference.quantization import write_int8
from cuemask.inference.runtime import _chosen, load_onnx
from cuemask.learning.unet import network
from cuemask.media.area import PictureArea
from cuemask.recipe import Recipe, load_recipe

SMALL = ["input.height_px=48", "input.width_px=64", "training.precision=float32"]
TINY = load_recipe("default", [*SMALL, "network.start=chance", "network.width=4", "network.depth=2"])
SIZES = [
    (48, 64),
    (96, 128),
    (100, 130),
    (192, 256),
    (30, 40),
    (48, 65),
    (30, 200),
    (200, 30),
    (271, 480),
    (300, 480),
    (512, 640),
]


def trained(recipe: Recipe = TINY, seed: int = 0) -> Model:
    """A network that has seen something: its norms hold other statistics than 0 and 1."""
    torch.manual_seed(seed)
    net = network(recipe.network)
    with torch.no_grad():
        for _ in range(3):
            net(torch.rand(2, 3, 48, 64))
    return Model(net.eval(), recipe, "cpu")


def noise(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    assert write_onnx(trained(), path) < 1e-4
    return path


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_resizing_in_the_graph_is_that_of_opencv_to_one_level(height, width):
    rgb = noise(2, height, width)
    area = PictureArea(0, 0, height, width, None)
    expected = np.stack([working_picture(picture, area, TINY) for picture in rgb]).astype(np.float32)
    ours = resized(torch.from_numpy(rgb), 48, 64).permute(0, 2, 3, 1).numpy()
    assert np.abs(ours - expected).max() <= 1
    assert np.abs(ours - expected).mean() < 0.15
    if (height, width) == (48, 64):
        assert np.array_equal(ours, expected)


def test_the_resizing_of_a_half_and_a_third_is_a_mean_over_areas():
    rgb = noise(1, 96, 192)
    means = rgb.reshape(1, 48, 2, 64, 3, 3).mean(axis=(2, 4)).round()
    assert np.abs(resized(torch.from_numpy(rgb), 48, 64).permute(0, 2, 3, 1).numpy() - means).max() <= 1


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_frames_of_any_size_gives_what_torch_gives(exported, count, height, width):
    model, rgb = trained(), noise(count, height, width)
    area = PictureArea(0, 0, height, width, None)
    pictures = np.stack([working_picture(picture, area, TINY) for picture in rgb])
    p = load_onnx(exported).working_probability(rgb)
    assert p.shape == (count, 48, 64)
    assert p.dtype == np.float32
    assert np.abs(p - model.working_probability(pictures)).max() < (1e-4 if (height, width) == (48, 64) else 0.02)


@pytest.mark.parametrize(
    "recipe",
    [
        load_recipe("released", [*SMALL, "network.weights=random", "input.height_px=60"]),
        load_recipe("paper", [*SMALL, "network.width=3", "network.depth=3", "input.width_px=70"]),
        load_recipe("paper", [*SMALL, "network.width=3", "network.normalization=none", "network.mirror_px=20"]),
    ],
    ids=["resnet18_unet", "unet with ImageNet's scaling", "unet without norms, mirrored"],
)
def test_other_networks_and_sizes_that_need_padding_export_too(recipe, tmp_path):
    model = trained(recipe)
    write_onnx(model, tmp_path / "m.onnx")
    rgb = noise(3, recipe.input.height_px, recipe.input.width_px)
    p = load_onnx(tmp_path / "m.onnx").working_probability(rgb)
    assert np.abs(p - model.working_probability(rgb)).max() < 1e-4


def test_the_file_is_whole_in_itself_and_says_what_it_is(exported):
    proto = onnx.load(exported, load_external_data=False)
    onnx.checker.check_model(proto)
    assert [entry.version for entry in proto.opset_import if entry.domain == ""] == [OPSET]
    assert not any(tensor.external_data for tensor in proto.graph.initializer)
    assert [p.name for p in exported.parent.iterdir()] == [exported.name]
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert metadata["cuemask"] == __version__
    assert json.loads(metadata["recipe"])["input"]["height_px"] == 48
    assert load_onnx(exported).recipe == TINY
    (given,), (gives,) = proto.graph.input, proto.graph.output
    assert (given.name, given.type.tensor_type.elem_type) == ("rgb", TensorProto.UINT8)
    assert (gives.name, gives.type.tensor_type.elem_type) == ("probability", TensorProto.FLOAT)
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == ["frames", "height", "width", 3]
    assert [d.dim_param or d.dim_value for d in gives.type.tensor_type.shape.dim] == ["frames", 48, 64]


def test_batch_norms_of_the_encoder_are_folded_too(tmp_path):
    recipe = load_recipe("released", [*SMALL, "network.weights=random", "input.height_px=64"])
    write_onnx(trained(recipe), tmp_path / "m.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 20 + 10 + 2  # encoder, decoder, the head in two parts


def test_batch_norms_are_folded_into_the_convolutions(exported):
    kinds = [node.op_type for node in onnx.load(exported).graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 11


def test_exporting_leaves_the_model_as_it_was(tmp_path):
    model = trained()
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    write_onnx(model, tmp_path / "m.onnx")
    after = model.network.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_file_that_differs_from_torch_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_without_norms", lambda _net: trained(seed=1).network)
    with pytest.raises(WeightsError, match=r"differs from torch's by 0\.\d+"):
        write_onnx(trained(), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_eight_bits_keep_metadata_and_shapes_and_are_close(exported, tmp_path):
    pictures = [cv2.GaussianBlur(picture, (0, 0), 3) for picture in noise(6, 48, 64)]
    write_int8(exported, tmp_path / "8.onnx", pictures)
    ours, exact = load_onnx(tmp_path / "8.onnx"), load_onnx(exported)
    assert ours.recipe == TINY
    difference = ours.working_probability(np.stack(pictures)) - exact.working_probability(np.stack(pictures))
    assert 0 < np.abs(difference).mean() < 0.03
    assert ours.working_probability(noise(1, 100, 90)).shape == (1, 48, 64)


def test_pictures_of_working_size_pass_around_the_resizing_which_would_not_change_a_bit(exported, tmp_path):
    proto = onnx.load(exported)
    outer = {node.op_type for node in proto.graph.node}
    assert "If" in outer
    assert not outer & {"MatMul", "Round", "Range", "Where"}
    (resizing,) = (node for node in proto.graph.node if node.name == RESIZING)
    resizing.attribute[0].CopyFrom(onnx.helper.make_attribute(resizing.attribute[0].name, resizing.attribute[1].g))
    onnx.save(proto, tmp_path / "always.onnx")
    always, rgb = load_onnx(tmp_path / "always.onnx"), noise(2, 48, 64)
    assert np.array_equal(load_onnx(exported).working_probability(rgb), always.working_probability(rgb))


def test_eight_bits_leave_the_resizing_and_the_first_convolution_alone(exported, tmp_path):
    write_int8(exported, tmp_path / "8.onnx", list(noise(2, 48, 64)))
    nodes = list(onnx.load(tmp_path / "8.onnx").graph.node)
    (resizing,) = (node for node in nodes if node.name == RESIZING)
    inner = [node for branch in resizing.attribute for node in branch.g.node]
    assert "Round" in {node.op_type for node in inner}
    assert not [node for node in inner if node.op_type.endswith("QuantizeLinear")]
    quantised = {node.input[0] for node in nodes if node.op_type == "QuantizeLinear"}
    assert not {name for node in [*inner, resizing] for name in node.output} & quantised
    weights = {tensor.name: tensor for tensor in onnx.load(tmp_path / "8.onnx").graph.initializer}
    eight = [t for t in weights.values() if t.data_type == TensorProto.INT8 and len(t.dims) == 4]
    assert len(eight) == 10
    scales = [node.input[1] for node in nodes if node.op_type == "DequantizeLinear" and node.input[0] == eight[0].name]
    assert list(weights[scales[0]].dims) == [eight[0].dims[0]]


def test_a_file_that_is_absent_or_no_onnx_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"no such file.*\n.*cuemask export onnx"):
        load_onnx(tmp_path / "none.onnx")
    for content in (b"", b"text that is no protocol buffer"):
        (tmp_path / "text.onnx").write_bytes(content)
        with pytest.raises(WeightsError, match=r"text\.onnx.*\n.*cuemask export onnx"):
            load_onnx(tmp_path / "text.onnx")


@pytest.mark.parametrize("recipe", [None, "{", '{"network": {"no_such_key": 1}}'])
def test_an_onnx_file_of_somebody_else_is_refused(tmp_path, recipe):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    ])  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    if recipe is not None:
        helper.set_model_props(proto, {"recipe": recipe})
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(WeightsError, match=r"not a model that cuemask wrote.*\n.*cuemask export onnx"):
        load_onnx(tmp_path / "other.onnx")


def test_a_provider_that_is_absent_is_named_with_those_that_are_there(exported):
    with pytest.raises(InstallationError, match=r"provider tensorrt: .* has cpu.*\n.*onnxruntime-gpu.*--provider cpu"):
        load_onnx(exported, "tensorrt")
    with pytest.raises(InstallationError, match=r"provider neural: .* has cpu.*\n.*--provider cpu"):
        load_onnx(exported, "neural")
    assert load_onnx(exported, "auto").device == load_onnx(exported, "cpu").device


@pytest.mark.parametrize(
    ("wanted", "built_in", "tried"),
    [
        ("auto", "Tensorrt CUDA CPU", ["cuda", "cpu"]),
        ("auto", "OpenVINO CPU", ["cpu"]),
        ("cpu", "Tensorrt CUDA CPU", ["cpu"]),
        ("tensorrt", "Tensorrt CUDA CPU", ["tensorrt", "cuda", "cpu"]),
        ("openvino", "OpenVINO Azure CPU", ["openvino", "cpu"]),
    ],
)
def test_providers_are_tried_with_their_fallbacks_and_the_processor_last(wanted, built_in, tried):
    names = [f"{name}ExecutionProvider" for name in built_in.split()]
    library = SimpleNamespace(get_available_providers=lambda: names, __version__="1")
    assert _chosen(library, wanted) == tried


def test_a_provider_that_is_built_in_but_does_not_start_is_an_error(exported, monkeypatch):
    monkeypatch.setattr("cuemask.inference.runtime._chosen", lambda *_: ["cpu"])
    with pytest.raises(InstallationError, match=r"provider cuda: .* did not start.*\n.*--provider cpu"):
        load_onnx(exported, "cuda")


@pytest.mark.parametrize(
    ("library", "extra"), [("onnxruntime", "runtime"), ("onnx", "export"), ("onnxscript", "export")]
)
def test_a_missing_library_is_named_with_its_extra(exported, tmp_path, monkeypatch, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InstallationError, match=rf"pip install 'cuemask\[{extra}\]'"):
        load_onnx(exported) if library == "onnxruntime" else write_onnx(trained(), tmp_path / "m.onnx")


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_onnx(trained(), tmp_path / "file" / "m.onnx")


def test_onnx_runtime_is_imported_with_its_telemetry_off_and_leaves_the_home_alone(exported, tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from cuemask.inference.runtime import load_onnx\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "load_onnx(Path(sys.argv[1]))\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1' and 'torch' not in sys.modules"
    )
    home = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    subprocess.run([sys.executable, "-c", script, exported], check=True, timeout=60, env={**os.environ, **home})
    assert list(tmp_path.iterdir()) == []
