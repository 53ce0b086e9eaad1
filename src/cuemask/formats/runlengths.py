"""Masks as lengths of runs, beginning with those of zeros; and the text in which COCO packs them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

_BITS, _MORE, _SIGN, _FIRST = 5, 32, 16, 48  # of a letter of COCO's: bits of value, two flags, the first letter's code
_MOST_LETTERS = 8  # of one number: 40 bits


def runs_of(flat: Bool[np.ndarray, " n"]) -> Int64[np.ndarray, " k"]:
    """Lengths of runs of false, true, false ...; the first is 0 where `flat` begins with true."""
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], ends, [len(flat)]])).astype(np.int64)
    return np.concatenate([np.zeros(1, np.int64), runs]) if len(flat) and flat[0] else runs


def flat_of(runs: Int64[np.ndarray, " k"], size: int) -> Bool[np.ndarray, " n"]:
    """What `runs_of` was given, of `size` pixels.

    Raises
    ------
    ValueError
        If the runs do not add up to `size`.
    """
    if (runs < 0).any() or (runs > size).any() or runs.sum() != size:
        raise ValueError(f"its runs do not add up to the {size:,} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def packed(runs: Int64[np.ndarray, " k"]) -> str:
    """The text of COCO's compressed RLE: from the fourth on each number less the last but one, 5 bits a letter."""
    rest = runs.copy()
    rest[3:] -= runs[1:-2]
    letters = np.zeros((len(runs), _MOST_LETTERS), np.uint8)
    used = np.zeros_like(letters, bool)
    goes_on = np.ones(len(runs), bool)
    for place in range(_MOST_LETTERS):
        bits = rest & 31
        rest >>= _BITS
        more = np.where(bits & _SIGN, rest != -1, rest != 0)
        letters[:, place] = bits + _MORE * more + _FIRST
        used[:, place] = goes_on
        goes_on = goes_on & more
        if not goes_on.any():
            break
    return letters[used].tobytes().decode("ascii")


def unpacked(text: str) -> Int64[np.ndarray, " k"]:
    """What `packed` was given.

    Raises
    ------
    ValueError
        If that is no such text.
    """
    letters = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - _FIRST
    is_last = letters & _MORE == 0
    if not len(letters) or (letters < 0).any() or (letters > 63).any() or not is_last[-1]:
        raise ValueError("its counts are no packed run lengths")
    starts = np.concatenate([[0], np.flatnonzero(is_last)[:-1] + 1])
    lengths = np.diff(np.concatenate([starts, [len(letters)]]))
    if lengths.max() > _MOST_LETTERS:
        raise ValueError("its counts are no packed run lengths")
    places = np.arange(len(letters)) - np.repeat(starts, lengths)
    values = np.add.reduceat((letters & 31) << (_BITS * places), starts)
    is_negative = letters[starts + lengths - 1] & _SIGN != 0
    values -= np.where(is_negative, np.int64(1) << (_BITS * lengths), 0)
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values
