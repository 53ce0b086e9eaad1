"""SLURM through submitit: units as arrays of jobs, their results on the shared store."""

from __future__ import annotations

import getpass
import logging
import re
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import submitit

from cuemask.errors import EngineError
from cuemask.studies.work import Unit

JOBS = ".slurm"
_POLL_SECONDS = 2.0
_LOOK_SECONDS = 30.0
_LEARN = "learn_"
_MINUTES = 24 * 60  # of a job; what is not done by then goes on in the next


class Requeued:
    """What a job does: a job that is preempted, or out of time, is put back into the queue and goes on where it was."""

    def __init__(self, do: Callable[..., Any]) -> None:
        self.do = do

    def __call__(self, *args: Any) -> Any:
        """Do it."""
        return self.do(*args)

    def checkpoint(self, *args: Any) -> submitit.helpers.DelayedSubmission:
        """Asked by submitit before the job ends: the same again, as what was done is found on the store."""
        return submitit.helpers.DelayedSubmission(self, *args)


class SubmititExecutor(Executor):
    """An executor of submitit's as one of `concurrent.futures`; a thread asks it what became of the jobs.

    Parameters
    ----------
    queued
        The jobs that wait or run, None where that cannot be told. Submitit asks SLURM's accounting, which not all have;
        what is neither in the queue nor has a result, twice in a row, is lost.
    learning
        Where the unit goes that learns one network on all; None where the others go.
    accounts
        Whether SLURM's accounting can be asked; without it, `sacct` would say so on the screen at every look.
    """

    def __init__(
        self,
        inner: submitit.Executor,
        queued: Callable[[], AbstractSet[str] | None] = lambda: None,
        poll_seconds: float = _POLL_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
        learning: submitit.Executor | None = None,
        *,
        accounts: bool = True,
    ) -> None:
        self._learning, self._accounts = learning or inner, accounts
        self._inner, self._queued = inner, queued
        self._poll_seconds, self._look_seconds = poll_seconds, look_seconds
        self._jobs: list[tuple[submitit.Job[Any], Future[Any]]] = []
        self._unseen = set[str]()
        self._lock = threading.RLock()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    @contextmanager
    def batch(self) -> Generator[None, None, None]:
        """What is submitted in it is one array of jobs."""
        with self._lock, self._inner.batch(allow_implicit_submissions=True):  # which may be none
            yield

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As of `Executor`; an exception of submitit's where the job was killed."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        learns = any(isinstance(arg, Unit) and arg.kind == "train" for arg in args)
        with self._lock:
            inner = self._learning if learns else self._inner
            self._jobs.append((inner.submit(Requeued(fn), *args, **kwargs), future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of `Executor`; with `cancel_futures` all jobs that have not ended are cancelled."""
        if cancel_futures:
            with self._lock:
                for job, _ in self._jobs:
                    job.cancel(check=False)
        elif wait:
            for _, future in list(self._jobs):
                future.exception()
        self._ends.set()
        self._thread.join()

    def _poll(self) -> None:
        looked = time.monotonic()
        while not self._ends.wait(self._poll_seconds):
            with self._lock:
                self._jobs = [(job, future) for job, future in self._jobs if not self._told(job, future)]
                if self._jobs and time.monotonic() - looked >= self._look_seconds:
                    self._drop_lost()
                    looked = time.monotonic()

    def _drop_lost(self) -> None:
        listed = self._queued()
        if listed is None:
            return
        unseen = {job.job_id for job, _ in self._jobs} - listed
        for job, future in self._jobs:
            if job.job_id in unseen & self._unseen and not self._told(job, future):
                future.set_exception(RuntimeError(f"job {job.job_id} has left the queue without a result"))
        self._jobs = [(job, future) for job, future in self._jobs if not future.done()]
        self._unseen = unseen

    def _told(self, job: submitit.Job[Any], future: Future[Any]) -> bool:
        """Whether the job has ended; what came of it is then in the future."""
        try:
            if not (job.done() if self._accounts else _has_result(job)):
                return False
            future.set_result(job.result())
        except Exception as error:
            future.set_exception(error)
        return True


def _has_result(job: submitit.Job[Any]) -> bool:
    folder = job.paths.folder
    with suppress(OSError):
        folder.chmod(folder.stat().st_mode)  # a network store may else go on saying what it said before
    return job.paths.result_pickle.exists()


def _squeue() -> set[str] | None:
    """The jobs of this user that wait or run, one by one also where they are arrays."""
    told = _said("squeue", "--noheader", "--array", "--user", getpass.getuser(), "--format", "%i")
    return None if told is None else set(told.split())


def _has_accounting() -> bool:
    """Whether this SLURM keeps accounts, as far as can be told."""
    told = _said("scontrol", "show", "config") or ""
    return re.search(r"AccountingStorageType\s*=\s*accounting_storage/none", told) is None


def _said(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def slurm_executor(study: Path, parameters: Mapping[str, str | int]) -> SubmititExecutor:
    """Jobs of the SLURM that this machine submits to, with parameters as of `sbatch`, `_` for `-`.

    Those that begin with `learn_` are of the job that learns one network on all, in the place of the others' or beside.

    Raises
    ------
    EngineError
        If there is no SLURM here, or submitit knows no such parameter.
    """
    remedy = "Run it where sbatch is, with its options: --on slurm:partition=gpu,cpus_per_task=4,mem=16GB,time=240"
    logging.getLogger("submitit").setLevel(logging.ERROR)  # else it warns at every look where there is no accounting
    try:
        own = {name: value for name, value in parameters.items() if not name.startswith(_LEARN)}
        of_learning = {name.removeprefix(_LEARN): parameters[name] for name in parameters if name not in own}
        inner, learning = (submitit.SlurmExecutor(study / JOBS) for _ in range(2))
        inner.update_parameters(job_name="cuemask", **{"time": _MINUTES, **own})
        learning.update_parameters(job_name="cuemask", **{"time": _MINUTES, **own, **of_learning})
    except (RuntimeError, ValueError) as error:
        raise EngineError(f"--on slurm: {str(error).splitlines()[0]}", remedy) from error
    return SubmititExecutor(inner, _squeue, learning=learning, accounts=_has_accounting())
