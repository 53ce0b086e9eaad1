"""Files that are either whole or absent: everything is written aside and renamed."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from cuemask.errors import OutputError


@contextmanager
def output_errors(path: Path) -> Generator[None, None, None]:
    """Turn the operating system's errors about writing `path` into an `OutputError` with its remedy."""
    try:
        yield
    except OSError as error:
        raise _output_error(path, error) from error


def make_folder(path: Path) -> Path:
    """Make `path` and its parents; existing folders are fine.

    Raises
    ------
    OutputError
        If the folder cannot be made or written.
    """
    with output_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable", str(path))
    return path


def aside_of(path: Path) -> Path:
    """Where `path` is written until it is whole: hidden, beside it, with the same ending."""
    return path.with_name(f".{path.stem}.part{path.suffix}")


@contextmanager
def written_aside(path: Path) -> Generator[Path, None, None]:
    """Give a path beside `path` to write to; rename it to `path` on success, remove it on failure.

    The name ends as `path` does, so that writers that look at the ending keep working.

    Raises
    ------
    OutputError
        If writing or renaming fails: no space left, read-only, not permitted.
    """
    aside = aside_of(path)
    try:
        with output_errors(path):
            yield aside
            aside.replace(path)
    finally:
        with suppress(OSError):  # what went wrong with `path` has been said above
            aside.unlink(missing_ok=True)


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


def _output_error(path: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{path}: no space left on the device.",
            "Free some space, then run the same command with --resume.",
        )
    if error.errno == errno.EFBIG:
        return OutputError(
            f"{path}: this disk takes no file that large.",
            "Choose --out on another disk (FAT32 ends at 4 GB), or take fewer frames: --every 2",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            f"{path}: may not be written ({error.strerror}).",
            "Choose another folder with --out, or change its permissions: chmod u+w FOLDER",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return OutputError(
            f"{path}: a file stands where a folder is needed.",
            "Choose another folder with --out.",
        )
    return OutputError(
        f"{path}: could not be written ({error.strerror or error}).", "Choose another folder with --out."
    )
