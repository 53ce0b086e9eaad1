"""Damaged files of every kind that cuemask reads, and what comes of them: read, refused in our own words, or worse.

    python -m benchmarks.fuzz                            # 10,000 cases
    python -m benchmarks.fuzz --cases 1500
    python -m benchmarks.fuzz --reader pictures --first 123 --cases 1    # one case again, with what it says

A file is damaged in one to four places: bits, bytes, numbers, lengths, words, pieces cut out, repeated or exchanged.
Cases run in child processes, many a child, whose memory may grow by 3 GB; seconds are of the processor. A child that
dies or says nothing for two minutes is replaced. State of cuemask's own is read as a resumed run does: what comes of
it has to be what was written, made again where it was damaged; anything else is `other`. Linux only: memory is read
from /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fuzz_readers import READERS, make_seeds

SECONDS, MEGABYTES = 10.0, 1024.0  # what no case should take
PATIENCE = 120.0  # seconds by the clock in which a child has to tell something
BLOCK = 100
# Shares of the cases: most where files come from elsewhere.
SHARES = {"pictures": 4, "masks": 2, "videos": 4, "models, safetensors": 3, "models, ONNX": 2, "weights": 2}


@dataclass
class Tally:
    """What came of one reader's cases."""

    cases: int = 0
    results: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0  # the slowest
    mb: float = 0.0  # the greatest
    bad: list[str] = field(default_factory=list[str])

    def add(self, told: dict[str, Any], name: str) -> None:
        """Count one case."""
        self.cases += 1
        self.results[told["result"]] += 1
        self.seconds, self.mb = max(self.seconds, told["seconds"]), max(self.mb, told["mb"])
        large, slow = told["mb"] > MEGABYTES, told["seconds"] > SECONDS
        self.results["large"] += large
        self.results["slow"] += slow
        if large or slow or told["result"] not in ("read", "refused"):
            what = f"{told['result']} {told['error']} ({told['seconds']:.1f} s, {told['mb']:.0f} MB)"
            self.bad.append(f"{name} {told['number']} {told['file']}: {what}")


class Child:
    """A process that runs blocks of cases."""

    def __init__(self, seeds: Path, work: Path) -> None:
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "benchmarks.fuzz_child", str(seeds), str(work), str(writing)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(work.parent)}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[writing],
            env=environment,
        )
        os.close(writing)
        self._reading, self._left = reading, b""

    def run(self, name: str, numbers: range) -> Iterator[dict[str, Any]]:
        """What the child tells of each case; where it dies or hangs, that, and no more."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{numbers.start} {len(numbers)} {name}\n".encode())
            self.process.stdin.flush()
        begun: dict[str, Any] = {"begins": numbers.start, "file": "before the first case"}
        done = 0
        while done < len(numbers):
            line = self._line(PATIENCE)
            if line is None or line == b"":
                result = "slow" if line is None else "crash"
                self.end()
                error = f"exit {self.process.returncode}"
                seconds = PATIENCE if line is None else 0.0
                yield {
                    "number": begun["begins"],
                    "file": begun["file"],
                    "result": result,
                    "error": error,
                    "seconds": seconds,
                    "mb": 0.0,
                }
                return
            told = json.loads(line)
            if "begins" in told:
                begun = told
            else:
                done += 1
                yield told

    def end(self) -> None:
        """Stop the process."""
        self.process.kill()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1

    def _line(self, seconds: float) -> bytes | None:
        """The next line; nothing at the end, None if none comes in time."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._left:
            if not select.select([self._reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            more = os.read(self._reading, 1 << 16)
            if not more:
                return b""
            self._left += more
        line, _, self._left = self._left.partition(b"\n")
        return line


def campaign(counts: dict[str, int], first: int, processes: int, seeds: Path, work: Path) -> dict[str, Tally]:
    """Run so many cases of each reader, numbered from `first`."""
    blocks: queue.Queue[tuple[str, range]] = queue.Queue()
    for name, count in counts.items():
        for start in range(first, first + count, BLOCK):
            blocks.put((name, range(start, min(start + BLOCK, first + count))))
    tallies, lock = {name: Tally() for name in counts}, threading.Lock()

    def worker(place: Path) -> None:
        child: Child | None = None
        while True:
            try:
                name, numbers = blocks.get_nowait()
            except queue.Empty:
                break
            while numbers:
                if child is None or child.process.poll() is not None:
                    child = Child(seeds, place)
                for told in child.run(name, numbers):
                    with lock:
                        tallies[name].add(told, name)
                    numbers = range(told["number"] + 1, numbers.stop)
        if child is not None:
            child.end()

    threads = [threading.Thread(target=worker, args=(work / str(k),)) for k in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """Counts as Markdown, a row a reader and one of all."""
    head = "| what is read | cases | read | refused | other | foreign | crash | >1 GB | >10 s | slowest | largest |"
    lines = [head, "|---" * 11 + "|"]
    whole = Tally()
    for name, tally in tallies.items():
        lines.append(_row(name, tally))
        whole.cases += tally.cases
        whole.results += tally.results
        whole.seconds, whole.mb = max(whole.seconds, tally.seconds), max(whole.mb, tally.mb)
    return "\n".join([*lines, _row("all", whole)])


def _row(name: str, tally: Tally) -> str:
    kinds = ("read", "refused", "other", "foreign", "crash", "large", "slow")
    counts = [f"{tally.results[kind]:,}" for kind in kinds]
    return f"| {' | '.join([name, f'{tally.cases:,}', *counts, f'{tally.seconds:.1f} s', f'{tally.mb:.0f} MB'])} |"


def counts_of(cases: int, names: Sequence[str]) -> dict[str, int]:
    """How many cases each reader gets of `cases`."""
    shares = {name: SHARES.get(name, 1) for name in names}
    return {name: max(1, round(cases * share / sum(shares.values()))) for name, share in shares.items()}


def main() -> None:
    """Run the campaign and print its table; exit 1 where anything but reading and refusing happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="[10,000]")
    parser.add_argument("--reader", choices=READERS, help="only this one")
    parser.add_argument("--first", type=int, default=0, help="number of each reader's first case [0]")
    parser.add_argument("--processes", type=int, default=2, help="[2]")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = counts_of(arguments.cases, [arguments.reader] if arguments.reader else list(READERS))
        make_seeds(Path(folder) / "seeds", counts)
        tallies = campaign(counts, arguments.first, arguments.processes, Path(folder) / "seeds", Path(folder) / "work")
    print(table(tallies))
    bad = [line for tally in tallies.values() for line in tally.bad]
    print(f"\n{time.monotonic() - started:.0f} s")
    print("\n".join(bad), file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
