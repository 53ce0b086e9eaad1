"""`cuemask benchmark`: a table or figure of the paper from a data set on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cuemask.datasets.catalogue import DATASETS, read_dataset
from cuemask.experiments.cells import CELLS, SCORES, Bench
from cuemask.experiments.cost import cost_lines
from cuemask.experiments.figure import figure2
from cuemask.experiments.grouped import run_grouped
from cuemask.experiments.plan import USUAL, rows_of, split_of
from cuemask.experiments.tables import run_table
from cuemask.media.folders import own_folder
from cuemask.media.frames import Selection
from cuemask.recipe import PAPER, Recipe
from cuemask.runs.options import Progress, silent, unsaid

What = Literal["table1", "table2", "table3", "table4", "figure2", "instances", "parts", "classes"]


@dataclass(frozen=True)
class BenchmarkOptions:
    """The command line's flags of the same names.

    Attributes
    ----------
    data
        Where the data set lies.
    out
        Folder of the results. Networks of the same settings that lie there are not made again, whichever table or
        figure they were made for.
    recipe
        What all rows have in common; rows beside a printed figure are what that figure is (`plan.rows_of`).
    dataset
        Its name; None for the one of the paper.
    videos
        Numbers or names of the recordings to take; empty for all.
    folds
        A text file, a line a fold with the recordings held out; None for the usual division.
    protocol
        Name of the rule by which figures are pooled; None for what is usual for the data set.
    every
        Take every so many-th frame.
    is_quick
        Tiny pictures and few steps, to try it out.
    say
        Given lines as it goes on. Before anything is trained it is told the cost, which is measured for it in some ten
        seconds; where nobody listens, nothing is measured.
    """

    data: Path
    out: Path
    recipe: Recipe = PAPER
    dataset: str | None = None
    videos: tuple[str, ...] = ()
    folds: Path | None = None
    protocol: str | None = None
    every: int = 1
    seed: int = 0
    device: str = "auto"
    is_quick: bool = False
    progress: Progress = silent
    say: Callable[[str], None] = unsaid


def benchmark(what: What, options: BenchmarkOptions) -> list[Path]:
    """Make a table of the paper (Markdown, CSV, JSON), its figure 2 (sheet, video), or one of instruments told apart.

    Figure 2, and the tables of instances, parts and classes, are made with the network of L_full.

    Returns
    -------
    The files.

    Raises
    ------
    CuemaskError
        If the data set cannot be read or divided, or as the runs.
    """
    with own_folder(options.out, _is_own):
        return _made(what, options)


def _made(what: What, options: BenchmarkOptions) -> list[Path]:
    name = options.dataset or USUAL.get(what, USUAL["table1"])
    dataset = read_dataset(name, options.data, options.videos)
    for oddity in dataset.oddities:
        options.say(f"note: {oddity}")
    split = split_of(dataset, options.folds)
    bench = Bench(
        dataset,
        options.out,
        options.protocol or DATASETS[name].protocol,
        Selection(options.every),
        dataset.crop,
        options.seed,
        options.device,
        options.progress,
        options.say,
    )
    is_table = what.startswith("table")
    rows = rows_of(what if is_table else "table1", split, options.recipe, is_quick=options.is_quick)
    if not is_table:
        rows = rows[-1:]  # L_full
    cells = list(dict.fromkeys(cell for row in rows for cell in row.cells))
    if options.say is not unsaid:
        for line in cost_lines(what, cells, bench):
            options.say(line)
    if what == "instances" or what == "parts" or what == "classes":
        return run_grouped(what, cells, bench, is_quick=options.is_quick)
    return figure2(cells[0], bench) if what == "figure2" else run_table(what, rows, bench, is_quick=options.is_quick)


def _is_own(out: Path) -> bool:
    """Whether an earlier session began there."""
    kept = (path for pattern in ("*/run/run.json", f"*/{SCORES}") for path in (out / CELLS).glob(pattern))
    return any("-" in path.relative_to(out / CELLS).parts[0] for path in kept)
