"""`cuemask benchmark instances|parts|classes`: instruments told apart in the masks of networks, on a data set."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cuemask import __version__
from cuemask.evaluation.grouped import GroupedEvaluation
from cuemask.evaluation.grouped import What as Measured
from cuemask.evaluation.grouped_sets import KINDS, WITH_TRACKS, evaluate_grouped_dataset
from cuemask.evaluation.sets import with_truth
from cuemask.evaluation.tables import Value, json_of, write_rows
from cuemask.experiments.cells import Bench, folder_of, inputs_of, masks_folder, run_cell
from cuemask.experiments.plan import Cell
from cuemask.experiments.tables import QUICK_SAID
from cuemask.grouping.classes import FILE, classes_of, read_groups
from cuemask.media.clips import ClipFiles
from cuemask.media.files import make_folder, write_bytes
from cuemask.media.masks import read_numbers, write_codes
from cuemask.runs.classifying import classify
from cuemask.runs.grouping import GroupOptions, group
from cuemask.runs.instruments import INSTANCES

What = Literal["instances", "parts", "classes"]

_log = logging.getLogger(__name__)


def run_grouped(what: What, cells: Sequence[Cell], bench: Bench, *, is_quick: bool = False) -> list[Path]:
    """Tell instruments apart in the masks of each cell, compare, and write `out/<what>.md`, `.csv` and `.json`.

    What an earlier session finished is not made again. Of "instances" tracks are judged too where the set tells them;
    of "classes" there are as many groups as the set has kinds, and each group is a class.

    Raises
    ------
    CuemaskError
        If the set's truth does not tell that; as the cells' runs.
    """
    with_truth(bench.dataset, KINDS[what])  # told before hours of work
    make_folder(bench.out)
    rows: list[dict[str, Value]] = []
    files: list[Path] = []
    for number, cell in enumerate(cells, 1):
        figures = _figures_of(what, cell, bench)
        rows.append({"held out": ", ".join(cell.score), **figures})
        bench.say(f"[{number}/{len(cells)}] {cell.key}: {_first(figures)}")
        files = _write(what, rows, bench, is_quick=is_quick, unfinished=number < len(cells))
    return files


def _figures_of(what: What, cell: Cell, bench: Bench) -> dict[str, Value]:
    """Of one cell: kept, or made."""
    scored = run_cell(cell, bench)
    file = folder_of(cell, bench) / f"{what}.json"
    if (kept := _kept(file)) is not None:
        return kept
    run = masks_folder(cell, bench)
    started = time.monotonic()
    inputs = inputs_of(bench, cell.score)
    group(run, inputs, GroupOptions(parts=what == "parts", overlay=False, resume=True, progress=bench.progress))
    if what == "classes":
        _write_classes(run, inputs, len(bench.dataset.classes["type"]))
    held_out = tuple(recording for recording in bench.dataset.recordings if recording.name in cell.score)
    dataset = dataclasses.replace(bench.dataset, recordings=held_out)
    kinds: list[Measured] = [what]
    if what == "instances" and dataset.name in WITH_TRACKS:
        kinds.append("tracks")
    found: list[GroupedEvaluation] = [
        evaluate_grouped_dataset(kind, run, dataset, only_predicted=True) for kind in kinds
    ]
    figures: dict[str, Value] = {"frames": len(found[0].frames)}
    for one in found:
        figures |= one.figures
    figures |= {"seconds": round(scored.seconds, 1), "seconds_grouping": round(time.monotonic() - started, 1)}
    write_bytes(file, (json.dumps({"figures": figures, "digest": _digest(figures)}) + "\n").encode())
    return figures


def _kept(file: Path) -> dict[str, Value] | None:
    """What an earlier session wrote, if it is whole."""
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["digest"] != _digest(content["figures"]):
            raise ValueError("it has changed since it was written")
        return content["figures"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        _log.warning("%s: damaged (%s); it is made again.", file, str(error)[:80])
        return None


def _digest(figures: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(figures, sort_keys=True).encode()).hexdigest()


def _write_classes(run: Path, inputs: Sequence[ClipFiles], kinds: int) -> None:
    """`classes/<frame>.png` of a grouped run: each instrument's group, without a network of classes."""
    tracks = {path.parent.name for path in run.glob(f"*/{INSTANCES}")}
    count = sum(_tracks_in(run / name / INSTANCES) for name in tracks)
    classify(run, inputs, count=max(1, min(kinds, count)))
    codes = classes_of(read_groups(run / FILE)).codes
    for name in sorted(tracks):
        out = make_folder(run / name / "classes")
        for path in sorted((run / name / INSTANCES).glob("*.png")):
            numbers = read_numbers(path)
            lookup = np.zeros(int(numbers.max()) + 1, np.uint8)
            for number in range(1, len(lookup)):
                lookup[number] = codes.get((name, number), 0)
            write_codes(out / path.name, lookup[numbers])


def _tracks_in(folder: Path) -> int:
    seen: set[int] = set()
    for path in folder.glob("*.png"):
        seen |= set(np.unique(read_numbers(path)).tolist())
    return len(seen - {0})


def _write(
    what: What, rows: Sequence[Mapping[str, Value]], bench: Bench, *, is_quick: bool, unfinished: bool
) -> list[Path]:
    stem = bench.out / what
    files = [stem.with_suffix(ending) for ending in (".md", ".csv", ".json")]
    columns = list(rows[0])
    lines = [
        f"# {what.capitalize()}",
        "",
        f"On {bench.dataset.name} ({bench.dataset.layout}), seed {bench.seed}; masks by networks that learnt without a "
        "label. From 0 to 1. What each figure is: docs/measures.md.",
        *(["", QUICK_SAID] if is_quick else []),
        *(["", "Not finished: the same command goes on."] if unfinished else []),
        "",
        f"| {' | '.join(columns)} |",
        "|" + "---|" * len(columns),
        *(f"| {' | '.join(_told(row.get(name)) for name in columns)} |" for row in rows),
    ]
    write_bytes(files[0], ("\n".join(lines) + "\n").encode())
    write_rows(files[1], [dict(row) for row in rows])
    told = {
        "table": what,
        "cuemask": __version__,
        "dataset": {"name": bench.dataset.name, "layout": bench.dataset.layout},
        "seed": bench.seed,
        "quick": is_quick,
        "rows": [dict(row) for row in rows],
    }
    write_bytes(files[2], (json_of(told) + "\n").encode())
    return files


def _told(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _first(figures: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {_told(value)}" for name, value in list(figures.items())[1:4])
