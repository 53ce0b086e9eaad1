"""Which runs make which row of which table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cuemask.datasets.catalogue import SHOWN
from cuemask.datasets.dataset import Dataset
from cuemask.errors import DatasetError
from cuemask.experiments.published import (
    CUES,
    LESIONS,
    LESIONS_OF_OTHERS,
    LOSSES,
    NETWORK,
    SUPERVISION,
    SUPERVISION_OF_OTHERS,
    Printed,
)
from cuemask.recipe import Cue, Recipe, load_recipe

TABLES = ("table1", "table2", "table3", "table4")
USUAL = {"table1": "endovis2017", "table2": "endovis2017", "table3": "endovis2017", "table4": "isic2016"}
_MOST_LEFT_OUT = 10  # recordings, each a fold of its own
WHOLE = "SS-0"  # the network of the whole recipe without labels, in the single-stage setting


@dataclass(frozen=True)
class Cell:
    """One network: what it learns from, and what it is scored on.

    Attributes
    ----------
    key
        Names its folder.
    learn, score
        Names of recordings; the same in the single-stage setting.
    labels
        Percentage of the frames of `learn` whose anchors are true masks.
    anchors
        Whether the anchors that it learns from are scored too.
    """

    key: str
    recipe: Recipe
    learn: tuple[str, ...]
    score: tuple[str, ...]
    labels: int = 0
    anchors: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table: what stands at its left, the cells whose frames are pooled, and what the paper prints.

    Attributes
    ----------
    head
        Column by column.
    cells
        None for what the paper quotes of others.
    printed
        By method; empty where the paper has no such row.
    """

    head: Mapping[str, str]
    cells: tuple[Cell, ...]
    printed: Mapping[str, Printed]


@dataclass(frozen=True)
class Split:
    """How recordings are divided.

    Attributes
    ----------
    folds
        In each, what is learnt from and what is held out; no recording is held out twice.
    """

    folds: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    @property
    def scored(self) -> tuple[str, ...]:
        """All that is held out in some fold: what the single-stage setting learns from and is scored on too."""
        return tuple(name for _, held_out in self.folds for name in held_out)


def rows_of(table: str, split: Split, recipe: Recipe, *, is_quick: bool = False) -> list[Row]:
    """The rows of one of `TABLES`, in the paper's order.

    Parameters
    ----------
    recipe
        What all rows have in common; table 4 leaves its colour cue out, as section 3.5 does, and adds rows of ours
        with a colour cue for lesions.
    is_quick
        Networks of a few steps on tiny pictures, to try a table out: its figures mean nothing.
    """
    recipe = quick(recipe) if is_quick else recipe
    if table == "table1":
        return _losses(split, recipe)
    if table == "table2":
        return _cues(split, recipe)
    if table == "table3":
        return _supervision(split, recipe, SUPERVISION, SUPERVISION_OF_OTHERS)
    rows = _supervision(split, without_color(recipe), LESIONS, LESIONS_OF_OTHERS)
    lesion = load_recipe("lesion")
    return [*rows, *_with_lesion_cue(split, quick(lesion) if is_quick else lesion)]


def split_of(dataset: Dataset, file: Path | None = None) -> Split:
    """The folds of a file, else those of the data set, else its training and test part, else each recording by itself.

    Only recordings with truth are scored; the others are learnt from in no fold.

    Parameters
    ----------
    file
        A line a fold: numbers or names of the recordings held out, separated by commas.

    Raises
    ------
    DatasetError
        If there is no truth, the file names what is not there or one recording twice, or there is no way to divide.
    """
    names = [recording.name for recording in dataset.recordings if recording.truth is not None]
    if not names:
        raise DatasetError(f"{dataset.root}: no recording has truth.", "Take the part that comes with true masks.")
    if file is not None:
        return _folds(names, _of_file(dataset, file))
    if dataset.folds:
        present = [tuple(name for name in fold if name in names) for fold in dataset.folds]
        training = [r.name for r in dataset.recordings if r.name in names and r.split == "train"]
        return _folds(training, [fold for fold in present if fold])
    parts = {
        part: tuple(r.name for r in dataset.recordings if r.split == part and r.truth) for part in ("train", "test")
    }
    if all(parts.values()):
        return Split(((parts["train"], parts["test"]),))
    if not 2 <= len(names) <= _MOST_LEFT_OUT:
        raise DatasetError(
            f"{dataset.root}: {len(names)} recordings, and nothing tells which of them are to be held out.",
            "Give a file with a line a fold, the recordings held out separated by commas: --folds FILE",
        )
    return _folds(names, [(name,) for name in names])


def without_color(recipe: Recipe) -> Recipe:
    """Section 3.5: objectness and a fixed prior of the centre, pairs at random, pictures of any size."""
    cues = dataclasses.replace(
        recipe.cues, use=("objectness", "location"), location="gaussian", objectness_weight=1.0, location_weight=1.0
    )
    return dataclasses.replace(
        recipe,
        input=dataclasses.replace(recipe.input, area="full"),
        cues=cues,
        anchors=dataclasses.replace(recipe.anchors, threshold="frame", least_contour=0.0),
        training=dataclasses.replace(recipe.training, pairing="random"),
    )


def _losses(split: Split, recipe: Recipe) -> list[Row]:
    rows: list[Row] = []
    terms = recipe.losses
    # Terms that the recipe does without weigh what they do in the paper.
    both = dataclasses.replace(
        terms, foreground_weight=terms.foreground_weight or 1.0, background_weight=terms.background_weight or 1.0
    )
    for (foreground, background), printed in LOSSES.items():
        losses = both
        if not foreground:
            losses = dataclasses.replace(losses, foreground_weight=0.0)
        if not background:
            losses = dataclasses.replace(losses, background_weight=0.0)
        is_whole = losses == terms  # the recipe as it is, which other tables have too
        name = WHOLE if is_whole else "anchor" + "+foreground" * foreground + "+background" * background
        cell = Cell(name, dataclasses.replace(recipe, losses=losses), split.scored, split.scored)
        head = {"anchor loss": "yes", "foreground": _yes(foreground), "background": _yes(background)}
        rows.append(Row(head, (cell,), {NETWORK: printed}))
    return rows


def _cues(split: Split, recipe: Recipe) -> list[Row]:
    sets: dict[tuple[Cue, ...], Mapping[str, Printed]] = {_cue_set(use): printed for use, printed in CUES.items()}
    if recipe.cues.use not in sets:
        sets[recipe.cues.use] = {}  # the recipe's own, which the paper has not
    rows: list[Row] = []
    for use, printed in sets.items():
        chosen = dataclasses.replace(recipe, cues=dataclasses.replace(recipe.cues, use=use))
        cell = Cell(
            WHOLE if use == recipe.cues.use else "+".join(use), chosen, split.scored, split.scored, anchors=True
        )
        rows.append(Row({"cues": ", ".join(use)}, (cell,), printed))
    return rows


def _supervision(
    split: Split,
    recipe: Recipe,
    ours: Mapping[tuple[int, str], Printed],
    others: Mapping[tuple[int, str], Printed],
) -> list[Row]:
    rows = [Row(_head(percent, name, "TT"), (), {NETWORK: printed}) for (percent, name), printed in others.items()]
    for (percent, setting), printed in ours.items():
        cells = _cells(split, recipe, percent, setting, "")
        rows.append(Row(_head(percent, recipe.name, setting), cells, {NETWORK: printed}))
    return sorted(rows, key=lambda row: (-int(row.head["labels"].split()[0]), bool(row.cells)))


def _with_lesion_cue(split: Split, lesion: Recipe) -> list[Row]:
    """Ours beyond the paper: a colour cue for lesions."""
    return [
        Row(_head(0, lesion.name, setting), _cells(split, lesion, 0, setting, "lesion-"), {})
        for setting in ("TT", "SS")
    ]


def quick(recipe: Recipe) -> Recipe:
    """The recipe made to run in seconds, with features that need no download."""
    extractor = dataclasses.replace(recipe.features, extractor="texture", weights="")
    return dataclasses.replace(
        recipe,
        name=f"{recipe.name}, quick",
        input=dataclasses.replace(recipe.input, height_px=64, width_px=80),
        cues=dataclasses.replace(recipe.cues, objectness_windows=50),
        network=dataclasses.replace(recipe.network, width=4, depth=2, weights="random"),
        features=extractor,
        training=dataclasses.replace(recipe.training, steps=6, pairs_per_step=2),
        masks=dataclasses.replace(recipe.masks, height_px=128),
    )


def _cells(split: Split, recipe: Recipe, percent: int, setting: str, prefix: str) -> tuple[Cell, ...]:
    if setting == "SS":
        return (Cell(f"{prefix}SS-{percent}", recipe, split.scored, split.scored, percent),)
    return tuple(
        Cell(f"{prefix}TT-{percent}-fold{number}", recipe, learn, held_out, percent)
        for number, (learn, held_out) in enumerate(split.folds)
    )


def _head(percent: int, method: str, setting: str) -> dict[str, str]:
    return {"labels": f"{percent} %", "method": method, "setting": setting}


def _folds(names: Sequence[str], held_out: Sequence[tuple[str, ...]]) -> Split:
    folds: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    for fold in held_out:
        learn = tuple(name for name in names if name not in fold)
        if not learn:
            raise DatasetError(
                f"fold {', '.join(fold)}: nothing is left to learn from.", "Hold out fewer recordings, or add some."
            )
        folds.append((learn, fold))
    return Split(tuple(folds))


def _of_file(dataset: Dataset, file: Path) -> list[tuple[str, ...]]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file}: cannot be read ({error}).", "Give a text file, a line a fold: 1,3") from error
    folds = [
        tuple(name for part in line.split(",") for name in _called(dataset, part.strip(), file))
        for line in lines
        if line and not line.startswith("#")
    ]
    held_out = [name for fold in folds for name in fold]
    twice = sorted({name for name in held_out if held_out.count(name) > 1})
    if twice or not folds:
        what = f"{', '.join(twice)} held out twice" if twice else "no fold in it"
        raise DatasetError(f"{file}: {what}.", "Give a line a fold, each recording in one of them: 1,3")
    return folds


def _called(dataset: Dataset, called: str, file: Path) -> list[str]:
    with_truth = [r for r in dataset.recordings if r.truth is not None]
    found = [r.name for r in with_truth if r.name == called] or [r.name for r in with_truth if r.number == called]
    if not found:
        there = ", ".join(r.name for r in with_truth[:SHOWN])
        raise DatasetError(f"{file}: no recording {called!r} with truth.", f"There are {there}.")
    return found


def _cue_set(names: Sequence[str]) -> tuple[Cue, ...]:
    known: tuple[Cue, ...] = ("color", "objectness", "location")
    return tuple(cue for cue in known if cue in names)


def _yes(is_so: bool) -> str:
    return "yes" if is_so else ""
