from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto
from safetensors.torch import save, save_file
from tests.inference.graphs import HEIGHT, WIDTH, graph

from cuemask.errors import WeightsError
from cuemask.inference.model import FILE, load_model
from cuemask.inference.runtime import load_onnx
from cuemask.inference.thresholds import finished_probability
from cuemask.learning.unet import network
from cuemask.media.area import PictureArea
from cuemask.recipe import load_recipe, recipe_as_mapping

TINY = load_recipe(
    "default",
    [
        "network.start=chance",
        "network.width=2",
        "network.depth=1",
        f"input.height_px={HEIGHT}",
        f"input.width_px={WIDTH}",
    ],
)
RECIPE = json.dumps(recipe_as_mapping(TINY))

# What stands in the place of a recipe, and what the refusal says of it.
NO_RECIPES = {
    "[]": "no table",
    "null": "no table",
    '"x"': "no table",
    "7": "no table",
    "[" * 5000: "no JSON",
    "{": "no JSON",
    "9" * 5000: "no JSON",
    '{"network": []}': "network is a section",
    '{"masks": null}': "masks is a section",
    '{"network": {"width": [1]}}': "network.width",
    '{"network": {"width": 512, "depth": 6}}': "network.width",
    '{"network": {"depth": 1000000000}}': "network.depth",
    '{"masks": {"refinement_radius": NaN}}': "masks.refinement_radius",
    '{"masks": {"refinement_radius": Infinity}}': "masks.refinement_radius",
    '{"masks": {"refinement_radius": 1e6}}': "masks.refinement_radius",
    '{"masks": {"height_px": 1000000}}': "masks.height_px",
    '{"masks": {"threshold": NaN}}': "masks.threshold",
    '{"losses": {"foreground_weight": 1' + "0" * 400 + "}}": "losses.foreground_weight",
    '{"losses": {"foreground_margin": NaN}}': "losses.foreground_margin",
    '{"cues": {"use": [[[]]]}}': "cues.use",
}


def tiny_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return network(TINY.network).state_dict()


@pytest.mark.parametrize(("text", "says"), NO_RECIPES.items())
def test_what_is_no_recipe_makes_no_model(text: str, says: str, tmp_path: Path) -> None:
    save_file(tiny_weights(), tmp_path / FILE, {"recipe": text})
    (tmp_path / "model.onnx").write_bytes(graph({"recipe": text}))
    for load in (lambda: load_model(tmp_path), lambda: load_onnx(tmp_path / "model.onnx", "cpu")):
        with pytest.raises(WeightsError, match=f"not a model that cuemask wrote.*{says}"):
            load()


def test_a_large_network_is_refused_by_its_header_and_never_made(tmp_path: Path) -> None:
    values = recipe_as_mapping(TINY)
    values["network"] |= {"width": 64, "depth": 6}  # 0.6 GB
    save_file(tiny_weights(), tmp_path / FILE, {"recipe": json.dumps(values)})
    before = torch.get_rng_state()
    with pytest.raises(WeightsError, match="lacks"):
        load_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)  # which drawing weights would have moved


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("every", [True, False])
def test_weights_that_are_no_numbers_are_refused(value: float, every: bool, tmp_path: Path) -> None:
    weights = tiny_weights()
    for tensor in list(weights.values())[: None if every else 1]:
        if tensor.is_floating_point():
            tensor.view(-1)[:1] = value
    save_file(weights, tmp_path / FILE, {"recipe": RECIPE})
    with pytest.raises(WeightsError, match="holds what are no weights"):
        load_model(tmp_path)


def test_variances_below_nothing_and_other_types_are_refused(tmp_path: Path) -> None:
    for name, changed in (("down.0.1.running_var", lambda t: t - 9), ("head.weight", lambda t: t.double())):
        weights = tiny_weights()
        weights[name] = changed(weights[name])
        save_file(weights, tmp_path / FILE, {"recipe": RECIPE})
        with pytest.raises(WeightsError, match=f"{name} holds what are no weights"):
            load_model(tmp_path)


def test_a_graph_as_export_writes_it_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(graph({"recipe": RECIPE}))
    model = load_onnx(tmp_path / "a.onnx", "cpu")
    assert (model.working_probability(np.zeros((2, 50, 60, 3), np.uint8)) == 0.25).all()


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"names": ("image", "probability")}, "image: tensor"),
        ({"names": ("rgb", "mask")}, "mask: tensor"),
        ({"input_type": TensorProto.FLOAT}, r"tensor\(float\)"),
        ({"input_shape": ("frames", "height", 3)}, "framesxheightx3 in"),
        ({"input_shape": ("frames", "height", "width", 4)}, "x4 in"),
        ({"size": (1, HEIGHT, WIDTH)}, "framesx1x32x40 in"),
        ({"size": (HEIGHT, WIDTH + 1)}, "framesx32x41 in"),
        ({"size": (HEIGHT, WIDTH + 1), "told": ("a", "b", "c")}, r"it gives 1x32x41 values"),
        ({"value": float("nan")}, "it gives .* from nan"),
        ({"value": 7.0}, "it gives .* from 7 to 7"),
    ],
)
def test_graphs_of_another_rank_name_type_or_size_are_refused(other: dict[str, Any], says: str, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(graph({"recipe": RECIPE}, **other))
    with pytest.raises(WeightsError, match=f"not a model that cuemask wrote.*{says}"):
        load_onnx(tmp_path / "a.onnx", "cpu")


def test_graphs_that_cannot_be_opened_or_run_are_refused(tmp_path: Path) -> None:
    whole = graph({"recipe": RECIPE})
    damages = {
        "cannot open": whole[: len(whole) // 2],
        "names are no text": whole.replace(b"recipe", b"\xff\xfecipe"),
        "cannot run": whole.replace(np.array([32, 40], "<i8").tobytes(), np.array([-3, 40], "<i8").tobytes()),
    }
    for says, data in damages.items():
        (tmp_path / "a.onnx").write_bytes(data)
        with pytest.raises(WeightsError, match=says):
            load_onnx(tmp_path / "a.onnx", "cpu")


def test_a_graph_that_names_things_in_no_text_is_refused(tmp_path: Path) -> None:
    whole = graph({"recipe": RECIPE})
    places = [k for name in (b"rgb", b"probability") for k in range(len(whole)) if whole.startswith(name, k)]
    assert places
    for place in places:
        (tmp_path / "a.onnx").write_bytes(whole[:place] + b"\xee" + whole[place + 1 :])
        with pytest.raises(WeightsError):
            load_onnx(tmp_path / "a.onnx", "cpu")


def test_a_model_that_gives_no_numbers_gives_no_mask() -> None:
    """Weights that are numbers may still grow beyond them."""
    area = PictureArea(0, 0, HEIGHT, WIDTH, None)
    working, rgb = np.full((HEIGHT, WIDTH), np.nan, np.float32), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with pytest.raises(WeightsError, match="gives no numbers"):
        finished_probability(working, rgb, area, TINY)


def test_every_cut_of_a_model_file_is_refused(tmp_path: Path) -> None:
    whole = save(tiny_weights(), {"recipe": RECIPE})
    for length in (1, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / FILE).write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="not a model that cuemask wrote"):
            load_model(tmp_path)
