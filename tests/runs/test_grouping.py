"""`cuemask group` and `--instances`, on a run made up of plain shapes."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.instruments import SHAPE, instrument, picture
from tests.runs.test_damage import cuemask

from cuemask.errors import InputError, OutputError
from cuemask.evaluation.metrics import Counts, iou
from cuemask.grouping.classes import Group, as_toml
from cuemask.media.clips import open_clips
from cuemask.media.masks import read_mask, read_numbers, write_mask, write_rgb
from cuemask.recipe import DEFAULT
from cuemask.runs.confidences import Confidences, Told
from cuemask.runs.grouping import GroupOptions, group
from cuemask.runs.instruments import read_tracks
from cuemask.runs.record import told
from cuemask.runs.reporting import report

COUNT = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one clip, two instruments that come nearer; frames, true parts beside it."""
    place = tmp_path_factory.mktemp("grouping")
    run = place / "run"
    for n in range(COUNT):
        one, first, _ = instrument((-5, 130), (50 + 4 * n, 85), 14)
        other, second, _ = instrument((205, 130), (150 - 4 * n, 70), 14)
        parts = np.where(one, first, second)
        for folder in (place / "op", place / "parts", run / "op" / "masks"):
            folder.mkdir(parents=True, exist_ok=True)
        write_rgb(place / "op" / f"{n}.png", picture(parts))
        np.save(place / "parts" / f"{n}.npy", np.stack([parts, one, other & ~one]))
        write_mask(run / "op" / "masks" / f"{n}.png", one | other)
    record = told("predict", DEFAULT, 0, open_clips([place / "op"]), (0, 0, *SHAPE))
    (run / "run.json").write_text(json.dumps({"cuemask": "0", "status": "complete", **record}))
    confidences = Confidences(place / "work", resume=False)
    for n in range(COUNT):
        confidences.tell(str(n), Told(0.8, 0.1))
    confidences.finish(run / "op" / "confidence.csv")
    return run


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be written to."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def test_a_run_is_grouped_into_instances_tracks_parts_overlay_and_report(run: Path, made: Path):
    lines = group(run, options=GroupOptions(parts=True))
    assert lines == [f"op: 2 instruments (1 in {COUNT} frames, 2 in {COUNT} frames)"]
    clip = run / "op"
    owner: dict[int, int] = {}
    for n in range(COUNT):
        parts, one, other = np.load(made.parent / "parts" / f"{n}.npy")
        labels = read_numbers(clip / "instances" / f"{n}.png")
        assert np.array_equal(labels > 0, read_mask(clip / "masks" / f"{n}.png") > 0)
        for index, mask in enumerate((one > 0, other > 0)):
            number = int(np.bincount(labels[mask]).argmax())
            assert owner.setdefault(index, number) == number
            assert iou(Counts.of(labels == number, mask)) > 0.9
        codes = read_mask(clip / "parts" / f"{n}.png")
        assert np.array_equal(codes > 0, parts > 0)
        assert iou(Counts.of(codes == 10, parts == 10)) > 0.85
    assert (clip / "overlay.mp4").is_file()
    assert "When each instrument is in the picture" in report(run).read_text()
    groups = [Group(1, (("op", 1),), name="fenestrated <grasper>"), Group(2, (("op", 2),), merge=0)]
    (run / "classes.toml").write_text(as_toml(groups))
    assert report(run).read_text().count(">fenestrated &lt;grasper&gt;</text>") == 1


def test_a_line_of_tracks_tells_box_area_entry_direction_and_tips(run: Path):
    group(run, options=GroupOptions(overlay=False))
    assert not (run / "op" / "overlay.mp4").exists()
    rows = list(csv.DictReader((run / "op" / "tracks.csv").read_text().splitlines()))
    assert [row["frame"] for row in rows] == [str(n // 2) for n in range(2 * COUNT)]
    labels = read_numbers(run / "op" / "instances" / "0.png")
    for row in rows[:2]:
        y, x = np.nonzero(labels == int(row["instrument"]))
        assert [int(row[side]) for side in ("x0", "y0", "x1", "y1")] == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert int(row["area_px"]) == len(x)
        assert float(row["entry_x"]) == pytest.approx(0 if float(row["direction_x"]) > 0 else SHAPE[1], abs=3)
        assert float(row["width_px"]) == pytest.approx(14, abs=4)
        assert 0 < float(row["confidence"]) <= 1
        assert 14 < float(row["reach_px"]) < 5 * 14
    reach = [f"{one.reach_px:.1f}" for _, found in read_tracks(run / "op" / "tracks.csv") for one in found]
    assert reach == [row["reach_px"] for row in rows]
    told_again = [(name, one.number) for name, found in read_tracks(run / "op" / "tracks.csv") for one in found]
    assert told_again == [(row["frame"], int(row["instrument"])) for row in rows]


def test_resume_leaves_what_is_complete_and_makes_what_is_gone(run: Path):
    group(run, options=GroupOptions(overlay=False))
    first = run / "op" / "instances" / "0.png"
    before = first.stat().st_mtime_ns
    group(run, options=GroupOptions(overlay=False, resume=True))
    assert first.stat().st_mtime_ns == before
    (run / "op" / "instances" / "3.png").unlink()
    group(run, options=GroupOptions(overlay=False, resume=True))
    assert (run / "op" / "instances" / "3.png").is_file()
    assert first.stat().st_mtime_ns != before


def test_a_grouping_that_breaks_off_leaves_no_table(run: Path):
    group(run, options=GroupOptions(overlay=False))
    (run / "op" / "masks" / "4.png").unlink()
    with pytest.raises(InputError, match=r"4\.png: gone"):
        group(run, options=GroupOptions(overlay=False))
    assert not (run / "op" / "tracks.csv").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "running"}, "is not complete"),
        ({"inputs": []}, "is no clip"),
    ],
)
def test_a_run_that_is_not_complete_is_refused(run: Path, change: dict[str, object], words: str):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | change))
    with pytest.raises(InputError, match=words):
        group(run)


def test_a_run_without_masks_or_whose_source_is_gone_is_refused(run: Path, tmp_path: Path):
    masks = run / "op" / "masks"
    masks.rename(tmp_path / "masks")
    with pytest.raises(InputError, match="holds no masks"):
        group(run)
    (tmp_path / "masks").rename(masks)
    record = json.loads((run / "run.json").read_text())
    source = record["inputs"][0]["source"]
    record["inputs"][0]["source"] = str(tmp_path / "absent")
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="cuemask group"):
        group(run)
    assert group(run, [source], GroupOptions(overlay=False))


def test_a_run_of_a_data_set_is_told_where_that_lies(run: Path, made: Path, tmp_path: Path):
    (run / "op").rename(run / "seq_1")
    frames = tmp_path / "set" / "seq_1" / "left_frames"
    frames.mkdir(parents=True)
    for n in range(COUNT):
        shutil.copy(made.parent / "op" / f"{n}.png", frames / f"frame00{n}.png")
        (run / "seq_1" / "masks" / f"{n}.png").rename(run / "seq_1" / "masks" / f"frame00{n}.png")
    record = json.loads((run / "run.json").read_text())
    record["inputs"][0] |= {"clip": "seq_1", "source": "seq_1"}
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="a data set's") as refused:
        group(run)
    assert "--dataset NAME --data ROOT" in refused.value.remedy
    cuemask("group", run, "--dataset", "endovis2018", "--data", tmp_path / "set", "--no-overlay", "--quiet")
    assert (run / "seq_1" / "tracks.csv").is_file()


def test_what_is_no_run_is_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises((InputError, OutputError), match=r"no run"):
        group(tmp_path)


def test_what_the_run_blanked_stays_blanked(run: Path, monkeypatch: pytest.MonkeyPatch):
    record = json.loads((run / "run.json").read_text())
    stretch = {"first_number": 1, "last_number": 2}
    record |= {"blanks": ["outside"], "outside": {"op": [stretch]}}
    (run / "run.json").write_text(json.dumps(record))
    seen: list[str] = []
    monkeypatch.setattr(
        "cuemask.runs.instruments_of_clip.blanked", lambda rgb, words: seen.append(words) or np.zeros_like(rgb)
    )
    group(run)
    assert seen == ["outside the body"] * 2


def test_predict_tells_instruments_apart_at_once(made: Path, tmp_path: Path):
    pytest.importorskip("onnxruntime")
    flags = [
        "--crop",
        f"0,0,{SHAPE[0]},{SHAPE[1]}",
        "--no-report",
        "--no-overlay",
        "--quiet",
        "--out",
        tmp_path / "out",
    ]
    cuemask("predict", "drawn", made.parent / "op", "--parts", *flags)
    clip = tmp_path / "out" / "op"
    for kind in ("instances", "parts"):
        assert len(list((clip / kind).glob("*.png"))) == COUNT
    table = (clip / "tracks.csv").read_bytes()
    (clip / "tracks.csv").unlink()
    cuemask("predict", "drawn", made.parent / "op", "--parts", "--resume", *flags)
    assert (clip / "tracks.csv").read_bytes() == table
