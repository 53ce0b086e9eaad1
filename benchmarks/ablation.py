"""What each change that made `default` is worth: alone, and left out.

    python -m benchmarks.ablation [--changes contour,motion] [--clips a,b] [--seeds 0] [--out DIR] [--results FILE]

`default` is compared with itself less one change; and `plain`, which has none of the changes, with itself and one. Runs
and figures are those of benchmarks.accuracy; runs that are there are not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy import ROOT, chosen_cases
from benchmarks.cells import Cell, run_cell
from benchmarks.machine import machine
from benchmarks.scores import NETWORK
from cuemask.media.files import make_folder, write_bytes
from cuemask.recipe import DEFAULT, Recipe, load_recipe

CLIPS = ("endovis_together", "cholecseg8k_clip", "endoscapes_seg50", "cholecinstanceseg_vid03")


@dataclass(frozen=True)
class Change:
    """A change, as what undoes it."""

    name: str
    cue: str | None = None  # not used without it
    settings: tuple[str, ...] = ()
    part_of_plain: bool = False  # a part that `plain` has too, and which is only left out


CHANGES = (
    Change("shape", "shape", ("anchors.positive_power=1.0",)),
    Change("root", settings=("anchors.positive_power=1.0",)),
    Change("start", settings=("network.start=chance", "training.learning_rate=2e-3")),
    Change("pasted", settings=("training.pasted=0.0",)),
    Change("averaging", settings=("training.averaging=0.0",)),
    Change("contour", "contour", ("cues.color_weight=1.0",)),
    Change("sharp_contour", settings=("cues.contour_weight=1.0", "cues.contour_enough=1.0")),
    Change("motion", "motion"),
    Change("dark", settings=("cues.dark=0.0",)),
    Change("clip", settings=("anchors.threshold=frame", "anchors.least_contour=0.0")),
    Change("half", settings=("masks.threshold=otsu",)),
    Change("no_diffusion", settings=("losses.foreground_weight=1.0", "losses.background_weight=1.0")),
    Change("objectness", "objectness", part_of_plain=True),
    Change("location", "location", part_of_plain=True),
    Change("sharpness", settings=("anchors.sharpness=0.0",), part_of_plain=True),
    Change("refinement", settings=("masks.refinement=none",), part_of_plain=True),
)


def main() -> None:
    """Run what is missing; print the table and write it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", help="only these, separated by commas")
    parser.add_argument("--clips", default=",".join(CLIPS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "accuracy")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "ablation.md")
    arguments = parser.parse_args()
    print(machine())
    wanted = arguments.changes.split(",") if arguments.changes else [change.name for change in CHANGES]
    recipes = variants([change for change in CHANGES if change.name in wanted])
    # Cells of the same recipe are shared with the accuracy table, but ours do not show in it.
    cases = chosen_cases(arguments.out, wanted=arguments.clips.split(","))
    found: list[Cell] = []
    for seed in (int(text) for text in arguments.seeds.split(",")):
        for label, recipe in recipes.items():
            for case in cases:
                out = arguments.out if recipe == DEFAULT else arguments.out / "ablation"
                cell = run_cell(recipe, label, case, seed, out)
                found.append(cell)
                print(f"{label}, {case.name}, seed {seed}: IoU {cell.mean():.3f}", flush=True)
                write_bytes(make_folder(arguments.results.parent) / arguments.results.name, table(found).encode())
    print(table(found))


def variants(changes: Sequence[Change]) -> dict[str, Recipe]:
    """`default`, `default` less each change, `plain`, and `plain` with each."""
    ours = [change for change in CHANGES if not change.part_of_plain]
    recipes = {"default": DEFAULT}
    recipes |= {f"- {change.name}": without([change]) for change in changes}
    recipes["plain"] = without(ours)
    recipes |= {
        f"plain + {change.name}": without([other for other in ours if other is not change])
        for change in changes
        if not change.part_of_plain
    }
    return recipes


def without(changes: Iterable[Change]) -> Recipe:
    """`default` with `changes` undone."""
    undone = list(changes)
    dropped = {change.cue for change in undone}
    use = ",".join(cue for cue in DEFAULT.cues.use if cue not in dropped)
    return load_recipe("default", [f"cues.use={use}", *(s for change in undone for s in change.settings)])


def table(cells: Sequence[Cell]) -> str:
    """IoU of the network by recipe and clip, mean ± sample deviation over seeds."""
    labels, clips = (list(dict.fromkeys(values)) for values in zip(*((c.label, c.case) for c in cells), strict=True))
    seeds = sorted({cell.seed for cell in cells})
    lines = [
        "# What each change is worth",
        "",
        "IoU of the masks; `- x` is `default` less x, `plain` is `default` less all of them but objectness, "
        f"location, sharpness and refinement. Seeds {', '.join(map(str, seeds))}. What undoes each stands in "
        "benchmarks/ablation.py.",
        "",
        f"| recipe | {' | '.join(clips)} |",
        "|" + "---|" * (len(clips) + 1),
    ]
    for label in labels:
        row = [_figure([c.mean(NETWORK) for c in cells if (c.label, c.case) == (label, clip)]) for clip in clips]
        lines.append(f"| {label} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _figure(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
