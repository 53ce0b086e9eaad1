"""Where masks lie: in a folder, whatever wrote it, side by side, a folder a clip, a run, or a clip of one; in a film.

Whoever reads a run asks here where its masks are, and reads them by their paths, be they files or in `masks.mov`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from cuemask.errors import InputError
from cuemask.media.mask_films import FILM, is_film, paths_in
from cuemask.media.pictures import composed, is_picture, natural_order

MASKS = "masks"


def place_of_masks(clip: Path) -> Path:
    """What holds the masks of a clip of a run, `CLIP/masks` or `CLIP/masks.mov`; the folder where neither is there.

    A mask has the path `PLACE/FRAME.png` in both.

    Raises
    ------
    InputError
        If both are there.
    """
    folder, film = clip / MASKS, clip / FILM
    if not film.is_file():
        return folder
    if folder.is_dir():
        raise InputError(
            f"{clip}: holds both {MASKS}/ and {FILM}; nobody can tell which are its masks.",
            f"Remove one of them: rm {film}",
        )
    return film


def mask_path(clip: Path, frame: str) -> Path:
    """The path of the mask of a frame in a clip of a run, for `masks.read_mask`.

    Raises
    ------
    InputError
        As `place_of_masks`.
    """
    return place_of_masks(clip) / f"{frame}.png"


def masks_of(clip: Path) -> list[Path]:
    """Paths of the masks of a clip of a run, in natural order.

    Raises
    ------
    InputError
        As `place_of_masks`, or if a film cannot be opened.
    """
    place = place_of_masks(clip)
    if is_film(place):
        return natural_order(paths_in(place))
    return natural_order(path for path in place.glob("*.png") if not path.name.startswith("."))


def holds_masks(place: Path) -> bool:
    """Whether masks are to be looked for there: in a folder, or a film."""
    return place.is_dir() or is_film(place)


def named_masks(folder: Path, endings: Collection[str] | None = None, room: str = MASKS) -> Iterator[tuple[str, Path]]:
    """Masks by their names: `FRAME`, or `CLIP/FRAME` where they lie in folders; clip by clip, in natural order.

    What `masks.mov` holds counts as if it lay in a folder of its own, `masks`; `folder` may be such a film. Of a run,
    or a folder that holds a folder `room`, such as a clip of a run, only what lies in `room` is one; there `room` is no
    part of a name. Hidden files and folders are passed over.

    Parameters
    ----------
    endings
        Of files, small and with their point; None takes those of all pictures.
    room
        What runs call the folder: "masks", or "instances", "parts", "classes".

    Raises
    ------
    InputError
        If a film cannot be opened, or a clip's masks lie both in a film and in a folder.
    """
    if is_film(folder) and room == MASKS:
        yield from ((composed(path.stem), path) for path in natural_order(paths_in(folder)))
        return
    place = folder / room if (folder / room).is_dir() and not (folder / FILM).is_file() else folder
    below = (path for path in place.rglob("*") if is_picture(path) and not _is_hidden(path.relative_to(place)))
    paths = [path for path in below if endings is None or path.suffix.lower() in endings]
    filmed = _in_films(place) if room == MASKS else []
    inside = [path for path in paths if path.parent.name == room] + filmed
    if room == MASKS and (filmed or is_run_folder(place)):  # its sheets and cues are pictures, too
        paths = inside or paths
    elif room != MASKS:  # and its masks are no instances
        paths = inside if inside or is_run_folder(place) else paths
    for path in sorted(natural_order(paths), key=lambda path: path.parent):
        *folders, name = path.relative_to(place).with_suffix("").parts
        if folders and (folders[-1] == room or path.parent.name == FILM):
            folders.pop()
        yield composed("/".join([*folders, name])), path


def is_run_folder(folder: Path) -> bool:
    """Whether a run was written there: its record lies in it."""
    return (folder / "run.json").is_file()


def _in_films(place: Path) -> list[Path]:
    """The masks in all films below a folder."""
    films = [path for path in place.rglob(FILM) if is_film(path) and not _is_hidden(path.relative_to(place))]
    return [mask for film in films for mask in paths_in(place_of_masks(film.parent))]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
