"""The masks in a folder, whatever wrote it: masks side by side, a folder a clip, a run, or a clip of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from cuemask.media.pictures import composed, is_picture, natural_order

MASKS = "masks"


def named_masks(folder: Path, endings: Collection[str] | None = None, room: str = MASKS) -> Iterator[tuple[str, Path]]:
    """Masks by their names: `FRAME`, or `CLIP/FRAME` where they lie in folders; clip by clip, in natural order.

    Of a run, or a folder that holds a folder `room`, such as a clip of a run, only what lies in `room` is one; there
    `room` is no part of a name. Hidden files and folders are passed over.

    Parameters
    ----------
    endings
        Of files, small and with their point; None takes those of all pictures.
    room
        What runs call the folder: "masks", or "instances", "parts", "classes".
    """
    place = folder / room if (folder / room).is_dir() else folder
    below = (path for path in place.rglob("*") if is_picture(path) and not _is_hidden(path.relative_to(place)))
    paths = [path for path in below if endings is None or path.suffix.lower() in endings]
    inside = [path for path in paths if path.parent.name == room]
    if is_run_folder(place) and room == MASKS:  # its sheets and cues are pictures, too
        paths = inside or paths
    elif room != MASKS:  # and its masks are no instances
        paths = inside if inside or is_run_folder(place) else paths
    for path in sorted(natural_order(paths), key=lambda path: path.parent):
        *folders, name = path.relative_to(place).with_suffix("").parts
        if folders[-1:] == [room]:
            folders.pop()
        yield composed("/".join([*folders, name])), path


def is_run_folder(folder: Path) -> bool:
    """Whether a run was written there: its record lies in it."""
    return (folder / "run.json").is_file()


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
