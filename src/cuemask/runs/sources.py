"""What a run read, opened again: where it was then, or where the caller says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cuemask.errors import InputError
from cuemask.media.clips import Clip, ClipFiles, open_clips
from cuemask.media.frames import Selection
from cuemask.media.stores import place_of


def sources_of(
    run: Path, entries: Sequence[Mapping[str, Any]], inputs: Sequence[str | Path], command: str
) -> list[str]:
    """What the run read, each once.

    Parameters
    ----------
    run
        Its folder.
    entries
        The `inputs` of its record.
    inputs
        What it read, in its order, where that has been moved since; else empty.
    command
        The word after `cuemask` that asks, for the remedy.

    Raises
    ------
    InputError
        If a source is not where it was.
    """
    if inputs:
        return [str(given) for given in inputs]
    sources = list(dict.fromkeys(str(entry.get("source", "")) for entry in entries))
    own_names = {str(entry["clip"]) for entry in entries}
    if all(source in own_names and not place_of(source).exists() for source in sources):
        takes_set = command in ("group", "classes")
        raise InputError(
            f"{run}: its frames were a data set's; where that lies the run does not tell.",
            f"Say it: cuemask {command} {run} {'--dataset NAME --data ROOT' if takes_set else 'INPUT...'}",
        )
    for source in sources:
        if not place_of(source).exists() and not any(letter in source for letter in "*?["):
            raise InputError(
                f"{run}: its frames were read from {source}, which is not there (seen from {Path.cwd()}).",
                f"Go to the folder where the run was made, or say where they are: cuemask {command} {run} INPUT...",
            )
    return sources


def clips_of(
    run: Path, entries: Sequence[Mapping[str, Any]], sources: Sequence[str | Path | ClipFiles], command: str
) -> list[Clip]:
    """The clips of the run, one for each of `entries`: by their names, or in their order where all were given anew.

    Raises
    ------
    InputError
        If they cannot be read, are not as many, or have another size than they had.
    """
    clips = open_clips(sources, Selection(**entries[0]["selection"]))
    by_name = {clip.name: clip for clip in clips}
    names = [str(entry["clip"]) for entry in entries]
    if all(name in by_name for name in names):
        clips = [by_name[name] for name in names]
    if len(clips) != len(names):
        raise InputError(
            f"{run}: has the clips {', '.join(names)}; {', '.join(by_name)} were found.",
            f"Say where its frames are, in this order: cuemask {command} {run} INPUT...",
        )
    for clip, entry in zip(clips, entries, strict=True):
        size = int(entry["width_px"]), int(entry["height_px"])
        if (clip.width_px, clip.height_px) != size:
            raise InputError(
                f"{clip.source}: {clip.width_px}x{clip.height_px} pixels; what was segmented had {size[0]}x{size[1]}.",
                f"Say where that is: cuemask {command} {run} INPUT...",
            )
    return clips
