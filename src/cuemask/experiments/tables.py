"""A table of the paper, ours beside theirs, as Markdown, CSV and JSON."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cuemask import __version__
from cuemask.evaluation.protocols import protocol_named
from cuemask.evaluation.results import Evaluation
from cuemask.evaluation.tables import Row as Figures
from cuemask.evaluation.tables import json_of, write_rows
from cuemask.experiments.cells import Bench, Scored, run_cell
from cuemask.experiments.plan import Cell, Row
from cuemask.experiments.published import NEGATIVE, NETWORK, POSITIVE, Printed
from cuemask.experiments.settings import RowSettings, settings_of_rows
from cuemask.media.files import make_folder, write_bytes
from cuemask.runs.options import Label, Progress, label_at

QUICK_SAID = "**A quick run: networks of a few steps on tiny pictures. Its figures mean nothing.**"


def run_table(table: str, rows: Sequence[Row], bench: Bench, *, is_quick: bool = False) -> list[Path]:
    """Run the cells that are missing and write `out/<table>.md`, `.csv` and `.json`, anew after each row.

    Returns
    -------
    The files, Markdown first.

    Raises
    ------
    CuemaskError
        As the cells' runs.
    """
    make_folder(bench.out)
    cells = list(dict.fromkeys(cell for row in rows for cell in row.cells))
    settings = settings_of_rows(rows)
    clock = _Clock(len(cells))
    scored: dict[Cell, Scored] = {}
    files: list[Path] = []
    for number, cell in enumerate(cells, 1):
        prefix = f"[{number}/{len(cells)}] {cell.key}"
        scored[cell] = run_cell(cell, dataclasses.replace(bench, progress=_named(bench.progress, prefix)))
        clock.done(scored[cell])
        bench.say(f"{prefix}: {_said(scored[cell], bench)}; {clock.left()}")
        done = [row for row in rows if all(one in scored for one in row.cells)]
        files = _write(table, done, scored, settings, bench, is_quick=is_quick, unfinished=len(done) < len(rows))
    return files


class _Clock:
    """How long the cells that are left may take: as those that this session ran."""

    def __init__(self, cells: int) -> None:
        self.left_cells = cells
        self.started = time.monotonic()
        self.last = self.started
        self.spent: list[float] = []

    def done(self, scored: Scored) -> None:
        now = time.monotonic()
        self.left_cells -= 1
        if now - self.last > 0.01 * scored.seconds:  # not one that an earlier session kept
            self.spent.append(now - self.last)
        self.last = now

    def left(self) -> str:
        if not self.left_cells:
            return "all done"
        if not self.spent:
            return f"{self.left_cells} cells left"
        minutes = self.left_cells * sum(self.spent) / len(self.spent) / 60
        return f"{self.left_cells} cells left, about {minutes:.0f} min"


def _named(progress: Progress, prefix: str) -> Progress:
    """Progress whose lines begin with the cell."""

    def named(label: Label, items: Iterable[Any], total: int | None) -> Iterator[Any]:
        return progress(lambda count: f"{prefix} {label_at(label, count)}", items, total)

    return named


def _said(scored: Scored, bench: Bench) -> str:
    figures = {method: Evaluation(frames, bench.protocol).iou_mean for method, frames in scored.frames.items()}
    return ", ".join(f"{method} IoU {100 * iou:.2f}" for method, iou in figures.items())


def _write(
    table: str,
    rows: Sequence[Row],
    scored: Mapping[Cell, Scored],
    settings: RowSettings,
    bench: Bench,
    *,
    is_quick: bool,
    unfinished: bool,
) -> list[Path]:
    lines = [line for row in rows for line in _lines(row, scored, bench)]
    methods = list(dict.fromkeys(str(line["of"]) for line in lines))
    stem = bench.out / table
    files = [stem.with_suffix(ending) for ending in (".md", ".csv", ".json")]
    head = _header(table, lines, settings, bench, is_quick=is_quick, unfinished=unfinished)
    text = "\n".join([*head, "", *_figures(lines, with_method=len(methods) > 1)]) + "\n"
    write_bytes(files[0], text.encode())
    write_rows(files[1], [_flat(line) for line in lines])
    told = {
        "table": table,
        "cuemask": __version__,
        "quick": is_quick,
        "dataset": {"name": bench.dataset.name, "layout": bench.dataset.layout},
        "protocol": {"name": bench.protocol, "rule": protocol_named(bench.protocol).rule},
        "seed": bench.seed,
        "settings": settings.as_json(),
        "rows": [_flat(line) for line in lines],
    }
    write_bytes(files[2], (json_of(told) + "\n").encode())
    return files


def _lines(row: Row, scored: Mapping[Cell, Scored], bench: Bench) -> list[dict[str, Any]]:
    """One a method: what stands at its left, ours, the paper's."""
    known = {*row.printed, *(method for cell in row.cells for method in scored[cell].frames)}
    methods = [method for method in (POSITIVE, NEGATIVE, NETWORK) if method in known]
    lines: list[dict[str, Any]] = []
    for method in methods:
        pooled = tuple(frame for cell in row.cells for frame in scored[cell].frames.get(method, ()))
        ours = Evaluation(pooled, bench.protocol) if pooled else None
        seconds = sum(scored[cell].seconds for cell in row.cells)
        lines.append({"head": row.head, "of": method, "ours": ours, "paper": row.printed.get(method), "s": seconds})
    return lines


def _flat(line: Mapping[str, Any]) -> Figures:
    """Figures of a line in percent, empty where there is none."""
    ours: Evaluation | None = line["ours"]
    paper: Printed | None = line["paper"]
    flat: dict[str, str | int | float | None] = {**line["head"], "of": line["of"]}
    flat["frames"] = len(ours.pooled.frames) if ours else None
    for name in ("iou", "dice"):
        figure = ours.figure(name) if ours else None
        mean = 100 * figure.mean if figure else None
        deviation = None if figure is None or figure.deviation is None else 100 * figure.deviation
        printed = float(getattr(paper, name)) if paper else None
        flat |= {f"{name}_mean": mean, f"{name}_deviation": deviation, f"{name}_paper": printed}
        flat[f"{name}_paper_deviation"] = getattr(paper, f"{name}_deviation") if paper else None
        flat[f"{name}_difference"] = mean - printed if mean is not None and printed is not None else None
    flat["seconds"] = round(line["s"], 1) if ours else None
    return flat


def _header(
    table: str,
    lines: Sequence[Mapping[str, Any]],
    settings: RowSettings,
    bench: Bench,
    *,
    is_quick: bool,
    unfinished: bool,
) -> list[str]:
    """What stands above the figures: on what they are, by which rule, and what the rows were made with."""
    said = [
        f"# {table.replace('table', 'Table ')}",
        "",
        f"Ours on {bench.dataset.name} ({_counted(lines)}; {bench.dataset.layout}), seed {bench.seed}, beside what the "
        "paper prints of the data set that it used. In percent; "
        f"protocol {bench.protocol}: {protocol_named(bench.protocol).rule}.",
    ]
    if is_quick:
        said += ["", QUICK_SAID]
    if unfinished:
        said += ["", "Not finished: the same command goes on."]
    return [*said, "", "Made with:", "", *settings.lines()]


def _figures(lines: Sequence[Mapping[str, Any]], *, with_method: bool) -> list[str]:
    """The table itself."""
    head = [*lines[0]["head"], *(["of"] if with_method else [])]
    columns = [*head, "IoU", "paper", "difference", "Dice", "paper", "difference", "minutes"]
    said = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for line in lines:
        flat = _flat(line)
        cells = [str(flat[name]) for name in head]
        for name in ("iou", "dice"):
            cells += [
                _spread(flat[f"{name}_mean"], flat[f"{name}_deviation"]),
                _spread(flat[f"{name}_paper"], flat[f"{name}_paper_deviation"]),
                _signed(flat[f"{name}_difference"]),
            ]
        seconds = flat["seconds"]
        cells.append(f"{float(seconds) / 60:.1f}" if seconds is not None else "")
        said.append(f"| {' | '.join(cells)} |")
    return said


def _counted(lines: Sequence[Mapping[str, Any]]) -> str:
    ours: list[Evaluation] = [line["ours"] for line in lines if line["ours"]]
    if not ours:
        return "no frame yet"
    videos = {frame.video for frame in ours[0].frames}
    return f"{len(ours[0].pooled.frames)} frames of {len(videos)} recordings"


def _spread(mean: Any, deviation: Any) -> str:
    if mean is None:
        return ""
    return f"{float(mean):.2f}" + ("" if deviation is None else f" ± {float(deviation):.2f}")


def _signed(value: Any) -> str:
    return "" if value is None else f"{float(value):+.2f}"
