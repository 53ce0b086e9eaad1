from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cuemask.cli import main
from cuemask.errors import OutputError
from cuemask.inference.confidence import confidence
from cuemask.media.area import fixed_area
from cuemask.media.masks import read_mask
from cuemask.runs import predicting
from cuemask.runs.confidences import FILE, Confidences, Told, told_of

HEADER = "frame,confidence,share"
FRAMES = [f"{k:06d}" for k in range(10)]


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


# The table alone


def some(count: int = 6) -> dict[str, Told]:
    return {f"f{k}": Told(round(0.9 - 0.07 * ((3 * k) % count), 4), round(0.01 * k, 4)) for k in range(count)}


def tell(confidences: Confidences, lines: dict[str, Told]) -> None:
    for frame, told in lines.items():
        confidences.tell(frame, told)


def test_the_table_has_a_line_a_frame_in_the_order_told(tmp_path):
    confidences = Confidences(tmp_path / "work", resume=False)
    tell(confidences, {"b": Told(0.5, 0.25), "a": Told(1.0, 0.0)})
    confidences.finish(tmp_path / FILE)
    assert (tmp_path / FILE).read_text() == f"{HEADER}\nb,0.5000,0.2500\na,1.0000,0.0000\n"


def test_a_clip_without_frames_gives_a_table_without_lines(tmp_path):
    confidences = Confidences(tmp_path, resume=False)
    confidences.finish(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == f"{HEADER}\n"


def test_names_that_csv_has_to_quote_come_back(tmp_path):
    confidences = Confidences(tmp_path, resume=False)
    lines = {'a "b", c': Told(0.5, 0.25), "dé": Told(0.25, 0.5)}
    tell(confidences, lines)
    assert Confidences(tmp_path, resume=True).before == lines


def unbroken(folder: Path, lines: dict[str, Told]) -> str:
    confidences = Confidences(folder / "unbroken", resume=False)
    tell(confidences, lines)
    confidences.finish(folder / "unbroken.csv")
    return (folder / "unbroken.csv").read_text()


@pytest.mark.parametrize("told_before", range(7))
def test_a_resumed_table_is_that_of_an_unbroken_run(tmp_path, told_before):
    lines, work = some(), tmp_path / "work"
    tell(Confidences(work, resume=False), dict(list(lines.items())[:told_before]))
    resumed = Confidences(work, resume=True)
    assert list(resumed.before.items()) == list(lines.items())[:told_before]
    tell(resumed, lines)
    resumed.finish(tmp_path / FILE)
    assert (tmp_path / FILE).read_text() == unbroken(tmp_path, lines)


def test_a_run_cut_at_any_byte_and_cut_again_gives_the_table_of_an_unbroken_run(tmp_path):
    lines = some(4)
    whole = unbroken(tmp_path, lines)
    log = (tmp_path / "unbroken" / FILE).read_text()
    for first in range(len(log)):
        work = tmp_path / f"work{first}"
        work.mkdir()
        (work / FILE).write_text(log[:first])
        half = Confidences(work, resume=True)
        tell(half, dict(list(lines.items())[:3]))  # and killed once more
        last = Confidences(work, resume=True)
        assert list(last.before) == ["f0", "f1", "f2"]
        tell(last, lines)
        last.finish(tmp_path / f"{first}.csv")
        assert (tmp_path / f"{first}.csv").read_text() == whole, f"cut at byte {first}"


def test_half_a_last_line_is_not_taken_for_a_frame(tmp_path):
    tell(Confidences(tmp_path, resume=False), {"a": Told(0.5, 0.25), "b": Told(0.7, 0.125)})
    log = (tmp_path / FILE).read_text()
    for missing in range(1, 10):
        (tmp_path / FILE).write_text(log[:-missing])
        assert Confidences(tmp_path, resume=True).before == {"a": Told(0.5, 0.25)}


@pytest.mark.parametrize("damage", ["digit", "name", "quote", "zeros", "bytes"])
def test_a_line_that_has_changed_does_not_count_and_its_frame_is_told_in_its_place_again(tmp_path, damage):
    lines, work = some(), tmp_path / "work"
    tell(Confidences(work, resume=False), lines)
    log = (work / FILE).read_bytes()
    place = log.index(b"\nf2,") + 1
    changed = {"digit": (4, b"9"), "name": (0, b"g"), "quote": (0, b'"'), "zeros": (1, b"\0\0"), "bytes": (3, b"\xff")}
    offset, new = changed[damage]
    (work / FILE).write_bytes(log[: place + offset] + new + log[place + offset + len(new) :])
    resumed = Confidences(work, resume=True)
    assert "f2" not in resumed.before
    assert resumed.before.items() <= lines.items()
    assert set(resumed.before) >= ({"f0", "f1"} if damage == "quote" else lines.keys() - {"f2"})
    tell(resumed, lines)
    resumed.finish(tmp_path / FILE)
    assert (tmp_path / FILE).read_text() == unbroken(tmp_path, lines)


def test_a_finished_table_counts_where_the_work_folder_is_gone(tmp_path):
    tell(first := Confidences(tmp_path / "work", resume=False), some())
    first.finish(tmp_path / FILE)
    again = Confidences(tmp_path / "new", resume=True, finished=tmp_path / FILE)
    assert again.before == some()
    assert Confidences(tmp_path / "new", resume=False, finished=tmp_path / FILE).before == {}


def test_without_resume_what_an_earlier_run_left_does_not_count(tmp_path):
    tell(Confidences(tmp_path, resume=False), some())
    assert Confidences(tmp_path, resume=False).before == {}
    assert (tmp_path / FILE).read_text() == f"{HEADER}\n"


def test_a_frame_that_was_computed_again_has_its_new_values_in_its_old_place(tmp_path):
    lines = some()
    tell(Confidences(tmp_path, resume=False), lines)
    resumed = Confidences(tmp_path, resume=True)
    changed = lines | {"f2": Told(0.123, 0.5)}
    tell(resumed, changed)
    resumed.finish(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == unbroken(tmp_path, changed)


def test_a_finished_table_is_still_known_while_the_run_has_other_clips_to_go(tmp_path):
    confidences = Confidences(tmp_path / "work", resume=False)
    tell(confidences, some())
    confidences.finish(tmp_path / FILE)
    assert Confidences(tmp_path / "work", resume=True).before == some()


def test_a_table_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path):
    confidences = Confidences(tmp_path / "work", resume=False)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a file stands where a folder is needed"):
        confidences.finish(tmp_path / "file" / FILE)


def test_what_is_told_of_a_frame_has_the_digits_of_the_table():
    p = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    told = told_of(p, p > 0.5, fixed_area(0, 0, 7, 9, 7, 9))
    assert told == (round(confidence(p, p > 0.5), 4), round(float((p > 0.5).sum()) / 63, 4))
    assert told == Told(*(float(f"{value:.4f}") for value in told))


def test_only_the_endoscopes_picture_is_looked_at_but_the_share_is_of_the_frame():
    area = fixed_area(8, 10, 24, 40, 40, 60)
    p, mask = np.zeros((24, 40), np.float32), np.zeros((40, 60), bool)
    p[:12] = 1
    area.crop(mask)[:12] = True
    assert told_of(p, mask, area) == Told(1.0, 0.2)


# In runs


@pytest.fixture(scope="module")
def whole(phantom, tmp_path_factory) -> Path:
    """An unbroken run of `segment`, and of `predict` by its model."""
    from tests.runs.conftest import SETTINGS

    folder = tmp_path_factory.mktemp("confidence")
    quick = [flag for setting in SETTINGS for flag in ("--set", setting)]
    assert cuemask("segment", phantom.frames, "--out", folder / "segment", "--no-overlay", *quick).exit_code == 0
    run = ("predict", folder / "segment", phantom.frames, "--out", folder / "predict", "--no-overlay")
    assert cuemask(*run).exit_code == 0
    return folder


@pytest.mark.parametrize("command", ["segment", "predict"])
def test_a_run_writes_a_line_for_each_frame_in_order(whole, command):
    header, *rows = table(whole / command / "frames" / FILE)
    assert ",".join(header) == HEADER
    assert [row[0] for row in rows] == FRAMES
    for frame, sure, share in rows:
        assert re.fullmatch(r"[01]\.\d{4}", sure)
        assert 0 <= float(sure) <= 1
        mask = read_mask(whole / command / "frames" / "masks" / f"{frame}.png") > 0
        assert float(share) == pytest.approx(mask.mean(), abs=5e-5)


def test_segment_and_predict_with_its_model_tell_the_same(whole):
    assert table(whole / "segment" / "frames" / FILE) == table(whole / "predict" / "frames" / FILE)


def test_the_closing_line_names_the_least_sure_frames_and_the_table(phantom, whole, out):
    said = cuemask("predict", whole / "segment", phantom.frames, "--out", out, "--no-overlay").output
    (line,) = [line for line in said.splitlines() if "least sure" in line]
    rows = table(whole / "segment" / "frames" / FILE)[1:]
    named = re.findall(r"(\d{6}) \((\d\.\d\d)\)", line)
    sure = {frame: float(told) for frame, told, _ in rows}
    assert sure[named[0][0]] == min(sure.values())
    assert [told for _, told in named] == [f"{sure[frame]:.2f}" for frame, _ in named]
    assert sorted(named, key=lambda one: sure[one[0]]) == named
    assert len(named) > 2
    assert np.diff(sorted(int(frame) for frame, _ in named)).min() >= 2, "neighbours show the same"
    assert str(out / "frames" / FILE) in line


def test_nothing_is_said_when_quiet_but_the_table_is_there(phantom, whole, out):
    run = ("predict", whole / "segment", phantom.frames, "--out", out, "--no-overlay", "--quiet")
    assert cuemask(*run).output == ""
    assert (out / "frames" / FILE).is_file()


def interrupted_after(monkeypatch, masks: int) -> None:
    """Have the disk full once so many masks are written."""
    from tests.runs.test_runs import learning_output_error

    original, written = predicting.write_mask, []

    def full(path: Path, mask: np.ndarray) -> None:
        if len(written) == masks:
            import errno

            raise learning_output_error(path, errno.ENOSPC)
        written.append(path)
        original(path, mask)

    monkeypatch.setattr(predicting, "write_mask", full)


@pytest.mark.parametrize("masks", [0, 3, 9])
@pytest.mark.parametrize("half_a_line", ["", "0000", "000009,0.93"])
def test_an_interrupted_run_resumed_has_the_table_of_an_unbroken_one(
    phantom, whole, out, monkeypatch, masks, half_a_line
):
    run = ("predict", whole / "segment", phantom.frames, "--out", out, "--no-overlay")
    with monkeypatch.context() as patched:
        interrupted_after(patched, masks)
        assert cuemask(*run).exit_code == 2
    log = out / ".work" / "frames" / FILE
    assert not (out / "frames" / FILE).exists()
    with log.open("a") as file:
        file.write(half_a_line)
    assert cuemask(*run, "--resume").exit_code == 0
    assert (out / "frames" / FILE).read_bytes() == (whole / "predict" / "frames" / FILE).read_bytes()
    assert not (out / ".work").exists()


def test_segment_interrupted_in_prediction_has_the_table_of_an_unbroken_run(phantom, quick, whole, out, monkeypatch):
    run = ("segment", phantom.frames, "--out", out, "--no-overlay", *quick)
    with monkeypatch.context() as patched:
        interrupted_after(patched, 4)
        assert cuemask(*run).exit_code == 2
    kept = {p: p.stat().st_mtime_ns for p in (out / "frames" / "masks").glob("[!.]*.png")}
    told = [row[0] for row in table(out / ".work" / "frames" / FILE)[1:]]
    assert told == FRAMES[: len(told)]
    assert cuemask(*run, "--resume").exit_code == 0
    assert (out / "frames" / FILE).read_bytes() == (whole / "segment" / "frames" / FILE).read_bytes()
    for frame in told:
        path = out / "frames" / "masks" / f"{frame}.png"
        assert path.stat().st_mtime_ns == kept[path], "a frame that was told was computed again"


def test_a_mask_without_its_line_is_computed_again(phantom, whole, out, monkeypatch):
    run = ("predict", whole / "segment", phantom.frames, "--out", out, "--no-overlay")
    with monkeypatch.context() as patched:
        interrupted_after(patched, 6)
        assert cuemask(*run).exit_code == 2
    log = out / ".work" / "frames" / FILE
    log.write_text(f"{HEADER}\n")
    assert cuemask(*run, "--resume").exit_code == 0
    assert (out / "frames" / FILE).read_bytes() == (whole / "predict" / "frames" / FILE).read_bytes()


def test_clips_that_were_finished_before_the_interruption_are_not_computed_again(phantom, whole, out, monkeypatch):
    run = ("predict", whole / "segment", phantom.frames, phantom.video, "--out", out, "--no-overlay")
    with monkeypatch.context() as patched:
        interrupted_after(patched, 13)
        assert cuemask(*run).exit_code == 2
    before = {p: p.stat().st_mtime_ns for p in (out / "frames" / "masks").iterdir()}
    assert len(before) == 10
    assert cuemask(*run, "--resume").exit_code == 0
    assert before == {p: p.stat().st_mtime_ns for p in (out / "frames" / "masks").iterdir()}
    assert [row[0] for row in table(out / "clip" / FILE)[1:]] == FRAMES
    assert (out / "frames" / FILE).read_bytes() == (whole / "predict" / "frames" / FILE).read_bytes()
    assert json.loads((out / "run.json").read_text())["status"] == "complete"
