"""Rows of figures as text, CSV and JSON: the same bytes for the same figures, everywhere."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cuemask.media.files import write_bytes

Value = str | int | float | None
Row = Mapping[str, Value]

DIGITS = 6  # after the point: a millionth of a share is less than a pixel of any frame


def text_of(rows: Sequence[Row]) -> str:
    """Aligned columns under their names: words to the left, numbers to the right with 4 digits, `-` for none.

    Raises
    ------
    ValueError
        If rows differ in their columns, or a number is not finite.
    """
    names = _columns(rows)
    lines = [names, *([_told(row[name], 4) or "-" for name in names] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(names))]
    are_words = [any(isinstance(row[name], str) for row in rows) for name in names]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if is_word else cell.rjust(width)
            for cell, width, is_word in zip(line, widths, are_words, strict=True)
        ).rstrip()
        for line in lines
    )


def csv_of(rows: Sequence[Row]) -> str:
    """CSV with a header, a comma between and a line feed after; 6 digits after the point, nothing for none.

    Raises
    ------
    ValueError
        If rows differ in their columns, or a number is not finite.
    """
    names = _columns(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_told(row[name], DIGITS) for name in names] for row in rows)
    return text.getvalue()


def json_of(value: object) -> str:
    """Indented JSON, numbers in full.

    Raises
    ------
    ValueError
        If a number is not finite, for which JSON has no word.
    """
    return json.dumps(value, indent=2, allow_nan=False)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows whole or not at all: JSON where `path` ends in .json, a table for people in .txt, else CSV.

    Raises
    ------
    OutputError
        If writing fails.
    ValueError
        As `csv_of`.
    """
    ending = path.suffix.lower()
    if ending == ".json":
        text = json_of([dict(row) for row in rows]) + "\n"
    else:
        text = text_of(rows) + "\n" if ending == ".txt" else csv_of(rows)
    write_bytes(path, text.encode())


def is_table_of(path: Path, columns: Sequence[str]) -> bool:
    """Whether `path` begins as `write_rows` begins a table with these columns first."""
    with path.open(encoding="utf-8", errors="replace") as file:
        words = re.findall(r"\w+", file.read(4096))
    if path.suffix.lower() == ".json":
        return words[:1] == [columns[0]] and set(columns) <= set(words)
    return words[: len(columns)] == list(columns)


def _columns(rows: Sequence[Row]) -> list[str]:
    names = list(rows[0]) if rows else []
    if any(list(row) != names for row in rows):
        raise ValueError("rows of one table have the same columns")
    return names


def _told(value: Value, digits: int) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no figure")
        return f"{value:.{digits}f}"
    return "" if value is None else str(value)
