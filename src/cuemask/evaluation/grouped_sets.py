"""Instances, tracks, parts or classes of a run against the truth of the data set that it ran over."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cuemask.datasets.dataset import Dataset, Kind, Recording
from cuemask.errors import EvaluationError
from cuemask.evaluation.grouped import ROOM, GroupedEvaluation, What, evaluate_grouped
from cuemask.evaluation.parts import PARTS
from cuemask.evaluation.sets import masks_in, only_recording, with_truth
from cuemask.media.files import make_folder
from cuemask.media.masks import write_codes, write_numbers
from cuemask.media.pictures import composed

KINDS: Mapping[What, Kind] = {"instances": "instances", "tracks": "instances", "parts": "parts", "classes": "type"}
# Sets in whose truth an instrument keeps its number through a recording.
WITH_TRACKS = ("endovis2017",)


def evaluate_grouped_dataset(
    what: What, predicted: Path, dataset: Dataset, *, boxes: bool = False, only_predicted: bool = False
) -> GroupedEvaluation:
    """Compare what a run tells of instruments with a data set's truth; frames without truth do not count.

    Parameters
    ----------
    what
        "instances", "parts" or "classes" of sets whose truth has the kind `instances`, `parts` or `type`; "tracks" of
        those in which instruments keep their numbers. No set tells tips.
    predicted
        Folder of the run, `<recording>/instances/<frame>.png` and so on in it; or of one recording in it.
    boxes
        As in `evaluate_grouped`.
    only_predicted
        Count only frames that were predicted, as after a run with --every.

    Raises
    ------
    EvaluationError
        If the set does not tell that, or frames with truth have no prediction.
    PictureError, VideoError, DatasetError
        If a picture cannot be read.
    """
    if what not in KINDS or (what == "tracks" and dataset.name not in WITH_TRACKS):
        raise EvaluationError(
            f"{dataset.name}: its truth tells no {what}.",
            f"Evaluate --{' or --'.join(_told_by(dataset))}, or give TRUTH, a folder with true {what} in it.",
        )
    room = ROOM[what]
    if (predicted / room).is_dir():
        dataset, predicted = only_recording(dataset, predicted.resolve().name), predicted.resolve().parent
    with tempfile.TemporaryDirectory() as place:
        truth = Path(place)
        recordings = [recording for recording, _ in with_truth(dataset, KINDS[what])]
        if any(masks_in(predicted / recording.name / room) for recording in recordings):
            for recording in recordings:
                _write_truth(what, recording, predicted, truth, dataset, everything=not only_predicted)
        if not any(truth.iterdir()):
            raise EvaluationError(
                f"{predicted}: no frame with truth has {room}.",
                f"Tell the instruments apart first: cuemask group {predicted}"
                + (" --parts" if what == "parts" else ""),
            )
        return evaluate_grouped(what, predicted, truth, boxes=boxes, only_truth=True, only_predicted=only_predicted)


def _told_by(dataset: Dataset) -> Sequence[str]:
    told = [what for what, kind in KINDS.items() if kind in dataset.classes]
    return [what for what in told if what != "tracks" or dataset.name in WITH_TRACKS]


def _write_truth(
    what: What, recording: Recording, predicted: Path, out: Path, dataset: Dataset, *, everything: bool
) -> None:
    """The recording's truth as a run would tell it, of predicted frames or of all."""
    truth, room = recording.truth, ROOM[what]
    assert truth is not None
    there = masks_in(predicted / recording.name / room)
    names = [name for name in truth.names if everything or composed(name) in there]
    folder = make_folder(out / recording.name / room) if names else out
    also = what == "parts" and "instances" in truth.kinds
    for name in names:
        path = folder / f"{composed(name)}.png"
        if what == "parts":
            write_codes(path, _part_codes(truth.labels(name, "parts"), dataset.classes["parts"]))
        elif what == "classes":
            write_codes(path, truth.labels(name, "type"))
        if what in ("instances", "tracks") or also:
            beside = make_folder(out / recording.name / "instances")
            write_numbers(beside / path.name, truth.labels(name, "instances").astype(np.uint16))


def _part_codes(labels: np.ndarray, names: Mapping[int, str]) -> np.ndarray:
    """A set's own numbers as the codes that runs use; parts of other names are background."""
    codes = {name: code for code, name in PARTS.items()}
    lookup = np.zeros(256, np.uint8)
    for number, name in names.items():
        lookup[number] = codes.get(name, 0)
    return lookup[labels]
