"""Groups of instruments that look alike, as the page of review shows them to be named: `classes.toml` of the run."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Bool

from cuemask.errors import PictureError
from cuemask.grouping.classes import FILE, Group, as_toml, classes_of, names_of, read_groups, with_names
from cuemask.media.files import sha256, write_bytes
from cuemask.media.masks import read_numbers

_LONGEST_NAME = 60


class Exemplar(NamedTuple):
    """An instrument of one frame."""

    clip: str
    frame: str
    number: int


class ReviewKinds:
    """The groups of a run, read anew each time: the file is the user's, who may edit it meanwhile.

    Parameters
    ----------
    run
        The run's folder.
    """

    def __init__(self, run: Path) -> None:
        self._run, self._file = run, run / FILE
        self._lock = threading.Lock()

    def told(self) -> dict[str, Any]:
        """The groups with what they are called, in JSON's types, and the version of the file that tells it.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        if not self._file.is_file():
            return {"groups": [], "version": ""}
        version = sha256(self._file)  # before it is read: what comes later is another version
        groups = read_groups(self._file)
        names = names_of(groups)
        told = [
            {
                "number": group.number,
                "name": names[group.number] or "",
                "is_none": names[group.number] is None,
                "tracks": len(group.tracks),
                "frames": group.frames,
                "exemplars": len(group.exemplars),
            }
            for group in groups
        ]
        return {"groups": told, "version": version}

    def exemplar(self, number: int, place: int) -> Exemplar:
        """The exemplar of a group at a place, from 0."""
        groups = {group.number: group for group in self._groups()}
        if number not in groups or place >= len(groups[number].exemplars):
            raise ValueError(f"group {number} has no exemplar {place}")
        picture, _, instrument = groups[number].exemplars[place].rpartition(":")
        clip, _, frame = picture.rpartition("/")
        return Exemplar(clip, frame, int(instrument))

    def own(self, which: Exemplar) -> Bool[np.ndarray, "H W"]:
        """Its pixels. Clip and frame must be names of the run: they are made a path of.

        Raises
        ------
        PictureError
            If the label map is gone, or does not show it.
        """
        path = self._run / which.clip / "instances" / f"{which.frame}.png"
        own = read_numbers(path) == which.number
        if not own.any():
            raise PictureError(
                f"{path}: has no instrument {which.number}.", "Make the groups again: cuemask classes RUN"
            )
        return own

    def write(self, names: Mapping[int, str | None], version: str) -> bool:
        """Write what groups are called; False where the file is of another version by now.

        Raises
        ------
        InputError
            If no group would be an instrument, or the file is damaged.
        OutputError
            If it cannot be written.
        """
        with self._lock:
            if not self._file.is_file() or sha256(self._file) != version:
                return False
            groups = with_names(self._groups(), names)
            classes_of(groups, FILE)
            write_bytes(self._file, as_toml(groups).encode())
            return True

    def _groups(self) -> list[Group]:
        return read_groups(self._file) if self._file.is_file() else []


def names_asked(body: bytes) -> tuple[dict[int, str | None], str]:
    """Names of groups by their numbers, None of what is no instrument, and the version of the file that they change."""
    try:
        told = cast("dict[str, Any]", json.loads(body))
        names = {int(number): _name(name) for number, name in dict(told["names"]).items()}
        return names, str(told["version"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("no names of groups") from error


def _name(told: object) -> str | None:
    """A name as it is written: short, and of one line."""
    if told is None:
        return None
    if not isinstance(told, str):
        raise TypeError("a name is a text")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in told).split())[:_LONGEST_NAME].strip()
