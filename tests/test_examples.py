"""The notebooks in examples/ run from their first cell to their last, as they stand."""

from __future__ import annotations

import ast
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
QUICK = ("own_cue", "losses_elsewhere")  # the others are run by `make test-all`
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))


def cells(name: str, kind: str) -> list[str]:
    book = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == kind]


def executed(code: str, names: dict[str, Any]) -> None:
    """Run a cell; what its last line gives is shown, as notebooks do it."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is not None:
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        assert len(repr(shown)) < 2000
        if hasattr(shown, "_repr_html_"):
            assert "<" in shown._repr_html_()


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NOTEBOOKS]
)
def test_it_runs_as_it_stands(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for code in cells(name, "code"):
        executed(code, names)


def test_they_are_small_without_outputs_and_listed() -> None:
    assert len(NOTEBOOKS) == 6
    listed = (EXAMPLES.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    for name in NOTEBOOKS:
        file = EXAMPLES / f"{name}.ipynb"
        book = json.loads(file.read_text(encoding="utf-8"))
        assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
        assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in book["cells"])
        assert file.stat().st_size < 20_000
        assert cells(name, "markdown")[0].startswith("# ")
        assert f"(examples/{name}.md)" in listed
