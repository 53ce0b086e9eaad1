"""Masks against true masks: every recipe on every clip with truth, label-free, several seeds.

    python -m benchmarks.accuracy [--recipes default,fast] [--set key=value ...] [--clips a,b] [--seeds 0,1,2]
        [--no-phantoms] [--full] [--again] [--keep-runs] [--out build/accuracy] [--results benchmarks/results/accuracy]

Each recipe, clip and seed is a cell, kept in `--out/cells` as soon as it is scored; a cell that is there is not run
again, so the benchmark may be broken off at any time. The tables are written anew after each cell from all cells in
`--out`. The frames that score lowest, seed 0, are shown in `--out/sheets`; they are real frames and stay there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.accuracy_tables import correlations, in_order, kind_of, markdown, summary
from benchmarks.cells import Cell, kept_cell, load_cells, run_cell
from benchmarks.clips import GROUPS, PHANTOMS, Case, endovis_together, phantom_case, real_cases, train_test_cases
from benchmarks.machine import data_place, machine
from cuemask.errors import CuemaskError, WeightsError
from cuemask.learning.features import extractor_for
from cuemask.learning.training import encoder_weights
from cuemask.learning.weights import weights_folders
from cuemask.media.files import make_folder, write_bytes
from cuemask.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[1]
RECIPES = ("default", "fast", "paper", "released")
RESNET18_FILE = "resnet18_imagenet_bn_folded_to_layer3.safetensors"
SMALL = ("input.height_px=256", "input.width_px=320", "training.steps=200", "training.pairs_per_step=2")
NETWORK = ("network.width=16", "network.depth=3", "network.block_px=2")
# What 2 cores cannot run whole, and what is put in its place unless --full is given; {weights} is RESNET18_FILE.
REDUCED = {
    "paper": ("features.extractor=resnet18", "features.weights={weights}", *NETWORK, *SMALL),
    # The file at hand has its batch norms folded, so none is trained on.
    "released": (
        "features.extractor=resnet18",
        "features.weights={weights}",
        "network.weights={weights}",
        "network.normalization=none",
        *SMALL,
    ),
}


@dataclass(frozen=True)
class Contestant:
    """A recipe, and what the tables call it."""

    label: str
    recipe: Recipe


def main() -> None:
    """Run the cells that are missing; print the tables and write them as Markdown and JSON."""
    arguments = _arguments()
    out = arguments.out
    print(machine())
    contestants = able(contestant(name, arguments.set, arguments.full) for name in arguments.recipes)
    cases = chosen_cases(out, arguments.phantoms, arguments.clips)
    # All of one seed before the next, so that an unfinished table is a whole one of fewer seeds.
    todo = [(one, case, seed) for seed in arguments.seeds for one in contestants for case in cases]
    found = [None if arguments.again else kept_cell(one.recipe, case.name, seed, out) for one, case, seed in todo]
    seconds = [(one.label, 60 * cell.minutes) for (one, *_), cell in zip(todo, found, strict=True) if cell]
    missing = [job for job, cell in zip(todo, found, strict=True) if cell is None]
    print(f"{len(todo)} cells, {len(missing)} to run", flush=True)
    failed = 0
    for number, (one, case, seed) in enumerate(missing, 1):
        told, started = f"[{number}/{len(missing)}] {one.label}, {case.name}, seed {seed}", time.monotonic()
        try:
            keep_run = arguments.keep_runs
            cell = run_cell(one.recipe, one.label, case, seed, out, again=arguments.again, keep_run=keep_run)
        except CuemaskError as error:
            failed += 1
            print(f"{told}: {error}", flush=True)
            continue
        seconds.append((one.label, time.monotonic() - started))
        left = minutes_left([later.label for later, *_ in missing[number:]], seconds)
        print(f"{told}: IoU {cell.mean():.3f}, {cell.minutes:.1f} min; about {left:.0f} min left", flush=True)
        write_results(load_cells(out), arguments.results)
    cells = load_cells(out)
    write_results(cells, arguments.results)
    print(f"\n{markdown(cells)}")
    if failed:
        sys.exit(f"{failed} cells failed; their errors stand above")


def contestant(name: str, settings: Sequence[str] = (), full: bool = False) -> Contestant:
    """The recipe of that name, reduced where it would not run on 2 cores, with `settings` on top.

    Raises
    ------
    RecipeError
        As `load_recipe`.
    """
    reduced = [] if full else [s.format(weights=resnet18_weights()) for s in REDUCED.get(name, ())]
    recipe = load_recipe(name, [*reduced, *settings])
    return Contestant(" ".join([recipe.name, *(["(reduced)"] if reduced else []), *settings]), recipe)


def resnet18_weights() -> Path:
    """ResNet-18 without its last stage: in a weights folder, else beside the real frames."""
    beside = data_place().parent / "weights"
    files = [folder / RESNET18_FILE for folder in (*weights_folders(), beside)]
    return next((file for file in files if file.is_file()), files[-1])


def chosen_cases(out: Path, phantoms: bool = True, wanted: Sequence[str] = ()) -> list[Case]:
    """The real clips, the EndoVis ones together, train-test on them, the phantoms; or those of the names `wanted`."""
    data = data_place()
    real = real_cases(data) if data.is_dir() else []
    if not data.is_dir():
        print(f"no real frames: {data} is absent; set CUEMASK_DATA")
    together = endovis_together(real)
    makers: dict[str, Callable[[], Case]] = {case.name: lambda case=case: case for case in real}
    if len(together.sources) > 1:
        makers[together.name] = lambda: together
    makers |= {case.name: lambda case=case: case for case in train_test_cases(maker() for maker in makers.values())}
    if phantoms:
        for phantom in PHANTOMS:
            makers[phantom.name] = lambda phantom=phantom: phantom_case(phantom, out / "phantoms" / phantom.name)
    if list(wanted) == ["groups"]:
        wanted = [name for name in makers if name in GROUPS or kind_of(name) == "train-test"]
    if unknown := [name for name in wanted if name not in makers]:
        raise SystemExit(f"no clip {', '.join(unknown)}; there are {', '.join(makers)}")
    return [maker() for name, maker in makers.items() if not wanted or name in wanted]


def write_results(cells: Sequence[Cell], results: Path) -> None:
    """`results`.md and .json, the latter without frames but with the correlations."""
    make_folder(results.parent)
    by_label = {label: correlations([c for c in cells if c.label == label]) for label in in_order(cells)}
    said = {
        label: {group: [None if np.isnan(rho) else rho, count] for group, (rho, count) in groups.items()}
        for label, groups in by_label.items()
        if groups
    }
    kept = {"date": date.today().isoformat(), "cells": summary(cells), "confidence": said}
    write_bytes(results.with_suffix(".json"), (json.dumps(kept, indent=1) + "\n").encode())
    write_bytes(results.with_suffix(".md"), markdown(cells).encode())


def minutes_left(ahead: Sequence[str], seconds: Sequence[tuple[str, float]]) -> float:
    """A guess for cells of the labels `ahead`: the mean of those done of the same label, else of all."""

    def guess(label: str) -> float:
        same = [value for other, value in seconds if other == label]
        return float(np.mean(same or [value for _, value in seconds] or [0.0]))

    return sum(guess(label) for label in ahead) / 60


def able(contestants: Iterable[Contestant]) -> list[Contestant]:
    """Those whose weights are there; why the others are left out is printed."""
    found: list[Contestant] = []
    for one in contestants:
        network = one.recipe.network
        try:
            extractor_for(one.recipe)
            if network.architecture == "resnet18_unet" and network.weights != "random":
                encoder_weights(one.recipe)
        except WeightsError as error:
            print(f"{one.label} is left out: {error}")
        else:
            found.append(one)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", type=_listed, default=list(RECIPES), help="names or TOML files")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="in every recipe")
    parser.add_argument(
        "--clips",
        type=_listed,
        default=[],
        help="only these; groups: those that stand for a group of data, and train-test",
    )
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--no-phantoms", dest="phantoms", action="store_false")
    parser.add_argument("--full", action="store_true", help="paper and released whole: not for 2 cores")
    parser.add_argument("--again", action="store_true", help="run cells that are there, too")
    parser.add_argument("--keep-runs", action="store_true", help="in --out/runs")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "accuracy")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "accuracy")
    return parser.parse_args()


def _listed(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


if __name__ == "__main__":
    main()
