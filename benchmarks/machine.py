"""What every benchmark says of the machine it ran on, and where the real frames lie."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = ("numpy", "opencv-contrib-python-headless", "torch", "av")


def data_folder() -> Path:
    """The folder of real frames: $CUEMASK_DATA, else ../shared/data; ends the benchmark where it is absent."""
    folder = Path(os.environ.get("CUEMASK_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        sys.exit(f"no real frames: {folder} is absent; set CUEMASK_DATA")
    return folder


def machine() -> str:
    """Processor, cores and versions in one line."""
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in PACKAGES)
    return f"{processor()}, {os.cpu_count()} cores, python {platform.python_version()}, {versions}"


def processor() -> str:
    """The processor's name where Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
