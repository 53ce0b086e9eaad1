"""Studies whose workers are killed and whose disks fail, and whether the result is an undisturbed one's to the byte.

    python -m benchmarks.faults                              # 200 faults on processes of this machine
    python -m benchmarks.faults --faults 40 --engine dask    # and the scheduler killed and started again
    python -m benchmarks.faults --faults 40 --engine hosts   # and two network namespaces, one cut off while it works
    python -m benchmarks.faults --learn                      # of studies that learn their network, too
    python -m benchmarks.faults --faults 1 --videos 64 --clip real1.mp4 --clip frames/     # with videos of your own

A study of small videos runs once undisturbed. Then it runs again and again, each video disturbed up to three times at
a random moment, when its worker opens, renames or removes a file of the study or makes a folder there: the worker is
killed (SIGKILL), the store returns an error (EIO), the disk is full (ENOSPC), or the store stalls. Some videos are
given to two workers at once. Every file is compared, also ones that should not be there; of JSON and tables all but
times.

The store is a stand-in: the faults are raised where Python asks the system (audit events), not below it.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kills import SMALL, contents

KINDS = ("killed", "error", "full", "stalled")
_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"})
_MOST = 3  # faults of one video: `studies.running` gives up after four tries
_TWICE = 0.3
_STALL_SECONDS = 0.3
_NET, _BRIDGE = "10.213.77", "cuemaskbr"
_FORGOTTEN_SECONDS = 20  # after which a scheduler gives a silent worker's unit to another
_SCHEDULER_KILLS, _LIVES_SECONDS = 2, (3.0, 12.0)  # in each study; how long it lives before
_ERRORS = {"error": errno.EIO, "full": errno.ENOSPC}


@dataclass
class Tally:
    """Faults that came, studies that were compared, and what differed."""

    faults: Counter[str] = field(default_factory=Counter[str])
    videos: int = 0
    twice: int = 0
    schedulers: int = 0
    cut: int = 0
    studies: int = 0
    bad: list[str] = field(default_factory=list[str])


class _Watch:
    """What this process does with files of the study, and the moment at which it is disturbed."""

    is_on = False
    folder = ""
    seen = 0
    at = 0
    kind = ""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _Watch.is_on or event not in _EVENTS or not arguments or not isinstance(arguments[0], (str, os.PathLike)):
        return
    if not os.fspath(arguments[0]).startswith(_Watch.folder):
        return
    _Watch.seen += 1
    if _Watch.seen != _Watch.at:
        return
    Path(f"{_Watch.folder}-faults", f"{_Watch.kind}-{os.getpid()}-{time.monotonic_ns()}").touch()
    if _Watch.kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if _Watch.kind == "stalled":
        time.sleep(_STALL_SECONDS)
        return
    raise OSError(_ERRORS[_Watch.kind], os.strerror(_ERRORS[_Watch.kind]), str(arguments[0]))


def disturbed(study: Path, seed: int, do: Callable[..., Any], unit: Any) -> Any:
    """Do a unit in this process, disturbed once; the number of the moment and the kind follow from seed and try."""
    if not hasattr(_Watch, "hooked"):
        sys.addaudithook(_hook)
        _Watch.hooked = True  # pyright: ignore[reportAttributeAccessIssue]
    tried = _count(Path(f"{study}-faults", f"tries-{unit.name}"))
    rng = np.random.default_rng([seed, tried, *unit.name.encode()])
    usual = int(Path(f"{study}-faults", f"events-{unit.name}").read_text())
    _Watch.folder, _Watch.seen = str(study), 0
    _Watch.kind, _Watch.at = str(rng.choice(KINDS)), int(rng.integers(1, usual + 1)) if tried < _MOST else 0
    _Watch.is_on = True
    try:
        return do(unit)
    finally:
        _Watch.is_on = False


def _count(place: Path) -> int:
    """How often this was asked before, by whatever process."""
    place.mkdir(exist_ok=True)
    for number in range(10_000):
        with suppress(FileExistsError):
            (place / str(number)).touch(exist_ok=False)
            return number
    raise RuntimeError(place)


def counted(study: Path, do: Callable[..., Any], unit: Any) -> Any:
    """Do a unit undisturbed, and note how many moments there are."""
    if not hasattr(_Watch, "hooked"):
        sys.addaudithook(_hook)
        _Watch.hooked = True  # pyright: ignore[reportAttributeAccessIssue]
    _Watch.folder, _Watch.seen, _Watch.at, _Watch.is_on = str(study), 0, 0, True
    try:
        return do(unit)
    finally:
        _Watch.is_on = False
        Path(f"{study}-faults", f"events-{unit.name}").write_text(str(_Watch.seen))


class Faulty(Executor):
    """An engine whose workers are disturbed, and which gives some units to two of them."""

    def __init__(self, inner: Executor, study: Path, seed: int, tally: Tally) -> None:
        self.inner, self.study, self.seed, self.tally = inner, study, seed, tally
        self.rng = np.random.default_rng([seed, 9])

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As of `Executor`; of two equal units the second one's answer counts."""
        if self.rng.random() < _TWICE:
            self.tally.twice += 1
            self.inner.submit(disturbed, self.study, self.seed + 1, fn, *args)
        return self.inner.submit(disturbed, self.study, self.seed, fn, *args)


class Counting(Executor):
    """An engine that counts moments."""

    def __init__(self, inner: Executor, study: Path) -> None:
        self.inner, self.study = inner, study

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As of `Executor`."""
        return self.inner.submit(counted, self.study, fn, *args)


@contextmanager
def local(workers: int, tally: Tally) -> Generator[Executor, None, None]:
    """Processes of this machine."""
    from cuemask.studies.local import LocalExecutor

    del tally
    with LocalExecutor(workers) as executor:
        yield executor


@contextmanager
def dask(workers: int, tally: Tally) -> Generator[Executor, None, None]:
    """A scheduler and workers, each started again when it ends; the scheduler is killed a few times."""
    with _dask("127.0.0.1", [[]] * workers, tally) as (executor, _):
        yield executor


@contextmanager
def hosts(workers: int, tally: Tally) -> Generator[Executor, None, None]:
    """As `dask`, each worker in a network namespace of its own, as on another host; the first is cut off for a while.

    Needs root, and `ip`.
    """
    ip("link", "add", _BRIDGE, "type", "bridge")
    names = [f"cuemask{number}" for number in range(workers)]
    try:
        ip("addr", "add", f"{_NET}.1/24", "dev", _BRIDGE)
        ip("link", "set", _BRIDGE, "up")
        for number, name in enumerate(names):
            ip("netns", "add", name)
            ip("link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{name}v", "master", _BRIDGE, "up")
            ip("-n", name, "addr", "add", f"{_NET}.{number + 2}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        within = [["ip", "netns", "exec", name] for name in names]
        with _dask(f"{_NET}.1", within, tally) as (executor, ends):
            cutter = threading.Thread(target=_cut, args=(f"{names[0]}v", ends, tally))
            cutter.start()
            yield executor
            ends.set()
            cutter.join()
    finally:
        for name in names:
            ip("link", "del", f"{name}v", check=False)
            ip("netns", "del", name, check=False)
        ip("link", "del", _BRIDGE, check=False)


def ip(*words: str, check: bool = True) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *words], check=check, capture_output=True)


def _cut(link: str, ends: threading.Event, tally: Tally) -> None:
    """Cut a host off while it works, for longer than the scheduler waits for it."""
    if ends.wait(float(np.random.default_rng().uniform(*_LIVES_SECONDS))):
        return
    ip("link", "set", link, "down")
    tally.cut += 1
    ends.wait(2 * _FORGOTTEN_SECONDS)
    ip("link", "set", link, "up")


@contextmanager
def _dask(host: str, within: list[list[str]], tally: Tally) -> Generator[tuple[Executor, threading.Event], None, None]:
    """A scheduler on `host`, and for each of `within`, words before its command, a worker."""
    from cuemask.studies.dask import DaskExecutor

    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    address = f"tcp://{host}:{port}"
    dask = [sys.executable, "-m", "dask"]
    scheduler = [*dask, "scheduler", "--host", host, "--port", str(port), "--no-dashboard"]
    options = ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard", "--death-timeout", "10", "--no-nanny"]
    ends = threading.Event()
    kept = [
        threading.Thread(target=_keep, args=([*before, *dask, "worker", address, *options], ends)) for before in within
    ]
    kept.append(threading.Thread(target=_keep, args=(scheduler, ends, _SCHEDULER_KILLS, tally)))
    for thread in kept:
        thread.start()
    executor = DaskExecutor(address)
    try:
        yield executor, ends
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        ends.set()
        for thread in kept:
            thread.join()


def _keep(command: list[str], ends: threading.Event, kills: int = 0, tally: Tally | None = None) -> None:
    """Have a process of Dask's run; kill it so many times, and start it again when it has ended."""
    rng = np.random.default_rng()
    settings = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{_FORGOTTEN_SECONDS}s"}
    while not ends.is_set():
        process = subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + (float(rng.uniform(*_LIVES_SECONDS)) if kills > 0 else 1e9)
        while process.poll() is None and time.monotonic() < until and not ends.wait(0.2):
            pass
        if tally is not None and process.poll() is None and not ends.is_set():
            tally.schedulers, kills = tally.schedulers + 1, kills - 1
        process.kill()
        process.wait()


ENGINES = {"local": local, "dask": dask, "hosts": hosts}


def prepare(folder: Path, videos: int, clips: Sequence[Path]) -> tuple[Path, Path]:
    """A list of so many small videos, links to one, and of `clips`; and a tiny network."""
    from cuemask.phantom import PhantomScene, write_phantom
    from cuemask.recipe import load_recipe
    from cuemask.runs.learning import train
    from cuemask.runs.options import Options

    (folder / "videos").mkdir(parents=True)
    video = write_phantom(folder / "source", 4, PhantomScene(seed=1, height_px=64, width_px=80)).video
    for number in range(videos):
        (folder / "videos" / f"op{number:04d}.mp4").hardlink_to(video)
    listing = folder / "videos.txt"
    listing.write_text("".join(f"{path.resolve()}\n" for path in [*sorted((folder / "videos").iterdir()), *clips]))
    settings = [word for word in SMALL if word != "--set"]
    return listing, train([video], Options(folder / "model", load_recipe("default", settings), report=False))


def campaign(
    engine: str,
    faults: int,
    videos: int,
    seed: int,
    work: Path,
    tally: Tally,
    say: Callable[[str], None],
    clips: Sequence[Path] = (),
    *,
    learns: bool = False,
) -> None:
    """Disturb studies until so many faults have come, and compare what comes of each."""
    from cuemask.recipe import load_recipe
    from cuemask.runs.options import Options
    from cuemask.studies.batch import batch

    recipe = load_recipe("default", [word for word in SMALL if word != "--set"])
    listing, model = prepare(work, videos, clips)

    def run(study: Path, executor: Executor) -> tuple[dict[str, bytes], list[str]]:
        options = Options(study, recipe, overlay=False, report=False)
        done = batch(listing, options, on=executor, model=None if learns else model)
        found = {f"model/{name}": data for name, data in contents(study / "model").items()} if learns else {}
        return found | contents(study / "videos"), [f"{row.name}: {row.error}" for row in done.failed]

    with local(2, Tally()) as inner:
        whole = work / "whole"
        Path(f"{whole}-faults").mkdir()
        expected, _ = run(whole, Counting(inner, whole))
    while tally.faults.total() < faults:
        study = work / f"study{tally.studies}"
        notes = Path(f"{study}-faults")
        notes.mkdir()
        for counts in Path(f"{whole}-faults").glob("events-*"):
            shutil.copy(counts, notes)
        with ENGINES[engine](2, tally) as inner:
            found, failed = run(study, Faulty(inner, study, seed + tally.studies, tally))
        differ = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        if differ:
            what = "; ".join(failed) or ", ".join(differ[:6])
            tally.bad.append(f"study {tally.studies}, seed {seed + tally.studies}: {what}")
            say(tally.bad[-1])
        tally.faults.update(path.name.partition("-")[0] for path in notes.iterdir() if path.name.startswith(KINDS))
        tally.studies, tally.videos = tally.studies + 1, tally.videos + videos + len(clips)
        say(f"{tally.faults.total()} of {faults} faults, {len(tally.bad)} studies differ")
        shutil.rmtree(study)


def table(engine: str, tally: Tally) -> str:
    """Counts as Markdown."""
    names = ["engine", "studies", "videos", *KINDS, "given twice", "scheduler killed", "host cut off", "not equal"]
    counts = [tally.studies, tally.videos, *(tally.faults[kind] for kind in KINDS), tally.twice]
    row = [engine, *counts, tally.schedulers, tally.cut, len(tally.bad)]
    return "\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", f"| {' | '.join(map(str, row))} |"])


def main() -> None:
    """Run the campaign and print its table; exit 1 where a result differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200, help="[200]")
    parser.add_argument("--videos", type=int, default=16, help="of a study [16]")
    parser.add_argument("--clip", type=Path, action="append", default=[], help="also this video or folder of pictures")
    parser.add_argument("--engine", choices=ENGINES, default="local", help="[local]")
    parser.add_argument("--learn", action="store_true", help="each study learns its network, cues included")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    given = parser.parse_args()
    tally, started = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
        campaign(
            given.engine, given.faults, given.videos, given.seed, place, tally, say, given.clip, learns=given.learn
        )
    print(table(given.engine, tally))
    print(json.dumps({"seconds": round(time.monotonic() - started)}))
    print("\n".join(tally.bad), file=sys.stderr)
    sys.exit(1 if tally.bad else 0)


if __name__ == "__main__":
    from benchmarks import faults  # so that workers import it, and are not sent a copy of its state with every unit

    faults.main()
