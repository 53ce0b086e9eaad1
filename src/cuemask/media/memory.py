"""Memory of whole frames, kept for the next ones."""

from __future__ import annotations

import ctypes
import os

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 32 << 20  # bytes of one array; no more is allowed
_KEPT = 1 << 30  # bytes, at most, that stay unused in one place
_OF_DASK = ("MALLOC_TRIM_THRESHOLD_", "65536")  # what every worker of it gets, chosen by nobody for this work
_SETTINGS = (
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_MMAP_MAX_",
    "GLIBC_TUNABLES",
)


def keep_freed_memory() -> None:
    """Have the process keep what arrays of frames leave, instead of giving it back to the system at once.

    The system fills with zeros whatever it gives again, page by page: of a frame of 1920 x 1080 and all that is made of
    it, 300 to 1,000 pages, 1 to 5 ms of processor time. What a process takes at most grows by up to a fifth. Only glibc
    knows it; settings of its own in the environment stay as they are, but for those of a Dask worker, which
    gives back all it can and so needs half as much time again.
    """
    if any(name in os.environ and (name, os.environ[name]) != _OF_DASK for name in _SETTINGS):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another system, or another C library
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _KEPT)
