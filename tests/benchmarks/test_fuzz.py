"""The short form of `python -m benchmarks.fuzz`: some cases of most readers, in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.fuzz import Tally, campaign, counts_of, table
from benchmarks.fuzz_child import outcome
from benchmarks.fuzz_readers import READERS, cases, make_seeds
from benchmarks.mutations import mutated

# Not here: an export and a cell of a table take seconds to make.
SHORT = [name for name in READERS if name not in ("models, ONNX", "checkpoint", "scores.json")]


@pytest.mark.parametrize("name", SHORT)
def test_damaged_files_are_read_or_refused_and_own_state_is_made_again(name: str, tmp_path: Path) -> None:
    make_seeds(tmp_path / "seeds", [name])
    for number, file, read, whole in cases(tmp_path / "seeds", tmp_path / "work", name, range(12)):
        told = outcome(read, whole)
        assert told["result"] in ("read", "refused"), f"{name} {number} {file}: {told['error']}"


@pytest.mark.parametrize("name", SHORT)
def test_whole_files_are_read(name: str, tmp_path: Path) -> None:
    make_seeds(tmp_path / "seeds", [name])
    for file in READERS[name].damaged:
        assert READERS[name].read(tmp_path / "seeds" / name, file) is not None


def test_what_is_neither_read_nor_refused_is_told_with_its_place() -> None:
    told = outcome(lambda: [][1], None)
    assert (told["result"], "IndexError" in told["error"]) == ("foreign", True)
    assert outcome(lambda: 1, 2)["result"] == "other"
    assert outcome(lambda: 2, 2)["result"] == "read"


def test_a_case_is_the_same_whenever_it_is_drawn() -> None:
    data = bytes(range(256)) * 4
    once, again, other = (mutated(data, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert once == again != other


def test_children_run_every_case_and_one_that_dies_is_counted_and_replaced(tmp_path: Path) -> None:
    make_seeds(tmp_path / "seeds", ["masks"])
    tallies = campaign({"masks": 7, "nothing": 1}, 0, 1, tmp_path / "seeds", tmp_path / "work")
    assert tallies["masks"].cases == 7
    assert not tallies["masks"].bad
    assert tallies["nothing"].results["crash"] == 1
    assert "| all | 8 |" in table(tallies)


def test_slow_and_large_cases_are_bad_whatever_came_of_them() -> None:
    tally = Tally()
    for seconds, mb in ((0.1, 1.0), (11.0, 1.0), (0.1, 2000.0)):
        tally.add({"number": 0, "file": "a", "result": "read", "error": "", "seconds": seconds, "mb": mb}, "masks")
    assert (tally.results["slow"], tally.results["large"], len(tally.bad)) == (1, 1, 2)
    assert sum(counts_of(10_000, list(READERS)).values()) == pytest.approx(10_000, abs=20)
