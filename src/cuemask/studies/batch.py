"""`cuemask batch`: a study of many videos, on an engine; the same command goes on, and tries again what failed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cuemask import __version__
from cuemask.errors import InputError, OutputError, TrainingError
from cuemask.inference.drawn import DRAWN
from cuemask.media.files import make_folder, sha256, write_bytes
from cuemask.media.folders import own_folder, tells_of_us
from cuemask.recipe import recipe_as_mapping
from cuemask.runs.models import model_file, open_model
from cuemask.runs.options import Options, silent, told_of_masks, unsaid
from cuemask.runs.record import is_complete
from cuemask.studies.board import NETWORK, STATUS, Board, Row, counts, read_rows
from cuemask.studies.engines import engine
from cuemask.studies.running import outcomes
from cuemask.studies.videos import Video, videos_of
from cuemask.studies.work import AHEAD, MODEL, PARTS, VIDEOS, Kind, Outcome, Unit, masked_frames

STUDY = "study.json"
TRACES = "traces"
# Of `Options`, what a study's results depend on.
_TOLD = ("seed", "crop", "stereo", "save_probability", "overlay", "overlay_style", "report", "instances", "parts")
_TOLD_TOO = ("blank_outside", "blank_text")


@dataclass(frozen=True)
class Study:
    """What a call of `batch` leaves.

    Attributes
    ----------
    folder
        The study's: `study.json`, `status.csv`, `videos/<name>`, each a run, and perhaps `model`, a run too.
    rows
        A row a video.
    """

    folder: Path
    rows: Sequence[Row]

    @property
    def failed(self) -> list[Row]:
        """Videos that have failed."""
        return [row for row in self.rows if row.state == "failed"]


def batch(
    listing: Path,
    options: Options,
    *,
    on: str | Executor = "local",
    each: bool = False,
    model: Path | None = None,
    learners: int | None = None,
) -> Study:
    """Mask the instruments in many videos; a unit of work is one video.

    One network is learnt on all, on one machine, then each video is predicted by itself. The same call goes on where
    one was broken off, tries again what failed, and takes videos that have come into `listing`; a network that is there
    stays.

    Parameters
    ----------
    listing
        A folder, or a manifest, as of `videos.videos_of`.
    options
        Of all runs; `out` is the study's folder.
    on
        As of `engines.engine`, or any executor of `concurrent.futures` whose workers see the same folders.
    each
        Every video is a `segment` run, with a network of its own.
    model
        A model as of `cuemask predict`; nothing is learnt.
    learners
        How many processes of one machine learn the network together, a GPU each (`studies.learners`); None for as many
        as that machine has GPUs, or one.

    Raises
    ------
    InputError
        If `listing` names no videos.
    OutputError
        If `out` holds something else or a study with other options, or another process works on it.
    EngineError, InstallationError
        If the engine cannot be had.
    TrainingError
        If the network cannot be learnt. What goes wrong with one video is told in its row.
    """
    if each and model is not None:
        raise InputError("--each and --model exclude each other.", "With a model nothing is learnt: leave --each out.")
    if learners is not None and (each or model is not None):
        raise InputError("--learners is of the one network that is learnt on all videos.", "Leave it out.")
    options = replace(options, out=options.out.absolute())
    told = _told(options, "each" if each else "model" if model else "one", model)
    with own_folder(options.out, _is_own):
        _begin(options.out, told, on)
        before = read_rows(options.out) if (options.out / STATUS).is_file() else []
        videos = videos_of(listing, {row.source: row.name for row in before if row.name != NETWORK})
        board = _board(options.out, videos, {row.name: row for row in before})
        board.write()
        opened: AbstractContextManager[Executor] = engine(on, options.out) if isinstance(on, str) else nullcontext(on)
        with opened as executor:
            _Coordinator(executor, board, videos, options, learners).run(each=each, model=model)
        if not counts(list(board.rows.values()))["failed"]:
            shutil.rmtree(options.out / PARTS, ignore_errors=True)
    return Study(options.out, [row for row in board.rows.values() if row.name != NETWORK])


@dataclass(frozen=True)
class _Coordinator:
    executor: Executor
    board: Board
    videos: Sequence[Video]
    options: Options
    learners: int | None

    def run(self, *, each: bool, model: Path | None) -> None:
        try:
            if each:
                self._do("segment", self._left())
            elif model is not None:
                self._do("predict", self._left(), _absolute(model))
            else:
                if not is_complete(self.options.out / MODEL):
                    self._learn()
                shutil.rmtree(self.options.out / AHEAD, ignore_errors=True)
                self._do("predict", self._left(), self.options.out / MODEL)
        finally:
            self.board.write()

    def _left(self) -> list[Video]:
        """Videos to be worked on: not done; nor failed, where that was found before."""
        return [video for video in self.videos if self.board.rows[video.name].state == "waiting"]

    def _learn(self) -> None:
        """Keep of each video what learning needs, and learn from those that can be read."""
        from cuemask.runs.ahead import frames_read

        good, ahead = self._read(), self.options.out / AHEAD
        if not good:
            return
        wanted = frames_read([ahead / "cues" / v.name for v in good], self.options.recipe, self.options.seed)
        self._do("pictures", good, wanted={v.name: tuple(frames) for v, frames in zip(good, wanted, strict=True)})
        good = self._good(good)
        if not good:
            return
        options = replace(self._quiet(), ahead=tuple(ahead / "pictures" / v.name for v in good))
        sources = tuple(v.source for v in good)
        unit = Unit("train", NETWORK, sources, self.options.out, options, learners=self.learners)
        self.board.rows[NETWORK] = Row(NETWORK)
        progress = self.options.progress("one network, learnt on all", self._outcomes([unit]), 1)
        (outcome,) = list(progress)
        if outcome.error:
            what, _, remedy = outcome.error.partition("\n")
            raise TrainingError(what, remedy or f"See {self.options.out / TRACES}, then run the same command again.")

    def _read(self) -> list[Video]:
        """As many videos as learning can meet, of which the cues are kept; where some cannot be read, others."""
        from cuemask.learning.pairs import clips_drawn, most_clips

        settings, left, good = self.options.recipe.training, self._left(), list[Video]()
        order = [left[number] for number in clips_drawn(len(left), settings, self.options.seed)]
        while order and len(good) < most_clips(settings):
            some = order[: most_clips(settings) - len(good)]
            order = order[len(some) :]
            self._do("cues", some)
            good += self._good(some)
        names = {video.name for video in good}
        return [video for video in self.videos if video.name in names]

    def _good(self, videos: Sequence[Video]) -> list[Video]:
        """Those that have not failed."""
        return [video for video in videos if self.board.rows[video.name].state == "waiting"]

    def _do(
        self,
        kind: Kind,
        videos: Sequence[Video],
        model: Path | None = None,
        wanted: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
    ) -> None:
        out, options = self.options.out, self._quiet()
        units = [
            Unit(kind, video.name, (video.source,), out, options, model, video.bytes, wanted.get(video.name, ()))
            for video in videos
        ]
        if units:
            words = {"cues": "videos: cues", "pictures": "videos: pictures to learn from"}.get(kind, "videos")
            for _ in self.options.progress(words, self._outcomes(units), len(units)):
                pass

    def _outcomes(self, units: Sequence[Unit]) -> Any:
        for outcome, tries in outcomes(self.executor, units, tick=lambda: self.board.write(now=False)):
            if outcome.trace:
                _keep_trace(self.options.out, outcome)
            if outcome.error or units[0].kind not in ("cues", "pictures"):
                self.board.tell(outcome, tries)
            yield outcome

    def _quiet(self) -> Options:
        """What travels to workers."""
        return replace(self.options, progress=silent, say=unsaid)


def _board(study: Path, videos: Sequence[Video], before: Mapping[str, Row]) -> Board:
    """A row a video, done where its result is whole."""
    rows = [before[NETWORK]] if NETWORK in before and is_complete(study / MODEL) else []
    for video in videos:
        row = Row(video.name, source=video.source, bytes=video.bytes)
        known = before.get(video.name, row)
        if known.source != video.source:
            raise OutputError(
                f"{study}: {video.name} in it is of {known.source}, and not of {video.source}.",
                "Give the video another name in a manifest (NAME, a tab, PATH), or choose another folder with --out.",
            )
        folder = study / VIDEOS / video.name
        if is_complete(folder):
            row = known if known.state == "done" else replace(row, state="done", frames=masked_frames(folder))
        rows.append(row)
    return Board(study, rows)


def _told(options: Options, plan: str, model: Path | None) -> dict[str, Any]:
    told: dict[str, Any] = {name: getattr(options, name) for name in (*_TOLD, *_TOLD_TOO)} | told_of_masks(options)
    told |= {"plan": plan, "selection": vars(options.selection)}
    if model is None:
        told["recipe"] = recipe_as_mapping(options.recipe)
    else:
        open_model(model, options.device, options.provider)  # refused now, and not once a video
        told["model_sha256"] = sha256(model_file(model))
    return json.loads(json.dumps(told, default=str))


def _begin(study: Path, told: Mapping[str, Any], on: str | Executor) -> None:
    """Write what the study is, or refuse to go on with another."""
    make_folder(study)
    before = read_study(study)
    for name in {**before.get("told", {}), **told} if before else {}:
        was, now = before["told"].get(name), told.get(name)
        if was != now:
            raise OutputError(
                f"{study}: holds a study with another {name}: was {_short(was)}, is now {_short(now)}.",
                "Give the same options as before, or choose another folder with --out.",
            )
    values = {
        "cuemask": __version__,
        "study": 1,
        "told": told,
        "on": on if isinstance(on, str) else type(on).__name__,
        "since": round(time.time(), 3),
    }
    write_bytes(study / STUDY, (json.dumps(values, indent=2) + "\n").encode())


def read_study(study: Path) -> dict[str, Any]:
    """What stands in `study.json`: `told` (options), `on` (engine), `since` (when the last coordinator began).

    Empty where there is none.

    Raises
    ------
    OutputError
        If it is damaged.
    """
    is_ours = tells_of_us(study / STUDY, "told")
    if is_ours is False:
        return {}
    if is_ours is None:
        raise OutputError(f"{study / STUDY}: damaged.", f"Choose another folder with --out, or move {study} away.")
    return json.loads((study / STUDY).read_text(encoding="utf-8"))


def _short(value: object) -> str:
    return json.dumps(value)[:80]


def _is_own(study: Path) -> bool:
    return tells_of_us(study / STUDY, "told") is not False  # of a damaged one, `read_study` tells


def _absolute(model: Path) -> Path:
    return model if model == Path(DRAWN) and not model.exists() else model.absolute()


def _keep_trace(study: Path, outcome: Outcome) -> None:
    """The traceback of an error of ours, for a bug report."""
    name = f"{outcome.name.strip('()')}.txt"
    write_bytes(make_folder(study / TRACES) / name, outcome.trace.encode("utf-8", "replace"))
