"""What reviewers decide, on disk: masks and `reviews.csv`, whole or not at all, also where several programs write them.

The folder is one that `--labels` takes: `<clip>/<frame>.png`, 0 and 255, of what was accepted, corrected or found to be
empty. Strokes that nobody has decided on are drafts, hidden beside these.
"""

from __future__ import annotations

import csv
import io
import os
import threading
import time
from collections.abc import Collection, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool

from cuemask.errors import OutputError
from cuemask.media.files import hidden_beside, make_folder, output_errors, write_bytes
from cuemask.media.locks import locked
from cuemask.media.masks import read_mask, write_mask
from cuemask.web.review_holds import Hold, Holds

Decision = Literal["accepted", "corrected", "empty", "rejected"]
REVIEWS, HOLDS, TURN = "reviews.csv", ".holds.json", ".turn.lock"
COLUMNS = ("clip", "frame", "decision", "annotator", "time_utc", "seconds")
_PATIENCE_SECONDS = 10.0
_LONGEST_NAME = 60


class Review(NamedTuple):
    """A line of `reviews.csv`."""

    clip: str
    frame: str
    decision: Decision
    annotator: str
    time_utc: str
    seconds: float


@dataclass(frozen=True)
class Taken:
    """Why nothing was written: somebody else has the frame, or has had it since."""

    by: str
    is_now: bool


class Corrections:
    """The folder `RUN/corrections`.

    Parameters
    ----------
    folder
        Made with the first thing that is written.
    frames
        The names of each clip's frames: nothing else is ever written or read.
    """

    def __init__(self, folder: Path, frames: Mapping[str, Collection[str]]) -> None:
        self.folder = folder
        self._frames = frames
        self._read = threading.Lock()
        self._turn = threading.Lock()
        self._holds = Holds(folder / HOLDS)
        self._reviews: list[Review] = []
        self._offset = 0

    def reviews(self) -> list[Review]:
        """All decisions, the latest last; those that other programs made are seen too."""
        with self._read:
            table = self.folder / REVIEWS
            if table.is_file():
                with table.open("rb") as file:
                    file.seek(self._offset)
                    data = file.read()
                whole = data[: data.rfind(b"\n") + 1]  # a killed program leaves half a line
                self._offset += len(whole)
                rows = csv.reader(io.StringIO(whole.decode("utf-8", "replace"), newline=""))
                self._reviews += [review for row in rows if (review := _review(row)) is not None]
            return list(self._reviews)

    def drawn(self) -> list[tuple[str, str]]:
        """Clip and frame of all masks that are there, also of those that were put there by hand."""
        found = list[tuple[str, str]]()
        for clip, names in self._frames.items():
            folder = self.folder / clip
            stems = {path.stem for path in folder.iterdir()} if folder.is_dir() else set[str]()
            found += [(clip, name) for name in names if name in stems]
        return found

    def mask(self, clip: str, frame: str) -> tuple[Bool[np.ndarray, "H W"], bool] | None:
        """The mask of a frame and whether it is a draft; None where there is neither draft nor correction.

        Raises
        ------
        PictureError
            If it cannot be read.
        """
        for path, is_draft in zip(self._places(clip, frame), (True, False), strict=True):
            if path.is_file():
                return read_mask(path) > 0, is_draft
        return None

    def version(self, clip: str, frame: str) -> str:
        """Changes with whatever is written of a frame."""
        found = (path.stat().st_mtime_ns if path.is_file() else 0 for path in self._places(clip, frame))
        return "-".join(map(str, found))

    def hold(self, clip: str, frame: str, tab: str, annotator: str) -> Taken | None:
        """Take a frame for a tab of a reviewer's, or keep it; None where that is done.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        with self._our_turn():
            return self._told(self._holds.take(Hold(clip, frame, tab, annotator)))

    def release(self, tab: str) -> None:
        """Let go of the frame that a tab holds."""
        with self._our_turn():
            self._holds.release(tab)

    def held(self) -> list[Hold]:
        """Who holds what now."""
        return self._holds.now()

    def keep_draft(self, clip: str, frame: str, tab: str, mask: Bool[np.ndarray, "H W"] | None) -> Taken | None:
        """Keep what a tab has drawn so far, or with None nothing of it; None where that is done.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        path = self._draft(clip, frame)
        with self._our_turn():
            if (other := self._holds.owner(clip, frame, tab)) is not None:
                return self._told(other)
            if mask is None:
                path.unlink(missing_ok=True)
            else:
                make_folder(path.parent)
                write_mask(path, mask)
        return None

    def decide(
        self, review: Review, tab: str, mask: Bool[np.ndarray, "H W"] | None, *, only_new: bool = False
    ) -> Taken | None:
        """Write a decision, and before it the mask that it stands for; None where that is done.

        Parameters
        ----------
        mask
            What is in the frame; None (of a rejected frame) removes what was there.
        only_new
            Of a mask that was carried here: not where anybody decided before.

        Raises
        ------
        OutputError
            If it cannot be written. What was there before then is.
        """
        clip, frame = review.clip, review.frame
        path = self._path(clip, frame)
        with self._our_turn():
            other = self._holds.in_the_way(clip, frame, tab) if only_new else self._holds.owner(clip, frame, tab)
            if other is not None:
                return self._told(other)
            if only_new and path.is_file():
                return Taken("", is_now=False)
            make_folder(path.parent)
            if mask is None:
                path.unlink(missing_ok=True)
            else:
                write_mask(path, mask)
            self._append(review)
            self._draft(clip, frame).unlink(missing_ok=True)
        return None

    def _append(self, review: Review) -> None:
        """A whole line or none."""
        table = self.folder / REVIEWS
        if not table.is_file():
            write_bytes(table, _line(COLUMNS))
        line = _line((*review[:-1], f"{review.seconds:.1f}"))
        with output_errors(table), table.open("r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line
            try:
                file.seek(end)
                if file.write(line) < len(line):
                    raise OSError(28, os.strerror(28))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise

    def _path(self, clip: str, frame: str) -> Path:
        if frame not in self._frames.get(clip, ()):
            raise KeyError(f"{clip}/{frame}")
        return self.folder / clip / f"{frame}.png"

    def _draft(self, clip: str, frame: str) -> Path:
        return hidden_beside(self._path(clip, frame), ".draft.png")

    def _places(self, clip: str, frame: str) -> tuple[Path, Path]:
        """Where the mask of a frame may lie: what was drawn last counts."""
        return self._draft(clip, frame), self._path(clip, frame)

    def _told(self, other: Hold | None) -> Taken | None:
        return None if other is None else Taken(other.annotator, is_now=other.is_now)

    @contextmanager
    def _our_turn(self) -> Generator[None, None, None]:
        """While nobody else writes here, in this program or another."""
        make_folder(self.folder)
        with self._turn, ExitStack() as stack:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while True:
                try:
                    stack.enter_context(locked(self.folder / TURN, self.folder))
                    break
                except OutputError as error:
                    if error.__cause__ is not None or time.monotonic() > deadline:  # a full disk has a cause
                        raise
                time.sleep(0.01)
            yield


def now_utc() -> str:
    """The time as it stands in `reviews.csv`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def annotator_name(told: str) -> str:
    """A reviewer's name as it is written: short, of one line, and no formula of a spreadsheet."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in told).split())
    return words.lstrip("=+-@")[:_LONGEST_NAME].strip() or "unnamed"


def _line(values: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()


def _review(row: list[str]) -> Review | None:
    if len(row) != len(COLUMNS):
        return None
    for decision in get_args(Decision):
        if row[2] == decision:
            try:
                return Review(row[0], row[1], decision, row[3], row[4], float(row[5]))
            except ValueError:
                return None
    return None
