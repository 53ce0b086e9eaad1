"""Kvasir-Instrument: tools in gastroscopy and colonoscopy, single pictures of many sizes."""

from __future__ import annotations

from pathlib import Path

from cuemask.datasets.dataset import About, Dataset, Kind, Recording, Split
from cuemask.datasets.finding import home, nothing_found, pictures_named
from cuemask.datasets.listing import listed, mismatches
from cuemask.datasets.mask_files import FROM_HALF, Codes, beside
from cuemask.errors import DatasetError
from cuemask.media.clips import ClipFiles

LAYOUT = "images/NAME.jpg, masks/NAME.png, and names in train.txt and test.txt"
EXPECTED = "images, masks, train.txt and test.txt"
SPLITS: tuple[Split, ...] = ("train", "test")
# Masks are published resampled, so that their edges hold all values between 0 and 255.
CODES: dict[Kind, Codes] = {"binary": FROM_HALF}


def read(root: Path) -> Dataset:
    """Look the data set over; lists files only.

    Raises
    ------
    DatasetError
        If there is no such folder, no pictures in it, or neither list names any.
    """
    found = home(root, _holds, EXPECTED)
    if found is None or not (found / "images").is_dir():
        raise nothing_found(found or root, ABOUT.title, LAYOUT, _remedy(found or root))
    pictures = pictures_named(found / "images", {".jpg", ".jpeg"})
    masks = pictures_named(found / "masks", {".png"})
    lists: dict[Split, list[str] | None] = {split: _names(found / f"{split}.txt") for split in SPLITS}
    recordings = [
        recording for split in SPLITS if (recording := _recording(split, lists[split] or [], pictures, masks))
    ]
    if not recordings:
        raise DatasetError(
            f"{found}: {len(pictures)} pictures, and none of them stands in train.txt or test.txt.",
            "Copy train.txt and test.txt from the data set's archive into that folder.",
        )
    oddities = _oddities_of_lists(found, pictures, lists) + mismatches(
        found / "images", pictures, found / "masks", masks
    )
    return Dataset("kvasir", found, LAYOUT, tuple(recordings), {"binary": {1: "instrument"}}, oddities=tuple(oddities))


ABOUT = About(
    name="kvasir",
    title="Kvasir-Instrument",
    content="590 pictures of many sizes, 472 to train on and 118 to test",
    terms="free for research and teaching",
    access="https://datasets.simula.no/kvasir-instrument/",
    layouts=(LAYOUT,),
    kinds=("binary",),
    protocol="endovis2017",
    read=read,
)


def _holds(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("images", "images.tar.gz")) and any(
        (folder / f"{split}.txt").is_file() for split in SPLITS
    )


def _remedy(root: Path) -> str:
    if (root / "images.tar.gz").is_file():
        return f"Run: cd {root} && tar xzf images.tar.gz && tar xzf masks.tar.gz"
    return f"Give the folder that holds {EXPECTED}."


def _names(path: Path) -> list[str] | None:
    """The names in a list, one a line, with or without an ending; None where the list is absent."""
    if not path.is_file():
        return None
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return [line.removesuffix(".jpg").removesuffix(".png") for line in lines if line]


def _recording(split: Split, names: list[str], pictures: dict[str, Path], masks: dict[str, Path]) -> Recording | None:
    listed_names = set(names)
    chosen = {name: path for name, path in pictures.items() if name in listed_names}
    if not chosen:
        return None
    files = ClipFiles(split, tuple(chosen.values()), sizes_vary=True)
    return Recording(files, split, split, beside(chosen, masks, CODES))


def _oddities_of_lists(root: Path, pictures: dict[str, Path], lists: dict[Split, list[str] | None]) -> list[str]:
    odd: list[str] = []
    for split, names in lists.items():
        if names is None:
            odd.append(f"{root / split}.txt: the list is absent.")
            continue
        absent = [name for name in names if name not in pictures]
        if absent:
            odd.append(f"{root / split}.txt: no picture for {len(absent)} of {len(names)} names ({listed(absent)}).")
    train, test = (set(lists[split] or ()) for split in SPLITS)
    both = [name for name in pictures if name in train & test]
    neither = [name for name in pictures if name not in train | test]
    for names, where in ((both, "both train.txt and test.txt"), (neither, "neither train.txt nor test.txt")):
        if names:
            odd.append(f"{root}: {len(names)} of {len(pictures)} pictures stand in {where} ({listed(names)}).")
    return odd
