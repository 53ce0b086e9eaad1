"""Class-specific anchors, which the paper names as future work: several kinds of instruments, told apart.

Of a frame's positive anchor a_pos each class c has the part a_c that lies in its instruments' regions; what lies in
none is a_u, of an instrument whose class is not known. The negative anchor of a class is n_c = a_neg + sum over the
other classes of a_k. The network gives a background logit and C more; p is their softmax, p_0 the background's. Then

    L_anc = 1 / HW sum_i [ sum_c (-a_c p_c - n_c (1 - p_c)) - a_u (1 - p_0) ]

is equation 1 for each class, and for what is only known to be an instrument. With one class and no a_u it is that.
Equations 3 and 4 take the region means of p_c and 1 - p_c of each class that both frames' anchors know, averaged over
these classes; of pairs that share none, those of all instruments, 1 - p_0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from cuemask.learning.losses import Regions, pair_diffusion

_LEAST_KNOWN = 5e-4  # mean over a frame of a class's anchor, from which on the frame is known to show that class


def class_anchor_loss(
    logits: Float[Tensor, "N K *S"],
    positive: Float[Tensor, "N K *S"],
    negative: Float[Tensor, "N 1 *S"],
    *,
    form: Literal["linear", "log"] = "linear",
    positive_weight: float = 1.0,
    negative_weight: float = 1.0,
) -> Float[Tensor, ""]:
    """Equation 1 for each class, summed over the classes, mean over pixels.

    Parameters
    ----------
    logits
        Before the softmax: the background's, then one a class.
    positive
        Anchors in [0, 1] of each class, and of instruments whose class is not known.
    negative
        The background's anchor.
    form
        As in `losses.anchor_loss`.
    """
    own, unknown = positive[:, :-1], positive[:, -1:]
    others = negative_weight * (own.sum(1, keepdim=True) - own + negative)
    log_p = torch.log_softmax(logits, 1)
    if form == "linear":
        p = log_p.exp()
        is_class, is_other, is_any = p[:, 1:], 1 - p[:, 1:], 1 - p[:, :1]
    else:
        log_not = _log_not(log_p)
        is_class, is_other, is_any = log_p[:, 1:], log_not[:, 1:], log_not[:, :1]
    reward = (positive_weight * own * is_class + others * is_other).sum(1, keepdim=True)
    return -(reward + positive_weight * unknown * is_any).mean()


def class_regions(logits: Float[Tensor, "N K H W"]) -> Float[Tensor, "N K H W"]:
    """The probability of each class, and at last that of all instruments together."""
    p = torch.softmax(logits, 1)
    return torch.cat([p[:, 1:], 1 - p[:, :1]], 1)


def class_shares(positive: Float[Tensor, "N K H W"]) -> Float[Tensor, "P K"]:
    """How much each class, and at last all instruments together, count in the diffusion losses of a pair; sum 1.

    Parameters
    ----------
    positive
        Of P first frames and then P second ones, as `class_anchor_loss` takes it.
    """
    is_known = positive[:, :-1].mean((-1, -2)) >= _LEAST_KNOWN
    half = len(positive) // 2
    in_both = (is_known[:half] & is_known[half:]).to(positive.dtype)
    count = in_both.sum(1, keepdim=True)
    return torch.cat([in_both / count.clamp_min(1), (count == 0).to(positive.dtype)], 1)


def class_diffusion(
    regions: Sequence[tuple[Regions, Regions]],
    shares: Float[Tensor, "P K"],
    *,
    of: Literal["foreground", "background"],
    margin: float,
) -> Float[Tensor, ""]:
    """Equation 3 (foreground) or 4 (background) of each class, weighted by `shares`, averaged over the pairs.

    Parameters
    ----------
    regions
        Of each class, and of all instruments, the region means of the first frames and of the second ones.
    """
    losses = torch.stack([pair_diffusion(now, then, of=of, margin=margin) for now, then in regions], 1)
    return (shares * losses).sum(1).mean()


def class_anchors(kept: Float32[np.ndarray, "R H W"], classes: int) -> Float32[np.ndarray, "A_1 H W"]:
    """The anchors of a frame as training wants them: positive ones, and at last the negative one.

    Parameters
    ----------
    kept
        Positive and negative anchor; with several classes also the class of each pixel, 0 where it is not known.
    classes
        How many there are.
    """
    if classes == 1:
        return kept
    positive, negative, code = kept
    known = [positive * (code == number) for number in (*range(1, classes + 1), 0)]
    return np.stack([*known, negative])


def for_classes(state: Mapping[str, Tensor], classes: int) -> dict[str, Tensor]:
    """The weights of a network of one class for one of several: each class begins as a C-th of what was instrument.

    The background's logit begins as 0, each class's as that of instrument less log C, so that 1 - p_0 is what the
    probability of an instrument was.
    """
    if classes == 1:
        return dict(state)
    weight, bias = state["head.weight"], state["head.bias"]
    return {
        **state,
        "head.weight": torch.cat([torch.zeros_like(weight), *[weight] * classes]),
        "head.bias": torch.cat([torch.zeros_like(bias), *[bias - float(np.log(classes))] * classes]),
    }


def _log_not(log_p: Float[Tensor, "N K *S"]) -> Float[Tensor, "N K *S"]:
    """log(1 - p) of each channel: of the others' sum, since 1 - p loses its digits where p is near 1."""
    channels = log_p.unbind(1)
    others = [torch.stack([*channels[:c], *channels[c + 1 :]], 1) for c in range(len(channels))]
    return torch.stack([torch.logsumexp(other, 1) for other in others], 1)
