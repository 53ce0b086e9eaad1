"""Work on a stream in a few threads, in order and with few items held."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Any, TypeVar

import cv2

T = TypeVar("T")
R = TypeVar("R")

# FFmpeg's threads for the colours of one picture. Of its own accord it makes one a core anew for each picture, and
# waits for them: 6 ms of processor time for a frame of 1920 x 1080 that takes 0.7 ms in one.
CONVERTING = 1


def in_threads(
    work: Callable[[T], R],
    items: Iterable[T],
    threads: int | None = None,
    ahead: int | None = None,
    *,
    networks: bool = False,
) -> Generator[R, None, None]:
    """The results of `work` on each item, in order; OpenCV works on one core a thread meanwhile.

    Here, and nowhere else, the cores are handed out: one a thread of ours, in which every library keeps to itself. Two
    that share them by threads of their own wait for each other: a network of torch's, called while the frames before
    and behind it were worked on, took two to three times the processor time for that on two cores.

    An error raised by `work` or by `items` comes out at its turn; what is under way is then finished, what
    waits is dropped.

    Parameters
    ----------
    threads
        How many items are worked on at once; None for one a core.
    ahead
        How many items, at most, have been taken of which the result has not been given; None for twice the threads.
    networks
        Whether `work` calls networks: torch, where it is loaded, then works on one core a thread as well.
    """
    threads = cores() if threads is None else threads
    ahead = 2 * threads if ahead is None else ahead
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[R]] = deque()
    try:
        with _OPENCV.one_thread(), _TORCH.one_thread() if networks and sys.modules.get("torch") else nullcontext():
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def encoders() -> int:
    """Threads that write a video whose frames come from as many threads as there are cores: half of them, four at most.

    More on two cores cost the encoder a quarter more processor time, and the others wait for it.
    """
    return min(4, max(1, cores() // 2))


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Library:
    """A library with threads of its own, which it leaves to ours while any stream wants that.

    Parameters
    ----------
    get, put
        How many threads it has, and how to give it so many; the setting is the whole process's.
    """

    def __init__(self, get: Callable[[], int], put: Callable[[int], object]) -> None:
        self._get, self._put = get, put
        self._lock = Lock()
        self._streams = 0
        self._before = 1

    @contextmanager
    def one_thread(self) -> Generator[None, None, None]:
        """One thread a call within the block; more would fight with ours for the cores."""
        with self._lock:
            if self._streams == 0:
                self._before = self._get()
                self._put(1)
            self._streams += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams -= 1
                if self._streams == 0:
                    self._put(self._before)


def _torch() -> Any:
    """Torch, which is known to be loaded where one of its networks is to be called."""
    return sys.modules["torch"]


_OPENCV = _Library(cv2.getNumThreads, cv2.setNumThreads)
_TORCH = _Library(lambda: _torch().get_num_threads(), lambda threads: _torch().set_num_threads(threads))
