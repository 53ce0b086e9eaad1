"""`manifest.csv`: size and SHA-256 of each file that a run wrote.

Written and read file by file in one order, so that memory does not grow with the number of frames.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cuemask.media.files import sha256, written_aside

MANIFEST = "manifest.csv"
# What comes beside a complete run by commands of ours, or is written again by them.
_OF_THE_RUN = frozenset({"run.json", MANIFEST, "report.html", "corrections"})
_ANYWHERE = frozenset({"evaluation.json", "Thumbs.db", "desktop.ini"})


class Entry(NamedTuple):
    """A line of the manifest: a path in the run's folder, with slashes."""

    path: str
    bytes: int
    sha256: str


def write_manifest(
    out: Path, before: Mapping[str, Any] | None = None, anew: Callable[[str], bool] = lambda _: False
) -> dict[str, Any]:
    """Write the manifest of the run in `out`, which this process has taken.

    Parameters
    ----------
    before
        What an earlier call gave, of a run that is made whole again: the lines that it wrote stay, so that what was
        changed since is not taken for what was written.
    anew
        Which paths another command of ours has written since: these lines are made again.

    Returns
    -------
    Numbers of `files` and `bytes`, and the manifest's own `sha256`.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = out / MANIFEST
    is_whole = before is not None and path.is_file() and sha256(path) == before.get("sha256")
    files = total = 0
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Entry._fields)
        for name, entry, is_there in side_by_side(entries_in(path) if is_whole else iter(()), files_of(out)):
            if anew(name) and not is_there:
                continue
            if entry is None or anew(name):
                entry = Entry(name, (out / name).stat().st_size, sha256(out / name))
            writer.writerow(entry)
            files, total = files + 1, total + entry.bytes
    return {"files": files, "bytes": total, "sha256": sha256(path)}


def files_of(folder: Path, above: str = "") -> Iterator[str]:
    """Files of a run in the order of their parts; hidden ones, which come and go, and known additions are none."""
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        if item.name.startswith(".") or item.name in _ANYWHERE or (not above and item.name in _OF_THE_RUN):
            continue
        if item.is_dir(follow_symlinks=False):
            yield from files_of(Path(item.path), f"{above}{item.name}/")
        else:
            yield f"{above}{item.name}"


def entries_in(path: Path) -> Iterator[Entry]:
    """The lines of a manifest, one by one."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file)
        next(lines, None)
        for name, size, digest in lines:
            yield Entry(name, int(size), digest)


def side_by_side(entries: Iterator[Entry], files: Iterable[str]) -> Iterator[tuple[str, Entry | None, bool]]:
    """Each path of two sorted streams once, in order: with its entry, if it has one, and whether the file is there."""
    paths = iter(files)
    entry, path = next(entries, None), next(paths, None)
    while entry is not None or path is not None:
        if entry is not None and (path is None or _order(entry.path) <= _order(path)):
            is_there = entry.path == path
            yield entry.path, entry, is_there
            entry, path = next(entries, None), next(paths, None) if is_there else path
        elif path is not None:
            yield path, None, True
            path = next(paths, None)


def _order(path: str) -> list[str]:
    return path.split("/")
