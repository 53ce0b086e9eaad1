"""Frozen features whose region means the diffusion loss compares.

Four extractors: `texture`, a fixed bank of colour and gradient responses that needs no weights; `drawn`, inner layers
of the network that learnt from drawn scenes, which comes with cuemask; `vgg16`, relu5_3 (the paper); `resnet18`,
layer3. Each maps pictures to a coarse grid that covers the whole picture.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from cuemask.cues.shape import HEIGHT_PX, WEIGHTS, WIDTH_PX, shape_weights
from cuemask.learning.backbones import IMAGENET_MEAN, IMAGENET_STD, ResNet18, VGG16Relu53, folded, placed
from cuemask.learning.unet import UNet
from cuemask.learning.weights import RESNET18, VGG16, load_into, read_state, weights_file
from cuemask.recipe import FeaturesRecipe, Recipe

_DRAWN_LAYERS = ("down.2", "up.2", "up.3")
_DRAWN_CELL_PX = 4
_TEXTURE_INSTEAD = "use the built-in features: --set features.extractor=texture"


class Pretrained:
    """VGG16's relu5_3 or ResNet-18's layer3, both at stride 16, frozen."""

    def __init__(self, recipe: FeaturesRecipe, device: str = "cpu") -> None:
        published = VGG16 if recipe.extractor == "vgg16" else RESNET18
        self.weights = weights_file(recipe.weights, published, setting="features.weights", instead=_TEXTURE_INSTEAD)
        state = read_state(self.weights)
        self._network: torch.nn.Module = VGG16Relu53()
        if recipe.extractor == "resnet18":
            self._network, state = ResNet18(layers=3), folded(state)
        load_into(self._network, state, self.weights)
        self._network = placed(self._network.requires_grad_(False).eval(), device)
        self._normalize = recipe.normalize_pixels
        self._device = device

    @torch.inference_mode()
    def __call__(self, rgb: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "D h w"]:
        """Features of one picture."""
        x = torch.from_numpy(rgb).to(self._device).permute(2, 0, 1)[None].float() / 255
        mean, std = (torch.tensor(v, device=self._device)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
        features = self._network((x - mean) / std)[0]
        return (normalized(features) if self._normalize else features).float().cpu().numpy()


class Texture:
    """A fixed bank: soft histograms of LAB and saturation, and gradient energy at three scales.

    Every response is at least 0, so a region's mean is a histogram of what it looks like and the cosine of two
    means says how far they look alike. One cell covers `cell_px` pixels a side.
    """

    weights: Path | None = None

    def __init__(self, *, normalize: bool = False, cell_px: int = 8) -> None:
        self._normalize = normalize
        self._cell_px = cell_px

    def __call__(self, rgb: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "D h w"]:
        """Features of one picture."""
        scaled = rgb.astype(np.float32) / 255
        lab = cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)
        saturation = cv2.cvtColor(scaled, cv2.COLOR_RGB2HSV)[..., 1]
        maps = [
            *soft_bins(lab[..., 0], np.linspace(0, 100, 6)),
            *soft_bins(lab[..., 1], np.linspace(-10, 60, 8)),
            *soft_bins(lab[..., 2], np.linspace(-20, 50, 8)),
            *soft_bins(saturation, np.linspace(0, 1, 6)),
            *gradient_energy(lab[..., 0] / 100),
        ]
        size = (max(1, rgb.shape[1] // self._cell_px), max(1, rgb.shape[0] // self._cell_px))
        grid = np.stack([cv2.resize(m, size, interpolation=cv2.INTER_AREA) for m in maps])
        return normalized(torch.from_numpy(grid)).numpy() if self._normalize else grid


class Drawn:
    """Inner layers of the network behind the shape cue, which learnt to tell drawn instruments from drawn tissue.

    Layers of its way down, which know looks, and of its way up, which know shapes; each scaled to the same mean length,
    since it is their cosine that counts. One cell covers 4 x 4 of the 160 x 224 pixels that the network looks at.
    """

    weights: Path | None = None

    def __init__(self, *, normalize: bool = False, device: str = "cpu") -> None:
        net = UNet(width=16, depth=4, normalization="batch", block_px=2)
        load_into(net, {name: torch.from_numpy(values) for name, values in shape_weights().items()}, WEIGHTS)
        self._network = net.requires_grad_(False).eval().to(device)
        self._normalize = normalize
        self._device = device

    @torch.inference_mode()
    def __call__(self, rgb: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "D h w"]:
        """Features of one picture."""
        small = cv2.resize(rgb, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
        x = torch.from_numpy(small.astype(np.uint8, copy=False)).to(self._device).permute(2, 0, 1)[None].float() / 255
        _, layers = self._network.with_layers(x)
        size = (HEIGHT_PX // _DRAWN_CELL_PX, WIDTH_PX // _DRAWN_CELL_PX)
        maps = [F.interpolate(layers[name], size, mode="area")[0] for name in _DRAWN_LAYERS]
        scaled = torch.cat([m / m.square().sum(0).mean().sqrt().clamp_min(1e-6) for m in maps])
        return (normalized(scaled) if self._normalize else scaled).float().cpu().numpy()


class Unread:
    """In the place of features where no diffusion loss reads any: one zero a frame."""

    weights: Path | None = None

    def __call__(self, rgb: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "1 1 1"]:
        """A zero."""
        return np.zeros((1, 1, 1), np.float32)


Extractor = Pretrained | Texture | Drawn | Unread


def extractor_for(recipe: Recipe, device: str = "cpu") -> Extractor:
    """The extractor of a recipe's features, or none's where no diffusion loss reads them.

    Raises
    ------
    WeightsError
        As `extractor`.
    """
    return extractor(recipe.features, device) if recipe.losses.diffuses else Unread()


def extractor(recipe: FeaturesRecipe, device: str = "cpu") -> Extractor:
    """The extractor that a recipe names.

    Raises
    ------
    WeightsError
        If its weights cannot be had; the message says where they go.
    """
    if recipe.extractor == "texture":
        return Texture(normalize=recipe.normalize_pixels)
    if recipe.extractor == "drawn":
        return Drawn(normalize=recipe.normalize_pixels, device=device)
    return Pretrained(recipe, device)


def soft_bins(values: Float32[np.ndarray, "H W"], centres: Float[np.ndarray, " K"]) -> list[Float32[np.ndarray, "H W"]]:
    """Triangular memberships in equally spaced bins; they sum to 1, the outer bins take what lies beyond."""
    width = float(centres[1] - centres[0])
    clipped = np.clip(values, centres[0], centres[-1])
    return [np.maximum(0, 1 - np.abs(clipped - c) / width).astype(np.float32) for c in centres]


def gradient_energy(lightness: Float32[np.ndarray, "H W"]) -> list[Float32[np.ndarray, "H W"]]:
    """Soft bins of the gradient's length at three scales (Gaussian sigma 1, 2 and 4 px)."""
    maps: list[np.ndarray] = []
    for sigma in (1.0, 2.0, 4.0):
        blurred = cv2.GaussianBlur(lightness, (0, 0), sigma)
        length = np.hypot(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1)) * sigma
        maps += soft_bins(np.log2(1 + 16 * length).astype(np.float32), np.linspace(0, 4, 4))
    return maps


def normalized(features: Float[Tensor, "D h w"]) -> Float[Tensor, "D h w"]:
    """Each cell's vector over its length, whose square is taken as at least 1e-6 more than it is, as published."""
    return features / (features.square().sum(0) + 1e-6).sqrt()
