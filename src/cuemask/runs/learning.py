"""`cuemask train` and `segment`: what learns. `runs.predicting` is what follows."""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64

from cuemask.cues.clip import KeptClip, keep_pictures
from cuemask.errors import TrainingError
from cuemask.inference.model import FILE, chosen_device, load_model, save_model
from cuemask.learning.features import Extractor, extractor_for
from cuemask.learning.kept import TrainingClip, keep_for_training, remove_kept
from cuemask.learning.own import told_of_network
from cuemask.learning.pairs import clips_drawn, frames_met, most_clips, schedule
from cuemask.learning.supervision import Supervision
from cuemask.learning.together import ALONE, World, together
from cuemask.learning.training import encoder_weights
from cuemask.learning.training import train as train_network
from cuemask.learning.unet import network
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip, ClipFiles, open_clips
from cuemask.media.files import make_folder, sha256
from cuemask.media.hardware import decoding_with, told_of_decoder
from cuemask.recipe import Recipe
from cuemask.report.curves import write_loss_curves
from cuemask.runs.ahead import take_area, take_cues, take_look
from cuemask.runs.classes import told_of_classes, with_classes
from cuemask.runs.cueing import CUES, kept_cues, sheet_indices, write_cue_sheet
from cuemask.runs.labels import labels_met, supervisions, told_of_labels
from cuemask.runs.options import Options, area_of, told_of_masks
from cuemask.runs.outside import sought
from cuemask.runs.own_cues import OwnMaps, own_maps, with_cues
from cuemask.runs.own_network import with_network
from cuemask.runs.predicting import finished, tell_apart, write_masks, write_masks_of_all
from cuemask.runs.record import RunRecord, told
from cuemask.runs.reporting import reported_again
from cuemask.runs.space import Need, most_kept, require_space, resumable, segment_need, tell, train_need
from cuemask.runs.whole import missing, missing_masks
from cuemask.runs.work import WORK, run_folder

CURVES = "losses.png"


def segment(inputs: Sequence[str | Path | ClipFiles], options: Options) -> Path:
    """The single-stage setting: learn from unlabelled clips and segment the same clips.

    Writes, for each clip, `out/<clip>/masks/<frame>.png` (0/255, at the source's size) or `masks.mov`, `overlay.mp4`,
    `sheet.png` and `cues.png`; of several classes `classes/<frame>.png`; `probability/<frame>.png` on demand; and
    `out/model.safetensors`, `out/losses.png`, `out/run.json`, `out/report.html`.

    Returns
    -------
    The folder of the results.

    Raises
    ------
    CuemaskError
        If an input cannot be read, there is nothing to learn from, or `out` cannot be written.
    """
    with together(chosen_device(options.device)) as world, _leading(world, options) as leads:
        if leads:
            with run_folder(options.out), decoding_with(options.decoder):
                _segment(inputs, sought(with_network(with_cues(with_classes(options)))), world)
    return options.out


@contextmanager
def _leading(world: World, options: Options) -> Generator[bool, None, None]:
    """Whether this process does the run, as the first of those that torchrun started; the others help it to learn."""
    if world.rank == 0:
        yield True
        world.tell(None)
        return
    while (told := world.tell(None)) is not None:
        training, recipe, checkpoint, seed = told
        train_network(training, recipe, checkpoint, device=chosen_device(options.device), seed=seed, world=world)
    yield False


def _segment(inputs: Sequence[str | Path | ClipFiles], options: Options, world: World = ALONE) -> None:
    job, record = _opened("segment", inputs, options)
    if record.was_complete:
        reported_again(options)
        return
    with resumable(job.need, job.all_clips, options):
        kept = _trained(job, options, record, world)
        model = load_model(options.out, chosen_device(options.device), options.network, one_core=True)
        for cues, known in zip(kept, job.known, strict=True):
            with record.stage("prediction"):
                write_masks(model, cues.clip, cues.area, options, cues, known)
        write_masks_of_all(model, job.others, options, record)
        tell_apart([*((cues.clip, cues.area) for cues in kept), *job.others], options, record)
        record.note_lost(job.all_clips)
        finished(options, record)


def train(inputs: Sequence[str | Path | ClipFiles], options: Options) -> Path:
    """Learn from unlabelled clips: `out/model.safetensors`, `out/losses.png`, `out/run.json`, `cues.png` a clip.

    Returns
    -------
    The folder of the results.

    Raises
    ------
    CuemaskError
        As `segment`.
    """
    with together(chosen_device(options.device)) as world, _leading(world, options) as leads:
        if leads:
            with run_folder(options.out), decoding_with(options.decoder):
                _train(inputs, with_network(with_cues(with_classes(options))), world)
    return options.out


def _train(inputs: Sequence[str | Path | ClipFiles], options: Options, world: World = ALONE) -> None:
    job, record = _opened("train", inputs, options)
    if record.was_complete:
        reported_again(options)
        return
    with resumable(job.need, job.clips, options):
        for kept in _trained(job, options, record, world):
            write_cue_sheet(kept, options)
        finished(options, record)


@dataclass(frozen=True)
class _Job:
    """What training needs and may be refused for: clips that open, a device, weights that are there, disk.

    `others` are clips of `segment` that no step meets: they are predicted only.
    """

    clips: list[Clip]
    areas: list[PictureArea]
    known: list[Supervision]
    cues: OwnMaps
    extract: Extractor
    device: str
    need: Need
    others: list[tuple[Clip, PictureArea]]

    @property
    def all_clips(self) -> list[Clip]:
        return [*self.clips, *(clip for clip, _ in self.others)]


def _opened(command: str, inputs: Sequence[str | Path | ClipFiles], options: Options) -> tuple[_Job, RunRecord]:
    """Look first at what may be refused, so that a refused command leaves no trace; then begin the record."""
    recipe, device = options.recipe, chosen_device(options.device)
    clips, others = _opened_clips(command, inputs, options)
    areas, extract = _areas(clips, options), extractor_for(recipe, device)
    everything = [*clips, *others]
    need = require_space(partial(_need, command, everything, options, _model_bytes(options)), everything, options)
    known = supervisions(clips, options)
    cues = own_maps(clips, areas, options)
    unmet = [(clip, area_of(clip, options)) for clip in others]
    job = _Job(clips, areas, known, cues, extract, device, need, unmet)
    weights = [path for path in (job.extract.weights, _encoder(options)) if path is not None]
    facts = told(command, recipe, options.seed, everything, options.crop, options.stereo)
    facts |= told_of_labels(clips, known, options) | told_of_classes(options) | cues.told
    facts |= told_of_masks(options) if command == "segment" else {}
    facts |= {} if options.network is None else {"network": told_of_network(options.network)}
    with resumable(need, everything, options):
        gone = _missing(command, clips, others, options)
        record = RunRecord(options.out, facts, resume=options.resume, missing=gone)
        if not record.was_complete:
            tell(need, options)
            files = [{"file": str(path), "sha256": sha256(path)} for path in weights]
            record.note(device=device, weights=files, **told_of_decoder(options.decoder))
    return job, record


def _opened_clips(
    command: str, inputs: Sequence[str | Path | ClipFiles], options: Options
) -> tuple[list[Clip], list[Clip]]:
    """The clips that something is learnt from, and those that are masked only, where its steps cannot meet all."""

    def drawn(count: int) -> list[int]:
        settings = options.recipe.training
        if options.labels or options.classes is not None:  # any clip may hold what is labelled
            return list(range(count))
        if count > most_clips(settings):
            options.say(f"learns from {most_clips(settings):,} of {count:,} clips, of which its steps meet no more")
        return sorted(clips_drawn(count, settings, options.seed)[: most_clips(settings)])

    if command == "train":
        return open_clips(inputs, options.selection, drawn), []
    clips = open_clips(inputs, options.selection)
    learnt = set(drawn(len(clips)))
    return [clips[n] for n in sorted(learnt)], [clip for n, clip in enumerate(clips) if n not in learnt]


def _areas(clips: Sequence[Clip], options: Options) -> list[PictureArea]:
    if options.ahead:
        return [take_area(kept, clip) for kept, clip in zip(options.ahead, clips, strict=True)]
    return [area_of(clip, options) for clip in clips]


def _missing(command: str, clips: Sequence[Clip], others: Sequence[Clip], options: Options) -> Iterator[Path]:
    """What a complete run made and is gone."""
    yield from missing(options.out / name for name in (FILE, CURVES))
    if command == "segment":
        yield from missing_masks([*clips, *others], options)
    yield from missing(options.out / clip.name / CUES for clip in clips)


def _need(command: str, clips: Sequence[Clip], options: Options, model: int, every: int) -> Need:
    if command == "train":
        return train_need(clips, options, model, every=every)
    return segment_need(clips, options, model, every=every)


def _model_bytes(options: Options) -> int:
    """Size of the network's weights, without making them."""
    with torch.device("meta"):
        state = (network(options.recipe.network) if options.network is None else options.network).state_dict()
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())


def _trained(job: _Job, options: Options, record: RunRecord, world: World) -> list[KeptClip]:
    """Cues, features and training, each only as far as an interrupted run has not done it."""
    recipe = options.recipe
    with record.stage("cues"):
        kept = _kept(job, options)
    record.note_lost(job.clips)
    for k in kept:
        record.note_outside(k.clip.name, k.outside)
        record.note_text(k.clip.name, k.area)
    record.note(clips=[{"clip": k.clip.name, "frames": len(k.names), **_area(k.area)} for k in kept])
    if max(len(k.names) for k in kept) < 2:
        raise TrainingError(
            f"{', '.join(k.clip.source for k in kept)}: one frame only; learning needs two adjacent frames.",
            "Give at least two frames, or use a trained model: cuemask predict RUN INPUT --out DIR",
        )
    labelled = [known.labelled(k) for known, k in zip(job.known, kept, strict=True)]
    order = schedule([len(k.names) for k in kept], recipe.training, options.seed, labelled)
    met = frames_met(order, len(kept), order.all_steps)
    with record.stage("cues"):
        parts = zip(kept, met, labelled, strict=True)
        kept = [_with_pictures(k, options, {*frames.tolist(), *own}) for k, frames, own in parts]
        for ahead, k in zip(options.ahead, kept, strict=bool(options.ahead)):
            take_look(ahead, k, recipe)
    curves = options.out / CURVES
    if (options.out / FILE).is_file():
        if not curves.is_file() and record.values.get("losses"):
            write_loss_curves(curves, record.values["losses"])
        return kept
    with record.stage("features"):
        if (found := labels_met(kept, job.known, met)) is not None:
            options.say(found[0])
            record.note(labels_met=found[1])
        parts = zip(kept, met, job.known, strict=True)
        training = [_training_clip(k, frames, known, options, job.extract) for k, frames, known in parts]
    with record.stage("training"):
        checkpoint = options.out / WORK / "checkpoint.pt"

        def steps(numbers: Iterable[int], total: int) -> Iterable[int]:
            return options.progress(partial(_epoch, len(order.pairs), recipe), numbers, total)

        world.tell((training, recipe, checkpoint, options.seed))
        net, progress = train_network(
            training,
            recipe,
            checkpoint,
            device=job.device,
            seed=options.seed,
            own=options.network,
            steps=steps,
            world=world,
        )
    record.note(losses=progress.epochs)
    write_loss_curves(curves, progress.epochs)
    save_model(net, recipe, options.out / FILE)
    for k in kept:
        remove_kept(options.out / WORK / k.clip.name)  # room for the masks
    return kept


def _kept(job: _Job, options: Options) -> list[KeptClip]:
    """The cues of all clips; pictures of those that are short, as long as all of these are few."""
    kept, left = list[KeptClip](), most_kept(options)
    for ahead, clip in zip(options.ahead, job.clips, strict=bool(options.ahead)):
        take_cues(ahead, make_folder(options.out / WORK / clip.name))
    for clip, area, known, own in zip(job.clips, job.areas, job.known, job.cues.of_clips, strict=True):
        kept.append(kept_cues(clip, area, options, known.labels.names, own, left))
        count = len(kept[-1].names)
        left -= count if count <= left else 0
    return kept


def _with_pictures(kept: KeptClip, options: Options, learnt: Collection[int]) -> KeptClip:
    """The clip with the pictures that are read of it from now on: frames `learnt` from, those of the sheet of cues."""
    wanted = kept.read_for({*learnt, *sheet_indices(len(kept.names))}, options.recipe)
    folder, frames = options.out / WORK / kept.clip.name, kept.clip.frames()
    frames = options.progress(f"{kept.clip.name}: pictures", frames, kept.clip.frame_count)
    return keep_pictures(kept, options.recipe, folder, frames, wanted)


def _training_clip(
    kept: KeptClip, frames: Int64[np.ndarray, " n"], known: Supervision, options: Options, extract: Extractor
) -> TrainingClip:
    folder = options.out / WORK / kept.clip.name
    stage = "anchors, features" if options.recipe.losses.diffuses else "anchors"
    indices = options.progress(f"{kept.clip.name}: {stage}", frames.tolist(), len(frames))
    return keep_for_training(kept, options.recipe, extract, folder, indices, frames, known)


def _epoch(pairs: int, recipe: Recipe, step: int) -> str:
    """Which pass over the pairs of frames a step belongs to."""
    per_step, steps = recipe.training.pairs_per_step, recipe.training.steps
    passes = math.ceil(steps * per_step / max(pairs, 1))
    return f"training, epoch {min(step * per_step // max(pairs, 1) + 1, passes)}/{passes}"


def _encoder(options: Options) -> Path | None:
    settings = options.recipe.network
    if settings.architecture != "resnet18_unet" or settings.weights == "random":
        return None
    return encoder_weights(options.recipe)


def _area(area: PictureArea) -> dict[str, int]:
    return {"top": area.top, "left": area.left, "height_px": area.height_px, "width_px": area.width_px}
