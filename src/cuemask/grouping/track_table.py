"""The table of a clip's instruments, `tracks.csv`, as far as grouping by looks needs it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cuemask.errors import InputError

FILE = "tracks.csv"
_NEEDED = ("frame", "instrument", "area")


class Row(NamedTuple):
    """One instrument in one frame: its number in the clip, its pixels, and the direction of its shaft where known."""

    frame: str
    instrument: int
    area_px: int
    direction: tuple[float, float] | None


def read_tracks(path: Path) -> Iterator[Row]:
    """The rows of a `tracks.csv`, one at a time, in the clip's order.

    Raises
    ------
    InputError
        If it cannot be read, or lacks a column.
    """
    remedy = f"Make it again: cuemask group {path.parent.parent}"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            lacking = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
            if lacking:
                raise InputError(f"{path}: lacks the column {lacking[0]}.", remedy)
            for row in reader:
                yield Row(row["frame"], int(row["instrument"]), int(float(row["area"])), _direction(row))
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}).", remedy) from error


def _direction(row: dict[str, str]) -> tuple[float, float] | None:
    x, y = (float(row.get(name) or "nan") for name in ("direction_x", "direction_y"))
    return (x, y) if math.isfinite(x) and math.isfinite(y) and (x, y) != (0.0, 0.0) else None
