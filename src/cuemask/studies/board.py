"""`status.csv`: a line a video, rewritten whole; what is done, waits, runs or has failed."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal, cast, get_args

from cuemask.errors import InputError
from cuemask.media.files import write_bytes
from cuemask.media.locks import holder_of
from cuemask.studies.work import PARTS, Outcome, part_name

STATUS = "status.csv"
NETWORK = "(network)"
State = Literal["waiting", "running", "done", "failed"]
_SHARE = 0.05  # of the time, at most, that goes into writing the table


@dataclass(frozen=True)
class Row:
    """A video of a study, or the network that is learnt on all.

    Attributes
    ----------
    name
        The folder of its results is `videos/<name>`; the network's is called (network), its folder `model`.
    state
        `running`: a worker has said that it is at it.
    frames
        That have masks.
    seconds
        That the last worker needed.
    machine
        Which works on it, or did.
    tries
        How often it was given to a worker by the coordinator that wrote last.
    ended
        When that was, in seconds since 1970; 0 where it has not.
    error, notes
        The last error's own words; warnings.
    source, bytes
        As of `videos.Video`.
    """

    name: str
    state: State = "waiting"
    frames: int = 0
    seconds: float = 0.0
    machine: str = ""
    tries: int = 0
    ended: float = 0.0
    error: str = ""
    notes: str = ""
    source: str = ""
    bytes: int | None = None


class Board:
    """The rows of a study, kept by its coordinator."""

    def __init__(self, study: Path, rows: Iterable[Row]) -> None:
        self.study = study
        self.rows = {row.name: row for row in rows}
        self._next = 0.0

    def tell(self, outcome: Outcome, tries: int) -> None:
        """Note what came of a unit for good."""
        self.rows[outcome.name] = replace(
            self.rows[outcome.name],
            state="failed" if outcome.error else "done",
            frames=outcome.frames,
            seconds=outcome.seconds,
            machine=outcome.machine,
            tries=tries,
            ended=round(time.time(), 3),
            error=" ".join(outcome.error.split("\n")),
            notes=" ".join(outcome.notes),
        )

    def write(self, *, now: bool = True) -> None:
        """Write the table; unless `now`, only where the last time is long enough ago."""
        started = time.monotonic()
        if not now and started < self._next:
            return
        rows = running(self.study, list(self.rows.values()))
        write_bytes(self.study / STATUS, as_csv(rows).encode())
        spent = time.monotonic() - started
        self._next = started + max(1.0, spent / _SHARE)


def as_csv(rows: Sequence[Row]) -> str:
    """The table."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if value is None else value for key, value in asdict(row).items()})
    return text.getvalue()


def read_rows(study: Path) -> list[Row]:
    """The rows of a study, and which of those that wait a worker says it is at.

    Raises
    ------
    InputError
        If there is no such study, or its table is damaged.
    """
    path = study / STATUS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return running(study, [_row(line) for line in csv.DictReader(file)])
    except FileNotFoundError as error:
        raise InputError(f"{study}: holds no study (no {STATUS}).", "Give the --out of cuemask batch.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: damaged ({error}).", "Write it again: the same cuemask batch command as before."
        ) from error


def _row(line: dict[str, str]) -> Row:
    if line["state"] not in get_args(State):
        raise ValueError(f"state {line['state']!r}")
    return Row(
        line["name"],
        cast("State", line["state"]),
        int(line["frames"]),
        float(line["seconds"]),
        line["machine"],
        int(line["tries"]),
        float(line["ended"]),
        line["error"],
        line["notes"],
        line["source"],
        int(line["bytes"]) if line["bytes"] else None,
    )


def running(study: Path, rows: Sequence[Row]) -> list[Row]:
    """Rows with `running` for those that wait and that a worker holds."""
    held = {lock.name.rpartition(".")[0].rpartition(".")[0]: lock for lock in (study / PARTS).glob("*.lock")}
    found: list[Row] = []
    for row in rows:
        if row.state in ("waiting", "running"):
            lock = held.get(part_name(row.name))
            holder = holder_of(lock) if lock else {}
            row = replace(row, state="running" if holder else "waiting", machine=str(holder.get("machine", "")))
        found.append(row)
    return found


def counts(rows: Sequence[Row]) -> Counter[State]:
    """How many videos are in each state."""
    return Counter(row.state for row in rows if row.name != NETWORK)


def seconds_left(rows: Sequence[Row], since: float, now: float) -> float | None:
    """How long the others will take if they go as those that have ended since; None where none has.

    A video counts by its size, where the sizes of all are known.
    """
    videos = [row for row in rows if row.name != NETWORK]
    by_size = all(row.bytes for row in videos)

    def weight(row: Row) -> float:
        return float(row.bytes or 0) if by_size else 1.0

    gone = sum(weight(row) for row in videos if row.state == "done" and row.ended > since)
    left = sum(weight(row) for row in videos if row.state in ("waiting", "running"))
    if not left:
        return 0.0
    return left * (now - since) / gone if gone and now > since else None
