"""ROBUST-MIS 2019: single frames from 30 operations on the bowel, every instrument outlined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cuemask.datasets.dataset import About, Dataset, Kind, Recording, Split
from cuemask.datasets.finding import home, nothing_found
from cuemask.datasets.listing import folders_in, listed
from cuemask.datasets.mask_files import ABOVE_ZERO, Codes, MaskFiles, beside
from cuemask.media.clips import ClipFiles

PICTURE, MASK = "raw.png", "instrument_instances.png"
LAYOUT = f"{{Training,Stage_1,Stage_2,Stage_3}}/<procedure>/<number>/<frame>/{{{PICTURE},{MASK}}}"
EXPECTED = "Training, Stage_1, Stage_2 and Stage_3"
TESTING = "Testing"  # a folder that some copies have around the stages
STAGES: dict[str, Split] = {"Training": "train", "Stage_1": "test", "Stage_2": "test", "Stage_3": "test"}
MOST_INSTANCES = 254  # the highest number that is read
CODES: dict[Kind, Codes] = {"binary": ABOVE_ZERO, "instances": {code: code for code in range(MOST_INSTANCES + 1)}}
CLASSES: dict[Kind, dict[int, str]] = {"binary": {1: "instrument"}, "instances": {}}


def read(root: Path) -> Dataset:
    """Look the data set over; lists files only.

    Raises
    ------
    DatasetError
        If there is no such folder, or no frame in it.
    """
    found = home(root, lambda folder: bool(_stages(folder)), EXPECTED)
    recordings, oddities = list[Recording](), list[str]()
    for stage in _stages(found) if found else ():
        for surgery in _surgeries(stage):
            recording, odd = _recording(stage, surgery)
            recordings += [recording] if recording else []
            oddities += odd
    if found is None or not recordings:
        raise nothing_found(found or root, ABOUT.title, LAYOUT, f"Give the folder that holds {EXPECTED}.")
    return Dataset("robustmis", found, LAYOUT, tuple(recordings), CLASSES, oddities=tuple(oddities))


ABOUT = About(
    name="robustmis",
    title="ROBUST-MIS 2019",
    content="10,040 single frames of 960x540 from 30 operations of three kinds; the third kind is tested on only",
    terms="CC BY-NC-SA 4.0, on request",
    access="https://www.synapse.org/Synapse:syn18779624",
    layouts=(LAYOUT,),
    kinds=("binary", "instances"),
    protocol="endovis2017",
    read=read,
)


def _stages(root: Path) -> list[Path]:
    places = ((root / name, root / TESTING / name) for name in STAGES)
    return [folder for pair in places if (folder := next(filter(Path.is_dir, pair), None))]


def _surgeries(stage: Path) -> Iterator[Path]:
    for procedure in folders_in(stage):
        yield from folders_in(procedure)


def _recording(stage: Path, surgery: Path) -> tuple[Recording | None, list[str]]:
    folders = {folder.name: folder for folder in folders_in(surgery)}
    pictures = {name: folder / PICTURE for name, folder in folders.items() if (folder / PICTURE).is_file()}
    if not pictures:
        return None, [f"{surgery}: no frame with {PICTURE} in it."]
    truth = _truth(pictures)
    odd = _without(surgery, PICTURE, [name for name in folders if name not in pictures], len(folders))
    masked = truth.names if truth else ()
    odd += _without(surgery, MASK, [name for name in pictures if name not in masked], len(pictures))
    number = f"{surgery.parent.name}_{surgery.name}".replace(" ", "_")
    files = ClipFiles(f"{stage.name}_{number}", tuple(pictures.values()), tuple(pictures))
    return Recording(files, number, STAGES[stage.name], truth), odd


def _truth(pictures: dict[str, Path]) -> MaskFiles | None:
    masks = {name: path.with_name(MASK) for name, path in pictures.items() if path.with_name(MASK).is_file()}
    return beside(pictures, masks, CODES)


def _without(surgery: Path, file: str, names: list[str], count: int) -> list[str]:
    return [f"{surgery}: no {file} in {len(names)} of {count} frames ({listed(names)})."] if names else []
