"""Export of masks at 1080p in every format: frames a second and peak memory, at a length and at a tenth of it.

    python -m benchmarks.formats                 # 1,000 frames
    python -m benchmarks.formats --frames 100

The masks are those of a phantom, enlarged four times to 1920 x 1080, 10 of them again and again, with specks and holes
added. Each export is the command itself in a process of its own; memory is that process's peak resident set.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tables import Row, Table, keep

HEIGHT_PX, WIDTH_PX, LOOP = 1080, 1920, 10
KINDS = ("coco", "coco-video", "cvat", "labelstudio", "yolo", "davis", "voc")
AIM = 0.10  # growth of memory allowed when the run is ten times as long


def main() -> None:
    """Measure, and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000, help="of the run [1000]")
    frames = parser.parse_args().frames
    with tempfile.TemporaryDirectory() as folder:
        runs = [written_run(Path(folder) / str(count), count) for count in (max(1, frames // 10), frames)]
        rows, findings = list[Row](), list[str]()
        for kind in KINDS:
            (_, short_mb), (seconds, peak_mb) = (exported(kind, run, Path(folder) / "out") for run in runs)
            size_mb = sum(path.stat().st_size for path in (Path(folder) / "out").rglob("*") if path.is_file()) / 1e6
            size_mb = size_mb or (Path(folder) / "out").stat().st_size / 1e6  # a file
            rows.append(Row(kind, [frames / seconds], f"peak {peak_mb:.0f} MB, {size_mb:.1f} MB written"))
            grown = peak_mb / short_mb - 1
            missed = "" if grown < AIM else f"; above the aim of {AIM:.0%}"
            findings.append(f"{kind}: memory of {frames:,} frames against a tenth of them {grown:+.1%}{missed}")
    question = f"Export of {frames:,} frames of {WIDTH_PX} x {HEIGHT_PX}, start of the program included."
    command = "python -m benchmarks.formats" + (f" --frames {frames}" if frames != 1000 else "")
    keep(Table("formats", "Export of masks", question, command, "frames/s", rows, findings))


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


def exported(kind: str, run: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of one export."""
    subprocess.run(["rm", "-rf", str(out)], check=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "cuemask", "export", kind, str(run), "--out", str(out), "--quiet"]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the export failed with status {status}: {' '.join(command)}")
    return time.monotonic() - started, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
