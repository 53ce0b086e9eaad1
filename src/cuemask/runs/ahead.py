"""What learning needs of each clip, made ahead by other processes: picture area, cues, pictures, the look over it.

First the cues of every clip (`keep_cues`); then it is known how many frames there are, and so which ones training will
meet (`frames_read`); then the pictures of these (`keep_read`). What `train` makes of that is what it makes alone.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from cuemask.cues.anchors import Usual
from cuemask.cues.clip import KeptClip, frames_read_for, keep_clip, keep_pictures, kept_before
from cuemask.cues.fusion import Clipwide
from cuemask.errors import InputError
from cuemask.learning.pairs import frames_met, schedule
from cuemask.media.area import PictureArea
from cuemask.media.arrays import load_arrays
from cuemask.media.clips import Clip, open_clips
from cuemask.media.files import output_errors, write_bytes
from cuemask.media.seals import is_sealed, seal
from cuemask.recipe import Recipe
from cuemask.runs.cueing import sheet_indices
from cuemask.runs.options import Options, area_of

SEAL = "ahead.seal"
_AREA, _TOLD, _LOOK = "area.npz", "ahead.json", "look.json"
_CUES = ("location.npy", "names.json", "outside.json", "cues.seal")
_PICTURES = ("rgb.npy", "frames.npy", "pictures.seal")


def keep_cues(source: str, options: Options, folder: Path) -> None:
    """Keep in `folder` where the endoscope's picture is in a clip, and its cues, without pictures.

    Raises
    ------
    CuemaskError
        If the clip cannot be read or `folder` cannot be written.
    """
    clip = _opened(source, options)
    area = area_of(clip, options)
    keep_clip(clip, area, options.recipe, folder, options.seed, clip.frames(), most=0)
    held = io.BytesIO()
    masks = {f"outline{number}": outline for number, outline in enumerate(area.outlines)}
    if area.inside is not None:
        masks["inside"] = area.inside
    np.savez_compressed(held, allow_pickle=False, **masks)
    write_bytes(folder / _AREA, held.getvalue())
    told = {
        "rectangle": [area.top, area.left, area.height_px, area.width_px],
        "whole": area.whole,
        "text": area.text,
        "lost": sorted(clip.lost),
        "damaged": sorted(clip.damaged),
    }
    write_bytes(folder / _TOLD, json.dumps(told).encode())
    seal(folder, SEAL, (_AREA, _TOLD))


def frames_read(kept: Sequence[Path], recipe: Recipe, seed: int) -> list[list[int]]:
    """The frames of each clip whose pictures are read in learning, ascending, by what `keep_cues` left of all clips."""
    counts = [len(json.loads((folder / "names.json").read_bytes())) for folder in kept]
    order = schedule(counts, recipe.training, seed)
    met = frames_met(order, len(counts), order.all_steps)
    return [
        frames_read_for({*frames.tolist(), *sheet_indices(count)}, count, recipe)
        for frames, count in zip(met, counts, strict=True)
    ]


def keep_read(source: str, options: Options, cues: Path, wanted: Collection[int], folder: Path) -> None:
    """Keep in `folder` what `keep_cues` left in `cues`, the pictures of frames `wanted`, and the look over the clip.

    Raises
    ------
    CuemaskError
        If the clip cannot be read, is another one than it was, or `folder` cannot be written.
    """
    clip = _opened(source, options)
    area = take_area(cues, clip)
    _put(cues, folder, (*_CUES, _AREA, _TOLD))
    kept = kept_before(folder, clip, area, options.recipe, options.seed, 0)
    if kept is None:
        raise _damaged(cues)
    kept = keep_pictures(kept, options.recipe, folder, clip.frames(), wanted)
    write_bytes(folder / _LOOK, json.dumps(kept.clipwide(options.recipe)).encode())
    seal(folder, SEAL, (_AREA, _TOLD, _LOOK))


def is_kept(folder: Path) -> bool:
    """Whether `keep_cues` or `keep_read` came to its end in `folder`."""
    return (folder / SEAL).is_file()


def take_area(kept: Path, clip: Clip) -> PictureArea:
    """The picture area that was found in `clip`, which is told of its frames that could not be decoded.

    Raises
    ------
    InputError
        If what was kept has changed since.
    """
    looks = (_LOOK,) if (kept / _LOOK).exists() else ()
    if not is_sealed(kept, SEAL, (_AREA, _TOLD, *looks)):
        raise _damaged(kept)
    told = json.loads((kept / _TOLD).read_bytes())
    clip.lost.update(told["lost"])
    clip.damaged.update(told["damaged"])
    held = load_arrays(kept / _AREA)
    inside = held.get("inside")
    outlines = tuple(held[f"outline{number}"] for number in range(len(held) - (inside is not None)))
    text = tuple((top, left, height, width) for top, left, height, width in told["text"])
    top, left, height, width = told["rectangle"]
    return PictureArea(top, left, height, width, inside, told["whole"], text, outlines)


def take_cues(kept: Path, folder: Path) -> None:
    """Put the clip's cues and pictures into the work folder of a run, unless that has cues."""
    if not (folder / "cues.seal").exists():
        _put(kept, folder, (*_PICTURES, *_CUES))


def take_look(kept: Path, clip: KeptClip, recipe: Recipe) -> None:
    """Tell the clip what the look over it has found."""
    usual, evidence, say = json.loads((kept / _LOOK).read_bytes())
    clip.know(recipe, Clipwide(None if usual is None else Usual(*usual), evidence, say))


def _opened(source: str, options: Options) -> Clip:
    (clip,) = open_clips([source], options.selection)
    return clip


def _damaged(kept: Path) -> InputError:
    return InputError(f"{kept}: damaged.", f"Remove it, then run the same command again: rm -r {kept}")


def _put(source: Path, folder: Path, names: Sequence[str]) -> None:
    """The same files in another folder, the last one last: by links where the disk has them."""
    with output_errors(folder):
        for name in names:
            with suppress(FileNotFoundError):
                (folder / name).unlink()
            try:
                os.link(source / name, folder / name)
            except OSError:
                shutil.copyfile(source / name, folder / name)
