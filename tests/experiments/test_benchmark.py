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
from cuemask.evaluation.frames import FrameScore
from cuemask.evaluation.metrics import Counts
from cuemask.experiments import tables
from cuemask.experiments.figure import chosen_frames
from cuemask.media.masks import read_mask
from cuemask.phantom.layouts import write_layout

LAYOUTS = {"table1": "endovis2017", "table2": "endovis2017-cropped", "table3": "endovis2018", "table4": "isic2016"}
NAMES = {"table2": "endovis2017"}
CELLS = {"table1": 4, "table2": 8, "table3": 7, "table4": 6}


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
    masks = tmp_path / "out" / "cells" / "SS-0" / "run"
    truth = json.loads(run("evaluate", masks, *words[2:6], "--json"))
    whole = json.loads((tmp_path / "out" / "table1.json").read_text())["rows"][0]
    assert whole["iou_mean"] == pytest.approx(100 * truth["iou"]["mean"])
    assert whole["dice_deviation"] == pytest.approx(100 * truth["dice"]["deviation"])
    assert whole["frames"] == 6


def test_held_out_recordings_are_not_learnt_from_and_all_are_scored(finished):
    tmp_path = finished("table3").folder
    cells = tmp_path / "out" / "cells"
    for fold, (learnt, held_out) in enumerate([("seq_2", "seq_1"), ("seq_1", "seq_2")]):
        record = json.loads((cells / f"TT-50-fold{fold}" / "run" / "run.json").read_text())
        assert [entry["clip"] for entry in record["inputs"]] == [learnt]
        assert record["labels"]["frames"] == {learnt: 2}
        assert [path.name for path in (cells / f"TT-50-fold{fold}" / "masks").iterdir() if path.is_dir()] == [held_out]
    rows = json.loads((tmp_path / "out" / "table3.json").read_text())["rows"]
    assert {row["frames"] for row in rows} == {None, 6}


def test_other_settings_in_the_same_folder_are_refused(finished):
    assert "training" in run(*finished("table1").words, "--set", "training.learning_rate=0.1", code=2)


def test_figure_2_shows_the_best_and_the_worst_frames_and_every_frame_as_video(finished):
    tmp_path, (_, _, *words) = finished("table1").folder, finished("table1").words
    run("benchmark", "figure2", *words)
    sheet = cv2.imread(str(tmp_path / "out" / "figure2.png"))
    assert sheet.shape[0] > 5 * 100
    video = cv2.VideoCapture(str(tmp_path / "out" / "figure2.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 6


def test_a_broken_off_table_goes_on(tmp_path, monkeypatch):
    words = ("benchmark", "table1", *made(tmp_path, "table1"), "--out", tmp_path / "out", "--quick", "--quiet")
    whole, calls = tables.run_cell, []

    def broken(cell, bench):
        calls.append(cell.key)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(cell, bench)

    monkeypatch.setattr(tables, "run_cell", broken)
    run(*words, code=130)
    assert "Not finished" in (tmp_path / "out" / "table1.md").read_text()
    monkeypatch.setattr(tables, "run_cell", whole)
    run(*words)
    assert "Not finished" not in (tmp_path / "out" / "table1.md").read_text()


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
    masks = list((tmp_path / "out" / "cells" / "SS-0" / "run" / "test" / "masks").iterdir())
    shapes = {read_mask(mask).shape for mask in masks}
    assert len(shapes) > 1
    assert all(read_mask(mask).shape == read_mask(truth[f"{mask.stem}_Segmentation"]).shape for mask in masks)
