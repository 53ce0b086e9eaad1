"""Shapes in the types are checked in every test run; real frames are found or skipped."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.machine import BROWSERS, browser_place
from hypothesis import settings
from jaxtyping import install_import_hook

import cuemask

# Side by side on a few processors, every process keeps to one; said before torch and OpenCV count them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Hundreds of children find their modules compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Speed is measured in benchmarks, never asserted; the same examples everywhere in CI.
settings.register_profile("cuemask", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("cuemask")

install_import_hook("cuemask", "beartype.beartype")

# Modules that import libraries which not all have, by these.
NEED = {"cuemask.studies.dask": "distributed", "cuemask.studies.slurm": "submitit"}

# All of them now: the hook takes modules apart into trees, which Python cannot do in two threads at once.
for module in pkgutil.walk_packages(cuemask.__path__, "cuemask."):
    is_lacking = module.name in NEED and importlib.util.find_spec(NEED[module.name]) is None
    if not module.name.endswith("__main__") and not is_lacking:
        importlib.import_module(module.name)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real surgical frames; skips where it is absent."""
    folder = Path(os.environ.get("CUEMASK_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real frames: {folder} is absent; set CUEMASK_DATA")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
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
