from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cuemask.cli import main
from cuemask.datasets.catalogue import read_dataset
from cuemask.evaluation.frames import FrameScore
from cuemask.evaluation.metrics import Counts
from cuemask.experiments import cost, tables
from cuemask.experiments.benchmark import BenchmarkOptions, benchmark
from cuemask.experiments.cells import Bench
from cuemask.experiments.figure import chosen_frames
from cuemask.experiments.plan import rows_of, split_of
from cuemask.media.masks import read_mask
from cuemask.phantom.layouts import write_layout
from cuemask.recipe import PAPER

LAYOUTS = {"table1": "endovis2017", "table2": "endovis2017-cropped", "table3": "endovis2018", "table4": "isic2016"}
CELLS = {"table1": 4, "table2": 7, "table3": 7, "table4": 6}


def run(*words: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def made(folder: Path, table: str) -> tuple[str | Path, ...]:
    """A miniature, and the words that name it; table 3 with a file of two folds."""
    layout = LAYOUTS.get(table, "endovis2017")
    write_layout(layout, folder / "set", recordings=2, frames=3)
    words: tuple[str | Path, ...] = ("--data", folder / "set", "--dataset", layout.partition("-")[0])
    if table == "table4":
        return words
    (folder / "folds.txt").write_text("1\n2\n")
    return (*words, "--folds", folder / "folds.txt")


@dataclass(frozen=True)
class Made:
    """A finished table: its folder, the words of its command, and what was said."""

    folder: Path
    words: tuple[str | Path, ...]
    told: str


def cell_folder(finished: Made, key: str) -> Path:
    (folder,) = (finished.folder / "out" / "cells").glob(f"{key}-????????????")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Makes each table once."""

    @cache
    def finish(table: str) -> Made:
        folder = tmp_path_factory.mktemp(table)
        words = ("benchmark", table, *made(folder, table), "--out", folder / "out", "--quick")
        return Made(folder, words, run(*words))

    return finish


@pytest.mark.parametrize("table", list(LAYOUTS))
def test_every_table_is_made_from_a_miniature_and_not_made_twice(table, finished):
    tmp_path, words = finished(table).folder, finished(table).words
    assert f"[{CELLS[table]}/{CELLS[table]}]" in finished(table).told
    assert "figures mean nothing" in (tmp_path / "out" / f"{table}.md").read_text()
    content = json.loads((tmp_path / "out" / f"{table}.json").read_text())
    with (tmp_path / "out" / f"{table}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(content["rows"])
    for row in rows:
        if row["iou_mean"] and row["iou_paper"]:
            difference = float(row["iou_mean"]) - float(row["iou_paper"])
            assert float(row["iou_difference"]) == pytest.approx(difference, abs=1e-5)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").rglob("*.*")}
    again = run(*words)
    assert "all done" in again
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").rglob("*.*")} == before


def test_the_figures_of_a_row_are_those_of_evaluating_its_masks(finished):
    tmp_path, words = finished("table1").folder, finished("table1").words
    masks = cell_folder(finished("table1"), "SS-0") / "run"
    truth = json.loads(run("evaluate", masks, *words[2:6], "--json"))
    whole = json.loads((tmp_path / "out" / "table1.json").read_text())["rows"][-1]
    assert whole["iou_mean"] == pytest.approx(100 * truth["iou"]["mean"])
    assert whole["dice_deviation"] == pytest.approx(100 * truth["dice"]["deviation"])
    assert whole["frames"] == 6


def test_held_out_recordings_are_not_learnt_from_and_all_are_scored(finished):
    tmp_path = finished("table3").folder
    for fold, (learnt, held_out) in enumerate([("seq_2", "seq_1"), ("seq_1", "seq_2")]):
        cell = cell_folder(finished("table3"), f"TT-50-fold{fold}")
        record = json.loads((cell / "run" / "run.json").read_text())
        assert [entry["clip"] for entry in record["inputs"]] == [learnt]
        assert record["labels"]["frames"] == {learnt: 2}
        assert [path.name for path in (cell / "masks").iterdir() if path.is_dir()] == [held_out]
    rows = json.loads((tmp_path / "out" / "table3.json").read_text())["rows"]
    assert {row["frames"] for row in rows} == {None, 6}


def test_of_a_single_cue_both_anchors_make_the_same_masks(finished):
    rows = json.loads((finished("table2").folder / "out" / "table2.json").read_text())["rows"]
    figures = {(row["cues"], row["of"]): (row["iou_mean"], row["dice_mean"], row["dice_deviation"]) for row in rows}
    for cue in ("color", "objectness", "location"):
        assert figures[cue, "positive anchor"] == figures[cue, "1 - negative anchor"]
    both = "color, objectness"
    assert figures[both, "positive anchor"] != figures[both, "1 - negative anchor"]


@pytest.mark.parametrize("table", list(LAYOUTS))
def test_every_table_says_above_its_figures_what_its_rows_were_made_with(table, finished):
    folder = finished(table).folder / "out"
    above, below = (folder / f"{table}.md").read_text().split("\n| ", 1)
    assert "Made with:" not in below
    for said in ("linear anchor loss", "foreground diffusion 1 (margin 0.2)", "texture", "Otsu", "plain products"):
        assert said in above
    settings = json.loads((folder / f"{table}.json").read_text())["settings"]
    texts = [*settings["shared"].values(), *(text for own in settings["own"] for text in own.values())]
    assert all(text in above for text in texts if isinstance(text, str))


def test_figure_2_shows_the_best_and_the_worst_frames_and_every_frame_as_video(finished):
    tmp_path, (_, _, *words) = finished("table1").folder, finished("table1").words
    run("benchmark", "figure2", *words)
    sheet = cv2.imread(str(tmp_path / "out" / "figure2.png"))
    assert sheet.shape[0] > 5 * 100
    video = cv2.VideoCapture(str(tmp_path / "out" / "figure2.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 6


def test_a_broken_off_table_goes_on_and_shares_one_network_but_no_rows_with_another_table(finished, monkeypatch):
    folder, (_, _, *words) = finished("table2").folder, finished("table2").words
    before = (folder / "out" / "table2.md").read_bytes()
    words = ("benchmark", "table1", *words)
    whole, calls = tables.run_cell, []

    def broken(cell, bench):
        calls.append(cell.key)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(cell, bench)

    monkeypatch.setattr(tables, "run_cell", broken)
    told = run(*words, code=130)
    assert "4 networks, 1 of them kept already; to train: 3 of 6 steps of 2 pairs at 64x80, 18 steps in all" in told
    assert "Not finished" in (folder / "out" / "table1.md").read_text()
    monkeypatch.setattr(tables, "run_cell", whole)
    told = run(*words)
    assert "4 networks, 3 of them kept already; to train: 1 of 6 steps" in told
    assert "Not finished" not in (folder / "out" / "table1.md").read_text()
    rows = json.loads((folder / "out" / "table1.json").read_text())["rows"]
    assert [row["of"] for row in rows] == ["network"] * 4
    of_table_2 = json.loads((folder / "out" / "table2.json").read_text())["rows"]
    assert rows[-1]["iou_mean"] == of_table_2[-1]["iou_mean"]
    assert (folder / "out" / "table2.md").read_bytes() == before


def test_the_cost_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    said = []

    def refused(cell, bench):
        raise KeyboardInterrupt

    monkeypatch.setattr(tables, "run_cell", refused)
    write_layout("isic2016", tmp_path / "set", recordings=1, frames=2)
    options = BenchmarkOptions(tmp_path / "set", tmp_path / "out", is_quick=True, say=said.append)
    with pytest.raises(KeyboardInterrupt):
        benchmark("table4", options)
    assert said[0].startswith("table4: 6 networks; to train: 6 of 6 steps of 2 pairs at 64x80, 36 steps in all")
    assert "about" in said[1]
    assert "on this machine (" in said[1]


def test_a_long_table_says_how_long_and_what_can_be_done(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "step_seconds", lambda recipe, device: 2.0 if recipe.name == "paper" else 1.0)
    monkeypatch.setattr(cost, "frame_seconds", lambda recipe, height_px, width_px, device: 0.0)
    write_layout("isic2016", tmp_path / "set", recordings=1, frames=2)
    dataset = read_dataset("isic2016", tmp_path / "set")
    rows = rows_of("table4", split_of(dataset), PAPER)
    cells = [cell for row in rows for cell in row.cells]
    first, long, done = cost.cost_lines("table4", cells, Bench(dataset, tmp_path / "out", "isic2016", device="cpu"))
    assert "4 of 1,800 steps of 6 pairs at 512x640, 2 of 150 steps of 4 pairs at 256x320, 7,500 steps in all" in first
    assert "about 4.1 hours on this machine (cpu" in long
    assert all(way in done for way in ("--quick", "--device cuda", "--set training.steps=300", "--recipe default"))


def test_a_finished_table_says_that_there_is_nothing_to_train(finished):
    told = run(*finished("table3").words)
    assert "table3: 7 networks, 7 of them kept already; nothing to train" in told
    assert "on this machine" not in told


def test_the_papers_recipe_is_the_usual_one_of_the_papers_tables():
    assert BenchmarkOptions(Path("data"), Path("out")).recipe == PAPER
    assert "[default: paper]" in " ".join(run("benchmark", "--help").split())
    assert "[default: default]" in " ".join(run("segment", "--help").split())


def score(video: str, frame: str, iou: float, truth: int = 100) -> FrameScore:
    common = round(iou * truth)
    return FrameScore(video, frame, Counts(np.array(common), np.array(common), np.array(truth), 1000))


def test_frames_of_a_figure_come_from_as_many_recordings_as_can_be():
    frames = tuple(score(video, str(n), 0.1 * n + 0.01 * (video == "b")) for video in "ab" for n in range(1, 9))
    chosen = chosen_frames((*frames, score("c", "empty", 1.0, truth=0)))
    assert [(frame.video, frame.frame) for frame in chosen[:2]] == [("b", "8"), ("a", "8")]
    assert [(frame.video, frame.frame) for frame in chosen[2:4]] == [("a", "1"), ("b", "1")]
    assert len(chosen) == 5


def test_masks_of_pictures_of_many_sizes_have_their_sizes(finished):
    tmp_path = finished("table4").folder
    truth = {path.stem: path for path in (tmp_path / "set").rglob("*_Segmentation.png")}
    masks = list((cell_folder(finished("table4"), "SS-0") / "run" / "test" / "masks").iterdir())
    shapes = {read_mask(mask).shape for mask in masks}
    assert len(shapes) > 1
    assert all(read_mask(mask).shape == read_mask(truth[f"{mask.stem}_Segmentation"]).shape for mask in masks)
