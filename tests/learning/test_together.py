"""Learning on several processes: the same pairs in the same steps, and losses equal within rounding."""

from __future__ import annotations

import copy
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from tests.learning.test_training import square_clip
from tests.tiny import TINY
from torch import nn

from cuemask.cli import main
from cuemask.errors import TrainingError
from cuemask.learning.pairs import Pair
from cuemask.learning.pasting import Pieces, draw_pieces
from cuemask.learning.together import ALONE, SharedBatchNorm, World, shared
from cuemask.learning.training import Batch, make_batch
from cuemask.phantom import PhantomScene, write_phantom
from cuemask.recipe import DEFAULT, load_recipe

SETTINGS = [*TINY, "training.steps=4", "training.pairs_per_step=5", "training.precision=float32"]


def trained(video: Path, out: Path, processes: int) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """The losses and weights of `cuemask train` in so many processes, of which this one is the first."""
    flags = [flag for setting in SETTINGS for flag in ("--set", setting)]
    words = ["train", str(video), "--out", str(out), "--no-report", "--quiet", *flags]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    alike = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    alike["WORLD_SIZE"] = str(processes)
    others = [
        subprocess.Popen([sys.executable, "-m", "cuemask", *words], env={**os.environ, **alike, "RANK": str(rank)})
        for rank in range(1, processes)
    ]
    result = CliRunner().invoke(main, words, env={**alike, "RANK": "0"})
    assert result.exit_code == 0, result.output
    assert [other.wait(200) for other in others] == [0] * (processes - 1)
    return json.loads((out / "run.json").read_text())["losses"], load_file(out / "model.safetensors")


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_processes_learn_what_one_does(tmp_path: Path, processes: int) -> None:
    video = write_phantom(tmp_path / "phantom", 6, PhantomScene(seed=1, height_px=64, width_px=80)).video
    (one, weights), (two, others) = (trained(video, tmp_path / str(n), n) for n in (1, processes))
    assert [losses.keys() for losses in one] == [losses.keys() for losses in two]
    for alone, both in zip(one, two, strict=True):
        assert both == pytest.approx(alone, rel=1e-4, abs=1e-6)
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("pasted", [0.0, 0.7])
def test_shares_of_a_batch_together_are_the_batch(tmp_path: Path, pasted: float) -> None:
    recipe = load_recipe("default", [*TINY, "input.width_px=32", f"training.pasted={pasted}"])
    pieces = draw_pieces(32, 32, 0) if pasted else Pieces()
    clips, pairs = [square_clip(tmp_path)], [Pair(0, k, k + 1) for k in range(3)]

    def batch(places: range | None) -> Batch:
        return make_batch(clips, pairs, recipe, np.random.default_rng(3), pieces, places)

    whole = batch(None)
    for rank in range(2):
        places = World(rank, 2).places(3)
        rows = [*places, *(3 + k for k in places)]
        for found, expected in zip(batch(places), whole, strict=True):
            torch.testing.assert_close(found, expected[rows], rtol=0, atol=0)


def test_every_pair_is_one_process_s() -> None:
    assert sorted(k for rank in range(3) for k in World(rank, 3).places(7)) == list(range(7))
    assert list(ALONE.places(3)) == [0, 1, 2]


def test_what_would_not_be_learnt_the_same_is_refused() -> None:
    net, world = nn.Conv2d(1, 1, 1), World(0, 64)
    with pytest.raises(TrainingError, match="64 processes have 6 pairs a step"):
        shared(net, load_recipe("default", ["training.pairs_per_step=6"]), world)
    with pytest.raises(TrainingError, match="several classes"):
        shared(net, load_recipe("default", ["training.pairs_per_step=64", "network.classes=2"]), world)
    assert shared(net, DEFAULT, ALONE) is net


def test_a_shared_batch_norm_is_a_batch_norm() -> None:
    norm, values = nn.BatchNorm2d(3), torch.randn(4, 3, 5, 6, requires_grad=True)
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    own = SharedBatchNorm(copy.deepcopy(norm), ALONE)
    outcomes: list[list[torch.Tensor]] = []
    for one in (norm, own):
        values.grad = None
        found = one.train()(values)
        (found * torch.arange(6)).square().mean().backward()
        assert values.grad is not None
        outcomes.append([found, values.grad.clone(), *one.state_dict().values(), one.eval()(values)])
    for expected, found in zip(*outcomes, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
