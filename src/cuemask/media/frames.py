"""One frame of a clip, and which frames of a source are taken."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from cuemask.errors import InputError

Source = TypeVar("Source")

# Containers that count in milliseconds round each time stamp by up to this much.
TIME_TOLERANCE_SECONDS = Fraction(1, 2000)


@dataclass(frozen=True)
class Frame:
    """One frame, named after its source.

    Attributes
    ----------
    name
        The picture's stem, or six digits of the frame's number in the video.
    index
        Number in the source, from 0.
    time_seconds
        Time after the source's first frame; None for pictures, which carry no time.
    rgb
        The picture, 0 to 255.
    place
        Its place in the selection, from 0; those that are lost count.
    """

    name: str
    index: int
    time_seconds: float | None
    rgb: UInt8[np.ndarray, "H W 3"]
    place: int = 0


def frame_name(number: int) -> str:
    """What frame `number` of a video is called."""
    return f"{number:06d}"


@dataclass(frozen=True)
class Selection:
    """Which frames of a source are taken; by default all.

    Attributes
    ----------
    every
        Take the frames whose number in the source divides by `every`: 0, `every`, 2 `every` ...
        The numbers stay the same whatever `start_seconds` is.
    frames_per_second
        Take the first frame of each 1/`frames_per_second` seconds; all where the source is slower.
        Excludes `every`.
    start_seconds, end_seconds
        Take the frames at `start_seconds` <= time < `end_seconds`, counted from the first frame.
        Pictures carry no time and count as `pictures.PICTURES_PER_SECOND` a second.

    Raises
    ------
    InputError
        If a value is out of range, or `every` and `frames_per_second` are both given.
    """

    every: int = 1
    frames_per_second: float | None = None
    start_seconds: float = 0.0
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"--every {self.every}: less than 1.", "Give --every 1 or more.")
        rate = self.frames_per_second
        if rate is not None and not (math.isfinite(rate) and rate >= 0.001):
            raise InputError(f"--fps {rate:g}: not a usable rate.", "Give --fps 0.001 or more.")
        if rate is not None and self.every != 1:
            raise InputError(
                f"--every {self.every} and --fps {rate:g} exclude each other.", "Give only one of the two."
            )
        if not (math.isfinite(self.start_seconds) and self.start_seconds >= 0):
            raise InputError(f"--start {self.start_seconds:g}: not a time.", "Give --start 0 or more.")
        if self.end_seconds is not None and not self.end_seconds > self.start_seconds:
            raise InputError(
                f"--end {self.end_seconds:g} is not after --start {self.start_seconds:g}.",
                "Give an --end, in seconds, that is greater than --start.",
            )

    @property
    def start(self) -> Fraction:
        """The earliest time that is taken, in seconds, with room for rounded time stamps."""
        return Fraction(self.start_seconds) - TIME_TOLERANCE_SECONDS

    def rate(self, source_rate: Fraction) -> Fraction:
        """Frames per second of what is taken from a source of `source_rate` frames per second."""
        if self.frames_per_second is None:
            return source_rate / self.every
        # 29.97 stays 2997/100 and 29.97002997 becomes 30000/1001.
        return min(source_rate, Fraction(self.frames_per_second).limit_denominator(1001))

    def leaves_out(self, source_rate: Fraction) -> bool:
        """Whether it leaves frames out between those that it takes."""
        return self.rate(source_rate) < source_rate

    def take(
        self, frames: Iterable[tuple[int, Fraction, Source]], source_rate: Fraction
    ) -> Iterator[tuple[int, Fraction, Source]]:
        """Pass on the selected of `frames`: (number, time in seconds, anything), in the order of time."""
        chooser = Chooser(self, source_rate)
        for index, time, frame in frames:
            if chooser.is_over(time):
                return
            if chooser.takes(index, time):
                yield index, time, frame

    def estimate(self, frames: int, source_rate: Fraction) -> int:
        """About how many of `frames` frames are taken."""
        seconds = frames / source_rate
        end = seconds if self.end_seconds is None else min(seconds, Fraction(self.end_seconds))
        return max(0, math.ceil((end - Fraction(self.start_seconds)) * self.rate(source_rate)))


class Chooser:
    """Tells of the frames of one source, asked in their order, which a selection takes.

    Parameters
    ----------
    step, most
        Of the first `most` of these, None for all, every `step`th.
    """

    def __init__(self, selection: Selection, source_rate: Fraction, step: int = 1, most: int | None = None) -> None:
        self._selection, self._rate = selection, selection.rate(source_rate)
        self._step, self._most, self._count = step, most, 0
        # Half a source frame later, rounded time stamps can no longer fall into the interval before.
        self._half_frame = 1 / (2 * source_rate)
        self._interval_before: int | None = None

    def is_over(self, time: Fraction) -> bool:
        """Whether a frame of that time, in seconds, and all behind it are not taken."""
        if self._count == self._most:
            return True
        end = self._selection.end_seconds
        return end is not None and time >= end - TIME_TOLERANCE_SECONDS

    def takes(self, index: int, time: Fraction) -> bool:
        """Whether frame `index` of the source is taken; a frame that is asked of may keep those behind it out."""
        if not self._selects(index, time):
            return False
        self._count += 1
        return (self._count - 1) % self._step == 0

    def _selects(self, index: int, time: Fraction) -> bool:
        if time < self._selection.start or index % self._selection.every != 0:
            return False
        if self._selection.frames_per_second is None:
            return True
        interval = math.floor((time + self._half_frame) * self._rate)
        is_next, self._interval_before = interval != self._interval_before, interval
        return is_next
