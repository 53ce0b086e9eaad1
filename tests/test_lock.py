"""requirements.lock holds all that pyproject.toml asks for, each with its hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LEFT_OUT = {"torch"}  # its build is a matter of the machine: constraints.txt has its version


def locked() -> dict[str, list[tuple[str, str]]]:
    """Versions by name, each with the text of its entry."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, text.splitlines()):
        name, version = re.match(r"([a-z0-9.-]+)==(\S+)", line).groups()
        found.setdefault(name, []).append((version, line))
    return found


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    return [one for one in map(Requirement, lines) if one.name != "cuemask"]


def test_it_covers_what_is_asked_for_in_versions_that_will_do():
    held = locked()
    for one in wanted():
        name = canonicalize_name(one.name)
        if name in LEFT_OUT:
            assert name not in held
            continue
        assert name in held, f"{name} is in pyproject.toml and not in requirements.lock: run `make lock`"
        for version, _ in held[name]:
            assert one.specifier.contains(version, prereleases=True), f"{name} {version}: run `make lock`"


def test_it_agrees_with_the_constraints():
    held = locked()
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name, version = line.split("==")
        if name not in LEFT_OUT:
            assert [found for found, _ in held[name]] == [version]


def test_every_entry_has_hashes_and_none_an_address():
    for entries in locked().values():
        for _, line in entries:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line
            assert not re.search(r"https?:|file:|@|--index|--find", line), line
