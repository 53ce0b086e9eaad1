"""Work on a stream in a few threads, in order and with few items held."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(
    work: Callable[[T], R], items: Iterable[T], threads: int = 2, ahead: int = 4
) -> Generator[R, None, None]:
    """The results of `work` on each item, in order.

    An error raised by `work` or by `items` comes out at its turn; what is under way is then finished, what
    waits is dropped.

    Parameters
    ----------
    threads
        How many items are worked on at once.
    ahead
        How many items, at most, have been taken of which the result has not been given.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
