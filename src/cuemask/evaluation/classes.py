"""Kinds of instruments: the IoUs of EndoVis 2017 and 2018 as ISINet reports them, and the purity of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int64

from cuemask.evaluation.tables import Value
from cuemask.grouping.assignment import best_pairs

RULE = (
    "named: codes are taken as they are; assigned: each group is the class that suits the truth best, so that truth "
    "has had a say; challenge_iou: mean over the classes in a frame's truth, then over frames; iou: over those in its "
    "truth or prediction; mciou: mean over classes of the mean over frames (Gonzalez et al. 2020); mean_iou: pixels of "
    "all frames pooled, mean over classes"
)

Counts = Int64[np.ndarray, "_ 3"]  # predicted code, true code, pixels: what `joint_counts` gives of a frame


def class_figures(frames: Sequence[Counts]) -> dict[str, Value]:
    """Figures of the codes as they are, `named_`, and of the best assignment, `assigned_`, 0 to 1; and the purity."""
    assigned = best_names(frames)
    renamed = [_renamed(frame, assigned) for frame in frames]
    return {**_figures(frames, "named"), **_figures(renamed, "assigned"), "purity": purity(frames)}


def best_names(frames: Sequence[Counts]) -> dict[int, int]:
    """The class of each group, one to one, that makes most instrument pixels right; a group without one gets none."""
    counts = _instruments(frames)
    groups, row = np.unique(counts[:, 0], return_inverse=True)
    classes, column = np.unique(counts[:, 1], return_inverse=True)
    pixels = np.zeros((len(groups), len(classes)))
    np.add.at(pixels, (row, column), counts[:, 2])
    return {int(groups[g]): int(classes[c]) for g, c in best_pairs(pixels) if pixels[g, c] > 0}


def purity(frames: Sequence[Counts]) -> float | None:
    """Share of the pixels that are instrument on both sides whose class is the most frequent one of their group."""
    counts = _instruments(frames)
    if len(counts) == 0:
        return None
    most = 0
    for group in np.unique(counts[:, 0]):
        own = counts[counts[:, 0] == group]
        most += max(int(own[own[:, 1] == code, 2].sum()) for code in np.unique(own[:, 1]))
    return most / int(counts[:, 2].sum())


def _instruments(frames: Sequence[Counts]) -> Counts:
    counts = np.concatenate([np.zeros((0, 3), np.int64), *frames])
    return counts[(counts[:, 0] > 0) & (counts[:, 1] > 0)]


def _renamed(frame: Counts, names: Mapping[int, int]) -> Counts:
    """With classes for groups; a group without one becomes a code that no class has."""
    codes = [names.get(int(code), -int(code)) if code > 0 else 0 for code in frame[:, 0]]
    return np.stack([np.array(codes, np.int64), frame[:, 1], frame[:, 2]], axis=1)


def _figures(frames: Sequence[Counts], how: str) -> dict[str, Value]:
    challenge: list[float] = []
    plain: list[float] = []
    of_class: dict[int, list[float]] = {}
    pooled: dict[int, list[int]] = {}
    for frame in frames:
        ious: dict[int, float] = {}
        for code in np.unique(frame[:, :2][frame[:, :2] != 0]).tolist():
            both, either = _pixels(frame, code)
            ious[code] = both / either
            of_class.setdefault(code, []).append(ious[code])
            pooled.setdefault(code, []).extend((both, either))
        true = [iou for code, iou in ious.items() if (frame[:, 1] == code).any()]
        challenge += [float(np.mean(true))] if true else []
        plain += [float(np.mean(list(ious.values())))] if ious else []
    overall = [sum(values[::2]) / sum(values[1::2]) for values in pooled.values()]
    return {
        f"{how}_challenge_iou": _mean(challenge),
        f"{how}_iou": _mean(plain),
        f"{how}_mciou": _mean([float(np.mean(values)) for values in of_class.values()]),
        f"{how}_mean_iou": _mean(overall),
    }


def _pixels(frame: Counts, code: int) -> tuple[int, int]:
    is_predicted, is_true = frame[:, 0] == code, frame[:, 1] == code
    return int(frame[is_predicted & is_true, 2].sum()), int(frame[is_predicted | is_true, 2].sum())


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
