"""The one network of a study, learnt by two processes that the worker starts."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import TINY

from cuemask.errors import InputError, OutputError, TrainingError
from cuemask.media.files import is_passing
from cuemask.recipe import load_recipe
from cuemask.runs.learning import train
from cuemask.runs.options import Options
from cuemask.studies import learners
from cuemask.studies.batch import batch
from cuemask.studies.learners import learn, learners_of
from cuemask.studies.local import ALL_GPUS
from cuemask.studies.work import Unit, work

LONG = """
import sys
from pathlib import Path
from cuemask.recipe import load_recipe
from cuemask.runs.options import Options
from cuemask.studies.work import Unit, work
clip, study, *settings = sys.argv[1:]
options = Options(study, load_recipe("default", settings), report=False)
print(work(Unit("train", "(network)", (clip,), Path(study), options, learners=2)))
"""


@pytest.fixture
def options(options: Options) -> Options:
    return replace(options, recipe=load_recipe("default", [*TINY, "training.precision=float32"]))


def test_two_learners_of_a_study_learn_what_train_does_alone(
    videos: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def spied(sources: Sequence[str], options: Options, learners: int) -> None:
        asked.append(learners)
        learn(sources, options, learners)

    monkeypatch.setattr("cuemask.studies.learners.learn", spied)
    with ThreadPoolExecutor(1) as here:
        study = batch(videos, options, on=here, learners=2)
    assert asked == [2]
    assert [row.state for row in study.rows] == ["failed", "done", "done"], study.rows
    good = [videos / "op1.mp4", videos / "day2" / "op2.mp4"]
    alone = load_file(train(good, replace(options, out=tmp_path / "alone")) / "model.safetensors")
    for name, value in load_file(study.folder / "model" / "model.safetensors").items():
        torch.testing.assert_close(value, alone[name], rtol=1e-3, atol=1e-5)
    assert not (study.folder / ".ahead").exists()


def test_killed_learning_ends_all_its_processes_and_is_gone_on_with(clip: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    settings = [*TINY, "training.steps=60", "training.checkpoint_seconds=0"]
    worker = subprocess.Popen([sys.executable, "-c", LONG, str(clip), str(study), *settings])
    checkpoint = study / ".parts" / "(network).1" / ".work" / "checkpoint.pt"
    until = time.monotonic() + 120
    while not checkpoint.is_file():
        assert time.monotonic() < until
        assert worker.poll() is None
        time.sleep(0.1)
    started = _below(worker.pid)
    assert len(started) >= 3  # the launcher and two that learn
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    while any(map(_lives, started)):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert 0 < torch.load(checkpoint, weights_only=False)["progress"]["step"] < 60
    options = Options(study, load_recipe("default", settings), report=False)
    unit = Unit("train", "(network)", (str(clip),), study, options, learners=2)
    assert work(unit).error == ""
    assert unit.is_done
    assert json.loads((study / "model" / "run.json").read_text())["losses"][-1]["step"] == 60
    assert list((study / ".parts").iterdir()) == []


def test_what_the_first_of_them_raises_is_raised_with_its_cause(clip: Path, options: Options) -> None:
    recipe = load_recipe("default", [*TINY, "training.pairs_per_step=1"])
    with pytest.raises(TrainingError, match="2 processes have 1 pairs a step") as raised:
        learn([str(clip)], replace(options, recipe=recipe), 2)
    assert not is_passing(raised.value)


def test_a_full_disk_and_a_lost_process_are_told_as_what_passes(tmp_path: Path) -> None:
    said = tmp_path / "said"
    full = OutputError("the disk is full.", "Free some.")
    full.__cause__ = OSError(errno.ENOSPC, "full")
    said.write_bytes(learners._said(["a warning"], full, "trace"))
    with pytest.raises(OutputError, match="the disk is full") as raised:
        learners._hear(said, tmp_path / "words")
    assert is_passing(raised.value)
    (tmp_path / "words").write_text("Signal 9 (SIGKILL) received by PID 12\n")
    with pytest.raises(OSError, match="Signal 9") as lost:
        learners._hear(tmp_path / "absent", tmp_path / "words")
    assert is_passing(lost.value)


def test_a_gpu_each_learns_but_no_more_than_share_a_step(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    assert learners_of(options, None) == 1
    assert learners_of(options, 3) == 3
    monkeypatch.setattr("cuemask.inference.model.chosen_device", lambda _: "cuda")
    monkeypatch.setenv(ALL_GPUS, ",".join(map(str, range(4))))
    assert learners_of(options, None) == 4
    pairs = load_recipe("default", [*TINY, "training.pairs_per_step=2"])
    assert learners_of(replace(options, recipe=pairs), None) == 2
    classes = load_recipe("default", [*TINY, "network.classes=2"])
    assert learners_of(replace(options, recipe=classes), None) == 1


def test_learners_are_of_the_network_that_is_learnt_on_all(videos: Path, options: Options) -> None:
    with pytest.raises(InputError, match="--learners"):
        batch(videos, options, each=True, learners=2)


def _below(pid: int) -> list[int]:
    """All processes that a process started, and those started them."""
    own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return own + [process for child in own for process in _below(child)]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
