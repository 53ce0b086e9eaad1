"""A browser without a window, for tests of pages; where there is none, they skip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.machine import BROWSERS, browser_place


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium, driven by Playwright: one that is installed, or Playwright's own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'cuemask[dev]'")
    with playwright.sync_playwright() as driver:
        found = browser_place() or driver.chromium.executable_path
        if not Path(found).is_file():
            pytest.skip(
                f"no browser: run `playwright install chromium`, install one of {', '.join(BROWSERS)}, "
                "or name one in $CUEMASK_BROWSER"
            )
        opened = driver.chromium.launch(executable_path=found, headless=True, args=["--disable-gpu"])
        yield opened
        opened.close()
