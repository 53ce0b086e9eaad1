"""ISIC 2016, part 1: skin lesions in dermoscopy, each outlined. Not surgery: it shows how far the method reaches."""

from __future__ import annotations

from pathlib import Path

from cuemask.datasets.dataset import About, Dataset, Kind, Recording, Split
from cuemask.datasets.finding import home, nothing_found, pictures_named
from cuemask.datasets.listing import mismatches
from cuemask.datasets.mask_files import Codes, MaskFiles, beside
from cuemask.errors import DatasetError
from cuemask.media.clips import ClipFiles

LAYOUT = (
    "ISBI2016_ISIC_Part1_{Training,Test}_Data/ISIC_0000000.jpg, "
    "ISBI2016_ISIC_Part1_{Training,Test}_GroundTruth/ISIC_0000000_Segmentation.png"
)
EXPECTED = "ISBI2016_ISIC_Part1_Training_Data"
SPLITS: dict[str, Split] = {"Training": "train", "Test": "test"}
CODES: dict[Kind, Codes] = {"binary": {0: 0, 255: 1}}


def read(root: Path) -> Dataset:
    """Look the data set over; lists files only.

    Raises
    ------
    DatasetError
        If there is no such folder, or neither the training nor the test pictures are in it.
    """
    found = home(root, lambda folder: any(_data(folder, part).is_dir() for part in SPLITS), EXPECTED)
    if found is None:
        raise _nothing_found(root)
    recordings, oddities = list[Recording](), list[str]()
    for part, split in SPLITS.items():
        recording, odd = _recording(found, part, split)
        recordings += [recording] if recording else []
        oddities += odd
    if not recordings:
        raise _nothing_found(found)
    return Dataset("isic2016", found, LAYOUT, tuple(recordings), {"binary": {1: "lesion"}}, oddities=tuple(oddities))


ABOUT = About(
    name="isic2016",
    title="ISIC 2016 task 1",
    content="900 pictures to train on and 379 to test, of many sizes, every lesion outlined",
    terms="CC0",
    access="https://challenge.isic-archive.com/data/#2016",
    layouts=(LAYOUT,),
    kinds=("binary",),
    protocol="isic2016",
    read=read,
)


def _recording(root: Path, part: str, split: Split) -> tuple[Recording | None, list[str]]:
    data = _data(root, part)
    if not data.is_dir():
        return None, [f"{data}: the folder is absent."]
    pictures = pictures_named(data, {".jpg", ".jpeg"})
    if not pictures:
        return None, [f"{data}: no JPEG picture in it."]
    truth, odd = _truth(root, part, data, pictures)
    files = ClipFiles(part.lower(), tuple(pictures.values()), sizes_vary=True)
    return Recording(files, files.name, split, truth), odd


def _truth(root: Path, part: str, data: Path, pictures: dict[str, Path]) -> tuple[MaskFiles | None, list[str]]:
    folder = root / f"ISBI2016_ISIC_Part1_{part}_GroundTruth"
    if not folder.is_dir():
        return None, [f"{folder}: the folder is absent, so the {part.lower()} pictures have no truth."]
    masks = pictures_named(folder, {".png"}, "_Segmentation")
    return beside(pictures, masks, CODES), mismatches(data, pictures, folder, masks)


def _data(root: Path, part: str) -> Path:
    return root / f"ISBI2016_ISIC_Part1_{part}_Data"


def _nothing_found(root: Path) -> DatasetError:
    remedy = "Unpack the archives of part 1 side by side and give the folder around them."
    return nothing_found(root, ABOUT.title, LAYOUT, remedy)
