"""What an installed package holds: everything that lies in it, and nothing else."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_file_that_is_no_source_is_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    package = ROOT / "src" / "cuemask"
    named = {path for glob in project["tool"]["setuptools"]["package-data"]["cuemask"] for path in package.glob(glob)}
    lying = {p for p in package.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc") and p.name[0] != "."}
    assert lying == named, "see [tool.setuptools.package-data]"
    assert package / "cues" / "shape.npz" in named, "the drawn network"
