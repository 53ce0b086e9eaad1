"""Learning on several processes: each takes some of a step's pairs, and all take the same step.

`torchrun` starts the processes, or the worker of a study (`studies.learners`). The first does all that a run does; the
others wait until there is something to learn, and help with the steps. What a step's pairs are, and how each is cut and
coloured, follows from seed and step alone, so that any number of processes learns the same, within rounding.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from jaxtyping import Float
from torch import Tensor, nn

from cuemask.errors import TrainingError
from cuemask.recipe import Recipe

_PATIENCE = timedelta(days=30)  # the others wait while the first looks at a hospital's archive


@dataclass(frozen=True)
class World:
    """One of so many processes.

    Attributes
    ----------
    rank
        Its number, from 0.
    size
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def beside(self) -> int:
        """How many of the processes share this one's machine, itself among them."""
        return int(os.environ["LOCAL_WORLD_SIZE"]) if self.size > 1 else 1

    def places(self, count: int) -> range:
        """Which of `count` pairs of a step are this process's."""
        return range(self.rank, count, self.size)

    def tell(self, value: Any) -> Any:
        """What the first process says, in all of them; what the others say does not count."""
        if self.size == 1:
            return value
        said = [value]
        torch.distributed.broadcast_object_list(said, 0)
        return said[0]

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            torch.distributed.barrier()

    def sum(self, values: Float[Tensor, ...]) -> Float[Tensor, ...]:
        """The sum over all processes."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def sum_gradients(self, net: nn.Module) -> None:
        """Give all processes the sum of their gradients."""
        if self.size == 1:
            return
        gradients = [value.grad for value in net.parameters() if value.grad is not None]
        total = self.sum(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, summed in zip(gradients, total.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view(gradient.shape))


ALONE = World()


@contextmanager
def together(device: str) -> Generator[World, None, None]:
    """The processes that torchrun started; outside torchrun this process is alone.

    Parameters
    ----------
    device
        `cpu` or `cuda`; with `cuda` each process takes a GPU of its machine, by its number there.
    """
    if not torch.distributed.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield World(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()


def shared(net: nn.Module, recipe: Recipe, world: World) -> nn.Module:
    """The network as several processes may learn it.

    Raises
    ------
    TrainingError
        If what is learnt would not be the same as in one process.
    """
    if world.size == 1:
        return net
    pairs = recipe.training.pairs_per_step
    if pairs < world.size:
        raise TrainingError(
            f"{world.size} processes have {pairs} pairs a step between them.",
            f"Start {pairs} at most, or give more pairs: --set training.pairs_per_step={world.size}",
        )
    if recipe.network.classes > 1:
        raise TrainingError("several classes are learnt in one process only.", "Run it without torchrun.")
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, SharedBatchNorm(child, world))
    return net


class SharedBatchNorm(nn.BatchNorm2d):
    """A batch norm over the pictures of all processes; its weights are those of `norm`.

    PyTorch has one for GPUs alone.
    """

    def __init__(self, norm: nn.BatchNorm2d, world: World) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.world = world
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """The batch of all processes, each channel at mean 0 and deviation 1, then scaled and shifted."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        count = self.world.sum(torch.tensor(float(values.numel() / self.num_features), device=input.device))
        mean = _Sum.apply(values.sum((0, 2, 3)), self.world) / count
        centred = values - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum((0, 2, 3)), self.world) / count
        self._note(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _note(self, mean: Float[Tensor, " C"], variance: Float[Tensor, " C"]) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class _Sum(torch.autograd.Function):
    """The sum over all processes, through which gradients pass."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, world: World) -> Tensor:
        ctx.world = world
        return world.sum(values.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.world.sum(gradients[0].clone()), None
