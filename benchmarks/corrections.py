"""What corrections are worth to the frames that nobody touched.

    python -m benchmarks.corrections [--clips cholecseg8k_clip,...] [--seeds 0] [--counts 1,2,5] [--set FIELD=VALUE]

The user corrects N frames of a finished run, the true mask being the correction, and starts `segment --labels` on them.
Which frames: those that the queue of the review page shows first, every k-th, or frames at random. What counts is IoU
on the frames nobody touched, against the run before on the same frames. Runs that are there are not run again.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy import ROOT, chosen_cases
from benchmarks.cells import cell_key
from benchmarks.clips import Case, Key, masks_of_run, true_masks
from benchmarks.machine import machine
from benchmarks.scores import confidences
from cuemask.evaluation.metrics import Counts, iou
from cuemask.media.clips import open_clips
from cuemask.media.files import make_folder, write_bytes
from cuemask.media.masks import write_mask
from cuemask.recipe import Recipe, load_recipe
from cuemask.runs.learning import segment
from cuemask.runs.options import Options
from cuemask.web.review_queue import by_doubt

CLIPS = "cholecseg8k_clip,endoscapes_seg50,cholecinstanceseg_vid03,endovis_together,phantom_smoke,phantom_glare"
COUNTS = "1,2,5,10,20"
# What one correction costs the user, for the table's minutes: to find, to draw and to check a mask. Assumed.
MINUTES_EACH = 1.5


@dataclass(frozen=True)
class Outcome:
    """One run that learnt from corrections.

    Attributes
    ----------
    before, after
        Mean IoU over the frames that were not corrected, of the run without and of the run with corrections.
    """

    case: str
    order: str
    count: int
    seed: int
    before: float
    after: float


@dataclass(frozen=True)
class Run:
    """What a run without corrections gave: IoU and confidence of each frame with truth, in their order."""

    frames: tuple[Key, ...]
    iou: tuple[float, ...]
    confidence: tuple[float, ...]


def from_queue(run: Run, count: int, seed: int) -> list[int]:
    """Those that the review page shows first."""
    clips = dict.fromkeys(clip for clip, _ in run.frames)
    of_clip = {clip: [k for k, (name, _) in enumerate(run.frames) if name == clip] for clip in clips}
    places = [place for own in of_clip.values() for place in own]
    order = by_doubt([np.array([run.confidence[k] for k in own], np.float32) for own in of_clip.values()])
    return [places[number] for number in order[:count]]


def every_kth(run: Run, count: int, seed: int) -> list[int]:
    """Frames at even distances, in the middle of theirs."""
    middles = (np.arange(count) + 0.5) * len(run.frames) / count
    return sorted({int(middle) for middle in middles})


def at_random(run: Run, count: int, seed: int) -> list[int]:
    """Each seed draws its own."""
    return sorted(np.random.default_rng([seed, 14]).permutation(len(run.frames))[:count].tolist())


ORDERS: dict[str, Callable[[Run, int, int], list[int]]] = {
    "queue": from_queue,
    "every k-th": every_kth,
    "random": at_random,
}


def main() -> None:
    """Run what is missing; print the table and write it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", default=CLIPS)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--counts", default=COUNTS)
    parser.add_argument("--orders", default=",".join(ORDERS))
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="FIELD=VALUE")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "accuracy")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "corrections.md")
    arguments = parser.parse_args()
    print(machine())
    recipe = load_recipe("default", arguments.settings)
    counts = [int(text) for text in arguments.counts.split(",")]
    wanted = arguments.clips.split(",")
    cases = chosen_cases(arguments.out, phantoms=any(name.startswith("phantom_") for name in wanted), wanted=wanted)
    found: list[Outcome] = []
    for seed in (int(text) for text in arguments.seeds.split(",")):
        for case in cases:
            for order in arguments.orders.split(","):
                for count in counts:
                    outcome = corrected(recipe, case, order, count, seed, arguments.out / "corrections")
                    if outcome is None:  # more corrections than frames
                        continue
                    found.append(outcome)
                    print(f"{case.name}, {order}, {count}, seed {seed}: {_change(outcome)}", flush=True)
                    into = make_folder(arguments.results.parent) / arguments.results.name
                    write_bytes(into, table(found, recipe).encode())
    print(table(found, recipe))


def corrected(recipe: Recipe, case: Case, order: str, count: int, seed: int, out: Path) -> Outcome | None:
    """One run with corrections against the one without, unless `out` has it; None where no frame would be left.

    Raises
    ------
    CuemaskError
        As `segment`.
    """
    file = out / f"{_key(recipe, case.name, seed, order, count)}.json"
    if file.is_file():
        return Outcome(**json.loads(file.read_text()))
    truth = true_masks(case)
    before = _before(recipe, case, seed, truth, out)
    if 2 * count > len(before.frames):
        return None
    chosen = ORDERS[order](before, count, seed)
    labels = {before.frames[place]: truth[before.frames[place]] for place in chosen}
    after = _scored(recipe, case, seed, truth, labels)
    untouched = [place for place in range(len(before.frames)) if place not in set(chosen)]
    outcome = Outcome(case.name, order, count, seed, *(_mean(run.iou, untouched) for run in (before, after)))
    write_bytes(make_folder(out) / file.name, (json.dumps(asdict(outcome)) + "\n").encode())
    return outcome


def _before(recipe: Recipe, case: Case, seed: int, truth: Mapping[Key, np.ndarray], out: Path) -> Run:
    recipe = _unlabelled(recipe)
    file = out / f"{_key(recipe, case.name, seed, '', 0)}.json"
    if file.is_file():
        kept = json.loads(file.read_text())
        return Run(
            tuple((clip, frame) for clip, frame in kept["frames"]), tuple(kept["iou"]), tuple(kept["confidence"])
        )
    run = _scored(recipe, case, seed, truth, {})
    write_bytes(make_folder(out) / file.name, (json.dumps(asdict(run)) + "\n").encode())
    return run


def _unlabelled(recipe: Recipe) -> Recipe:
    """The recipe with those fields as their types have them that say nothing where there are no labels."""
    plain = Recipe()
    anchors = dataclasses.replace(recipe.anchors, labels=plain.anchors.labels)
    losses = dataclasses.replace(recipe.losses, label_weight=plain.losses.label_weight)
    training = dataclasses.replace(
        recipe.training,
        labelled_share=plain.training.labelled_share,
        label_steps=plain.training.label_steps,
    )
    return dataclasses.replace(recipe, anchors=anchors, losses=losses, training=training)


def _scored(
    recipe: Recipe, case: Case, seed: int, truth: Mapping[Key, np.ndarray], labels: Mapping[Key, np.ndarray]
) -> Run:
    """`segment` with these labels, and each frame's IoU with the truth; empty on empty counts 1."""
    with tempfile.TemporaryDirectory() as passing:
        folder, given = Path(passing) / "run", Path(passing) / "labels"
        for (clip, frame), mask in labels.items():
            write_mask(make_folder(given / clip) / f"{frame}.png", mask)
        options = Options(out=folder, recipe=recipe, seed=seed, overlay=False, report=False)
        segment(case.inputs, dataclasses.replace(options, labels=given) if labels else options)
        masks = masks_of_run(case, folder)
        said = {clip.name: confidences(folder / clip.name) for clip in open_clips(case.inputs)}
        found = [float(iou(Counts.of(masks[key], truth[key]))) for key in masks]
        return Run(tuple(masks), tuple(found), tuple(said[clip][frame] for clip, frame in masks))


def _mean(values: Sequence[float], places: Sequence[int]) -> float:
    return float(np.mean([values[place] for place in places]))


def _key(recipe: Recipe, case: str, seed: int, order: str, count: int) -> str:
    return hashlib.sha256(f"{cell_key(recipe, case, seed)} {order} {count}".encode()).hexdigest()[:16]


def _change(outcome: Outcome) -> str:
    return f"{outcome.before:.3f} -> {outcome.after:.3f} ({outcome.after - outcome.before:+.3f})"


def table(outcomes: Sequence[Outcome], recipe: Recipe) -> str:
    """What the corrections brought, by clip and order, mean ± sample deviation over seeds."""
    counts = sorted({outcome.count for outcome in outcomes})
    seeds = ", ".join(map(str, sorted({outcome.seed for outcome in outcomes})))
    minutes = ", ".join(f"{count}: {count * MINUTES_EACH:g}" for count in counts)
    lines = [
        "# What corrections are worth",
        "",
        "Change of the mean IoU over the frames that nobody touched when the true masks of N frames are given and "
        f"`{recipe.name}` learns again from the start; in brackets their IoU after it. Empty on empty counts 1. Seeds "
        f"{seeds}; mean ± sample standard deviation. A user is taken to need {MINUTES_EACH:g} minutes a frame, which "
        f"was not measured: minutes by N: {minutes}.",
        "",
        f"| clip | order | {' | '.join(f'N = {count}' for count in counts)} |",
        "|" + "---|" * (len(counts) + 2),
    ]
    for case in dict.fromkeys(outcome.case for outcome in outcomes):
        for order in dict.fromkeys(outcome.order for outcome in outcomes):
            own = [o for o in outcomes if (o.case, o.order) == (case, order)]
            lines.append(
                f"| {case} | {order} | {' | '.join(_figure([o for o in own if o.count == c]) for c in counts)} |"
            )
    return "\n".join(lines) + "\n"


def _figure(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return ""
    changes = [outcome.after - outcome.before for outcome in outcomes]
    spread = f" ± {np.std(changes, ddof=1):.3f}" if len(changes) > 1 else ""
    return f"{np.mean(changes):+.3f}{spread} ({np.mean([outcome.after for outcome in outcomes]):.3f})"


if __name__ == "__main__":
    main()
