"""The locks hold all that pyproject.toml asks for, each with its hashes: one of all extras, one of the images."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LEFT_OUT = {"torch"}  # its build is a matter of the machine: constraints.txt has its version


DEPLOYED = {"train", "runtime", "export", "dicom", "cluster", "stores"}  # as the Makefile has it
LOCKS = {"requirements.lock": None, "deploy/requirements.lock": DEPLOYED}


def locked(lock: str) -> dict[str, list[tuple[str, str]]]:
    """Versions by name, each with the text of its entry."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, text.splitlines()):
        name, version = re.match(r"([a-z0-9.-]+)==(\S+)", line).groups()
        found.setdefault(name, []).append((version, line))
    return found


def wanted(extras: set[str] | None) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chosen = [some for name, some in project["optional-dependencies"].items() if extras is None or name in extras]
    lines = [*project["dependencies"], *(one for some in chosen for one in some)]
    return [one for one in map(Requirement, lines) if one.name != "cuemask"]


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_it_covers_what_is_asked_for_in_versions_that_will_do(lock, extras):
    held = locked(lock)
    for one in wanted(extras):
        name = canonicalize_name(one.name)
        if name in LEFT_OUT:
            assert name not in held
            continue
        assert name in held, f"{name} is in pyproject.toml and not in {lock}: run `make lock`"
        for version, _ in held[name]:
            assert one.specifier.contains(version, prereleases=True), f"{name} {version}: run `make lock`"


def test_it_agrees_with_the_constraints():
    held = locked("requirements.lock")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name, version = line.split("==")
        if name not in LEFT_OUT:
            assert [found for found, _ in held[name]] == [version]


def test_the_images_lock_is_a_part_of_the_whole_one():
    whole, images = (locked(lock) for lock in LOCKS)
    assert all(whole[name] == entries for name, entries in images.items())


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_has_hashes_and_none_an_address(lock):
    for entries in locked(lock).values():
        for _, line in entries:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line
            assert not re.search(r"https?:|file:|@|--index|--find", line), line
