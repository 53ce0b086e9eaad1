"""Processes of this machine, one a slot: where one is killed, its unit alone is lost and the slot gets another."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from queue import SimpleQueue
from typing import Any

# All that the processes share, named by number, for what a unit does on the whole machine while the others wait.
ALL_CORES, ALL_GPUS = "CUEMASK_ALL_CORES", "CUEMASK_ALL_GPUS"
_DEVICES = Path("/dev")


class LocalExecutor(Executor):
    """So many spawned processes, among which the cores are divided, and the GPUs as `own_gpus` finds them."""

    def __init__(self, processes: int) -> None:
        self._shares: SimpleQueue[tuple[Sequence[int], str | None]] = SimpleQueue()
        gpus = own_gpus()
        self._all = {ALL_CORES: ",".join(map(str, own_cores())), ALL_GPUS: ",".join(gpus)}
        for number, share in enumerate(shares_of(own_cores(), processes)):
            self._shares.put((share, gpus[number % len(gpus)] if gpus else None))
        self._slots = ThreadPoolExecutor(processes)
        self._own = threading.local()
        self._pools: list[ProcessPoolExecutor] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As of `Executor`; `BrokenProcessPool` where the process was killed."""
        return self._slots.submit(self._in_process, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of `Executor`; without waiting, what is under way is killed."""
        if not wait:
            self._slots.shutdown(wait=False, cancel_futures=cancel_futures)
            for pool in list(self._pools):
                _kill(pool)
        self._slots.shutdown(wait=True, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait=True)

    def _in_process(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not hasattr(self._own, "share"):
            self._own.share = self._shares.get()
        if not hasattr(self._own, "pool"):
            share, gpu = self._own.share
            self._own.pool = self._pool(share, gpu)
        try:
            return self._own.pool.submit(fn, *args, **kwargs).result()
        except BrokenProcessPool:
            self._pools.remove(self._own.pool)
            del self._own.pool
            raise

    def _pool(self, share: Sequence[int], gpu: str | None) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_begin, initargs=(share, gpu, self._all))
        self._pools.append(pool)
        return pool


def shares_of(processors: Sequence[int], processes: int) -> list[list[int]]:
    """Each process's own processors, as even as can be; all of them for each where there are more processes."""
    if processes > len(processors):
        return [list(processors) for _ in range(processes)]
    return [list(processors[n::processes]) for n in range(processes)]


def own_cores() -> list[int]:
    """The processors that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def own_gpus() -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; without it all that Linux shows."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu for gpu in named.split(",") if gpu]
    return [str(number) for number, _ in enumerate(_DEVICES.glob("nvidia[0-9]*"))]


def _begin(share: Sequence[int], gpu: str | None, everything: Mapping[str, str]) -> None:
    """Before anything is imported that counts processors: keep to these, and end when the coordinator does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator says when to end
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, share)
    os.environ.update(everything)
    os.environ.setdefault("OMP_NUM_THREADS", str(len(share)))  # which OpenBLAS and MKL follow
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _kill(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):  # pyright: ignore[reportPrivateUsage]
        process.kill()
