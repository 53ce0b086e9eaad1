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
from cuemask.recipe import PAPER, Cue, Recipe, load_recipe

TABLES = ("table1", "table2", "table3", "table4")
USUAL = {"table1": "endovis2017", "table2": "endovis2017", "table3": "endovis2017", "table4": "isic2016"}
_MOST_LEFT_OUT = 10  # recordings, each a fold of its own
WHOLE = "SS-0"  # L_full without labels, in the single-stage setting


@dataclass(frozen=True)
class Cell:
    """One network: what it learns from, and what it is scored on.

    Attributes
    ----------
    key
        What people call it; its folder's name begins with it.
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
    name
        What the table's header calls it; rows of one name have cells of one recipe.
    head
        Column by column.
    cells
        Of one recipe; none for what the paper quotes of others.
    printed
        By method; empty where the paper has no such row.
    """

    name: str
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

    A row beside a printed figure is what that figure is, whatever the recipe does: its losses are L_full
    (`with_diffusion`), but where table 1 takes terms away; where table 2 compares cues, and in section 3.5, anchors are
    the paper's products (`with_plain_anchors`). In tables 2 and 3 a recipe that is none of these has rows of its own,
    without a printed figure; in table 1 it is always one of the rows.

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
        return _supervision(split, recipe, with_diffusion(recipe), SUPERVISION, SUPERVISION_OF_OTHERS)
    ours = without_color(with_diffusion(recipe))
    lesion = load_recipe("lesion")
    return [
        *_supervision(split, ours, ours, LESIONS, LESIONS_OF_OTHERS),
        *_with_lesion_cue(split, quick(lesion) if is_quick else lesion),
    ]


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


def with_diffusion(recipe: Recipe) -> Recipe:
    """L_full (equation 5): terms of diffusion that the recipe does without weigh what they do in the paper."""
    terms, paper = recipe.losses, PAPER.losses
    losses = dataclasses.replace(
        terms,
        foreground_weight=terms.foreground_weight or paper.foreground_weight,
        background_weight=terms.background_weight or paper.background_weight,
    )
    return dataclasses.replace(recipe, losses=losses)


def with_plain_anchors(recipe: Recipe) -> Recipe:
    """Section 2.1: the product of the cues and the product of the inverted cues, each frame for itself.

    Of a single cue the positive anchor and 1 - the negative anchor are then the same map.
    """
    cues = dataclasses.replace(
        recipe.cues,
        color_weight=1.0,
        contour_weight=1.0,
        contour_enough=1.0,
        motion_weight=1.0,
        objectness_weight=1.0,
        location_weight=1.0,
        shape_weight=1.0,
        least_shape=0.0,
    )
    anchors = dataclasses.replace(
        recipe.anchors, source="cues", sharpness=0.0, threshold="frame", positive_power=1.0, least_contour=0.0
    )
    return dataclasses.replace(recipe, cues=cues, anchors=anchors)


def without_color(recipe: Recipe) -> Recipe:
    """Section 3.5: plain products of objectness and a fixed prior of the centre, pairs at random, whole pictures."""
    recipe = with_plain_anchors(recipe)
    return dataclasses.replace(
        recipe,
        input=dataclasses.replace(recipe.input, area="full"),
        cues=dataclasses.replace(recipe.cues, use=("objectness", "location"), location="gaussian"),
        training=dataclasses.replace(recipe.training, pairing="random"),
    )


def _losses(split: Split, recipe: Recipe) -> list[Row]:
    """With each term of diffusion or without it; the recipe as it is is always one of these rows."""
    rows: list[Row] = []
    full = with_diffusion(recipe)
    for (foreground, background), printed in LOSSES.items():
        losses = full.losses
        if not foreground:
            losses = dataclasses.replace(losses, foreground_weight=0.0)
        if not background:
            losses = dataclasses.replace(losses, background_weight=0.0)
        chosen = dataclasses.replace(recipe, losses=losses)
        key = "anchor" + "+foreground" * foreground + "+background" * background
        cell = Cell(WHOLE if chosen == full else key, chosen, split.scored, split.scored)
        head = {"anchor loss": "yes", "foreground": _yes(foreground), "background": _yes(background)}
        name = "anchor loss" + " + foreground" * foreground + " + background" * background
        if chosen == recipe != full:
            name += f" ({_as_it_is(recipe)})"
        rows.append(Row(name, head, (cell,), {NETWORK: printed}))
    return rows


def _cues(split: Split, recipe: Recipe) -> list[Row]:
    compared = with_plain_anchors(with_diffusion(recipe))
    rows: list[Row] = []
    for names, printed in CUES.items():
        use = _cue_set(names)
        chosen = dataclasses.replace(compared, cues=dataclasses.replace(compared.cues, use=use))
        cell = Cell("+".join(use), chosen, split.scored, split.scored, anchors=True)
        rows.append(Row(", ".join(use), {"cues": ", ".join(use)}, (cell,), printed))
    if all(recipe != cell.recipe for row in rows for cell in row.cells):
        computed = recipe.anchors.source == "cues"
        own = Cell("as-it-is", recipe, split.scored, split.scored, anchors=computed)
        head = {"cues": f"{', '.join(recipe.cues.use)} ({_as_it_is(recipe)})"}
        rows.append(Row(_as_it_is(recipe), head, (own,), {}))
    return rows


def _supervision(
    split: Split,
    recipe: Recipe,
    full: Recipe,
    ours: Mapping[tuple[int, str], Printed],
    others: Mapping[tuple[int, str], Printed],
) -> list[Row]:
    """Those of others, and at each supervision `full`; beside it the recipe as it is where that is another."""
    rows = [
        Row(name, _head(percent, name, "TT"), (), {NETWORK: printed}) for (percent, name), printed in others.items()
    ]
    method = recipe.name if full == recipe else f"{recipe.name} with L_full"
    for (percent, setting), printed in ours.items():
        cells = _cells(split, full, percent, setting, "")
        rows.append(Row(method, _head(percent, method, setting), cells, {NETWORK: printed}))
        if full != recipe:
            cells = _cells(split, recipe, percent, setting, "as-it-is-")
            rows.append(Row(_as_it_is(recipe), _head(percent, _as_it_is(recipe), setting), cells, {}))
    return sorted(rows, key=lambda row: (-int(row.head["labels"].split()[0]), bool(row.cells)))


def _with_lesion_cue(split: Split, lesion: Recipe) -> list[Row]:
    """Ours beyond the paper: a colour cue for lesions."""
    return [
        Row(lesion.name, _head(0, lesion.name, setting), _cells(split, lesion, 0, setting, "lesion-"), {})
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
        network=dataclasses.replace(recipe.network, width=4, depth=2, start="chance", weights="random"),
        features=extractor,
        training=dataclasses.replace(
            recipe.training, steps=6, label_steps=min(6, recipe.training.label_steps), pairs_per_step=2
        ),
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


def _as_it_is(recipe: Recipe) -> str:
    return f"{recipe.name} as it is"


def _yes(is_so: bool) -> str:
    return "yes" if is_so else ""
