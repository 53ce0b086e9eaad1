"""Masks held packed in records that there is one of for each clip: whole frames of thousands of clips fill memory."""

from __future__ import annotations

import zlib
from copy import copy
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
from jaxtyping import Bool

T = TypeVar("T")

_Mask = Bool[np.ndarray, "height width"]
_UNPACKED = 16  # masks, of those in use


class _Packed(NamedTuple):
    shape: tuple[int, ...]
    data: bytes


class PackedMask:
    """A field of a dataclass that is given and had as a mask, or None; what is had is not to be written to."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Any: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> _Mask | None: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> _Mask | None:
        if instance is None:
            raise AttributeError(self._name)  # a dataclass finds no default here
        packed = vars(instance)[self._name]
        return None if packed is None else _unpacked(packed)

    def __set__(self, instance: object, value: _Mask | None) -> None:
        vars(instance)[self._name] = None if value is None else _packed(value)


class PackedMasks:
    """A field of any number of masks, by default of none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object | None, owner: type | None = None) -> tuple[_Mask, ...]:
        if instance is None:
            return ()
        return tuple(map(_unpacked, vars(instance)[self._name]))

    def __set__(self, instance: object, value: tuple[_Mask, ...]) -> None:
        vars(instance)[self._name] = tuple(map(_packed, value))


def with_packed(record: T, field: str, masks: str, number: int | None) -> T:
    """A copy of `record` whose `field` is one of its `masks`, of which it has none: nothing is packed anew.

    Parameters
    ----------
    number
        Which one; None leaves the field as it is.
    """
    other = copy(record)
    if number is not None:
        vars(other)[field] = vars(record)[masks][number]
    vars(other)[masks] = ()
    return other


def _packed(mask: _Mask) -> _Packed:
    return _Packed(mask.shape, zlib.compress(np.packbits(mask).tobytes(), 1))


@lru_cache(_UNPACKED)
def _unpacked(packed: _Packed) -> _Mask:
    bits = np.frombuffer(zlib.decompress(packed.data), np.uint8)
    mask = np.unpackbits(bits, count=int(np.prod(packed.shape))).reshape(packed.shape).astype(bool)
    mask.flags.writeable = False
    return mask
