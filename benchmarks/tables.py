"""What every benchmark shares: runs in alternation, and tables kept as JSON and Markdown.

A benchmark module has a `main` that measures, checks that the outputs agree before any speed is told, and ends
with `keep(Table(...))`. That replaces its own table in `benchmarks/results/<machine>.json` and writes
`<machine>.md` anew, so that each can be run alone; `make bench` runs them all.
"""

from __future__ import annotations

import dataclasses
import json
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from benchmarks.machine import facts, processor
from cuemask.media.files import write_bytes

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One contestant: a value a repeat, in the table's unit; `note` stands in the last column."""

    name: str
    values: list[float]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """One benchmark's outcome.

    Attributes
    ----------
    key
        The module's name.
    question
        What is compared, in a sentence.
    command
        What printed it.
    unit
        Of the rows' values, such as "ms a frame".
    findings
        Sentences: agreement of the outputs, ratios beside their aims, misses by how much.
    """

    key: str
    title: str
    question: str
    command: str
    unit: str
    rows: list[Row]
    findings: list[str] = field(default_factory=list)


def alternated(runs: Mapping[str, Callable[[], object]], repeats: int, warm: int = 1) -> dict[str, list[float]]:
    """Wall seconds of each run, in alternation, so that a slow minute of the machine hits all of them."""
    for run in runs.values():
        for _ in range(warm):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def keep(table: Table) -> None:
    """Print `table`, and put it in this machine's results in place of its predecessor."""
    print(as_markdown(table))
    name = re.sub(r"[^a-z0-9]+", "-", f"{processor()} {facts()['threads']} threads".lower()).strip("-")
    file = RESULTS / f"{name}.json"
    kept = json.loads(file.read_text()) if file.is_file() else {"tables": {}}
    stamp = {"date": date.today().isoformat(), "machine": facts()}
    kept["tables"][table.key] = {**dataclasses.asdict(table), **stamp}
    RESULTS.mkdir(exist_ok=True)
    write_bytes(file, (json.dumps(kept, indent=1) + "\n").encode())
    parts = [
        f"# Measured on {processor()}\n\nWritten by the commands named; medians, least and greatest of the repeats.\n"
    ]
    for entry in kept["tables"].values():
        known = {f.name: entry[f.name] for f in dataclasses.fields(Table)}
        rows = [Row(**row) for row in known.pop("rows")]
        machine = ", ".join(f"{key} {value}" for key, value in entry["machine"].items())
        parts.append(f"{as_markdown(Table(rows=rows, **known))}\n*{entry['date']}; {machine}*\n")
    write_bytes(file.with_suffix(".md"), "\n".join(parts).encode())


def as_markdown(table: Table) -> str:
    """A section: the question, a row each, the findings."""
    lines = [f"## {table.title}", "", table.question, "", f"`{table.command}`", ""]
    lines += [f"| {table.unit} | median | least | greatest | repeats | |", "|---|---|---|---|---|---|"]
    for row in table.rows:
        cells = [statistics.median(row.values), min(row.values), max(row.values)]
        numbers = " | ".join(f"{value:.4g}" for value in cells)
        lines.append(f"| {row.name} | {numbers} | {len(row.values)} | {row.note} |")
    lines += ["", *(f"- {finding}" for finding in table.findings), ""]
    return "\n".join(lines)
