"""What a study runs on: processes of this machine, Dask or SLURM, each as an executor of `concurrent.futures`."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from cuemask.errors import EngineError, InstallationError
from cuemask.media.threads import cores

_WORDS = "Give local, local:4, dask://HOST:8786, slurm, or slurm:partition=gpu,cpus_per_task=4,mem=16GB"
_Opener = Callable[[str, Path], Executor]


@contextmanager
def engine(told: str, study: Path) -> Generator[Executor, None, None]:
    """The engine of that name while the block runs.

    Parameters
    ----------
    told
        `local` (a process for each core), `local:N`, `dask://HOST:PORT` (a scheduler that runs), `slurm`, or
        `slurm:KEY=VALUE,...` with the options of `sbatch`.
    study
        The study's folder, where SLURM's jobs leave what they say.

    Raises
    ------
    EngineError
        If there is no such engine, or it cannot be reached.
    InstallationError
        If its library is absent.
    """
    kind, _, rest = told.partition(":")
    openers: Mapping[str, _Opener] = {"local": _local, "dask": _dask, "slurm": _slurm}
    if kind not in openers:
        raise EngineError(f"--on {told}: no such engine.", _WORDS)
    executor = openers[kind](rest, study)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def _local(rest: str, study: Path) -> Executor:
    del study
    if rest and not re.fullmatch(r"[1-9]\d{0,3}", rest):
        raise EngineError(f"--on local:{rest}: not a number of processes.", _WORDS)
    from cuemask.studies.local import LocalExecutor

    return LocalExecutor(int(rest) if rest else cores())


def _dask(rest: str, study: Path) -> Executor:
    del study
    if not re.fullmatch(r"//[^/\s]+:\d+/?", rest):
        raise EngineError(f"--on dask:{rest}: not the address of a scheduler.", _WORDS)
    try:
        from cuemask.studies.dask import DaskExecutor
    except ModuleNotFoundError as error:
        raise _absent("distributed") from error
    return DaskExecutor(f"tcp:{rest.rstrip('/')}")


def _slurm(rest: str, study: Path) -> Executor:
    try:
        from cuemask.studies.slurm import slurm_executor
    except ModuleNotFoundError as error:
        raise _absent("submitit") from error
    return slurm_executor(study, _parameters(rest))


def _parameters(told: str) -> dict[str, str | int]:
    """`partition=gpu,time=240` as a mapping; whole numbers are numbers."""
    found: dict[str, str | int] = {}
    for part in filter(None, told.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key or not value:
            raise EngineError(f"--on slurm:{told}: {part!r} is not KEY=VALUE.", _WORDS)
        found[key.strip()] = int(value) if value.isdecimal() else value.strip()
    return found


def _absent(library: str) -> InstallationError:
    return InstallationError(
        f"this engine needs {library}, which is not installed.", "Run: pip install 'cuemask[cluster]'"
    )
