from __future__ import annotations

import os
from pathlib import Path

import pytest

from cuemask.errors import OutputError
from cuemask.media.folders import LOCK, files_in, own_file, own_folder, tells_of_us


def nothing_is_ours(path: Path) -> bool:
    del path
    return False


def test_a_folder_that_is_absent_is_made_and_goes_again_if_nothing_is_written(tmp_path: Path) -> None:
    with own_folder(tmp_path / "a" / "b", nothing_is_ours):
        assert (tmp_path / "a" / "b" / LOCK).is_file()
    assert list(tmp_path.iterdir()) == []
    with own_folder(tmp_path / "a", nothing_is_ours):
        (tmp_path / "a" / "mask.png").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mask.png"]


def test_a_folder_with_anything_in_it_that_is_not_ours_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "case" / "masks").mkdir(parents=True)
    (tmp_path / "case" / "masks" / "0.png").write_bytes(b"truth")
    with pytest.raises(OutputError, match=r"0\.png") as error, own_folder(tmp_path, nothing_is_ours):
        pass
    assert "--out" in error.value.remedy
    assert [path.name for path in files_in(tmp_path)] == ["0.png"]
    with own_folder(tmp_path, lambda folder: (folder / "case").is_dir()):
        pass


def test_a_link_to_a_folder_is_something_though_it_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "masks").symlink_to(tmp_path / "absent")
    with pytest.raises(OutputError, match="masks"), own_folder(tmp_path, nothing_is_ours):
        pass


def test_what_systems_and_killed_runs_leave_in_passing_is_nothing(tmp_path: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", ".run.part.json", ".overlay.part.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "clip" / "masks").mkdir(parents=True)
    with own_folder(tmp_path, nothing_is_ours):
        pass


@pytest.mark.parametrize("name", ["e" * 300, "file", "file/below", "loop", "loop/below"])
def test_what_cannot_be_a_folder_is_said_with_the_option_to_change(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OutputError) as error, own_folder(tmp_path / name, nothing_is_ours):
        pass
    assert "--out" in error.value.remedy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]


def test_a_file_that_is_not_ours_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    with own_file(file, nothing_is_ours):
        file.write_bytes(b"a model")
    with pytest.raises(OutputError, match=r"model\.onnx: exists"), own_file(file, nothing_is_ours):
        pass
    with own_file(file, lambda path: path.read_bytes() == b"a model"):
        assert len(os.listdir(tmp_path)) == 2  # noqa: PTH208 (names are counted)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ('{"cuemask": "0.1.0", "command": ""}', True),
        ('{"cuemask": "0.1.0"}', False),
        ("{}", False),
        ("[]", None),
        ("{", None),
        ("[" * 5000, None),
        ("\xff", None),
    ],
)
def test_a_file_tells_whether_it_is_ours(tmp_path: Path, text: str, ours: bool | None) -> None:
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    assert tells_of_us(tmp_path / "run.json", "command") is ours
    assert tells_of_us(tmp_path / "absent.json", "command") is False
