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
    for slow, fast in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if slow.is_floating_point():
            slow.lerp_(fast, 1 - kept)
        else:
            slow.copy_(fast)
