"""The paper's losses, equations 1 to 5, as pure functions, with the published code's forms as options.

Names follow the paper: p probability, a_pos and a_neg anchors, F features, f_fg and f_bg their region means,
phi the cosine similarity. Margins and weights are on the paper's scale; the published code's are half of it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["Regions", "anchor_loss", "diffusion_loss", "region_means", "similarity"]


class Regions(NamedTuple):
    """Features averaged over predicted instrument and background, f_fg and f_bg (eq. 2)."""

    foreground: Float[Tensor, "B D"]
    background: Float[Tensor, "B D"]


def anchor_loss(
    logits: Float[Tensor, "*B"],
    positive: Float[Tensor, "*B"],
    negative: Float[Tensor, "*B"],
    *,
    form: Literal["linear", "log"] = "linear",
    positive_weight: float = 1.0,
    negative_weight: float = 1.0,
) -> Float[Tensor, ""]:
    """Push p up on positive anchors and down on negative ones; pixels outside both get no gradient.

    `linear` is equation 1, mean over pixels of -a_pos p - a_neg (1 - p); `log` takes log p and log(1 - p)
    in their place, negated, as the published code does.

    Parameters
    ----------
    logits
        Network output before the sigmoid.
    positive, negative
        Anchors in [0, 1], or ground truth and its complement.

    Returns
    -------
    A scalar; `linear` lies in [-1, 0] at weights of 1, `log` is 0 or more.

    Examples
    --------
    >>> import cuemask, torch
    >>> logits = torch.zeros(1, 1, 4, 6, requires_grad=True)
    >>> positive = torch.ones(1, 1, 4, 6)
    >>> loss = cuemask.losses.anchor_loss(logits, positive, 1 - positive)
    >>> loss.backward()
    >>> loss.item(), bool((logits.grad < 0).all())
    (-0.5, True)
    """
    if form == "linear":
        p = torch.sigmoid(logits)
        reward = positive_weight * positive * p + negative_weight * negative * (1 - p)
    else:
        # log(1 - p) is log p - z, so one logarithm a pixel does for both.
        weighted = negative_weight * negative
        reward = (positive_weight * positive + weighted) * F.logsigmoid(logits) - weighted * logits
    return -reward.mean()


def region_means(
    p_grid: Float[Tensor, "B h w"], whole_grid: Float[Tensor, "B h w"], features: Float[Tensor, "B D h w"]
) -> Regions:
    """Feature means over instrument and background (eq. 2), from maps already carried to the feature grid.

    Means, not sums: the cosine is the same and half precision does not overflow. A region without any weight
    gives a zero vector and no gradient into it.

    Parameters
    ----------
    p_grid
        Probability carried down to the grid (`resampling.carry_down`).
    whole_grid
        A map of ones carried down in the same way; the background's share is the difference.
    features
        Frozen features on their own grid.

    Examples
    --------
    >>> import cuemask, torch
    >>> p, whole = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    >>> p[0, 0] = 1  # the upper row is instrument
    >>> features = torch.tensor([[[[1.0, 1.0], [3.0, 5.0]]]])
    >>> cuemask.losses.region_means(p, whole, features)
    Regions(foreground=tensor([[1.]]), background=tensor([[4.]]))
    """
    background_grid = whole_grid - p_grid
    return Regions(_mean(p_grid, features), _mean(background_grid, features))


def similarity(f: Float[Tensor, "B D"], g: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    """Cosine similarity phi(f, g), -1 to 1; 0, with a zero gradient, where either vector is empty.

    Examples
    --------
    >>> import cuemask, torch
    >>> cuemask.losses.similarity(torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([1.])
    """
    length = (f.square().sum(-1) * g.square().sum(-1)).clamp_min(_EMPTY**4).sqrt()
    return torch.where(length > 2 * _EMPTY**2, (f * g).sum(-1) / length, torch.zeros_like(length))


def diffusion_loss(
    now: Regions, then: Regions, *, of: Literal["foreground", "background"], margin: float
) -> Float[Tensor, ""]:
    """The semantic diffusion loss in quadruplet form, equation 3 (foreground) or 4 (background).

    max(phi(f_fg, f_bg) in one frame + the same in the other - 2 phi(f, f between frames) + margin, 0),
    averaged over the pairs.

    Parameters
    ----------
    now, then
        Region means of the two frames of each pair.
    of
        Which region's likeness between the frames is compared with that of the two regions within a frame.
    margin
        0.2 and 0.8 in the paper.

    Returns
    -------
    A scalar, 0 or more.

    Examples
    --------
    >>> import cuemask, torch
    >>> apart = cuemask.losses.Regions(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    >>> cuemask.losses.diffusion_loss(apart, apart, of="foreground", margin=0.2).item()  # as it should be
    0.0
    """
    return pair_diffusion(now, then, of=of, margin=margin).mean()


def pair_diffusion(
    now: Regions, then: Regions, *, of: Literal["foreground", "background"], margin: float
) -> Float[Tensor, " B"]:
    """`diffusion_loss` of each pair."""
    within = similarity(*now) + similarity(*then)
    between = similarity(getattr(now, of), getattr(then, of))
    return F.relu(within - 2 * between + margin)


_EMPTY = 1e-6  # total weight, or vector length, below which a region counts as empty


def _mean(weights: Tensor, features: Tensor) -> Tensor:
    total = weights.sum((-1, -2))[:, None]  # B 1
    summed = torch.einsum("bhw,bdhw->bd", weights, features)
    return torch.where(total > _EMPTY, summed / total.clamp_min(_EMPTY), torch.zeros_like(summed))
