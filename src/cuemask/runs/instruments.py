"""`tracks.csv`: a line for each instrument of each frame, in the clip's order."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from cuemask.grouping.instrument import Instrument
from cuemask.grouping.shafts import Shaft

TABLE = "tracks.csv"
INSTANCES, PARTS = "instances", "parts"  # folders of a clip
HEADER = [
    *("frame", "instrument", "x0", "y0", "x1", "y1", "area_px", "entry_x", "entry_y", "direction_x", "direction_y"),
    *("width_px", "length_px", "tip_x", "tip_y", "tip2_x", "tip2_y", "confidence", "reach_px"),
]


def row_of(frame: str, one: Instrument) -> list[str]:
    """The line of one instrument; places in px, such that the middle of the first pixel is 0.5, 0.5."""
    tips = [coordinate for tip in one.tips[:2] for coordinate in tip]
    told = [f"{value:.1f}" for value in tips] + [""] * (4 - len(tips))
    return [
        frame,
        str(one.number),
        *(str(side) for side in one.box),
        str(one.area_px),
        *(f"{value:.1f}" for value in one.shaft.entry),
        *(f"{value:.4f}" for value in one.shaft.direction),
        f"{one.width_px:.1f}",
        f"{one.shaft.length:.1f}",
        *told,
        f"{one.confidence:.4f}",
        f"{one.reach_px:.1f}",
    ]


def read_tracks(table: Path) -> Iterator[tuple[str, list[Instrument]]]:
    """Frames that hold instruments, with them, line by line; lines that are damaged are left out."""
    with table.open(encoding="utf-8", errors="replace", newline="") as file:
        next(file, None)
        for name, rows in groupby(_rows(file), key=lambda row: row[0]):
            yield name, [one for _, one in rows]


def _rows(file: io.TextIOBase) -> Iterator[tuple[str, Instrument]]:
    for row in csv.reader(file):
        with suppress(ValueError, IndexError):
            yield row[0], _instrument(row)


def _instrument(row: list[str]) -> Instrument:
    x0, y0, x1, y1 = (int(value) for value in row[2:6])
    entry_x, entry_y, dx, dy, width, length = (float(value) for value in row[7:13])
    tips = [(float(row[13]), float(row[14]))] if row[13] else []
    tips += [(float(row[15]), float(row[16]))] if row[15] else []
    shaft = Shaft((entry_x, entry_y), (dx, dy), width, 0.0, length, 1.0)
    reach = float(row[18]) if len(row) > 18 else 0.0  # tables of earlier versions do not tell it
    box = (x0, y0, x1, y1)
    return Instrument(int(row[1]), box, int(row[6]), shaft, width, tuple(tips), float(row[17]), reach)
