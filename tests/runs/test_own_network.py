"""Networks that people bring: learnt, kept, loaded with the module given again, exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tests.tiny import TINY
from torch import Tensor, nn

import cuemask
from cuemask.cli import main
from cuemask.errors import CuemaskError, InputError, TrainingError, WeightsError
from cuemask.inference.export import Deployed, _without_norms
from cuemask.recipe import DEFAULT, load_recipe
from cuemask.runs.again import LearningAgain

QUICK: dict[str, Any] = {"set": TINY, "overlay": False, "report": False}


class Small(nn.Module):
    """A batch norm first and a convolution last, tied weights, dropout: what ours do not have."""

    def __init__(self, width: int = 3, outputs: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.again = nn.Conv2d(width, width, 1, bias=False)
        self.tied = nn.Conv2d(width, width, 1, bias=False)
        self.tied.weight = self.again.weight
        self.last = nn.Sequential(nn.BatchNorm2d(width), nn.Dropout2d(0.3), nn.Conv2d(width, outputs, 1))

    def forward(self, rgb: Tensor) -> Tensor:
        return self.last(self.tied(torch.relu(self.again(self.first(rgb)))))


def small() -> Small:
    torch.manual_seed(3)
    return Small()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "op"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in range(4):
        cv2.imwrite(str(folder / f"{name}.png"), rng.integers(60, 200, (48, 64, 3)).astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def run(pictures: Path) -> cuemask.Run:
    net = small()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    made = cuemask.segment(pictures, out=pictures.parent / "run", network=net, save_probability=True, **QUICK)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items()), (
        "the caller's is as it was"
    )
    return made


def test_it_learns_and_is_loaded_when_given_again(run: cuemask.Run, pictures: Path, tmp_path: Path) -> None:
    assert run.recipe.network.architecture == "own"
    assert run.record["network"]["class"].endswith("test_own_network.Small")
    assert run.record["network"]["parameters"] == sum(p.numel() for p in small().parameters())
    model = cuemask.load(run, network=small())
    rgb = cv2.cvtColor(cv2.imread(str(pictures / "2.png")), cv2.COLOR_BGR2RGB)
    found = model.probability(rgb, crop=(0, 0, 48, 64))
    np.testing.assert_allclose(found, run.clips[0].probability("2"), atol=0.02)
    again = cuemask.predict(run, pictures, out=tmp_path / "out", network=small(), overlay=False, report=False)
    np.testing.assert_array_equal(again.clips[0].mask("2"), run.clips[0].mask("2"))
    weights = model._predictor.network.state_dict()  # pyright: ignore
    assert not torch.equal(weights["first.weight"], small().state_dict()["first.weight"]), "it has learnt"


def test_broken_off_it_goes_on_to_the_same_bytes(run: cuemask.Run, pictures: Path, tmp_path: Path) -> None:
    settings = {**QUICK, "set": [*TINY, "training.checkpoint_seconds=0"]}

    def broken(label: Any, items: Any, total: Any) -> Any:
        for number, item in enumerate(items):
            if callable(label) and number == 1:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        cuemask.segment(pictures, out=tmp_path / "out", network=small(), progress=broken, **settings)
    with pytest.raises(CuemaskError, match="another network"):
        cuemask.segment(pictures, out=tmp_path / "out", network=Small(4), resume=True, **settings)
    torch.manual_seed(99)
    other = cuemask.segment(pictures, out=tmp_path / "out", network=Small(), resume=True, **settings)
    whole = cuemask.segment(pictures, out=tmp_path / "whole", network=small(), **settings)
    assert other.clips[0].confidence.tolist() == whole.clips[0].confidence.tolist()
    assert (other.folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()


def test_without_it_every_way_says_what_to_give(run: cuemask.Run, pictures: Path, tmp_path: Path) -> None:
    for ask in (
        lambda: run.model,
        lambda: cuemask.load(run),
        lambda: cuemask.export_onnx(run, out=tmp_path / "m.onnx"),
    ):
        with pytest.raises(WeightsError, match=r"cuemask\.load\(RUN, network=module\)"):
            ask()
    done = CliRunner().invoke(main, ["predict", str(run.folder), str(pictures), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "network=module" in done.output
    words = ["segment", str(pictures), "--out", str(tmp_path / "out"), "--set", "network.architecture=own"]
    done = CliRunner().invoke(main, [*words, "--set", "network.start=chance"])
    assert done.exit_code == 2
    assert "Give the module in Python" in done.output
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="Learn again in Python"):
        LearningAgain(run.folder, run.record, [str(pictures)], tmp_path / "corrections").command()


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (Small(5), r"first.weight has shape \(3, 3, 3, 3\), not \(5, 3, 3, 3\)"),
        (nn.Sequential(nn.Conv2d(3, 1, 1)), "parameters that the network given does not"),
    ],
)
def test_another_network_is_refused(run: cuemask.Run, module: nn.Module, says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        cuemask.load(run, network=module)


def test_a_model_of_ours_takes_none() -> None:
    with pytest.raises(CuemaskError, match="Leave network out"):
        cuemask.load("drawn", network=small())


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (Small(outputs=2), r"gives \(2, 2, 32, 40\)"),
        (nn.Sequential(nn.Conv2d(3, 1, 3)), r"gives \(2, 1, 30, 38\)"),
        (nn.Identity(), "no parameter"),
        (lambda rgb: rgb, "function is no torch.nn.Module"),
    ],
)
def test_what_is_no_such_network_is_refused_before_any_work(
    pictures: Path, tmp_path: Path, module: Any, says: str
) -> None:
    with pytest.raises(TrainingError, match=says):
        cuemask.train(pictures, out=tmp_path / "out", network=module, set=TINY)
    assert not (tmp_path / "out").exists()


def test_several_classes_are_refused() -> None:
    with pytest.raises(CuemaskError, match="instrument or not"):
        load_recipe("paper", ["network.architecture=own", "network.classes=2"])


def test_it_is_exported_as_it_is(run: cuemask.Run, pictures: Path, tmp_path: Path) -> None:
    exported = cuemask.export_onnx(run, out=tmp_path / "model.onnx", network=small())
    assert exported.difference < 1e-5
    masks = cuemask.predict(exported.file, pictures, out=tmp_path / "out", overlay=False, report=False)
    assert (masks.clips[0].mask("1") == run.clips[0].mask("1")).mean() > 0.99


def test_norms_of_a_network_of_ones_own_stay_where_they_are() -> None:
    net = small().eval()
    rgb = torch.randint(0, 255, (1, 40, 50, 3), dtype=torch.uint8)
    with torch.inference_mode():
        (as_it_is,), (plain,) = (Deployed(one, DEFAULT)(rgb) for one in (net, _without_norms(net)))
    assert torch.equal(as_it_is, plain)
