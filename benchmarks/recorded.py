"""Training steps on a GPU as recordings: a step's hundreds of kernels are launched by one call.

A step of a small network takes the processor longer to launch than the GPU to do, above all while other threads make
the next batches. CUDA graphs (https://docs.nvidia.com/cuda/cuda-programming-guide/04-special-topics/cuda-graphs.html)
launch all of it at once. What it would give is measured here; learning itself does not do it yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from cuemask.learning.training import Batch, Losses, adam, checked, moved, unchecked_step
from cuemask.recipe import Recipe

B = TypeVar("B", bound=tuple[Tensor, ...])
_FIRST_STEPS = 3  # done one kernel after another: libraries choose their ways and take their memory in them


class _Recorded(NamedTuple):
    graph: torch.cuda.CUDAGraph
    batch: tuple[Tensor, ...]
    result: tuple[Tensor, ...]


class RecordedSteps(Generic[B]):
    """A step on batches of one shape, recorded after its first ones and replayed from then on.

    Parameters
    ----------
    step
        Forward, backward and the optimiser's step, given a batch: it must not ask the device for a value, and all that
        changes from step to step must lie in tensors that stay where they are. What it gives is read before the next.
    """

    def __init__(self, step: Callable[[B], tuple[Tensor, ...]]) -> None:
        self._step = step
        self._done = 0
        self._aside = torch.cuda.Stream()
        self._recorded: _Recorded | None = None

    def __call__(self, batch: B) -> tuple[Tensor, ...]:
        """Take one step; what `step` gives of it."""
        if self._recorded is None and self._done < _FIRST_STEPS:
            self._done += 1
            self._aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._aside):
                result = self._step(batch)
            torch.cuda.current_stream().wait_stream(self._aside)
            return result
        if self._recorded is None:
            self._recorded = self._record(batch)
        for kept, given in zip(self._recorded.batch, batch, strict=True):
            kept.copy_(given)
        self._recorded.graph.replay()
        return self._recorded.result

    def _record(self, batch: B) -> _Recorded:
        graph = torch.cuda.CUDAGraph()
        kept = type(batch)(*(tensor.clone() for tensor in batch))
        # Others' threads go on taking memory of their own meanwhile: pages that do not move, for the next batches.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = self._step(kept)
        return _Recorded(graph, tuple(kept), tuple(result))


def moved_ahead(batches: Iterable[B], move: Callable[[B], B]) -> Iterator[B]:
    """Batches on the device, each sent there while the device is busy with the one before it.

    Parameters
    ----------
    move
        Sends a batch; it should not wait for it.
    """
    aside = torch.cuda.Stream()
    before: tuple[B, torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(aside):
            sent = move(batch)
            arrived = torch.cuda.Event()
            arrived.record(aside)
        if before is not None:
            yield _awaited(*before)
        before = sent, arrived
    if before is not None:
        yield _awaited(*before)


def _awaited(batch: B, arrived: torch.cuda.Event) -> B:
    now = torch.cuda.current_stream()
    now.wait_event(arrived)
    for tensor in batch:
        tensor.record_stream(now)  # its memory is not given away while this stream reads it
    return batch


class Steps:
    """Steps of one network on a GPU, as `training_step` takes them, replayed from the fourth on."""

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        self._net, self._recipe = net, recipe
        self._optimiser = adam(net, recipe)
        for group in self._optimiser.param_groups:
            group["capturable"] = True
            group["lr"] = torch.tensor(float(group["lr"]), device="cuda")  # where a replayed step reads it
        self._recorded = RecordedSteps(self._step)

    def __call__(self, batch: Batch) -> Losses:
        """One step; its losses are read before the next."""
        return checked(Losses(*self._recorded(batch)), self._recipe)

    def _step(self, batch: Batch) -> Losses:
        """A step whose losses hold nothing of what led to them: it would be bound to the stream of the first steps."""
        return Losses(*(term.detach() for term in unchecked_step(self._net, self._optimiser, batch, self._recipe)))


def ready(made: Iterable[Batch]) -> Iterator[Batch]:
    """Batches on the GPU, each sent while the one before it is learnt from."""
    return moved_ahead(made, lambda batch: moved(batch, "cuda"))
