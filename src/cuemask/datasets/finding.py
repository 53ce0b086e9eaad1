"""Where a data set starts, and its pictures by what their names have in common with those of their masks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from cuemask.datasets.listing import contents, folders_in, pictures_by_stem, refuse_no_folder
from cuemask.errors import DatasetError


def home(root: Path, holds: Callable[[Path], bool], expected: str) -> Path | None:
    """The folder that `holds` a data set: `root`, or the only such folder in it, as archives unpack; else None.

    Raises
    ------
    DatasetError
        If `root` is absent or a file; `expected` is what the folder to give instead holds.
    """
    refuse_no_folder(root, expected)
    if holds(root):
        return root
    inner = [folder for folder in folders_in(root) if holds(folder)]
    return inner[0] if len(inner) == 1 else None


def pictures_named(folder: Path, endings: Collection[str], suffix: str = "") -> dict[str, Path]:
    """The pictures of a folder with one of `endings`, by their stems without `suffix`; those without it are left out.

    Raises
    ------
    DatasetError
        If two pictures differ only in their endings.
    """
    return {
        stem.removesuffix(suffix): path
        for stem, path in pictures_by_stem(folder).items()
        if stem.endswith(suffix) and path.suffix.lower() in endings
    }


def nothing_found(root: Path, title: str, layout: str, remedy: str) -> DatasetError:
    """Say that `root` is not the data set, what lies there and what was expected."""
    return DatasetError(f"{root}: no {title} in it (it holds {contents(root)}). Expected: {layout}.", remedy)
