"""`--cue NAME=FOLDER`: cues that people bring, as maps of every frame or as a function."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from cuemask.cues.clip import resized, working_picture
from cuemask.cues.own import (
    FolderMaps,
    FunctionMaps,
    MapOf,
    OwnCue,
    files_of_maps,
    look_at_map,
    told_of_function,
)
from cuemask.errors import InputError
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip
from cuemask.media.lookup import sizes_of
from cuemask.media.names import refuse_clip_name
from cuemask.recipe import Recipe
from cuemask.runs.options import Options

_SHOWN = 5  # names in an error


@dataclass(frozen=True)
class OwnMaps:
    """What gives the maps of cues of one's own: for each clip, by the cues' names; and what a record says of them."""

    of_clips: Sequence[Mapping[str, MapOf]]
    told: dict[str, Any]


def cue_of(text: str) -> OwnCue:
    """The cue that `NAME=FOLDER` or `NAME=FOLDER:WEIGHT` names; what follows the last colon is a weight if a number.

    Raises
    ------
    InputError
        If it names none.
    """
    name, equals, place = text.partition("=")
    folder, colon, number = place.rpartition(":")
    weight = _number(number) if colon else None
    if weight is None:
        folder = place
    if not equals or not folder:
        raise InputError(f"--cue {text}: not NAME=FOLDER.", "Try: --cue sam=maps/sam, or with a weight maps/sam:0.5")
    return OwnCue(name, Path(folder), weight)


def with_cues(options: Options) -> Options:
    """Options whose recipe has the cues that are given, with their weights.

    Raises
    ------
    RecipeError
        If a name is none or is taken, or a weight is none.
    InputError
        If the recipe uses cues of one's own that are not given, or takes no cues at all.
    """
    if not options.cues and not options.recipe.cues.own:
        return options
    names = [cue.name for cue in options.cues]
    for name in names:
        refuse_clip_name(name, f"the cue {name!r}")
    if repeated := {name for name in names if names.count(name) > 1}:
        raise InputError(f"the cue {min(repeated)!r}: given twice.", "Give each cue a name of its own.")
    weights = dict(options.recipe.cues.own_weights)
    if lacking := [name for name in weights if name not in names]:
        raise InputError(
            f"the recipe uses the cue {lacking[0]!r}, and nothing gives its maps.", f"Add --cue {lacking[0]}=FOLDER"
        )
    if options.recipe.anchors.source == "given":
        raise InputError(
            f"the cue {names[0]!r} would have no say: the recipe takes the anchors that come with the data.",
            "Leave --cue out, or set anchors.source=cues",
        )
    weights |= {cue.name: weights.get(cue.name, 1.0) if cue.weight is None else cue.weight for cue in options.cues}
    own = tuple(name if weight == 1 else f"{name}:{weight!r}" for name, weight in weights.items())
    return replace(options, recipe=replace(options.recipe, cues=replace(options.recipe.cues, own=own)))


def own_maps(clips: Sequence[Clip], areas: Sequence[PictureArea], options: Options) -> OwnMaps:
    """Look at what is given for each clip before any cue is computed; a video is decoded to know its frames.

    Raises
    ------
    InputError
        If a frame has no map, a map cannot be read, has another size than its frame or values outside [0, 1].
    """
    names = [_frames_of(clip, options) if _folders(options) else [] for clip in clips]
    of_clips: list[dict[str, MapOf]] = [{} for _ in clips]
    told: list[dict[str, str]] = []
    for cue in options.cues:
        if isinstance(cue.source, Path):
            found = [_files(cue.name, cue.source, clip, len(clips) == 1) for clip in clips]
            parts = zip(clips, areas, names, found, of_clips, strict=True)
            digest = hashlib.sha256()
            for clip, area, frames, files, maps in parts:
                _look_at_all(cue, clip, frames, files, options, digest)
                maps[cue.name] = FolderMaps(cue.name, files, _Fitted(area, options.recipe))
            told.append({"name": cue.name, "folder": str(cue.source), "sha256": digest.hexdigest()})
        else:
            function = FunctionMaps(cue.name, cue.source)
            for clip, area, maps in zip(clips, areas, of_clips, strict=True):
                with closing(clip.frames()) as stream:
                    first = next(stream)
                function(first.name, working_picture(first.rgb, area, options.recipe))  # refuses what is no map
                maps[cue.name] = function
            told.append({"name": cue.name, **told_of_function(cue.source)})
    return OwnMaps(of_clips, {"cues": told} if told else {})


@dataclass(frozen=True)
class _Fitted:
    """Cuts a map out of its frame and resizes it, as `working_picture` does the picture."""

    area: PictureArea
    recipe: Recipe

    def __call__(self, values: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "h w"]:
        size = self.recipe.input
        return resized(self.area.of(*values.shape).crop(values), size.width_px, size.height_px)


def _folders(options: Options) -> bool:
    return any(isinstance(cue.source, Path) for cue in options.cues)


def _frames_of(clip: Clip, options: Options) -> list[str]:
    """The names of a clip's frames."""
    if (known := clip.names()) is not None:
        return known
    with closing(clip.frames()) as frames:
        return [frame.name for frame in options.progress(f"{clip.name}: frames", frames, clip.frame_count)]


def _files(name: str, folder: Path, clip: Clip, is_only: bool) -> dict[str, Path]:
    """The maps of a clip: `folder/CLIP/FRAME`, or of the only clip also `folder/FRAME`."""
    if not os.path.isdir(folder):  # noqa: PTH112 (which also takes what can be no path)
        raise InputError(f"--cue {name}={folder}: no folder.", "Give a folder of maps, each called after its frame.")
    place = folder / clip.name
    if not place.is_dir():
        if not is_only:
            raise InputError(
                f"--cue {name}={folder}: no folder {clip.name} in it.", "Give each clip's maps a folder of its name."
            )
        place = folder
    return files_of_maps(place)


def _look_at_all(
    cue: OwnCue, clip: Clip, frames: Sequence[str], files: Mapping[str, Path], options: Options, digest: Any
) -> None:
    """Refuse what lacks a map or has one that does not fit; what there is, is added to `digest`."""
    of = f"--cue {cue.name}={cue.source}"
    if missing := [frame for frame in frames if frame not in files]:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise InputError(
            f"{of}: of {clip.name}, no map of {', '.join(missing[:_SHOWN])}{more}.",
            "Call maps after their frames, PNG or .npy"
            + (" (of a video by six digits, 000012.png)" if clip.kind == "video" else "")
            + ", and give one of each frame that is taken.",
        )
    sizes = sizes_of(clip, frames)
    for frame in options.progress(f"{clip.name}: {cue.name}", frames, len(frames)):
        (height, width), content = look_at_map(cue.name, files[frame])
        if (height, width) != sizes[frame]:
            raise InputError(
                f"{of}: the map of {clip.name}, {frame}, is {width}x{height} pixels, its frame "
                f"{sizes[frame][1]}x{sizes[frame][0]}.",
                "Give maps of the frames' own size.",
            )
        digest.update(f"{clip.name}/{frame}\0".encode() + content)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
