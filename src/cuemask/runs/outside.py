"""Frames filmed outside the body, and text over the picture, as a run finds and tells them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from jaxtyping import UInt8

from cuemask.cues.clip import KeptClip, outside_of_clip, working_inside, working_inside_of
from cuemask.cues.outside import Stretch, Stretches
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip
from cuemask.media.frames import Frame
from cuemask.report.words import clock, counted
from cuemask.runs.options import Options
from cuemask.runs.shown import OUTSIDE

_NAMED = 3  # stretches in the line


class Finder:
    """Tells, as the frames of a clip stream by, which of them were filmed outside the body.

    Parameters
    ----------
    kept
        The clip's cues where they were computed, with what was found then; None to look anew.

    Raises
    ------
    VideoError, PictureError
        If a frame of the clip cannot be read.
    """

    def __init__(self, clip: Clip, area: PictureArea, options: Options, kept: KeptClip | None) -> None:
        self._kept = None if kept is None else kept.outside
        self._judge = outside_of_clip(clip, area, options.recipe) if kept is None else None
        self._area, self._inside = area, working_inside(area, options.recipe)
        self._pending = set[str]()
        self._found = Stretches()

    def finds(self, frame: Frame, picture: UInt8[np.ndarray, "h w 3"]) -> bool:
        """Whether `frame`, at working size `picture`, is outside; from any thread, in any order."""
        if self._judge is not None:
            is_outside = self._judge.holds(picture, working_inside_of(picture, self._area, self._inside))
        else:
            is_outside = any(s.first_number <= frame.index <= s.last_number for s in self._kept or ())
        if is_outside:
            self._pending.add(frame.name)
        return is_outside

    def has_found(self, frame: Frame) -> bool:
        """Whether a frame that has been looked at is outside, as long as it has not been passed."""
        return frame.name in self._pending

    def passed(self, frame: Frame) -> bool:
        """The same of the clip's next frame, which is then done with."""
        is_outside = frame.name in self._pending
        self._pending.discard(frame.name)
        self._found.add(frame, is_outside=is_outside)
        return is_outside

    @property
    def stretches(self) -> list[Stretch]:
        """What has been passed and is outside."""
        return self._found.items


def sought(options: Options) -> Options:
    """The options, with a recipe that finds what is to be blanked."""
    found = {"outside": options.blank_outside, "text": options.blank_text}
    wanted = replace(options.recipe.input, **{name: "found" for name, is_wanted in found.items() if is_wanted})
    return replace(options, recipe=replace(options.recipe, input=wanted))


def told_of_outside(clip: str, stretches: Sequence[Stretch]) -> str:
    """A line on what was found."""
    frames = sum(stretch.frames for stretch in stretches)
    named = ", ".join(_stretch_words(stretch) for stretch in stretches[:_NAMED])
    more = f" and {len(stretches) - _NAMED} more" if len(stretches) > _NAMED else ""
    verb = "looks" if frames == 1 else "look"
    return (
        f"{clip}: {counted(frames, 'frame')} {verb} filmed {OUTSIDE}, left out of learning and masked empty: "
        f"{named}{more}; all are listed in run.json"
    )


def told_of_text(clip: str, area: PictureArea) -> str:
    """A line on the text that was found over a clip's picture."""
    boxes = ", ".join(str(list(box)) for box in area.text[:_NAMED])
    return (
        f"{clip}: {counted(len(area.text), 'line')} of text found over the picture, taken as no part of it (top, left, "
        f"height, width: {boxes}); all are listed in run.json"
    )


def told_of_outlines(clip: str, area: PictureArea) -> str:
    """A line on an endoscope's picture that changes within the clip."""
    return (
        f"{clip}: the endoscope's picture changes within the clip: {counted(len(area.outlines), 'smaller one')} "
        "besides the whole; each frame counts within its own"
    )


def outside_rows(recorded: object) -> list[list[str]]:
    """Rows of a table, clip, frames, number and times, of what `run.json` says."""
    rows: list[list[str]] = []
    for clip, stretches in cast("dict[str, Any]", recorded).items() if isinstance(recorded, dict) else ():
        for stretch in _read(stretches):
            words = "" if stretch.first_seconds is None else _times(stretch)
            rows.append([str(clip), _names(stretch), f"{stretch.frames:,}", words])
    return rows


def _read(values: object) -> list[Stretch]:
    try:
        return [Stretch(**value) for value in cast("list[dict[str, Any]]", values)]
    except TypeError:  # no such list
        return []


def _stretch_words(stretch: Stretch) -> str:
    return _names(stretch) + ("" if stretch.first_seconds is None else f" ({_times(stretch)})")


def _names(stretch: Stretch) -> str:
    return stretch.first if stretch.frames == 1 else f"{stretch.first} to {stretch.last}"


def _times(stretch: Stretch) -> str:
    assert stretch.first_seconds is not None
    assert stretch.last_seconds is not None
    if stretch.frames == 1:
        return clock(stretch.first_seconds)
    return f"{clock(stretch.first_seconds)} to {clock(stretch.last_seconds)}"
