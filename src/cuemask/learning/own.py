"""Networks of one's own: any module from RGB in [0, 1], (N, 3, H, W), to logits, (N, 1, H, W)."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from cuemask.errors import TrainingError, WeightsError
from cuemask.recipe import Recipe


def refuse_unfit(module: object, recipe: Recipe) -> None:
    """Refuse what is no such network, by giving a copy of it two black pictures at working size.

    Raises
    ------
    TrainingError
        If it is no module, has nothing to learn, cannot be kept in a file, or gives other shapes. What the module
        itself raises is passed on.
    """
    remedy = "Give a torch.nn.Module from RGB in [0, 1], (N, 3, H, W), to logits, (N, 1, H, W)."
    if not isinstance(module, nn.Module):
        raise TrainingError(f"network: {type(module).__name__} is no torch.nn.Module.", remedy)
    name = type(module).__name__
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise TrainingError(f"network: {name} has no parameter to learn.", remedy)
    if other := [key for key, value in module.state_dict().items() if not isinstance(value, Tensor)]:
        raise TrainingError(
            f"network: {name} keeps {other[0]}, which is no tensor.", "Keep it out of the state dictionary."
        )
    height, width = recipe.input.height_px, recipe.input.width_px
    with torch.inference_mode():
        logits = copy.deepcopy(module).cpu().eval()(torch.zeros(2, 3, height, width))
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, 1, height, width):
        raise TrainingError(f"network: {name} gives {shape} for pictures of (2, 3, {height}, {width}).", remedy)


def told_of_network(module: nn.Module) -> dict[str, str | int]:
    """What a record says of it: its class, how many parameters it has, and a digest of their names and shapes."""
    state = module.state_dict()
    shapes = [f"{name} {tuple(tensor.shape)} {tensor.dtype}" for name, tensor in sorted(state.items())]
    return {
        "class": f"{type(module).__module__}.{type(module).__qualname__}",
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "sha256": hashlib.sha256("\n".join(shapes).encode()).hexdigest(),
    }


def refuse_other_network(file: Path, recipe: Recipe, own: nn.Module | None) -> None:
    """Refuse a model of one's own network where none is given, and one of ours where one is.

    Raises
    ------
    WeightsError
        With what to do.
    """
    is_own = recipe.network.architecture == "own"
    if is_own and own is None:
        raise WeightsError(
            f"{file}: the weights of a network of one's own, which cuemask cannot make.",
            "Give it in Python: cuemask.load(RUN, network=module); for commands, export it there: "
            "cuemask.export_onnx(RUN, out='model.onnx', network=module)",
        )
    if own is not None and not is_own:
        raise WeightsError(f"{file}: learnt with a network of ours; none is to be given.", "Leave network out.")
