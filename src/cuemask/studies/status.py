"""`cuemask status`: how far a study is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cuemask.media.folders import LOCK
from cuemask.media.locks import holder_of
from cuemask.report.words import duration
from cuemask.studies.batch import read_study
from cuemask.studies.board import NETWORK, Row, counts, read_rows, seconds_left

_MOST = 20


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes
    ----------
    study
        Its folder.
    rows
        A row a video, and one of the network where one is learnt on all.
    coordinator
        Who works on it, or was killed while it did; empty where nobody does.
    left_seconds
        How long the rest takes; None where nothing tells.
    """

    study: Path
    rows: Sequence[Row]
    coordinator: str
    left_seconds: float | None

    @property
    def is_over(self) -> bool:
        """Whether nobody works on it any more."""
        return not self.coordinator

    def lines(self) -> list[str]:
        """What to tell."""
        found = counts(self.rows)
        states = ", ".join(f"{found[state]:,} {state}" for state in ("done", "running", "waiting", "failed"))
        frames = sum(row.frames for row in self.rows)
        lines = [f"{self.study}: {states}; {frames:,} frames masked"]
        network = next((row for row in self.rows if row.name == NETWORK), None)
        if network is not None and network.state != "done":
            lines.append(f"the network that is learnt on all: {network.state}{_at(network)}")
        if self.is_over and found["waiting"] + found["running"] + found["failed"]:
            lines.append("nobody works on it: the same cuemask batch command goes on, and tries again what failed")
        elif not self.is_over:
            left = "" if not self.left_seconds else f"; about {duration(self.left_seconds)} left"
            lines.append(f"coordinated by {self.coordinator}{left}")
        lines += [f"running  {row.name}{_at(row)}" for row in self._in("running")]
        lines += [f"failed   {row.name}: {row.error}" for row in self._in("failed")]
        return lines

    def _in(self, state: str) -> list[Row]:
        return [row for row in self.rows if row.state == state and row.name != NETWORK][:_MOST]


def status(study: Path) -> Status:
    """How far a study is, as its coordinator last wrote and its workers say.

    Raises
    ------
    InputError
        If there is no study.
    """
    rows, now = read_rows(study), time.time()
    holder = holder_of(study / LOCK)
    who = f"process {holder.get('pid')} on {holder.get('machine')} since {holder.get('since')}" if holder else ""
    since = float(read_study(study).get("since", now))
    return Status(study, rows, who, seconds_left(rows, since, now))


def _at(row: Row) -> str:
    return f" on {row.machine}" if row.machine else ""
