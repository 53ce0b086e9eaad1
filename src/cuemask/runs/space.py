"""How much disk a run needs: worked out before it starts, compared with what is free, and said in one line.

What is kept at working size is known to the byte. What is compressed is guessed from clips that were measured,
rather too high than too low; a run is refused only where it cannot fit even if all of that packs four times as well.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from cuemask.cues.anchors import Anchors
from cuemask.cues.motion import GAPS
from cuemask.errors import OutputError
from cuemask.media.clips import Clip
from cuemask.media.mask_films import FILM as MASK_FILM
from cuemask.recipe import Cue, Recipe
from cuemask.runs.options import Options
from cuemask.runs.record import is_complete
from cuemask.runs.shown import LOOKS, STRIP, WIDEST_PX
from cuemask.runs.work import WORK

log = logging.getLogger(__name__)

# Bytes a pixel of what is compressed, and of a whole sheet.
MASK, PROBABILITY, OVERLAY, MAP = 0.012, 0.25, 0.06, 0.5
FILM = 2 * 0.004  # of a mask in a film, which for a moment is there twice
JPEG = 0.15
SHEET = 1_400_000
BLOCK = 4096  # a small file takes a whole one
PACKS_BETTER = 4  # times, at most, that what is compressed may turn out smaller
FEW = 2_000  # frames of which pictures are kept in any case
BESIDE = 48  # frames a clip, at most, that are read beside those of training: the look over it, the sheet
FILL = 300_000  # run.json, the curve of losses, folders
PICTURES = ("masks", "probability", "classes", *(cue for cue in get_args(Cue) if cue != "location"), *Anchors._fields)


@dataclass(frozen=True)
class Need:
    """Bytes that a run takes in its folder.

    Attributes
    ----------
    peak
        At most at one time.
    stays
        When it is complete.
    least
        `peak`, were all pictures and videos to pack four times as well as guessed.
    line
        What is said of it when the run begins.
    is_tight
        Whether the disk may become full.
    """

    peak: int
    stays: int
    least: int
    line: str = ""
    is_tight: bool = False


# The need if only each n-th of the frames is taken.
NeedOf = Callable[[int], Need]


def segment_need(clips: Sequence[Clip], options: Options, model: int, *, every: int = 1) -> Need:
    """The need of `cuemask segment`; `model` is the size of its weights in bytes."""
    kept, training = _kept(clips, options, every), _training(clips, options, every)
    results = _results(clips, options, every) + SHEET * len(clips)  # and a sheet of cues
    checkpoint = _checkpoint(options.recipe, model)

    def peak(results: int) -> int:
        # A checkpoint is written beside its predecessor; what only training reads is removed before prediction.
        return kept + max(training + 2 * checkpoint, checkpoint + model + results) + FILL

    return Need(peak(results), model + results + FILL, peak(results // PACKS_BETTER))


def train_need(clips: Sequence[Clip], options: Options, model: int, *, every: int = 1) -> Need:
    """The need of `cuemask train`; `model` is the size of its weights in bytes."""
    kept, checkpoint = _kept(clips, options, every), _checkpoint(options.recipe, model)
    peak = kept + _training(clips, options, every) + 2 * checkpoint + FILL
    return Need(peak, model + SHEET * len(clips) + FILL, peak)


def predict_need(clips: Sequence[Clip], options: Options, *, every: int = 1) -> Need:
    """The need of `cuemask predict`."""
    results = _results(clips, options, every)
    return Need(results + FILL, results + FILL, results // PACKS_BETTER + FILL)


def anchors_need(clips: Sequence[Clip], recipe: Recipe, *, every: int = 1) -> Need:
    """The need of `cuemask anchors`: a map of each frame for each cue and both anchors, beside the kept cues."""
    a_map = _whole_blocks(MAP * recipe.input.height_px * recipe.input.width_px)
    maps = sum(cue != "location" for cue in recipe.cues.use) + len(recipe.cues.own) + 2
    pictures = sum(_frames(clip, every) for clip in clips) * maps * a_map + SHEET * len(clips)
    kept = sum(_frames(clip, every) for clip in clips) * _picture(recipe)
    return Need(kept + pictures + FILL, pictures + FILL, kept + pictures // PACKS_BETTER + FILL)


def require_space(need_of: NeedOf, clips: Sequence[Clip], options: Options) -> Need:
    """Compare what the run needs with what is free; `tell` says it once nothing else refuses the run.

    What an interrupted run left in the folder is counted as free: it is part of the need.

    Raises
    ------
    OutputError
        If the run cannot fit; the remedy names the --every with which it would.
    """
    need, out = need_of(1), options.out
    if options.resume and is_complete(out):
        return need
    folder = _nearest(out)
    free = shutil.disk_usage(folder).free + (left_behind(clips, options) if options.resume else 0)
    line = f"needs about {size(need.peak)} in {out} while it runs ({size(need.stays)} stay); {size(free)} are free"
    unknown = [clip.source for clip in clips if clip.frame_count is None]
    if unknown:
        line += f"; not counting {', '.join(unknown)}, whose number of frames is not known"
    if need.least > free:
        raise OutputError(f"{out}: {line}.", _remedy(need_of, clips, free))
    return replace(need, line=line, is_tight=need.peak > free)


def tell(need: Need, options: Options) -> None:
    """Say what the run that begins needs, and warn where that may be too much."""
    if need.is_tight:
        log.warning("%s: the disk may become full; the run can then be resumed.", need.line)
    elif need.line:
        options.say(need.line)


@contextmanager
def resumable(need: Need, clips: Sequence[Clip], options: Options) -> Generator[None, None, None]:
    """Where the disk becomes full, say how much more the run will take, and how it goes on."""
    try:
        yield
    except OutputError as error:
        if not _is_full(error):
            raise
        missing = need.peak - left_behind(clips, options)
        about = f", about {size(missing)}" if missing > 0 else ""
        again = "again" if options.resume else "with --resume"
        raise OutputError(error.what, f"Free some space{about}, then run the same command {again}.") from error


def left_behind(clips: Sequence[Clip], options: Options) -> int:
    """Bytes of disk that a run takes by now; other files in its folder do not count."""
    pictures = (*PICTURES, *options.recipe.cues.own_weights)
    places = (WORK, *(f"{clip.name}/{name}" for clip in clips for name in pictures))
    films = (options.out / clip.name / MASK_FILM for clip in clips)
    return sum(occupied(options.out / place) for place in places) + sum(p.stat().st_size for p in films if p.is_file())


def occupied(folder: Path) -> int:
    """Bytes of disk that the files below `folder` take; 0 where there is none."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found = (Path(place) / name).lstat()
            except FileNotFoundError:  # a file written aside has just got its name
                continue
            blocks: int | None = getattr(found, "st_blocks", None)  # which Windows does not tell
            total += _whole_blocks(float(found.st_size)) if blocks is None else 512 * blocks
    return total


def size(count: int) -> str:
    """Bytes in words: 1.2 GB, 45 GB, 340 MB, 8.1 MB."""
    unit, name = next(((u, n) for u, n in ((1e12, "TB"), (1e9, "GB")) if count >= u), (1e6, "MB"))
    return f"{count / unit:.{0 if count >= 10 * unit else 1}f} {name}"


def feature_bytes(recipe: Recipe) -> int:
    """What the features of one frame take, in half precision (`learning.features`)."""
    if not recipe.losses.diffuses:
        return 2
    height, width = recipe.input.height_px, recipe.input.width_px
    if recipe.features.extractor == "texture":
        return 2 * 40 * max(1, height // 8) * max(1, width // 8)
    if recipe.features.extractor == "drawn":
        return 2 * 112 * 40 * 56
    depth = 512 if recipe.features.extractor == "vgg16" else 256
    return 2 * depth * math.ceil(height / 16) * math.ceil(width / 16)


def _checkpoint(recipe: Recipe, model: int) -> int:
    """Weights, Adam's two moments and, where there is one, the running average of the weights."""
    return (4 if recipe.training.averaging else 3) * model


def most_met(options: Options) -> int:
    """How many frames training can meet: two a pair of each step."""
    settings = options.recipe.training
    return 2 * settings.pairs_per_step * (settings.steps + (settings.label_steps if options.labels else 0))


def most_kept(options: Options) -> int:
    """Of how many frames, of all clips together, pictures are kept though training may not meet them.

    To keep them costs disk, to look for those that it does meet costs another pass over the clip.
    """
    return max(2 * most_met(options), FEW)


def _kept(clips: Sequence[Clip], options: Options, every: int) -> int:
    """Pictures at working size: of all frames, or of those that training and the look over each clip read.

    Frames that are labelled and that training does not meet are not counted.
    """
    frames, bound = sum(_frames(clip, every) for clip in clips), most_kept(options)
    if frames > bound:
        read = most_met(options) + BESIDE * len(clips)
        if "motion" in options.recipe.cues.use:
            read *= 1 + 2 * len(GAPS)  # it looks at frames before and after
        frames = min(frames, bound + read)
    return frames * _picture(options.recipe)


def _picture(recipe: Recipe) -> int:
    return 3 * recipe.input.height_px * recipe.input.width_px


def _training(clips: Sequence[Clip], options: Options, every: int) -> int:
    """Anchors and features of the frames that training can meet."""
    recipe = options.recipe
    met = min(sum(_frames(clip, every) for clip in clips), most_met(options))
    maps = 2 if recipe.network.classes == 1 else 3  # `learning.kept`
    return met * (2 * maps * recipe.input.height_px * recipe.input.width_px + feature_bytes(recipe))


def _results(clips: Sequence[Clip], options: Options, every: int) -> int:
    """Masks, probabilities, overlays, sheets and what the report shows."""
    total, beside = 0, 2 if options.overlay_style == "side-by-side" else 1
    for clip in clips:
        pixels = clip.height_px * clip.width_px
        is_film = options.masks == "video" and not clip.sizes_vary
        a_frame = int(FILM * pixels) if is_film else _whole_blocks(MASK * pixels)
        a_frame += int(beside * OVERLAY * pixels) if options.overlay else 0
        a_frame += _whole_blocks(PROBABILITY * pixels) if options.save_probability else 0
        a_frame += _whole_blocks(MASK * pixels) if options.recipe.network.classes > 1 else 0
        total += _frames(clip, every) * a_frame + SHEET + _shown(clip, every)
    return total


def _shown(clip: Clip, every: int) -> int:
    """Small pictures of the few frames that are shown, and the page that holds them again."""
    a_picture = _whole_blocks(JPEG * min(clip.height_px * clip.width_px, WIDEST_PX * WIDEST_PX))
    return 2 * min(_frames(clip, every), LOOKS + STRIP) * a_picture


def _frames(clip: Clip, every: int) -> int:
    return math.ceil((clip.frame_count or 0) / every)


def _whole_blocks(count: float) -> int:
    return math.ceil(count / BLOCK) * BLOCK


def _remedy(need_of: NeedOf, clips: Sequence[Clip], free: int) -> str:
    """Fewer frames where that helps, else another folder."""
    longest = max((clip.frame_count or 0) for clip in clips)
    thinned = next((n for n in range(2, 1001) if n < longest and need_of(n).peak <= free), None)
    elsewhere = "choose another folder with --out"
    if thinned is None:
        return f"Free {size(need_of(1).peak - free)}, or {elsewhere}."
    selection = clips[0].selection
    if selection.frames_per_second is not None:
        fewer = f"--fps {selection.frames_per_second / thinned:.3g}"
    else:
        fewer = f"--every {selection.every * thinned}"
    return f"Take fewer frames: {fewer}; or free {size(need_of(1).peak - free)}, or {elsewhere}."


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that there is."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


def _is_full(error: OutputError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
