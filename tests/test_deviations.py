"""docs/deviations.md says in what every named recipe differs from the one that it is set against."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cuemask.recipe import NAMED, recipe_as_mapping

TEXT = (Path(__file__).parents[1] / "docs" / "deviations.md").read_text(encoding="utf-8")
AGAINST = {
    "released": "paper",
    "default": "paper",
    "fast": "default",
    "isic": "paper",
    "lesion": "default",
}


def section(name: str, base: str) -> str:
    found = re.search(rf"^## `{name}` against `{base}`\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section on `{name}` against `{base}`"
    return found[1]


def fields_of(text: str) -> set[str]:
    """`section.field` in backticks; `field` alone has the section named before it in the same cell."""
    found: set[str] = set()
    for cell in re.split(r"\||\n", text):
        place = ""
        for name in re.findall(r"`([a-z0-9_.]+)`", cell):
            head, dot, field = name.rpartition(".")
            place = head if dot else place
            found.add(f"{place}.{field}")
    return found


def changed(name: str, base: str) -> set[str]:
    ours, theirs = recipe_as_mapping(NAMED[name]), recipe_as_mapping(NAMED[base])
    sections = [s for s in ours if s != "name"]
    return {f"{s}.{key}" for s in sections for key, value in ours[s].items() if value != theirs[s][key]}


def test_every_named_recipe_is_set_against_another():
    assert set(AGAINST) | {"paper"} == set(NAMED)


@pytest.mark.parametrize(("name", "base"), AGAINST.items())
def test_every_field_that_differs_is_listed(name, base):
    assert changed(name, base) <= fields_of(section(name, base))


@pytest.mark.parametrize(("name", "base"), AGAINST.items())
def test_every_field_that_is_listed_is_one(name, base):
    known = {f"{s}.{key}" for s, values in recipe_as_mapping(NAMED[name]).items() if s != "name" for key in values}
    listed = {
        field for field in fields_of(section(name, base)) if field.partition(".")[0] in recipe_as_mapping(NAMED[name])
    }
    assert listed <= known
