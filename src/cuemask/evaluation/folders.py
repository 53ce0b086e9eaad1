"""A folder of predicted masks against a folder of true ones."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.errors import EvaluationError
from cuemask.evaluation.frames import FrameScore, counted_pixels, counts_of, refuse_sizes, score
from cuemask.evaluation.metrics import iou
from cuemask.evaluation.pairing import FRAME, FilePair, matched_files
from cuemask.evaluation.protocols import DEFAULT, protocol_named
from cuemask.evaluation.results import Evaluation
from cuemask.evaluation.surfaces import TOLERANCE, Tolerance
from cuemask.media.mask_films import is_in_film
from cuemask.media.masks import JPEG_INSTRUMENT, instrument, read_mask
from cuemask.media.tagged import is_jpeg
from cuemask.media.threads import in_threads

CODES_SHOWN = 12

_log = logging.getLogger(__name__)


def evaluate_folders(
    predicted: Path,
    truth: Path,
    positive: Collection[int] | None = None,
    *,
    ignore: Collection[int] = (),
    truth_name: str = FRAME,
    only_truth: bool = False,
    only_predicted: bool = False,
    protocol: str = DEFAULT,
    surface: bool = False,
    tolerance: Tolerance = TOLERANCE,
) -> Evaluation:
    """Compare each predicted mask with the true mask of the same name.

    Subfolders are searched too; names are paths in the folder without the ending. A subfolder is a video, and where a
    run has only one, true masks need not lie in a subfolder.

    Parameters
    ----------
    predicted
        Folder of masks (.png, instrument where above 0), a run, a clip of one, or its `masks.mov`.
    truth
        The same with any picture ending. JPEG blurs codes: without `positive` it is instrument from 128 on.
    positive
        Codes in the truth that count as instrument; by default every code above 0.
    ignore
        Codes in the truth whose pixels count neither way; not with `surface`. A frame of them only is left out.
    truth_name
        What true masks are called, without their ending; `{frame}` stands for the frame's name. Files that are called
        otherwise are none.
    only_truth, only_predicted
        Count only frames that have truth, or a prediction; the others are told of as `without_truth`, `unpredicted`.
    protocol
        Name of the rule, one of `protocols.PROTOCOLS`.
    surface
        Whether to measure the outlines too, within `tolerance`.

    Raises
    ------
    EvaluationError
        If a folder is absent or without masks, if names on the two sides differ and may not, if none agree, if sizes
        differ, if the protocol is unknown or counts no frame, if codes are both positive and ignored, or ignored beside
        `surface`, or cover every frame, or if `truth_name` is no pattern.
    PictureError
        If a mask cannot be read.
    """
    protocol_named(protocol)  # a misspelt one is told before the work
    found = matched_files(predicted, truth, truth_name=truth_name, only_truth=only_truth, only_predicted=only_predicted)
    counting = _Counting(positive, frozenset(ignore), tolerance if surface else None)
    seen = _Codes()

    def compare(pair: FilePair) -> FrameScore:
        return _score(pair, counting, seen)

    with closing(in_threads(compare, found.pairs)) as scores:
        compared = tuple(scores)
    frames = tuple(frame for frame in compared if frame.counts.total)
    if not frames:
        raise EvaluationError(
            f"{truth}: codes {_codes(sorted(counting.ignore))} cover every frame wholly, and they are to be ignored.",
            "Leave out of --ignore what does count.",
        )
    seen.jpegs = sum(is_jpeg(pair.truth) for pair in found.pairs if not is_in_film(pair.truth))
    seen.warn(counting, predicted, truth)
    seen.refuse_dark_jpegs(counting, len(found.pairs), truth)
    _warn_of_inverted(frames, truth)
    ignored = len(compared) - len(frames)
    return Evaluation(frames, protocol, counting.tolerance, found.without_truth, found.unpredicted, ignored)


@dataclass(frozen=True)
class _Counting:
    """What of the truth counts, and how."""

    positive: Collection[int] | None
    ignore: frozenset[int]
    tolerance: Tolerance | None

    def __post_init__(self) -> None:
        both = sorted(self.ignore & set(self.positive or ()))
        if both:
            raise EvaluationError(
                f"codes {_codes(both)} are to be instrument and to be ignored.",
                "Name each code in --positive or in --ignore.",
            )
        if self.ignore and self.tolerance is not None:
            raise EvaluationError(
                f"codes {_codes(sorted(self.ignore))} are to be ignored, which outlines know nothing of.",
                "Give --ignore or --surface, not both.",
            )


class _Codes:
    """Which codes occurred on the two sides: odd ones deserve a warning."""

    def __init__(self) -> None:
        self.predicted = np.zeros(256, np.bool_)
        self.true = np.zeros(256, np.bool_)
        self.jpegs = 0

    def warn(self, counting: _Counting, predicted: Path, truth: Path) -> None:
        if np.count_nonzero(self.predicted[1:]) > 1:
            found = np.count_nonzero(self.predicted)
            _log.warning("%s: %d different values; all above 0 count as instrument.", predicted, found)
        if self.jpegs:
            self._warn_of_jpeg(counting, truth)
            return
        positive, there = counting.positive, np.flatnonzero(self.true).tolist()
        if positive is not None and not positive:
            _log.warning("%s: no code counts as instrument, so every true mask is empty.", truth)
        absent = sorted({*(positive or ()), *counting.ignore} - set(there))
        if absent:
            _log.warning("%s: codes %s never occur; there are %s.", truth, _codes(absent), _codes(there))
        unnamed = [code for code in there if code > 0 and code not in counting.ignore and code not in (positive or ())]
        if positive is None and len(unnamed) > 1:
            what = "%s: codes %s all count as instrument; name those that do, --positive, or leave some out, --ignore."
            _log.warning(what, truth, _codes(unnamed))
        if positive and unnamed:
            what = "%s: codes %s count as background; leave out with --ignore what is neither."
            _log.warning(what, truth, _codes(unnamed))

    def refuse_dark_jpegs(self, counting: _Counting, count: int, truth: Path) -> None:
        """Codes such as 0 and 1 saved as JPEG would all pass for background."""
        highest = int(np.flatnonzero(self.true).max())
        if self.jpegs == count and counting.positive is None and 0 < highest < JPEG_INSTRUMENT:
            raise EvaluationError(
                f"{truth}: its masks are JPEG, instrument there from {JPEG_INSTRUMENT} on, and none of them goes above "
                f"{highest}.",
                "Take the masks as they were before they were saved as JPEG, or name the codes: --positive",
            )

    def _warn_of_jpeg(self, counting: _Counting, truth: Path) -> None:
        if counting.positive is None and not counting.ignore:
            _log.warning("%s: %d masks are JPEG, which blurs them; instrument is from 128 on.", truth, self.jpegs)
            return
        what = "%s: %d masks are JPEG, which changes codes along every edge, so that figures are wrong there. %s"
        remedy = "Take the masks as they were before, or leave out --positive and --ignore."
        _log.warning(what, truth, self.jpegs, remedy)


def _codes(codes: Collection[int]) -> str:
    shown = list(codes)[:CODES_SHOWN]
    return ", ".join(map(str, shown)) + (f" and {len(codes) - len(shown)} more" if len(codes) > len(shown) else "")


def _warn_of_inverted(frames: Sequence[FrameScore], truth: Path) -> None:
    """Speak up where truth covers most of the pictures, and predictions look like its opposite."""
    pixels = counted_pixels(frames).sum(axis=0)
    both, predicted, true, total = pixels.tolist()
    given, opposite = (
        iou(counts_of(pixels)),
        iou(counts_of(np.array([predicted - both, predicted, total - true, total]))),
    )
    if 2 * true > total and opposite > given:
        _log.warning(
            "%s: instrument covers %.0f %% of it, and what was predicted fits the rest better (IoU %.2f, not %.2f); is "
            "background what is white or opaque there? Then save the masks the other way round.",
            truth,
            100 * true / total,
            opposite,
            given,
        )


def _score(pair: FilePair, counting: _Counting, seen: _Codes) -> FrameScore:
    predicted_codes, true_codes = read_mask(pair.prediction), read_mask(pair.truth)
    refuse_sizes(pair.prediction, predicted_codes, pair.truth, true_codes)
    seen.predicted[predicted_codes] = True
    seen.true[true_codes] = True
    found, true = predicted_codes > 0, _instrument(true_codes, counting.positive, pair.truth)
    if counting.ignore:
        counted = ~_among(true_codes, counting.ignore)
        found, true = found[counted][None], true[counted][None]
    return score(pair.video, pair.frame, found, true, counting.tolerance)


def _instrument(
    codes: UInt8[np.ndarray, "H W"], positive: Collection[int] | None, path: Path
) -> Bool[np.ndarray, "H W"]:
    if positive is None:
        return instrument(path, codes)
    return _among(codes, positive)


def _among(codes: UInt8[np.ndarray, "H W"], chosen: Collection[int]) -> Bool[np.ndarray, "H W"]:
    counted = np.zeros(256, np.bool_)
    counted[[code for code in chosen if 0 <= code <= 255]] = True
    return counted[codes]
