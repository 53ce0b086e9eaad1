from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cuemask.learning.backbones import IMAGENET_MEAN, IMAGENET_STD, ResNet18, VGG16Relu53, folded, without_norms
from cuemask.learning.unet import ResNet18UNet, enlarged_convolution, network
from cuemask.recipe import DEFAULT, NetworkRecipe

SMALL = {
    "unet": NetworkRecipe(width=4, depth=3),
    "unet with batch norm": NetworkRecipe(width=4, depth=2, normalization="batch"),
    "unet on blocks of pixels": NetworkRecipe(width=4, depth=2, block_px=2),
    "unet with mirrored borders": NetworkRecipe(width=4, depth=2, mirror_px=24),
    "resnet18": NetworkRecipe(architecture="resnet18_unet", weights="random", normalization="batch"),
    "resnet18, folded": NetworkRecipe(architecture="resnet18_unet", weights="random"),
    "resnet18 of before": NetworkRecipe(architecture="resnet18_unet", weights="random", skips="before"),
}


@pytest.mark.parametrize("recipe", SMALL.values(), ids=SMALL.keys())
@pytest.mark.parametrize("size", [(64, 96), (37, 51), (33, 32)])
def test_any_input_size_gives_logits_of_that_size(recipe, size):
    net = network(recipe).eval()
    assert net(torch.rand(2, 3, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize("recipe", SMALL.values(), ids=SMALL.keys())
def test_every_parameter_gets_a_gradient(recipe):
    torch.manual_seed(0)
    net = network(recipe).train()
    net(torch.rand(2, 3, 64, 64)).square().mean().backward()
    # A block that starts as its shortcut passes no gradient to its first convolution at the very first step.
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert all(".conv1." in n and "encoder.layer" in n for n in silent)


def test_the_vanilla_unet_has_the_original_layers():
    """Figure 1 of Ronneberger et al.: 23 convolutions, here with one output channel."""
    levels = [64, 128, 256, 512, 1024]
    layers = [(3, b, a) for pair in zip([3, *levels], levels) for b, a in (pair, (pair[1], pair[1]))]  # noqa: B905
    for below, above in zip(levels[:0:-1], levels[-2::-1], strict=True):
        layers += [(2, below, above), (3, 2 * above, above), (3, above, above)]
    layers.append((1, 64, 1))
    assert len(layers) == 23
    expected = sum(size**2 * before * after + after for size, before, after in layers)
    assert sum(p.numel() for p in network(NetworkRecipe()).parameters()) == expected


def test_a_unet_on_blocks_of_pixels_sees_and_gives_every_pixel_of_the_block():
    torch.manual_seed(0)
    net = network(NetworkRecipe(width=16, depth=1, block_px=2)).eval()
    rgb = torch.rand(1, 3, 16, 16, requires_grad=True)
    logits = net(rgb)
    assert net.down[0][0].in_channels == 12
    corners = {(y, x): logits[0, 0, 8 + y, 8 + x] for y in (0, 1) for x in (0, 1)}
    assert len({value.item() for value in corners.values()}) == 4
    corners[0, 0].backward()
    assert (rgb.grad[0, :, 8:10, 8:10] != 0).all()


def unpadded(net: torch.nn.Module, rgb: torch.Tensor, depth: int) -> torch.Tensor:
    """Ronneberger's network by its figure: unpadded convolutions on a mirrored border, skips cut to what is left.

    The border is such that squares of pooled pixels lie where they do in the picture alone: 22 at depth 2, 94 at 4.
    """
    weights = net.state_dict()

    def twice(name: str, x: torch.Tensor) -> torch.Tensor:
        for layer in (0, 2):
            x = F.relu(F.conv2d(x, weights[f"{name}.{layer}.weight"], weights[f"{name}.{layer}.bias"]))
        return x

    def centre(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
        top, left = (x.shape[-2] - size[-2]) // 2, (x.shape[-1] - size[-1]) // 2
        return x[..., top : top + size[-2], left : left + size[-1]]

    border = 6 * 2**depth - 2
    x = F.pad((rgb - 0.5) / 0.5, (border,) * 4, mode="reflect")
    skips = []
    for level in range(depth + 1):
        x = twice(f"down.{level}", x if level == 0 else F.max_pool2d(x, 2))
        skips.append(x)
    for level in range(depth):
        x = F.conv_transpose2d(x, weights[f"rise.{level}.weight"], weights[f"rise.{level}.bias"], stride=2)
        x = twice(f"up.{level}", torch.cat([centre(skips[depth - 1 - level], x.shape), x], 1))
    return centre(F.conv2d(x, weights["head.weight"], weights["head.bias"]), rgb.shape)


@pytest.mark.parametrize(("depth", "mirror_px", "size"), [(2, 24, (64, 48)), (4, 96, (112, 128))])
def test_with_a_mirrored_border_the_unet_is_the_original_with_unpadded_convolutions(depth, mirror_px, size):
    torch.manual_seed(0)
    net = network(NetworkRecipe(width=3, depth=depth, mirror_px=mirror_px, scaling="signed")).double()
    for name, value in net.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.uniform_(value, -0.5, 0.5)
    rgb = torch.rand(1, 3, *size, dtype=torch.float64)
    expected = unpadded(net, rgb, depth)
    assert torch.allclose(net(rgb), expected, rtol=0, atol=1e-10)
    net.mirror_px = 0
    assert not torch.allclose(net(rgb), expected, rtol=0, atol=1e-3)


def test_dropout_works_on_the_two_lowest_levels_and_in_training_only():
    torch.manual_seed(0)
    rgb = torch.rand(1, 3, 64, 64)
    net = network(NetworkRecipe(width=8, depth=3, dropout=0.5))
    zeros: list[float] = []
    net.rise[0].register_forward_pre_hook(lambda _, given: zeros.append(float((given[0] == 0).float().mean())))
    dropped = net.train()(rgb)
    net.eval()(rgb)
    assert zeros[0] == pytest.approx(zeros[1] + 0.5 * (1 - zeros[1]), abs=0.05)
    net.train()
    assert not torch.equal(net(rgb), dropped)
    assert torch.equal(net.eval()(rgb), net(rgb))
    net.dropout = 0.0
    assert torch.equal(net.train()(rgb), net.eval()(rgb))


def test_the_first_convolution_gets_what_the_recipe_says():
    rgb = torch.rand(1, 3, 16, 16)
    for scaling, mean, std in (("signed", (0.5,) * 3, (0.5,) * 3), ("imagenet", IMAGENET_MEAN, IMAGENET_STD)):
        net = network(NetworkRecipe(width=2, depth=1, scaling=scaling))
        seen: list[torch.Tensor] = []
        net.down[0].register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        net(rgb)
        expected = torch.stack([(rgb[0, c] - mean[c]) / std[c] for c in range(3)])
        assert torch.allclose(seen[0][0], expected, atol=1e-6)
    assert (NetworkRecipe().scaling, DEFAULT.network.scaling) == ("imagenet", "signed")


def test_an_encoder_with_its_norms_folded_is_the_same_function_in_evaluation():
    torch.manual_seed(0)
    encoder = ResNet18(layers=4, normalization="batch")
    for norm in (m for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.uniform_(norm.running_mean)
        torch.nn.init.uniform_(norm.weight, 0.5, 1)
    x = torch.rand(1, 3, 64, 96)
    plain = without_norms(encoder)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())
    for ours, theirs in zip(plain.levels(x), encoder.eval().levels(x), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.detach().abs().max()))


def test_an_encoder_with_norms_has_torchvisions_names():
    names = set(ResNet18(normalization="batch").state_dict())
    assert {"conv1.weight", "bn1.weight", "layer1.0.bn2.running_var", "layer2.0.downsample.1.bias"} <= names
    assert "conv1.bias" not in names
    assert len(names) == 20 + 5 * 20  # convolutions, and five tensors of each norm


def test_vgg16_has_torchvisions_26_names_and_stride_16():
    net = VGG16Relu53()
    convolutions = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    assert set(net.state_dict()) == {f"features.{i}.{k}" for i in convolutions for k in ("weight", "bias")}
    assert net(torch.rand(1, 3, 64, 96)).shape == (1, 512, 4, 6)


def test_resnet18_to_layer3_has_stride_16():
    assert ResNet18(layers=3)(torch.rand(1, 3, 64, 96)).shape == (1, 256, 4, 6)


def test_folding_batch_norm_changes_nothing_but_the_names():
    torch.manual_seed(0)
    convolution, norm = torch.nn.Conv2d(3, 64, 7, 2, 3, bias=False), torch.nn.BatchNorm2d(64)
    torch.nn.init.uniform_(norm.running_mean)
    torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    torch.nn.init.uniform_(norm.weight)
    torch.nn.init.uniform_(norm.bias)
    state = {f"conv1.{k}": v for k, v in convolution.state_dict().items()}
    state |= {f"bn1.{k}": v for k, v in norm.state_dict().items()}
    state |= {"fc.weight": torch.zeros(1), "layer2.0.downsample.0.weight": torch.ones(2, 2, 1, 1)}
    state |= {
        "layer2.0.downsample.1.weight": torch.full((2,), 3.0),
        "layer2.0.downsample.1.bias": torch.zeros(2),
        "layer2.0.downsample.1.running_mean": torch.zeros(2),
        "layer2.0.downsample.1.running_var": torch.ones(2),
    }
    out = folded(state)
    assert set(out) == {
        "conv1.weight",
        "conv1.bias",
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.0.bias",
    }
    x = torch.rand(1, 3, 16, 16)
    expected = norm.eval()(convolution(x))
    assert torch.allclose(torch.conv2d(x, out["conv1.weight"], out["conv1.bias"], 2, 3), expected, atol=1e-5)
    assert torch.allclose(out["layer2.0.downsample.0.weight"], torch.full((2, 2, 1, 1), 3.0), atol=1e-4)
    assert folded(out) == out


@pytest.mark.parametrize("times", [2, 4])
def test_a_convolution_of_the_small_picture_is_that_of_the_enlarged_one(times):
    torch.manual_seed(0)
    convolution = nn.Conv2d(5, 3, 3, padding=1)
    x = torch.randn(2, 5, 4, 6, requires_grad=True)
    expected = convolution(F.interpolate(x, scale_factor=times, mode="nearest"))
    found = enlarged_convolution(x, convolution, times)
    assert torch.allclose(found, expected, atol=1e-5)
    given, learnt = torch.randn_like(expected), [x, *convolution.parameters()]
    for one, other in zip(*(torch.autograd.grad(y, learnt, given) for y in (found, expected)), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_in_training_the_published_network_gives_what_it_gives_in_evaluation():
    torch.manual_seed(0)
    net, rgb = ResNet18UNet("none"), torch.rand(1, 3, 64, 96)
    assert torch.allclose(net.train()(rgb), net.eval()(rgb), atol=1e-4)
