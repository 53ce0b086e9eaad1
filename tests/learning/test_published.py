"""Our training step is the published one, where both are the same function of the same pictures."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from benchmarks.published import cell_features, published_loss, random_vgg16, weighted_mean
from torch import Tensor

from cuemask.learning.pairs import View
from cuemask.learning.training import Batch, full_loss, untrained_network, view_matrices
from cuemask.recipe import Recipe, load_recipe

WHOLE = View(0.0, 0.0, 1.0, 1.0, False)
SIZE = (64, 96)


def released(*settings: str) -> Recipe:
    return load_recipe("released", ["network.weights=random", *settings])


def whole_frames(features: Tensor, seed: int) -> Batch:
    """Two pairs of random pictures and anchors in float64, seen whole."""
    g = torch.Generator().manual_seed(seed)
    rgb, anchors = (torch.rand(4, k, *SIZE, generator=g, dtype=torch.float64) for k in (3, 2))
    matrices = view_matrices([WHOLE] * 4, SIZE, features.shape[2:], released().features)
    rows, columns = (matrix.double() for matrix in matrices)
    return Batch(rgb, anchors[:, :1], anchors[:, 1:], torch.ones_like(rgb[:, :1]), features, rows, columns)


@pytest.mark.parametrize("seed", range(3))
def test_the_diffusion_losses_equal_the_published_ones_in_value_and_gradient(seed):
    g = torch.Generator().manual_seed(seed)
    # One direction a frame and little else: cosines near 1 within and between, so that all terms are at work.
    features = torch.rand(4, 512, 1, 1, generator=g, dtype=torch.float64) + 0.2
    features = F.normalize(features + 0.8 * torch.rand(4, 512, 4, 6, generator=g, dtype=torch.float64), dim=1)
    batch = whole_frames(features, seed)
    nothing = torch.zeros_like(batch.positive)
    batch = batch._replace(positive=nothing, negative=nothing)
    logits = torch.randn(4, 1, *SIZE, generator=g, dtype=torch.float64, requires_grad=True)
    ours = full_loss(logits, batch, released())
    theirs = published_loss(logits, nothing, nothing, features)
    (our_gradient,) = torch.autograd.grad(ours.total, logits)
    (their_gradient,) = torch.autograd.grad(theirs, logits)
    assert min(float(ours.foreground.detach()), float(ours.background.detach())) > 0
    assert float(ours.total.detach()) == pytest.approx(float(theirs.detach()), rel=1e-6)
    assert torch.linalg.norm(our_gradient - their_gradient) <= 1e-4 * torch.linalg.norm(their_gradient)


def test_a_whole_step_equals_the_published_one_in_loss_and_every_gradient():
    torch.manual_seed(0)
    vgg, net = random_vgg16().double(), untrained_network(released()).double()
    batch = whole_frames(torch.zeros(4, 512, 4, 6, dtype=torch.float64), 0)
    batch = batch._replace(features=cell_features(vgg, batch.rgb))
    logits = net(batch.rgb)
    ours = full_loss(logits, batch, released()).total
    theirs = published_loss(logits, batch.positive, batch.negative, cell_features(vgg, batch.rgb))
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), rel=1e-7)
    parameters = list(net.parameters())
    for a, b in zip(
        torch.autograd.grad(ours, parameters, retain_graph=True), torch.autograd.grad(theirs, parameters), strict=True
    ):
        assert torch.linalg.norm(a - b) <= 1e-5 * torch.linalg.norm(b)


def test_the_weighted_mean_weighs():
    features = torch.tensor([[[[1.0, 3.0]], [[0.0, 8.0]]]])
    assert weighted_mean(torch.tensor([[[[3.0, 1.0]]]]), features).tolist() == [[1.5, 2.0]]


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_the_head_is_linear_on_the_decoder_and_the_raw_picture_put_together(size):
    torch.manual_seed(0)
    net = untrained_network(released()).double()
    seen: list[Tensor] = []
    net.up[-1].register_forward_hook(lambda _, __, x: seen.append(x))
    rgb = torch.rand(2, 3, *size, dtype=torch.float64)
    logits = net(rgb)
    padded = F.pad(rgb, (0, seen[0].shape[-1] - size[1], 0, seen[0].shape[-2] - size[0]), mode="replicate")
    expected = net.head(torch.cat([seen[0], padded], 1))[..., : size[0], : size[1]]
    assert torch.allclose(logits, expected, atol=1e-12)
