"""A finished run against true masks, frame by frame, beside what its cues alone would have given."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.clips import Case, Source
from cuemask.cues.anchors import Anchors, anchors
from cuemask.cues.clip import CueMaps, KeptClip, keep_clip
from cuemask.evaluation.metrics import Counts, boundary_f, dice, iou
from cuemask.inference.thresholds import mask_of
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip, open_clips
from cuemask.media.files import make_folder
from cuemask.media.mask_folders import mask_path
from cuemask.media.masks import read_mask, write_rgb
from cuemask.media.overlay import overlay
from cuemask.media.threads import in_threads
from cuemask.recipe import MasksRecipe, Recipe
from cuemask.report.sheet import Cell as Picture
from cuemask.report.sheet import contact_sheet
from cuemask.runs.options import Options, area_of

FIGURES = ("iou", "dice", "boundary_f")
NETWORK = "network"
# Maps under Otsu at the picture's own size, as table 2 of the paper has them: the plain products of the cues are the
# paper's anchors, "positive" and "1 - negative" those that the recipe learns from.
WITHOUT_LEARNING = ("color", "product", "1 - product", "positive", "1 - negative")
METHODS = (*WITHOUT_LEARNING, NETWORK)
OTSU = MasksRecipe()
WORST_SHOWN = 4

SheetRow = tuple[str, list[Picture]]


@dataclass(frozen=True)
class FrameScore:
    """One frame with truth.

    Attributes
    ----------
    figures
        By method, in the order of `FIGURES`, each 0 to 1.
    confidence
        What the run itself said of the frame, where it said anything.
    instrument
        Whether the true mask holds any.
    """

    clip: str
    frame: str
    figures: dict[str, tuple[float, ...]]
    confidence: float | None = None
    instrument: bool = True

    @property
    def iou(self) -> float:
        """Of the network."""
        return self.figures[NETWORK][0]


def scores_of_run(case: Case, recipe: Recipe, seed: int, run: Path, sheet: Path | None = None) -> list[FrameScore]:
    """Figures of every frame of `case` that has truth.

    Parameters
    ----------
    run
        The folder that `segment` wrote, with the same recipe and seed.
    sheet
        Where the frames of the lowest IoU are shown; None for nowhere.

    Raises
    ------
    ValueError
        If a frame with truth is not in its clip.
    """
    scores: list[FrameScore] = []
    worst: list[tuple[float, SheetRow]] = []
    options = Options(out=run, recipe=recipe, seed=seed)
    for clip, source in zip(open_clips(case.inputs), case.sources, strict=True):
        for score, row in _scored(clip, source, options):
            scores.append(score)
            worst = sorted([*worst, (score.iou, row)], key=lambda entry: entry[0])[:WORST_SHOWN]
    if sheet is not None and worst:
        make_folder(sheet.parent)
        write_rgb(sheet, contact_sheet([row for _, row in worst]))
    return scores


def confidences(folder: Path) -> dict[str, float]:
    """What a run said of each frame in the `confidence.csv` of a clip; empty where there is none."""
    file = folder / "confidence.csv"
    if not file.is_file():
        return {}
    with file.open(newline="") as lines:
        return {row["frame"]: float(row["confidence"]) for row in csv.DictReader(lines) if row["confidence"]}


def figures(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
    """`FIGURES` of one frame's mask."""
    counts = Counts.of(predicted, truth)
    return float(iou(counts)), float(dice(counts)), boundary_f(predicted, truth)


def _scored(clip: Clip, source: Source, options: Options) -> Iterator[tuple[FrameScore, SheetRow]]:
    truth, said = source.masks(), confidences(options.out / clip.name)
    with tempfile.TemporaryDirectory() as work:
        area = area_of(clip, options)
        kept = keep_clip(clip, area, options.recipe, Path(work), options.seed, clip.frames())
        if lost := sorted(truth.keys() - set(kept.names)):
            raise ValueError(f"{clip.source}: has no frame {lost[0]}, of which there is a true mask")

        def scored(index: int) -> tuple[FrameScore, SheetRow]:
            name = kept.names[index]
            true = truth[name]
            predicted = read_mask(mask_path(options.out / clip.name, name)) > 0
            maps = kept.cues(index, options.recipe)
            learnt = kept.anchors_from(index, maps, options.recipe)
            masks = {**_under_otsu(kept, maps, learnt, options.recipe, true.shape), NETWORK: predicted}
            by_method = {method: figures(mask, true) for method, mask in masks.items()}
            score = FrameScore(clip.name, name, by_method, said.get(name), bool(true.any()))
            return score, _sheet_row(score, kept.rgb[index], maps, learnt, predicted, true, area)

        yield from in_threads(scored, [index for index, name in enumerate(kept.names) if name in truth])


def _under_otsu(
    kept: KeptClip, maps: CueMaps, learnt: Anchors, recipe: Recipe, shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    plain = anchors([getattr(maps, cue) for cue in recipe.cues.use], kept.inside)
    shown = (maps.color, plain.positive, 1 - plain.negative, learnt.positive, 1 - learnt.negative)
    size = (kept.area.width_px, kept.area.height_px)
    masks: dict[str, np.ndarray] = {}
    for method, values in zip(WITHOUT_LEARNING, shown, strict=True):
        p = cv2.resize(np.ascontiguousarray(values), size, interpolation=cv2.INTER_LINEAR)
        masks[method] = kept.area.paste(mask_of(p, kept.area.inside, OTSU), *shape)
    return masks


def _sheet_row(
    score: FrameScore,
    rgb: np.ndarray,
    maps: CueMaps,
    learnt: Anchors,
    predicted: np.ndarray,
    true: np.ndarray,
    area: PictureArea,
) -> SheetRow:
    """A row of working-size pictures; the anchor is brightened so that its dim product can be seen."""
    gain = 1 / max(float(learnt.positive.max()), 1e-6)
    drawn = [overlay(rgb, _working_mask(mask, rgb, area)) for mask in (predicted, true)]
    cells = [
        Picture("input", rgb),
        Picture("color", maps.color),
        Picture("positive anchor", learnt.positive * np.float32(gain)),
        Picture("prediction", drawn[0]),
        Picture("truth", drawn[1]),
    ]
    return f"{score.clip}/{score.frame} IoU {score.iou:.2f}", cells


def _working_mask(mask: np.ndarray, rgb: np.ndarray, area: PictureArea) -> np.ndarray:
    size = (rgb.shape[1], rgb.shape[0])
    return cv2.resize(area.crop(mask).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
