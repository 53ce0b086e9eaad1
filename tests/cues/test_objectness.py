"""Objectness against literal loops, on drawn shapes, on degenerate pictures and on real frames."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cues import objectness_reference as reference

from cuemask.errors import InstallationError, RecipeError
from cuemask.recipe import PAPER

objectness = import_module("cuemask.cues.objectness")  # the name in `cuemask.cues` is the function

ALL_CUES = ("saliency", "contrast", "edges", "straddling")
SHAPES = ((30, 30, 90, 120), (120, 150, 200, 230), (25, 200, 75, 280))


def windows_in(height_px: int, width_px: int, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, height_px, count), rng.integers(0, width_px, count)
    bottom, right = rng.integers(top + 1, height_px + 1), rng.integers(left + 1, width_px + 1)
    return np.stack([top, left, bottom, right], axis=1)


def scene(seed: int = 0) -> np.ndarray:
    """Three plain ellipses on a picture of weak coloured texture."""
    rng = np.random.default_rng(seed)
    tissue = cv2.resize(rng.normal(0, 1, (60, 80, 3)), (320, 240), interpolation=cv2.INTER_CUBIC)
    rgb = np.clip(np.array([170, 80, 75]) + 14 * tissue, 0, 255).astype(np.uint8)
    for (top, left, bottom, right), color in zip(SHAPES, ((60, 160, 90), (225, 225, 215), (40, 50, 150)), strict=True):
        center = ((left + right) // 2, (top + bottom) // 2)
        cv2.ellipse(rgb, center, ((right - left) // 2, (bottom - top) // 2), 0, 0, 360, color, -1)
    return rgb


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def best_overlap(window: np.ndarray) -> float:
    return max(reference.intersection_over_union(window, np.array(shape)) for shape in SHAPES)


# ---- each function against its literal loop

any_windows = given(height=st.integers(3, 14), width=st.integers(3, 14), seed=st.integers(0, 2**32 - 1))


@settings(deadline=None, max_examples=30)
@any_windows
def test_saliency_score_equals_the_per_window_loop(height: int, width: int, seed: int) -> None:
    maps = np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)
    windows = windows_in(height, width, 20, seed)
    expected = [[reference.saliency_score(maps[..., c], 0.4, w) for c in range(3)] for w in windows]
    np.testing.assert_allclose(objectness.saliency_scores(maps, 0.4, windows), expected, rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=30)
@any_windows
def test_colour_contrast_equals_the_per_window_loop(height: int, width: int, seed: int) -> None:
    bins = np.random.default_rng(seed).choice([3, 17, 18, 254], (height, width), p=[0.6, 0.2, 0.1, 0.1])
    windows = windows_in(height, width, 20, seed)
    expected = [reference.contrast_score(bins, w) for w in windows]
    np.testing.assert_allclose(objectness.contrast_scores(bins, windows), expected, atol=1e-5)


@settings(deadline=None, max_examples=30)
@any_windows
def test_edge_density_equals_the_per_window_loop(height: int, width: int, seed: int) -> None:
    edges = np.random.default_rng(seed).random((height, width)) < 0.3
    windows = windows_in(height, width, 20, seed)
    expected = [reference.edge_score(edges, w) for w in windows]
    np.testing.assert_allclose(objectness.edge_scores(edges, windows), expected, rtol=1e-5)


@settings(deadline=None, max_examples=30)
@any_windows
def test_superpixel_straddling_equals_the_per_window_loop(height: int, width: int, seed: int) -> None:
    segments = np.random.default_rng(seed).integers(0, 4, (height, width)) * 3
    windows = windows_in(height, width, 20, seed)
    expected = [reference.straddling_score(segments, w) for w in windows]
    np.testing.assert_allclose(objectness.straddling_scores(segments, windows), expected, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), keep=st.integers(1, 60), overlap=st.sampled_from([0.25, 0.5, 0.75]))
def test_suppression_equals_the_per_window_loop(seed: int, keep: int, overlap: float) -> None:
    windows = windows_in(20, 25, 200, seed)
    scores = np.random.default_rng(seed).integers(0, 50, 200) / 50
    kept = objectness.suppress_overlaps(windows, scores, keep, overlap)
    assert kept.tolist() == reference.suppress_overlaps(windows, scores, keep, overlap)


@settings(deadline=None, max_examples=20)
@any_windows
def test_heat_map_equals_the_per_window_loop(height: int, width: int, seed: int) -> None:
    windows = windows_in(height, width, 15, seed)
    scores = np.random.default_rng(seed).random(15)
    expected = reference.heat_map(windows, scores, height, width)
    np.testing.assert_allclose(objectness.heat_map(windows, scores, height, width), expected, atol=1e-6)


def test_edge_density_of_large_windows_equals_the_per_window_loop() -> None:
    edges = objectness.edge_map(scene())
    windows = windows_in(*edges.shape, 6, seed=1)
    expected = [reference.edge_score(edges, w) for w in windows]
    np.testing.assert_allclose(objectness.edge_scores(edges, windows), expected, rtol=1e-5)


@pytest.mark.parametrize("side_px", [16, 32])
def test_saliency_map_equals_the_spectral_residual_with_its_phase(side_px: int) -> None:
    maps = objectness.saliency_maps(scene(), side_px)
    small = cv2.resize(scene(), (side_px, side_px), interpolation=cv2.INTER_AREA)
    expected = np.stack([reference.saliency_map(small[..., c]) for c in range(3)], axis=-1)
    np.testing.assert_allclose(maps, expected, atol=1e-4)


def test_probability_of_windows_equals_naive_bayes_of_the_loops() -> None:
    rgb = cv2.resize(scene(), (64, 48), interpolation=cv2.INTER_AREA)
    windows, p = objectness.objectness_windows(rgb, windows=40, candidates=300, seed=3)
    drawn, saliency = objectness.candidate_windows(rgb, 300, seed=3)
    bins, segments = objectness.quantized_lab(rgb), objectness.superpixels(rgb)
    expected = np.array(
        [
            reference.probability(float(s), reference.contrast_score(bins, w), reference.straddling_score(segments, w))
            for w, s in zip(drawn, saliency, strict=True)
        ]
    )
    kept = reference.suppress_overlaps(drawn, expected, 40, 0.5)
    np.testing.assert_allclose(p, expected[kept], rtol=1e-4)
    assert np.mean(np.all(windows == drawn[kept], axis=1)) > 0.9  # equal scores may swap by rounding


# ---- what the cues and the whole must do


def test_each_ratio_curve_rises_and_stays_near_the_published_ratios() -> None:
    published = {
        "saliency": ([0, 10, 20, 40, 80, 150], [0.27, 0.53, 0.95, 1.8, 2.4, 3.4]),
        "contrast": ([0, 0.2, 0.4, 0.6, 0.8, 1, 1.2], [0.39, 1, 1.9, 3.3, 5.8, 7.5, 8.2]),
        "edges": ([0, 20, 40, 60, 80], [0.12, 0.41, 1.3, 3.2, 6.9]),
        "straddling": ([0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8], [0.04, 0.14, 0.44, 1.3, 3, 7.3, 10]),
    }
    for cue, (scores, ratios) in published.items():
        curve = np.exp(objectness.log_ratio(cue, np.array(scores, float)))
        np.testing.assert_allclose(curve, ratios, rtol=0.3)
        fine = objectness.log_ratio(cue, np.linspace(0, scores[-1], 500))
        assert np.all(np.diff(fine) > 0)


@pytest.mark.parametrize(
    ("cue", "scores"),
    [
        ("contrast", lambda rgb: objectness.contrast_scores(objectness.quantized_lab(rgb), np.array(SHAPES))),
        ("edges", lambda rgb: objectness.edge_scores(objectness.edge_map(rgb), np.array(SHAPES))),
        (
            "straddling",
            lambda rgb: objectness.straddling_scores(objectness.superpixels(rgb), np.array(SHAPES)),
        ),
    ],
)
def test_a_window_around_a_shape_beats_the_window_shifted_by_half(
    cue: str, scores: Callable[[np.ndarray], np.ndarray]
) -> None:
    shifted = np.roll(scene(), (25, 30), axis=(0, 1))
    assert np.all(scores(scene()) > scores(shifted)), cue


def test_windows_of_closed_shapes_rank_above_the_rest() -> None:
    windows, p = objectness.objectness_windows(scene())
    overlap = np.array([best_overlap(w) for w in windows])
    fits = overlap > 0.6
    assert fits.sum() >= 3
    wins = (p[fits][:, None] > p[~fits]).mean()
    assert wins > 0.9
    for shape in SHAPES:
        ranks = [i for i, w in enumerate(windows) if reference.intersection_over_union(w, np.array(shape)) > 0.6]
        assert ranks
        assert ranks[0] < 50


@pytest.mark.parametrize("cues", [(cue,) for cue in ALL_CUES] + [ALL_CUES])
def test_any_choice_of_cues_gives_a_map_that_is_higher_on_the_shapes(cues: tuple[str, ...]) -> None:
    heat = objectness.objectness_cue(scene(), cues=cues)
    on_shapes = np.zeros(heat.shape, bool)
    for top, left, bottom, right in SHAPES:
        on_shapes[top:bottom, left:right] = True
    assert heat[on_shapes].mean() > 1.2 * heat[~on_shapes].mean()


def test_candidates_fit_the_picture_and_reach_the_least_side() -> None:
    rgb = scene()
    windows, saliency = objectness.candidate_windows(rgb, 2000)
    sides = windows[:, 2:] - windows[:, :2]
    least_px = 10 * np.sqrt(rgb.shape[0] * rgb.shape[1] / 60_000)
    assert windows.min() >= 0
    assert np.all(windows[:, 2:] <= rgb.shape[:2])
    assert sides.min() >= np.floor(least_px)
    assert np.all(saliency > 0)
    assert 1500 < len(windows) <= 2000


def test_candidates_are_drawn_in_proportion_to_their_saliency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectness, "SALIENCY_THRESHOLDS", {64: 0.26})
    monkeypatch.setattr(objectness, "PROPOSALS_PER_CANDIDATE", 100)
    drawn = objectness.candidate_windows(scene(), 1000)[1]
    evenly = objectness._proposals(scene(), 64, 0.26, 100_000, np.random.default_rng(1))[1].astype(float)
    np.testing.assert_allclose(drawn.mean(), (evenly**2).sum() / evenly.sum(), rtol=0.1)


def test_kept_windows_are_sorted_and_overlap_by_at_most_half() -> None:
    windows, p = objectness.objectness_windows(scene(), candidates=1000)
    assert np.all(np.diff(p) <= 0)
    worst = max(reference.intersection_over_union(a, b) for i, a in enumerate(windows[:60]) for b in windows[:i])
    assert worst <= 0.5


def test_a_thousand_windows_are_kept_when_there_are_candidates_enough() -> None:
    windows, _ = objectness.objectness_windows(scene(), candidates=100_000)
    assert len(windows) == 1000


def test_the_same_seed_gives_the_same_map() -> None:
    first, second = (objectness.objectness_cue(scene(), seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_other_seeds_give_nearly_the_same_map() -> None:
    maps = [objectness.objectness_cue(scene(), seed=s) for s in range(3)]
    assert not np.array_equal(maps[0], maps[1])
    assert min(correlation(maps[0], maps[1]), correlation(maps[0], maps[2])) > 0.95


def test_a_mirrored_picture_gives_nearly_the_mirrored_map() -> None:
    heat = objectness.objectness_cue(scene())
    mirrored = objectness.objectness_cue(np.ascontiguousarray(scene()[:, ::-1]))
    assert correlation(heat, mirrored[:, ::-1]) > 0.9


# ---- degenerate pictures and arguments


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_of_one_colour_gives_zeros(value: int) -> None:
    heat = objectness.objectness_cue(np.full((48, 64, 3), value, np.uint8), cues=ALL_CUES)
    assert heat.shape == (48, 64)
    assert not heat.any()


def test_the_smallest_picture_gives_a_map_of_its_size() -> None:
    rgb = np.zeros((16, 16, 3), np.uint8)
    rgb[5:11, 4:12] = (200, 60, 90)
    heat = objectness.objectness_cue(rgb, cues=ALL_CUES)
    assert heat.shape == (16, 16)
    assert heat.max() == 1
    assert heat[8, 8] > heat[0, 0]


@pytest.mark.parametrize("shape", [(16, 400), (400, 16), (17, 31)])
def test_odd_and_extreme_shapes_give_a_map_of_their_size(shape: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    heat = objectness.objectness_cue(rgb)
    assert heat.shape == shape
    assert heat.dtype == np.float32
    assert heat.min() == 0
    assert heat.max() == 1


def test_a_single_bright_pixel_on_black_gives_a_map_without_nan() -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[30, 40] = 255
    heat = objectness.objectness_cue(rgb, cues=ALL_CUES)
    assert np.isfinite(heat).all()


def test_a_view_of_a_picture_gives_the_map_of_its_copy() -> None:
    rgb = scene()
    view = rgb[10:200:1, 20:300][:, ::-1]
    np.testing.assert_array_equal(
        objectness.objectness_cue(view), objectness.objectness_cue(np.ascontiguousarray(view))
    )


def test_no_window_at_all_scores_nothing() -> None:
    none = np.zeros((0, 4), np.int64)
    labels = np.zeros((5, 6), np.int32)
    assert objectness.contrast_scores(labels, none).shape == (0,)
    assert objectness.straddling_scores(labels, none).shape == (0,)
    assert objectness.edge_scores(labels > 0, none).shape == (0,)
    assert objectness.suppress_overlaps(none, np.zeros(0), 10).shape == (0,)
    assert not objectness.heat_map(none, np.zeros(0), 5, 6).any()


def test_the_window_that_fills_the_picture_has_no_contrast_and_cuts_nothing() -> None:
    labels = np.arange(30).reshape(5, 6)
    whole = np.array([[0, 0, 5, 6]])
    assert objectness.contrast_scores(labels, whole) == 0
    assert objectness.straddling_scores(labels, whole) == 1


def test_unknown_cue_and_no_cue_and_zero_windows_name_the_remedy() -> None:
    with pytest.raises(RecipeError, match=r"'colour' is unknown(.|\n)*Choose one or more of: saliency"):
        objectness._check(("colour",), 1, 1)
    with pytest.raises(RecipeError, match="none is given"):
        objectness.objectness_cue(scene(), cues=())
    with pytest.raises(RecipeError, match="windows = 0"):
        objectness.objectness_cue(scene(), windows=0)
    with pytest.raises(RecipeError, match="working_height_px = 8"):
        objectness.objectness_cue(scene(), working_height_px=8)


def test_opencv_without_contrib_names_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "ximgproc")
    with pytest.raises(InstallationError, match="pip install"):
        objectness.objectness_cue(scene())
    assert objectness.objectness_cue(scene(), cues=("saliency", "contrast")).any()


# ---- real frames


def reference_pair(real_data: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A frame at 640 x 512 and the heat map that an independent port computed of it."""
    folder, frame = name.rsplit("_", 1)
    bgr = cv2.imread(str(real_data / folder / "frames" / f"{frame}.png"))
    if folder == "endovis17_dataset4":
        bgr = bgr[28:1052, 320:1600]
    small = cv2.resize(bgr, (640, 512), interpolation=cv2.INTER_AREA)
    heat = cv2.imread(str(real_data / "objectness_reference" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    return np.ascontiguousarray(small[..., ::-1]), heat


@pytest.mark.real_frames
@pytest.mark.parametrize("name", ["endovis17_dataset4_frame000", "endovis18_sequence_frame045"])
@pytest.mark.parametrize("cost", [objectness.SUPERPIXEL_COST, PAPER.cues.superpixel_cost])
def test_heat_map_agrees_with_an_independent_port_of_the_original(real_data: Path, name: str, cost: float) -> None:
    rgb, expected = reference_pair(real_data, name)
    assert correlation(objectness.objectness_cue(rgb, superpixel_cost=cost), expected) > 0.9


@pytest.mark.real_frames
@pytest.mark.parametrize("name", ["endovis17_dataset4_frame000", "endovis18_sequence_frame045"])
def test_reduced_working_size_agrees_with_the_full_one(real_data: Path, name: str) -> None:
    rgb, _ = reference_pair(real_data, name)
    full = objectness.objectness_cue(rgb, working_height_px=rgb.shape[0])
    assert correlation(objectness.objectness_cue(rgb), full) > 0.95


@pytest.mark.real_frames
def test_the_black_surround_of_a_round_picture_stays_dark(real_data: Path) -> None:
    bgr = cv2.imread(str(real_data / "cholecseg8k_clip" / "frame_561_endo.png"))
    heat = objectness.objectness_cue(np.ascontiguousarray(bgr[..., ::-1]))
    surround = cv2.erode((bgr.max(axis=2) < 20).astype(np.uint8), np.ones((9, 9))) > 0
    edge_columns = np.zeros_like(surround)
    edge_columns[:, :60] = edge_columns[:, -60:] = True
    assert heat[surround & edge_columns].mean() < 0.25 * heat[~surround].mean()
