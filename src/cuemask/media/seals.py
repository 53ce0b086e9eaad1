"""What an interrupted run left, sealed: a file that has changed since is not gone on with.

A damaged file may be read without complaint, and what is made of it would be wrong in silence.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from cuemask.media.files import sha256, write_bytes

_log = logging.getLogger(__name__)


def seal(folder: Path, name: str, files: Sequence[str]) -> None:
    """Write `folder/name`, the SHA-256 of each of `files` in `folder`; to be written last, when all are whole.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_bytes(folder / name, json.dumps({file: sha256(folder / file) for file in files}).encode())


def is_sealed(folder: Path, name: str, files: Sequence[str]) -> bool:
    """Whether `files` are as they were when `seal` was called; a file that is not is named in a warning."""
    try:
        sealed = json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        return False  # not come to its end
    except (OSError, ValueError, RecursionError):
        sealed = None
    if not isinstance(sealed, dict) or sealed.keys() != set(files):
        _log.warning("%s: damaged; what belongs to it is made again.", folder / name)
        return False
    for file in files:
        if not (folder / file).is_file() or sha256(folder / file) != sealed[file]:
            _log.warning("%s: gone or damaged; it is made again.", folder / file)
            return False
    return True
