"""A folder of predicted masks against a folder of true ones."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.errors import EvaluationError
from cuemask.evaluation.metrics import Counts, dice, iou
from cuemask.media.masks import read_mask
from cuemask.media.pictures import is_picture, natural_order

PROTOCOL = "all frames pooled, empty on empty is 1, population deviation"
NAMES_SHOWN = 10
LOWEST_SHOWN = 5
LOSSY_ENDINGS = frozenset({".jpg", ".jpeg"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameScore:
    """Figures of one frame, 0 to 1; `name` is its path in the folder without the ending."""

    name: str
    iou: float
    dice: float


@dataclass(frozen=True)
class Evaluation:
    """Figures of a folder of predictions.

    Attributes
    ----------
    frames
        One entry a frame, in natural order; at least one.
    protocol
        How they were pooled, to be named with the figures. The default is the rule of the winners of
        EndoVis 2017: every frame counts once, an empty prediction of an empty truth scores 1, and the
        deviation is the population's.
    """

    frames: tuple[FrameScore, ...]
    protocol: str = PROTOCOL

    @property
    def iou_mean(self) -> float:
        """Mean intersection over union, 0 to 1."""
        return float(np.mean([frame.iou for frame in self.frames]))

    @property
    def iou_deviation(self) -> float:
        """Population standard deviation of the intersection over union."""
        return float(np.std([frame.iou for frame in self.frames]))

    @property
    def dice_mean(self) -> float:
        """Mean Dice coefficient, 0 to 1."""
        return float(np.mean([frame.dice for frame in self.frames]))

    @property
    def dice_deviation(self) -> float:
        """Population standard deviation of the Dice coefficient."""
        return float(np.std([frame.dice for frame in self.frames]))

    def table(self) -> str:
        """The figures in percent, and the frames that score lowest, as lines of text."""
        lines = [
            f"frames  {len(self.frames)}",
            f"IoU     {100 * self.iou_mean:.2f} +- {100 * self.iou_deviation:.2f}",
            f"Dice    {100 * self.dice_mean:.2f} +- {100 * self.dice_deviation:.2f}",
            f"({self.protocol})",
        ]
        lowest = sorted(self.frames, key=lambda frame: frame.iou)[:LOWEST_SHOWN]
        width = max(len(name) for name in ("lowest", *(frame.name for frame in lowest)))
        lines += ["", f"{'lowest':<{width}}     IoU    Dice"]
        lines += [f"{frame.name:<{width}}  {100 * frame.iou:6.2f}  {100 * frame.dice:6.2f}" for frame in lowest]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values, 0 to 1, with every frame."""
        return {
            "protocol": self.protocol,
            "frame_count": len(self.frames),
            "iou": {"mean": self.iou_mean, "deviation": self.iou_deviation},
            "dice": {"mean": self.dice_mean, "deviation": self.dice_deviation},
            "frames": [{"name": frame.name, "iou": frame.iou, "dice": frame.dice} for frame in self.frames],
        }


def evaluate_folders(predicted: Path, truth: Path, positive: Collection[int] | None = None) -> Evaluation:
    """Compare each predicted mask with the true mask of the same name.

    Subfolders are searched too; names are paths in the folder without the ending.

    Parameters
    ----------
    predicted
        Folder of masks (.png, instrument where above 0), or a folder that cuemask wrote, with `masks` in it.
    truth
        Folder of masks with any picture ending. JPEG blurs codes: without `positive` it is instrument from
        128 on.
    positive
        Codes in the truth that count as instrument; by default every code above 0.

    Raises
    ------
    EvaluationError
        If a folder is absent or without masks, if names on the two sides differ, or if sizes differ.
    PictureError
        If a mask cannot be read.
    """
    predicted = predicted / "masks" if (predicted / "masks").is_dir() else predicted
    predictions = _named(predicted, {".png"}, "predicted")
    truths = _named(truth, None, "true")
    _refuse_unmatched(predicted, predictions.keys() - truths.keys(), truth, truths.keys() - predictions.keys())
    seen = _Codes()
    scores = tuple(_score(name, path, truths[name], positive, seen) for name, path in predictions.items())
    seen.warn(positive, predicted, truth)
    return Evaluation(scores)


class _Codes:
    """Which codes occurred on the two sides: odd ones deserve a warning."""

    def __init__(self) -> None:
        self.predicted = np.zeros(256, np.bool_)
        self.true = np.zeros(256, np.bool_)

    def warn(self, positive: Collection[int] | None, predicted: Path, truth: Path) -> None:
        if np.count_nonzero(self.predicted[1:]) > 1:
            found = np.count_nonzero(self.predicted)
            _log.warning("%s: %d different values; all above 0 count as instrument.", predicted, found)
        if positive is None:
            return
        if not positive:
            _log.warning("%s: no code counts as instrument, so every true mask is empty.", truth)
        absent = sorted(code for code in positive if not (0 <= code <= 255 and self.true[code]))
        if absent:
            found = ", ".join(str(code) for code in np.flatnonzero(self.true))
            _log.warning("%s: codes %s never occur; there are %s.", truth, ", ".join(map(str, absent)), found)


def _score(name: str, prediction: Path, truth: Path, positive: Collection[int] | None, seen: _Codes) -> FrameScore:
    predicted_codes, true_codes = read_mask(prediction), read_mask(truth)
    if predicted_codes.shape != true_codes.shape:
        raise EvaluationError(
            f"{prediction} is {_size(predicted_codes)} and {truth} is {_size(true_codes)} pixels.",
            "Compare masks of one size: predict again from the frames that the true masks were drawn on.",
        )
    seen.predicted[predicted_codes] = True
    seen.true[true_codes] = True
    counts = Counts.of(predicted_codes > 0, _instrument(true_codes, positive, truth))
    return FrameScore(name, float(iou(counts)), float(dice(counts)))


def _instrument(
    codes: UInt8[np.ndarray, "H W"], positive: Collection[int] | None, path: Path
) -> Bool[np.ndarray, "H W"]:
    if positive is None:
        return codes >= 128 if path.suffix.lower() in LOSSY_ENDINGS else codes > 0
    counted = np.zeros(256, np.bool_)
    counted[[code for code in positive if 0 <= code <= 255]] = True
    return counted[codes]


def _named(folder: Path, endings: Collection[str] | None, side: str) -> dict[str, Path]:
    """The pictures below `folder` by their path without the ending, in natural order."""
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: there is no such folder.", f"Give the folder of {side} masks.")
    below = (path for path in folder.rglob("*") if is_picture(path) and not _is_hidden(path.relative_to(folder)))
    paths = [path for path in below if endings is None or path.suffix.lower() in endings]
    if not paths:
        wanted = "picture" if endings is None else " or ".join(sorted(endings)) + " file"
        raise EvaluationError(f"{folder}: no {wanted} in it.", f"Give the folder of {side} masks.")
    named: dict[str, Path] = {}
    for path in sorted(natural_order(paths), key=lambda path: path.parent):
        other = named.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
        if other is not path:
            raise EvaluationError(f"{other} and {path} have one name.", "Keep one of them in the folder.")
    return named


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _refuse_unmatched(predicted: Path, only_predicted: Iterable[str], truth: Path, only_true: Iterable[str]) -> None:
    sides = [
        (f"predictions in {predicted} without truth", sorted(only_predicted)),
        (f"true masks in {truth} without prediction", sorted(only_true)),
    ]
    found = [f"{len(names)} {what}: {_listed(names)}." for what, names in sides if names]
    if found:
        raise EvaluationError(
            "\n".join(found),
            "Rename the files so that each prediction and its truth share a name; move the others away.",
        )


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _size(codes: UInt8[np.ndarray, "H W"]) -> str:
    return f"{codes.shape[1]}x{codes.shape[0]}"
