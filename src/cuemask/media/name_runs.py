"""The names of a clip's frames in a few numbers: names that count on, as those of a day of video do, are one run."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_PARTS = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)  # what stands before the last number, that, and what behind
_LONGEST = 255


@dataclass
class _Run:
    """Names that differ in their last number only, which goes on by one step; and their frames' places in the clip."""

    before: str
    digits: str  # of the first; empty where a name holds no number
    after: str
    step: int
    count: int
    place: int

    def name(self, index: int) -> str:
        number = str(int(self.digits) + index * self.step).zfill(len(self.digits)) if self.digits else ""
        return f"{self.before}{number}{self.after}"

    def takes(self, other: _Run) -> bool:
        """Take a name that follows, if it is the next one."""
        if not (self.digits and other.digits) or other.place != self.place + self.count:
            return False
        step = self.step if self.count > 1 else int(other.digits) - int(self.digits)
        goes_on = _Run(self.before, self.digits, self.after, step, 1, 0)
        if step <= 0 or goes_on.name(self.count) != other.name(0):
            return False
        self.step, self.count = step, self.count + 1
        return True

    def index(self, name: str, number: int) -> int | None:
        """Which of its names that is, if `number` is the last number in it."""
        index, rest = divmod(number - int(self.digits), self.step) if self.digits else (0, 0)
        return index if rest == 0 and 0 <= index < self.count and self.name(index) == name else None


class NameRuns:
    """Names of frames in the order of a clip, each with its place there; memory grows with what is uneven in them."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._count = 0

    def add(self, name: str, place: int) -> None:
        """Append a name; places rise."""
        self._append(_run_of(name, place))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return (run.name(index) for run in self._runs for index in range(run.count))

    def places(self) -> Iterator[int]:
        """Places of all, in order."""
        return (run.place + index for run in self._runs for index in range(run.count))

    def place(self, number: int) -> int:
        """The place in the clip of the frame of that number among those here."""
        run = bisect_right(self._begins, number) - 1
        return self._runs[run].place + number - self._begins[run]

    def number(self, name: str) -> int | None:
        """The number of a name among those here, from 0; None where it is not here."""
        found = _PARTS.fullmatch(name)
        key, number = (found[1], found[3]) if found else (name, ""), int(found[2]) if found else 0
        firsts, runs = self._by_words.get(key, ([], []))
        near = bisect_right(firsts, number) - 1
        # Names that do not rise overlap: there all runs are looked through.
        for at in (near, *range(len(runs))) if key in self._mixed else (near,):
            if at >= 0 and (index := self._runs[runs[at]].index(name, number)) is not None:
                return self._begins[runs[at]] + index
        return None

    def as_json(self) -> list[list[Any]]:
        """The same in JSON's types."""
        return [list(vars(run).values()) for run in self._runs]

    @classmethod
    def of_json(cls, told: Any) -> NameRuns:
        """What `as_json` gave.

        Raises
        ------
        ValueError
            If it is none of that.
        """
        names = cls()
        try:
            for before, digits, after, step, count, place in told:
                is_text = all(isinstance(text, str) and len(text) <= _LONGEST for text in (before, digits, after))
                is_number = is_text and (digits == "" or (digits.isascii() and digits.isdecimal()))
                if not (is_number and step > 0 and count > 0 and place >= 0 and (digits or count == 1)):
                    raise ValueError("no names of frames")
                names._append(_Run(before, digits, after, int(step), int(count), int(place)))
        except TypeError as error:
            raise ValueError("no names of frames") from error
        return names

    def _append(self, run: _Run) -> None:
        if not (run.count == 1 and self._runs and self._runs[-1].takes(run)):
            self._runs.append(run)
        self._count += run.count

    @cached_property
    def _begins(self) -> list[int]:
        """The number of each run's first name."""
        begins, count = list[int](), 0
        for run in self._runs:
            begins.append(count)
            count += run.count
        return begins

    @cached_property
    def _by_words(self) -> dict[tuple[str, str], tuple[list[int], list[int]]]:
        """By what stands around the number: the first numbers of runs, rising, and which runs these are."""
        found: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for at, run in enumerate(self._runs):
            found.setdefault((run.before, run.after), []).append((int(run.digits or 0), at))
        return {key: ([n for n, _ in sorted(own)], [at for _, at in sorted(own)]) for key, own in found.items()}

    @cached_property
    def _mixed(self) -> set[tuple[str, str]]:
        """Words around numbers whose runs overlap, or whose numbers are written in several lengths."""
        mixed = set[tuple[str, str]]()
        for key, (firsts, runs) in self._by_words.items():
            for first, at, after in zip(firsts, runs, firsts[1:], strict=False):
                if first + self._runs[at].step * (self._runs[at].count - 1) >= after:
                    mixed.add(key)
        return mixed


def _run_of(name: str, place: int) -> _Run:
    found = _PARTS.fullmatch(name)
    return _Run(found[1], found[2], found[3], 1, 1, place) if found else _Run(name, "", "", 1, 1, place)
