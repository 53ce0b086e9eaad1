"""What the paper's tables cost on this machine: seconds a step and a frame, measured, and hours for EndoVis 2017 whole.

    python -m benchmarks.table_costs [--recipes default,paper] [--device cpu] [--repeats 3] [--results FILE.md]

Runs `segment` on a full-size miniature of EndoVis 2017 (1920x1080, 2 recordings of 12 frames) for a few steps;
pretrained weights are drawn at random, which changes no cost. Hours are sums of measured medians for 1,800 frames and
the recipe's own number of steps; frames that training does not meet need no anchors or features. Measured with L_full,
as the rows beside the paper's figures are; rows of the recipe as it is are counted at the same cost.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.accuracy import ROOT
from benchmarks.machine import machine
from cuemask.datasets.catalogue import read_dataset
from cuemask.experiments.plan import Split, rows_of, with_diffusion
from cuemask.learning.backbones import VGG16Relu53
from cuemask.media.files import make_folder, write_bytes
from cuemask.phantom.layouts import write_layout
from cuemask.recipe import Recipe, load_recipe
from cuemask.runs.learning import segment
from cuemask.runs.options import Options

FRAMES, RECORDINGS = 12, 2
WHOLE, FOLD = 1800, 1350  # frames of EndoVis 2017, and of the six recordings that a fold learns from
STEPS = {"default": 20, "fast": 20, "released": 4, "paper": 2}
FOLDS = Split(tuple(((f"all but {fold}",), (fold,)) for fold in ("1", "2", "3", "4")))
STAGES = ("cues", "features", "training", "prediction")


def main() -> None:
    """Measure each recipe in turn, several times over, and print and write the table."""
    arguments = _arguments()
    lines = [machine()]
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.recipes.split(",")}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_layout("endovis2017", place / "set", recordings=RECORDINGS, frames=FRAMES, full_size=True)
        torch.save(VGG16Relu53().state_dict(), place / "vgg16.pth")
        for repeat in range(arguments.repeats):
            for name, found in measured.items():
                found.append(_costs(name, place, arguments.device, f"{name}-{repeat}"))
                print(f"{name}: {_told(found[-1])}", flush=True)
    lines += ["", *table(measured)]
    print("\n".join(lines))
    write_bytes(make_folder(arguments.results.parent) / arguments.results.name, ("\n".join(lines) + "\n").encode())


def _costs(name: str, place: Path, device: str, run: str) -> dict[str, float]:
    """Seconds a frame of each stage, and a step of training."""
    steps = STEPS.get(name, 2)
    settings = [f"training.steps={steps}"]
    settings += [f"features.weights={place / 'vgg16.pth'}"] if load_recipe(name).features.extractor == "vgg16" else []
    settings += ["network.weights=random"] if load_recipe(name).network.architecture == "resnet18_unet" else []
    recipe = with_diffusion(load_recipe(name, settings))
    dataset = read_dataset("endovis2017", place / "set")
    options = Options(
        place / run, recipe, crop=dataset.crop, device=device, overlay=False, report=False, dataset=dataset
    )
    segment([recording.files for recording in dataset.recordings], options)
    seconds = json.loads((place / run / "run.json").read_text())["seconds"]
    frames = FRAMES * RECORDINGS
    met = min(frames, 2 * steps * recipe.training.pairs_per_step)
    per = {"cues": frames, "features": met, "training": steps, "prediction": frames}
    return {stage: seconds[stage] / per[stage] for stage in STAGES}


def table(measured: dict[str, list[dict[str, float]]]) -> list[str]:
    """Medians with their range, and the hours that they make."""
    lines = [
        "| recipe | keeping a frame, ms | anchors and features, ms a frame | a step, s | a mask, ms | "
        "one SS network, h | table 1, h | table 2, h | table 3, h |",
        "|" + "---|" * 9,
    ]
    for name, found in measured.items():
        recipe = load_recipe(name)
        cost = {stage: float(np.median([one[stage] for one in found])) for stage in STAGES}
        shown = [_range([one[s] for one in found], 1 if s == "training" else 1000) for s in STAGES]
        hours = [_hours(recipe, cost, WHOLE, WHOLE), *(0.0, 0.0, 0.0)]
        for place, what in enumerate(("table1", "table2", "table3"), 1):
            for cell in {cell for row in rows_of(what, FOLDS, recipe) for cell in row.cells}:
                split = (WHOLE, WHOLE) if cell.learn == cell.score else (FOLD, WHOLE - FOLD)
                # Both anchors under Otsu are made anew.
                scored = WHOLE * (cost["cues"] + cost["features"]) / 3600 if cell.anchors else 0.0
                hours[place] += _hours(recipe, cost, *split) + scored
        lines.append(f"| {name} | {' | '.join(shown)} | {' | '.join(f'{value:.1f}' for value in hours)} |")
    return lines


def _hours(recipe: Recipe, cost: dict[str, float], learn: int, predict: int) -> float:
    met = min(learn, 2 * recipe.training.steps * recipe.training.pairs_per_step)
    seconds = learn * cost["cues"] + met * cost["features"] + recipe.training.steps * cost["training"]
    return (seconds + predict * cost["prediction"]) / 3600


def _range(values: list[float], scale: float) -> str:
    low, middle, high = (scale * value for value in np.quantile(values, [0, 0.5, 1]))
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def _told(cost: dict[str, float]) -> str:
    return ", ".join(f"{stage} {value:.3f} s" for stage, value in cost.items())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", default="default,released,paper")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "table_costs.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
