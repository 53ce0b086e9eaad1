"""How far predicted tips of instruments lie from the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from cuemask.evaluation.tables import Value
from cuemask.grouping.assignment import best_pairs

NEAR_SHARE = 0.02  # of the picture's diagonal: a tip so near is right
FAR_SHARE = 0.10  # a tip that is farther from a true one is another tip
RULE = (
    "tips of a frame matched one to one within 10 % of the diagonal, the distances least; rmse: of matched ones; "
    "within: share of true tips, predicted tips, and instruments (one tip at least) within 2 % of the diagonal; "
    "frames_within: share of frames with true tips in which that holds for each instrument"
)


@dataclass(frozen=True, eq=False)
class FoundTips:
    """One frame's tips.

    Attributes
    ----------
    distances
        Of the matched ones, in shares of the diagonal.
    diagonal_px
        Of the picture.
    matched
        Places, in `instruments`, of the true tips that they belong to.
    instruments
        Number of the instrument of each true tip.
    predicted
        Number of predicted tips.
    """

    distances: Float64[np.ndarray, " n"]
    diagonal_px: float
    matched: Int64[np.ndarray, " n"]
    instruments: Int64[np.ndarray, " T"]
    predicted: int

    @property
    def reached(self) -> tuple[int, int]:
        """Instruments with a tip that is within 2 %, and all with a true tip."""
        near = self.instruments[self.matched[self.distances <= NEAR_SHARE]]
        return len(np.unique(near)), len(np.unique(self.instruments))


def found_tips(
    predicted: Float64[np.ndarray, "P 2"],
    true: Float64[np.ndarray, "T 2"],
    instruments: Int64[np.ndarray, " T"],
    shape: tuple[int, int],
) -> FoundTips:
    """Match the tips of one frame.

    Parameters
    ----------
    predicted, true
        Places, x before y, in px.
    instruments
        The instrument of each true tip.
    shape
        Height and width of the picture in px.
    """
    diagonal = float(np.hypot(*shape))
    away = np.linalg.norm(predicted[:, None] - true[None], axis=2) / diagonal
    pairs = [(p, t) for p, t in best_pairs(np.maximum(FAR_SHARE - away, 0.0)) if away[p, t] <= FAR_SHARE]
    distances = np.array([away[pair] for pair in pairs], np.float64)
    return FoundTips(distances, diagonal, np.array([t for _, t in pairs], np.int64), instruments, len(predicted))


def tip_figures(frames: Sequence[FoundTips]) -> dict[str, Value]:
    """Root mean square distances, shares within 2 % of the diagonal (0 to 1), tips missed and surplus."""
    distances = np.concatenate([np.zeros(0), *(frame.distances for frame in frames)])
    in_px = np.concatenate([np.zeros(0), *(frame.distances * frame.diagonal_px for frame in frames)])
    true, predicted = sum(len(frame.instruments) for frame in frames), sum(frame.predicted for frame in frames)
    near = int((distances <= NEAR_SHARE).sum())
    reached = [frame.reached for frame in frames if len(frame.instruments)]
    return {
        "rmse_px": _root_mean_square(in_px),
        "rmse_share": _root_mean_square(distances),
        "true_within": _share(near, true),
        "predicted_within": _share(near, predicted),
        "instruments_within": _share(sum(near for near, _ in reached), sum(of for _, of in reached)),
        "frames_within": _share(sum(near == of for near, of in reached), len(reached)),
        "matched": len(distances),
        "missed": true - len(distances),
        "surplus": predicted - len(distances),
    }


def _root_mean_square(values: Float64[np.ndarray, " n"]) -> float | None:
    return float(np.sqrt((values**2).mean())) if len(values) else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
