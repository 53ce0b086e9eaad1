"""The training step as it was published, written by us from its description: what ours is measured against.

The feature network runs on every augmented frame; its 512 channels are scaled to length 1 at each cell and
carried bicubically, corners aligned, to half the picture's size, where they meet the probability; everything is
in float32 and stored channels first. docs/deviations.md has its settings beside the paper's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from cuemask.learning.backbones import IMAGENET_MEAN, IMAGENET_STD, VGG16Relu53

ANCHOR_WEIGHTS = (1.5, 1.0)  # positive, negative
MARGINS = (0.05, 0.45)  # foreground, background; half of those on the paper's scale
DIFFUSION_WEIGHTS = (0.5, 2.0)


def random_vgg16() -> VGG16Relu53:
    """VGG16 to relu5_3, frozen, with He's random weights: as fast as the trained one, and nothing to download."""
    vgg = VGG16Relu53()
    for layer in vgg.features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return vgg.requires_grad_(False).eval()


@torch.no_grad()
def cell_features(vgg: nn.Module, rgb: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 512 h w"]:
    """relu5_3 of pictures in [0, 1], each cell's vector scaled to length 1."""
    mean, std = (rgb.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return F.normalize(vgg((rgb - mean) / std), dim=1, eps=1e-6)


def published_loss(
    logits: Float[Tensor, "N 1 H W"],
    positive: Float[Tensor, "N 1 H W"],
    negative: Float[Tensor, "N 1 H W"],
    features: Float[Tensor, "N 512 h w"],
) -> Float[Tensor, ""]:
    """Anchor and diffusion losses of P pairs: all first frames, then all second ones; averaged over the pairs.

    Parameters
    ----------
    features
        Of the very pictures that the network saw, as `cell_features` gives them.
    """
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    anchor = (-ANCHOR_WEIGHTS[0] * positive * log_p - ANCHOR_WEIGHTS[1] * negative * log_not_p).mean()
    half = (logits.shape[-2] // 2, logits.shape[-1] // 2)
    p = F.interpolate(torch.sigmoid(logits), half, mode="bicubic", align_corners=True)
    carried = F.interpolate(features, half, mode="bicubic", align_corners=True)  # N 512 H/2 W/2
    foreground, background = weighted_mean(p, carried), weighted_mean(1 - p, carried)
    pairs = len(logits) // 2
    within = [F.cosine_similarity(foreground[k], background[k]) for k in (slice(pairs), slice(pairs, None))]
    loss = 2 * anchor  # of both frames of a pair, summed
    for region, margin, weight in zip((foreground, background), MARGINS, DIFFUSION_WEIGHTS, strict=True):
        between = F.cosine_similarity(region[:pairs], region[pairs:])
        loss = loss + weight * F.relu(margin - (between - within[0] / 2 - within[1] / 2)).mean()
    return loss


def weighted_mean(weights: Float[Tensor, "N 1 H W"], features: Float[Tensor, "N D H W"]) -> Float[Tensor, "N D"]:
    """Features averaged over the picture with these weights."""
    return (weights * features).sum((-1, -2)) / (weights.sum((-1, -2)) + 1e-10)


def published_step(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    rgb: Float[Tensor, "N 3 H W"],
    positive: Float[Tensor, "N 1 H W"],
    negative: Float[Tensor, "N 1 H W"],
    features: Float[Tensor, "N 512 h w"],
) -> None:
    """One step of the optimiser on one batch."""
    loss = published_loss(net(rgb), positive, negative, features)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
