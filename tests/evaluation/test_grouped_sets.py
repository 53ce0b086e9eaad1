"""Instances, tracks, parts and classes against the truth of data sets, in small made-up layouts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cuemask.cli import main
from cuemask.datasets.catalogue import read_dataset
from cuemask.datasets.dataset import Dataset
from cuemask.errors import EvaluationError
from cuemask.evaluation import evaluate_grouped_dataset
from cuemask.media.masks import write_codes, write_numbers
from cuemask.phantom.layouts import write_layout


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    place = tmp_path_factory.mktemp("sets")
    for name in ("endovis2017", "endovis2018", "robustmis"):
        write_layout(name, place / name, recordings=1, frames=2)
    return {name: read_dataset(name, place / name) for name in ("endovis2017", "endovis2018", "robustmis")}


def told(run: Path, dataset: Dataset, kind: str, room: str, change=lambda labels: labels, frames: int | None = None):
    """A run that tells the truth of a kind, changed."""
    for recording in dataset.recordings:
        if recording.truth is None:
            continue
        folder = run / recording.name / room
        folder.mkdir(parents=True, exist_ok=True)
        for name in recording.truth.names[:frames]:
            labels = change(recording.truth.labels(name, kind))
            write = write_numbers if room == "instances" else write_codes
            write(folder / f"{name}.png", labels.astype(np.uint16 if room == "instances" else np.uint8))
    return run


def codes(labels: np.ndarray) -> np.ndarray:
    return labels * 10


@pytest.mark.parametrize("name", ["endovis2017", "robustmis"])
def test_instances_with_other_numbers_are_right(name: str, sets: dict[str, Dataset], tmp_path: Path) -> None:
    run = told(tmp_path, sets[name], "instances", "instances", lambda labels: np.where(labels, 7 - labels, 0))
    figures = evaluate_grouped_dataset("instances", run, sets[name]).figures
    assert (figures["ap50"], figures["pq"]) == (1.0, 1.0)


def test_one_number_for_all_is_half_a_track_of_two(sets: dict[str, Dataset], tmp_path: Path) -> None:
    run = told(tmp_path, sets["endovis2017"], "instances", "instances")
    assert evaluate_grouped_dataset("tracks", run, sets["endovis2017"]).figures["hota"] == pytest.approx(1.0)
    run = told(tmp_path, sets["endovis2017"], "instances", "instances", lambda labels: np.minimum(labels, 1))
    assert evaluate_grouped_dataset("tracks", run, sets["endovis2017"]).figures["hota"] < 0.9


@pytest.mark.parametrize("name", ["endovis2017", "endovis2018"])
def test_parts_are_compared_under_the_codes_of_runs(name: str, sets: dict[str, Dataset], tmp_path: Path) -> None:
    run = told(tmp_path, sets[name], "parts", "parts", codes)
    assert evaluate_grouped_dataset("parts", run, sets[name]).figures["mean_iou"] == 1.0
    run = told(tmp_path, sets[name], "parts", "parts", lambda labels: np.where(labels == 2, 10, codes(labels)))
    figures = evaluate_grouped_dataset("parts", run, sets[name]).figures
    assert (figures["iou_wrist"], figures["iou_clasper"]) == (0.0, 1.0)
    assert figures["iou_shaft"] < 1.0


@pytest.mark.parametrize("name", ["endovis2017", "endovis2018"])
def test_types_are_the_classes(name: str, sets: dict[str, Dataset], tmp_path: Path) -> None:
    run = told(tmp_path, sets[name], "type", "classes")
    assert evaluate_grouped_dataset("classes", run, sets[name]).figures["named_mean_iou"] == 1.0


def test_frames_that_are_not_predicted_need_a_word(sets: dict[str, Dataset], tmp_path: Path) -> None:
    run = told(tmp_path, sets["endovis2017"], "instances", "instances", frames=1)
    with pytest.raises(EvaluationError, match="without prediction"):
        evaluate_grouped_dataset("instances", run, sets["endovis2017"])
    result = evaluate_grouped_dataset("instances", run, sets["endovis2017"], only_predicted=True)
    assert result.figures["ap50"] == 1.0
    with pytest.raises(EvaluationError, match="no frame with truth has instances") as error:
        evaluate_grouped_dataset("instances", tmp_path / "nowhere", sets["endovis2017"])
    assert "cuemask group" in error.value.remedy


@pytest.mark.parametrize(("what", "name"), [("tips", "endovis2017"), ("tracks", "robustmis")])
def test_what_a_set_does_not_tell_is_refused(what, name: str, sets: dict[str, Dataset], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=f"tells no {what}") as error:
        evaluate_grouped_dataset(what, tmp_path, sets[name])
    assert "--instances" in error.value.remedy


def test_the_command_takes_a_data_set(sets: dict[str, Dataset], tmp_path: Path) -> None:
    run = told(tmp_path / "run", sets["endovis2018"], "parts", "parts", codes)
    asked = ["evaluate", str(run), "--parts", "--dataset", "endovis2018", "--json"]
    answer = CliRunner().invoke(main, [*asked, "--data", str(sets["endovis2018"].root)])
    assert json.loads(answer.stdout)["mean_iou"] == 1.0
    assert CliRunner().invoke(main, asked).exit_code == 2
