"""Runs cases of `benchmarks.fuzz` in a process whose memory is limited; told which on standard input, a line a block.

A block is `first count reader`. A line of JSON a case goes to the file descriptor that is given; one before it
begins, so that whoever waits knows what it was that never ended.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.fuzz_readers import cases

ADDRESS_SPACE = 3 << 30  # more than the process has at its start: what is wanted beyond that, it does not get


def main() -> None:
    """Run blocks until standard input ends."""
    import logging

    import cv2

    logging.disable(logging.CRITICAL)
    cv2.setNumThreads(1)
    seeds, work, descriptor = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    with os.fdopen(descriptor, "w") as told:

        def tell(**values: Any) -> None:
            told.write(json.dumps(values) + "\n")
            told.flush()

        for line in sys.stdin:
            first, count, name = line.rstrip("\n").split(" ", 2)
            run_block(seeds, work, name, range(int(first), int(first) + int(count)), tell)


def run_block(seeds: Path, work: Path, name: str, numbers: range, tell: Callable[..., None]) -> None:
    """Run and tell the cases `numbers` of one reader."""
    work.mkdir(parents=True, exist_ok=True)
    is_first = True
    for number, file, read, whole in cases(seeds, work, name, numbers):
        if is_first:
            _warm(name)
            limit_memory()
            is_first = False
        tell(begins=number, file=file)
        tell(number=number, file=file, **outcome(read, whole))


def outcome(read: Callable[[], Any], whole: Any) -> dict[str, Any]:
    """What came of one case, how much of a processor's time it took and by how much memory grew while it did."""
    from cuemask.errors import CuemaskError

    error, before = "", _reset_peak()
    started = time.process_time()  # a machine that others use, too, makes no case slow
    try:
        found = read()
        result = "read" if whole is None or found is None or found == whole else "other"
    except CuemaskError as refusal:
        result, error = "refused", refusal.what[:200]
        if not (refusal.what and refusal.remedy):
            result = "foreign"
    except (Exception, SystemExit) as foreign:
        result = "foreign"
        frames = traceback.extract_tb(foreign.__traceback__)
        where = next((f for f in reversed(frames) if "cuemask" in Path(f.filename).parts), frames[-1])
        error = f"{type(foreign).__name__}: {str(foreign)[:120]!r} at {Path(where.filename).name}:{where.lineno}"
    seconds = time.process_time() - started
    return {"result": result, "error": error, "seconds": seconds, "mb": max(0.0, _peak_mb() - before)}


def limit_memory() -> None:
    """Let the process grow by `ADDRESS_SPACE` and no further."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def _warm(name: str) -> None:
    """Import what the reader needs, before memory is counted."""
    import cuemask.media.pictures
    import cuemask.media.video

    if name.startswith(("models", "weights", "check", "kept features", "scores")):
        import torch

        import cuemask.runs.learning  # noqa: F401

        torch.set_num_threads(1)


def _reset_peak() -> float:
    """Begin to look for the greatest resident memory anew; what it is now, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_mb()


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
