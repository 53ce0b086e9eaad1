"""From keywords to `Options`: the command line's options of the same names, and a recipe's sections."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from cuemask.cues.own import OwnCue
from cuemask.datasets.dataset import Dataset
from cuemask.errors import RecipeError
from cuemask.media.clips import ClipFiles
from cuemask.media.frames import Selection
from cuemask.media.hardware import Decoder
from cuemask.media.overlay import Style
from cuemask.media.stereo import Eye
from cuemask.recipe import CuesRecipe, Recipe, load_recipe
from cuemask.runs.options import MasksAs, Options, Progress, refuse_other_words

Place = str | PathLike[str]
Inputs = Place | ClipFiles | Dataset | Sequence[Place | ClipFiles]
Section = Mapping[str, Any]


class ReadingSettings(TypedDict, total=False):
    """What is read and how: keywords of every call that makes a run."""

    every: int
    fps: float | None
    start: float
    end: float | None
    crop: tuple[int, int, int, int] | None
    stereo: Eye | None
    seed: int
    resume: bool
    progress: Progress
    say: Callable[[str], None]


class RecipeSettings(TypedDict, total=False):
    """Single fields of the recipe: a mapping a section, or `section.key=value` each."""

    set: Sequence[str]
    input: Section
    cues: Section
    anchors: Section
    network: Section | Callable[..., Any]  # or a module of one's own
    features: Section
    losses: Section
    training: Section
    masks: Section | MasksAs  # or, of calls that make masks, what they are written as


class MaskSettings(TypedDict, total=False):
    """What is made beside masks."""

    save_probability: bool
    overlay: bool
    overlay_style: Style
    blank_outside: bool
    blank_text: bool


class AnchorsSettings(ReadingSettings, RecipeSettings, total=False):
    """Keywords of `anchors`."""


class TrainSettings(ReadingSettings, RecipeSettings, total=False):
    """Keywords of `train`."""

    device: Literal["auto", "cpu", "cuda"]
    decoder: Decoder
    labels: int | Place | None
    report: bool


class SegmentSettings(TrainSettings, MaskSettings, total=False):
    """Keywords of `segment`."""


class PredictSettings(ReadingSettings, MaskSettings, total=False):
    """Keywords of `predict`."""

    device: Literal["auto", "cpu", "cuda"]
    provider: Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]
    decoder: Decoder
    network: Callable[..., Any] | None
    masks: MasksAs
    report: bool


_SECTIONS = frozenset(RecipeSettings.__annotations__) - {"set"}
_CUES = frozenset(key.name for key in fields(CuesRecipe))
_SELECTION = {"every": "every", "fps": "frames_per_second", "start": "start_seconds", "end": "end_seconds"}


def options_of(
    call: str, allowed: type, inputs: Inputs, out: Place, recipe: str | PathLike[str] | Recipe, given: Mapping[str, Any]
) -> tuple[list[str | Path | ClipFiles], Options]:
    """What a call of ours works on, and its options.

    Parameters
    ----------
    call
        Its name, for messages.
    allowed
        One of the classes above.

    Raises
    ------
    RecipeError
        If a keyword, a section's key or a value is none.
    InputError
        If the selection takes nothing, or an option is none of its words.
    """
    _refuse_unknown(call, given, list(allowed.__annotations__))
    refuse_other_words({name: value for name, value in given.items() if not isinstance(value, Mapping)})
    cues, own = _apart(given.get("cues", {}))
    given = {**given, "cues": cues} if own else given
    network = given.get("network")
    if call == "predict" or callable(network):
        given = {name: value for name, value in given.items() if name != "network"}
    else:
        network = None
    written = given.get("masks")
    if is_written := isinstance(written, str) and call in ("segment", "predict"):
        given = {name: value for name, value in given.items() if name != "masks"}
    selection = Selection(**{field: given[name] for name, field in _SELECTION.items() if name in given})
    left: dict[str, Any] = {
        name: value for name, value in given.items() if name not in {*_SECTIONS, *_SELECTION, "set"}
    }
    if not isinstance(labels := left.get("labels"), (int, type(None))):
        left["labels"] = Path(labels)
    if is_written:
        left["masks"] = written
    if own:
        left["cues"] = own
    if network is not None:
        left["network"] = network
    chosen = recipe_of(recipe, given)
    if isinstance(inputs, Dataset):
        left = {"crop": inputs.crop, **left, "dataset": inputs}
    return listed_inputs(inputs), Options(out, chosen, selection, **left)


def recipe_of(recipe: str | PathLike[str] | Recipe, given: Mapping[str, Any]) -> Recipe:
    """The recipe that is named, with the fields that `given` sets in sections and by `set`; the latter counts.

    Raises
    ------
    RecipeError
        As `load_recipe`.
    """
    settings = given.get("set", ())
    sections = {name: given[name] for name in _SECTIONS if name in given}
    return load_recipe(recipe, [settings] if isinstance(settings, str) else settings, sections)


def listed_inputs(inputs: Inputs) -> list[str | Path | ClipFiles]:
    """One input or several, as `runs` take them."""
    if isinstance(inputs, Dataset):
        return [recording.files for recording in inputs.recordings]
    several = [inputs] if isinstance(inputs, (str, PathLike, ClipFiles)) else cast("Sequence[Any]", inputs)
    return [one if isinstance(one, (str, ClipFiles)) else Path(one) for one in several]


def _apart(cues: object) -> tuple[Any, tuple[OwnCue, ...]]:
    """Fields of the recipe's section, and cues of one's own: a function or folder, or one of these and a weight."""
    if not isinstance(cues, Mapping):
        return cues, ()  # which the recipe refuses
    section: dict[str, Any] = {}
    own: list[OwnCue] = []
    for name, value in cast("Mapping[str, Any]", cues).items():
        is_pair = isinstance(value, tuple) and len(cast("tuple[Any, ...]", value)) == 2
        source, weight = value if is_pair else (value, None)
        is_folder = isinstance(source, str) and os.path.isdir(source)  # noqa: PTH112 (also takes what can be no path)
        if isinstance(source, str) and (is_pair or is_folder) and name not in _CUES:
            source = Path(source)
        if isinstance(source, PathLike) or callable(source):
            own.append(OwnCue(name, source if callable(source) else Path(cast("PathLike[str]", source)), weight))
        else:
            section[name] = value
    return section, tuple(own)


def _refuse_unknown(call: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {nearest[0]}? " if nearest else ""
            raise RecipeError(f"{call}: unknown setting {name!r}.", f"{hint}Known here: {', '.join(sorted(known))}.")
