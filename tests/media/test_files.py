from __future__ import annotations

import os
from pathlib import Path

import pytest

from cuemask.errors import OutputError
from cuemask.media.files import make_folder, write_bytes, written_aside


def test_a_file_appears_whole_and_its_draft_is_gone(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"123")
    with written_aside(tmp_path / "b.mp4") as aside:
        assert aside.suffix == ".mp4"
        assert aside.name.startswith(".")
        aside.write_bytes(b"456")
        assert not (tmp_path / "b.mp4").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.mp4"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"old")

    def fail() -> None:
        with written_aside(tmp_path / "a.bin") as aside:
            aside.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_file_where_a_folder_is_needed_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for write in (
        lambda: make_folder(tmp_path / "file" / "below"),
        lambda: write_bytes(tmp_path / "file" / "a.bin", b""),
    ):
        with pytest.raises(OutputError, match="a file stands where a folder is needed"):
            write()


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="may not be written"):
        make_folder(tmp_path)
    tmp_path.chmod(0o700)
