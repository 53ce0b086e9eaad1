from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cuemask.errors import OutputError
from cuemask.media import locks
from cuemask.media.locks import locked

HOLDER = (
    "import sys; from pathlib import Path; from cuemask.media.locks import locked\n"
    "with locked(Path(sys.argv[1]), Path('out')): print('held', flush=True); sys.stdin.read()"
)


@contextmanager
def held_by_another(lock: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def left_by(lock: Path, **told: object) -> None:
    lock.write_text(json.dumps({"machine": platform.node(), "pid": os.getpid(), "since": "yesterday", **told}))


def test_the_lock_is_there_while_it_is_held_and_gone_afterwards(lock: Path) -> None:
    with locked(lock, lock.parent):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert not lock.exists()


def test_the_second_is_told_process_and_machine_of_the_first(lock: Path) -> None:
    with held_by_another(lock) as process:
        with pytest.raises(OutputError) as error, locked(lock, Path("out")):
            pass
        assert f"out: process {process.pid} on {platform.node()}" in error.value.what
        assert json.loads(lock.read_text())["pid"] == process.pid


def test_within_one_process_a_second_is_refused_too(lock: Path) -> None:
    with locked(lock, lock.parent), pytest.raises(OutputError, match=str(os.getpid())), locked(lock, lock.parent):
        pass


def test_what_a_killed_process_left_is_taken_over(lock: Path) -> None:
    with held_by_another(lock) as process:
        process.kill()
        process.wait()
        assert lock.exists()
        with locked(lock, lock.parent):
            assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert not lock.exists()


def test_what_another_machine_left_is_not_taken_over_and_the_remedy_is_named(lock: Path) -> None:
    left_by(lock, machine="theatre-3", pid=12)
    with pytest.raises(OutputError, match="process 12 on theatre-3") as error, locked(lock, lock.parent):
        pass
    assert error.value.remedy.endswith(f"rm {lock}")
    assert "theatre-3" in lock.read_text()


@pytest.mark.skipif(locks._boot() is None, reason="this system does not number its starts")
def test_a_container_that_was_called_otherwise_ran_on_this_machine(lock: Path) -> None:
    left_by(lock, machine="0a1b2c3d", boot=locks._boot(), pid=1)
    with locked(lock, lock.parent):
        pass


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "[" * 4000])
def test_what_is_no_lock_of_ours_is_taken_over(lock: Path, text: str) -> None:
    lock.write_text(text)
    with locked(lock, lock.parent):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="there, every disk knows locks")
def test_on_a_disk_without_locks_the_process_that_is_named_decides(lock: Path, monkeypatch) -> None:
    monkeypatch.setattr(locks, "_grab", lambda _: "unknown")
    left_by(lock, pid=os.getppid())
    with pytest.raises(OutputError, match=f"process {os.getppid()}"), locked(lock, lock.parent):
        pass
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left_by(lock, pid=dead.pid)
    with locked(lock, lock.parent):
        pass


def test_of_many_at_once_one_at_a_time_gets_it(lock: Path) -> None:
    """Each takes the lock 200 times and counts in a file that only the lock protects."""
    count = lock.with_name("count")
    count.write_text("0")
    script = (
        "import sys; from pathlib import Path; from cuemask.errors import OutputError\n"
        "from cuemask.media.locks import locked\n"
        "lock, count, done = Path(sys.argv[1]), Path(sys.argv[2]), 0\n"
        "while done < 200:\n"
        "    try:\n"
        "        with locked(lock, lock):\n"
        "            count.write_text(str(int(count.read_text()) + 1)); done += 1\n"
        "    except OutputError as error:\n"
        "        assert 'is writing it' in error.what, error.what\n"
    )
    with ExitStack() as stack:
        command = [sys.executable, "-c", script, str(lock), str(count)]
        processes = [stack.enter_context(subprocess.Popen(command)) for _ in range(3)]
        assert [process.wait(100) for process in processes] == [0, 0, 0]
    assert count.read_text() == "600"
    assert not lock.exists()
