"""A running average of a network's weights: steadier than the network that each step leaves."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def move_average(average: nn.Module, net: nn.Module, kept: float, step: int) -> None:
    """Move weights and running statistics of `average` a little towards those of `net`.

    Parameters
    ----------
    kept
        Share of itself that the average keeps; less in the first steps, so that it forgets where `net` started.
    step
        How many steps `net` has taken before the present one.
    """
    kept = min(kept, (step + 1) / (step + 10))
    pairs = list(zip(average.state_dict().values(), net.state_dict().values(), strict=True))
    floating = [pair for pair in pairs if pair[0].is_floating_point()]
    # All at once: a GPU takes longer to be told of a small network's weights one by one than to move them.
    lerp = torch._foreach_lerp_  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
    lerp([slow for slow, _ in floating], [fast for _, fast in floating], 1 - kept)
    for slow, fast in pairs:
        if not slow.is_floating_point():
            slow.copy_(fast)
