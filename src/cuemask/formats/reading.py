"""JSON of others: read whole or refused, never trusted for its types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cuemask.errors import InputError
from cuemask.formats.frames import malformed
from cuemask.media.files import refuse_special


def read_json(path: Path) -> Any:
    """What stands in a JSON file.

    Raises
    ------
    InputError
        If the file cannot be read or is no JSON.
    """
    refuse_special(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise malformed(str(path), f"no JSON ({str(error)[:80]})") from error


def listed(value: Any, source: str) -> list[dict[str, Any]]:
    """A list of records, which `value` should be.

    Raises
    ------
    InputError
        If it is anything else.
    """
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise malformed(source, "a list of records is missing where the format has one")
    return value


def unreadable(path: Path, error: OSError) -> InputError:
    """What to say of a file that the system does not give."""
    return InputError(f"{path}: cannot be read ({error.strerror or error}).", "Check the path, then run again.")
