"""What runs keep for themselves, damaged or deleted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.runs.conftest import SETTINGS

from cuemask.cli import main
from cuemask.errors import OutputError
from cuemask.media.masks import read_mask
from cuemask.runs import learning
from cuemask.runs.record import read_record

TIMED = ("run.json", "report.html")
FLAGS = ("--no-overlay", "--quiet")


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def results(out: Path) -> dict[str, bytes]:
    """All files of a run but its record and its page, which tell how long it took."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name not in TIMED)
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def predicted(phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("predicted") / "out"
    assert cuemask("predict", "drawn", phantom.frames, "--out", out, "--every", "3", "--quiet").exit_code == 0
    return out


@pytest.mark.parametrize(
    "gone", ["masks/000003.png", "masks", "overlay.mp4", "sheet.png", "shown", "confidence.csv", ""]
)
def test_what_is_gone_of_a_complete_run_is_made_again(phantom, predicted, out, gone, caplog):
    shutil.copytree(predicted, out)
    whole, lost = results(predicted), out / "frames" / gone
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    kept = {path: path.stat().st_mtime_ns for path in (out / "frames").glob("masks/*.png")}
    run = ("predict", "drawn", phantom.frames, "--out", out, "--every", "3", "--quiet", "--resume")
    assert cuemask(*run).exit_code == 0
    assert results(out) == whole
    assert "is made again" in caplog.text
    if gone != "confidence.csv":
        assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items()), "a mask was made again"
    caplog.clear()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert cuemask(*run).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before, "a complete run did something"
    assert not caplog.text


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"text"])
def test_a_damaged_mask_of_an_interrupted_run_is_made_again(phantom, predicted, out, content):
    shutil.copytree(predicted, out)
    (out / "frames" / "masks" / "000003.png").write_bytes(content)
    (out / "frames" / "sheet.png").unlink()
    run = ("predict", "drawn", phantom.frames, "--out", out, "--every", "3", "--quiet", "--resume")
    assert cuemask(*run).exit_code == 0
    assert results(out) == results(predicted)


def test_maps_of_anchors_that_are_gone_are_made_again(phantom, quick, out):
    run = ("anchors", phantom.frames, "--out", out, "--every", "4", "--quiet", *quick)
    cuemask(*run)
    whole = results(out)
    (out / "frames" / "color" / "000004.png").unlink()
    assert cuemask(*run, "--resume").exit_code == 0
    assert results(out) == whole


@pytest.fixture(scope="module")
def learnt(phantom, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[object], Path, dict[str, bytes]]:
    """A command, the folder of its run that ended before the network was written, and an unbroken run's results."""
    settings = [*SETTINGS, "training.pasted=0", "cues.use=color,location", "training.steps=2"]
    folder = tmp_path_factory.mktemp("learnt")
    run = ["segment", phantom.frames, "--every", "3", *FLAGS, *(flag for one in settings for flag in ("--set", one))]
    assert cuemask(*run, "--out", folder / "whole").exit_code == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(learning, "save_model", lambda *_: (_ for _ in ()).throw(OutputError("stopped", "go on")))
        assert cuemask(*run, "--out", folder / "stopped").exit_code == 2
    return run, folder / "stopped", results(folder / "whole")


WORK = ["rgb.npy", "frames.npy", "pictures.seal", "location.npy", "names.json", "cues.seal"]
WORK += ["anchors.npy", "features.npy", "features.seal"]


@pytest.mark.parametrize("file", [*(f"frames/{name}" for name in WORK), "checkpoint.pt"])
def test_a_damaged_file_of_an_interrupted_run_is_told_and_changes_nothing(learnt, out, file, caplog):
    """Also where the damage is a bit that whoever reads the file cannot see."""
    run, stopped, unbroken = learnt
    shutil.copytree(stopped, out)
    path = out / ".work" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    done = cuemask(*run, "--out", out, "--resume")
    assert done.exit_code == 0, done.output
    assert ("damaged" if path.suffix == ".seal" else path.name) in caplog.text
    assert results(out) == unbroken


OURS = '{"cuemask": "0.1.0", "command": "predict", "seconds": %s}'


@pytest.mark.parametrize("content", ["", "[]", "null", "[" * 5000, OURS % "[]", OURS % '{"cues": "x"}', "{"])
def test_a_damaged_record_is_named_and_nothing_is_touched(phantom, predicted, out, content):
    shutil.copytree(predicted, out)
    (out / "run.json").write_text(content)
    before = results(out)
    for resume in ((), ("--resume",)):
        done = cuemask("predict", "drawn", phantom.frames, "--out", out, "--every", "3", *resume)
        assert done.exit_code == 2
        assert f"{out / 'run.json'}: damaged" in done.stderr
    assert results(out) == before


def test_a_record_is_read_as_it_was_written(predicted):
    record = read_record(predicted / "run.json")
    assert record is not None
    assert record["status"] == "complete"
    assert read_mask(predicted / "frames" / "masks" / "000003.png").dtype == np.uint8
