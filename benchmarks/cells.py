"""One recipe on one clip with one seed: run once, scored, and kept, so that a broken-off benchmark goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clips import Case
from benchmarks.machine import facts, processor
from benchmarks.scores import FIGURES, NETWORK, FrameScore, scores_of_run
from cuemask.cues.shape import WEIGHTS
from cuemask.media.files import make_folder, sha256, write_bytes
from cuemask.recipe import DEFAULT, NAMED, Recipe, recipe_as_mapping
from cuemask.runs.learning import segment, train
from cuemask.runs.options import Options
from cuemask.runs.predicting import predict

DIGITS = 6


@dataclass(frozen=True)
class Cell:
    """What one run gave.

    Attributes
    ----------
    label
        What the tables call the recipe.
    case
        Name of the clip.
    minutes
        Wall time of `segment`, or of `train` and `predict`: cues, features, training and masks.
    recipe
        All its fields, as `recipe_as_mapping` gives them.
    frames
        Those with truth.
    made
        When, in seconds since 1970.
    """

    label: str
    case: str
    seed: int
    minutes: float
    recipe: dict[str, Any]
    machine: str
    frames: tuple[FrameScore, ...]
    made: float = 0.0

    def mean(self, method: str = NETWORK, figure: str = "iou") -> float:
        """Over the frames."""
        return _mean(self.frames, method, figure)

    def mean_with_instrument(self, method: str = NETWORK, figure: str = "iou") -> float:
        """Over the frames that hold an instrument; NaN where none does."""
        return _mean([frame for frame in self.frames if frame.instrument], method, figure)


def _mean(frames: Sequence[FrameScore], method: str, figure: str) -> float:
    place = FIGURES.index(figure)
    return float(np.mean([frame.figures[method][place] for frame in frames])) if frames else float("nan")


def run_cell(
    recipe: Recipe, label: str, case: Case, seed: int, out: Path, *, again: bool = False, keep_run: bool = False
) -> Cell:
    """Segment `case`, single-stage or with what its lessons taught, and score it, unless `out` has that cell.

    Parameters
    ----------
    out
        Folder of `cells/`, of `sheets/` with the worst frames of seed 0, and of `runs/` where they are kept.
    again
        Whether a cell that is there is made anew.

    Raises
    ------
    CuemaskError
        As `segment`.
    """
    key = cell_key(recipe, case.name, seed)
    if not again and (cell := kept_cell(recipe, case.name, seed, out)) is not None:
        return dataclasses.replace(cell, label=label)
    with tempfile.TemporaryDirectory() as passing:
        run = out / "runs" / key if keep_run else Path(passing) / "run"
        shutil.rmtree(run, ignore_errors=True)
        started = time.monotonic()
        options = Options(out=run, recipe=recipe, seed=seed, overlay=False, report=False)
        if case.lessons:
            model = train([source.input for source in case.lessons], dataclasses.replace(options, out=run / "model"))
            predict(model, case.inputs, dataclasses.replace(options, out=run / "masks"))
            run = run / "masks"
        else:
            segment(case.inputs, options)
        minutes = (time.monotonic() - started) / 60
        sheet = out / "sheets" / f"{_file_name(label)}_{case.name}.png" if seed == 0 else None
        scores = scores_of_run(case, recipe, seed, run, sheet)
    cell = Cell(label, case.name, seed, minutes, recipe_as_mapping(recipe), _machine(), tuple(scores), time.time())
    write_bytes(make_folder(out / "cells") / f"{key}.json", (json.dumps(_as_json(cell), indent=1) + "\n").encode())
    return cell


def cell_key(recipe: Recipe, case: str, seed: int) -> str:
    """Names a cell's file: one for each recipe, clip and seed, and each network that came with cuemask."""
    told = json.dumps([chosen_fields(recipe_as_mapping(recipe)), case, seed, *_shipped(recipe)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _shipped(recipe: Recipe) -> list[str]:
    """The digest of the drawn network's weights where the recipe makes use of them."""
    drawn = recipe.network.start == "drawn" or (recipe.features.extractor == "drawn" and recipe.losses.diffuses)
    return [sha256(WEIGHTS)] if drawn or "shape" in recipe.cues.use or recipe.training.pasted else []


def chosen_fields(recipe: dict[str, Any]) -> dict[str, Any]:
    """The fields that are not as their type has them, so that a field added later changes no older cell."""
    plain = recipe_as_mapping(Recipe())
    chosen: dict[str, Any] = {}
    for section, values in recipe.items():
        if isinstance(values, dict):
            for key, value in values.items():
                if key not in plain[section] or value != plain[section][key]:
                    chosen[f"{section}.{key}"] = value
    return chosen


def kept_cell(recipe: Recipe, case: str, seed: int, out: Path) -> Cell | None:
    """The cell if an earlier benchmark has run it."""
    file = out / "cells" / f"{cell_key(recipe, case, seed)}.json"
    return _from_json(json.loads(file.read_text())) if file.is_file() else None


def load_cells(out: Path) -> list[Cell]:
    """The cells in `out`: of each label those of the recipe it stood for last, the newest of each clip and seed."""
    found = [_from_json(json.loads(file.read_text())) for file in (out / "cells").glob("*.json")]
    found.sort(key=lambda cell: cell.made)
    last = {cell.label: chosen_fields(cell.recipe) for cell in found}
    newest = {(cell.label, cell.case, cell.seed): cell for cell in found}
    return [cell for cell in newest.values() if chosen_fields(cell.recipe) == last[cell.label]]


def differences(recipe: dict[str, Any]) -> list[str]:
    """`section.key=value` wherever a recipe's mapping differs from the named recipe that it started from."""
    base = recipe_as_mapping(NAMED.get(recipe["name"], DEFAULT))
    found: list[str] = []
    for section, values in recipe.items():
        if isinstance(values, dict):
            found += [f"{section}.{k}={_told(v)}" for k, v in values.items() if v != base.get(section, {}).get(k)]
    return found


def _told(value: object) -> str:
    """Files by their names: where they lie is the machine's affair."""
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    return Path(value).name if isinstance(value, str) and "/" in value else str(value)


def _as_json(cell: Cell) -> dict[str, Any]:
    mapping = dataclasses.asdict(cell)
    for frame in mapping["frames"]:
        frame["figures"] = {m: [round(v, DIGITS) for v in values] for m, values in frame["figures"].items()}
    return mapping


def _from_json(mapping: dict[str, Any]) -> Cell:
    frames = [
        FrameScore(
            f["clip"],
            f["frame"],
            {m: tuple(v) for m, v in f["figures"].items()},
            f["confidence"],
            f.get("instrument", True),
        )
        for f in mapping["frames"]
    ]
    return Cell(**{**mapping, "frames": tuple(frames)})


def _machine() -> str:
    return f"{processor()}, {facts()['threads']} threads, torch {metadata.version('torch')}"


def _file_name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9.=]+", "-", label).strip("-")
