"""Shapes in the types are checked in every test run; real frames are found or skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Speed is measured in benchmarks, never asserted; the same examples everywhere in CI.
settings.register_profile("cuemask", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("cuemask")

install_import_hook("cuemask", "beartype.beartype")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real surgical frames; skips where it is absent."""
    folder = Path(os.environ.get("CUEMASK_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real frames: {folder} is absent; set CUEMASK_DATA")
    return folder
