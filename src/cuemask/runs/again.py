"""Learning again from what reviewers corrected: `cuemask segment --labels` as a program of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cuemask.errors import InputError
from cuemask.media.files import make_folder, output_errors, write_bytes
from cuemask.media.mask_folders import place_of_masks
from cuemask.recipe import recipe_as_toml, recipe_from_mapping
from cuemask.runs.record import read_record

PROGRESS = "CUEMASK_PROGRESS"  # set to `lines`, progress is told as a line of JSON now and then
_RECIPE = ".recipe.toml"
_ENDING_SECONDS = 20.0
_LINES = 12


class LearningAgain:
    """One run that learns from corrections, at a time.

    Parameters
    ----------
    run
        The folder of the run that is reviewed; it is not changed.
    record
        Its record.
    sources
        What it read, as it can be given to `cuemask segment`.
    corrections
        The folder of masks to learn from.
    """

    def __init__(self, run: Path, record: Mapping[str, Any], sources: Sequence[str], corrections: Path) -> None:
        self._run, self._record, self._sources, self._corrections = run, record, sources, corrections
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._state, self._out = "idle", Path()
        self._told: dict[str, Any] = {}
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._began = self._ended = 0.0

    def start(self) -> None:
        """Begin, unless it is under way; the new run lies beside the old one.

        Raises
        ------
        InputError
            If nothing was corrected yet.
        OutputError
            If nothing can be written beside the run.
        """
        with self._lock:
            if self._state == "running":
                return
            if not any(path for path in self._corrections.glob("*/*.png") if not path.name.startswith(".")):
                raise InputError(f"{self._corrections}: nothing to learn from.", "Accept or correct some frames first.")
            self._out = self._free_place()
            command = [sys.executable, "-m", "cuemask", *self.command()]
            self._told, self._state, self._began = {}, "running", time.monotonic()
            self._lines.clear()
            environment = {**os.environ, PROGRESS: "lines"}
            with output_errors(self._out):
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for us, who then stop it in order
                )
            threading.Thread(target=self._listen, args=(self._child,), name="learning again", daemon=True).start()

    def command(self) -> list[str]:
        """The arguments of cuemask: the run's own inputs, recipe and classes, and the corrections as labels."""
        record = self._record
        if "network" in record:
            raise InputError(
                f"{self._run}: its network is one of your own, which cannot be made from here.", self._in_python()
            )
        recipe = make_folder(self._corrections) / _RECIPE
        write_bytes(recipe, recipe_as_toml(recipe_from_mapping(record["recipe"])).encode())
        selection: dict[str, Any] = record["inputs"][0]["selection"]
        options = {
            "--labels": self._corrections,
            "--out": self._out,
            "--recipe": recipe,
            "--seed": record.get("seed", 0),
            "--every": selection.get("every", 1),
            "--fps": selection.get("frames_per_second"),
            "--start": selection.get("start_seconds"),
            "--end": selection.get("end_seconds"),
            "--crop": ",".join(map(str, record["crop"])) if record.get("crop") else None,
            "--stereo": record.get("stereo"),
            "--masks": record.get("masks"),
            "--classes": record.get("classes", {}).get("given"),
        }
        given = [str(part) for name, value in options.items() if value is not None for part in (name, value)]
        return ["segment", *given, *self._cues(), "--", *self._sources]

    def _cues(self) -> list[str]:
        """Cues of one's own, with the folders that they had; their weights stand in the recipe."""
        told: Sequence[Mapping[str, str]] = self._record.get("cues", ())
        if made := [cue["name"] for cue in told if "folder" not in cue]:
            raise InputError(
                f"{self._run}: its cue {made[0]!r} is a function in Python, which cannot be called from here.",
                self._in_python(),
            )
        return [word for cue in told for word in ("--cue", f"{cue['name']}={cue['folder']}")]

    def _in_python(self) -> str:
        return f"Learn again in Python: cuemask.segment(..., labels={str(self._corrections)!r})"

    def stop(self) -> None:
        """End it; what is done is kept, and `--resume` goes on with it."""
        with self._lock:
            child, is_running = self._child, self._state == "running"
            if child is None or not is_running:
                return
            self._state = "stopped"
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_ENDING_SECONDS)
        if child.poll() is None:
            child.kill()
            child.wait()

    def status(self) -> Mapping[str, Any]:
        """How it fares: `state` (idle, running, done, stopped or failed), what is going on, and where it is written."""
        seconds = (self._ended if self._ended > self._began else time.monotonic()) - self._began
        return {
            "state": self._state,
            "out": "" if self._state == "idle" else str(self._out),
            "seconds": round(seconds, 1) if self._began else 0.0,
            "lines": list(self._lines),
            **self._told,
        }

    def masks(self, clip: str) -> Path | None:
        """The folder or film of the masks that came of it; None before it is done."""
        return place_of_masks(self._out / clip) if self._state == "done" else None

    def _free_place(self) -> Path:
        for number in range(1, 10_000):
            place = self._run.with_name(f"{self._run.name}-again{number}")
            if not os.path.lexists(place):
                return place
        raise InputError(f"{self._run}: learnt again too often.", "Remove some of the runs beside it.")

    def _listen(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        with child.stdout as lines:
            for line in lines:
                told = _progress(line)
                if told is not None:
                    self._told = told
                elif line.strip():
                    self._lines.append(line.rstrip()[:500])
        code = child.wait()
        record = None
        with suppress(Exception):
            record = read_record(self._out / "run.json")
        is_done = code == 0 and record is not None and record.get("status") == "complete"
        if is_done:
            self._hand_on()
        with self._lock:
            self._ended = time.monotonic()
            if self._state == "running":
                self._state = "done" if is_done else "failed"

    def _hand_on(self) -> None:
        """What was decided is known in the new run too: whoever reviews that one adds to it."""
        hidden = shutil.ignore_patterns(".*")
        try:
            shutil.copytree(self._corrections, self._out / self._corrections.name, ignore=hidden)
        except (OSError, shutil.Error) as error:
            self._lines.append(f"The corrections were not copied into the new run: {error}"[:500])


def _progress(line: str) -> dict[str, Any] | None:
    """What a line of progress says; None of another line."""
    if not line.startswith('{"progress":'):
        return None
    try:
        told = json.loads(line)
        return {"progress": str(told["progress"]), "count": int(told["count"]), "total": told["total"]}
    except (ValueError, KeyError, TypeError):
        return None
