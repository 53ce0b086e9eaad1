"""The segmentation networks: the vanilla U-Net, and the ResNet-18 U-Net of the published code.

Both take RGB in [0, 1] of any size and give logits of the same size; padding to whole strides happens inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from cuemask.errors import WeightsError
from cuemask.learning.backbones import IMAGENET_MEAN, IMAGENET_STD, Normalization, ResNet18
from cuemask.recipe import NetworkRecipe


def network(recipe: NetworkRecipe) -> UNet | ResNet18UNet:
    """The network that a recipe describes, with untrained weights drawn from torch's generator.

    Raises
    ------
    WeightsError
        If that is one of somebody's own, which no recipe can describe.
    """
    if recipe.architecture == "own":
        raise WeightsError(
            "a network of one's own is wanted (network.architecture = own), and none is given.",
            "Give the module in Python: cuemask.segment(..., network=module)",
        )
    if recipe.architecture == "resnet18_unet":
        return ResNet18UNet(recipe.normalization, recipe.skips, recipe.outputs)
    return UNet(
        recipe.width,
        recipe.depth,
        recipe.normalization,
        recipe.block_px,
        scaling=recipe.scaling,
        dropout=recipe.dropout,
        mirror_px=recipe.mirror_px,
        outputs=recipe.outputs,
    )


class UNet(nn.Module):
    """Ronneberger, Fischer, Brox (2015), with convolutions that are padded, so that every pixel has a logit.

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
    scaling
        What the first convolution gets: `signed`, RGB in [-1, 1], or `imagenet`, normalised by ImageNet's mean and
        deviation.
    dropout
        Share of the channels' values set to 0 in training at the end of the contracting path, its two lowest levels
        (0.5 in the original's published code).
    mirror_px
        The picture is continued by its mirror image by so many pixels on each side, and the logits cut back. With 96
        at depth 4 no padded zero reaches a logit: the original's unpadded convolutions with its overlap-tile strategy.
    outputs
        Logits a pixel: 1, or K for a softmax.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        width: int = 64,
        depth: int = 4,
        normalization: Normalization = "none",
        block_px: int = 1,
        *,
        scaling: Literal["signed", "imagenet"] = "signed",
        dropout: float = 0.0,
        mirror_px: int = 0,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth + 1)]
        self.block_px = block_px
        self.dropout = dropout
        self.mirror_px = mirror_px
        self.stride = block_px * 2**depth
        self.unshuffle: nn.Module = nn.PixelUnshuffle(block_px)
        self.down = nn.ModuleList(
            _double(before, after, normalization)
            for before, after in zip([3 * block_px**2, *channels[:-1]], channels, strict=True)
        )
        self.rise = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 2, stride=2)
            for below, above in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.up = nn.ModuleList(_double(2 * above, above, normalization) for above in channels[-2::-1])
        self.head = nn.Conv2d(width, outputs * block_px**2, 1)
        _initialise(self)
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if scaling == "imagenet" else ((0.5,) * 3, (0.5,) * 3)
        _add_normalisation(self, mean, std)

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K H W"]:
        """Logits for RGB in [0, 1]."""
        return self.with_layers(rgb)[0]

    def with_layers(self, rgb: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B K H W"], dict[str, Tensor]]:
        """Logits, and what each level gives on the way down and up: `down.0` to `down.<depth>`, `up.0` onwards."""
        mirrored = F.pad(rgb, (self.mirror_px,) * 4, mode="reflect") if self.mirror_px else rgb
        x = self.unshuffle(_padded((mirrored - self.mean) / self.std, self.stride))
        skips: list[Tensor] = []
        for level, convolve in enumerate(self.down):
            x = convolve(x if level == 0 else F.max_pool2d(x, 2))
            if self.dropout and level >= len(self.down) - 2:
                x = F.dropout(x, self.dropout, self.training)
            skips.append(x)
        layers = {f"down.{level}": skip for level, skip in enumerate(skips)}
        for level, (rise, convolve, skip) in enumerate(zip(self.rise, self.up, skips[-2::-1], strict=True)):
            x = layers[f"up.{level}"] = convolve(torch.cat([skip, rise(x)], 1))
        return _cut(F.pixel_shuffle(self.head(x), self.block_px), rgb, self.mirror_px), layers


class ResNet18UNet(nn.Module):
    """The network of the published code: ResNet-18 encoder, decoder of 64, 32, 16, 16 and 8 channels.

    Each block enlarges by 2, 2, 2, 1 and 4 (nearest neighbour) and convolves twice (3x3, ReLU); then a skip is put
    beside what it gives: the encoder's stages 3, 2 and 1, its stem, and at last the normalised picture, on which, and
    on the last 8 channels, the head is linear.

    Parameters
    ----------
    normalization
        Of the encoder: `batch`, trained on as published, or `none`, folded into its convolutions.
    skips
        `after` the convolutions of a block, as published; `before` them, and the raw picture at last, as in cuemask's
        models before this could be chosen.
    outputs
        Logits a pixel: 1, or K for a softmax.
    """

    stride = 32
    mean: Tensor
    std: Tensor
    _ENLARGE = (2, 2, 2, 1, 4)
    _CHANNELS = (64, 32, 16, 16, 8)
    _SKIPS = (256, 128, 64, 64, 0)

    def __init__(
        self,
        normalization: Normalization = "batch",
        skips: Literal["before", "after"] = "after",
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.encoder = ResNet18(normalization=normalization)
        self.skips = skips
        given = (512, *self._CHANNELS[:-1])
        beside = self._SKIPS if skips == "before" else (0, *self._SKIPS[:-1])
        self.up = nn.ModuleList(
            _double(g + b, c, "none") for g, b, c in zip(given, beside, self._CHANNELS, strict=True)
        )
        self.head = nn.Conv2d(self._CHANNELS[-1] + 3, outputs, 1)
        if skips == "before":
            _initialise(self.up)  # as published, the decoder starts from PyTorch's own initialisation
        _add_normalisation(self, IMAGENET_MEAN, IMAGENET_STD)

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K H W"]:
        """Logits for RGB in [0, 1]."""
        raw = _padded(rgb, self.stride)
        picture = (raw - self.mean) / self.std
        *skips, x = self.encoder.levels(picture)  # strides 4, 4, 8, 16; 32
        for convolve, enlarge in zip(self.up, self._ENLARGE, strict=True):
            if self.training and self.skips == "after" and enlarge > 1:
                first, *others = convolve  # pyright: ignore[reportGeneralTypeIssues]
                x = _joined(_in_turn(others, enlarged_convolution(x, first, enlarge)), skips)
                continue
            x = x if enlarge == 1 else F.interpolate(x, scale_factor=enlarge, mode="nearest")
            x = _joined(convolve(x), skips) if self.skips == "after" else convolve(_joined(x, skips))
        # The head on [x, beside], without putting them together: at full size that cost as much as a convolution.
        beside = picture if self.skips == "after" else raw
        own, other = self.head.weight.split([x.shape[1], beside.shape[1]], dim=1)
        logits = F.conv2d(x, own, self.head.bias) + F.conv2d(beside, other)
        return _cut(logits, rgb)


def enlarged_convolution(x: Float[Tensor, "B C H W"], convolution: nn.Conv2d, times: int) -> Float[Tensor, "B K H2 W2"]:
    """A padded 3x3 convolution of `x` enlarged so many times by nearest neighbour, without enlarging it.

    Of each enlarged pixel, the nine neighbours lie in four small pixels at most: which, follows from its place in its
    own small pixel. So each such place has a 3x3 convolution of its own on the small `x`, whose weights are sums of the
    given ones. As many products, but `x` is read, and its gradient summed, at its own size: a step takes a sixth less.
    """
    place = torch.arange(times, device=x.device)[:, None] + torch.arange(-1, 2, device=x.device)
    in_pixel = torch.div(place, times, rounding_mode="floor")[..., None] == torch.arange(-1, 2, device=x.device)
    share = in_pixel.to(convolution.weight.dtype)  # place, tap, tap of the small convolution
    with torch.autocast(x.device.type, enabled=False):  # which would round what is summed
        weight = torch.einsum("pya,qxb,kcyx->pqkcab", share, share, convolution.weight).flatten(0, 2)
    bias = None if convolution.bias is None else convolution.bias.repeat(times**2)
    weight = weight.contiguous(memory_format=torch.channels_last)
    places = F.conv2d(x, weight, bias, padding=1).permute(0, 2, 3, 1)  # B H W (p q k)
    batch, height, width, _ = places.shape
    channels = convolution.out_channels
    apart = places.reshape(batch, height, width, times, times, channels).permute(0, 1, 3, 2, 4, 5)
    return apart.reshape(batch, height * times, width * times, channels).permute(0, 3, 1, 2)


def _in_turn(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def _double(before: int, after: int, normalization: Normalization) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers.append(nn.Conv2d(channels, after, 3, padding=1, bias=normalization == "none"))
        if normalization == "batch":
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _joined(x: Tensor, skips: list[Tensor]) -> Tensor:
    """`x` with the last of `skips` beside it, which is taken off the list; `x` itself where none is left."""
    return torch.cat([x, skips.pop()], 1) if skips else x


def _padded(x: Tensor, stride: int) -> Tensor:
    """Edges repeated at the bottom and right up to whole strides."""
    below, right = -x.shape[-2] % stride, -x.shape[-1] % stride
    return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x


def _cut(logits: Tensor, rgb: Tensor, margin_px: int = 0) -> Tensor:
    """What is left of `logits` without what was added to `rgb`; untouched where nothing was: a cut costs a copy."""
    if logits.shape[-2:] == rgb.shape[-2:]:
        return logits
    height, width = rgb.shape[-2:]
    return logits[..., margin_px : margin_px + height, margin_px : margin_px + width]


def _add_normalisation(module: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """`module.mean` and `module.std`, of RGB in [0, 1]."""
    for name, values in (("mean", mean), ("std", std)):
        module.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)


def _initialise(module: nn.Module) -> None:
    """He's normal initialisation, as the U-Net paper asks; biases start at zero."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            if layer.weight.is_meta:  # sizes alone; drawing nothing would load torch's compiler, which takes seconds
                continue
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
