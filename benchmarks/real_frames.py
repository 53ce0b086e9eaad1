"""Masks on the real frames with ground truth: cues, anchors and network, clip by clip, label-free.

    python -m benchmarks.real_frames [--recipe default] [--set key=value ...] [--out DIR] [--seed N] [--cues-only]

Each clip is a run of its own in the single-stage setting, and the EndoVis clips are one more run together.
Ground truth is read after a run has ended and only to score it. The maps of the cues are thresholded by Otsu at
the frame's own size, as table 2 of the paper does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.machine import data_folder, machine
from cuemask.cues.anchors import anchors
from cuemask.cues.clip import KeptClip, keep_clip
from cuemask.evaluation.metrics import Counts, dice, iou
from cuemask.inference.thresholds import mask_of
from cuemask.media.area import picture_area
from cuemask.media.clips import open_clips
from cuemask.media.masks import read_mask
from cuemask.recipe import MasksRecipe, Recipe, load_recipe
from cuemask.runs.learning import segment
from cuemask.runs.options import Options

CUES = ("color", "objectness", "location")
METHODS = (*CUES, "positive", "1 - negative", "network")  # all but the network's under Otsu
OTSU = MasksRecipe()


@dataclass(frozen=True)
class Case:
    """A clip with true masks: what to open, and which files hold which frame's instruments."""

    name: str
    source: str
    clip: str
    truth: tuple[tuple[str, tuple[str, ...]], ...]
    codes: tuple[int, ...] | None = None


def cases(data: Path) -> list[Case]:
    """The clips of `data` that have masks and can be learnt from."""
    found = [
        _folder(data, "endovis17_dataset4", "frames", "masks"),
        _single(data),
        _folder(data, "endovis18_sequence", "frames", "binary"),
        _beside(data),
        _folder(data, "segcol_sequence", "frames", "segmentation", (127, 129)),
    ]
    return [case for case in found if case is not None]


def true_masks(case: Case) -> dict[str, np.ndarray]:
    """Instrument masks by frame name."""
    masks: dict[str, np.ndarray] = {}
    for name, files in case.truth:
        parts = [cv2.imread(file, cv2.IMREAD_GRAYSCALE) for file in files]
        masks[name] = np.any([np.isin(p, case.codes) if case.codes else p > 0 for p in parts], axis=0)
    return masks


def main() -> None:
    """Print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="keep the runs here")
    parser.add_argument("--cues-only", action="store_true", help="no training, no network")
    parser.add_argument("--clips", help="only these, separated by commas; `together` is the EndoVis run")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe, arguments.settings)
    print(machine())
    print(f"recipe {arguments.recipe} {' '.join(arguments.settings)} seed {arguments.seed}")
    out = arguments.out or Path(tempfile.mkdtemp())
    wanted = arguments.clips.split(",") if arguments.clips else None
    methods = METHODS[:-1] if arguments.cues_only else METHODS
    rows = list(table(cases(data_folder()), recipe, arguments.seed, out, wanted, methods))
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.json").write_text(json.dumps(rows, indent=2))


def table(
    chosen: list[Case], recipe: Recipe, seed: int, out: Path, wanted: list[str] | None, methods: tuple[str, ...]
) -> Iterator[dict[str, object]]:
    """Score every clip alone and the EndoVis clips together, printing each row as it comes."""
    print("IoU and Dice, mean over the frames with masks")
    print(f"{'clip':24}{'frames':>7}" + "".join(f"{m:>14}" for m in methods) + f"{'seconds':>9}")
    runs = [(case.name, [case]) for case in chosen]
    runs.append(("together", [case for case in chosen if case.name.startswith("endovis")]))
    for name, members in runs:
        if wanted and name not in wanted:
            continue
        started = time.monotonic()
        if "network" in methods:
            segment([case.source for case in members], Options(out=out / name, recipe=recipe, seed=seed))
        seconds = time.monotonic() - started
        scores = [_scores(case, recipe, seed, out / name, methods) for case in members]
        yield _row(name, {m: np.concatenate([s[m] for s in scores]) for m in methods}, seconds)


def _scores(case: Case, recipe: Recipe, seed: int, run: Path, methods: tuple[str, ...]) -> dict[str, np.ndarray]:
    """IoU and Dice of each method, (frames, 2), over the frames of `case` that have truth."""
    truth = true_masks(case)
    (clip,) = open_clips([case.source])
    predicted: dict[str, list[np.ndarray]] = {m: [] for m in methods}
    with tempfile.TemporaryDirectory() as work:
        kept = keep_clip(clip, picture_area(clip), recipe, Path(work), seed, clip.frames())
        for index, name in enumerate(kept.names):
            if name in truth:
                for method, mask in _cue_masks(kept, index, recipe, truth[name].shape).items():
                    predicted[method].append(mask)
                if "network" in methods:
                    predicted["network"].append(read_mask(masks_folder(run, case) / f"{name}.png") > 0)
    true = np.stack([truth[name] for name in kept.names if name in truth])
    counts = {method: Counts.of(np.stack(masks), true) for method, masks in predicted.items()}
    return {method: np.stack([iou(c), dice(c)], axis=1) for method, c in counts.items()}


def _cue_masks(kept: KeptClip, index: int, recipe: Recipe, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    maps = kept.cues(index, recipe)
    products = anchors([getattr(maps, cue) for cue in recipe.cues.use], kept.inside)
    masks: dict[str, np.ndarray] = {}
    for method, values in zip(METHODS[:-1], (*maps, products.positive, 1 - products.negative), strict=True):
        size = (kept.area.width_px, kept.area.height_px)
        p = cv2.resize(np.ascontiguousarray(values), size, interpolation=cv2.INTER_LINEAR)
        masks[method] = kept.area.paste(mask_of(p, kept.area.inside, OTSU), *shape)
    return masks


def _row(name: str, scores: dict[str, np.ndarray], seconds: float) -> dict[str, object]:
    row: dict[str, object] = {"clip": name, "frames": len(scores["color"]), "seconds": round(seconds, 1)}
    line = f"{name:24}{row['frames']:>7}"
    for method, values in scores.items():
        figures = values.mean(axis=0).tolist()
        row[method] = {"iou": figures[0], "dice": figures[1]}
        line += f"   {figures[0]:.3f} {figures[1]:.3f}"
    print(f"{line}{seconds:>9.0f}", flush=True)
    return row


def masks_folder(run: Path, case: Case) -> Path:
    """Where a run put the masks of `case`; two clips of one name have their parent folder's name in front."""
    alone, together = run / case.clip / "masks", run / f"{Path(case.source).parent.name}_{case.clip}" / "masks"
    return together if together.is_dir() else alone


def _folder(data: Path, name: str, frames: str, masks: str, codes: tuple[int, ...] | None = None) -> Case | None:
    folder = data / name
    if not folder.is_dir():
        return None
    truth = tuple((p.stem, (str(p),)) for p in sorted((folder / masks).glob("*.png")))
    return Case(name, str(folder / frames), frames, truth, codes)


def _single(data: Path) -> Case | None:
    folder = data / "endovis17_dataset3_clip"
    if not folder.is_dir():
        return None
    files = tuple(str(p) for p in sorted((folder / "masks").glob("frame006_*.png")))
    return Case(folder.name, str(folder / "clip.mp4"), "clip", (("000006", files),))


def _beside(data: Path) -> Case | None:
    folder = data / "cholecseg8k_clip"
    if not folder.is_dir():
        return None
    ending = "_watershed_mask"
    truth = tuple((p.stem.removesuffix(ending), (str(p),)) for p in sorted(folder.glob(f"*{ending}.png")))
    return Case(folder.name, str(folder / "*_endo.png"), folder.name, truth, (31, 32))


if __name__ == "__main__":
    main()
