"""Peak resident memory of `cuemask segment` against the length of the video.

    python -m benchmarks.memory [--frames 100,1000] [--set key=value ...]

Each length is a process of its own on a phantom clip; few training steps, since their number does not depend
on the length.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import machine
from cuemask.phantom import write_phantom


def main() -> None:
    """Print peak memory and seconds for each length, and the ratio of the last to the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", default="100,1000")
    parser.add_argument("--set", dest="settings", action="append", default=["training.steps=20"])
    arguments = parser.parse_args()
    print(machine())
    peaks: list[float] = []
    for frames in map(int, arguments.frames.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            video = write_phantom(Path(folder) / "phantom", frames, 0).video
            started = time.monotonic()
            peaks.append(peak_megabytes(video, Path(folder) / "out", arguments.settings))
            print(f"{frames:>7} frames  {peaks[-1]:8.0f} MB  {time.monotonic() - started:6.1f} s", flush=True)
    print(f"last over first: {peaks[-1] / peaks[0]:.3f}")


def peak_megabytes(video: Path, out: Path, settings: list[str]) -> float:
    """Peak resident memory of one run, in megabytes."""
    flags = [flag for setting in settings for flag in ("--set", setting)]
    command = [sys.executable, "-m", "cuemask", "segment", str(video), "--out", str(out), "--quiet", *flags]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the run failed with status {status}")
    return usage.ru_maxrss / 1024  # kilobytes on Linux


if __name__ == "__main__":
    main()
