"""Which videos a study has: a list in a text file, or all that a folder holds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cuemask.errors import InputError
from cuemask.media.names import refuse_clip_name, told_apart
from cuemask.media.pictures import is_picture, natural_order
from cuemask.media.stores import is_address, place_of

_VIDEOS = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".ogv", ".avi", ".wmv", ".asf", ".flv", ".mxf"),
        *(".mpg", ".mpeg", ".mpe", ".m2v", ".vob", ".ts", ".mts", ".m2ts"),
    }
)
# What commands of ours leave in the folders that they write; below it are no videos to work on.
_OURS = ("run.json", "study.json")


@dataclass(frozen=True)
class Video:
    """One video, or one folder of pictures.

    Attributes
    ----------
    name
        Of the folder of its results; unique in its study.
    source
        Where it is: an absolute path, or an address on a store.
    bytes
        Its size, where it is a file that is there.
    """

    name: str
    source: str
    bytes: int | None = None


def videos_of(listing: Path, known: Mapping[str, str] | None = None) -> list[Video]:
    """The videos of a manifest, a line each, or those in a folder and all folders below it.

    A manifest's line is a path, from the manifest's own folder on, or an address on a store, or a name, a tab and one
    of these; lines that begin with # and empty ones are passed over. Whether they lead anywhere shows when each is
    opened.

    Parameters
    ----------
    known
        Names by sources, which stay though other videos come that would have got them too.

    Raises
    ------
    InputError
        If `listing` cannot be read or tells of no video, or of one twice, or a name could be no folder's.
    """
    told = list(_in_folder(listing)) if listing.is_dir() else _in_manifest(listing)
    if not told:
        raise InputError(f"{listing}: no video in it.", "Give a folder of videos, or a text file with a path a line.")
    _refuse_repeats([source for _, source in told], listing)
    fixed = [name or (known or {}).get(source, "") for name, source in told]
    parts = [[name] if name else _parts(source) for name, (_, source) in zip(fixed, told, strict=True)]
    sources = [source for _, source in told]
    names = told_apart(parts, sources)
    return [Video(name, source, _bytes(source)) for name, source in zip(names, sources, strict=True)]


def _in_folder(folder: Path) -> Iterator[tuple[str, str]]:
    """Videos by their endings, and folders of pictures or DICOM; hidden ones and results of ours are passed over."""

    def fail(error: OSError) -> None:
        raise InputError(f"{error.filename}: may not be read ({error.strerror}).", f"Run: chmod u+rx {error.filename}")

    for place, folders, names in os.walk(folder.resolve(), onerror=fail):
        is_ours = any(name in names for name in _OURS)
        below = natural_order(Path(name) for name in folders if not name.startswith("."))
        folders[:] = [] if is_ours else [path.name for path in below]
        if is_ours:
            continue
        files = natural_order(Path(place, name) for name in names if not name.startswith("."))
        if any(is_picture(path) or path.suffix.lower() == ".dcm" for path in files):
            yield "", place
        for path in files:
            if path.suffix.lower() in _VIDEOS:
                yield "", str(path)


def _in_manifest(file: Path) -> list[tuple[str, str]]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: no list of videos ({getattr(error, 'strerror', None) or 'not UTF-8'}).",
            "Give a folder of videos, or a text file with a path a line.",
        ) from error
    told: list[tuple[str, str]] = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        name, tab, path = line.rpartition("\t")
        if tab:
            refuse_clip_name(name.strip(), line)
        path = path.strip()
        told.append((name.strip(), path if is_address(path) else os.path.normpath(file.resolve().parent / path)))
    return told


def _parts(source: str) -> list[str]:
    path = place_of(source)
    is_file = path.suffix.lower() in _VIDEOS or path.is_file()
    return [part for part in (*path.parts[1:-1], path.stem if is_file else path.name) if part]


def _bytes(source: str) -> int | None:
    path = Path(source)  # nothing is asked of stores
    return path.stat().st_size if path.is_file() else None


def _refuse_repeats(sources: list[str], listing: Path) -> None:
    seen = set[str]()
    for source in sources:
        if source in seen:
            raise InputError(f"{listing}: {source} is in it twice.", "Give every video once.")
        seen.add(source)
