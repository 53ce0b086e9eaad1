"""Damage to files: bits, bytes, numbers, lengths and words, drawn so that each case can be had again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import numpy as np

Rng = np.random.Generator

# What a number, word or table may be replaced by.
NASTY = (
    *(
        b"",
        b"0",
        b"-1",
        b"1",
        b"7",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"1e6",
        b"-0.0",
        b"0.1",
        b"inf",
        b"nan",
    ),
    *(b"9" * 30, b"9" * 5000, b"4294967296", b"2147483647", b"18446744073709551615", b"-9223372036854775808"),
    *(b"null", b"true", b"[]", b"{}", b'""', b'"x"', b"[[]]", b"[" * 5000, b'{"a":' * 3000, b"[1, 2]", b'"\\ud800"'),
    *(b'"' + b"x" * 5000 + b'"', b'"../../x"', b'"\\u0000"', b"\xff\xfe", b"\0", b",", b'"', b"\n", b"[a]\n", b"= ="),
)
_WORD = re.compile(rb'"[^"\n]{0,400}"|[-+]?[0-9][-+.0-9eE]*|true|false|null|\[[^][\n]{0,400}\]|[A-Za-z_]+')
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 64) - 1)


def mutated(data: bytes, rng: Rng, *, words: bool = False) -> bytes:
    """`data` after one to four damages; where `words`, half of them replace numbers, words and tables of a text."""
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            return b"\0"
        kinds = [_replaced] if words and rng.random() < 0.5 else _DAMAGES
        data = kinds[int(rng.integers(len(kinds)))](data, rng)
    return data


def mutated_safetensors(data: bytes, rng: Rng) -> bytes:
    """As `mutated`; half of the time in the header alone, whose length then tells the truth."""
    if rng.random() < 0.5:
        return mutated(data, rng)
    end = 8 + int.from_bytes(data[:8], "little")
    header = data[8:end]
    if rng.random() < 0.5:
        loaded = json.loads(header)
        recipe = mutated(loaded["__metadata__"]["recipe"].encode(), rng, words=True)
        loaded["__metadata__"]["recipe"] = recipe.decode("utf-8", "replace")
        header = json.dumps(loaded).encode()
    else:
        header = mutated(header, rng, words=True)
    return len(header).to_bytes(8, "little") + header + data[end:]


def mutated_onnx(data: bytes, rng: Rng) -> bytes:
    """As `mutated`; half of the time in the recipe of the metadata alone."""
    if rng.random() < 0.5:
        return mutated(data, rng)
    import onnx

    model = onnx.load_from_string(data)
    for prop in model.metadata_props:
        if prop.key == "recipe":
            prop.value = mutated(prop.value.encode(), rng, words=True).decode("utf-8", "replace")
    return model.SerializeToString()


def _place(data: bytes, rng: Rng) -> int:
    """Anywhere; half of the time near an end, where headers and directories are."""
    if rng.random() < 0.5:
        return int(rng.integers(len(data)))
    near = int(rng.integers(min(len(data), 512)))
    return near if rng.random() < 0.7 else len(data) - 1 - near


def _flipped(data: bytes, rng: Rng) -> bytes:
    at = _place(data, rng)
    return data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]


def _byte(data: bytes, rng: Rng) -> bytes:
    at = _place(data, rng)
    return data[:at] + bytes([int(rng.integers(256))]) + data[at + 1 :]


def _number(data: bytes, rng: Rng) -> bytes:
    at, size = _place(data, rng), int(rng.choice([1, 2, 4, 8]))
    number = _NUMBERS[int(rng.integers(len(_NUMBERS)))] & ((1 << 8 * size) - 1)
    order = "little" if rng.random() < 0.5 else "big"
    return data[:at] + number.to_bytes(size, order) + data[at + size :]


def _cut(data: bytes, rng: Rng) -> bytes:
    return data[: _place(data, rng)]


def _removed(data: bytes, rng: Rng) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + int(rng.integers(1, 64)) :]


def _repeated(data: bytes, rng: Rng) -> bytes:
    at = _place(data, rng)
    piece = data[at : at + int(rng.integers(1, 64))]
    return data[:at] + piece * int(rng.choice([2, 3, 100])) + data[at:]


def _zeros(data: bytes, rng: Rng) -> bytes:
    at, count = _place(data, rng), int(rng.choice([4, 64, 512, 4096]))
    return data[:at] + bytes(min(count, len(data) - at)) + data[at + count :]


def _swapped(data: bytes, rng: Rng) -> bytes:
    one, other = sorted((_place(data, rng), _place(data, rng)))
    return data[:one] + data[other:] + data[one:other]


def _replaced(data: bytes, rng: Rng) -> bytes:
    found = list(_WORD.finditer(data))
    if not found:
        return _byte(data, rng)
    chosen = found[int(rng.integers(len(found)))]
    return data[: chosen.start()] + NASTY[int(rng.integers(len(NASTY)))] + data[chosen.end() :]


_DAMAGES: list[Callable[[bytes, Rng], bytes]] = [
    *(_flipped, _flipped, _byte, _byte, _number, _number, _cut, _removed, _repeated, _zeros, _swapped, _replaced)
]
