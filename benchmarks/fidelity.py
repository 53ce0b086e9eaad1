"""Ours beside the paper and the published code, item by item: the largest difference, and the test that holds it.

    python -m benchmarks.fidelity [--results benchmarks/results/fidelity.md]

What can be computed is computed here and now, on drawn values and, where they are at hand, on the real frames; what
differs on purpose names the line of docs/deviations.md that explains it. A line that is neither within its tolerance
nor explained fails, and so does `tests/benchmarks/test_fidelity.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import fidelity_paper, fidelity_published
from benchmarks.fidelity_items import Item
from benchmarks.machine import machine
from cuemask.media.files import make_folder, write_bytes

ROOT = Path(__file__).parents[1]
SOURCES: dict[str, Callable[[], list[Item]]] = {
    "The paper": fidelity_paper.items,
    "The published code": fidelity_published.items,
}


@dataclass(frozen=True)
class Line:
    """An item with its difference; None where what it needs is not at hand."""

    item: Item
    difference: float | None

    @property
    def verdict(self) -> str:
        """`equal`, within the item's tolerance; `differs`, explained; `not at hand`; `UNEXPLAINED`."""
        if self.difference is None:
            return "not at hand"
        if self.difference <= self.item.tolerance:
            return "equal"
        return "differs" if self.item.explained else "UNEXPLAINED"


def main() -> None:
    """Compute, print and write the table; exit with 1 where a line is unexplained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "fidelity.md")
    arguments = parser.parse_args()
    lines = {source: lines_of(items()) for source, items in SOURCES.items()}
    text = markdown(lines)
    print(text)
    write_bytes(make_folder(arguments.results.parent) / arguments.results.name, text.encode())
    unexplained = [line.item.what for found in lines.values() for line in found if line.verdict == "UNEXPLAINED"]
    if unexplained:
        sys.exit(f"unexplained: {', '.join(unexplained)}")


def lines_of(items: list[Item]) -> list[Line]:
    """Each item with its difference, computed now."""
    return [Line(item, item.difference()) for item in items]


def markdown(lines: dict[str, list[Line]]) -> str:
    """The whole document."""
    text = [
        "# Fidelity: ours beside the paper and the published code",
        "",
        "Made by `python -m benchmarks.fidelity`, which computes each difference anew. What differs "
        "is explained in [deviations.md](../../docs/deviations.md) under the words in the last column.",
    ]
    for source, found in lines.items():
        text += ["", f"## {source}", ""]
        text += ["| item | theirs | ours | largest difference | | held by | explained under |", "|---" * 7 + "|"]
        for line in found:
            item = line.item
            difference = "" if line.difference is None else f"{line.difference:.2g} {item.unit}".strip()
            cells = [item.what, item.theirs, item.ours, difference, line.verdict, f"`{item.test}`", item.explained]
            text.append(f"| {' | '.join(cells)} |")
    counted = [line.verdict for found in lines.values() for line in found]
    told = ", ".join(f"{counted.count(v)} {v}" for v in dict.fromkeys(counted))
    return "\n".join([*text, "", f"{len(counted)} lines: {told}.", "", f"*{machine()}*"]) + "\n"


if __name__ == "__main__":
    main()
