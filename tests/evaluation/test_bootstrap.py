from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.evaluation.scores import EMPTY, FRAMES, frame

from cuemask.errors import EvaluationError
from cuemask.evaluation import PROTOCOLS, Evaluation, FrameScore, paired_bootstrap
from cuemask.evaluation.bootstrap import difference_lines


def run(values: np.ndarray, videos: int = 1, protocol: str = "endovis2017") -> Evaluation:
    """Frames whose IoU is `values`, in thousandths, in turn of each of so many videos."""
    found = np.rint(1000 * np.clip(values, 0, 1)).astype(int)
    frames = (frame(f"v{n % videos}", str(n), both, 1000, both, 10_000) for n, both in enumerate(found.tolist()))
    return Evaluation(tuple(frames), protocol)


def two_runs(seed: int = 0, count: int = 40, videos: int = 4, protocol: str = "endovis2017") -> list[Evaluation]:
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.3, 0.8, count)
    return [run(base + rng.normal(shift, 0.05, count), videos, protocol) for shift in (0.05, 0)]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_difference_is_that_of_the_figures_whatever_the_protocol(name: str) -> None:
    better = (*FRAMES[:-1], frame("b", "missed", 15, 20, 20), EMPTY)
    better = tuple(FrameScore(each.video, str(n), each.counts) for n, each in enumerate(better))
    worse = tuple(FrameScore(each.video, str(n), each.counts) for n, each in enumerate((*FRAMES, FRAMES[3])))
    worse = (*worse[:-1], frame("b", "5", 0, 40, 0))
    one, other = Evaluation(better, name), Evaluation(worse, name)
    for figure in ("iou", "dice"):
        found = paired_bootstrap(one, other, figure, resamples=200)
        assert found.mean == pytest.approx(one.figure(figure).mean - other.figure(figure).mean)
        assert found.low <= found.mean <= found.high


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_a_run_does_not_differ_from_itself(interval: str) -> None:
    one, _ = two_runs()
    found = paired_bootstrap(one, one, interval=interval, resamples=100)
    assert (found.mean, found.low, found.high) == (0, 0, 0)


@given(st.integers(0, 20))
@settings(max_examples=10)
def test_swapping_the_runs_turns_the_interval_round(seed: int) -> None:
    one, other = two_runs(seed)
    there, back = (paired_bootstrap(*pair, resamples=300) for pair in ((one, other), (other, one)))
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))


def test_one_seed_draws_the_same_interval_and_another_a_little_other() -> None:
    one, other = two_runs()
    again = paired_bootstrap(one, other, seed=3)
    assert paired_bootstrap(one, other, seed=3) == again
    assert paired_bootstrap(one, other, seed=4).low == pytest.approx(again.low, abs=0.005)
    assert paired_bootstrap(one, other, seed=4).low != again.low


def test_batches_only_save_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = two_runs()
    whole = paired_bootstrap(one, other, resamples=101)
    monkeypatch.setattr("cuemask.evaluation.bootstrap.DRAWN_AT_ONCE", 70)
    assert paired_bootstrap(one, other, resamples=101) == whole


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_intervals_are_scipys(interval: str) -> None:
    rng = np.random.default_rng(5)
    skewed = 0.05 * rng.exponential(1, 20) ** 2  # where the two intervals differ, by 0.007
    one, other = run(0.2 + skewed), run(np.full(20, 0.2))
    values = [a.iou - b.iou for a, b in zip(one.frames, other.frames, strict=True)]
    method = {"percentile": "percentile", "bca": "BCa"}[interval]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method=method, rng=0).confidence_interval
    ours = paired_bootstrap(one, other, interval=interval, resamples=20_000)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.0015)
    other_end = paired_bootstrap(one, other, interval="bca" if interval == "percentile" else "percentile").high
    assert abs(other_end - theirs.high) > 0.004


def test_intervals_of_95_percent_cover_the_truth_about_as_often() -> None:
    covered = 0
    for seed in range(200):
        one, other = two_runs(seed, count=30)
        found = paired_bootstrap(one, other, resamples=400, seed=seed)
        covered += found.low <= 0.05 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_where_whole_videos_differ_drawing_frames_is_too_sure() -> None:
    rng = np.random.default_rng(1)
    of_video = rng.normal(0, 0.1, 6)[np.arange(120) % 6]
    one, other = run(0.5 + of_video, 6), run(np.full(120, 0.5), 6)
    frames, videos = (paired_bootstrap(one, other, unit=unit) for unit in ("frames", "videos"))
    assert frames.mean == pytest.approx(videos.mean)
    assert videos.high - videos.low > 2 * (frames.high - frames.low)
    assert (frames.unit_count, videos.unit_count, videos.frame_count) == (120, 6, 120)


def test_per_video_draws_videos_and_refuses_to_draw_frames() -> None:
    one, other = two_runs(protocol="per-video")
    assert paired_bootstrap(one, other).unit == "videos"
    with pytest.raises(EvaluationError, match="averages over videos"):
        paired_bootstrap(one, other, unit="frames")


def test_frames_that_one_run_lacks_are_named() -> None:
    one, other = two_runs()
    fewer = Evaluation(other.frames[:-2])
    with pytest.raises(EvaluationError, match="2 frames are in one run only: v2/38, v3/39"):
        paired_bootstrap(one, fewer)
    with pytest.raises(EvaluationError, match="in one run only"):
        paired_bootstrap(fewer, one)


def test_frames_are_matched_by_name_and_not_by_place() -> None:
    one, other = two_runs()
    turned = Evaluation(other.frames[::-1])
    assert paired_bootstrap(one, turned, resamples=50) == paired_bootstrap(one, other, resamples=50)


def test_runs_by_different_protocols_are_refused() -> None:
    one, other = two_runs()
    with pytest.raises(EvaluationError, match="with-truth"):
        paired_bootstrap(one, Evaluation(other.frames, "with-truth"))


def test_a_single_frame_or_video_gives_no_interval() -> None:
    one = run(np.array([0.5]))
    with pytest.raises(EvaluationError, match="over frames needs two at least; there is 1"):
        paired_bootstrap(one, one)
    several = run(np.full(5, 0.5))
    with pytest.raises(EvaluationError, match="over videos needs two at least"):
        paired_bootstrap(several, several, unit="videos")


def test_frames_that_neither_run_counts_are_not_drawn() -> None:
    frames = tuple(FrameScore("", str(n), each.counts) for n, each in enumerate((*FRAMES[:2], EMPTY, EMPTY)))
    found = paired_bootstrap(Evaluation(frames, "skip-both-empty"), Evaluation(frames, "skip-both-empty"), resamples=9)
    assert found.frame_count == 2


@pytest.mark.parametrize(("confidence", "resamples"), [(0.0, 10), (1.0, 10), (0.95, 0)])
def test_an_impossible_interval_is_refused(confidence: float, resamples: int) -> None:
    one, other = two_runs()
    with pytest.raises(ValueError, match="no interval"):
        paired_bootstrap(one, other, confidence=confidence, resamples=resamples)


def test_differences_are_told_in_points_with_how_they_were_drawn() -> None:
    one, other = two_runs()
    found = paired_bootstrap(one, other)
    first, second, last = difference_lines("other", {"iou": found})
    assert first == "difference from other"
    assert second == f"IoU  {found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
    assert last == "(95 % interval, paired bootstrap, 40 frames drawn 10000 times, percentile)"
