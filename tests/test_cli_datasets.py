from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cuemask.cli import main
from cuemask.datasets.catalogue import DATASETS
from cuemask.phantom.layouts import LAYOUTS, write_layout

QUICK = (
    "network.start=chance",
    "network.width=4",
    "network.depth=2",
    "input.height_px=48",
    "input.width_px=64",
    "training.steps=3",
    "training.label_steps=0",
    "training.pairs_per_step=1",
    'cues.use=["color","location"]',
)


def run(*words: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def quick(*words: str | Path) -> str:
    return run(*words, "--quiet", *(flag for setting in QUICK for flag in ("--set", setting)))


def test_every_data_set_is_listed_with_its_terms_and_where_to_ask_for_it():
    told = run("datasets")
    for about in DATASETS.values():
        assert f"{about.name}  {about.title}" in told
        assert about.terms in told
        assert about.access in told


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_miniature_of_every_layout_is_checked_without_a_problem(layout, tmp_path):
    told = run("phantom", "--layout", layout, "--out", tmp_path / "set")
    name = told.split("datasets check ")[1].split()[0]
    assert "problems: none" in run("datasets", "check", name, tmp_path / "set", "--quiet")


def test_a_set_with_a_damaged_mask_ends_with_exit_code_2_and_the_file(tmp_path):
    write_layout("cholecseg8k", tmp_path / "set")
    (broken := next((tmp_path / "set").rglob("*_watershed_mask.png"))).write_bytes(b"no picture")
    assert broken.name in run("datasets", "check", "cholecseg8k", tmp_path / "set", "--quiet", code=2)


@pytest.mark.parametrize("layout", ["endovis2017", "endovis2015", "kvasir", "robustmis"])
def test_a_data_set_is_segmented_and_evaluated_by_name(layout, tmp_path):
    write_layout(layout, tmp_path / "set", frames=3)
    of = ("--dataset", layout, "--data", tmp_path / "set")
    quick("segment", *of, "--out", tmp_path / "run", "--no-overlay")
    found = json.loads(run("evaluate", tmp_path / "run", *of, "--json"))
    truth = json.loads(run("datasets", "check", layout, tmp_path / "set", "--quiet", "--json"))
    assert found["frame_count"] == truth["frame_count"] - truth["frames_without_truth"]


def test_videos_are_trained_on_and_others_predicted(tmp_path):
    write_layout("endovis2018", tmp_path / "set", recordings=3, frames=3)
    of = ("--dataset", "endovis2018", "--data", tmp_path / "set", "--videos")
    quick("train", *of, "1,2", "--labels", "50", "--out", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [entry["clip"] for entry in record["inputs"]] == ["seq_1", "seq_2"]
    assert record["labels"]["frames"] == {"seq_1": 2, "seq_2": 2}
    run("predict", tmp_path / "run", *of, "3", "--out", tmp_path / "masks", "--quiet", "--no-overlay")
    assert "frames  3" in run("evaluate", tmp_path / "masks", *of, "3")


def test_pictures_of_many_sizes_get_masks_of_their_own_sizes_and_the_sets_own_protocol(tmp_path):
    write_layout("isic2016", tmp_path / "set", frames=3)
    of = ("--dataset", "isic2016", "--data", tmp_path / "set", "--videos", "test")
    quick("segment", *of, "--recipe", "lesion", "--out", tmp_path / "run")
    told = run("evaluate", tmp_path / "run", *of)
    assert "sensitivity" in told
    assert not list((tmp_path / "run").rglob("overlay.mp4"))


def test_the_prescribed_crop_is_taken_unless_another_is_given(tmp_path):
    write_layout("endovis2017", tmp_path / "set", recordings=1, frames=2, full_size=True)
    of = ("--dataset", "endovis2017", "--data", tmp_path / "set")
    quick("anchors", *of, "--out", tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["crop"] == [28, 320, 1024, 1280]
    quick("anchors", *of, "--crop", "0,0,500,500", "--out", tmp_path / "other")
    assert json.loads((tmp_path / "other" / "run.json").read_text())["crop"] == [0, 0, 500, 500]


@pytest.mark.parametrize(
    "words",
    [
        ("segment", "--out", "o"),
        ("segment", "clip.mp4", "--dataset", "folders", "--data", ".", "--out", "o"),
        ("segment", "--dataset", "folders", "--out", "o"),
        ("segment", "--videos", "1", "--out", "o"),
        ("segment", "clip.mp4", "--labels", "101", "--out", "o"),
        ("segment", "--dataset", "folder", "--data", ".", "--out", "o"),
    ],
)
def test_what_does_not_fit_together_is_refused(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(*words, code=2)
    assert not (tmp_path / "o").exists()
