"""Work on a stream in a few threads, in order and with few items held."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

import cv2

T = TypeVar("T")
R = TypeVar("R")

# FFmpeg's threads for the colours of one picture. Of its own accord it makes one a core anew for each picture, and
# waits for them: 6 ms of processor time for a frame of 1920 x 1080 that takes 0.7 ms in one.
CONVERTING = 1


def in_threads(
    work: Callable[[T], R], items: Iterable[T], threads: int | None = None, ahead: int | None = None
) -> Generator[R, None, None]:
    """The results of `work` on each item, in order; OpenCV works on one core a thread meanwhile.

    An error raised by `work` or by `items` comes out at its turn; what is under way is then finished, what
    waits is dropped.

    Parameters
    ----------
    threads
        How many items are worked on at once; None for one a core.
    ahead
        How many items, at most, have been taken of which the result has not been given; None for twice the threads.
    """
    threads = cores() if threads is None else threads
    ahead = 2 * threads if ahead is None else ahead
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[R]] = deque()
    try:
        with _one_opencv_thread():
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


class _Opencv:
    """How many streams want OpenCV to leave the cores to their threads, and how many it had before."""

    lock = Lock()
    streams = 0
    before = 1


@contextmanager
def _one_opencv_thread() -> Generator[None, None, None]:
    """OpenCV without threads of its own, which would fight with ours; the setting is the whole process's."""
    with _Opencv.lock:
        if _Opencv.streams == 0:
            _Opencv.before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _Opencv.streams += 1
    try:
        yield
    finally:
        with _Opencv.lock:
            _Opencv.streams -= 1
            if _Opencv.streams == 0:
                cv2.setNumThreads(_Opencv.before)
