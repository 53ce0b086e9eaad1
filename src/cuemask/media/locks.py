"""One writer at a time: a small hidden file that names who writes, locked as long as that process lives.

The system lets the lock go when its holder dies, however it dies, so that what a killed run left is taken over. Some
network folders do not carry locks from one machine to another. So what another machine left is never taken over: the
file says which machine and process that was.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from cuemask.errors import OutputError
from cuemask.media.files import output_errors


class HeldError(OutputError):
    """Another process writes it, or was killed on another machine while it did."""


_Grabbed = Literal["yes", "no", "unknown"]
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_WORD_SECONDS = 1.0  # in which who has just taken a lock says so

if sys.platform == "win32":
    import msvcrt

    def _grab(descriptor: int) -> _Grabbed:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # what is locked there cannot be read: far from the text
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return "no"
        return "yes"

else:
    import fcntl

    def _grab(descriptor: int) -> _Grabbed:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return "no"
        except OSError:  # a disk that knows no locks
            return "unknown"
        return "yes"


@contextmanager
def locked(lock: Path, place: Path) -> Generator[None, None, None]:
    """Hold the file `lock` while the block runs; it is gone afterwards.

    Parameters
    ----------
    place
        What is written meanwhile, for messages.

    Raises
    ------
    OutputError
        If `lock` cannot be written; a `HeldError` if another process holds it, named with its machine.
    """
    with output_errors(place):
        descriptor = _opened(lock, place)
    try:
        with output_errors(place):
            _tell(descriptor)
        yield
    finally:
        if sys.platform == "win32":  # which removes nothing that is open
            os.close(descriptor)
            with suppress(OSError):
                lock.unlink()
        else:
            with suppress(OSError):
                lock.unlink()
            os.close(descriptor)


def holder_of(lock: Path) -> dict[str, Any]:
    """Who says in the file `lock` that it writes: `machine`, `pid`, `since`. Empty where nobody does, or nobody lives.

    One that was killed on another machine is told as if it lived.
    """
    try:
        found = json.loads(lock.read_bytes()[:4096])
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    is_dead = _is_here(found) and found.get("pid") != os.getpid() and not _is_alive(found.get("pid"))
    return {} if is_dead else found


def _opened(lock: Path, place: Path) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            _refuse_held(descriptor, lock, place)
            if _is_same(descriptor, lock):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # who held it has removed it in the meantime


def _refuse_held(descriptor: int, lock: Path, place: Path) -> None:
    grabbed = _grab(descriptor)
    holder = _told(descriptor)
    deadline = time.monotonic() + _WORD_SECONDS
    while grabbed == "no" and not holder and time.monotonic() < deadline:
        time.sleep(0.02)
        holder = _told(descriptor)
    if grabbed == "no" or (grabbed == "unknown" and _is_here(holder) and _is_alive(holder.get("pid"))):
        raise HeldError(f"{place}: {_who(holder)} is writing it.", "Wait until it ends, or write to another place.")
    if holder and not _is_here(holder):
        raise HeldError(
            f"{place}: {_who(holder)} is writing it, or was killed.",
            f"See there. If it runs no more, remove what it left, then run the same command again: rm {lock}",
        )


def _is_here(holder: dict[str, Any]) -> bool:
    return holder.get("machine") == platform.node() or holder.get("boot", "") == _boot()


def _tell(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(_own()).encode())


def _own() -> dict[str, Any]:
    boot = _boot()
    return {
        "machine": platform.node(),
        **({"boot": boot} if boot else {}),
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _boot() -> str | None:
    """Tells a machine, from its start to its end, whatever its containers are called."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return None


def _told(descriptor: int) -> dict[str, Any]:
    """What stands in the file; empty where nothing does that we wrote."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        found = json.loads(os.read(descriptor, 4096))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _who(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    return f"process {holder.get('pid')} on {holder.get('machine')} (since {holder.get('since')})"


def _is_alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid != os.getpid()


def _is_same(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False
