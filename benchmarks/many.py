"""What many videos cost before anything is learnt or masked: `train`, `segment`, `predict` and `batch` of 10 to 10,000.

    python -m benchmarks.many                            # up to 1,000 videos
    python -m benchmarks.many --videos 10,100,1000,10000

The videos are links to four phantom clips of four frames of 80 x 64, the network is the smallest that there is at the
working size of `default`, with five steps of four pairs, and a run is broken off when ten videos are masked (`train`
goes to its end). Each is the library call behind the command, in a process of its own that may hold no more than 256
files open. Start is the time to the first step of training, of `predict` and `batch` to the first video that is
masked. Memory is the process's peak resident set, of `batch` the coordinator's. Disk is
what lies in the run's `.work`, or in the study, at that moment.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.tables import Row, Table, alternated, keep

QUICK = "10,100,1000"
CLIPS, FRAMES = 4, 4
MASKED = 10  # videos, after which a run is broken off
FILES = 256
SETTINGS = (
    "network.start=chance",
    "network.width=2",
    "network.depth=2",
    "training.steps=5",
)
COMMANDS = ("train", "segment", "predict", "batch")


@dataclass
class Measured:
    """One run: seconds to its first step or mask, and to its end; memory, files held open at most, scratch disk."""

    start_seconds: float = 0.0
    seconds: float = 0.0
    peak_mb: float = 0.0
    open_files: int = 0
    disk_mb: float = 0.0


class _EnoughError(Exception):
    """So many videos are masked that the run is broken off."""


def main() -> None:
    """Measure each command with each number of videos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", default=QUICK, help=f"how many, separated by commas [{QUICK}]")
    parser.add_argument("--commands", default=",".join(COMMANDS), help=f"[{','.join(COMMANDS)}]")
    parser.add_argument("--child", nargs=3, metavar=("COMMAND", "VIDEOS", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        command, videos, folder = arguments.child
        print(json.dumps(vars(one_run(command, int(videos), Path(folder)))))
        return
    numbers = sorted({int(number) for number in arguments.videos.split(",")})
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), numbers, arguments.commands.split(","))
    command = "python -m benchmarks.many" + (f" --videos {arguments.videos}" if arguments.videos != QUICK else "")
    keep(table(found, command))
    keep(table_of_status(numbers, command))


def measured(folder: Path, numbers: Sequence[int], commands: Sequence[str]) -> dict[str, dict[int, Measured]]:
    """Every command with every number of videos."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
        elsewhere.submit(write_clips, folder).result()
    subprocess.run(_child("train", CLIPS, folder), check=True, capture_output=True)
    (folder / f"train-{CLIPS}").rename(folder / "model")
    found: dict[str, dict[int, Measured]] = {command: {} for command in commands}
    for number in numbers:
        for command in commands:
            done = subprocess.run(_child(command, number, folder), check=True, capture_output=True, text=True)
            found[command][number] = Measured(**json.loads(done.stdout.splitlines()[-1]))
            print(f"{command:8} {number:>6} {found[command][number]}", flush=True)
    return found


def _child(command: str, videos: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.many", "--child", command, str(videos), str(folder)]


def write_clips(folder: Path) -> None:
    """The few videos that all others are links to."""
    from cuemask.phantom import PhantomScene, write_phantom

    for number in range(CLIPS):
        write_phantom(folder / f"clip{number}", FRAMES, PhantomScene(number, height_px=64, width_px=80))


def links(folder: Path, videos: int) -> Path:
    """A folder with so many videos."""
    place = folder / f"videos-{videos}"
    if not place.is_dir():
        place.mkdir()
        for number in range(videos):
            (place / f"op{number:05}.mp4").symlink_to(next((folder / f"clip{number % CLIPS}").glob("*.mp4")))
    return place


class Watch:
    """Notes when a run comes to its first step or mask, what it holds meanwhile, and breaks it off.

    Parameters
    ----------
    first
        What stands in the label of what is then under way.
    scratch
        The folder whose size is taken at that moment.
    """

    def __init__(self, first: str, scratch: Path) -> None:
        self.first, self.scratch = first, scratch
        self.found = Measured()
        self._masked, self._started = 0, time.monotonic()

    def progress(self, label: Any, items: Iterable[Any], total: int | None) -> Iterator[Any]:
        """In the place of a progress bar."""
        from cuemask.runs.options import label_at
        from cuemask.runs.space import occupied

        del total
        told = label_at(label, 0)
        told = "videos to be masked" if told == "videos" else told
        for item in items:
            if self.first in told and not self.found.start_seconds:
                self.found.start_seconds = time.monotonic() - self._started
                self.found.disk_mb = occupied(self.scratch) / 1e6
            self.found.open_files = max(self.found.open_files, len(list(Path("/proc/self/fd").iterdir())))
            yield item
            self._masked += told == "videos to be masked"
            if self._masked == MASKED:
                raise _EnoughError
        self._masked += "masks" in told
        if self._masked == MASKED:
            raise _EnoughError

    def ended(self) -> Measured:
        """All that was noted."""
        self.found.seconds = time.monotonic() - self._started
        self.found.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return self.found


def one_run(command: str, videos: int, folder: Path) -> Measured:
    """The library call behind a command, in this process."""
    from cuemask.recipe import load_recipe
    from cuemask.runs.learning import segment, train
    from cuemask.runs.options import Options
    from cuemask.runs.predicting import predict
    from cuemask.studies.batch import batch

    out, place = folder / f"{command}-{videos}", links(folder, videos)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    first = {"predict": ": masks", "batch": "videos to be masked"}.get(command, "training, ")
    watch = Watch(first, out if command == "batch" else out / ".work")
    recipe = load_recipe("default", SETTINGS)
    options = Options(out, recipe, overlay=False, report=False, progress=watch.progress)
    sources = sorted(map(str, place.iterdir()))
    calls = {
        "train": partial(train, sources, options),
        "segment": partial(segment, sources, options),
        "predict": partial(predict, folder / "model", sources, options),
        "batch": partial(batch, place, options, on="local:1"),
    }
    with suppress(_EnoughError):
        calls[command]()
    return watch.ended()


def table(found: dict[str, dict[int, Measured]], command: str) -> Table:
    """A row a command and number of videos."""
    rows = [
        Row(
            f"{name}, {videos:,} videos",
            [run.start_seconds],
            f"{run.peak_mb:.0f} MB, {run.open_files} files open, {run.disk_mb:.1f} MB of disk",
        )
        for name, runs in found.items()
        for videos, run in runs.items()
    ]
    question = "Seconds to the first step of learning, or to the first video that is masked; memory of the whole run."
    findings = [sentence for name, runs in found.items() for sentence in growth(name, runs)]
    return Table("many", "Many videos", question, command, "s", rows, findings)


def growth(name: str, runs: dict[int, Measured]) -> list[str]:
    """What the most videos cost beside a tenth of them."""
    most = max(runs)
    if most // 10 not in runs:
        return []
    before, after = runs[most // 10], runs[most]
    start = f"{before.start_seconds:.1f} s to {after.start_seconds:.1f} s"
    return [f"{name}, {most // 10:,} to {most:,} videos: {start}, {before.peak_mb:.0f} MB to {after.peak_mb:.0f} MB"]


def table_of_status(numbers: Sequence[int], command: str) -> Table:
    """What it costs to write and to read a table of so many videos."""
    from cuemask.studies.board import STATUS, Board
    from cuemask.studies.board import Row as Video
    from cuemask.studies.status import status

    rows = list[Row]()
    for videos in numbers:
        with tempfile.TemporaryDirectory() as folder:
            board = Board(Path(folder), (Video(f"op{number:05}", source=f"/op{number:05}") for number in range(videos)))
            board.write()
            runs = {"written": board.write, "read by `cuemask status`": partial(status, Path(folder))}
            size = (Path(folder) / STATUS).stat().st_size
            for name, seconds in alternated(runs, 5).items():
                rows.append(Row(f"{videos:,} videos, {name}", [1000 * s for s in seconds], f"{size / 1000:.0f} kB"))
    words = "A coordinator writes the table when a video has ended, but for no more than a twentieth of its time."
    return Table("many_status", "status.csv", words, command, "ms", rows)


if __name__ == "__main__":
    main()
