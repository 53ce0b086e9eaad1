"""What was published, written by us from its description: what ours is measured against and held to.

The training step: the feature network runs on every augmented frame; its 512 channels are scaled to length 1 at each
cell and carried bicubically, corners aligned, to half the picture's size, where they meet the probability; everything
is in float32 and stored channels first. The network, one operation after the other, from a dictionary of its weights.
What is done to anchors and probabilities. docs/deviations.md has the settings beside the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    features = vgg((rgb - mean) / std)
    return features / torch.sqrt((features**2).sum(1, keepdim=True) + 1e-6)


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


def published_logits(
    weights: Mapping[str, Tensor], rgb: Float[Tensor, "N 3 H W"], *, trains: bool
) -> Float[Tensor, "N 1 H W"]:
    """The network of the published code for pictures whose sides are multiples of 32.

    An ImageNet ResNet-18, with `trains` by the batch's own means and deviations, else by the running ones. Its stem,
    pooled, and its first three stages are kept. Five times: enlarged to the nearest neighbour by 2, 2, 2, 1 and 4; two
    3x3 convolutions with ReLU; beside what comes out stage 3, 2, 1, the stem, the normalised picture. A linear head.

    Parameters
    ----------
    weights
        By the names of `cuemask.learning.unet.ResNet18UNet`.
    """

    def norm(name: str, x: Tensor) -> Tensor:
        running = (weights[f"encoder.{name}.running_{k}"].clone() for k in ("mean", "var"))
        weight, bias = weights[f"encoder.{name}.weight"], weights[f"encoder.{name}.bias"]
        return F.batch_norm(x, *running, weight, bias, training=trains)

    def convolved(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = weights[f"{name}.weight"]
        return F.conv2d(x, weight, weights.get(f"{name}.bias"), stride, weight.shape[-1] // 2)

    mean, std = (rgb.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    picture = (rgb - mean) / std
    x = F.max_pool2d(F.relu(norm("bn1", convolved("encoder.conv1", picture, 2))), 3, 2, 1)
    skips = [x]
    for stage, first_stride in enumerate((1, 2, 2, 2), 1):
        for block, stride in enumerate((first_stride, 1)):
            name = f"layer{stage}.{block}"
            y = F.relu(norm(f"{name}.bn1", convolved(f"encoder.{name}.conv1", x, stride)))
            y = norm(f"{name}.bn2", convolved(f"encoder.{name}.conv2", y))
            if stride == 2:
                x = norm(f"{name}.downsample.1", convolved(f"encoder.{name}.downsample.0", x, 2))
            x = F.relu(y + x)
        skips.append(x)
    stem, stage1, stage2, stage3, x = skips
    for block, (enlarge, skip) in enumerate(zip((2, 2, 2, 1, 4), (stage3, stage2, stage1, stem, picture), strict=True)):
        x = F.interpolate(x, scale_factor=enlarge, mode="nearest")
        x = F.relu(convolved(f"up.{block}.0", x))
        x = F.relu(convolved(f"up.{block}.2", x))
        x = torch.cat([x, skip], 1)
    head, bias = weights["head.weight"][0, :, 0, 0], weights["head.bias"]
    return (x * head[:, None, None]).sum(1, keepdim=True) + bias


def published_step(
    net: Callable[[Tensor], Tensor],
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
