"""Masks as PNG, made from their runs: a mask is few long runs of one byte, which no compressor needs to look for.

One deflate block (RFC 1951) with a code of its own: a run is its byte once, then copies of the byte before it, 258 at a
time for two bits. A mask of 1920 x 1080 takes 1 ms, a third of what zlib takes to find the same.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

_LONGEST, _SHORTEST = 258, 3  # bytes that one copy can make
_END, _FIRST_LENGTH = 256, 257  # symbols: the end of the block, copies of three bytes
# Bits of each symbol: those that a mask is made of have few. All 1 / 2 ** bits sum to one.
_BITS = {0: 3, 255: 3, 285: 1, **{symbol: 6 if symbol < 259 else 7 for symbol in range(_END, 285)}}
# How the bits themselves are told: (symbol: bits) of the code for them; 18 repeats 0.
_BITS_OF_BITS = {7: 1, 6: 2, 3: 3, 1: 4, 18: 4}
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_MOST_RUNS = 1 / 64  # of the pixels; beyond, a compressor is faster
_MODULUS = 65521


def png_of_runs(mask: Bool[np.ndarray, "H W"]) -> bytes | None:
    """`mask` as a PNG of one channel of 8 bits, 255 where true and 0 elsewhere; None of one that is no few runs."""
    height, width = mask.shape
    rows = np.zeros((height, width + 1), np.bool_)  # each row begins with its filter: 0, none
    rows[:, 1:] = mask
    flat = rows.ravel()
    starts = np.concatenate([np.zeros(1, np.int64), np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    if len(starts) > max(64, _MOST_RUNS * flat.size):
        return None
    lengths = np.diff(starts, append=flat.size)
    # zlib's format: its first two bytes (a window of 32 kB, fastest), the block, a sum of what it holds.
    data = b"\x78\x01" + _block(lengths) + struct.pack(">I", _adler32(starts, lengths, flat.size))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _adler32(starts: Int64[np.ndarray, " n"], lengths: Int64[np.ndarray, " n"], size: int) -> int:
    """The checksum of all bytes: every second run, from the second on, is of 255, the others of 0."""
    first, length = starts[1::2], lengths[1::2]
    low = 1 + 255 * int(length.sum())
    # The byte at place i is counted in size - i of the running sums.
    times = length * (size - first) - length * (length - 1) // 2
    high = size + 255 * int(times.sum())
    return (high % _MODULUS) << 16 | low % _MODULUS


class _Tokens(NamedTuple):
    """Bits to write, the first one lowest, and how many they are."""

    values: Int64[np.ndarray, " n"]
    counts: Int64[np.ndarray, " n"]


@cache
def _code() -> tuple[list[tuple[int, int]], _Tokens, _Tokens]:
    """The block's head, both bytes' tokens, and those of copies by their length, 0 to 258."""
    codes, ends = _canonical(_BITS), _canonical(_BITS_OF_BITS)
    head = [(1, 1), (2, 2), (285 - 256, 5), (0, 5), (len(_ORDER) - 4 - 1, 4)]  # the last block, with its own code
    head += [(_BITS_OF_BITS.get(symbol, 0), 3) for symbol in _ORDER[:-1]]
    told = [_BITS[0], None, _BITS[255], *(_BITS[symbol] for symbol in range(_END, 286)), 1]
    for bits in told:
        head += [ends[18], (138 - 11, 7), ends[18], (254 - 138 - 11, 7)] if bits is None else [ends[bits]]
    values, counts = np.zeros(_LONGEST + 1, np.int64), np.zeros(_LONGEST + 1, np.int64)
    for length in range(_SHORTEST, _LONGEST + 1):
        symbol, extra, more = _length_symbol(length)
        value, count = codes[symbol]
        values[length] = value | more << count
        counts[length] = count + extra + 1  # and the distance, of which there is one: a bit that is 0
    pixels = _Tokens(np.array([codes[0][0], codes[255][0]]), np.array([codes[0][1], codes[255][1]]))
    return [*head, codes[_END]], pixels, _Tokens(values, counts)


def _canonical(bits: dict[int, int]) -> dict[int, tuple[int, int]]:
    """Each symbol's code, its first bit lowest, and its bits (RFC 1951, section 3.2.2)."""
    codes, code, before = dict[int, tuple[int, int]](), 0, 0
    for symbol, count in sorted(bits.items(), key=lambda item: (item[1], item[0])):
        code <<= count - before
        codes[symbol], before = (int(f"{code:0{count}b}"[::-1], 2), count), count
        code += 1
    return codes


def _length_symbol(length: int) -> tuple[int, int, int]:
    """The symbol of a copy so long, how many bits follow it, and what they say (RFC 1951, section 3.2.5)."""
    if length == _LONGEST:
        return 285, 0, 0
    above = length - _SHORTEST
    extra = max(0, above.bit_length() - 3)
    return _FIRST_LENGTH + 4 * extra + (above >> extra), extra, above & (1 << extra) - 1


def _block(lengths: Int64[np.ndarray, " n"]) -> bytes:
    """Runs of these lengths, of 0 and 255 in turn, deflated."""
    head, pixels, copies = _code()
    byte = np.arange(len(lengths)) % 2
    whole, rest = np.divmod(lengths - 1, _LONGEST)
    # Of a run: its byte, whole copies, then a copy of the rest, or its byte again where that is too short for one.
    is_copied = rest >= _SHORTEST
    again = np.where(is_copied, 1, rest)
    each = 1 + whole + again
    ends = np.cumsum(each)
    values, counts = (np.repeat(part[_LONGEST], ends[-1]) for part in copies)
    for tokens, place, which in (
        (pixels, ends - each, byte),
        (copies, ends[is_copied] - 1, rest[is_copied]),
        (pixels, ends[~is_copied & (rest > 0)] - 1, byte[~is_copied & (rest > 0)]),
        (pixels, ends[~is_copied & (rest > 1)] - 2, byte[~is_copied & (rest > 1)]),
    ):
        values[place], counts[place] = tokens.values[which], tokens.counts[which]
    first, last = np.array(head[:-1]).T, np.array(head[-1:]).T
    return _packed(np.concatenate([first[0], values, last[0]]), np.concatenate([first[1], counts, last[1]]))


def _packed(values: Int64[np.ndarray, " n"], counts: Int64[np.ndarray, " n"]) -> bytes:
    """The bits of all values one behind the other, the first one lowest, filled up to whole bytes."""
    ends = np.cumsum(counts)
    begin = ends - counts
    word, shifted = begin >> 5, values << (begin & 31)
    words = int(ends[-1] >> 5) + 2
    # No two values share a bit, so that their sum is all of them, and a float of 64 bits holds it.
    low = np.bincount(word, shifted & 0xFFFFFFFF, words)
    high = np.bincount(word + 1, shifted >> 32, words)
    return (low + high).astype("<u4").tobytes()[: (int(ends[-1]) + 7) // 8]
