"""What each choice in `default` is worth on each group of data, and what one would have chosen on the other groups.

    python -m benchmarks.ablation [--changes "- shape;+ motion"] [--seeds 0] [--out DIR] [--results FILE]

`default` is compared with itself less or plus one choice. Runs and figures are those of benchmarks.accuracy; runs that
are there are not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy import ROOT, chosen_cases, resnet18_weights
from benchmarks.cells import Cell, run_cell
from benchmarks.clips import GROUPS
from benchmarks.machine import machine
from cuemask.media.files import make_folder, write_bytes
from cuemask.recipe import DEFAULT, Recipe, load_recipe


def _diffusing(weight: float) -> tuple[str, ...]:
    return f"losses.foreground_weight={weight}", f"losses.background_weight={weight}"


def _using(*, less: str = "", more: str = "") -> str:
    cues = [cue for cue in DEFAULT.cues.use if cue != less] + [more] * bool(more)
    return f"cues.use={','.join(cues)}"


CHANGES: dict[str, tuple[str, ...]] = {
    "- shape": (_using(less="shape"), "anchors.positive_power=1.0"),
    "- positive_power": ("anchors.positive_power=1.0",),
    "- start": ("network.start=chance", "training.learning_rate=2e-3"),
    "- pasted": ("training.pasted=0.0",),
    "- averaging": ("training.averaging=0.0",),
    "- contour": (_using(less="contour"), "cues.color_weight=1.0"),
    "- location": (_using(less="location"),),
    "- threshold": ("masks.threshold=otsu",),
    "- refinement": ("masks.refinement=none",),
    "+ steps": ("training.steps=300",),
    "+ motion": (_using(more="motion"),),
    "+ objectness": (_using(more="objectness"),),
    "- diffusion": _diffusing(0),
    "diffusion of weight 0.3": _diffusing(0.3),
    "diffusion to open pixels": ("losses.diffuse_to=open",),
    "diffusion in all clips": ("losses.diffuse_in=all",),
    "diffusion of resnet18": ("features.extractor=resnet18", "features.weights={weights}"),
    "diffusion of texture": ("features.extractor=texture",),
}


def main() -> None:
    """Run what is missing; print the table and write it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", help="only these, separated by semicolons")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "accuracy")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "ablation.md")
    arguments = parser.parse_args()
    print(machine())
    wanted = arguments.changes.split(";") if arguments.changes else list(CHANGES)
    recipes = {"default": DEFAULT} | {name: changed(name) for name in wanted}
    # Cells of the same recipe are shared with the accuracy table, but ours do not show in it.
    cases = chosen_cases(arguments.out, phantoms=False, wanted=list(GROUPS))
    found: list[Cell] = []
    for seed in (int(text) for text in arguments.seeds.split(",")):
        for label, recipe in recipes.items():
            for case in cases:
                out = arguments.out if recipe == DEFAULT else arguments.out / "ablation"
                cell = run_cell(recipe, label, case, seed, out)
                found.append(cell)
                print(f"{label}, {case.name}, seed {seed}: IoU {cell.mean_with_instrument():.3f}", flush=True)
                write_bytes(make_folder(arguments.results.parent) / arguments.results.name, table(found).encode())
    print(table(found))


def changed(name: str) -> Recipe:
    """`default` with one of `CHANGES`."""
    return load_recipe("default", [setting.format(weights=resnet18_weights()) for setting in CHANGES[name]])


def table(cells: Sequence[Cell]) -> str:
    """IoU of frames with an instrument by recipe and group, mean ± sample deviation over seeds; and what to choose."""
    names = [name for name in GROUPS if any(cell.case == name for cell in cells)]
    by_label: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        by_label.setdefault(cell.label, {}).setdefault(cell.case, []).append(cell.mean_with_instrument())
    seeds = sorted({cell.seed for cell in cells})
    lines = [
        "# What each choice is worth",
        "",
        "IoU over the frames that hold an instrument, by groups of data, single stage; `- x` is `default` less x, "
        f"`+ x` is `default` plus x. Seeds {', '.join(map(str, seeds))}. What each changes stands in "
        "benchmarks/ablation.py.",
        "",
        f"| recipe | {' | '.join(GROUPS[name] for name in names)} | mean |",
        "|" + "---|" * (len(names) + 2),
    ]
    means = {label: {n: float(np.mean(v)) for n, v in by_group.items()} for label, by_group in by_label.items()}
    for label, by_group in by_label.items():
        row = [_figure(by_group.get(name, [])) for name in names]
        whole = f"{np.mean(list(means[label].values())):.3f}" if len(by_group) == len(names) else ""
        lines.append(f"| {label} | {' | '.join(row)} | {whole} |")
    chosen = chosen_on_the_others({label: row for label, row in means.items() if len(row) == len(names)})
    if chosen:
        told = [f"{value:.3f} ({label})" for label, value in (chosen[name] for name in names)]
        mean = np.mean([value for _, value in chosen.values()])
        lines.append(f"| chosen on the others | {' | '.join(told)} | {mean:.3f} |")
    return "\n".join(lines) + "\n"


def chosen_on_the_others(means: Mapping[str, Mapping[str, float]]) -> dict[str, tuple[str, float]]:
    """For each group the recipe that is best on the mean of all other groups, and that recipe's figure on this one.

    Parameters
    ----------
    means
        By recipe and group; each recipe has all groups. The first recipe wins ties.
    """
    found: dict[str, tuple[str, float]] = {}
    for group in next(iter(means.values()), {}):
        others = {label: [v for name, v in row.items() if name != group] for label, row in means.items()}
        if not any(others.values()):
            continue
        best = max(others, key=lambda label: float(np.mean(others[label])))
        found[group] = best, means[best][group]
    return found


def _figure(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
