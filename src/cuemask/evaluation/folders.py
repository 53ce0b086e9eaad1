"""A folder of predicted masks against a folder of true ones."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.errors import EvaluationError
from cuemask.evaluation.frames import FrameScore, listed, refuse_sizes, score
from cuemask.evaluation.protocols import DEFAULT, protocol_named
from cuemask.evaluation.results import Evaluation
from cuemask.evaluation.surfaces import TOLERANCE, Tolerance
from cuemask.media.masks import read_mask
from cuemask.media.pictures import is_picture, natural_order
from cuemask.media.threads import in_threads

LOSSY_ENDINGS = frozenset({".jpg", ".jpeg"})

_log = logging.getLogger(__name__)


def evaluate_folders(
    predicted: Path,
    truth: Path,
    positive: Collection[int] | None = None,
    *,
    protocol: str = DEFAULT,
    surface: bool = False,
    tolerance: Tolerance = TOLERANCE,
) -> Evaluation:
    """Compare each predicted mask with the true mask of the same name.

    Subfolders are searched too; names are paths in the folder without the ending. A subfolder is a video.

    Parameters
    ----------
    predicted
        Folder of masks (.png, instrument where above 0), or a folder that cuemask wrote, with `masks` in it.
    truth
        Folder of masks with any picture ending. JPEG blurs codes: without `positive` it is instrument from
        128 on.
    positive
        Codes in the truth that count as instrument; by default every code above 0.
    protocol
        Name of the rule, one of `protocols.PROTOCOLS`.
    surface
        Whether to measure the outlines too, within `tolerance`.

    Raises
    ------
    EvaluationError
        If a folder is absent or without masks, if names on the two sides differ, if sizes differ, or if the protocol
        is unknown or counts no frame.
    PictureError
        If a mask cannot be read.
    """
    protocol_named(protocol)  # a misspelt one is told before the work
    predicted = predicted / "masks" if (predicted / "masks").is_dir() else predicted
    predictions = _named(predicted, {".png"}, "predicted")
    truths = _named(truth, None, "true")
    _refuse_unmatched(predicted, predictions.keys() - truths.keys(), truth, truths.keys() - predictions.keys())
    seen = _Codes()
    reach = tolerance if surface else None

    def compare(name: str) -> FrameScore:
        return _score(name, predictions[name], truths[name], positive, seen, reach)

    with closing(in_threads(compare, predictions)) as scores:
        frames = tuple(scores)
    seen.warn(positive, predicted, truth)
    return Evaluation(frames, protocol, reach)


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


def _score(
    name: str,
    prediction: Path,
    truth: Path,
    positive: Collection[int] | None,
    seen: _Codes,
    tolerance: Tolerance | None,
) -> FrameScore:
    predicted_codes, true_codes = read_mask(prediction), read_mask(truth)
    refuse_sizes(prediction, predicted_codes, truth, true_codes)
    seen.predicted[predicted_codes] = True
    seen.true[true_codes] = True
    video, _, frame = name.rpartition("/")
    return score(video, frame, predicted_codes > 0, _instrument(true_codes, positive, truth), tolerance)


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
    found = [f"{len(names)} {what}: {listed(names)}." for what, names in sides if names]
    if found:
        raise EvaluationError(
            "\n".join(found),
            "Rename the files so that each prediction and its truth share a name; move the others away.",
        )
