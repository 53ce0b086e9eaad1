"""Two workers against one, what an engine costs a video, and a model of cost out to a hospital's archive.

    python -m benchmarks.cluster                     # about ten minutes on 2 cores that are free
    python -m benchmarks.cluster --videos 4 --tiny 100 --rounds 1

Each worker has a core of its own and one thread on it. `speed-up` is the time of one worker over that of two for the
same videos, each predicted with the network that comes with cuemask; workers are started and have loaded everything
before the clock runs, the median of the rounds counts. What the machine's second core adds is told beside it: a sum
that shares nothing, in one process and in two. `overhead` is what an engine takes for a video beyond the work in it:
videos of two frames on one worker, the wall's time less the seconds that the worker was at it.

Written to benchmarks/results/<machine>.json and .md, the plot to docs/scale.png.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import Executor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables import Row, Table, as_markdown, keep

HOURS = (1, 10, 100, 1_000, 10_000)
FRAMES = 60
SUM = 50_000_000
STORE = 1e9  # bytes a second, of a good network store
PLOT = Path(__file__).parents[1] / "docs" / "scale.png"


@dataclass(frozen=True)
class Cost:
    """What the model is made of, as measured; a worker has one core.

    Attributes
    ----------
    frame_seconds
        Of a worker, for a frame: decoding, network, mask, writing.
    video_seconds
        Of a worker, for a video, whatever its length: opening it, looking for the picture, record and manifest.
    engine_seconds
        Of coordinator and engine, for a video; one at a time for the whole study.
    frame_bytes, mask_bytes
        Read and written by a worker for a frame.
    """

    frame_seconds: float
    video_seconds: float
    engine_seconds: float
    frame_bytes: float
    mask_bytes: float


def days(cost: Cost, hours: float, workers: int, *, store_bytes: float, video_hours: float = 2.0) -> dict[str, float]:
    """How long a study of so many hours of video takes if one thing alone held it up; the largest counts.

    Parameters
    ----------
    store_bytes
        That the store gives and takes in a second.
    video_hours
        Length of one video, at 25 frames a second.
    """
    videos, frames = max(1.0, hours / video_hours), hours * 3600 * 25
    busy = min(workers, videos)
    seconds = {
        "workers": (frames * cost.frame_seconds + videos * cost.video_seconds) / busy,
        "engine": videos * cost.engine_seconds,
        "store": frames * (cost.frame_bytes + cost.mask_bytes) / store_bytes,
    }
    return {name: value / 86_400 for name, value in seconds.items()}


@contextmanager
def local(workers: int) -> Generator[Executor, None, None]:
    """Processes of this machine."""
    from cuemask.studies.local import LocalExecutor

    everywhere = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, sorted(everywhere)[:workers])  # which the executor divides
        executor = LocalExecutor(workers)
    finally:
        os.sched_setaffinity(0, everywhere)
    with executor:
        yield executor


@contextmanager
def dask(workers: int) -> Generator[Executor, None, None]:
    """A Dask cluster on this machine, its scheduler a process of its own."""
    from distributed import Client, SubprocessCluster

    from cuemask.studies.dask import DaskExecutor

    with SubprocessCluster(n_workers=workers, threads_per_worker=1, silence_logs=50) as cluster:
        with Client(cluster.scheduler_address, set_as_default=False) as client:
            client.wait_for_workers(workers)
            for address, core in zip(client.scheduler_info()["workers"], sorted(os.sched_getaffinity(0)), strict=False):
                client.run(_keep_to, core, workers=[address])
        executor = DaskExecutor(cluster.scheduler_address)
        try:
            yield executor
        finally:
            executor.shutdown()


ENGINES = {"local": local, "dask": dask}


def study_seconds(engine: str, workers: int, listing: Path, model: Path, out: Path) -> tuple[float, float]:
    """The time of a study, and the sum of the seconds that workers were at its videos."""
    from cuemask.runs.options import Options
    from cuemask.studies.batch import batch

    with ENGINES[engine](workers) as executor:
        for _ in range(2):  # each worker has loaded everything
            wait([executor.submit(_loaded) for _ in range(2 * workers)])
        started = time.monotonic()
        study = batch(listing, Options(out, overlay=False, report=False), on=executor, model=model)
        spent = time.monotonic() - started
    if study.failed:
        raise RuntimeError(study.failed[0].error)
    return spent, sum(row.seconds for row in study.rows)


def _keep_to(core: int) -> None:
    """All threads of this process; those that they start later keep to it, too."""
    for task in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def second_core(rounds: int) -> tuple[list[float], list[float]]:
    """The time of a sum in one process, and of the same two sums' half each in two, in seconds."""
    found: tuple[list[float], list[float]] = [], []
    for _ in range(rounds):
        for workers, spent_in in zip((1, 2), found, strict=True):
            with local(workers) as executor:
                for _ in range(2):
                    wait([executor.submit(_loaded) for _ in range(2 * workers)])
                started = time.monotonic()
                wait([executor.submit(_sum, SUM) for _ in range(2)])
                spent_in.append(time.monotonic() - started)
    return found


def _sum(count: int) -> int:
    total = 0
    for number in range(count):
        total += number
    return total


def _loaded() -> int:
    import cuemask.inference.drawn
    import cuemask.runs.predicting  # noqa: F401

    time.sleep(0.3)  # so that the others get one too
    return os.getpid()


def prepare(folder: Path, count: int, frames: int, size: tuple[int, int]) -> Path:
    """So many videos, links to one."""
    from cuemask.phantom import PhantomScene, write_phantom

    (folder / "videos").mkdir(parents=True)
    video = write_phantom(folder / "source", frames, PhantomScene(seed=1, height_px=size[0], width_px=size[1])).video
    for number in range(count):
        (folder / "videos" / f"op{number:05d}.mp4").hardlink_to(video)
    return folder / "videos"


def measure(videos: int, tiny: int, rounds: int, work: Path, command: str) -> tuple[Table, Cost]:
    """The table, and what the model is made of."""
    model = Path("drawn")
    long = prepare(work / "long", videos, FRAMES, (480, 640))
    short = prepare(work / "short", tiny, 2, (64, 80))
    rows: list[Row] = []
    findings: list[str] = []
    frame, video, beyond = list[float](), list[float](), list[float]()
    sums = second_core(rounds)
    rows += [Row(f"a sum that shares nothing, {n} process{'es' * (n > 1)}", spent) for n, spent in enumerate(sums, 1)]
    at_best = statistics.median(sums[0]) / statistics.median(sums[1])
    findings.append(f"this machine's second core makes a sum that shares nothing {at_best:.2f} times as fast")
    for engine in ENGINES:
        times: dict[int, list[float]] = {1: [], 2: []}
        for number in range(rounds):
            for workers, spent_in in times.items():
                spent, busy = study_seconds(engine, workers, long, model, work / f"{engine}{number}{workers}")
                spent_in.append(spent)
                if workers == 1:
                    frame.append(busy / videos / FRAMES)
                print(f"{engine}, {workers} workers: {spent:.1f} s", file=sys.stderr, flush=True)
        rows += [Row(f"{engine}, {workers} workers", spent_in) for workers, spent_in in times.items()]
        spent, busy = study_seconds(engine, 1, short, model, work / f"{engine}short")
        beyond.append((spent - busy) / tiny)
        video.append(busy / tiny)
        one, two = (statistics.median(spent_in) for spent_in in times.values())
        findings.append(
            f"{engine}: two workers are {one / two:.2f} times as fast as one (aim 1.85); it takes "
            f"{1000 * beyond[-1]:.1f} ms a video beyond the work in it (aim 50; {tiny:,} videos of 2 frames)"
        )
    pictures = sum(path.stat().st_size for path in (work / "local01").rglob("*.png"))
    read = next(long.iterdir()).stat().st_size / FRAMES
    cost = Cost(statistics.median(frame), statistics.median(video), max(beyond), read, pictures / (FRAMES * videos))
    findings.append(
        f"a worker of one core needs {1000 * cost.frame_seconds:.1f} ms a frame of 640x480 and "
        f"{1000 * cost.video_seconds:.0f} ms a video, reads {cost.frame_bytes:,.0f} and writes {cost.mask_bytes:,.0f} "
        "bytes a frame"
    )
    for workers in (1, 10, 100):
        told = days(cost, HOURS[-1], workers, store_bytes=STORE)
        parts = ", ".join(f"{name} {value:.2g}" for name, value in told.items())
        findings.append(f"{HOURS[-1]:,} hours on {workers} workers, in days: {parts}")
    question = f"{videos} videos of {FRAMES} frames, predicted by one worker and by two, of one thread each."
    title, unit = "Studies on several workers", f"s for {videos} videos"
    return Table("cluster", title, question, command, unit, rows, findings), cost


def plot(cost: Cost, path: Path) -> None:
    """Days over hours of video, for 1, 10 and 100 workers, and what would hold it up but for them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for workers, colour in ((1, "#7a7a7a"), (10, "#2a6f97"), (100, "#c1121f")):
        values = [max(days(cost, hours, workers, store_bytes=STORE).values()) for hours in HOURS]
        axes.loglog(HOURS, values, color=colour, label=f"{workers} worker{'s' * (workers > 1)} of one core")
    for name, style in (("store", ":"), ("engine", "--")):
        values = [days(cost, hours, 100, store_bytes=STORE)[name] for hours in HOURS]
        axes.loglog(HOURS, values, style, color="black", linewidth=1, label=f"the {name} alone")
    axes.set(xlabel="hours of video (2 hours each, 25 frames a second)", ylabel="days")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, and write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=16, help="[16]")
    parser.add_argument("--tiny", type=int, default=1000, help="videos of two frames [1,000]")
    parser.add_argument("--rounds", type=int, default=3, help="[3]")
    parser.add_argument("--print", dest="only_print", action="store_true", help="keep nothing")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    command = f"python -m benchmarks.cluster --videos {given.videos} --tiny {given.tiny} --rounds {given.rounds}"
    with tempfile.TemporaryDirectory() as folder:
        table, cost = measure(given.videos, given.tiny, given.rounds, Path(folder).resolve(), command)
    if given.only_print:
        print(as_markdown(table))
        return
    plot(cost, PLOT)
    keep(table)


if __name__ == "__main__":
    main()
