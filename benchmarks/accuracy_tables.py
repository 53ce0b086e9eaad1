"""Cells as tables: rows are clips, columns recipes, figures mean ± deviation over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

import numpy as np

from benchmarks.cells import Cell, differences
from benchmarks.clips import ENDOSCAPES_HALF, FROM_OTHERS, GROUPS, PHANTOM, PHANTOMS, TOGETHER
from benchmarks.scores import FIGURES, METHODS, NETWORK
from cuemask.recipe import NAMED

TITLE = "Accuracy on clips with true masks"
REAL = ("endovis17_dataset4", "endovis17_dataset3_clip", "endovis18_sequence", TOGETHER)  # the first rows; then others
FIGURE_TITLES = {"iou": "IoU", "dice": "Dice", "boundary_f": "Boundary F-score"}
METHOD_TITLES = {
    "color": "colour",
    "product": "product of cues",
    "1 - product": "1 - product of inverted cues",
    "positive": "positive anchor",
    "1 - negative": "1 - negative anchor",
    NETWORK: "network",
}
KINDS = ("real clips", "train-test", "phantoms")
ABOUT = """\
Each cell is one run of `segment` (single-stage: learnt from the clip's own frames, no label used) or, in rows whose
names end in `_from_others` or `_half`, of `train` on other clips and `predict` on these; and its masks against the
true ones: mean over the clip's frames with truth, then mean ± sample standard deviation over the seeds.
Empty on empty counts 1, which is the only way to score on frames without an instrument (`phantom_no_tool`, and six of
the 16 frames of `phantom_leaving`). The boundary F-score asks which share of each outline lies within 1 % of the
picture's diagonal of the other. The best of a row is bold.

The real clips are small samples of the sets that they are named after and stand for themselves only; in
`endovis18_sequence` the middle tool is not in the true masks, so finding it is punished. `endovis_together` is one run
on the three EndoVis clips, whose frames count among them already, so the means leave it out."""

Figure = Callable[[Cell], float]


def markdown(cells: Sequence[Cell], title: str = TITLE) -> str:
    """The whole document; recipes in their own order, then by name."""
    if not cells:
        return f"# {title}\n\nNo cell yet.\n"
    labels = in_order(cells)
    seeds = sorted({cell.seed for cell in cells})
    parts = [f"# {title}", f"{ABOUT}\n\nSeeds {', '.join(map(str, seeds))}; a cell of fewer says of how many."]
    if by_group := groups(cells, labels):
        parts.append(by_group)
    colored = "default" if "default" in labels else labels[0]
    for figure, name in FIGURE_TITLES.items():
        columns = {f"colour under Otsu ({colored})": _column(cells, colored, "color", figure)}
        columns |= {label: _column(cells, label, NETWORK, figure) for label in labels}
        parts.append(_section(f"{name} of the network's masks", columns))
    for label in labels:
        columns = {METHOD_TITLES[method]: _column(cells, label, method, "iou") for method in METHODS}
        parts.append(_section(f"IoU of `{label}`: maps under Otsu, nothing learnt, and the network", columns))
    minutes = {label: ([c for c in cells if c.label == label], _minutes) for label in labels}
    parts.append(_section("Minutes of a run", minutes, digits=2, best=False))
    parts += [part for part in (_confidence(cells, labels), _settings(cells, labels)) if part]
    days = sorted({date.fromtimestamp(cell.made).isoformat() for cell in cells})
    parts.append(
        f"*{days[0] if len(days) == 1 else f'{days[0]} to {days[-1]}'}; "
        f"{'; '.join(sorted({cell.machine for cell in cells}))}*"
    )
    return "\n\n".join(parts) + "\n"


def in_order(cells: Iterable[Cell]) -> list[str]:
    """The labels: named recipes as `NAMED` has them, each followed by what was made of it."""
    recipes = {cell.label: cell.recipe["name"] for cell in cells}
    names = [*NAMED, *sorted(set(recipes.values()) - NAMED.keys())]
    return sorted(recipes, key=lambda label: (names.index(recipes[label]), len(label), label))


def summary(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The cells without their frames, for JSON."""
    place = {label: number for number, label in enumerate(in_order(cells))}
    rows = {name: number for number, name in enumerate(_rows(cells))}
    return [
        {
            "label": cell.label,
            "clip": cell.case,
            "seed": cell.seed,
            "frames": len(cell.frames),
            "minutes": round(cell.minutes, 3),
            **{method: {figure: round(cell.mean(method, figure), 4) for figure in FIGURES} for method in METHODS},
        }
        for cell in sorted(cells, key=lambda c: (place[c.label], rows[c.case], c.seed))
    ]


def correlations(cells: Iterable[Cell]) -> dict[str, tuple[float, int]]:
    """Spearman's correlation of confidence and IoU, and of how many frames, on real clips, phantoms and all."""
    pairs = [
        (is_phantom(cell.case), frame.confidence, frame.iou)
        for cell in cells
        for frame in cell.frames
        if frame.confidence is not None
    ]
    chosen = {
        "real": [pair for pair in pairs if not pair[0]],
        "phantoms": [pair for pair in pairs if pair[0]],
        "all": pairs,
    }
    return {
        name: (spearman([c for _, c, _ in group], [i for *_, i in group]), len(group))
        for name, group in chosen.items()
        if group
    }


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Rank correlation, -1 to 1; equal values share the mean of their ranks. NaN where one side is constant."""
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} values cannot be correlated")
    a, b = (_ranks(values) - (len(values) - 1) / 2 for values in (x, y))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else float("nan")


def is_phantom(case: str) -> bool:
    """Whether a clip is drawn."""
    return case.startswith(PHANTOM)


def _ranks(values: Sequence[float]) -> np.ndarray:
    _, places, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[places]


def groups(cells: Sequence[Cell], labels: Sequence[str]) -> str:
    """Each group of data with one voice: frames with an instrument, and how many without one stay empty."""
    settings = [
        *((f"{group}, single stage", [name]) for name, group in GROUPS.items()),
        ("phantoms, single stage", [phantom.name for phantom in PHANTOMS]),
        *((f"{group}, learnt from the other groups", [name + FROM_OTHERS]) for name, group in GROUPS.items()),
        ("Endoscapes, learnt from half of its operations", [ENDOSCAPES_HALF]),
    ]
    most = len({cell.seed for cell in cells})
    lines = [
        "## Groups",
        "",
        "IoU over the frames that hold an instrument, mean ± sample standard deviation over seeds; in brackets, of the "
        "frames that hold none, those whose mask is empty, over all seeds. The first column is nothing learnt.",
        "",
        f"| group | colour under Otsu ({labels[0]}) | {' | '.join(labels)} |",
        "|---" * (2 + len(labels)) + "|",
    ]
    for title, names in settings:
        there = [cell for cell in cells if cell.case in names]
        if not there:
            continue
        row = [_group([cell for cell in there if cell.label == labels[0]], "color", most)]
        row += [_group([cell for cell in there if cell.label == label], NETWORK, most) for label in labels]
        lines.append(f"| {title} | {' | '.join(row)} |")
    return "\n".join(lines) if len(lines) > 6 else ""


def _group(cells: Sequence[Cell], method: str, most: int) -> str:
    """One voice over the cases of `cells`, for each seed that has all of them that hold an instrument."""
    by_seed: dict[int, list[float]] = {}
    for cell in cells:
        if any(frame.instrument for frame in cell.frames):
            by_seed.setdefault(cell.seed, []).append(cell.mean_with_instrument(method))
    full = max(map(len, by_seed.values()), default=0)
    text = _cell([float(np.mean(found)) for found in by_seed.values() if len(found) == full], 3, most, bold=False)
    bare = [frame for cell in cells for frame in cell.frames if not frame.instrument]
    if text and bare:
        empty = sum(frame.figures[method][0] == 1 for frame in bare)
        text += f" ({empty} of {len(bare)} empty)"
    return text


def kind_of(case: str) -> str:
    """One of `KINDS`."""
    if is_phantom(case):
        return "phantoms"
    return "train-test" if case.endswith(FROM_OTHERS) or case == ENDOSCAPES_HALF else "real clips"


def _column(cells: Sequence[Cell], label: str, method: str, figure: str) -> tuple[list[Cell], Figure]:
    return [cell for cell in cells if cell.label == label], lambda cell: cell.mean(method, figure)


def _minutes(cell: Cell) -> float:
    return cell.minutes


def _section(title: str, columns: dict[str, tuple[list[Cell], Figure]], digits: int = 3, best: bool = True) -> str:
    """A table; below the clips of each kind the mean over them."""
    every = [cell for chosen, _ in columns.values() for cell in chosen]
    most = len({cell.seed for cell in every})
    lines = [f"## {title}", "", "| clip | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for group in KINDS:
        rows = [name for name in _rows(every) if kind_of(name) == group]
        for name in rows:
            by_column = [[f(c) for c in chosen if c.case == name] for chosen, f in columns.values()]
            lines.append(_row(name, by_column, digits, best, most))
        apart = [name for name in rows if name != TOGETHER]
        if len(apart) > 1:
            means = [_means(chosen, f, apart) for chosen, f in columns.values()]
            lines.append(_row(f"**mean over {len(apart)} {group}**", means, digits, best, most))
    return "\n".join(lines)


def _rows(cells: Iterable[Cell]) -> list[str]:
    """The clips: real ones, train-test, then phantoms, each in the order that they are run in."""
    train_test = [*(name + FROM_OTHERS for name in GROUPS), ENDOSCAPES_HALF]
    first = [*dict.fromkeys([*REAL, *GROUPS]), *train_test, *(phantom.name for phantom in PHANTOMS)]
    places = {name: (KINDS.index(kind_of(name)), place) for place, name in enumerate(first)}
    return sorted({c.case for c in cells}, key=lambda name: (*places.get(name, (KINDS.index(kind_of(name)), 99)), name))


def _means(cells: Sequence[Cell], figure: Figure, names: Sequence[str]) -> list[float]:
    """The mean over the clips `names`, for each seed that has all of them."""
    by_seed: dict[int, dict[str, float]] = {}
    for cell in cells:
        if cell.case in names:
            by_seed.setdefault(cell.seed, {})[cell.case] = figure(cell)
    return [float(np.mean(list(found.values()))) for found in by_seed.values() if len(found) == len(names)]


def _row(name: str, by_column: Sequence[list[float]], digits: int, best: bool, most: int) -> str:
    means = [float(np.mean(values)) if values else float("nan") for values in by_column]
    highest = max((round(mean, digits) for mean in means if mean == mean), default=None)
    cells = [
        _cell(values, digits, most, bold=best and len(means) > 1 and bool(values) and round(mean, digits) == highest)
        for values, mean in zip(by_column, means, strict=True)
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def _cell(values: list[float], digits: int, most: int, *, bold: bool) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):.{digits}f}"
    text = f"**{mean}**" if bold else mean
    if len(values) > 1:
        text += f" ± {np.std(values, ddof=1):.{digits}f}"
    return text if len(values) == most else f"{text} ({len(values)} of {most})"


def _confidence(cells: Sequence[Cell], labels: Sequence[str]) -> str:
    found = {label: correlations([c for c in cells if c.label == label]) for label in labels}
    if not any(found.values()):
        return ""
    lines = [
        "## Confidence",
        "",
        "Spearman's rank correlation of the confidence that a run gives each frame with the true IoU of its mask, over "
        "all frames with truth of all runs and seeds (number of frames).",
        "",
        "| recipe | real clips | phantoms | all |",
        "|---|---|---|---|",
    ]
    for label, groups in found.items():
        told = [f"{groups[g][0]:.3f} ({groups[g][1]})" if g in groups else "" for g in ("real", "phantoms", "all")]
        if groups:
            lines.append(f"| {label} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def _settings(cells: Sequence[Cell], labels: Sequence[str]) -> str:
    """What each label changes in the recipe that it is named after."""
    recipes = {cell.label: cell.recipe for cell in cells}
    lines = [f"- `{label}`: {', '.join(changed)}" for label in labels if (changed := differences(recipes[label]))]
    return "\n".join(["## What was changed in the recipes", "", *lines]) if lines else ""
