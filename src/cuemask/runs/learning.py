"""`cuemask train`, `predict` and `segment`: the two settings of the paper as three library calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cuemask.cues.clip import KeptClip, working_inside, working_picture
from cuemask.errors import TrainingError
from cuemask.inference.model import FILE, Model, load_model, save_model
from cuemask.inference.prediction import Segmented, segmented
from cuemask.learning.features import Extractor, extractor
from cuemask.learning.kept import TrainingClip, keep_for_training
from cuemask.learning.training import encoder_weights
from cuemask.learning.training import train as train_network
from cuemask.learning.weights import sha256
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip, open_clips
from cuemask.media.files import make_folder
from cuemask.media.frames import Frame
from cuemask.media.masks import read_mask, write_mask, write_probability, write_rgb
from cuemask.media.overlay import OverlayWriter, overlay
from cuemask.report.curves import write_loss_curves
from cuemask.report.sheet import Cell, contact_sheet
from cuemask.runs.cueing import cue_cells, kept_cues, sheet_indices
from cuemask.runs.options import Options, area_of, chosen_device
from cuemask.runs.record import RunRecord, told
from cuemask.runs.work import WORK, remove_work


def segment(inputs: Sequence[str | Path], options: Options) -> Path:
    """The single-stage setting: learn from unlabelled clips and segment the same clips.

    Writes, for each clip, `out/<clip>/masks/<frame>.png` (0/255, at the source's size), `overlay.mp4` and
    `sheet.png`; `probability/<frame>.png` on demand; and `out/model.safetensors`, `out/losses.png`, `out/run.json`.

    Returns
    -------
    The folder of the results.

    Raises
    ------
    CuemaskError
        If an input cannot be read, there is nothing to learn from, or `out` cannot be written.
    """
    job, record = _opened("segment", inputs, options)
    if record.was_complete:
        return options.out
    kept = _trained(job, options, record)
    model = load_model(options.out, chosen_device(options.device))
    for cues in kept:
        with record.stage("prediction"):
            _predicted(model, cues.clip, cues.area, options, cues)
    _finished(options, record)
    return options.out


def train(inputs: Sequence[str | Path], options: Options) -> Path:
    """Learn from unlabelled clips: `out/model.safetensors`, `out/losses.png`, `out/run.json`, a sheet a clip.

    Returns
    -------
    The folder of the results.

    Raises
    ------
    CuemaskError
        As `segment`.
    """
    job, record = _opened("train", inputs, options)
    if record.was_complete:
        return options.out
    for kept in _trained(job, options, record):
        rows = [(kept.names[i], cue_cells(kept, i, options)) for i in sheet_indices(len(kept.names))]
        write_rgb(make_folder(options.out / kept.clip.name) / "sheet.png", contact_sheet(rows))
    _finished(options, record)
    return options.out


def predict(run: Path, inputs: Sequence[str | Path], options: Options) -> Path:
    """Segment clips with a model trained before; the model's own recipe counts, not that of `options`.

    Parameters
    ----------
    run
        The folder of a `train` or `segment` run, or its `model.safetensors`.

    Returns
    -------
    The folder of the results.

    Raises
    ------
    CuemaskError
        If the model or an input cannot be read, or `out` cannot be written.
    """
    model = load_model(run, chosen_device(options.device))
    options = replace(options, recipe=model.recipe)
    clips = open_clips(inputs, options.selection)
    areas = [area_of(clip, options) for clip in clips]
    facts = told("predict", model.recipe, options.seed, clips, options.crop)
    facts["model_sha256"] = sha256(run / FILE if run.is_dir() else run)
    record = RunRecord(options.out, facts, resume=options.resume)
    if record.was_complete:
        return options.out
    record.note(device=model.device)
    for clip, area in zip(clips, areas, strict=True):
        with record.stage("prediction"):
            _predicted(model, clip, area, options, None)
    _finished(options, record)
    return options.out


@dataclass(frozen=True)
class _Job:
    """What training needs and may be refused for: clips that open, a device, weights that are there."""

    clips: list[Clip]
    areas: list[PictureArea]
    extract: Extractor
    device: str


def _opened(command: str, inputs: Sequence[str | Path], options: Options) -> tuple[_Job, RunRecord]:
    """Look first at what may be refused, so that a refused command leaves no trace; then begin the record."""
    recipe, device = options.recipe, chosen_device(options.device)
    clips = open_clips(inputs, options.selection)
    job = _Job(clips, [area_of(clip, options) for clip in clips], extractor(recipe.features, device), device)
    weights = [path for path in (job.extract.weights, _encoder(options)) if path is not None]
    record = RunRecord(options.out, told(command, recipe, options.seed, clips, options.crop), resume=options.resume)
    if not record.was_complete:
        record.note(device=device, weights=[{"file": str(path), "sha256": sha256(path)} for path in weights])
    return job, record


def _trained(job: _Job, options: Options, record: RunRecord) -> list[KeptClip]:
    """Cues, features and training, each only as far as an interrupted run has not done it."""
    recipe = options.recipe
    with record.stage("cues"):
        kept = [kept_cues(clip, area, options) for clip, area in zip(job.clips, job.areas, strict=True)]
    record.note(clips=[{"clip": k.clip.name, "frames": len(k.names), **_area(k.area)} for k in kept])
    if max(len(k.names) for k in kept) < 2:
        raise TrainingError(
            f"{', '.join(k.clip.source for k in kept)}: one frame only; learning needs two adjacent frames.",
            "Give at least two frames, or use a trained model: cuemask predict RUN INPUT --out DIR",
        )
    if (options.out / FILE).is_file():
        return kept
    with record.stage("features"):
        training = [_training_clip(k, options, job.extract) for k in kept]
    with record.stage("training"):
        checkpoint = options.out / WORK / "checkpoint.pt"

        def steps(numbers: Iterable[int], total: int) -> Iterable[int]:
            return options.progress("training", numbers, total)

        net, progress = train_network(training, recipe, checkpoint, device=job.device, seed=options.seed, steps=steps)
    record.note(losses=progress.epochs)
    write_loss_curves(options.out / "losses.png", progress.epochs)
    save_model(net, recipe, options.out / FILE)
    return kept


def _training_clip(kept: KeptClip, options: Options, extract: Extractor) -> TrainingClip:
    folder = options.out / WORK / kept.clip.name
    indices = options.progress(f"{kept.clip.name}: features", range(len(kept.names)), len(kept.names))
    return keep_for_training(kept, options.recipe, extract, folder, indices)


def _encoder(options: Options) -> Path | None:
    settings = options.recipe.network
    if settings.architecture != "resnet18_unet" or settings.weights == "random":
        return None
    return encoder_weights(options.recipe)


def _predicted(model: Model, clip: Clip, area: PictureArea, options: Options, kept: KeptClip | None) -> None:
    """Masks, overlay and sheet of one clip; frames whose files an interrupted run left are not computed again."""
    folder = options.out / clip.name
    masks, probabilities = make_folder(folder / "masks"), folder / "probability"
    if options.save_probability:
        make_folder(probabilities)
    shown = set(sheet_indices(len(kept.names) if kept else clip.frame_count or 1))
    rows: list[tuple[str, list[Cell]]] = []

    def known(frame: Frame) -> np.ndarray | None:
        mask, p = masks / f"{frame.name}.png", probabilities / f"{frame.name}.png"
        whole = options.resume and mask.is_file() and (p.is_file() or not options.save_probability)
        return read_mask(mask) > 0 if whole else None

    def finish(result: Segmented) -> None:
        name = f"{result.frame.name}.png"
        if options.save_probability and result.probability is not None:
            write_probability(probabilities / name, result.probability)
        write_mask(masks / name, result.mask)

    frames = options.progress(f"{clip.name}: masks", clip.frames(), clip.frame_count)
    with OverlayWriter(folder / "overlay.mp4", clip.frame_rate) as video:
        for number, result in enumerate(segmented(model, frames, area, finish=finish, known=known)):
            drawn = overlay(result.frame.rgb, result.mask)
            video.write(drawn)
            if number in shown:
                rows.append(_sheet_row(result, number, drawn, area, model, options, kept))
    write_rgb(folder / "sheet.png", contact_sheet(rows))


def _sheet_row(
    result: Segmented,
    number: int,
    drawn: np.ndarray,
    area: PictureArea,
    model: Model,
    options: Options,
    kept: KeptClip | None,
) -> tuple[str, list[Cell]]:
    picture = working_picture(result.frame.rgb, area, model.recipe)
    p = model.working_probability(picture[None])[0]
    inside = working_inside(area, model.recipe)
    p = p if inside is None else p * inside
    cells = cue_cells(kept, number, options) if kept else [Cell("input", picture)]
    cells += [Cell("probability", p), Cell("mask", working_picture(drawn, area, model.recipe))]
    return result.frame.name, cells


def _area(area: PictureArea) -> dict[str, int]:
    return {"top": area.top, "left": area.left, "height_px": area.height_px, "width_px": area.width_px}


def _finished(options: Options, record: RunRecord) -> None:
    remove_work(options.out)
    record.note(status="complete")
