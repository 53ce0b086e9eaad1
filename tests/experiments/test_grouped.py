"""Tables of instruments told apart, on a miniature of EndoVis 2017."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cuemask.cli import main
from cuemask.datasets.catalogue import read_dataset
from cuemask.experiments.cells import CELLS
from cuemask.media.masks import write_mask
from cuemask.phantom.layouts import write_layout


def run(what: str, folder: Path, code: int = 0) -> str:
    words = ["benchmark", what, "--data", folder / "set", "--out", folder / "out", "--quick", "--every", "1"]
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its network's masks are replaced by the true ones: those of a quick run mean nothing."""
    folder = tmp_path_factory.mktemp("grouped")
    write_layout("endovis2017", folder / "set", recordings=2, frames=3)
    run("instances", folder)
    (cell,) = (folder / "out" / CELLS).glob("*-????????????")
    (cell / "instances.json").unlink()
    for recording in read_dataset("endovis2017", folder / "set").recordings:
        for path in (cell / "run" / recording.name).glob("tracks.csv"):
            path.unlink()
        assert recording.truth is not None
        for name in recording.truth.names:
            mask = recording.truth.labels(name) > 0
            write_mask(cell / "run" / recording.name / "masks" / f"{name}.png", mask)
    return folder


def figures(folder: Path, what: str) -> dict[str, float]:
    (row,) = json.loads((folder / "out" / f"{what}.json").read_text())["rows"]
    return row


def test_instances_and_tracks_of_true_masks_are_right(folder: Path) -> None:
    assert "instances: 1 network, 1 of them kept already" in run("instances", folder)
    found = figures(folder, "instances")
    assert found["frames"] == 6
    assert found["ap50"] > 0.9
    assert found["hota"] > 0.7
    assert "| held out | frames |" in (folder / "out" / "instances.md").read_text()


def test_parts_and_classes_use_the_same_network_and_what_is_finished_is_kept(folder: Path) -> None:
    for what, name in (("parts", "mean_iou"), ("classes", "purity")):
        run(what, folder)
        first = figures(folder, what)
        assert first[name] > 0.4
        run(what, folder)
        assert figures(folder, what) == first  # with the seconds that it took
    assert len(list((folder / "out" / CELLS).iterdir())) == 1


def test_a_damaged_file_is_made_again(folder: Path) -> None:
    (file,) = (folder / "out" / CELLS).glob("*/parts.json")
    told = json.loads(file.read_text())
    told["figures"]["mean_iou"] = 0.99
    file.write_text(json.dumps(told))
    run("parts", folder)
    assert figures(folder, "parts")["mean_iou"] != 0.99


def test_a_set_that_does_not_tell_it_is_refused_before_any_work(tmp_path: Path) -> None:
    write_layout("robustmis", tmp_path / "set", recordings=2, frames=2)
    words = ["benchmark", "parts", "--data", tmp_path / "set", "--dataset", "robustmis", "--out", tmp_path / "out"]
    done = CliRunner().invoke(main, [str(word) for word in [*words, "--quick"]])
    assert done.exit_code == 2
    assert "no truth of kind parts" in done.output
    assert not list((tmp_path / "out").glob(f"{CELLS}/*/run"))
