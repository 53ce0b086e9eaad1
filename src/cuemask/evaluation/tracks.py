"""Whether instruments keep their numbers: HOTA, DetA, AssA and IDF1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from cuemask.evaluation.overlaps import Overlaps
from cuemask.evaluation.tables import Value
from cuemask.grouping.assignment import best_pairs

ALPHAS = np.arange(0.05, 0.99, 0.05)
RULE = (
    "HOTA, DetA, AssA: Luiten et al. 2021, means over IoU .05 to .95; IDF1: Ristani et al. 2016 at IoU .5; a track is "
    "what has one number in the truth: CholecTrack20's usual figures are of tracks by visibility, which begin anew "
    "when an instrument comes back into view"
)
_EPSILON = np.finfo(np.float64).eps

Alphas = Float64[np.ndarray, " alphas"]


def track_figures(clips: Iterable[Sequence[Overlaps]]) -> dict[str, Value]:
    """HOTA, DetA, AssA and IDF1 of clips together, 0 to 1; None where there is no truth.

    Counts of the clips are added up, associations weighted by their matches, as TrackEval does it.
    """
    found = [_Clip(frames) for frames in clips]
    true, predicted = sum(clip.true for clip in found), sum(clip.predicted for clip in found)
    kept = sum(clip.kept() for clip in found)
    told: dict[str, Value] = {"hota": None, "deta": None, "assa": None, "idf1": None}
    if true:
        matched, association = np.zeros(len(ALPHAS)), np.zeros(len(ALPHAS))
        for clip in found:
            of_clip, sums = clip.matches()
            matched, association = matched + of_clip, association + sums
        deta = matched / (true + predicted - matched)
        assa = association / np.maximum(matched, 1)
        told["hota"] = float(np.sqrt(deta * assa).mean())
        told |= {"deta": float(deta.mean()), "assa": float(assa.mean()), "idf1": 2 * kept / (true + predicted)}
    tracks = sum(clip.numbers[1] for clip in found), sum(clip.numbers[0] for clip in found)
    return told | {"true_tracks": tracks[0], "predicted_tracks": tracks[1]}


class _Clip:
    """The frames of one clip, their numbers counted from 0."""

    def __init__(self, frames: Sequence[Overlaps]) -> None:
        predicted = _places([frame.predicted for frame in frames])
        true = _places([frame.true for frame in frames])
        self.frames = [(p, t, frame.iou) for p, t, frame in zip(predicted, true, frames, strict=True)]
        self.lengths = _lengths(predicted), _lengths(true)
        self.numbers = len(self.lengths[0]), len(self.lengths[1])
        self.predicted, self.true = int(self.lengths[0].sum()), int(self.lengths[1].sum())

    def matches(self) -> tuple[Alphas, Alphas]:
        """Matched instruments at each alpha, and the sum of their association scores."""
        alignment = self._alignment()
        counts = np.zeros((len(ALPHAS), *self.numbers))
        for p, t, iou in self.frames:
            pairs = best_pairs(alignment[np.ix_(p, t)] * iou)
            for row, column in pairs:
                counts[iou[row, column] >= ALPHAS - _EPSILON, p[row], t[column]] += 1
        union = self.lengths[0][:, None] + self.lengths[1][None, :] - counts
        return counts.sum(axis=(1, 2)), (counts * counts / np.maximum(union, 1)).sum(axis=(1, 2))

    def _alignment(self) -> Float64[np.ndarray, "P T"]:
        """How well each track goes with each over the whole clip: what decides between equal overlaps in a frame."""
        together = np.zeros(self.numbers)
        for p, t, iou in self.frames:
            union = iou.sum(axis=1, keepdims=True) + iou.sum(axis=0, keepdims=True) - iou
            together[np.ix_(p, t)] += np.divide(iou, union, out=np.zeros_like(iou), where=union > _EPSILON)
        return together / (self.lengths[0][:, None] + self.lengths[1][None, :] - together)

    def kept(self) -> int:
        """Most frames in which tracks, matched one to one for the whole clip, overlap by at least half."""
        together = np.zeros(self.numbers)
        for p, t, iou in self.frames:
            together[np.ix_(p, t)] += iou >= 0.5
        return int(sum(together[pair] for pair in best_pairs(together)))


def _places(numbers: Sequence[Int64[np.ndarray, " _"]]) -> list[Int64[np.ndarray, " _"]]:
    """Each frame's numbers as places among all numbers of the clip."""
    known = np.unique(np.concatenate([np.zeros(0, np.int64), *numbers]))
    return [np.searchsorted(known, of_frame) for of_frame in numbers]


def _lengths(places: Sequence[Int64[np.ndarray, " _"]]) -> Int64[np.ndarray, " n"]:
    """In how many frames each number occurs."""
    return np.bincount(np.concatenate([np.zeros(0, np.int64), *places]))
