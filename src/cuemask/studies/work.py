"""A unit of work: what a worker is told to do with one video, and what it says of it.

Frames never pass through an engine: a worker reads the video where it lies and writes to the study's folder, which all
machines see. A result is whole or absent: it grows in a folder of its own and is renamed. So work may be done twice,
by two workers at once or by one after another was killed: the first to end counts, and both write the same.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import shutil
import time
import traceback
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

from cuemask.errors import CuemaskError, OutputError
from cuemask.media.files import is_passing, make_folder, output_errors
from cuemask.media.folders import LOCK
from cuemask.media.hardware import decoding_with
from cuemask.media.locks import HeldError, locked
from cuemask.media.memory import keep_freed_memory
from cuemask.runs.confidences import FILE as CONFIDENCES
from cuemask.runs.options import Options
from cuemask.runs.record import is_complete, read_record

Kind = Literal["cues", "pictures", "train", "predict", "segment"]

MODEL, VIDEOS, PARTS, AHEAD = "model", "videos", ".parts", ".ahead"


@dataclass(frozen=True)
class Unit:
    """What one worker is told to do.

    Attributes
    ----------
    kind
        `cues`, `pictures`: keep what learning needs of a video (`runs.ahead`); `train`: learn from all videos;
        `predict`, `segment`: mask one.
    name
        Of the video; of `train` what it is.
    sources
        The video, or all.
    study
        The study's folder.
    options
        Of the run; its `out` is not heeded.
    model
        Of `predict`: as `runs.predicting.predict` takes it.
    bytes
        Size of the video, where it is known.
    wanted
        Of `pictures`: the numbers of the frames.
    learners
        Of `train`: how many processes learn (`studies.learners`); None for as many as the machine has GPUs.
    """

    kind: Kind
    name: str
    sources: tuple[str, ...]
    study: Path
    options: Options
    model: Path | None = None
    bytes: int | None = None
    wanted: tuple[int, ...] = ()
    learners: int | None = None

    @property
    def folder(self) -> Path:
        """Where its result lies once it is whole."""
        if self.kind in ("cues", "pictures"):
            return self.study / AHEAD / self.kind / self.name
        return self.study / MODEL if self.kind == "train" else self.study / VIDEOS / self.name

    @property
    def is_done(self) -> bool:
        """Whether its result is there."""
        if self.kind in ("cues", "pictures"):
            from cuemask.runs.ahead import is_kept

            return is_kept(self.folder)
        return is_complete(self.folder)


@dataclass(frozen=True)
class Outcome:
    """What came of a unit.

    Attributes
    ----------
    error
        What went wrong and the remedy, in the error's own words, a line each; empty where it is done.
    is_passing
        Whether another try may go well: a disk, a network.
    trace
        Where an error is ours: the traceback.
    frames
        Masked frames.
    seconds
        That the worker was at it.
    machine
        The worker's.
    notes
        Warnings, such as of frames that could not be decoded.
    """

    name: str
    error: str = ""
    is_passing: bool = False
    trace: str = ""
    frames: int = 0
    seconds: float = 0.0
    machine: str = ""
    notes: tuple[str, ...] = ()


def work(unit: Unit) -> Outcome:
    """Do a unit, unless its result is there; what goes wrong is told and not raised."""
    keep_freed_memory()
    started, told = time.monotonic(), _Heard()
    error, passes, trace, frames = "", False, "", 0
    logger = logging.getLogger("cuemask")
    logger.addHandler(told)
    try:
        frames = _made(unit)
    except CuemaskError as found:
        error, passes = f"{found.what}\n{found.remedy}", is_passing(found)
    except Exception as found:
        error, passes = f"{type(found).__name__}: {found}", is_passing(found)
        trace = traceback.format_exc()
    finally:
        logger.removeHandler(told)
    seconds = round(time.monotonic() - started, 3)
    return Outcome(unit.name, error, passes, trace, frames, seconds, platform.node(), tuple(told.lines))


class _Heard(logging.Handler):
    """Warnings, each once and not endlessly many."""

    _MOST = 5

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if len(self.lines) < self._MOST and line not in self.lines:
            self.lines.append(line)


def _made(unit: Unit) -> int:
    """Make the result unless it is there; how many frames it has masks of."""
    if not unit.is_done:
        with _own_part(unit) as part:
            _run_again_if_unfit(unit, part)
            _put(part, unit)
    return masked_frames(unit.folder)


def _run_again_if_unfit(unit: Unit, part: Path) -> None:
    """Go on with what a killed worker left there; what does not fit, or is damaged, is made anew."""
    is_left = (part / "run.json").exists()
    try:
        _run(unit, part)
    except OutputError as error:
        if not is_left or isinstance(error.__cause__, OSError):
            raise
        shutil.rmtree(part)
        _run(unit, part)


def _run(unit: Unit, part: Path) -> None:
    options = replace(unit.options, out=part, resume=True)
    if unit.kind in ("cues", "pictures"):
        from cuemask.runs.ahead import keep_cues, keep_read

        make_folder(part)
        with decoding_with(options.decoder):
            if unit.kind == "cues":
                keep_cues(unit.sources[0], options, part)
            else:
                keep_read(unit.sources[0], options, replace(unit, kind="cues").folder, unit.wanted, part)
    elif unit.kind == "predict":
        from cuemask.runs.predicting import predict

        assert unit.model is not None
        predict(unit.model, unit.sources, options)
    elif unit.kind == "segment":
        from cuemask.runs.learning import segment

        segment(unit.sources, options)
    else:
        _learn(unit, options)


def _learn(unit: Unit, options: Options) -> None:
    from cuemask.runs.learning import train
    from cuemask.studies.learners import learn, learners_of

    learners = learners_of(options, unit.learners)
    if learners == 1:
        train(unit.sources, options)
    else:
        learn(unit.sources, options, learners)


@contextmanager
def _own_part(unit: Unit) -> Generator[Path, None, None]:
    """A folder for the result to grow in that no other process writes: that of a killed one, if it can be told."""
    parts, own = make_folder(unit.study / PARTS), f".{unit.kind}" if unit.kind in ("cues", "pictures") else ""
    with ExitStack() as stack:
        for number in count(1):
            part = parts / f"{part_name(unit.name)}{own}.{number}"
            try:
                stack.enter_context(locked(parts / f"{part.name}.lock", part))
            except HeldError:
                continue
            yield part
            return


def part_name(name: str) -> str:
    """What the folders begin with in which the result of a unit grows: short enough for what is put behind it."""
    return name if len(name.encode()) < 200 else hashlib.sha256(name.encode()).hexdigest()


def _put(part: Path, unit: Unit) -> None:
    """Give a whole result its name; where another worker was first, its result stays."""
    folder = unit.folder
    make_folder(folder.parent)
    with output_errors(folder):
        (part / LOCK).unlink(missing_ok=True)  # a store that returned an error may have kept it
        try:
            part.rename(folder)
        except OSError:
            if not unit.is_done:
                raise
            shutil.rmtree(part, ignore_errors=True)


def masked_frames(folder: Path) -> int:
    """How many frames a complete run has masks of."""
    record = read_record(folder / "run.json") or {}
    tables = [folder / str(entry.get("clip")) / CONFIDENCES for entry in record.get("inputs", [])]
    return sum(_lines(table) - 1 for table in tables if table.is_file())


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
