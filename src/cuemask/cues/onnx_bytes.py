"""ONNX models written from arrays: the few messages of the format that a plain convolutional network needs.

OpenCV reads networks as ONNX only. Writing the format (protocol buffers) by hand spares a run-time dependency, and the
weights can lie on disk as plain arrays in half precision, which learning reads too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32

_FLOAT, _OPSET, _IR = 1, 13, 8
_INT_ATTRIBUTE, _INTS_ATTRIBUTE = 2, 7


def model(
    nodes: Sequence[bytes],
    weights: Mapping[str, Float32[np.ndarray, ...]],
    inputs: Mapping[str, Sequence[int]],
    outputs: Mapping[str, Sequence[int]],
) -> bytes:
    """A whole model.

    Parameters
    ----------
    nodes
        In the order in which they are computed, as `node` gives them.
    weights
        Constants by the names that nodes know them by.
    inputs, outputs
        Names and shapes of what goes in and comes out, float32.
    """
    graph = b"".join(_field(1, one) for one in nodes) + _field(2, b"cuemask")
    graph += b"".join(_field(5, _tensor(name, array)) for name, array in weights.items())
    graph += b"".join(_field(11, _value(name, shape)) for name, shape in inputs.items())
    graph += b"".join(_field(12, _value(name, shape)) for name, shape in outputs.items())
    opset = _field(1, b"") + _number(2, _OPSET)
    return _number(1, _IR) + _field(2, b"cuemask") + _field(7, graph) + _field(8, opset)


def node(operator: str, inputs: Sequence[str], output: str, **attributes: int | Sequence[int]) -> bytes:
    """One operation, named as its output is; attributes are whole numbers or lists of them."""
    message = b"".join(_field(1, name.encode()) for name in inputs)
    message += _field(2, output.encode()) + _field(3, output.encode()) + _field(4, operator.encode())
    return message + b"".join(_field(5, _attribute(name, value)) for name, value in attributes.items())


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _field(1, name.encode()) + _number(3, value) + _number(20, _INT_ATTRIBUTE)
    numbers = b"".join(_number(8, one) for one in value)
    return _field(1, name.encode()) + numbers + _number(20, _INTS_ATTRIBUTE)


def _tensor(name: str, array: Float32[np.ndarray, ...]) -> bytes:
    sizes = b"".join(_number(1, size) for size in array.shape)
    data = np.ascontiguousarray(array, "<f4").tobytes()
    return sizes + _number(2, _FLOAT) + _field(8, name.encode()) + _field(9, data)


def _value(name: str, shape: Sequence[int]) -> bytes:
    sizes = b"".join(_field(1, _number(1, size)) for size in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, _FLOAT) + _field(2, sizes)))


def _field(number: int, payload: bytes) -> bytes:
    """A field that is a message, a text or raw bytes."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
