"""NumPy's files, their headers read by one thread at a time.

NumPy reads a header as a Python literal, and CPython 3.11 counts how deep it is in one for all threads together:
where a thread is stopped within it, by a collection of garbage, and another begins, one of them may end in
`SystemError: AST constructor recursion depth mismatch`. So all files of arrays are read here.
"""

from __future__ import annotations

import io
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np

_HEADERS = Lock()


def load_array(path: Path) -> np.ndarray:
    """The array in a .npy file.

    Raises
    ------
    OSError, ValueError
        As `numpy.load`; of pickled objects nothing is read.
    """
    with _HEADERS:
        return np.load(path, allow_pickle=False)


def mapped_array(path: Path) -> np.ndarray:
    """The same, of which only what is looked at is read."""
    with _HEADERS:
        return np.load(path, mmap_mode="r", allow_pickle=False)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a .npz file by name, under the same terms."""
    with _HEADERS, np.load(path, allow_pickle=False) as file:
        return dict(file)


def array_of(data: bytes) -> np.ndarray:
    """The array in the bytes of a .npy file, under the same terms."""
    with _HEADERS:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def header_of(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and kind of the array in a .npy file of version 1, which is then open where its values begin."""
    with _HEADERS:
        np.lib.format.read_magic(file)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
    return shape, kind
