from __future__ import annotations

import motmetrics
import numpy as np
import pytest
from tests.evaluation.labels import overlaps

from cuemask.evaluation.overlaps import Overlaps
from cuemask.evaluation.tracks import track_figures

# By TrackEval 1.3.0 (HOTA and Identity, combined over sequences), which cannot be installed beside a headless OpenCV.
TRACKEVAL = {
    0: [0.39792437042642, 0.4891923991087, 0.32466268862721, 0.57668711656442],
    1: [0.34376417535907, 0.4375609409947, 0.27196454839525, 0.5375],
    2: [0.37643683296618, 0.49962645081768, 0.28474074934033, 0.58823529411765],
}


@pytest.mark.parametrize("seed", TRACKEVAL)
def test_figures_of_three_clips_together_are_those_of_trackeval(seed: int) -> None:
    figures = track_figures([overlaps(3 * seed + n, 6 + 5 * n) for n in range(3)])
    assert [figures[name] for name in ("hota", "deta", "assa", "idf1")] == pytest.approx(TRACKEVAL[seed], abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_idf1_is_that_of_motmetrics(seed: int) -> None:
    frames = overlaps(seed)
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in frames:
        distances = 1.0 - frame.iou.T
        distances[frame.iou.T < 0.5] = np.nan
        accumulator.update(frame.true, frame.predicted, distances)
    table = motmetrics.metrics.create().compute(accumulator, metrics=["idf1"], name="clip")
    assert track_figures([frames])["idf1"] == pytest.approx(float(table["idf1"].iloc[0]))


def one(predicted: list[int], true: list[int]) -> Overlaps:
    """Instruments that cover each other exactly, in the order given."""
    return Overlaps(np.array(predicted), np.array(true), np.eye(len(predicted), len(true)))


def test_numbers_may_be_others_as_long_as_they_stay() -> None:
    figures = track_figures([[one([7, 9], [1, 2])] * 5])
    assert [figures[name] for name in ("hota", "deta", "assa", "idf1")] == [1.0] * 4
    assert figures["true_tracks"] == figures["predicted_tracks"] == 2


def test_a_swap_of_numbers_halves_association_and_leaves_detection() -> None:
    figures = track_figures([[one([1, 2], [1, 2])] * 5 + [one([2, 1], [1, 2])] * 5])
    assert figures["deta"] == 1.0
    assert figures["assa"] == pytest.approx(1 / 3)  # 5 frames together, of 10 + 10 - 5
    assert figures["idf1"] == pytest.approx(0.5)


def test_numbers_of_one_clip_are_not_those_of_another() -> None:
    figures = track_figures([[one([1], [1])] * 3, [one([2], [1])] * 3])
    assert figures["assa"] == figures["idf1"] == 1.0


def test_without_truth_there_are_no_figures_and_without_predictions_they_are_zero() -> None:
    nothing = Overlaps(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0)))
    assert track_figures([[nothing]])["hota"] is None
    missed = Overlaps(np.zeros(0, np.int64), np.array([1]), np.zeros((0, 1)))
    assert [track_figures([[missed]])[name] for name in ("hota", "deta", "assa", "idf1")] == [0.0] * 4
