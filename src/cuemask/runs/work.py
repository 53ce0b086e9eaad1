"""The folder of a run, and the hidden one in it for what it needs to go on, removed when the run is complete."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cuemask.media.folders import own_folder, tells_of_us

WORK = ".work"


def remove_work(out: Path) -> None:
    """Remove the work folder of the run in `out`, if there is one."""
    shutil.rmtree(out / WORK, ignore_errors=True)


@contextmanager
def run_folder(out: Path) -> Generator[None, None, None]:
    """Take `out` for one run of this process while the block runs.

    Raises
    ------
    OutputError
        If `out` holds anything but a run of ours, another process writes it, or it cannot be written.
    """
    with own_folder(out, _holds_run):
        yield


def _holds_run(out: Path) -> bool:
    return tells_of_us(out / "run.json", "command") is not False  # of a damaged one, `RunRecord` tells
