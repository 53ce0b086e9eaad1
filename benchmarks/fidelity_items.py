"""What a line of the fidelity table is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One thing that the paper or the published code says.

    Attributes
    ----------
    what
        It, in a few words.
    theirs, ours
        How it is there, and here.
    difference
        Computes the largest difference, 0 or more; None where what that needs is not at hand.
    test
        `file::name` below `tests/`, which holds it.
    tolerance
        Up to which difference both are equal.
    unit
        Of the difference.
    explained
        Words of docs/deviations.md, where the two differ on purpose.
    """

    what: str
    theirs: str
    ours: str
    difference: Callable[[], float | None]
    test: str
    tolerance: float = 0.0
    unit: str = ""
    explained: str = ""
