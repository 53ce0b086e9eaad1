"""Which predicted file goes with which true one: by the names of their frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from cuemask.errors import EvaluationError
from cuemask.evaluation.frames import listed
from cuemask.media.mask_films import is_film
from cuemask.media.mask_folders import MASKS, is_run_folder, named_masks
from cuemask.media.pictures import composed

FRAME = "{frame}"


@dataclass(frozen=True)
class FilePair:
    """A frame's predicted and true file; `video` is empty where the masks lie in no subfolder."""

    video: str
    frame: str
    prediction: Path
    truth: Path


@dataclass(frozen=True)
class FilePairs:
    """All pairs, in natural order; and how many files of each side have no partner."""

    pairs: tuple[FilePair, ...]
    without_truth: int
    unpredicted: int


def matched_files(
    predicted: Path,
    truth: Path,
    *,
    room: str = MASKS,
    truth_name: str = FRAME,
    only_truth: bool = False,
    only_predicted: bool = False,
) -> FilePairs:
    """Pair the files of two folders.

    Parameters
    ----------
    predicted
        Folder of PNGs, a run, or a clip of one.
    truth
        The same with any picture ending.
    room
        The folder of a run, or of a clip, that they lie in.
    truth_name
        What true masks are called, without their ending; `{frame}` stands for the frame's name.
    only_truth, only_predicted
        Whether predictions without truth, or truth without prediction, may be left out.

    Raises
    ------
    EvaluationError
        If a folder is absent or without masks, if names on the two sides differ and may not, if none agree, or if
        `truth_name` is no pattern.
    """
    predictions = _named(predicted, {".png"}, "predicted", room)
    truths = _of_frames(_named(truth, None, "true", room), truth_name, truth)
    predictions, truths = _single_clip(predicted, predictions, truths), _single_clip(truth, truths, predictions)
    shared = [name for name in predictions if name in truths]
    lonely = len(predictions) - len(shared), len(truths) - len(shared)
    if not shared or (lonely[0] and not only_truth) or (lonely[1] and not only_predicted):
        raise _unmatched(predicted, predictions.keys() - truths.keys(), truth, truths.keys() - predictions.keys())
    parts = ((name, *name.rpartition("/")) for name in shared)
    return FilePairs(
        tuple(FilePair(video, frame, predictions[name], truths[name]) for name, video, _, frame in parts), *lonely
    )


def _named(folder: Path, endings: Collection[str] | None, side: str, room: str) -> dict[str, Path]:
    """The masks below `folder` by their names, in natural order."""
    if not (folder.is_dir() or (room == MASKS and is_film(folder))):
        raise EvaluationError(f"{folder}: there is no such folder.", f"Give the folder of {side} masks.")
    named: dict[str, Path] = {}
    for name, path in named_masks(folder, endings, room):
        other = named.setdefault(name, path)
        if other is not path:
            raise EvaluationError(f"{other} and {path} have one name.", "Keep one of them in the folder.")
    if not named:
        wanted = "picture" if endings is None else " or ".join(sorted(endings)) + " file"
        if room != MASKS:
            raise EvaluationError(f"{folder}: no {room} in it.", f"Give a folder with {side} {room}/FRAME.png in it.")
        raise EvaluationError(f"{folder}: no {wanted} in it.", f"Give the folder of {side} masks.")
    return named


def _of_frames(masks: Mapping[str, Path], pattern: str, folder: Path) -> dict[str, Path]:
    """Masks by the names of the frames that they are of; those that are called otherwise are left out."""
    before, mark, after = composed(pattern).partition(FRAME)
    if not mark or FRAME in after or "/" in pattern:
        raise EvaluationError(
            f"--truth-name {pattern}: does not say where in a file's name the frame's stands.",
            f"Give the name without its ending, with {FRAME} once: --truth-name '{FRAME}_mask'",
        )
    found: dict[str, Path] = {}
    for name, path in masks.items():
        video, slash, stem = name.rpartition("/")
        if stem.startswith(before) and stem.endswith(after) and len(stem) > len(before) + len(after):
            found[f"{video}{slash}{stem[len(before) : len(stem) - len(after)]}"] = path
    if not found:
        raise EvaluationError(
            f"{folder}: none of {len(masks)} masks is called {pattern}, such as {next(iter(masks))}.",
            f"Say what true masks are called, {FRAME} for the frame's name: --truth-name '{FRAME}_mask'",
        )
    return found


def _single_clip(folder: Path, masks: dict[str, Path], others: Mapping[str, Path]) -> dict[str, Path]:
    """Without the clip's name, where a run has one clip and the masks on the other side lie in no subfolders."""
    videos = {name.rpartition("/")[0] for name in masks}
    if not is_run_folder(folder) or len(videos) > 1 or any("/" in name for name in others):
        return masks
    return {name.rpartition("/")[2]: path for name, path in masks.items()}


def _unmatched(
    predicted: Path, only_predicted: Collection[str], truth: Path, only_true: Collection[str]
) -> EvaluationError:
    sides = [
        (f"predictions in {predicted} without truth", sorted(only_predicted)),
        (f"true masks in {truth} without prediction", sorted(only_true)),
    ]
    found = [f"{len(names)} {what}: {listed(names)}." for what, names in sides if names]
    return EvaluationError(
        "\n".join(found),
        "Rename the files so that each prediction and its truth share a name, or say what true masks are called, "
        f"--truth-name '{FRAME}_mask'; count only frames with truth, --only-truth, or with a prediction, "
        "--only-predicted.",
    )
