"""A run over a data set against the set's own truth."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cuemask.datasets.dataset import Dataset, Kind, Recording, Truth
from cuemask.errors import EvaluationError
from cuemask.evaluation.frames import FrameScore, listed, refuse_sizes, score
from cuemask.evaluation.protocols import DEFAULT, protocol_named
from cuemask.evaluation.results import Evaluation
from cuemask.evaluation.surfaces import TOLERANCE, Tolerance
from cuemask.media.mask_folders import holds_masks, masks_of, place_of_masks
from cuemask.media.masks import read_mask
from cuemask.media.pictures import composed
from cuemask.media.threads import in_threads

Progress = Callable[[Iterable[Any], int], Iterable[Any]]


def evaluate_dataset(
    predicted: Path,
    dataset: Dataset,
    kind: Kind = "binary",
    *,
    protocol: str = DEFAULT,
    surface: bool = False,
    tolerance: Tolerance = TOLERANCE,
    only_predicted: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare the masks of a run with the truth of the data set that it ran over; no more than a few are held.

    Frames without truth are not counted, `Evaluation.without_truth` says how many were predicted.

    Parameters
    ----------
    predicted
        Folder of the run: masks in `<recording>/masks/<frame>.png`, instrument where above 0. Of the folder of one
        recording in it, `<recording>`, that recording alone is judged.
    dataset
        Recordings without truth are passed over.
    kind
        Which of its truths; instrument is every class above 0.
    protocol
        Name of the rule, one of `protocols.PROTOCOLS`.
    surface
        Whether to measure the outlines too, within `tolerance`.
    only_predicted
        Count only frames that were predicted, as after a run with --every; `Evaluation.unpredicted` says how many were
        left out.
    progress
        Wraps the frames' scores, given with their total: a progress bar.

    Raises
    ------
    EvaluationError
        If frames with truth have no prediction, sizes differ, there is no truth of that kind, or the protocol is
        unknown or counts no frame.
    PictureError, VideoError, DatasetError
        If a mask cannot be read.
    """
    protocol_named(protocol)  # a misspelt one is told before the work
    if holds_masks(place_of_masks(predicted)):
        dataset, predicted = only_recording(dataset, predicted.resolve().name), predicted.resolve().parent
    recordings = [_Matched.of(predicted, recording, truth) for recording, truth in with_truth(dataset, kind)]
    missing = [f"{matched.name}/{name}" for matched in recordings for name in matched.missing]
    total = sum(len(matched.names) for matched in recordings)
    if total == 0 or (missing and not only_predicted):
        raise _not_predicted(predicted, missing, total)
    reach = tolerance if surface else None
    with closing(in_threads(lambda pair: pair.scored(reach), _pairs(recordings, kind))) as scores:
        frames = tuple(scores if progress is None else progress(scores, total))
    stray = sum(matched.stray for matched in recordings) + _strays(predicted, dataset, recordings)
    return Evaluation(frames, protocol, reach, stray, len(missing))


@dataclass(frozen=True)
class _Matched:
    """A recording with truth, and which of its frames are predicted."""

    name: str
    truth: Truth
    files: Mapping[str, Path]
    names: tuple[str, ...]
    missing: tuple[str, ...]
    stray: int

    @classmethod
    def of(cls, predicted: Path, recording: Recording, truth: Truth) -> _Matched:
        there = _masks(predicted, recording)
        names = tuple(name for name in truth.names if composed(name) in there)
        missing = tuple(name for name in truth.names if composed(name) not in there)
        return cls(recording.name, truth, there, names, missing, len(there) - len(names))


@dataclass(frozen=True)
class _Pair:
    """One true mask, read, and where its prediction lies."""

    video: str
    frame: str
    prediction: Path
    true: UInt8[np.ndarray, "H W"]

    def scored(self, tolerance: Tolerance | None) -> FrameScore:
        predicted = read_mask(self.prediction)
        refuse_sizes(self.prediction, predicted, f"the truth of {self.video}/{self.frame}", self.true)
        return score(self.video, self.frame, predicted > 0, self.true > 0, tolerance)


def _pairs(recordings: Iterable[_Matched], kind: Kind) -> Generator[_Pair, None, None]:
    """Truth is read here, in order and in one thread: that of some sets is a video, which is read front to back."""
    for matched in recordings:
        for name in matched.names:
            path = matched.files[composed(name)]
            yield _Pair(matched.name, name, path, matched.truth.labels(name, kind))


def with_truth(dataset: Dataset, kind: Kind) -> list[tuple[Recording, Truth]]:
    """The recordings whose truth is of that kind, with it; an EvaluationError if there is none."""
    found = [(recording, recording.truth) for recording in dataset.recordings if recording.truth is not None]
    of_kind = [(recording, truth) for recording, truth in found if kind in truth.kinds]
    if not of_kind:
        kinds = sorted({kind for _, truth in found for kind in truth.kinds})
        raise EvaluationError(
            f"{dataset.name} in {dataset.root}: no truth of kind {kind} ({dataset.layout}).",
            f"Evaluate by {' or '.join(kinds)}." if kinds else "Take recordings that come with true masks.",
        )
    return of_kind


def _masks(predicted: Path, recording: Recording) -> dict[str, Path]:
    return {composed(path.stem): path for path in masks_of(predicted / recording.name)}


def only_recording(dataset: Dataset, name: str) -> Dataset:
    """The data set with that recording alone; an EvaluationError if there is none."""
    found = tuple(recording for recording in dataset.recordings if recording.name == name)
    if not found:
        raise EvaluationError(
            f"{name}: is no recording of {dataset.name} in {dataset.root}.",
            "Give the folder of a run over this data set, or of one recording in it.",
        )
    return replace(dataset, recordings=found)


def masks_in(folder: Path) -> dict[str, Path]:
    """The pictures of masks or numbers in a folder by their names, composed; none where it is absent."""
    return {composed(path.stem): path for path in folder.glob("*.png") if not path.name.startswith(".")}


def _strays(predicted: Path, dataset: Dataset, recordings: Iterable[_Matched]) -> int:
    """How many masks there are of recordings that have no truth at all."""
    judged = {matched.name for matched in recordings}
    return sum(len(_masks(predicted, each)) for each in dataset.recordings if each.name not in judged)


def _not_predicted(predicted: Path, missing: list[str], total: int) -> EvaluationError:
    what = f"{predicted}: {len(missing)} of {len(missing) + total} frames with truth have no mask: {listed(missing)}."
    if total == 0:
        return EvaluationError(
            what, "Give the folder of a run over this data set, with RECORDING/masks/FRAME.png in it."
        )
    return EvaluationError(what, "Predict the whole set, or count only what is predicted: --only-predicted")
