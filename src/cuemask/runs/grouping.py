"""`cuemask group`: which pixels of a run's masks belong to which instrument, through each clip, and their parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cuemask.errors import InputError
from cuemask.media.clips import ClipFiles
from cuemask.media.mask_folders import masks_of
from cuemask.recipe import recipe_from_mapping
from cuemask.runs.formats import complete_clips
from cuemask.runs.instruments import INSTANCES, PARTS, TABLE
from cuemask.runs.instruments_of_clip import GroupOptions, group_clip, outside_of
from cuemask.runs.options import Options, area_of
from cuemask.runs.record import run_of, take_stock_again
from cuemask.runs.reporting import REPORT, write_report
from cuemask.runs.sources import clips_of, sources_of
from cuemask.runs.work import run_folder

__all__ = ["GroupOptions", "group"]


def group(run: Path, inputs: Sequence[str | Path | ClipFiles] = (), options: GroupOptions | None = None) -> list[str]:
    """Tell the instruments in a run's masks apart, and give each its number through the clip.

    Writes for each clip `instances/<frame>.png` (16 bits, 0 background), `tracks.csv`, last of all, and on demand
    `parts/<frame>.png`; draws `overlay.mp4` and the report anew.

    Parameters
    ----------
    run
        The folder of a complete `segment` or `predict` run, or of one of its clips.
    inputs
        What the run read, in its order, where that has been moved since: colour and motion are taken from there.

    Returns
    -------
    Closing lines: for each clip how many instruments and frames.

    Raises
    ------
    InputError
        If `run` is no complete run with masks, a mask is gone, or what it read is not where it was.
    OutputError
        If another process works in the run, or it cannot be written.
    """
    options = GroupOptions() if options is None else options
    record, entries = complete_clips(run)
    folder = run_of(run)
    for entry in entries:
        if not masks_of(folder / str(entry["clip"])):
            raise InputError(
                f"{folder / str(entry['clip'])}: holds no masks of instruments to be told apart.",
                "Make some: cuemask predict RUN INPUT --out DIR, or cuemask segment INPUT --out DIR",
            )
    clips = clips_of(folder, entries, inputs or sources_of(folder, entries, (), "group"), "group")
    recipe = recipe_from_mapping(record["recipe"])
    crop = record.get("crop")
    told = Options(out=folder, recipe=recipe, crop=tuple(crop) if crop else None, stereo=record.get("stereo"))
    options = _with_blanks(options, record)
    lines: list[str] = []
    with run_folder(folder):
        for clip, entry in zip(clips, entries, strict=True):
            named = replace(clip, name=str(entry["clip"]))
            lines.append(group_clip(folder, named, area_of(clip, told), options, outside_of(record, named.name)))
        take_stock_again(folder, partial(_is_ours, {str(entry["clip"]) for entry in entries}))
        if (folder / REPORT).is_file():
            write_report(folder, blanks_outside=options.blank_outside)
    return lines


def _is_ours(clips: Collection[str], path: str) -> bool:
    """Whether grouping writes that file of a run."""
    clip, _, below = path.partition("/")
    return clip in clips and (below in (TABLE, "overlay.mp4") or below.partition("/")[0] in (INSTANCES, PARTS))


def _with_blanks(options: GroupOptions, record: Mapping[str, Any]) -> GroupOptions:
    """What the run blanked stays blanked: its overlay is replaced."""
    blanks = record.get("blanks") or []
    return replace(
        options,
        blank_outside=options.blank_outside or "outside" in blanks,
        blank_text=options.blank_text or "text" in blanks,
    )
