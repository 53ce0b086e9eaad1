"""What lies in the folders of a data set, and what to say where something is missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from cuemask.errors import DatasetError
from cuemask.media import missing
from cuemask.media.pictures import is_picture, natural_order

SHOWN = 5
STUBS = "__MACOSX"  # a second tree in archives packed on a Mac, with the names of the true one


def refuse_absent(root: Path) -> None:
    """Raise where `root` is no folder.

    Raises
    ------
    InputError
        Naming what resembles it most.
    DatasetError
        If it is a file.
    """
    if not root.exists():
        raise missing.absent(str(root))
    if not root.is_dir():
        raise DatasetError(f"{root}: a file; a data set is read from a folder.", "Unpack it, then give the folder.")


def home(root: Path, holds: Callable[[Path], bool]) -> Path | None:
    """The folder that `holds` a data set: `root`, or the only such folder in it, as archives unpack; else None.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    refuse_absent(root)
    if holds(root):
        return root
    inner = [folder for folder in subfolders(root) if holds(folder)]
    return inner[0] if len(inner) == 1 else None


def entries(folder: Path) -> list[Path]:
    """What a folder holds, without hidden files and archive stubs, as people count.

    Raises
    ------
    DatasetError
        If it may not be read.
    """
    try:
        return natural_order(path for path in folder.iterdir() if not path.name.startswith((".", STUBS)))
    except PermissionError as error:
        raise DatasetError(f"{folder}: may not be read.", f"Run: chmod u+rx {folder}") from error


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, as people count."""
    return [path for path in entries(folder) if path.is_dir()]


def named_pictures(folder: Path, suffix: str = "", endings: Collection[str] = ()) -> dict[str, Path]:
    """The pictures in a folder by their stems, of which `suffix` is taken off; pictures without it are left out.

    Parameters
    ----------
    suffix
        How the stems end.
    endings
        Which kinds of file count, such as ".png"; all if empty.

    Raises
    ------
    DatasetError
        If two pictures differ only in their endings.
    """
    named: dict[str, Path] = {}
    for path in entries(folder):
        if not is_picture(path) or not path.stem.endswith(suffix):
            continue
        if endings and path.suffix.lower() not in endings:
            continue
        other = named.setdefault(path.stem.removesuffix(suffix), path)
        if other is not path:
            raise DatasetError(
                f"{folder}: {other.name} and {path.name} are both called {path.stem}.",
                "Keep one of them in the folder.",
            )
    return named


def unmatched(pictures: Mapping[str, Path], masks: Mapping[str, Path], folder: Path) -> list[str]:
    """Say which pictures have no mask, and which masks in `folder` no picture."""
    bare = [name for name in pictures if name not in masks]
    stray = [path.name for name, path in masks.items() if name not in pictures]
    sentences: list[str] = []
    if bare:
        sentences.append(f"{folder}: no mask for {len(bare)} of {len(pictures)} pictures ({listed(bare)}).")
    if stray:
        sentences.append(f"{folder}: {len(stray)} of {len(masks)} masks have no picture ({listed(stray)}).")
    return sentences


def nothing_found(root: Path, title: str, layouts: Iterable[str], remedy: str) -> DatasetError:
    """Say that `root` is not the data set, what lies there and what was expected."""
    held = listed([path.name + ("/" if path.is_dir() else "") for path in entries(root)])
    expected = " or ".join(layouts)
    return DatasetError(f"{root}: no {title} here; it holds {held}. Expected: {expected}.", remedy)


def listed(names: Collection[str]) -> str:
    """The first few names, and how many more there are."""
    if not names:
        return "nothing"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(list(names)[:SHOWN]) + more
