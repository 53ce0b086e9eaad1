"""The hidden folder in which a run keeps what it needs to go on; removed when the run is complete."""

from __future__ import annotations

import shutil
from pathlib import Path

WORK = ".work"


def remove_work(out: Path) -> None:
    """Remove the work folder of the run in `out`, if there is one."""
    shutil.rmtree(out / WORK, ignore_errors=True)
