"""What lies in a data set's folders, and what is missing there, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cuemask.datasets.dataset import Split
from cuemask.errors import DatasetError
from cuemask.media import missing
from cuemask.media.pictures import composed, is_picture, natural_order

SHOWN = 5
# Archives packed on a Mac carry a second tree of stubs that bear the names of the true files.
_STUBS = "__MACOSX"
_TRAIN, _TEST = frozenset({"train", "training"}), frozenset({"test", "testing"})


def folders_in(folder: Path) -> list[Path]:
    """The folders in `folder`, links followed, in natural order; none where it is absent."""
    return natural_order(path for path in _entries(folder) if path.is_dir() and path.name != _STUBS)


def find_folders(root: Path, pattern: str, depth: int) -> Iterator[tuple[Path, re.Match[str]]]:
    """Folders whose whole name matches `pattern`, at most `depth` folders below `root` or `root` itself.

    A folder found is not searched for others.
    """
    match = re.fullmatch(pattern, root.name, re.IGNORECASE)
    if match:
        yield root, match
    elif depth > 0:
        for folder in folders_in(root):
            yield from find_folders(folder, pattern, depth - 1)


def folder_called(folder: Path, *names: str) -> Path | None:
    """The first of `names`, in any case of letters, that is a folder in `folder`."""
    found = {path.name.lower(): path for path in folders_in(folder)}
    return next((found[name.lower()] for name in names if name.lower() in found), None)


def file_called(folder: Path, name: str) -> Path | None:
    """The file `name`, in any case of letters, in `folder`."""
    return next((path for path in _entries(folder) if path.name.lower() == name.lower() and path.is_file()), None)


def pictures_by_stem(folder: Path | None) -> dict[str, Path]:
    """The pictures of a folder by their stems, in natural order; none where it is absent.

    Raises
    ------
    DatasetError
        If two of them differ only in their endings.
    """
    pictures: dict[str, Path] = {}
    if folder is None:
        return pictures
    for path in natural_order(path for path in _entries(folder) if is_picture(path)):
        name = composed(path.stem)
        if name in pictures:
            raise DatasetError(
                f"{folder}: {pictures[name].name} and {path.name} are both frame {name}.",
                "Keep one of them.",
            )
        pictures[name] = path
    return pictures


def contents(folder: Path) -> str:
    """What a folder holds, for messages: its first names."""
    names = sorted(path.name + "/" * path.is_dir() for path in _entries(folder))
    return listed(names) if names else "nothing"


def listed(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def mismatches(frames: Path, frame_names: Iterable[str], truth: Path, truth_names: Iterable[str]) -> list[str]:
    """One sentence each on frames without truth and on truth without frames."""
    shown, told = list(frame_names), list(truth_names)
    without_truth = [name for name in shown if name not in set(told)]
    without_frame = [name for name in told if name not in set(shown)]
    sentences: list[str] = []
    if without_truth:
        sentences.append(f"{truth}: no truth for {_counted(without_truth, len(shown))} of {frames}.")
    if without_frame:
        sentences.append(f"{truth}: truth without a frame: {listed(without_frame)}.")
    return sentences


def gaps(folder: Path, pictures: Mapping[str, Path]) -> list[str]:
    """A sentence on the numbers that are missing between the first and the last of the pictures."""
    numbers = [int(match[0]) for stem in pictures if (match := re.search(r"\d+$", stem))]
    if len(numbers) < len(pictures) or len(numbers) < 2:
        return []
    missing = [str(number) for number in range(min(numbers), max(numbers)) if number not in set(numbers)]
    if not missing:
        return []
    return [f"{folder}: the numbers of its frames leave out {listed(missing)}."]


def absent_numbers(root: Path, what: str, found: Iterable[int], expected: Sequence[int]) -> list[str]:
    """A sentence on the recordings of the published set that are not there."""
    missing = [str(number) for number in expected if number not in set(found)]
    if not missing:
        return []
    return [f"{root}: without {what} {listed(missing)} of {len(expected)} that are published."]


def refuse_no_folder(root: Path, expected: str) -> None:
    """Refuse a root that is no folder.

    Raises
    ------
    DatasetError
        If it is a file or absent.
    """
    if not root.exists():
        raise DatasetError(
            f"{root}: no such folder.", f"{missing.absent(str(root)).remedy} Expected is one that holds {expected}."
        )
    if not root.is_dir():
        raise DatasetError(f"{root}: a file, not a folder.", f"Unpack it and give the folder that holds {expected}.")


def nothing_usable(root: Path, title: str, expected: str) -> DatasetError:
    """Say what lies where a data set was looked for."""
    return DatasetError(
        f"{root}: no recording of {title} in it (it holds {contents(root)}).",
        f"Give the folder that holds {expected}.",
    )


def split_by_name(root: Path, folder: Path) -> Split | None:
    """Which part of the set the names of the folders from `folder` up to `root` speak of, the nearest first."""
    for place in (folder, *folder.parents):
        words = set(re.split(r"[^a-z]+", place.name.lower()))
        train, test = not words.isdisjoint(_TRAIN), not words.isdisjoint(_TEST)
        if train != test:
            return "train" if train else "test"
        if place == root:
            break
    return None


def _counted(names: Sequence[str], total: int) -> str:
    if len(names) == total:
        return f"any of the {total} frames"
    return f"{len(names)} of the {total} frames ({listed(names)})"


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DatasetError(
            f"{folder}: may not be looked into ({error.strerror or error}).", f"Run: chmod -R u+rX {folder}"
        ) from error
