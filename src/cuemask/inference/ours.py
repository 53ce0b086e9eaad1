"""Whether a file is a model of ours: asked here, whatever the file's format, before anything is made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cuemask.errors import RecipeError, WeightsError
from cuemask.recipe import Recipe, recipe_of_model


class Port(NamedTuple):
    """An input or output of a graph: its name, ONNX Runtime's word for its type, and its sizes, words where free."""

    name: str
    type: str
    shape: Sequence[int | str | None]

    def __str__(self) -> str:
        return f"{self.name}: {self.type} {'x'.join(str(size) for size in self.shape)}"


def recipe_in(metadata: Mapping[str, str], file: Path, remedy: str) -> Recipe:
    """The recipe in a model's metadata.

    Raises
    ------
    WeightsError
        If there is none, or what stands there is no recipe.
    """
    if "recipe" not in metadata:
        raise not_ours(file, "no recipe in its metadata", remedy)
    try:
        return recipe_of_model(json.loads(metadata["recipe"]))
    except RecipeError as error:
        raise not_ours(file, error.what, remedy) from error
    except (ValueError, RecursionError) as error:  # whatever JSON, numbers of it and their nesting can do
        raise not_ours(file, f"its recipe is no JSON: {str(error)[:80]}", remedy) from error


def refuse_other_ports(file: Path, found: Sequence[Port], wanted: Sequence[Port], remedy: str) -> None:
    """Refuse a graph whose inputs, or outputs, are not those `wanted`; what these call -1 may be of any size.

    Raises
    ------
    WeightsError
        If the number, name, type, rank or a size is another.
    """
    if len(found) != len(wanted) or not all(_is(one, other) for one, other in zip(found, wanted, strict=True)):
        names, hoped = (", ".join(str(port) for port in ports) or "nothing" for ports in (found, wanted))
        raise not_ours(file, f"{names} in the place of {hoped}", remedy)


def not_ours(file: Path, why: str, remedy: str) -> WeightsError:
    """Say that `file` is not a model of ours."""
    return WeightsError(f"{file}: not a model that cuemask wrote ({why}).", remedy)


def _is(found: Port, wanted: Port) -> bool:
    if found[:2] != wanted[:2] or len(found.shape) != len(wanted.shape):
        return False
    return all(_fits(a, b) for a, b in zip(found.shape, wanted.shape, strict=True))


def _fits(size: Any, wanted: int | str | None) -> bool:
    return size == wanted or not isinstance(size, int) or wanted == -1
