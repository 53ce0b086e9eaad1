"""Linux, macOS, Windows: what is absent on one of them is not needed there, and files have the same bytes."""

from __future__ import annotations

import ast
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import cuemask
from cuemask.ending import _stoppable
from cuemask.errors import OutputError
from cuemask.media import files
from cuemask.media.files import write_bytes
from cuemask.media.reading_at import ReadAt
from cuemask.media.records import Records, RecordWriter
from cuemask.media.threads import cores
from cuemask.runs import space

SOURCES = sorted(Path(cuemask.__file__).parent.rglob("*.py"))
# Of `os`, `signal` and what `lstat` gives: absent on Windows, some of them on macOS too.
POSIX = {"fork", "getuid", "geteuid", "kill", "killpg", "mkfifo", "pread", "pwrite", "sched_getaffinity", "setsid"}
POSIX |= {"SIGHUP", "SIGKILL", "st_blocks", "statvfs", "O_NOFOLLOW", "uname"}
# Where each is asked for first, or is reached on other systems only.
LOOKED_AT = {"locks.py": {"kill"}, "reading_at.py": {"pread"}, "threads.py": {"sched_getaffinity"}}
LOOKED_AT |= {"doctor.py": {"sched_getaffinity"}, "again.py": {"kill"}}  # `Popen.kill` is everywhere
LOOKED_AT |= {"local.py": {"kill", "sched_getaffinity"}}  # `Process.kill` too


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_text_is_read_and_written_alike_everywhere(path: Path) -> None:
    for call in calls(path):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        given = {keyword.arg for keyword in call.keywords}
        mode = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else "r"
        of_path = name == "open" and not ast.unparse(call.func).startswith(("av.", "os.", "Image."))
        writes = of_path and isinstance(mode, str) and set(mode) & set("wax") and "b" not in mode
        needed = {"encoding"} if name == "read_text" and path.name != "provenance.py" else set[str]()  # of a package
        if writes or (name == "write_text" and ast.unparse(call.func) != "formatter.write_text"):
            needed = {"encoding", "newline"}
        assert needed <= given, ast.unparse(call)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_what_some_systems_lack_is_asked_for_first(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & POSIX
    assert used <= LOOKED_AT.get(path.name, set()), f"{path}: {used}"


@pytest.mark.parametrize("system", ["posix", "windows"])
def test_bytes_are_read_with_and_without_pread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    if system == "windows":
        monkeypatch.delattr(os, "pread")
    path = tmp_path / "a"
    path.write_bytes(bytes(range(20)))
    read = ReadAt(path)
    assert [read(3, start) for start in (4, 0, 19, 20)] == [b"\4\5\6", b"\0\1\2", b"\x13", b""]
    assert (read._descriptor is None) == (system == "windows"), "an open file could not be removed there"


def test_records_leave_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    with RecordWriter(tmp_path / "a.npy", (2, 3), np.uint8) as writer:
        for record in values:
            writer.append(record)
    opened: list[object] = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda *args, **kw: (opened.append(f := original(*args, **kw)), f)[1])
    records = Records(tmp_path / "a.npy")
    np.testing.assert_array_equal(np.stack([records[i] for i in (3, 0, 1, 2)]), values[[3, 0, 1, 2]])
    assert opened
    assert all(file.closed for file in opened), "an open file could not be removed on Windows"


def test_cores_are_counted_where_nobody_tells_which_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert cores() == 3


def test_a_system_without_sighup_stops_by_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    with _stoppable() as came:
        assert signal.getsignal(signal.SIGTERM) is not before
    assert (came, signal.getsignal(signal.SIGTERM)) == ([], before)


def test_disk_is_counted_where_blocks_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"x" * 5000)
    real = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda self: SimpleNamespace(st_size=real(self).st_size))
    assert space.occupied(tmp_path) == 8192


def test_windows_waits_for_a_reader_before_it_replaces_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = Path.replace, []

    def read_by_somebody(self: Path, target: Path) -> Path:
        asked.append(target)
        if len(asked) < 3:
            raise PermissionError(13, "Access is denied")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", read_by_somebody)
    monkeypatch.setattr(files.sys, "platform", "win32")
    write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(asked) == 3
    monkeypatch.setattr(files, "_READERS_SECONDS", 0.0)
    asked.clear()
    with pytest.raises(OutputError, match="may not be written"):
        write_bytes(tmp_path / "a", b"newer")
    assert (len(asked), sys.platform) == (1, "win32")
