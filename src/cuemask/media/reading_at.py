"""Bytes of a file by their place, read by many threads at once."""

from __future__ import annotations

import os
import weakref
from pathlib import Path


class ReadAt:
    """Reads bytes of a file from a place in it; safe to share between threads.

    Windows has no `pread`, and neither removes nor replaces a file that is open: there it is opened for each piece.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = None
        if hasattr(os, "pread"):
            self._descriptor = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._descriptor)

    def __call__(self, count: int, start: int) -> bytes:
        """Up to `count` bytes from byte `start` on; fewer at the end of the file."""
        if self._descriptor is not None:
            return os.pread(self._descriptor, count, start)
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(count)
