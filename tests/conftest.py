"""Shapes in the types are checked in every test run; real frames are found or skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser that playwright drives: CUEMASK_BROWSER, or a Chromium on the PATH; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("CUEMASK_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no browser: neither CUEMASK_BROWSER nor a Chromium on the PATH")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, headless=True)
        yield opened
        opened.close()
