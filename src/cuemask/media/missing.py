"""What to say about inputs that are not there: what lies nearby instead."""

from __future__ import annotations

import difflib
import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cuemask.errors import InputError, PictureError
from cuemask.media.pictures import is_picture

SHOWN = 5


def absent(given: str) -> InputError:
    """Name what resembles `given` most, which does not exist."""
    path = Path(given)
    while not path.parent.is_dir():
        path = path.parent
    if path.is_symlink():
        return InputError(
            f"{path}: a link that leads nowhere (to {path.readlink()}).", "Give the file or folder that it meant."
        )
    what = f"{given}: no such file or folder."
    names = _names_in(path.parent)
    nearest = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if nearest:
        return InputError(what, f"Did you mean {path.parent / nearest[0]}? Give that path instead.")
    return InputError(what, f"Give a path that exists; {path.parent} holds {_listed(names)}.")


def nothing_matches(pattern: str) -> InputError:
    """Say what lies where `pattern` was looked for."""
    folder = Path(pattern)
    while glob.has_magic(str(folder)) and not folder.is_dir():
        folder = folder.parent
    what = f"{pattern}: the pattern matches nothing."
    if not folder.is_dir():
        return InputError(what, absent(str(folder)).remedy)
    return InputError(what, f"Change the pattern; {folder} holds {_listed(_names_in(folder))}.")


def with_real_folders(pattern: str) -> str:
    """`pattern` with the folders in front that exist under just that name, such as `case [1]`, taken literally."""
    for folder in Path(pattern).parents:
        if folder.is_dir():
            return str(Path(glob.escape(str(folder))) / Path(pattern).relative_to(folder))
    return pattern


def refuse_dangling(paths: Sequence[Path]) -> None:
    """Refuse pictures that are links to files that are not there.

    Raises
    ------
    PictureError
        If there is one.
    """
    dangling = sorted(path for path in paths if is_picture(path) and path.is_symlink() and not path.exists())
    if dangling:
        target = dangling[0].readlink()
        raise PictureError(
            f"{dangling[0].parent}: links to pictures that are not there: {_listed([path.name for path in dangling])} "
            f"(the first leads to {target}).",
            "Bring the files back, or remove the links.",
        )


def no_pictures(folder: Path, entries: Sequence[Path]) -> PictureError:
    """Say what a folder without pictures holds instead."""
    files = [path for path in entries if path.is_file() and not path.name.startswith(".")]
    below = [path for path in sorted(entries) if path.is_dir() and _holds_pictures(path)]
    if below:
        return PictureError(
            f"{folder}: no picture in it, but in {len(below)} of its folders.",
            f"Give the folders with pictures: {_listed([str(path) for path in below])}",
        )
    if not files:
        return PictureError(f"{folder}: the folder is empty.", "Give a video or a folder that holds pictures.")
    endings = Counter(path.suffix.lower() or "no ending" for path in files)
    held = ", ".join(f"{count} x {ending}" for ending, count in endings.most_common(SHOWN))
    return PictureError(
        f"{folder}: no picture in it (it holds {held}).",
        f"Give a folder of PNG, JPEG, BMP, TIFF, WebP, PPM or DICOM pictures, or name videos one by one: {files[0]}",
    )


def _holds_pictures(folder: Path) -> bool:
    try:
        return any(is_picture(path) for path in folder.iterdir())
    except OSError:
        return False


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "nothing"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
