"""Who has which frame open, on disk, so that reviewers with a program each see it too.

A hold that nobody renews expires.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cuemask.media.files import write_bytes

HOLD_SECONDS = 60.0
_FORGOTTEN_SECONDS = 86_400.0


@dataclass(frozen=True)
class Hold:
    """A frame that a tab of a reviewer's has open.

    Attributes
    ----------
    until
        Seconds since 1970; later on others may take it. While nobody does, it is still the tab's to write.
    """

    clip: str
    frame: str
    tab: str
    annotator: str
    until: float = 0.0

    @property
    def is_now(self) -> bool:
        """Whether it has not expired."""
        return self.until > time.time()


class Holds:
    """The file of holds. Who calls `take` or `release` sees to it that nobody else does meanwhile."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> list[Hold]:
        """All that have not expired."""
        return [hold for hold in self._all() if hold.is_now]

    def take(self, wanted: Hold) -> Hold | None:
        """Take or renew a hold, and let go of the tab's others; who has it now instead, or None."""
        holds = self._all()
        other = _in_the_way(holds, wanted.clip, wanted.frame, wanted.tab)
        if other is not None:
            return other
        kept = [hold for hold in holds if hold.tab != wanted.tab and not _is_of(hold, wanted.clip, wanted.frame)]
        self._write([*kept, Hold(wanted.clip, wanted.frame, wanted.tab, wanted.annotator, time.time() + HOLD_SECONDS)])
        return None

    def release(self, tab: str) -> None:
        """Let go of what a tab holds."""
        holds = self._all()
        kept = [hold for hold in holds if hold.tab != tab]
        if len(kept) < len(holds):
            self._write(kept)

    def in_the_way(self, clip: str, frame: str, tab: str) -> Hold | None:
        """Who else holds the frame now."""
        return _in_the_way(self._all(), clip, frame, tab)

    def owner(self, clip: str, frame: str, tab: str) -> Hold | None:
        """None where the tab may write the frame: it took it, and nobody has since. Else who has it or had it."""
        for hold in self._all():
            if _is_of(hold, clip, frame):
                return None if hold.tab == tab else hold
        return Hold(clip, frame, "", "")

    def _all(self) -> list[Hold]:
        try:
            rows = json.loads(self._file.read_text(encoding="utf-8"))
            return [Hold(**row) for row in rows]
        except (OSError, ValueError, TypeError):
            return []

    def _write(self, holds: list[Hold]) -> None:
        kept = [asdict(hold) for hold in holds if hold.until > time.time() - _FORGOTTEN_SECONDS]
        write_bytes(self._file, json.dumps(kept).encode())


def _is_of(hold: Hold, clip: str, frame: str) -> bool:
    return (hold.clip, hold.frame) == (clip, frame)


def _in_the_way(holds: list[Hold], clip: str, frame: str, tab: str) -> Hold | None:
    return next((hold for hold in holds if _is_of(hold, clip, frame) and hold.tab != tab and hold.is_now), None)
