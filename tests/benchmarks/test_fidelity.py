from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from benchmarks.fidelity import Line, lines_of, markdown
from benchmarks.fidelity_items import Item

from benchmarks import fidelity_paper, fidelity_published

ROOT = Path(__file__).parents[2]
ITEMS = [*fidelity_paper.items(), *fidelity_published.items()]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.what)
def test_each_item_is_equal_or_explained(item):
    (line,) = lines_of([item])
    assert line.verdict in ("equal", "differs", "not at hand"), f"differs by {line.difference}"


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.what)
def test_each_item_is_held_by_a_test_and_explained_where_it_says(item):
    file, _, name = item.test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)
    told = (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8").lower()
    assert item.explained.lower() in told
    assert "|" not in f"{item.what}{item.theirs}{item.ours}{item.unit}{item.explained}"


def test_an_item_that_differs_without_a_word_is_unexplained():
    item = Item("a", "b", "c", lambda: 0.2, "d::e", tolerance=0.1)
    (line,) = lines_of([item])
    assert line.verdict == "UNEXPLAINED"
    assert dataclasses.replace(line, difference=0.1).verdict == "equal"
    assert Line(dataclasses.replace(item, explained="f"), 0.2).verdict == "differs"
    assert "1 lines: 1 UNEXPLAINED" in markdown({"x": [line]})
