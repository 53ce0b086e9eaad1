from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from rich.progress import Progress as Bars

from cuemask.cli import _progress, main

README = Path(__file__).parents[1] / "README.md"


def test_help_imports_neither_torch_nor_numpy():
    script = (
        "import sys; from cuemask.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'cv2', 'av', 'pydicom', 'highdicom'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, stdout=subprocess.DEVNULL)


def test_python_m_cuemask_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "cuemask", "--version"], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.startswith("cuemask, version")


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_help_and_is_documented(name):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5
    assert f"cuemask {name}" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("crop", ["1,2,3", "a,b,c,d", "1,2,3,4,5"])
def test_a_malformed_crop_is_a_usage_error(crop, tmp_path):
    result = CliRunner().invoke(main, ["anchors", "x.mp4", "--out", str(tmp_path), "--crop", crop])
    assert result.exit_code == 2
    assert "top,left,height,width" in result.output


PATHS = {
    "segment": ["clip.mp4", "--out", "{}"],
    "anchors": ["{}", "--out", "absent"],
    "predict": ["{}", "clip.mp4", "--out", "absent"],
    "evaluate": ["{}", "absent"],
    "phantom": ["--out", "{}"],
    "benchmark": ["table1", "--data", "{}", "--out", "absent"],
    "train": ["clip.mp4", "--out", "absent", "--labels", "{}"],
    "live": ["clip.mp4", "--model", "absent", "--figures", "{}"],
}


@pytest.mark.parametrize("command", PATHS)
@pytest.mark.parametrize("path", ["", "e" * 300])
def test_what_can_be_no_path_is_refused_before_anything_is_done(command, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, [command, *(part.format(path) for part in PATHS[command])])
    assert result.exit_code == 2, result.output
    assert "empty" in result.stderr if not path else "too long" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_for_the_rows_needs_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["evaluate", ".", ".", "--csv", ""])
    assert result.exit_code == 2
    assert "an empty path" in result.stderr


def test_the_largest_picture_is_an_option_of_one_command(tmp_path):
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((40, 50, 3), np.uint8))
    command = ["anchors", str(tmp_path), "--out", str(tmp_path / "out")]
    small = CliRunner().invoke(main, [*command, "--largest-picture", "0.001"])
    assert small.exit_code == 2
    assert "50x40 pixels (PNG" in small.output
    assert "black" in CliRunner().invoke(main, command).output


def test_a_stage_with_nothing_to_do_shows_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(_progress("nothing", iter(()), 0)) == []
    assert capsys.readouterr().err == ""
    assert list(_progress("two", iter("ab"), 2)) == ["a", "b"]
    assert "two" in capsys.readouterr().err


def test_a_bar_is_there_while_the_first_item_is_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, start = Event(), Bars.start
    monkeypatch.setattr("cuemask.cli._BAR_SECONDS", 0.01)
    monkeypatch.setattr(Bars, "start", lambda self: (start(self), shown.set()))

    def slowly() -> Iterator[str]:
        assert shown.wait(60)
        yield "a"

    assert list(_progress("one", slowly(), 1)) == ["a"]
    assert "one" in capsys.readouterr().err
