"""run.json: what a run was told, what it ran on, how long each stage took and what it learnt."""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

from cuemask import __version__
from cuemask.cues.outside import Stretch, as_values
from cuemask.errors import OutputError
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip
from cuemask.media.files import make_folder, write_bytes
from cuemask.media.folders import files_in
from cuemask.media.video import ranges
from cuemask.recipe import Recipe, recipe_as_mapping
from cuemask.runs.manifest import write_manifest
from cuemask.runs.provenance import source, versions
from cuemask.runs.work import WORK, remove_work

# For a run to go on.
_MUST_AGREE = (
    "command",
    "recipe",
    "seed",
    "inputs",
    "crop",
    "stereo",
    "labels",
    "classes",
    "cues",
    "network",
    "masks",
    "model_sha256",
)

_SHARE = 0.05  # of the time, at most, that goes into writing the record of many clips
_QUICK = 0.01  # seconds that writing it may take for it to be written each time

_log = logging.getLogger(__name__)


class RunRecord:
    """The record of one run in `out/run.json`, rewritten whole after each stage.

    Where `was_complete` is true the run was resumed after its end, and all that it made is there: there is nothing to
    do and nothing is written.

    Parameters
    ----------
    out
        The run's folder; made if absent.
    told
        What the run depends on; a resumed run must be told the same.
    resume
        Go on with the run that stands in `out`.
    missing
        Results of a complete run that are gone.

    Raises
    ------
    OutputError
        If `out` cannot be written, holds a run and `resume` is false, or holds another run or a damaged record.
    """

    def __init__(self, out: Path, told: Mapping[str, Any], *, resume: bool, missing: Iterable[Path] = ()) -> None:
        self.path = make_folder(out) / "run.json"
        before = read_record(self.path)
        if before is not None and not resume and not _holds_results(out):
            remove_work(out)  # a run that failed before it made anything: nothing is lost by starting anew
            before = None
        if before is not None:
            _check_same(self.path, before, told, resume=resume)
        self.was_complete = before is not None and before.get("status") == "complete" and not _told_gone(missing)
        if self.was_complete:
            return
        self.values: dict[str, Any] = {
            "cuemask": __version__,
            "status": "running",
            **told,
            "started": before.get("started", _now()) if before else _now(),
            "versions": versions(),
            **({"source": made_of} if (made_of := source()) else {}),
            "machine": {
                "processor": platform.machine(),
                "system": platform.platform(),
                "cores": os.cpu_count(),
            },
            "seconds": dict(before.get("seconds", {})) if before else {},
        }
        for name in ("losses", "weights", "clips", "lost", "damaged", "outside", "text", "labels_met", "manifest"):
            if before and name in before:
                self.values[name] = before[name]
        self._next = 0.0
        self.write()

    @contextmanager
    def stage(self, name: str) -> Generator[None, None, None]:
        """Time a stage, adding to what an earlier, interrupted run spent on it."""
        started = time.monotonic()
        try:
            yield
        finally:
            seconds: dict[str, float] = self.values["seconds"]
            seconds[name] = round(seconds.get(name, 0.0) + time.monotonic() - started, 3)
        self.write(now=False)

    def note(self, **values: Any) -> None:
        """Add entries and write the file."""
        self.values.update(values)
        self.write()

    def complete(self) -> None:
        """Take stock of what the run wrote, and call it complete.

        Raises
        ------
        OutputError
            If that cannot be written.
        """
        remove_work(self.path.parent)
        self.values["manifest"] = write_manifest(self.path.parent, self.values.get("manifest"))
        self.note(status="complete", ended=_now())

    def note_lost(self, clips: Sequence[Clip]) -> None:
        """Name the frames that could not be decoded, and those that may be wrong, of clips that have been streamed."""
        lost = {clip.name: ranges(clip.lost) for clip in clips if clip.lost}
        damaged = {clip.name: ranges(clip.damaged) for clip in clips if clip.damaged}
        found = ({"lost": lost} if lost else {}) | ({"damaged": damaged} if damaged else {})
        if found:
            self.note(**found)

    def note_outside(self, clip: str, stretches: Sequence[Stretch]) -> None:
        """List the frames of a clip that were filmed outside the body, where there are any."""
        if stretches:
            self.values.setdefault("outside", {})[clip] = as_values(stretches)
            self.write(now=False)

    def note_text(self, clip: str, area: PictureArea) -> None:
        """List the boxes of text over a clip's picture, where there are any."""
        if area.text:
            self.values.setdefault("text", {})[clip] = [list(box) for box in area.text]
            self.write(now=False)

    def write(self, *, now: bool = True) -> None:
        """Write the file, whole or not at all; unless `now`, only where the last time is long enough ago.

        Of thousands of clips it has megabytes, which are not to be written thousands of times.
        """
        started = time.monotonic()
        if not now and started < self._next:
            return
        write_bytes(self.path, (json.dumps(self.values, indent=2) + "\n").encode())
        spent = time.monotonic() - started
        self._next = started + max(0.0, spent - _QUICK) / _SHARE


def take_stock_again(out: Path, anew: Callable[[str], bool]) -> None:
    """Make the lines of the manifest of a complete run again for which `anew` is true: a command of ours wrote them.

    A run of a version that kept no manifest still has none.

    Raises
    ------
    OutputError
        If manifest or record cannot be written, or the record is damaged.
    """
    path = out / "run.json"
    values = read_record(path)
    if values is not None and "manifest" in values:
        values["manifest"] = write_manifest(out, values["manifest"], anew)
        write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def is_complete(out: Path) -> bool:
    """Whether a run in `out` came to its end."""
    before = read_record(out / "run.json")
    return before is not None and before.get("status") == "complete"


def told(
    command: str,
    recipe: Recipe,
    seed: int,
    clips: Sequence[Clip],
    crop: tuple[int, int, int, int] | None,
    stereo: str | None = None,
) -> dict[str, Any]:
    """What a run depends on, in JSON's types; reads each input once to hash it."""
    inputs = [
        {
            "clip": clip.name,
            "source": clip.source,
            "sha256": clip.sha256(),
            "width_px": clip.width_px,
            "height_px": clip.height_px,
            "selection": vars(clip.selection),
        }
        for clip in clips
    ]
    return {
        "command": command,
        "recipe": recipe_as_mapping(recipe),
        "seed": seed,
        "inputs": inputs,
        "crop": list(crop) if crop else None,
        "stereo": stereo,
    }


def run_of(folder: Path) -> Path:
    """The run that is meant: its folder, or that of one of its clips."""
    is_clip = not (folder / "run.json").is_file() and (folder.parent / "run.json").is_file()
    return folder.parent if is_clip else folder


def read_record(path: Path) -> dict[str, Any] | None:
    """What stands in a run's `run.json`, or None where there is none.

    Raises
    ------
    OutputError
        If it is damaged: nobody can tell then what the results beside it were made with.
    """
    if not path.is_file():
        return None
    remedy = f"Choose another folder with --out, or move {path.parent} away."
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(values)  # what is nested too deeply to be written is no record either
    except (ValueError, RecursionError) as error:
        raise OutputError(f"{path}: damaged ({str(error)[:80]}).", remedy) from error
    if not isinstance(values, dict) or not _is_times(cast("dict[str, Any]", values).get("seconds", {})):
        raise OutputError(f"{path}: damaged (it is no record of a run).", remedy)
    return cast("dict[str, Any]", values)


def _is_times(values: object) -> bool:
    if not isinstance(values, dict):
        return False
    return all(isinstance(value, (int, float)) for value in cast("dict[str, Any]", values).values())


def _told_gone(missing: Iterable[Path]) -> bool:
    """Whether anything is missing; the first few are named in a warning."""
    first = list(islice(missing, 4))
    if first:
        named = ", ".join(str(path) for path in first[:3]) + (" and more" if len(first) > 3 else "")
        _log.warning("the run is complete, but %s cannot be found; what is gone is made again.", named)
    return bool(first)


def _holds_results(out: Path) -> bool:
    """Whether a run left anything that took time to make, or somebody put something beside it."""
    of_nothing = (out / "run.json", out / WORK)
    others = (path for path in files_in(out) if path not in of_nothing and out / WORK not in path.parents)
    return (out / WORK / "checkpoint.pt").exists() or next(others, None) is not None


def _check_same(path: Path, before: Mapping[str, Any], told: Mapping[str, Any], *, resume: bool) -> None:
    if not resume:
        raise OutputError(
            f"{path.parent}: holds a run already ({_short(before.get('status', 'unknown'))}).",
            "Go on with it: the same command with --resume; or choose another folder with --out.",
        )
    now = json.loads(json.dumps(told))
    for name in _MUST_AGREE:
        if before.get(name) != now.get(name):
            raise OutputError(
                f"{path.parent}: holds a run with another {name}: {_difference(before.get(name), now.get(name))}.",
                "Give the same inputs and options as before, or choose another folder with --out.",
            )


def _difference(before: Any, now: Any) -> str:
    """The first place where two nested values differ, both values shown."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            if before.get(key) != now.get(key):
                return f"{key} {_difference(before.get(key), now.get(key))}".strip()
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return next(_difference(b, n) for b, n in zip(before, now, strict=True) if b != n)
    return f"was {json.dumps(before)[:80]}, is now {json.dumps(now)[:80]}"


def _short(status: object) -> str:
    return status if status in ("running", "complete") else json.dumps(status)[:80]
