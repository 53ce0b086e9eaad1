"""`cuemask anchors`: cue maps and anchors of every frame as pictures. Also keeps the cues for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import UInt8

from cuemask.cues.anchors import Anchors
from cuemask.cues.clip import KeptClip, keep_clip, kept_before
from cuemask.cues.own import MapOf
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip, ClipFiles, open_clips
from cuemask.media.files import make_folder
from cuemask.media.masks import write_probability, write_rgb
from cuemask.media.text import BLANK
from cuemask.media.threads import in_threads
from cuemask.recipe import Recipe
from cuemask.report.sheet import Cell, contact_sheet
from cuemask.runs.options import Options, area_of
from cuemask.runs.outside import told_of_outlines, told_of_outside, told_of_text
from cuemask.runs.own_cues import own_maps, with_cues
from cuemask.runs.record import RunRecord, told
from cuemask.runs.space import anchors_need, require_space, resumable, tell
from cuemask.runs.whole import missing_maps
from cuemask.runs.work import WORK, run_folder

SHEET_ROWS = 4
CUES = "cues.png"


def anchors(inputs: Sequence[str | Path | ClipFiles], options: Options) -> Path:
    """Write the cue maps and both anchors of every frame of `inputs`, and a contact sheet for each clip.

    `out/<clip>/{color,contour,motion,objectness,shape,positive,negative}/<frame>.png` (8-bit, 255 is 1) at the recipe's
    working size, as far as the recipe uses these cues, those of one's own likewise, `out/<clip>/location.png` and
    `out/<clip>/cues.png`.

    Returns
    -------
    The folder of the results.

    Raises
    ------
    CuemaskError
        If an input cannot be read or `out` cannot be written.
    """
    with run_folder(options.out):
        _anchors(inputs, with_cues(options))
    return options.out


def _anchors(inputs: Sequence[str | Path | ClipFiles], options: Options) -> None:
    clips = open_clips(inputs, options.selection)
    areas = [area_of(clip, options) for clip in clips]
    need = require_space(lambda every: anchors_need(clips, options.recipe, every=every), clips, options)
    own = own_maps(clips, areas, options)
    facts = told("anchors", options.recipe, options.seed, clips, options.crop, options.stereo) | own.told
    gone = missing_maps(clips, _kinds(options.recipe), options)
    with resumable(need, clips, options):
        record = RunRecord(options.out, facts, resume=options.resume, missing=gone)
        if record.was_complete:
            return
        tell(need, options)
        for clip, area, maps in zip(clips, areas, own.of_clips, strict=True):
            with record.stage("cues"):
                kept = kept_cues(clip, area, options, own=maps)
            record.note_outside(clip.name, kept.outside)
            record.note_text(clip.name, area)
            with record.stage("pictures"):
                _write_pictures(kept, options)
        record.note_lost(clips)
        record.complete()


def kept_cues(
    clip: Clip,
    area: PictureArea,
    options: Options,
    labelled: AbstractSet[str] = frozenset(),
    own: Mapping[str, MapOf] = MappingProxyType({}),
    most: int | None = None,
) -> KeptClip:
    """The clip's cues in the run's work folder: those of an interrupted run, else computed now.

    Parameters
    ----------
    labelled
        Frames that are kept wherever they were filmed.
    own
        What gives the maps of cues of one's own.
    most
        Of a clip of more frames than this no pictures are kept.

    Raises
    ------
    CuemaskError
        If the clip cannot be read or the folder cannot be written.
    """
    folder = make_folder(options.out / WORK / clip.name)
    if area.text:
        options.say(told_of_text(clip.name, area))
    if area.outlines:
        options.say(told_of_outlines(clip.name, area))
    kept = kept_before(folder, clip, area, options.recipe, options.seed, most)
    if kept is None:
        frames = options.progress(f"{clip.name}: cues", clip.frames(), clip.frame_count)
        kept = keep_clip(clip, area, options.recipe, folder, options.seed, frames, labelled, most)
    if kept.outside:
        options.say(told_of_outside(clip.name, kept.outside))
    return replace(kept, own=own)


def sheet_indices(count: int) -> list[int]:
    """Frames shown on a sheet, spread evenly from the first to the last."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, SHEET_ROWS))})


def cue_cells(kept: KeptClip, index: int, options: Options) -> list[Cell]:
    """Input, cues and anchors of a frame; anchors brightened so that their dim products can be seen."""
    maps = kept.cues(index, options.recipe)
    chosen = kept.anchors_from(index, maps, options.recipe)
    cells = [Cell("input", _input(kept, index, options))]
    cells += [Cell(name, maps.named(name)) for name in used_cues(options.recipe)]
    for name, anchor in chosen._asdict().items():
        gain = 1 / max(float(anchor.max()), 1e-6)
        cells.append(Cell(f"{name} anchor x{gain:.1f}", anchor * gain))
    return cells


def _input(kept: KeptClip, index: int, options: Options) -> UInt8[np.ndarray, "h w 3"]:
    """A kept picture; where text is to be blanked, without what lies outside the endoscope's picture."""
    rgb, inside = kept.rgb[index], kept.inside_of(index)
    if not options.blank_text or inside is None:
        return rgb
    return np.where(inside[..., None], rgb, np.uint8(BLANK))


def write_cue_sheet(kept: KeptClip, options: Options) -> None:
    """Write `cues.png` into the clip's folder: some frames with their cues and anchors."""
    rows = [(kept.names[i], cue_cells(kept, i, options)) for i in sheet_indices(len(kept.names))]
    write_rgb(make_folder(options.out / kept.clip.name) / CUES, contact_sheet(rows))


def used_cues(recipe: Recipe) -> list[str]:
    """The names of the cues that a recipe uses, ours and one's own."""
    return [*recipe.cues.use, *recipe.cues.own_weights]


def _kinds(recipe: Recipe) -> list[str]:
    """Folders of a clip's maps."""
    return [*(cue for cue in used_cues(recipe) if cue != "location"), *Anchors._fields]


def _write_pictures(kept: KeptClip, options: Options) -> None:
    folder = options.out / kept.clip.name
    written = _kinds(options.recipe)
    for name in written:
        make_folder(folder / name)

    def write(index: int) -> None:
        cues = kept.cues(index, options.recipe)
        both = kept.anchors_from(index, cues, options.recipe)._asdict()
        for name in written:
            values = both[name] if name in both else cues.named(name)
            write_probability(folder / name / f"{kept.names[index]}.png", values)

    kept.clipwide(options.recipe)  # once, before the threads ask for it
    indices = range(len(kept.names))
    for _ in in_threads(write, options.progress(f"{kept.clip.name}: pictures", indices, len(indices))):
        pass
    write_probability(folder / "location.png", kept.location)
    write_cue_sheet(kept, options)
