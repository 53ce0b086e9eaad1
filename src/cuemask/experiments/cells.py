"""One network of a table: trained, run and scored once, and kept, so that a broken-off table goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cuemask.cues.clip import keep_clip
from cuemask.datasets.dataset import Dataset, Recording
from cuemask.evaluation.frames import FrameScore, counted_pixels, counts_of, refuse_sizes, score
from cuemask.evaluation.sets import evaluate_dataset
from cuemask.experiments.anchors import inverted, mask_under_otsu
from cuemask.experiments.plan import Cell
from cuemask.experiments.published import NEGATIVE, NETWORK, POSITIVE
from cuemask.media.clips import ClipFiles, open_clips
from cuemask.media.files import make_folder, write_bytes
from cuemask.media.frames import Selection
from cuemask.media.threads import in_threads
from cuemask.recipe import recipe_as_mapping
from cuemask.runs.learning import segment, train
from cuemask.runs.options import Options, Progress, area_of, silent, unsaid
from cuemask.runs.predicting import predict
from cuemask.runs.record import read_record

SCORES = "scores.json"
CELLS = "cells"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bench:
    """What all cells of a table share.

    Attributes
    ----------
    out
        Folder of the results; cells lie in `out/cells` (`folder_of`), whichever tables they are of.
    protocol
        Name of the rule by which figures are pooled.
    progress, say
        As in `runs.options.Options`.
    """

    dataset: Dataset
    out: Path
    protocol: str
    selection: Selection = dataclasses.field(default_factory=Selection)
    crop: tuple[int, int, int, int] | None = None
    seed: int = 0
    device: str = "auto"
    progress: Progress = silent
    say: Callable[[str], None] = unsaid


@dataclass(frozen=True)
class Scored:
    """A finished cell.

    Attributes
    ----------
    seconds
        Wall time of learning and masks, of all its sessions.
    frames
        By method that the cell asks for, the frames that have truth.
    """

    seconds: float
    frames: Mapping[str, tuple[FrameScore, ...]]


def run_cell(cell: Cell, bench: Bench) -> Scored:
    """Learn, mask, score; or what an earlier session kept of the same cell.

    Raises
    ------
    CuemaskError
        As `segment`.
    """
    kept = kept_cell(cell, bench)
    if kept is not None:
        return kept
    folder = folder_of(cell, bench)
    run = _segmented(cell, bench, folder) if cell.learn == cell.score else _predicted(cell, bench, folder)
    scored_on = dataclasses.replace(bench.dataset, recordings=_recordings(bench, cell.score))
    result = evaluate_dataset(run, scored_on, protocol=bench.protocol, only_predicted=True)
    frames = {NETWORK: result.frames}
    if cell.anchors:
        frames |= _anchor_scores(cell, bench)
    scored = Scored(_seconds(folder), frames)
    content: dict[str, Any] = {
        "told": _told(cell, bench),
        "seconds": scored.seconds,
        "made": time.time(),
        "frames": _as_json(frames),
    }
    content["digest"] = _digest(content)
    write_bytes(make_folder(folder) / SCORES, (json.dumps(content) + "\n").encode())
    return scored


def kept_cell(cell: Cell, bench: Bench) -> Scored | None:
    """The cell if an earlier session, of this table or another, has finished it."""
    file = folder_of(cell, bench) / SCORES
    if not file.is_file():
        return None
    wanted = (POSITIVE, NEGATIVE, NETWORK) if cell.anchors else (NETWORK,)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.get("digest", _digest(content)) != _digest(content):
            raise ValueError("it has changed since it was written")
        if content["told"] != _told(cell, bench) or not content["frames"].keys() >= set(wanted):
            return None
        return Scored(content["seconds"], {method: _frames(content["frames"][method]) for method in wanted})
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:  # another shape of any of it
        _log.warning("%s: damaged (%s); the cell is scored again.", file, str(error)[:80])
        return None


def folder_of(cell: Cell, bench: Bench) -> Path:
    """Where the cell lies or will: `out/cells/<key>-<mark>`, the mark a hash of all that the cell depends on.

    So a cell of equal settings is found whatever another table calls it, and one of other settings never is.
    """
    cells = bench.out / CELLS
    told = json.dumps(_told(cell, bench), sort_keys=True)
    mark = hashlib.sha256(told.encode()).hexdigest()[:12]
    return min(cells.glob(f"*-{mark}"), default=cells / f"{cell.key}-{mark}")


def inputs_of(bench: Bench, names: tuple[str, ...]) -> list[ClipFiles]:
    """The recordings of these names, as runs take them."""
    return [recording.files for recording in _recordings(bench, names)]


def options_of(cell: Cell, bench: Bench, out: Path) -> Options:
    """Options of the cell's runs; each goes on where it was broken off."""
    return Options(
        out=out,
        recipe=cell.recipe,
        selection=bench.selection,
        crop=bench.crop,
        device=bench.device,
        seed=bench.seed,
        resume=True,
        overlay=False,
        report=False,
        dataset=bench.dataset,
        labels=cell.labels,
        progress=bench.progress,
    )


def masks_folder(cell: Cell, bench: Bench) -> Path:
    """Where the cell's masks lie, a folder a recording."""
    return folder_of(cell, bench) / ("run" if cell.learn == cell.score else "masks")


def _segmented(cell: Cell, bench: Bench, folder: Path) -> Path:
    return segment(inputs_of(bench, cell.learn), options_of(cell, bench, folder / "run"))


def _predicted(cell: Cell, bench: Bench, folder: Path) -> Path:
    model = train(inputs_of(bench, cell.learn), options_of(cell, bench, folder / "run"))
    return predict(model, inputs_of(bench, cell.score), options_of(cell, bench, folder / "masks"))


def _recordings(bench: Bench, names: tuple[str, ...]) -> tuple[Recording, ...]:
    return tuple(recording for recording in bench.dataset.recordings if recording.name in names)


def _anchor_scores(cell: Cell, bench: Bench) -> dict[str, tuple[FrameScore, ...]]:
    positive, negative = list[FrameScore](), list[FrameScore]()
    for recording in _recordings(bench, cell.score):
        for of_positive, of_negative in _anchors_of(recording, cell, bench):
            positive.append(of_positive)
            negative.append(of_negative)
    return {POSITIVE: tuple(positive), NEGATIVE: tuple(negative)}


def _anchors_of(recording: Recording, cell: Cell, bench: Bench) -> Iterator[tuple[FrameScore, FrameScore]]:
    """Of each frame with truth both anchors, under Otsu."""
    truth = recording.truth
    assert truth is not None
    (clip,) = open_clips([recording.files], bench.selection)
    options = options_of(cell, bench, bench.out)
    with tempfile.TemporaryDirectory() as work:
        frames = bench.progress(f"{clip.name}: cues", clip.frames(), clip.frame_count)
        kept = keep_clip(clip, area_of(clip, options), cell.recipe, Path(work), bench.seed, frames)
        kept.clipwide(cell.recipe)  # once, before the threads ask for it

        def scored(job: tuple[int, np.ndarray]) -> tuple[FrameScore, FrameScore]:
            index, true = job
            name = kept.names[index]
            both = kept.anchors(index, cell.recipe)
            shown = (both.positive, inverted(both.negative, kept.inside_of(index)))
            masks = [mask_under_otsu(values, kept, *true.shape) for values in shown]
            refuse_sizes(f"{clip.name}/{name}", masks[0], "its truth", true)
            one, other = (score(clip.name, name, mask, true) for mask in masks)
            return one, other

        known = set(truth.names)
        with_truth = [index for index, name in enumerate(kept.names) if name in known]
        # Truth is read here, in order and in one thread: that of some sets is a video.
        jobs = ((index, truth.labels(kept.names[index]) > 0) for index in with_truth)
        yield from bench.progress(f"{clip.name}: anchors", in_threads(scored, jobs), len(with_truth))


def _told(cell: Cell, bench: Bench) -> dict[str, Any]:
    """What the cell depends on, in JSON's types."""
    told = {
        "recipe": recipe_as_mapping(cell.recipe),
        "files": {r.name: _bytes(r) for r in _recordings(bench, (*cell.learn, *cell.score))},
        "learn": cell.learn,
        "score": cell.score,
        "labels": cell.labels,
        "dataset": [bench.dataset.name, bench.dataset.layout],
        "selection": vars(bench.selection),
        "crop": bench.crop,
        "seed": bench.seed,
    }
    return json.loads(json.dumps(told))


def _bytes(recording: Recording) -> list[int]:
    """Number and size of its files: tells one set's recording from another's of the same name, wherever it lies."""
    paths = recording.files.paths
    return [len(paths), sum(path.stat().st_size for path in paths)]


def _as_json(frames: Mapping[str, tuple[FrameScore, ...]]) -> dict[str, list[list[Any]]]:
    return {
        method: [[f.video, f.frame, *row] for f, row in zip(scores, counted_pixels(scores).tolist(), strict=True)]
        for method, scores in frames.items()
    }


def _digest(content: Mapping[str, Any]) -> str:
    """Of all of `scores.json` but the digest itself."""
    text = json.dumps({name: value for name, value in content.items() if name != "digest"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _frames(rows: list[list[Any]]) -> tuple[FrameScore, ...]:
    return tuple(FrameScore(video, frame, counts_of(np.array(counts, np.int64))) for video, frame, *counts in rows)


def _seconds(folder: Path) -> float:
    """Of all stages of the cell's runs, those of broken-off sessions too."""
    total = 0.0
    for record in folder.glob("*/run.json"):
        total += sum((read_record(record) or {}).get("seconds", {}).values())
    return total
