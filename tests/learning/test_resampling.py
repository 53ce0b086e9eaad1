from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cuemask.learning.losses import diffusion_loss, region_means
from cuemask.learning.pairs import View, seen
from cuemask.learning.resampling import carry_down, interpolation_matrix, resample
from cuemask.learning.training import view_matrices
from cuemask.recipe import DEFAULT, FeaturesRecipe

SIZES = st.integers(2, 40)
CELLS = st.integers(2, 12)


@given(SIZES, CELLS, st.sampled_from([("linear", "bilinear"), ("cubic", "bicubic")]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_matrix_interpolates_as_torch_does(n_out, n_in, kernels, align_corners):
    kernel, mode = kernels
    x = torch.randn(1, 1, n_in, n_in, dtype=torch.float64, generator=torch.Generator().manual_seed(n_in))
    matrix = interpolation_matrix(n_out, n_in, kernel=kernel, align_corners=align_corners, dtype=torch.float64)
    expected = F.interpolate(x, (n_out, n_out), mode=mode, align_corners=align_corners)
    assert torch.allclose(resample(x, matrix, matrix), expected, atol=1e-6)


@given(SIZES, CELLS, st.floats(0, 0.5), st.floats(0.2, 0.5), st.booleans(), st.sampled_from(["linear", "cubic"]))
@settings(max_examples=40, deadline=None)
def test_rows_sum_to_one_and_a_flip_reverses_them(n_out, n_in, start, extent, align, kernel):
    make = {"start": start, "extent": extent, "kernel": kernel, "align_corners": align, "dtype": torch.float64}
    plain = interpolation_matrix(n_out, n_in, **make)
    assert torch.allclose(plain.sum(1), torch.ones(n_out, dtype=torch.float64))
    assert torch.equal(interpolation_matrix(n_out, n_in, flip=True, **make), plain.flip(0))


def test_a_view_of_a_picture_and_its_matrices_sample_the_same_places():
    rng = np.random.default_rng(0)
    picture = rng.random((24, 30, 3)).astype(np.float32)
    for view in (
        View(0.1, 0.05, 0.85, 0.85, True),
        View(0.0, 0.0, 1.0, 1.0, True),
        View(0.07, 0.13, 0.86, 0.86, False),
    ):
        rows = interpolation_matrix(24, 24, start=view.top, extent=view.height)
        columns = interpolation_matrix(30, 30, start=view.left, extent=view.width, flip=view.flip)
        expected = resample(torch.from_numpy(picture).permute(2, 0, 1), rows, columns).permute(1, 2, 0)
        # OpenCV rounds sampling positions to 1/32 of a pixel.
        assert np.abs(seen(picture, view) - expected.numpy()).max() < 0.04


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_kept_features_with_transposed_interpolation_equal_interpolated_features(interpolation, seed):
    """Same loss and gradient as carrying the features up to the (cropped, mirrored) picture."""
    rng = np.random.default_rng(seed)
    g = torch.Generator().manual_seed(seed)
    height, width, grid, channels = 24, 32, (5, 6), 7
    side = float(rng.uniform(0.5, 1))
    view = View(float(rng.uniform(0, 1 - side)), float(rng.uniform(0, 1 - side)), side, side, bool(rng.random() < 0.5))
    recipe = FeaturesRecipe(interpolation=interpolation)
    rows, columns = (m.double() for m in view_matrices([view, view], (height, width), grid, recipe))
    features = torch.randn(2, channels, *grid, generator=g, dtype=torch.float64)
    logits = torch.randn(2, height, width, generator=g, dtype=torch.float64, requires_grad=True)

    def loss(p, whole, at):
        means = region_means(p, whole, at)
        now, then = (type(means)(*(m[k : k + 1] for m in means)) for k in (0, 1))
        return diffusion_loss(now, then, of="background", margin=0.8)

    p = torch.sigmoid(logits)
    ones = torch.ones_like(p)
    ours = loss(carry_down(p, rows, columns), carry_down(ones, rows, columns), features)
    (our_gradient,) = torch.autograd.grad(ours, logits, retain_graph=True)

    up, p_up, one_up = _carried_up(features, p, ones, view, interpolation)
    direct = loss(p_up, one_up, up)
    (direct_gradient,) = torch.autograd.grad(direct, logits)
    assert float(ours.detach()) == pytest.approx(float(direct.detach()), abs=1e-6)
    assert torch.allclose(our_gradient, direct_gradient, atol=1e-6)


def _carried_up(features, p, ones, view, interpolation):
    """Features sampled at each pixel of the crop by grid_sample, as one would without the transpose."""
    height, width = p.shape[-2:]
    out = (height, width) if interpolation == "linear" else (height // 2, width // 2)
    y = view.top + (torch.arange(out[0], dtype=torch.float64) + 0.5) / out[0] * view.height
    x = view.left + (torch.arange(out[1], dtype=torch.float64) + 0.5) / out[1] * view.width
    if view.flip:
        x = x.flip(0)
    mode = "bilinear"
    if interpolation == "cubic":
        mode = "bicubic"
        # Aligned corners: the outermost samples of the whole picture fall on the outermost cells.
        y = (y * out[0] - 0.5) / (out[0] - 1)
        x = (x * out[1] - 0.5) / (out[1] - 1)
        p, ones = (F.interpolate(m[:, None], out, mode="bicubic", align_corners=True)[:, 0] for m in (p, ones))
    place = torch.stack(torch.meshgrid(2 * x - 1, 2 * y - 1, indexing="xy"), -1).expand(2, *out, 2)
    sampled = F.grid_sample(features, place, mode=mode, padding_mode="border", align_corners=interpolation == "cubic")
    return sampled, p, ones


def test_the_default_crops_whole_frames_features():
    assert dataclasses.replace(DEFAULT.features).interpolation == "linear"
