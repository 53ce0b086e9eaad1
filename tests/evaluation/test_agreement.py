"""Our figures are those of the libraries that people know: scikit-learn's for pixels, MONAI's for surfaces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, recall_score

from cuemask.evaluation.metrics import Counts, accuracy, dice, iou, sensitivity, specificity
from cuemask.evaluation.surfaces import Tolerance, surface

# MONAI 1.6 passes an argument to itself that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy.*:FutureWarning")


def pairs(count: int = 25, height: int = 60, width: int = 84) -> list[tuple[np.ndarray, np.ndarray]]:
    """Blobs, some of which touch the picture's edge, and the same blobs disturbed; none is empty."""
    rng = np.random.default_rng(0)
    made: list[tuple[np.ndarray, np.ndarray]] = []
    while len(made) < count:
        noise = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 6)
        other = noise + 0.6 * cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 5)
        pair = noise > 0.06, other > rng.uniform(0.02, 0.09)
        if pair[0].any() and pair[1].any():
            made.append(pair)
    return made


def tensor(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(mask)[None, None]


@pytest.mark.parametrize("tolerance_px", [0.0, 1.0, 2.0, 5.5])
def test_normalised_surface_distance_is_monais(tolerance_px: float) -> None:
    for predicted, truth in pairs():
        theirs = compute_surface_dice(tensor(predicted), tensor(truth), [tolerance_px], include_background=True)
        assert surface(predicted, truth, Tolerance(tolerance_px)).nsd == pytest.approx(float(theirs), abs=1e-6)


def test_hausdorff_distance_at_95_is_monais() -> None:
    for predicted, truth in pairs():
        theirs = compute_hausdorff_distance(tensor(predicted), tensor(truth), include_background=True, percentile=95)
        assert surface(predicted, truth, Tolerance(1.0)).hd95_px == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.filterwarnings("ignore:the (ground truth|prediction) of class:UserWarning")
def test_where_monai_is_open_about_empty_masks_we_are_finite() -> None:
    blob, empty = np.ones((9, 9), np.bool_), np.zeros((9, 9), np.bool_)
    for predicted, truth, nsd in ((empty, empty, float("nan")), (blob, empty, 0.0), (empty, blob, 0.0)):
        told = tensor(predicted), tensor(truth)
        assert float(compute_surface_dice(*told, [1.0], include_background=True)) == pytest.approx(nsd, nan_ok=True)
        theirs = compute_hausdorff_distance(*told, include_background=True, percentile=95)
        assert not np.isfinite(float(theirs))
        ours = surface(predicted, truth, Tolerance(1.0))
        assert np.isfinite([ours.nsd, ours.hd95_px]).all()


def test_figures_of_pixels_are_those_of_scikit_learn() -> None:
    for predicted, truth in [*pairs(), (np.zeros((3, 4), np.bool_), np.zeros((3, 4), np.bool_))]:
        counts, told = Counts.of(predicted, truth), (truth.ravel(), predicted.ravel())
        assert float(iou(counts)) == pytest.approx(jaccard_score(*told, zero_division=1.0))
        assert float(dice(counts)) == pytest.approx(f1_score(*told, zero_division=1.0))
        assert float(accuracy(counts)) == pytest.approx(accuracy_score(*told))
        assert float(sensitivity(counts)) == pytest.approx(recall_score(*told, zero_division=1.0))
        assert float(specificity(counts)) == pytest.approx(recall_score(*told, pos_label=False, zero_division=1.0))
