"""The folder of a run, and the hidden one in it for what it needs to go on, removed when the run is complete."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cuemask.media.files import output_errors
from cuemask.media.folders import own_folder, tells_of_us

WORK = ".work"


def remove_work(out: Path) -> None:
    """Remove the work folder of the run in `out`, if there is one.

    Raises
    ------
    OutputError
        If it cannot be removed: it is no part of a complete run. What a network disk keeps of a file that somebody has
        open stays.
    """
    with output_errors(out / WORK):
        try:
            shutil.rmtree(out / WORK)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY):
                raise


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
