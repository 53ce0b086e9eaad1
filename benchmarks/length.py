"""Memory and time of whole runs against the length of the video: `segment`, `predict` by torch and by ONNX Runtime.

    python -m benchmarks.length                                        # up to 500 frames
    python -m benchmarks.length --frames 1,10,100,1000,10000,20000     # kept as a table of its own

The videos are one phantom clip of 50 frames of 320 x 256, its packets copied again and again. Each run is the
command itself in a process of its own, with the recipe `default` but for `training.steps`, whose number does not
depend on the length. Memory is the process's peak resident set. Milliseconds a frame are those of the stages that
pass over all frames (cues and prediction), as the run's own record tells them; the note gives the whole run, start
and training included.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.tables import RESULTS, Row, Table, keep

LOOP = 50  # frames of the clip that is repeated
HEIGHT_PX, WIDTH_PX = 256, 320
QUICK = "1,5,50,500"
FILLED = 20  # frames that the stages of a run, each with its queue, hold between them
AIM = 0.10  # growth of memory allowed when the video is ten times as long
PASSES = {"segment": ("cues", "prediction"), "predict, torch": ("prediction",), "predict, ONNX": ("prediction",)}


@dataclass(frozen=True)
class Moment:
    """What a running process holds, and how far it is: frames done, each counted once a pass."""

    seconds: float
    resident_mb: float
    frames: int


@dataclass(frozen=True)
class Measured:
    """One run."""

    frames: int
    peak_mb: float
    ms_a_frame: float
    seconds: float
    course: list[Moment] = field(repr=False)


def main() -> None:
    """Measure, plot, and keep both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", default=QUICK, help=f"lengths, separated by commas [{QUICK}]")
    parser.add_argument("--steps", type=int, default=20, help="of training [20]")
    arguments = parser.parse_args()
    lengths = sorted({int(number) for number in arguments.frames.split(",")})
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), lengths, arguments.steps)
    long = lengths[-1] > 1000
    key, words = ("length_long", f", up to {lengths[-1]:,} frames") if long else ("length", "")
    plot(found, RESULTS / f"{key}.png")
    command = "python -m benchmarks.length" + (f" --frames {arguments.frames}" if arguments.frames != QUICK else "")
    for table in tables(key, words, command, found):
        keep(table)


def measured(folder: Path, lengths: Sequence[int], steps: int) -> dict[str, list[Measured]]:
    """Every command at every length, short videos first."""
    settings = ["--recipe", "default", "--set", f"training.steps={steps}"]
    # Drawn by another process: a child's peak counts from what its parent held when it was started.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
        videos = elsewhere.submit(write_videos, folder, [*lengths, LOOP]).result()
    _run(["train", str(videos[LOOP]), "--out", str(folder / "model"), *settings])
    _run(["export", "onnx", str(folder / "model"), "--out", str(folder / "model.onnx")])
    commands = {
        "segment": (["segment"], settings),
        "predict, torch": (["predict", str(folder / "model")], []),
        "predict, ONNX": (["predict", str(folder / "model.onnx")], []),
    }
    found: dict[str, list[Measured]] = {name: [] for name in commands}
    for frames in lengths:
        for name, (before, after) in commands.items():
            if name == "segment" and frames < 2:
                continue  # learning needs two frames
            with tempfile.TemporaryDirectory(dir=folder) as out:
                command = [*before, str(videos[frames]), "--out", out, *after]
                found[name].append(one_run(command, Path(out), frames, PASSES[name]))
            run = found[name][-1]
            print(
                f"{frames:>7} {name:16} {run.peak_mb:7.0f} MB {run.ms_a_frame:8.2f} ms {run.seconds:8.1f} s", flush=True
            )
    return found


def write_videos(folder: Path, lengths: Sequence[int]) -> dict[int, Path]:
    """Videos of these lengths: the packets of whole loops, then those of a shorter clip for the rest."""
    from cuemask.phantom import PhantomScene, write_phantom

    scene = PhantomScene(0, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    whole = write_phantom(folder / "loop", LOOP, scene).video
    videos: dict[int, Path] = {}
    for length in lengths:
        loops, rest = divmod(length, LOOP)
        parts = [whole] * loops + ([write_phantom(folder / f"rest{rest}", rest, scene).video] if rest else [])
        videos[length] = folder / f"{length}.mp4"
        _join(videos[length], parts)
    return videos


def _join(path: Path, parts: Sequence[Path]) -> None:
    import av

    with av.open(str(path), "w") as joined:
        stream, shift = None, 0
        for part in parts:
            with av.open(str(part)) as source:
                given = source.streams.video[0]
                stream = stream or joined.add_stream_from_template(given)
                time_base, ends = given.time_base, 0
                for packet in source.demux(given):
                    if packet.dts is None:
                        continue
                    ends = max(ends, packet.pts + packet.duration)
                    packet.pts, packet.dts, packet.time_base = packet.pts + shift, packet.dts + shift, time_base
                    packet.stream = stream
                    joined.mux(packet)
                shift += ends


def one_run(command: list[str], out: Path, frames: int, passes: Sequence[str]) -> Measured:
    """Run a command to its end, looking at it often at first, later once a second."""
    started, course = time.monotonic(), list[Moment]()
    process = subprocess.Popen([sys.executable, "-m", "cuemask", *command, "--quiet"])
    while True:
        finished, status, usage = os.wait4(process.pid, os.WNOHANG)
        if finished:
            break
        course.append(Moment(time.monotonic() - started, _resident_mb(process.pid), _frames_done(out)))
        time.sleep(min(1.0, 0.05 + course[-1].seconds / 100))
    seconds = time.monotonic() - started
    if status:
        sys.exit(f"the run failed with status {status}: {' '.join(command)}")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert usage.ru_maxrss > own, "the benchmark held more than the run: its peak cannot be told"
    (record,) = [json.loads(path.read_text()) for path in out.glob("run.json")]
    stages = sum(record["seconds"][name] for name in passes)
    return Measured(frames, usage.ru_maxrss / 1024, 1000 * stages / frames, seconds, course)


def _run(command: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "cuemask", *command, "--quiet"], check=True)


def _resident_mb(pid: int) -> float:
    """Resident memory as Linux tells it; 0 for a process that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def _frames_done(out: Path) -> int:
    """Frames of which the cues are kept, plus masks written."""
    size = sum(path.stat().st_size for path in [*out.glob(".work/*/.rgb.part.npy"), *out.glob(".work/*/rgb.npy")][:1])
    masks = sum(1 for path in out.glob("*/masks") for name in os.listdir(path) if not name.startswith("."))  # noqa: PTH208
    return size // (HEIGHT_PX * WIDTH_PX * 3) + masks


def tables(key: str, words: str, command: str, found: dict[str, list[Measured]]) -> list[Table]:
    """Peak memory, with its growth from each length to one ten times as long, and cost per frame."""
    runs = [(f"{name}, {run.frames:,} frames", run) for name, measurements in found.items() for run in measurements]
    memory = Table(
        f"{key}_memory",
        f"Memory against length{words}",
        "Peak resident memory of a whole run on a looped clip of 320 x 256; ten times the length may take 10 % more.",
        command,
        "MB",
        [Row(name, [run.peak_mb]) for name, run in runs],
        [sentence for name, measurements in found.items() for sentence in growth(name, measurements)],
    )
    cost = Table(
        f"{key}_time",
        f"Cost per frame against length{words}",
        "Time of the stages that pass over all frames, per frame; beside it the whole run.",
        command,
        "ms a frame",
        [Row(name, [run.ms_a_frame], f"{run.seconds:.1f} s from start to end") for name, run in runs],
        [f"{name}: {level(measurements)}" for name, measurements in found.items() if measurements],
    )
    return [memory, cost]


def growth(name: str, runs: Sequence[Measured]) -> list[str]:
    """For each length that was also run ten times as long, or at least twice: by how much memory grew."""
    by_length = {run.frames: run.peak_mb for run in runs}
    steps = [(n, 10 * n) for n in by_length if 10 * n in by_length]
    longest = max(by_length)
    if longest not in [long for _, long in steps]:
        steps += [(n, longest) for n in sorted(by_length)[-2:-1]]
    sentences: list[str] = []
    for short, long in steps:
        grown = by_length[long] / by_length[short] - 1
        missed = "few frames fill neither batch nor queues" if short < FILLED else f"above the aim of {AIM:.0%}"
        verdict = "" if grown < AIM else f"; {missed}"
        sentences.append(f"{name}: {short:,} to {long:,} frames, {grown:+.1%}{verdict}")
    return sentences


def level(runs: Sequence[Measured]) -> str:
    """Cost at the longest against that at a tenth of it, or at the next shorter."""
    last = runs[-1]
    before = next((run for run in runs if run.frames * 10 == last.frames), runs[max(0, len(runs) - 2)])
    return f"{before.ms_a_frame:.2f} ms at {before.frames:,} frames, {last.ms_a_frame:.2f} ms at {last.frames:,}"


def plot(found: dict[str, list[Measured]], path: Path) -> None:
    """Both against the length, and the course of both within the longest run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    memory, cost, held, pace = figure.subplots(2, 2).ravel()
    for name, runs in found.items():
        lengths = [run.frames for run in runs]
        memory.plot(lengths, [run.peak_mb for run in runs], "o-", label=name)
        cost.plot(lengths, [run.ms_a_frame for run in runs], "o-", label=name)
        done = [moment.frames for moment in runs[-1].course]
        held.plot(done, [moment.resident_mb for moment in runs[-1].course], label=name)
        pace.plot(*paces(runs[-1].course), label=name)
    longest = max(run.frames for runs in found.values() for run in runs)
    memory.set(title="peak resident memory", xlabel="frames", ylabel="MB", xscale="log", ylim=(0, None))
    cost.set(title="cost", xlabel="frames", ylabel="ms a frame", xscale="log", yscale="log")
    passed = "frames passed, once for cues and once for masks"
    held.set(title=f"within the run of {longest:,} frames", xlabel=passed, ylabel="MB resident", ylim=(0, None))
    pace.set(title=f"within the run of {longest:,} frames", xlabel=passed, ylabel="ms a frame", ylim=(0, None))
    for axes in (memory, cost, held, pace):
        axes.grid(alpha=0.3)
        axes.legend()
    path.parent.mkdir(exist_ok=True)
    FigureCanvasAgg(figure).print_png(str(path))


def paces(course: Sequence[Moment], parts: int = 20) -> tuple[list[int], list[float]]:
    """Frames passed at the end of each of about `parts` stretches, and milliseconds a frame in it."""
    stretch = max(1, course[-1].frames // parts)
    ends, values, begin = list[int](), list[float](), course[0]
    for moment in course:
        if moment.frames - begin.frames >= stretch:
            ends.append(moment.frames)
            values.append(1000 * (moment.seconds - begin.seconds) / (moment.frames - begin.frames))
            begin = moment
    return ends, values


if __name__ == "__main__":
    main()
