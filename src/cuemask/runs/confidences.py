"""`confidence.csv`: a line a frame, kept through interruptions."""

from __future__ import annotations

import csv
import io
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from cuemask.inference.confidence import confidence
from cuemask.media.area import PictureArea
from cuemask.media.files import make_folder, output_errors, write_bytes, written_aside

FILE = "confidence.csv"

_say = logging.getLogger(__name__)


class Told(NamedTuple):
    """What the table says of a frame."""

    confidence: float  # `inference.confidence.confidence`
    share: float  # of the frame's pixels that the mask covers


NOTHING = Told(1.0, 0.0)  # of a frame filmed outside the body, which holds nothing to be masked


class Confidences:
    """Of the frames of one clip, told in their order. Each line is on disk at once, so that a resumed run has it.

    Parameters
    ----------
    work
        Folder of an unfinished run's files; the table grows there, each line with its checksum.
    resume
        Whether lines that an interrupted run left there count; those that have changed since do not.
    finished
        Where a complete run put the table: its lines count where the work folder is gone.
    """

    def __init__(self, work: Path, *, resume: bool, finished: Path | None = None) -> None:
        self._log = make_folder(work) / FILE
        self.before: dict[str, Told] = {}
        if resume and self._log.is_file():
            self.before = dict(_lines(self._log, has_sums=True))
        elif resume and finished is not None and finished.is_file():
            self.before = dict(_lines(finished, has_sums=False))
        self._again: dict[str, Told] = {}  # what a resumed run tells, in the clip's order
        # Written anew: what comes next must not go on where an interrupted run left half a line.
        lines = "".join(_summed(_line(frame, told)) for frame, told in self.before.items())
        write_bytes(self._log, (_HEADER + lines).encode())

    def tell(self, frame: str, told: Told) -> None:
        """Keep what is known of a frame, unless it was told before.

        Raises
        ------
        OutputError
            If the disk takes no more.
        """
        if self.before:
            self._again[frame] = told
            if self.before.get(frame) == told:
                return
        line = _summed(_line(frame, told)).encode()
        with output_errors(self._log), self._log.open("ab", buffering=0) as file:
            while line:  # of which a disk that is nearly full takes a part
                line = line[file.write(line) :]

    def finish(self, path: Path) -> None:
        """Put the whole table at `path`. Its lines stay in the work folder too: the run may have other clips to go."""
        told = self._again.items() if self.before else _lines(self._log, has_sums=True)
        with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
            file.write(_HEADER)
            file.writelines(_line(frame, values) for frame, values in told)


def read_confidences(table: Path) -> Iterator[tuple[str, Told]]:
    """Names and values of a finished table, line by line; lines that are damaged are left out with a warning."""
    yield from _lines(table, has_sums=False)


def told_of(p: Float32[np.ndarray, "h2 w2"], mask: Bool[np.ndarray, "H W"], area: PictureArea) -> Told:
    """What there is to tell of a frame whose endoscope's picture is `area`, to the four digits of the table.

    `p` is that of `inference.confidence.confidence`.
    """
    sure = confidence(p, area.crop(mask), area.inside)
    return Told(round(sure, 4), round(np.count_nonzero(mask) / mask.size, 4))


def _lines(table: Path, *, has_sums: bool) -> Iterator[tuple[str, Told]]:
    """All whole lines; a run killed while writing leaves the last one short, and so may a damaged disk any."""
    with table.open(encoding="utf-8", errors="replace", newline="") as file:
        damaged = 0
        for line in _records(file):
            told = _told(line, has_sums=has_sums)
            damaged += told is None
            if told is not None:
                yield told
    if damaged:
        _say.warning("%s: %d lines are damaged; these frames are computed again.", table, damaged)


def _records(file: Iterator[str]) -> Iterator[str]:
    """Whole lines below the header; a quoted name may hold line feeds. Half a last line is none."""
    record, is_header = "", True
    for line in file:
        record += line
        if not line.endswith("\n") or (record.count('"') % 2 and len(record) < _LONGEST):
            continue
        if not is_header:
            yield record
        record, is_header = "", False


def _told(line: str, *, has_sums: bool) -> tuple[str, Told] | None:
    """What a line says, or None where that is not what was written."""
    if has_sums:
        content, _, found = line.rstrip("\n").rpartition(",")
        line = content + "\n"
        if f"{zlib.crc32(line.encode()):08x}" != found:
            return None
    try:
        ((frame, *values),) = csv.reader(io.StringIO(line, newline=""))
        told = Told(*(float(value) for value in values))
    except (ValueError, TypeError, csv.Error):
        return None
    return (frame, told) if all(0 <= value <= 1 for value in told) else None


def _line(frame: str, told: Told) -> str:
    return _row([frame, *(f"{value:.4f}" for value in told)])


def _summed(line: str) -> str:
    """The line with its checksum in a column of its own."""
    return f"{line[:-1]},{zlib.crc32(line.encode()):08x}\n"


def _row(values: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


_HEADER = _row(["frame", *Told._fields])
_LONGEST = 10_000  # characters of a line: a damaged quote must not swallow the rest of the table
