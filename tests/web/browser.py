"""A browser without a window, for tests of pages; where there is none, they skip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium, driven by Playwright."""
    found = os.environ.get("CUEMASK_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: install one of {', '.join(NAMES)}, or name it in $CUEMASK_BROWSER")
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'cuemask[dev]'")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, headless=True, args=["--disable-gpu"])
        yield opened
        opened.close()
