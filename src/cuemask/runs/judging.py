"""What `cuemask evaluate` found of a run, kept in it, so that its report shows it."""

from __future__ import annotations

import logging
from pathlib import Path

from cuemask.errors import OutputError
from cuemask.evaluation.results import Evaluation
from cuemask.evaluation.tables import json_of
from cuemask.media.files import write_bytes
from cuemask.runs.record import is_complete, run_of
from cuemask.runs.reporting import REPORT, write_report
from cuemask.runs.work import run_folder

FIGURES = "evaluation.json"

_log = logging.getLogger(__name__)


def keep_figures(predicted: Path, found: Evaluation) -> Path | None:
    """Write `evaluation.json` into a run, or the clip of one, that was evaluated, and its page again if it has one.

    What an earlier evaluation left there is replaced. A run that cannot be written, or that another process works in,
    is left as it is, with a warning.

    Parameters
    ----------
    predicted
        What was evaluated.

    Returns
    -------
    The file; None where `predicted` is no complete run, nor a clip of one, or could not be written.
    """
    folder = run_of(predicted)
    try:
        if not is_complete(folder):
            return None
        with run_folder(folder):
            write_bytes(predicted / FIGURES, (json_of(found.as_json()) + "\n").encode())
            if (folder / REPORT).is_file():
                write_report(folder)
    except OutputError as error:
        _log.warning("the figures were not kept in the run: %s", error.what)
        return None
    return predicted / FIGURES
