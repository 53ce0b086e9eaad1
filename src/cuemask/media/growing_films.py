"""A film of masks while it is made: parts of it are whole on disk, so that a run that was broken off has them."""

from __future__ import annotations

import logging
import shutil
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from cuemask.errors import OutputError, PictureError
from cuemask.media.bit_png import png_of_bits
from cuemask.media.files import make_folder
from cuemask.media.mask_films import FILMS, MaskFilm, Masks, film_at, let_go, write_film
from cuemask.media.name_runs import NameRuns

PART = 500  # masks: what a killed run loses at most, and what is held in memory

_log = logging.getLogger(__name__)


class GrowingFilm:
    """Masks that become `path`, told in the order of the clip.

    Parameters
    ----------
    path
        The film.
    work
        A folder of an unfinished run's own, where parts of the film lie until it is whole.
    rate
        Frames of the clip a second.
    resume
        Whether masks that an interrupted run left count.
    """

    def __init__(self, path: Path, work: Path, rate: Fraction, *, resume: bool) -> None:
        self._path, self._work, self._rate = path, make_folder(work), rate
        self._lock = threading.Lock()
        self._size: tuple[int, int] | None = None
        self._before = sorted(work.glob(f"[0-9]*{FILMS}")) if resume else []
        self._begins = [int(part.stem) for part in self._before]
        self._whole = path if resume and path.is_file() else None
        self._parts: list[Path] = []
        self._damaged = set[Path]()
        self._names = NameRuns()
        self._begin_part()

    def known(self, name: str, place: int) -> Bool[np.ndarray, "H W"] | None:
        """The mask of a frame that an interrupted run left; None where it is not there, or damaged.

        May be called in several threads, of frames that have not been told yet.
        """
        near = bisect_right(self._begins, place) - 1
        for film in (self._whole, self._before[near] if near >= 0 else None):
            if film is not None and (mask := self._read(film, name)) is not None:
                return mask
        return None

    def coded(self, mask: Bool[np.ndarray, "H W"]) -> bytes:
        """A mask as it will be written; may be called in several threads.

        Raises
        ------
        OutputError
            If it has another size than those before.
        """
        with self._lock:
            self._size = self._size or mask.shape
        if mask.shape != self._size:
            raise OutputError(f"{self._path}: its masks differ in size.", "Run again with --masks pictures.")
        return png_of_bits(mask)

    def add(self, name: str, place: int, data: bytes) -> None:
        """Append the mask of the frame at `place` of the clip, as `coded` gave it.

        Raises
        ------
        OutputError
            If the disk takes no more.
        """
        self._names.add(name, place)
        self._own_names.add(name, place)
        self._packets.append(data)
        if len(self._packets) == PART:
            path = self._work / f"{self._own_names.place(0):09d}{FILMS}"
            let_go(path)
            write_film(path, self._masks(self._own_names, self._packets), self._rate)
            self._parts.append(path)
            self._begin_part()

    def finish(self) -> None:
        """Write the film, and remove its parts.

        Raises
        ------
        OutputError
            If it cannot be written.
        PictureError
            If a part cannot be read any more.
        """
        let_go(self._path)
        write_film(self._path, self._masks(self._names, self._all_packets()), self._rate)
        for path in (*self._before, *self._parts):
            let_go(path)
        with suppress(OSError):  # the run's own folder of work goes at its end
            shutil.rmtree(self._work)

    def _all_packets(self) -> Iterator[bytes]:
        for path in self._parts:
            part = MaskFilm(path)
            yield from part.packets()
            part.close()
        yield from self._packets

    def _begin_part(self) -> None:
        self._own_names, self._packets = NameRuns(), list[bytes]()

    def _masks(self, names: NameRuns, packets: Iterable[bytes]) -> Masks:
        if self._size is None:
            raise OutputError(f"{self._path}: no mask was made.", "Select at least one frame.")
        return Masks(*self._size, names, packets)

    def _read(self, path: Path, name: str) -> Bool[np.ndarray, "H W"] | None:
        try:
            film = film_at(path)
        except PictureError as error:
            if path not in self._damaged:
                _log.warning("%s What it held is made again.", error.what)
            self._damaged.add(path)
            return None
        try:
            return None if film.names.number(name) is None else film.read(name) > 0
        except PictureError as error:
            _log.warning("%s It is made again.", error.what)
            return None
