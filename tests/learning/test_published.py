"""Our training step is the published one, where both are the same function of the same pictures."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from benchmarks.published import cell_features, published_logits, published_loss, random_vgg16, weighted_mean
from torch import Tensor

from cuemask.learning.backbones import IMAGENET_MEAN, IMAGENET_STD
from cuemask.learning.pairs import View
from cuemask.learning.training import Batch, adam, full_loss, pair_logits, untrained_network, view_matrices
from cuemask.learning.unet import ResNet18UNet, network
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


def published_network(*settings: str) -> ResNet18UNet:
    """In float64, its norms such that they change what goes through."""
    torch.manual_seed(0)
    net = untrained_network(released(*settings)).double()
    assert isinstance(net, ResNet18UNet)
    # Kept in single precision, mean and deviation would differ in the eighth digit.
    net.mean, net.std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        for tensor, least in (
            (norm.weight, 0.5),
            (norm.bias, -0.5),
            (norm.running_mean, -0.5),
            (norm.running_var, 0.5),
        ):
            torch.nn.init.uniform_(tensor, least, least + 1)
    return net


@pytest.mark.parametrize("trains", [True, False])
def test_the_network_of_released_is_the_published_one_operation_by_operation(trains):
    net = published_network().train(trains)
    rgb = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    expected = published_logits({k: v.clone() for k, v in net.state_dict().items()}, rgb, trains=trains)
    assert expected.std() > 0.01
    assert torch.allclose(net(rgb), expected, rtol=0, atol=1e-10)


def test_the_published_decoder_and_head_have_478940_weights_and_3_82_billion_products():
    with torch.device("meta"):
        net = network(released().network)
    net.eval()  # in training its convolutions work on pictures not yet enlarged
    decoder = [*net.up.parameters(), *net.head.parameters()]
    assert sum(p.numel() for p in decoder) == 478_940
    products = 0

    def counted(layer: torch.nn.Module, _: object, out: Tensor) -> None:
        nonlocal products
        products += layer.weight[0].numel() * out[0].numel()

    for layer in (m for m in net.up.modules() if isinstance(m, torch.nn.Conv2d)):
        layer.register_forward_hook(counted)
    net(torch.rand(1, 3, 512, 640, device="meta"))
    products += net.head.weight.numel() * 512 * 640  # `forward` takes the head's weights, not the head
    assert products == pytest.approx(3.82e9, abs=0.01e9)


def test_the_decoder_starts_as_pytorch_starts_it_and_the_encoder_as_torchvision_does():
    net = untrained_network(released())
    for layer in (m for m in net.up.modules() if isinstance(m, torch.nn.Conv2d)):
        bound = layer.weight[0].numel() ** -0.5  # uniform, He's with a = sqrt 5
        weight, bias = layer.weight.detach(), layer.bias.detach()
        assert 0.95 * bound < float(weight.abs().max()) <= bound
        assert 0 < float(bias.abs().max()) <= bound
    deviation = (2 / (64 * 49)) ** 0.5
    assert float(net.encoder.conv1.weight.detach().std()) == pytest.approx(deviation, rel=0.05)


def test_the_first_steps_of_released_lose_what_the_published_ones_do():
    """Network, norms by frame, losses and Adam at once: three steps from the same weights on the same pictures."""
    recipe, net = released("training.precision=float32"), published_network()
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    learnt = [weights[name].requires_grad_() for name, _ in net.named_parameters()]
    vgg = random_vgg16().double()
    batch = whole_frames(torch.zeros(4, 512, 4, 6, dtype=torch.float64), 0)
    batch = batch._replace(features=cell_features(vgg, batch.rgb))
    ours, theirs = adam(net, recipe), torch.optim.Adam(learnt, lr=5e-4)
    for _ in range(3):
        halves = [published_logits(weights, rgb, trains=True) for rgb in batch.rgb.chunk(2)]
        loss = published_loss(torch.cat(halves), batch.positive, batch.negative, batch.features)
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        # In float32 training goes through `logits.float()`; here the losses are held to double precision.
        total = full_loss(pair_logits(net.train(), batch.rgb, recipe), batch, recipe).total
        ours.zero_grad()
        total.backward()
        ours.step()
        assert float(total.detach()) == pytest.approx(float(loss.detach()), rel=1e-6)


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_models_of_before_join_skips_first_and_take_the_raw_picture_to_the_head(size):
    net = published_network("network.skips=before", "network.normalization=none")
    assert sum(p.numel() for p in [*net.up.parameters(), *net.head.parameters()]) == 575_708
    seen: list[Tensor] = []
    net.up[-1].register_forward_hook(lambda _, __, x: seen.append(x))
    rgb = torch.rand(2, 3, *size, dtype=torch.float64)
    logits = net(rgb)
    padded = F.pad(rgb, (0, seen[0].shape[-1] - size[1], 0, seen[0].shape[-2] - size[0]), mode="replicate")
    expected = net.head(torch.cat([seen[0], padded], 1))[..., : size[0], : size[1]]
    assert torch.allclose(logits, expected, atol=1e-12)
