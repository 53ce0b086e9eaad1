"""Where a command writes: a folder or file that is empty, absent or its own, and that nobody else writes meanwhile."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cuemask.errors import OutputError
from cuemask.media.files import hidden_beside, make_folder, output_errors
from cuemask.media.locks import locked

LOCK = ".cuemask.lock"
_ASIDE = ".cuemask.part"
_ELSEWHERE = "another folder with --out"
_IN_PASSING = frozenset({LOCK, ".DS_Store", "Thumbs.db", "desktop.ini"})
_DRAFT = re.compile(r"\..*\.part(\.[^.]*)?")  # of `files.aside_of`, left by a killed run


@contextmanager
def own_folder(out: Path, is_own: Callable[[Path], bool]) -> Generator[None, None, None]:
    """Take `out` for this process while the block runs; it is made if absent, and gone again if it stays empty.

    Parameters
    ----------
    is_own
        Whether a folder that holds something is one of ours, which may be written to.

    Raises
    ------
    OutputError
        If `out` holds something else, another process writes it, or it cannot be made or written.
    """
    with output_errors(out, _ELSEWHERE):
        _refuse_foreign(out, is_own)
        made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        make_folder(out, _ELSEWHERE)
        with locked(out / LOCK, out):
            with output_errors(out, _ELSEWHERE):
                _refuse_foreign(out, is_own)  # it may have been filled since
            yield
    finally:
        for folder in made:
            with suppress(OSError):  # it holds something now
                folder.rmdir()


@contextmanager
def whole_folder(out: Path) -> Generator[Path, None, None]:
    """Give a hidden folder in `out` to fill; what it holds is moved to `out` on success, and removed on failure.

    Raises
    ------
    OutputError
        If `out` holds anything, another process writes it, or it cannot be made or written.
    """
    aside = out / _ASIDE

    def holds_nothing_else(folder: Path) -> bool:
        return folder.is_dir() and all(aside in path.parents for path in files_in(folder))

    with own_folder(out, holds_nothing_else):
        try:
            with output_errors(out, _ELSEWHERE):
                shutil.rmtree(aside, ignore_errors=True)  # of a killed run
                aside.mkdir()
                yield aside
                for path in aside.iterdir():
                    path.rename(out / path.name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def own_file(path: Path, is_own: Callable[[Path], bool]) -> Generator[None, None, None]:
    """Take the name of a file for this process while the block runs; its folder is made if absent.

    Raises
    ------
    OutputError
        If a file stands there that is not ours by `is_own`, or another process writes it.
    """
    with output_errors(path):
        refuse_foreign_file(path, is_own)
    make_folder(path.parent)
    with locked(hidden_beside(path, f"{path.suffix}.lock"), path):
        yield


def refuse_foreign_file(path: Path, is_own: Callable[[Path], bool]) -> None:
    """Refuse to write onto a file that is not ours by `is_own`.

    Raises
    ------
    OutputError
        If one stands there.
    """
    if path.is_file() and not is_own(path):
        raise OutputError(
            f"{path}: exists, and is not what this command writes.", f"Give another name, or remove it: rm {path}"
        )


def files_in(folder: Path) -> Iterator[Path]:
    """Files below `folder`, but for those that systems and killed runs leave in passing; links are files."""

    def fail(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=fail):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in [*names, *links]:
            if name not in _IN_PASSING and not _DRAFT.fullmatch(name):
                yield Path(place) / name


def tells_of_us(path: Path, key: str) -> bool | None:
    """Whether `path` is JSON of ours that tells of `key`: `{"cuemask": VERSION, key: ...}`.

    None if it is damaged or no mapping.
    """
    if not path.is_file():
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    return {"cuemask", key} <= found.keys() if isinstance(found, dict) else None


def _refuse_foreign(out: Path, is_own: Callable[[Path], bool]) -> None:
    if not os.path.lexists(out) or is_own(out):
        return
    found = next(files_in(out), None)
    if found is not None:
        raise OutputError(
            f"{out}: holds something that this command has not written, such as {found}.",
            "Give --out a folder that is empty or absent.",
        )
