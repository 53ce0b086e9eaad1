"""Arrays are read by many threads at once, whatever the interpreter does meanwhile."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cuemask.media.arrays import array_of, header_of, load_array, load_arrays, mapped_array

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def shape_of(path: Path) -> object:
    with path.open("rb") as file:
        return header_of(file)[0]


READERS: dict[str, Callable[[Path], object]] = {
    "whole": load_array,
    "mapped": mapped_array,
    "bytes": lambda path: array_of(path.read_bytes()),
    "header": shape_of,
    "several": lambda path: load_arrays(path.with_suffix(".npz"))["one"],
}


@pytest.fixture
def interrupted() -> Generator[None, None, None]:
    """Garbage is collected again and again, and each time other threads have their turn."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()

    def idle(phase: str, told: dict[str, int]) -> None:
        for _ in range(50):
            pass

    gc.callbacks.append(idle)
    gc.set_threshold(10)
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)
        gc.callbacks.remove(idle)


@pytest.mark.parametrize("reader", READERS)
def test_threads_read_headers_without_meeting_in_them(reader: str, tmp_path: Path, interrupted: None) -> None:
    path = tmp_path / "a.npy"
    np.save(path, VALUES)
    np.savez(path.with_suffix(".npz"), one=VALUES, two=VALUES)
    expected = str(VALUES.shape if reader == "header" else VALUES)
    with ThreadPoolExecutor(8) as pool:  # of plain `numpy.load`, a thirtieth fails on CPython 3.11
        found = list(pool.map(READERS[reader], [path] * 400))
    assert {str(one) for one in found} == {expected}


def test_pickled_objects_are_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    for read in (load_array, mapped_array, lambda path: array_of(path.read_bytes())):
        with pytest.raises(ValueError, match=r"allow_pickle|Python objects"):
            read(tmp_path / "a.npy")
