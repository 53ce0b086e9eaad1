"""Files that are either whole or absent: everything is written aside and renamed. Nothing but files is replaced."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from cuemask.errors import InputError, OutputError
from cuemask.media.names import MOST_BYTES

_READERS_SECONDS = 2.0  # that another program may look at a file which is about to be replaced
_SPECIAL = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}

# What another try, perhaps on another machine, may be spared.
_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "ESTALE", "ETIMEDOUT", "ENOSPC", "EDQUOT", "EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "EREMOTEIO"),
        *("ECONNRESET", "ECONNABORTED", "ENETUNREACH", "ENETDOWN", "EHOSTUNREACH", "EHOSTDOWN", "ENOTCONN"),
    )
    if hasattr(errno, name)
)


def is_passing(error: BaseException | None) -> bool:
    """Whether an error comes of a fault of disk, memory or network that another try may be spared."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _PASSING:
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def output_errors(path: Path, elsewhere: str = "another folder") -> Generator[None, None, None]:
    """Turn the operating system's errors about writing `path` into an `OutputError` with its remedy.

    `elsewhere` is what to choose instead: what names no option is true of all commands.
    """
    try:
        yield
    except OSError as error:
        raise _output_error(path, error, elsewhere) from error


def make_folder(path: Path, elsewhere: str = "another folder") -> Path:
    """Make `path` and its parents; existing folders are fine. `elsewhere` is as in `output_errors`.

    Raises
    ------
    OutputError
        If the folder cannot be made or written.
    """
    with output_errors(path, elsewhere):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable", str(path))
    return path


def hidden_beside(path: Path, ending: str) -> Path:
    """A hidden name beside `path` that tells of it, ending in `ending`; as short as names of files have to be."""
    stem = path.stem
    if len(os.fsencode(f".{stem}{ending}")) > MOST_BYTES:
        stem = hashlib.sha256(os.fsencode(stem)).hexdigest()[:32]
    return path.with_name(f".{stem}{ending}")


def aside_of(path: Path) -> Path:
    """Where `path` is written until it is whole: hidden, beside it, with the same ending."""
    return hidden_beside(path, f".part{path.suffix}")


def refuse_special(path: Path) -> None:
    """Refuse to read what is no file: a pipe or a device, which may never end and can be read only once.

    Raises
    ------
    InputError
        If `path` is one. What is absent is not told here.
    """
    special = _special(path)
    if special is not None:
        raise InputError(
            f"{path}: {special}, not a file.", f"Save it to a file first: cat {path} > FILE; only live watches pipes."
        )


def refuse_unreadable(path: Path) -> None:
    """Refuse a file that the system does not give to its end: what read it may have taken a fault for the end.

    Raises
    ------
    InputError
        With the system's words; its cause is the system's error.
    """
    try:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read to its end ({error.strerror or error}).",
            "Look to the disk or network that it lies on, then run the same command again.",
        ) from error


@contextmanager
def written_aside(path: Path) -> Generator[Path, None, None]:
    """Give a path beside `path` to write to; rename it to `path` on success, remove it on failure.

    The name ends as `path` does, so that writers that look at the ending keep working.

    Raises
    ------
    OutputError
        If writing or renaming fails: no space left, read-only, not permitted; or `path` is a pipe or a device.
    """
    special = _special(path)
    if special is not None:
        raise OutputError(f"{path}: {special}, which a file would replace.", "Give the name of a file.")
    aside = aside_of(path)
    try:
        with output_errors(path):
            yield aside
            put_in_place(aside, path)
    finally:
        with suppress(OSError):  # what went wrong with `path` has been said above
            aside.unlink(missing_ok=True)


def put_in_place(aside: Path, path: Path) -> None:
    """Rename `aside` to `path`; on Windows, which refuses while anybody has `path` open, wait for who is soon done.

    Raises
    ------
    OSError
        If it cannot be renamed.
    """
    deadline = time.monotonic() + (_READERS_SECONDS if sys.platform == "win32" else 0)
    while True:
        try:
            aside.replace(path)
            return
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.02)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises
    ------
    OutputError
        If writing fails.
    """
    with written_aside(path) as aside:
        aside.write_bytes(data)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _special(path: Path) -> str | None:
    """What stands there instead of a file or a folder; None for these, and for nothing."""
    with suppress(OSError):
        return _SPECIAL.get(stat.S_IFMT(path.stat().st_mode))
    return None


def _output_error(path: Path, error: OSError, elsewhere: str) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"{path}: no space left on the device.", "Free some space, then run the same command again.")
    if error.errno == errno.EFBIG:
        return OutputError(
            f"{path}: this disk takes no file that large.",
            f"Choose {elsewhere}, on another disk (FAT32 ends at 4 GB), or take fewer frames.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            f"{path}: may not be written ({error.strerror}).",
            f"Choose {elsewhere}, or change its permissions: chmod u+w FOLDER",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return OutputError(f"{path}: a file stands where a folder is needed.", f"Choose {elsewhere}.")
    if error.errno == errno.ENAMETOOLONG:
        return OutputError(f"{path}: the name is too long.", f"Choose {elsewhere}, of at most {MOST_BYTES} bytes.")
    return OutputError(f"{path}: could not be written ({error.strerror or error}).", f"Choose {elsewhere}.")
