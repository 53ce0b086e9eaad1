"""Runs killed at random moments and gone on with, and whether the result is that of an undisturbed run to the byte.

    python -m benchmarks.kills                                # 1,000 kills
    python -m benchmarks.kills --kills 40
    python -m benchmarks.kills --command segment --kills 40

Each command runs once undisturbed, which tells what it does with files in its folder: opening, renaming, removing,
making folders. Then it is killed (SIGKILL) at one of these moments, in that stage which was met least so far, half of
the time some milliseconds later; a third of what was killed is killed again while it goes on, in that stage or a later
one, up to three times. `segment` and `predict` go on with --resume, the others with the same command. Every file is
compared, also ones that should not be there; of JSON and tables all but times. Inputs and networks are the smallest
there are, and each process is forked from one that has imported everything. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_readers import SETTINGS

SMALL = [flag for one in (*SETTINGS[:-1], "training.steps=6") for flag in ("--set", one)]
TABLE = ["--set", "features.extractor=texture", "--set", "masks.height_px=64"]  # of the recipe that `benchmark` follows
CHECKPOINTS = ["--set", "training.checkpoint_seconds=0"]
SHARES = {"segment": 10, "predict": 6, "phantom": 2, "export": 1, "benchmark": 1}
CHAIN, LONGEST = 1 / 3, 3
_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"})
PATIENCE = 300  # seconds by the clock after which a process counts as hanging
_TIMES = frozenset({"seconds", "made", "started", "ended", "digest", "machine"})
# Imported once, not in every process: always, and for one command.
_PRELOADED = [
    *("cuemask.cli", "cuemask.runs.learning", "torch._dynamo", "matplotlib.figure", "cuemask.report.curves"),
    *("matplotlib.backends.backend_agg", "PIL.JpegImagePlugin", "PIL.PpmImagePlugin"),
]
_PRELOADED_FOR = {
    "export": [
        "cuemask.runs.exporting",
        "onnxscript",
        "onnxruntime",
        "torch.export",
        "torch.onnx._internal.exporter._core",
    ],
    "benchmark": ["cuemask.experiments.benchmark"],
}
# What is under way when a file of such a name is touched; the first that fits.
_STAGES = {
    "cues": ("rgb", "location", "names", "cues.seal"),
    "features": ("anchors", "features"),
    "training": ("checkpoint",),
    "network": ("losses", "model"),
    "masks": ("masks", "probability", "confidence"),
    "report": ("overlay", "sheet", "shown", "report", "manifest"),
    "record": ("run.json", ".run."),
}


@dataclass(frozen=True)
class Command:
    """A command, its words but for `--out FOLDER`, and those with which it goes on."""

    name: str
    words: Sequence[str]
    again: Sequence[str] = ()
    file: str = ""  # of the folder, where `--out` is a file


@dataclass
class Tally:
    """Kills of one command."""

    kills: Counter[str] = field(default_factory=Counter[str])
    runs: int = 0
    chains: int = 0  # of these, killed more than once
    bad: list[str] = field(default_factory=list[str])


def run_command(words: Sequence[str], out: Path, stage: str, kill_at: int, delay: float, events: Path) -> int:
    """Run the command line in this process; kill it `delay` seconds after event `kill_at` of a stage, never at 0.

    `events` gets what it did: the last thing where it was killed, else the list.
    """
    import torch

    torch.set_num_threads(1)
    log = os.open(events.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    last = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    seen, lock, met = list[str](), threading.Lock(), 0

    def die() -> None:
        os.write(last, seen[-1].encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal met
        if event not in _EVENTS or not arguments or not isinstance(arguments[0], (str, Path)):
            return
        path = str(arguments[0])
        if not path.startswith(str(out)):
            return
        with lock:
            seen.append(f"{event} {path[len(str(out)) :]}")
            met += stage_of(seen[-1]) == stage
            is_now = met == kill_at and stage_of(seen[-1]) == stage
        if is_now:
            if delay == 0:
                die()
            threading.Timer(delay, die).start()

    sys.addaudithook(watch)
    from cuemask.cli import main

    code = 0
    try:
        main([*words], standalone_mode=False)
    except SystemExit as end:
        code = int(end.code or 0)
    os.write(last, json.dumps(list(seen)).encode())
    return code


def process(
    command: Command, out: Path, events: Path, *, again: bool, stage: str = "", kill_at: int = 0, delay: float = 0.0
) -> int:
    """Run `command` in a process of its own; its exit code, below 0 where it was killed."""
    given = out / command.file if command.file else out
    words = [*command.words, "--out", str(given), *(command.again if again else ())]
    return forked(lambda: run_command(words, out, stage, kill_at, delay, events))


def forked(work: Callable[[], int]) -> int:
    """The exit code of `work` in a copy of this process, in which nothing may have been computed yet."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    signal.alarm(PATIENCE)
    try:
        code = work()
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def stage_of(event: str) -> str:
    """The stage in which a file is touched."""
    path = event.partition(" ")[2]
    return next((stage for stage, names in _STAGES.items() if any(name in path for name in names)), "other")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`; of JSON and tables all but times."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): _content(path) for path in files}


def _content(path: Path) -> bytes:
    if path.suffix in (".csv", ".md"):
        return _columns(path)
    if path.name == "report.html":  # tells of times, and else of what stands in the other files
        return b""
    if path.suffix != ".json":
        return path.read_bytes()
    try:
        return json.dumps(_timeless(json.loads(path.read_bytes())), sort_keys=True).encode()
    except ValueError:
        return path.read_bytes()


def _columns(table: Path) -> bytes:
    """A table without the time that its rows took, their last column."""
    text = table.read_text(encoding="utf-8")
    if table.suffix == ".csv":
        header, *_ = text.split("\n", 1)
        return (text if not header.endswith(",seconds") else re.sub(r",[^,\n]*$", "", text, flags=re.M)).encode()
    return re.sub(r"\|[^|\n]*\|$", "|", text, flags=re.M).encode()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in _TIMES}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def campaign(command: Command, kills: int, seed: int, work: Path, tally: Tally, say: Callable[[str], None]) -> None:
    """Kill `command` so often, and compare what comes of it."""
    rng = np.random.default_rng([*command.name.encode(), seed])
    events = work / "events.json"
    whole = work / "whole"
    if process(command, whole, events, again=False) != 0:
        tally.bad.append(f"{command.name}: fails undisturbed: {events.with_suffix('.log').read_text()[-300:]}")
        return
    expected = contents(whole)
    places = Counter(stage_of(event) for event in json.loads(events.read_text()))
    while tally.kills.total() < kills:
        out = work / f"out{tally.runs}"
        told, stages = list[str](), list(places)  # in the order in which they begin
        while stages and tally.kills.total() < kills and len(told) < LONGEST and (not told or rng.random() < CHAIN):
            stage = min(stages, key=lambda one: (tally.kills[one], rng.random()))
            number = int(rng.integers(places[stage])) + 1
            delay = 0.0 if rng.random() < 0.5 else float(rng.uniform(0.0005, 0.05))
            code = process(command, out, events, again=bool(told), stage=stage, kill_at=number, delay=delay)
            if code != -signal.SIGKILL:  # it came to its end before that moment
                told.append(f"never (exit {code})")
                break
            event = events.read_text()
            tally.kills[stage_of(event)] += 1
            told.append(f"{event} +{1000 * delay:.0f} ms")
            stages = stages[stages.index(stage) :]
        tally.chains += len(told) > 1
        _judge(command, out, events, expected, told, tally)
        tally.runs += 1
        say(f"{command.name}: {tally.kills.total()} of {kills}, {dict(tally.kills)}, {len(tally.bad)} not equal")
        shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(whole, ignore_errors=True)


def _judge(
    command: Command, out: Path, events: Path, expected: dict[str, bytes], told: list[str], tally: Tally
) -> None:
    code = process(command, out, events, again=True)
    found = contents(out) if code == 0 else {}
    differ = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    if code != 0:
        tally.bad.append(f"{command.name}, killed at {'; '.join(told)}: exit {code}: {_tail(events)}")
    elif differ:
        tally.bad.append(f"{command.name}, killed at {'; '.join(told)}: differ: {', '.join(differ[:6])}")


def _tail(events: Path) -> str:
    return events.with_suffix(".log").read_text(errors="replace")[-400:]


def commands(folder: Path, names: Sequence[str]) -> list[Command]:
    """The commands of these names, on small inputs that are made in `folder`."""
    frames = str(folder / "source" / "frames")
    trained = str(folder / "trained")
    data = ["--data", str(folder / "set"), "--folds", str(folder / "folds.txt")]
    found = [
        Command("segment", ["segment", frames, "--quiet", *SMALL, *CHECKPOINTS], ["--resume"]),
        Command("predict", ["predict", trained, frames, "--save-probability", "--quiet"], ["--resume"]),
        Command("phantom", ["phantom", "--frames", "2", "--quiet"]),
        Command("export", ["export", "onnx", trained, "--quiet"], file="model.onnx"),
        Command("benchmark", ["benchmark", "table1", *data, "--quiet", *SMALL, *CHECKPOINTS, *TABLE]),
    ]
    if forked(lambda: _inputs(folder)) != 0:
        raise RuntimeError("The inputs could not be made.")
    train = Command("train", ["train", frames, "--quiet", *SMALL])
    if {"predict", "export"} & set(names) and process(train, Path(trained), folder / "events.json", again=False) != 0:
        raise RuntimeError(_tail(folder / "events.json"))
    return [command for command in found if command.name in names]


def _inputs(folder: Path) -> int:
    from cuemask.phantom import PhantomScene, write_phantom
    from cuemask.phantom.layouts import write_layout

    write_phantom(folder / "source", 6, PhantomScene(seed=1, height_px=64, width_px=80))
    write_layout("endovis2017", folder / "set", recordings=2, frames=2)
    (folder / "folds.txt").write_text("1\n2\n")
    return 0


def table(tallies: Mapping[str, Tally]) -> str:
    """Counts as Markdown, a row a command."""
    stages = [*_STAGES, "other"]
    lines = [
        f"| command | kills | {' | '.join(stages)} | runs compared | killed again | not equal |",
        "|---" * (len(stages) + 5) + "|",
    ]
    for name, tally in tallies.items():
        counts = [f"{tally.kills.total():,}", *(str(tally.kills[s]) for s in stages)]
        lines.append(f"| `{name}` | {' | '.join(counts)} | {tally.runs} | {tally.chains} | {len(tally.bad)} |")
    return "\n".join(lines)


def killed(counts: dict[str, int], seed: int, work: Path, say: Callable[[str], None]) -> dict[str, Tally]:
    """Kill each command so often."""
    for module in (*_PRELOADED, *(module for name in counts for module in _PRELOADED_FOR.get(name, ()))):
        importlib.import_module(module)
    gc.freeze()  # what is shared stays shared
    tallies = {name: Tally() for name in counts}
    work.mkdir(parents=True, exist_ok=True)
    for command in commands(work, list(counts)):
        campaign(command, counts[command.name], seed, work, tallies[command.name], say)
    return tallies


def main() -> None:
    """Run the campaign and print its table; exit 1 where a result differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="[1,000]")
    parser.add_argument("--command", choices=SHARES, help="only this one")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    arguments = parser.parse_args()
    shares = {arguments.command: 1} if arguments.command else SHARES
    counts = {name: max(1, round(arguments.kills * share / sum(shares.values()))) for name, share in shares.items()}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tallies = killed(counts, arguments.seed, Path(folder), lambda line: print(line, file=sys.stderr))
    print(table(tallies))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = time.process_time() + used.ru_utime + used.ru_stime
    print(f"\n{processor:.0f} s of a processor, {time.monotonic() - started:.0f} s by the clock")
    bad = [line for tally in tallies.values() for line in tally.bad]
    print("\n".join(bad), file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
