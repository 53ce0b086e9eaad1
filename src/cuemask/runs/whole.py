"""Whether all that a complete run made is still there; what is gone, a resumed run makes again."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from cuemask.errors import PictureError
from cuemask.media.clips import Clip
from cuemask.media.mask_folders import masks_of, place_of_masks
from cuemask.runs.confidences import FILE as CONFIDENCES
from cuemask.runs.instruments import INSTANCES, PARTS, TABLE
from cuemask.runs.options import Options
from cuemask.runs.shown import shown_files

CLASSES = "classes"


def missing_masks(clips: Sequence[Clip], options: Options) -> Iterator[Path]:
    """What `runs.predicting.write_masks` made of `clips` with these options, and is gone."""
    for clip in clips:
        folder = options.out / clip.name
        files = [CONFIDENCES, "sheet.png", *(["overlay.mp4"] if options.overlay and not clip.sizes_vary else [])]
        yield from missing(folder / name for name in files)
        yield from missing(shown_files(folder))
        names = _names(folder / CONFIDENCES)
        yield from _missing_masks(folder, names)
        kinds = ["probability"] if options.save_probability else []
        kinds += [CLASSES] if options.recipe.network.classes > 1 else []
        for kind in kinds:
            yield from _missing_pictures(folder / kind, names)
        if options.instances:
            yield from missing(iter([folder / TABLE]))
            for kind in (INSTANCES, PARTS) if options.parts else (INSTANCES,):
                yield from _missing_pictures(folder / kind, names)


def missing_maps(clips: Sequence[Clip], kinds: Collection[str], options: Options) -> Iterator[Path]:
    """What `runs.cueing.anchors` made, a folder for each of `kinds`, and is gone from one of them."""
    for clip in clips:
        folder = options.out / clip.name
        yield from missing(folder / name for name in ("location.png", "cues.png"))
        names = set[str]().union(*(_stems(folder / kind) for kind in kinds))
        for kind in kinds:
            yield from _missing_pictures(folder / kind, names or {"000000"})


def missing(paths: Iterator[Path]) -> Iterator[Path]:
    """Those of `paths` that are no files."""
    return (path for path in paths if not path.is_file())


def _missing_masks(clip: Path, names: Collection[str]) -> Iterator[Path]:
    place = place_of_masks(clip)
    try:
        there = {path.stem for path in masks_of(clip)}
    except PictureError:  # of a film
        yield place
    else:
        yield from (place / f"{name}.png" for name in sorted(set(names) - there))


def _missing_pictures(folder: Path, names: Collection[str]) -> Iterator[Path]:
    return (folder / f"{name}.png" for name in sorted(set(names) - _stems(folder)))


def _stems(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir() if path.suffix == ".png"} if folder.is_dir() else set()


def _names(table: Path) -> list[str]:
    """The frames that a clip's table of confidences names."""
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", errors="replace", newline="") as file:
        return [row[0] for row in list(csv.reader(file))[1:] if row]
