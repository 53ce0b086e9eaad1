"""The segmentation networks: the vanilla U-Net, and the ResNet-18 U-Net of the published code.

Both take RGB in [0, 1] of any size and give logits of the same size; padding to whole strides happens inside.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from cuemask.learning.backbones import IMAGENET_MEAN, IMAGENET_STD, ResNet18
from cuemask.recipe import NetworkRecipe


def network(recipe: NetworkRecipe) -> UNet | ResNet18UNet:
    """The network that a recipe describes, with untrained weights drawn from torch's generator."""
    if recipe.architecture == "unet":
        return UNet(recipe.width, recipe.depth, recipe.normalization, recipe.block_px)
    return ResNet18UNet()


class UNet(nn.Module):
    """Ronneberger, Fischer, Brox (2015), with padded convolutions.

    Parameters
    ----------
    width
        Channels of the first level; doubled at each level below (64 in the original).
    depth
        Times that the size is halved (4 in the original).
    normalization
        `none` as in the original, or `batch` after each convolution.
    block_px
        Side of the square of pixels that the first level takes as one, colours beside each other, and that the
        head gives back as one (Shi et al. 2016, sub-pixel convolution); 1 in the original, 2 does a quarter of
        the work at every level.
    """

    def __init__(self, width: int = 64, depth: int = 4, normalization: str = "none", block_px: int = 1) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth + 1)]
        self.block_px = block_px
        self.stride = block_px * 2**depth
        self.down = nn.ModuleList(
            _double(before, after, normalization)
            for before, after in zip([3 * block_px**2, *channels[:-1]], channels, strict=True)
        )
        self.rise = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 2, stride=2)
            for below, above in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.up = nn.ModuleList(_double(2 * above, above, normalization) for above in channels[-2::-1])
        self.head = nn.Conv2d(width, block_px**2, 1)
        _initialise(self)

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1 H W"]:
        """Logits for RGB in [0, 1]."""
        x = F.pixel_unshuffle(_padded(rgb * 2 - 1, self.stride), self.block_px)
        skips: list[Tensor] = []
        for level, convolve in enumerate(self.down):
            x = convolve(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for rise, convolve, skip in zip(self.rise, self.up, skips[-2::-1], strict=True):
            x = convolve(torch.cat([skip, rise(x)], 1))
        return _cut(F.pixel_shuffle(self.head(x), self.block_px), rgb)


class ResNet18UNet(nn.Module):
    """The network of the published code: ResNet-18 encoder, decoder of 64, 32, 16, 16 and 8 channels.

    Nearest-neighbour enlargement by 2, 2, 2, 1 and 4, two 3x3 convolutions with ReLU each, skips by
    concatenation; the head is linear on the last 8 channels and the raw RGB.
    """

    stride = 32
    mean: Tensor
    std: Tensor
    _ENLARGE = (2, 2, 2, 1, 4)
    _CHANNELS = (64, 32, 16, 16, 8)
    _SKIPS = (256, 128, 64, 64, 0)

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ResNet18()
        before = (512, *self._CHANNELS[:-1])
        self.up = nn.ModuleList(
            _double(b + s, c, "none") for b, s, c in zip(before, self._SKIPS, self._CHANNELS, strict=True)
        )
        self.head = nn.Conv2d(self._CHANNELS[-1] + 3, 1, 1)
        _initialise(self.up)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1 H W"]:
        """Logits for RGB in [0, 1]."""
        raw = _padded(rgb, self.stride)
        *skips, x = self.encoder.levels((raw - self.mean) / self.std)  # strides 4, 4, 8, 16; 32
        for convolve, enlarge in zip(self.up, self._ENLARGE, strict=True):
            x = x if enlarge == 1 else F.interpolate(x, scale_factor=enlarge, mode="nearest")
            x = convolve(torch.cat([x, skips.pop()], 1) if skips else x)
        # The head on [x, raw], without putting them together: at full size that cost as much as a convolution.
        own, beside = self.head.weight.split([x.shape[1], raw.shape[1]], dim=1)
        logits = F.conv2d(x, own, self.head.bias) + F.conv2d(raw, beside)
        return _cut(logits, rgb)


def _double(before: int, after: int, normalization: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers.append(nn.Conv2d(channels, after, 3, padding=1, bias=normalization == "none"))
        if normalization == "batch":
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _padded(x: Tensor, stride: int) -> Tensor:
    """Edges repeated at the bottom and right up to whole strides."""
    below, right = -x.shape[-2] % stride, -x.shape[-1] % stride
    return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x


def _cut(logits: Tensor, rgb: Tensor) -> Tensor:
    """What is left of `logits` without the padding; untouched where there was none, since a cut costs a copy."""
    if logits.shape[-2:] == rgb.shape[-2:]:
        return logits
    return logits[..., : rgb.shape[-2], : rgb.shape[-1]]


def _initialise(module: nn.Module) -> None:
    """He's normal initialisation, as the U-Net paper asks; biases start at zero."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
