"""The RLE of Label Studio's brush: thi.ng's rle-pack, a string of bits.

32 bits, count of values; 5 bits, their size less 1; four times 4 bits, sizes of lengths less 1. Then blocks: 1 bit,
whether one value is repeated; 2 bits, which size the length has; the length less 1; the value, or that many values.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.formats.runlengths import runs_of

_SIZES = (3, 4, 8, 16)
_LONGEST = 1 << _SIZES[-1]
_VALUE_BITS = 8
_CHANNELS = 4


def brush_bytes(mask: Bool[np.ndarray, "H W"]) -> bytes:
    """A mask as four channels a pixel, 255 where true, packed."""
    runs = runs_of(mask.ravel()) * _CHANNELS
    pieces = np.maximum(-(-runs // _LONGEST), 0)
    values = np.repeat(np.arange(len(runs)) % 2 * 255, pieces)
    lengths = np.full(pieces.sum(), _LONGEST, np.int64)
    last = np.cumsum(pieces)[pieces > 0] - 1
    lengths[last] = (runs - (pieces - 1) * _LONGEST)[pieces > 0]
    size = np.searchsorted([1 << bits for bits in _SIZES], lengths)
    bits = np.take(_SIZES, size)
    # Each block: the flag, which size, the length, the value. What is not used of 27 bits is left out.
    blocks = ((0b100 | size) << bits | (lengths - 1)) << _VALUE_BITS | values
    used = 3 + bits + _VALUE_BITS
    places = np.arange(3 + _SIZES[-1] + _VALUE_BITS)[None, ::-1]
    body = ((blocks[:, None] >> places) & 1).astype(bool)[places < used[:, None]]
    head = f"{mask.size * _CHANNELS:032b}{_VALUE_BITS - 1:05b}" + "".join(f"{bits - 1:04b}" for bits in _SIZES)
    return np.packbits(np.concatenate([np.array(list(head)) == "1", body])).tobytes()


def brush_values(data: bytes, count: int) -> UInt8[np.ndarray, " n"]:
    """What was packed, which has to be `count` values of at most 8 bits.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    bits = _Bits(data)
    told, size = bits.number(32), bits.number(5) + 1
    if told != count or size > 8:
        raise ValueError(f"it holds {told:,} values of {size} bits, not {count:,} of 8")
    sizes = [bits.number(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint8)
    place = 0
    while place < count:
        is_repeated = bits.number(1)
        end = place + 1 + bits.number(sizes[bits.number(2)])
        if end > count:
            raise ValueError("it holds more than it says")
        values[place:end] = bits.number(size) if is_repeated else bits.numbers(end - place, size)
        place = end
    return values


class _Bits:
    """A string of bits, read from its front."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def number(self, size: int) -> int:
        first, end = self._advance(size)
        whole = int.from_bytes(self._data[first // 8 : -(-end // 8)], "big")
        return whole >> (-end % 8) & ((1 << size) - 1)

    def numbers(self, count: int, size: int) -> np.ndarray:
        first, end = self._advance(count * size)
        part = np.unpackbits(np.frombuffer(self._data[first // 8 : -(-end // 8)], np.uint8))
        rows = part[first % 8 : first % 8 + count * size].reshape(count, size)
        return rows @ (1 << np.arange(size)[::-1])

    def _advance(self, size: int) -> tuple[int, int]:
        first, self._place = self._place, self._place + size
        if self._place > len(self._data) * 8:
            raise ValueError("its end is missing")
        return first, self._place
