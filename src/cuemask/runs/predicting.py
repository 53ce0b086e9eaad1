"""`cuemask predict`: masks from a model trained before."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.cues.carrying import Carried
from cuemask.cues.clip import KeptClip, working_inside, working_inside_of, working_picture
from cuemask.cues.outside import Stretch
from cuemask.errors import PictureError
from cuemask.inference.prediction import Predictor, Seen, Segmented, segmented
from cuemask.inference.thresholds import class_codes, full_probability
from cuemask.learning.supervision import Supervision
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip, ClipFiles, open_clips
from cuemask.media.files import make_folder, sha256
from cuemask.media.frames import Frame
from cuemask.media.growing_films import GrowingFilm
from cuemask.media.hardware import decoding_with, told_of_decoder
from cuemask.media.mask_films import FILM
from cuemask.media.mask_folders import MASKS
from cuemask.media.masks import read_mask, write_codes, write_mask, write_probability, write_rgb
from cuemask.media.numbers import with_classes
from cuemask.media.overlay import STEADY, OverlayWriter, blanked, captioned, overlay, with_strip
from cuemask.media.text import text_blanked
from cuemask.report.sheet import Cell, contact_sheet
from cuemask.report.words import clock
from cuemask.runs.confidences import FILE, NOTHING, Confidences, Told, told_of
from cuemask.runs.cueing import CUES, cue_cells, sheet_indices
from cuemask.runs.instruments_of_clip import GroupOptions, group_clip, outside_of
from cuemask.runs.models import open_model
from cuemask.runs.options import Options, area_of, told_of_masks
from cuemask.runs.outside import Finder, sought, told_of_outlines, told_of_outside, told_of_text
from cuemask.runs.record import RunRecord, told
from cuemask.runs.reporting import reported_again, write_report
from cuemask.runs.shown import OUTSIDE, SHEET, Shown, sheet_of
from cuemask.runs.space import predict_need, require_space, resumable, tell
from cuemask.runs.whole import CLASSES, missing_masks
from cuemask.runs.work import WORK, run_folder

_log = logging.getLogger(__name__)


def predict(run: Path, inputs: Sequence[str | Path | ClipFiles], options: Options) -> Path:
    """Segment clips with a model trained before; the model's own recipe counts, not that of `options`.

    Parameters
    ----------
    run
        The folder of a `train` or `segment` run, its `model.safetensors`, or a `.onnx` file that
        `cuemask export onnx` wrote; the last runs without torch.

    Returns
    -------
    The folder of the results.

    Raises
    ------
    CuemaskError
        If the model or an input cannot be read, or `out` cannot be written.
    """
    with run_folder(options.out), decoding_with(options.decoder):
        _predict(run, inputs, options)
    return options.out


def _predict(run: Path, inputs: Sequence[str | Path | ClipFiles], options: Options) -> None:
    model, file = open_model(run, options.device, options.provider, one_core=True, network=options.network)
    options = sought(replace(options, recipe=model.recipe))
    clips = open_clips(inputs, options.selection)
    areas = [area_of(clip, options) for clip in clips]
    need = require_space(lambda every: predict_need(clips, options, every=every), clips, options)
    facts = told("predict", options.recipe, options.seed, clips, options.crop, options.stereo)
    facts |= told_of_masks(options) | {"model_sha256": sha256(file)}
    with resumable(need, clips, options):
        record = RunRecord(options.out, facts, resume=options.resume, missing=missing_masks(clips, options))
        if record.was_complete:
            reported_again(options)
            return
        tell(need, options)
        record.note(device=model.device, **told_of_decoder(options.decoder))
        write_masks_of_all(model, list(zip(clips, areas, strict=True)), options, record)
        tell_apart(zip(clips, areas, strict=True), options, record)
        record.note_lost(clips)
        finished(options, record)


def write_masks_of_all(
    model: Predictor, clips: Iterable[tuple[Clip, PictureArea]], options: Options, record: RunRecord
) -> None:
    """`write_masks` of clips of which nothing is kept, and what is found in them told and noted."""
    for clip, area in clips:
        if area.text:
            options.say(told_of_text(clip.name, area))
            record.note_text(clip.name, area)
        if area.outlines:
            options.say(told_of_outlines(clip.name, area))
        with record.stage("prediction"):
            outside = write_masks(model, clip, area, options, None)
        if outside:
            options.say(told_of_outside(clip.name, outside))
            record.note_outside(clip.name, outside)


def write_masks(
    model: Predictor,
    clip: Clip,
    area: PictureArea,
    options: Options,
    kept: KeptClip | None,
    supervision: Supervision = Supervision(),  # noqa: B008 (a constant)
) -> list[Stretch]:
    """Masks, overlay and sheets of one clip; frames whose files an interrupted run left are not computed again.

    Where `kept` has the clip's pictures, labels of `supervision` have their say in the frames beside theirs.

    Returns
    -------
    The frames filmed outside the body, whose masks are empty.
    """
    folder = options.out / clip.name
    make_folder(folder)
    film = _film_of(clip, options)
    masks = folder / MASKS if film else make_folder(folder / MASKS)
    probabilities = folder / "probability"
    if options.save_probability:
        make_folder(probabilities)
    classes = [make_folder(folder / CLASSES)] if model.recipe.network.classes > 1 else []
    confidences = Confidences(options.out / WORK / clip.name, resume=options.resume, finished=folder / FILE)
    shown = Shown(clip.pixel_aspect, blanks_outside=options.blank_outside)
    finder = Finder(clip, area, options, kept)
    with_cues = {kept.names[index]: index for index in sheet_indices(len(kept.names))} if kept else {}
    numbers = {name: n for n, name in enumerate(kept.names)} if kept and supervision.labels.names else {}
    rows: list[tuple[str, list[Cell]]] = []
    draws = options.overlay and not options.instances and not clip.sizes_vary  # a video has one size

    def known(frame: Frame) -> np.ndarray | None:
        if frame.name not in confidences.before:
            return None
        file = f"{frame.name}.png"
        beside = [*([probabilities] if options.save_probability else []), *classes]
        if any(_whole(place / file, frame) is None for place in beside):
            return None
        return _whole(masks / file, frame) if film is None else _of_its_size(film.known(frame.name, frame.place), frame)

    def carried(frame: Frame, picture: np.ndarray) -> Carried | None:
        number = numbers.get(frame.name)
        return None if kept is None or number is None else supervision.carried(kept, number, options.recipe, picture)

    def finish(frame: Frame, mask: np.ndarray, seen: Seen | None) -> _Finished:
        is_outside = finder.has_found(frame)
        if seen is None and not is_outside:
            told = confidences.before[frame.name]
        else:
            height, width = mask.shape
            told = NOTHING if seen is None else told_of(seen.mirrored, mask, seen.area)
            if options.save_probability:
                full = np.zeros(mask.shape, np.float32)
                if seen is not None:
                    full = full_probability(seen.probability, seen.area, height, width)
                write_probability(probabilities / f"{frame.name}.png", full)
            for place in classes:
                codes = np.zeros(mask.shape, np.uint8)
                if seen is not None and seen.classes is not None:
                    codes = class_codes(seen.classes, mask, seen.area)
                write_codes(place / f"{frame.name}.png", codes)
            if film is None:
                write_mask(masks / f"{frame.name}.png", mask)
        drawn = None
        if draws:
            codes = read_mask(classes[0] / f"{frame.name}.png") if classes else None
            names = model.recipe.network.class_names
            drawn = _drawn(frame, mask, told, area, clip, options, codes, names, is_outside=is_outside)
        return _Finished(drawn, told, None if film is None else film.coded(mask))

    frames = options.progress(f"{clip.name}: masks", clip.frames(), clip.frame_count)
    with (
        OverlayWriter(folder / "overlay.mp4", clip.frame_rate, clip.pixel_aspect, STEADY)
        if draws
        else nullcontext() as video
    ):
        for result in segmented(model, frames, area, finish, known=known, outside=finder.finds, carried=carried):
            if film is not None and result.finished.coded is not None:
                film.add(result.frame.name, result.frame.place, result.finished.coded)
            confidences.tell(result.frame.name, result.finished.told)
            if video is not None and result.finished.drawn is not None:
                video.write(result.finished.drawn, result.frame.place)
            is_outside = finder.passed(result.frame)
            own = area.of(*result.mask.shape)
            seen = replace(result.frame, rgb=_told_rgb(result.frame, own, options))
            shown.add(seen, result.finished.told, own, is_outside=is_outside)
            if kept is not None and result.frame.name in with_cues:
                rows.append(_cue_row(result, with_cues[result.frame.name], area, model, options, kept))
    if film is not None:
        film.finish()
    if rows:
        write_rgb(folder / CUES, contact_sheet(rows))
    shown.write(folder)
    write_rgb(folder / SHEET, sheet_of(folder))
    confidences.finish(folder / FILE)
    doubtful = ", ".join(f"{one.frame} ({one.confidence:.2f})" for one in shown.least_sure())
    options.say(f"{clip.name}: least sure of {doubtful}; every frame's confidence is in {folder / FILE}")
    return finder.stretches


def _drawn(
    frame: Frame,
    mask: Bool[np.ndarray, "H W"],
    told: Told,
    area: PictureArea,
    clip: Clip,
    options: Options,
    codes: UInt8[np.ndarray, "H W"] | None,
    names: Sequence[str],
    *,
    is_outside: bool,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """A frame of the overlay's video; of classes, if there are `codes`, each in its colour and by name."""
    time = "" if frame.time_seconds is None else f"   {clock(frame.time_seconds)}"
    text = f"{clip.name}   {frame.name}{time}   "
    text += OUTSIDE if is_outside else f"confidence {told.confidence:.2f}"
    is_blank = is_outside and options.blank_outside
    rgb = blanked(frame.rgb, OUTSIDE) if is_blank else _told_rgb(frame, area, options)
    if codes is None:
        return captioned(rgb, mask, text, options.overlay_style)
    present: list[int] = np.unique(codes[codes > 0]).tolist()
    seen = [names[code - 1] if code <= len(names) else f"class {code}" for code in present]
    text += "   " + ", ".join(seen) if seen else ""
    return with_strip(with_classes(rgb, codes, options.overlay_style), text)


def _whole(path: Path, frame: Frame) -> Bool[np.ndarray, "H W"] | None:
    """A mask that an interrupted run left, or None where it is gone, damaged or of another size than its frame."""
    if not path.is_file():
        return None
    try:
        mask = read_mask(path)
    except PictureError as error:
        _log.warning("%s It is made again.", error.what)
        return None
    return _of_its_size(mask > 0, frame)


def _of_its_size(mask: Bool[np.ndarray, "H W"] | None, frame: Frame) -> Bool[np.ndarray, "H W"] | None:
    return mask if mask is not None and mask.shape == frame.rgb.shape[:2] else None


def _film_of(clip: Clip, options: Options) -> GrowingFilm | None:
    """What the clip's masks become where they are to be one file; None where they are pictures."""
    if options.masks == "pictures":
        return None
    if clip.sizes_vary:
        _log.warning("%s: its pictures differ in size, which no film can hold; its masks are pictures.", clip.name)
        return None
    work = options.out / WORK / clip.name / MASKS
    return GrowingFilm(options.out / clip.name / FILM, work, clip.frame_rate, resume=options.resume)


class _Finished(NamedTuple):
    drawn: UInt8[np.ndarray, "H W 3"] | None
    told: Told
    coded: bytes | None = None


def _told_rgb(frame: Frame, area: PictureArea, options: Options) -> UInt8[np.ndarray, "H W 3"]:
    """The frame as people are shown it: where text is to be blanked, without it."""
    return text_blanked(frame.rgb, area) if options.blank_text else frame.rgb


def _cue_row(
    result: Segmented[_Finished],
    number: int,
    area: PictureArea,
    model: Predictor,
    options: Options,
    kept: KeptClip,
) -> tuple[str, list[Cell]]:
    picture = working_picture(result.frame.rgb, area, model.recipe)
    p = model.working_probability(picture[None])[0]
    inside = working_inside_of(picture, area, working_inside(area, model.recipe))
    p = p if inside is None else p * inside
    drawn = working_picture(overlay(_told_rgb(result.frame, area, options), result.mask), area, model.recipe)
    cells = [*cue_cells(kept, number, options), Cell("probability", p), Cell("mask", drawn)]
    return result.frame.name, cells


def tell_apart(clips: Iterable[tuple[Clip, PictureArea]], options: Options, record: RunRecord) -> None:
    """Instruments of clips whose masks are there, where they are wanted."""
    if not options.instances:
        return
    grouping = GroupOptions(
        parts=options.parts,
        overlay=options.overlay,
        overlay_style=options.overlay_style,
        blank_outside=options.blank_outside,
        blank_text=options.blank_text,
        resume=options.resume,
        progress=options.progress,
    )
    with record.stage("instruments"):
        for clip, area in clips:
            options.say(group_clip(options.out, clip, area, grouping, outside_of(record.values, clip.name)))


def finished(options: Options, record: RunRecord) -> None:
    """Leave the folder of a complete run as its reader wants it."""
    blanks = {"outside": options.blank_outside, "text": options.blank_text}
    record.note(blanks=[what for what, is_blanked in blanks.items() if is_blanked])
    record.complete()
    if options.report:
        write_report(options.out, blanks_outside=options.blank_outside, blanks_text=options.blank_text)
