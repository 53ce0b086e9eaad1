from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluation.scores import EMPTY, FALSE, FRAMES, GOOD, HALF, MISSED, frame

from cuemask.errors import EvaluationError
from cuemask.evaluation import PROTOCOLS, Evaluation
from cuemask.evaluation.frames import FrameScore
from cuemask.evaluation.protocols import pooled, protocol_named
from cuemask.evaluation.surfaces import Surface


@st.composite
def some_frames(draw: st.DrawFn) -> list[FrameScore]:
    """Up to eight frames of up to three videos, each with an instrument in the truth."""
    frames = []
    for n in range(draw(st.integers(1, 8))):
        both, more, missed = draw(st.integers(0, 20)), draw(st.integers(0, 20)), draw(st.integers(1, 20))
        frames.append(frame(draw(st.sampled_from("abc")), str(n), both, both + more, both + missed))
    return frames


def means(protocol: str, frames: tuple[FrameScore, ...] = FRAMES) -> tuple[float, float | None]:
    figure = pooled(protocol_named(protocol), frames).figures["iou"]
    return figure.mean, figure.deviation


def test_endovis2017_pools_every_frame_alike_and_gives_the_populations_deviation() -> None:
    values = [1, 1 / 2, 1, 0, 0]
    assert means("endovis2017") == (pytest.approx(np.mean(values)), pytest.approx(np.std(values)))


def test_with_truth_discards_frames_without_a_true_instrument() -> None:
    assert means("with-truth") == (pytest.approx(np.mean([1, 1 / 2, 0])), pytest.approx(np.std([1, 1 / 2, 0])))
    assert pooled(protocol_named("with-truth"), FRAMES).frames == (GOOD, HALF, MISSED)


def test_skip_both_empty_leaves_out_only_what_is_empty_on_both_sides() -> None:
    assert means("skip-both-empty")[0] == pytest.approx(np.mean([1, 1 / 2, 0, 0]))
    assert pooled(protocol_named("skip-both-empty"), FRAMES).frames == (GOOD, HALF, FALSE, MISSED)


def test_per_video_averages_within_videos_then_over_them() -> None:
    found = pooled(protocol_named("per-video"), FRAMES)
    assert found.videos["a"]["iou"] == pytest.approx(3 / 4)
    assert found.videos["b"]["iou"] == pytest.approx(1 / 3)
    assert found.figures["iou"].mean == pytest.approx(np.mean([3 / 4, 1 / 3]))
    assert found.figures["iou"].deviation == pytest.approx(np.std([3 / 4, 1 / 3]))


def test_global_sums_one_confusion_matrix_and_has_no_deviation() -> None:
    assert means("global") == (pytest.approx(20 / (10 + 20 + 30 + 20)), None)
    assert pooled(protocol_named("global"), FRAMES).figures["dice"].mean == pytest.approx(40 / (60 + 40))


def test_isic2016_has_five_figures_of_each_picture() -> None:
    both, predicted, truth, total = 10, 20, 15, 100
    found = pooled(protocol_named("isic2016"), [frame("", "x", both, predicted, truth, total)]).figures
    assert {name: figure.mean for name, figure in found.items()} == {
        "iou": pytest.approx(10 / 25),
        "dice": pytest.approx(20 / 35),
        "accuracy": pytest.approx((10 + 75) / 100),
        "sensitivity": pytest.approx(10 / 15),
        "specificity": pytest.approx(75 / 85),
    }


def test_pictures_of_different_sizes_each_count_by_their_own() -> None:
    small, large = frame("", "small", 5, 5, 5, 10), frame("", "large", 0, 500, 0, 1000)
    found = pooled(protocol_named("isic2016"), [small, large]).figures
    assert found["accuracy"].mean == pytest.approx((1 + 1 / 2) / 2)
    assert found["specificity"].mean == pytest.approx((1 + 1 / 2) / 2)


def test_nothing_to_find_and_nothing_to_spare_is_one() -> None:
    everything = frame("", "full", 100, 100, 100)
    assert EMPTY.figure("sensitivity") == everything.figure("specificity") == 1.0


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_says_its_rule_with_the_figures(name: str) -> None:
    evaluation = Evaluation(FRAMES, name)
    assert PROTOCOLS[name].name == name
    assert f"({PROTOCOLS[name].rule})" in evaluation.table().splitlines()
    assert evaluation.as_json()["protocol"] == PROTOCOLS[name].rule
    assert "nan" not in evaluation.table()


@pytest.mark.parametrize("name", PROTOCOLS)
@given(frames=some_frames())
def test_figures_are_shares_whatever_the_protocol(name: str, frames: list[FrameScore]) -> None:
    for figure in pooled(PROTOCOLS[name], frames).figures.values():
        assert 0 <= figure.mean <= 1
        assert figure.deviation is None or 0 <= figure.deviation <= 0.5 + 1e-12


@pytest.mark.parametrize("name", PROTOCOLS)
@given(frames=some_frames(), order=st.randoms(use_true_random=False))
def test_the_order_of_frames_changes_no_figure(name: str, frames: list[FrameScore], order: object) -> None:
    mixed = frames.copy()
    order.shuffle(mixed)
    one, other = (pooled(PROTOCOLS[name], some).figures["iou"] for some in (frames, mixed))
    assert one.mean == pytest.approx(other.mean)


@given(some_frames())
def test_where_every_frame_has_an_instrument_three_protocols_agree(frames: list[FrameScore]) -> None:
    one, *others = (
        pooled(PROTOCOLS[name], frames).figures for name in ("endovis2017", "with-truth", "skip-both-empty")
    )
    assert all(other == one for other in others)


@given(some_frames())
def test_of_a_single_video_the_mean_is_that_of_its_frames(frames: list[FrameScore]) -> None:
    own = [replace(each, video="a") for each in frames]
    one, other = (pooled(PROTOCOLS[name], own).figures["dice"] for name in ("per-video", "endovis2017"))
    assert one.mean == pytest.approx(other.mean)
    assert one.deviation == 0


@pytest.mark.parametrize(("name", "alone"), [("with-truth", FALSE), ("skip-both-empty", EMPTY)])
def test_a_protocol_that_leaves_no_frame_says_so_instead_of_giving_nan(name: str, alone: FrameScore) -> None:
    with pytest.raises(EvaluationError, match="leaves out every frame") as error:
        Evaluation((alone,), name)
    assert "--protocol endovis2017" in error.value.remedy


def test_no_frames_at_all_are_refused() -> None:
    with pytest.raises(EvaluationError, match="no frame to evaluate"):
        Evaluation(())


def test_an_unknown_protocol_is_answered_with_the_known_ones() -> None:
    with pytest.raises(EvaluationError, match="no such protocol") as error:
        protocol_named("endovis")
    assert all(name in error.value.remedy for name in PROTOCOLS)


def test_surface_figures_come_on_top_where_every_frame_has_them() -> None:
    near = frame("a", "near", 10, 10, 10, surface=Surface(1.0, 2.0))
    far = frame("b", "far", 10, 10, 10, surface=Surface(0.0, 6.0))
    for name in PROTOCOLS:
        figures = pooled(PROTOCOLS[name], [near, far]).figures
        assert (figures["nsd"].mean, figures["hd95_px"].mean, figures["hd95_px"].deviation) == (0.5, 4.0, 2.0)
    assert "nsd" not in pooled(PROTOCOLS["global"], [near, GOOD]).figures
