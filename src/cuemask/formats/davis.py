"""DAVIS: a folder of pictures of indices a clip, `Annotations/Full-Resolution/CLIP/FRAME.png`, with its palette."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cuemask.errors import InputError
from cuemask.formats.frames import MaskFrame, ReadMask
from cuemask.formats.palette import write_indices
from cuemask.media.files import make_folder
from cuemask.media.masks import read_mask
from cuemask.media.pictures import natural_order

_ANNOTATIONS = Path("Annotations") / "Full-Resolution"
_SET = Path("ImageSets") / "2017" / "val.txt"


def write_davis(folder: Path, frames: Iterable[MaskFrame]) -> list[str]:
    """Write `Annotations/Full-Resolution/CLIP/FRAME.png`, and the clips' names in `ImageSets/2017/val.txt`."""
    clips: dict[str, None] = {}
    for frame in frames:
        clips[frame.clip] = None
        write_indices(folder / _ANNOTATIONS / frame.clip / f"{frame.name}.png", frame.mask)
    listing = folder / _SET
    make_folder(listing.parent)
    listing.write_text("".join(f"{clip}\n" for clip in clips), encoding="utf-8", newline="\n")
    return []


def read_davis(folder: Path) -> Iterator[ReadMask]:
    """Masks of DAVIS's layout, or of one clip's folder: every object of a frame is instrument.

    Raises
    ------
    InputError
        If there are none, or one cannot be read.
    """
    root = next((place for place in (folder / _ANNOTATIONS, folder / "Annotations") if place.is_dir()), folder)
    if root == folder / "Annotations":
        below = [place for place in root.iterdir() if place.is_dir() and any(each.is_dir() for each in place.iterdir())]
        if len(below) > 1:
            named = ", ".join(sorted(place.name for place in below))
            raise InputError(f"{folder}: holds several resolutions ({named}).", f"Name one: {root / below[0].name}")
        root = below[0] if below else root
    paths = natural_order(root.rglob("*.png"))
    if not paths:
        raise InputError(f"{folder}: no .png file in it.", "Give DAVIS's folder, or one with a folder a clip.")
    for path in paths:
        yield ReadMask(path.relative_to(root).as_posix(), read_mask(path) > 0)
