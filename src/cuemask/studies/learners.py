"""One network learnt by several processes of the machine that a worker runs on, a GPU each.

The worker starts the launcher that `torchrun` is, and waits. The processes live as long as the worker does: each reads
the other end of a pipe that the system closes when the worker is gone, however it went.

    python -m cuemask.studies.learners FILE    # what the launcher runs
"""

from __future__ import annotations

import errno
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from cuemask.errors import CuemaskError
from cuemask.media.files import write_bytes
from cuemask.runs.options import Options
from cuemask.studies.local import ALL_CORES, ALL_GPUS, own_cores, shares_of

_TOLD, _SAID, _WORDS = "told", "said", "words"
_LAST_WORDS_SECONDS = 10.0  # in which the first process says what went wrong, before one that helps it ends

_log = logging.getLogger("cuemask")


def learners_of(options: Options, wanted: int | None) -> int:
    """How many processes learn here: as many as `wanted`, else one for each GPU that they can share a step's pairs on.

    Several classes, and a network of one's own, are learnt in one unless told otherwise.
    """
    if wanted is not None:
        return wanted
    import torch

    from cuemask.inference.model import chosen_device

    if chosen_device(options.device) == "cpu" or options.recipe.network.classes > 1 or options.network is not None:
        return 1
    named = [gpu for gpu in os.environ.get(ALL_GPUS, "").split(",") if gpu]
    return max(1, min(len(named) or torch.cuda.device_count(), options.recipe.training.pairs_per_step))


def learn(sources: Sequence[str], options: Options, learners: int) -> None:
    """`runs.learning.train` in so many processes of this machine, whose GPUs and cores they share.

    Raises
    ------
    CuemaskError
        As `train`.
    OSError
        If one of the processes was lost; what they had learnt is gone on with.
    """
    with tempfile.TemporaryDirectory() as place:
        told, words = Path(place, _TOLD), Path(place, _WORDS)
        told.write_bytes(pickle.dumps((tuple(sources), options)))
        launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
        command = [sys.executable, *launcher, f"--nproc-per-node={learners}", "-m", __name__, str(told)]
        with words.open("wb") as file:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=file, env=_environment(learners)
            )
        try:
            process.wait()
        finally:
            assert process.stdin is not None
            process.stdin.close()  # which ends them where this process was told to end
            process.wait()
        _hear(Path(place, _SAID), words)


def _environment(learners: int) -> dict[str, str]:
    """With all GPUs and a share of the cores for each, whatever this process was given of them."""
    share = max(1, len(_cores()) // learners)
    environment = {**os.environ, "OMP_NUM_THREADS": str(share)}
    if os.environ.get(ALL_GPUS):
        environment["CUDA_VISIBLE_DEVICES"] = os.environ[ALL_GPUS]
    return environment


def _cores() -> list[int]:
    named = os.environ.get(ALL_CORES, "")
    return [int(core) for core in named.split(",")] if named else own_cores()


def _hear(said: Path, words: Path) -> None:
    """Say again what the first process said, and raise what it raised."""
    if not said.is_file():
        lines = words.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = next((line for line in reversed(lines) if "Error" in line or "ignal" in line), "no words")
        raise OSError(errno.ECONNABORTED, f"a process that learnt was lost ({last.strip()[:200]})")
    warnings, told, number, trace = pickle.loads(said.read_bytes())
    for line in warnings:
        _log.warning("%s", line)
    if told is not None:
        kind, words_of_it = told
        error: Exception = kind(*words_of_it)
        error.add_note(trace)
        raise error from (None if number is None else OSError(number, os.strerror(number)))


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> None:
    """One of the processes: the first does the run, the others help it to learn."""
    threading.Thread(target=_end_with_worker, daemon=True).start()
    told = Path(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):
        shares = shares_of(_cores(), int(os.environ["LOCAL_WORLD_SIZE"]))
        os.sched_setaffinity(0, shares[int(os.environ["LOCAL_RANK"])])
    from cuemask.runs.learning import train

    sources, options = pickle.loads(told.read_bytes())
    heard, error, trace = _Heard(), None, ""
    _log.addHandler(heard)
    try:
        train(sources, options)
    except Exception as found:
        error, trace = found, traceback.format_exc()
    if os.environ["RANK"] == "0":
        write_bytes(told.parent / _SAID, _said(heard.lines, error, trace))
    elif error is not None:
        sys.stderr.write(trace)
        time.sleep(_LAST_WORDS_SECONDS)
    if error is not None:
        os._exit(1)  # without a word to the others, which the launcher ends


def _said(warnings: Sequence[str], error: Exception | None, trace: str) -> bytes:
    """What travels: an error of ours as it is, another by its name; the system's error behind it by its number."""
    told, number = None, None
    if error is not None:
        ours = isinstance(error, CuemaskError)
        told = (
            (type(error), (error.what, error.remedy)) if ours else (RuntimeError, (f"{type(error).__name__}: {error}",))
        )
    while error is not None:
        number = error.errno if isinstance(error, OSError) and number is None else number
        error = error.__cause__ or error.__context__  # pyright: ignore[reportAssignmentType]
    return pickle.dumps((list(warnings), told, number, trace))


def _end_with_worker() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
