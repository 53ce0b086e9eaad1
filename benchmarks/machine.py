"""What every benchmark says of the machine it ran on, and where the real frames lie."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("numpy", "opencv-contrib-python-headless", "torch", "onnxruntime", "openvino", "av")


def data_place() -> Path:
    """Where real frames should lie: $CUEMASK_DATA, else ../shared/data."""
    return Path(os.environ.get("CUEMASK_DATA", Path(__file__).parents[2] / "shared" / "data"))


def data_folder() -> Path:
    """The folder of real frames; ends the benchmark where it is absent."""
    folder = data_place()
    if not folder.is_dir():
        sys.exit(f"no real frames: {folder} is absent; set CUEMASK_DATA")
    return folder


def browser_place() -> str | None:
    """A Chromium for pages: $CUEMASK_BROWSER, or one that is installed; None without one."""
    return os.environ.get("CUEMASK_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)


def machine() -> str:
    """Processor, threads and versions in one line."""
    return ", ".join(f"{key} {value}" for key, value in facts().items())


def facts() -> dict[str, str]:
    """Processor, threads, load when asked, and versions of what computes."""
    found = {"processor": processor(), "threads": str(len(os.sched_getaffinity(0)))}
    found["load"] = f"{os.getloadavg()[0]:.1f}"
    found["python"] = platform.python_version()
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's name where Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
