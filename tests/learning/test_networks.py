from __future__ import annotations

import pytest
import torch

from cuemask.learning.backbones import ResNet18, VGG16Relu53, folded
from cuemask.learning.unet import network
from cuemask.recipe import NetworkRecipe

SMALL = {
    "unet": NetworkRecipe(width=4, depth=3),
    "unet with batch norm": NetworkRecipe(width=4, depth=2, normalization="batch"),
    "unet on blocks of pixels": NetworkRecipe(width=4, depth=2, block_px=2),
    "resnet18": NetworkRecipe(architecture="resnet18_unet", weights="random"),
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
