"""Nothing is written where it should not be: not onto truth, not onto sources, not beside another run."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cuemask.cli import main
from cuemask.media.files import output_errors
from cuemask.media.folders import LOCK


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(*arguments: object) -> str:
    result = cuemask(*arguments)
    assert result.exit_code == 2, result.output
    return result.stderr


@pytest.fixture
def case(phantom, tmp_path) -> Path:
    """Three frames with their true masks, as `--dataset folders` has them."""
    for kind in ("frames", "masks"):
        (tmp_path / "x" / "case" / kind).mkdir(parents=True)
        for number in range(3):
            shutil.copy(getattr(phantom, kind) / f"{number:06}.png", tmp_path / "x" / "case" / kind)
    return tmp_path / "x" / "case"


def commands(case: Path) -> list[list[object]]:
    return [
        ["segment", "--dataset", "folders", "--data", case, "--out", case],
        ["segment", case / "frames", "--out", case.parent],
        ["train", case / "frames", "--out", case],
        ["anchors", case / "frames", "--out", case],
        ["predict", "drawn", case / "frames", "--out", case],
        ["phantom", "--frames", "2", "--out", case],
        ["phantom", "--layout", "folders", "--out", case],
        ["benchmark", "table1", "--quick", "--dataset", "folders", "--data", case, "--out", case],
    ]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("left", [(), ("--resume",), ("run.json",)])
def test_no_command_writes_into_a_folder_that_is_not_its_own(case, number, left):
    command = commands(case)[number]
    if "--resume" in left and command[0] in ("phantom", "benchmark"):
        pytest.skip("has no --resume")
    if "run.json" in left:  # of another program
        (Path(str(command[-1])) / "run.json").write_text('{"status": "complete"}')
    before = tree(case.parent)
    assert "holds something that this command has not written" in refused(*command, *(f for f in left if f[0] == "-"))
    assert tree(case.parent) == before


def test_a_run_that_made_nothing_is_not_begun_anew_over_what_was_put_beside_it(case, quick):
    (case / "run.json").write_text('{"cuemask": "0.1.0", "status": "running", "command": "segment"}')
    before = tree(case)
    assert "holds a run already" in refused("segment", case / "frames", "--out", case, *quick)
    assert tree(case) == before


def test_a_source_is_not_overwritten_by_its_own_overlay(phantom, tmp_path):
    (tmp_path / "in" / "overlay").mkdir(parents=True)
    video = Path(shutil.copy(phantom.video, tmp_path / "in" / "overlay" / "overlay.mp4"))
    before = video.read_bytes()
    assert "overlay.mp4" in refused("predict", "drawn", video, "--out", tmp_path / "in")
    assert video.read_bytes() == before
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["overlay"]


@pytest.mark.parametrize("name", ["...mp4", "..mp4", ".work.mp4", "run.json.mp4"])
def test_no_name_leads_out_of_the_folder(phantom, tmp_path, name):
    video = shutil.copy(phantom.video, tmp_path / name)
    assert "would be called" in refused("predict", "drawn", video, "--out", tmp_path / "results" / "out")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_phantom_takes_its_own_folder_again_and_no_other(tmp_path):
    for frames, left in ((3, 3), (2, 2)):
        assert cuemask("phantom", "--out", tmp_path / "p", "--frames", frames, "--quiet").exit_code == 0
        assert len(list((tmp_path / "p" / "masks").iterdir())) == left


def test_a_file_that_no_command_of_ours_wrote_is_not_replaced(case, phantom, tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_text("video,frame,label\n")
    assert "exists" in refused("evaluate", phantom.masks, phantom.masks, "--csv", mine)
    assert mine.read_text() == "video,frame,label\n"
    assert "exists" in refused("evaluate", phantom.masks, phantom.masks, "--csv", case / "masks" / "000000.png")
    for name in ("t.csv", "t.txt", "t.json"):
        for extra in ((), ("--surface",), ()):
            assert cuemask("evaluate", phantom.masks, phantom.masks, "--csv", tmp_path / name, *extra).exit_code == 0


def test_figures_of_a_live_run_do_not_replace_the_record_of_another(phantom, tmp_path):
    record = tmp_path / "run.json"
    record.write_text('{"cuemask": "0.1.0", "command": "segment"}')
    assert "exists" in refused("live", phantom.video, "--model", "drawn", "--no-page", "--figures", record)
    assert record.read_text() == '{"cuemask": "0.1.0", "command": "segment"}'
    for _ in range(2):
        done = cuemask("live", phantom.video, "--model", "drawn", "--no-page", "--figures", tmp_path / "f.json")
        assert done.exit_code == 0, done.output


def test_a_device_is_not_replaced_by_a_file(phantom):
    assert "a device" in refused("evaluate", phantom.masks, phantom.masks, "--csv", "/dev/null")
    assert Path("/dev/null").is_char_device()


# One run at a time


def heeding() -> None:
    """Undo what `nohup`, under which the tests may run, hands down: that SIGHUP is not heeded."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def begun(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "cuemask", *map(str, arguments)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=heeding
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_of_two_at_once_the_second_is_refused_by_name_of_the_first_and_what_it_left_is_taken_over(tmp_path):
    out = tmp_path / "out"
    with begun("phantom", "--out", out, "--frames", "100000", "--quiet") as first:
        wait_for((out / "scene.json").is_file)
        assert f"process {first.pid} on " in refused("phantom", "--out", out, "--frames", "2", "--quiet")
        first.kill()
        first.wait()
    assert (out / LOCK).is_file()
    assert cuemask("phantom", "--out", out, "--frames", "2", "--quiet").exit_code == 0
    assert len(os.listdir(out / "masks")) == 2  # noqa: PTH208 (names are counted)
    assert not (out / LOCK).exists()


def test_runs_into_one_folder_at_once_are_refused_and_the_first_is_as_if_alone(phantom, tmp_path, monkeypatch):
    """The second comes while the first has not yet written what its folder is."""
    from cuemask.runs import predicting

    open_model, said = predicting.open_model, []
    command = ["predict", "drawn", phantom.frames, "--out", tmp_path / "out", "--quiet"]

    def meanwhile(*arguments, **told):
        if not said:
            said.append("")
            said.append(refused(*command))
        return open_model(*arguments, **told)

    monkeypatch.setattr(predicting, "open_model", meanwhile)
    assert cuemask(*command).exit_code == 0
    assert f"process {os.getpid()} on " in said[1]
    assert len(os.listdir(tmp_path / "out" / "frames" / "masks")) == 10  # noqa: PTH208 (names are counted)


# Stopped


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_told_and_leaves_no_draft_and_no_lock(phantom, tmp_path, sent, code):
    out = tmp_path / "out"
    with begun("phantom", "--out", out, "--frames", "100000", "--quiet") as process:
        wait_for((out / "frames" / "000003.png").is_file)
        assert (out / ".clip.part.mp4").exists()
        process.send_signal(sent)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert said.strip() == f"Stopped by {sent.name}. Run it again."
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_a_run_that_is_stopped_goes_on_with_resume_and_says_so(phantom, tmp_path):
    out = tmp_path / "out"
    command = ["predict", "drawn", phantom.video, "--out", out]
    script = (
        "import os, signal, sys\n"
        "from cuemask.runs import predicting\n"
        "write = predicting.write_mask\n"
        "def stopped(path, mask):\n"
        "    write(path, mask)\n"
        "    if path.name == '000004.png': os.kill(os.getpid(), signal.SIGTERM)\n"
        "predicting.write_mask = stopped\n"
        "from cuemask.cli import main; main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, command), "--quiet"], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 143
    assert done.stderr.splitlines()[-1] == (
        "Stopped by SIGTERM. What is done is kept: go on with the same command and --resume."
    )
    assert not [path for path in out.rglob(".*") if path.is_file()]
    assert json.loads((out / "run.json").read_text())["status"] == "running"
    assert cuemask(*command, "--resume", "--quiet").exit_code == 0
    cuemask(*command[:-1], tmp_path / "whole", "--quiet")
    assert tree(out / "clip") == tree(tmp_path / "whole" / "clip")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_a_run_under_nohup_heeds_no_hangup(tmp_path):
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "import cuemask.phantom.files as files\n"
        "write = files.write_mask\n"
        "files.write_mask = lambda path, mask: (os.kill(os.getpid(), signal.SIGHUP), write(path, mask))\n"
        "from cuemask.cli import main; main(['phantom', '--frames', '2', '--quiet', '--out', sys.argv[1]])"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "out"], check=True, timeout=100)
    assert len(os.listdir(tmp_path / "out" / "masks")) == 2  # noqa: PTH208 (names are counted)


# Advice that can be followed


def full(path: Path, *_: object) -> None:
    with output_errors(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("broken", "said"), [(full, "Free some space"), (interrupted, "Interrupted. Run it again.")])
@pytest.mark.parametrize("command", ["phantom", "evaluate"])
def test_no_command_advises_an_option_that_it_has_not(phantom, tmp_path, monkeypatch, command, broken, said):
    monkeypatch.setattr("cuemask.phantom.files.write_mask", broken)
    monkeypatch.setattr("cuemask.evaluation.tables.write_bytes", broken)
    arguments = {
        "phantom": ["--out", tmp_path / "out", "--frames", "2", "--quiet"],
        "evaluate": [phantom.masks, phantom.masks, "--csv", tmp_path / "t.csv"],
    }[command]
    result = cuemask(command, *arguments)
    assert said in result.stderr
    known = {option for parameter in main.commands[command].params for option in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]*", result.stderr)) <= known
