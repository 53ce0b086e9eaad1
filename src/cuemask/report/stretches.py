"""A stream of unknown length as few equal stretches, and frames of it that lie apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Stretches(Generic[T]):
    """Equal stretches of a stream, never more than `most`: when there would be, each two neighbours become one.

    Parameters
    ----------
    most
        An even number.
    merged
        What two neighbours, earlier and later, are together.
    """

    def __init__(self, most: int, merged: Callable[[T, T], T]) -> None:
        if most < 2 or most % 2:
            raise ValueError(f"{most} is not an even number of stretches")
        self.items: list[T] = []
        self.most = most
        self._merged = merged
        self._length, self._filled = 1, 0  # items of the stream in a whole stretch, and in the last one

    def add(self, item: T) -> None:
        """Take in the stream's next item."""
        if not self.items or self._filled == self._length:
            self.items.append(item)
            self._filled = 1
        else:
            self.items[-1] = self._merged(self.items[-1], item)
            self._filled += 1
        if len(self.items) > self.most:
            pairs = zip(self.items[: self.most : 2], self.items[1 : self.most : 2], strict=True)
            self.items = [*(self._merged(one, other) for one, other in pairs), self.items[-1]]
            self._length *= 2


def apart(numbers: Sequence[int], values: Sequence[float], count: int, total: int) -> list[int]:
    """Which places have the lowest values, the lowest first, chosen so that they lie apart in time.

    Neighbours show the same; two chosen ones are at least half an even share of the stream from each other, and never
    neighbours unless the whole stream is shorter than twice `count`.

    Parameters
    ----------
    numbers, values
        Candidates: their numbers in the stream, and their values.
    count
        At most so many are chosen.
    total
        Length of the stream.

    Returns
    -------
    Indices into `numbers`.
    """
    gap = max(2 if total >= 2 * count else 1, (total // count + 1) // 2)
    chosen: list[int] = []
    for index in sorted(range(len(numbers)), key=lambda k: (values[k], numbers[k])):
        if len(chosen) < count and all(abs(numbers[index] - numbers[other]) >= gap for other in chosen):
            chosen.append(index)
    return chosen


def evenly(count: int, of: int) -> list[int]:
    """At most `count` indices below `of`, spread evenly from the first to the last."""
    if of <= count:
        return list(range(of))
    return [round(k * (of - 1) / (count - 1)) for k in range(count)] if count > 1 else [0][:count]
