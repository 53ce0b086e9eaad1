"""Export of masks at 1080p in every format: time, peak memory and size, at a length and at a tenth of it.

    python -m benchmarks.formats                 # 1,000 frames; writes results/formats.md
    python -m benchmarks.formats --frames 100    # prints only

The masks are those of a phantom, enlarged four times to 1920 x 1080, 10 of them again and again, with specks and holes
added. Each export is the command itself in a process of its own; memory is that process's peak resident set.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import machine
from cuemask.media.files import write_bytes

HEIGHT_PX, WIDTH_PX, LOOP = 1080, 1920, 10
KINDS = ("coco", "coco-video", "cvat", "labelstudio", "yolo", "davis", "voc")
FRAMES, LONG = 1000, 10_000  # measured, and told of
AIM = 0.10  # growth of memory allowed when the run is ten times as long
RESULT = Path(__file__).parent / "results" / "formats.md"


class Cost(NamedTuple):
    """Of one export: wall and processor seconds, start of the program included, peak memory, and what it wrote."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    written_mb: float


def main() -> None:
    """Measure, and keep the table where it is of the usual length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"of the run [{FRAMES}]")
    frames = parser.parse_args().frames
    with tempfile.TemporaryDirectory() as folder:
        runs = [written_run(Path(folder) / str(count), count) for count in (max(1, frames // 10), frames)]
        costs = {kind: [exported(kind, run, Path(folder) / "out") for run in runs] for kind in KINDS}
    text = told(frames, costs)
    print(text)
    if frames == FRAMES:
        write_bytes(RESULT, text.encode())


def told(frames: int, costs: Mapping[str, Sequence[Cost]]) -> str:
    """The table in Markdown; `costs` are of a tenth of `frames`, and of all."""
    lines = [
        "# Export of masks",
        "",
        f"`python -m benchmarks.formats`, {date.today():%Y-%m-%d}, on {machine()}. {frames:,} masks of {WIDTH_PX} x "
        f"{HEIGHT_PX} with 300 specks and holes each, 10 different ones. Seconds are one run's, start of the program "
        "included; memory is the peak resident set of the export's own process.",
        "",
        f"The last three columns are computed, not measured: {frames:,} frames and, for each more, the difference "
        f"between {frames:,} and {frames // 10:,} frames divided by their number. Processor seconds are of all cores "
        "together, and tell more than the clock where the machine has other work (its load stands above).",
        "",
        f"| format | seconds | processor seconds | peak MB, {frames // 10:,} frames | peak MB, {frames:,} frames "
        f"| MB written | {LONG:,} frames: minutes | processor minutes | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    grown: list[str] = []
    for kind, (short, long) in costs.items():
        further = (LONG - frames) / (frames - frames // 10)
        expected = [whole + further * (whole - tenth) for tenth, whole in zip(short, long, strict=True)]
        lines.append(
            f"| {kind} | {long.seconds:.1f} | {long.cpu_seconds:.1f} | {short.peak_mb:.0f} | {long.peak_mb:.0f} | "
            f"{long.written_mb:.1f} | {expected[0] / 60:.1f} | {expected[1] / 60:.1f} | {expected[3]:.0f} |"
        )
        if long.peak_mb > (1 + AIM) * short.peak_mb:
            grown.append(f"{kind} {long.peak_mb / short.peak_mb - 1:+.0%}")
    memory = (
        f"grows by more than {AIM:.0%}: {', '.join(grown)}" if grown else f"grows in no format by more than {AIM:.0%}"
    )
    return "\n".join([*lines, "", f"From {frames // 10:,} to {frames:,} frames memory {memory}.", ""])


def written_run(folder: Path, frames: int) -> Path:
    """A run of `frames` frames, by a process of its own: a child's peak counts from what its parent held."""
    subprocess.run([sys.executable, "-c", _WRITE, str(folder), str(min(frames, LOOP))], check=True)
    masks = folder / "clip" / "masks"
    for number in range(LOOP, frames):
        os.link(masks / f"{number % LOOP:06d}.png", masks / f"{number:06d}.png")
    entry = {"clip": "clip", "source": "clip.mp4", "width_px": WIDTH_PX, "height_px": HEIGHT_PX}
    (folder / "run.json").write_text(json.dumps({"cuemask": "0", "status": "complete", "inputs": [entry]}))
    return folder


_WRITE = f"""
import sys
from pathlib import Path
import numpy as np
from cuemask.media.masks import write_mask
from cuemask.phantom import PhantomScene
folder = Path(sys.argv[1]) / "clip" / "masks"
folder.mkdir(parents=True)
scene, random = PhantomScene(0, height_px={HEIGHT_PX // 4}, width_px={WIDTH_PX // 4}), np.random.default_rng(0)
for number in range(int(sys.argv[2])):
    mask = scene.frame(number).mask.repeat(4, 0).repeat(4, 1)
    mask[random.integers(0, {HEIGHT_PX}, 300), random.integers(0, {WIDTH_PX}, 300)] ^= True
    write_mask(folder / f"{{number:06d}}.png", mask)
"""


def exported(kind: str, run: Path, out: Path) -> Cost:
    """What one export costs; nothing of it is left."""
    started = time.monotonic()
    command = [sys.executable, "-m", "cuemask", "export", kind, str(run), "--out", str(out), "--quiet"]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if status:
        sys.exit(f"the export failed with status {status}: {' '.join(command)}")
    files = [out] if out.is_file() else [path for path in out.rglob("*") if path.is_file()]
    written = sum(path.stat().st_size for path in files) / 1e6
    out.unlink() if out.is_file() else shutil.rmtree(out)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, written)


if __name__ == "__main__":
    main()
