"""A trained model as one file: weights in safetensors, its recipe in the file's metadata."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from cuemask import __version__
from cuemask.errors import CuemaskError, WeightsError
from cuemask.inference.ours import not_ours, recipe_in
from cuemask.inference.replaying import Replayed
from cuemask.learning.backbones import placed
from cuemask.learning.own import refuse_other_network
from cuemask.learning.training import autocast
from cuemask.learning.unet import network
from cuemask.learning.weights import load_into, refuse_misfits
from cuemask.media.files import write_bytes
from cuemask.recipe import Recipe, recipe_as_mapping

FILE = "model.safetensors"


@dataclass(frozen=True)
class Model:
    """A trained network with the recipe that it was trained and is to be used by."""

    network: nn.Module
    recipe: Recipe
    device: str
    one_core: bool = False
    _replayed: dict[str, Replayed] = field(default_factory=dict, init=False, repr=False, compare=False)

    @torch.inference_mode()
    def working_probability(self, pictures: UInt8[np.ndarray, "N h w 3"]) -> Float32[np.ndarray, "N h w"]:
        """Instrument probability in [0, 1] of pictures at working size."""
        return self._done(self._probability, pictures)

    @torch.inference_mode()
    def working_classes(self, pictures: UInt8[np.ndarray, "N h w 3"]) -> Float32[np.ndarray, "N C h w"]:
        """As `prediction.ClassPredictor` has it."""
        return self._done(self._classes, pictures)

    def _done(self, work: Callable[[Tensor], Tensor], pictures: UInt8[np.ndarray, "N h w 3"]) -> np.ndarray:
        given = torch.from_numpy(pictures)
        if self.device == "cpu" or self.recipe.network.architecture == "own":  # which may do what cannot be recorded
            return work(given.to(self.device)).cpu().numpy()
        replayed = self._replayed.setdefault(work.__name__, Replayed(work))
        return replayed(given, self.device).numpy()

    def _probability(self, pictures: UInt8[Tensor, "N h w 3"]) -> Float[Tensor, "N h w"]:
        logits = self._logits(pictures)
        return torch.sigmoid(logits)[:, 0] if logits.shape[1] == 1 else 1 - torch.softmax(logits, 1)[:, 0]

    def _classes(self, pictures: UInt8[Tensor, "N h w 3"]) -> Float[Tensor, "N C h w"]:
        return torch.softmax(self._logits(pictures), 1)[:, 1:]

    def _logits(self, pictures: UInt8[Tensor, "N h w 3"]) -> Float[Tensor, "N K h w"]:
        rgb = pictures.permute(0, 3, 1, 2).float() / 255
        with autocast(self.recipe, self.device):
            logits = self.network(rgb.contiguous(memory_format=torch.channels_last))
        return logits.float()


def save_model(net: nn.Module, recipe: Recipe, path: Path) -> None:
    """Write weights and recipe to `path`, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    metadata = {"cuemask": __version__, "recipe": json.dumps(recipe_as_mapping(recipe))}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    if recipe.network.architecture == "own":  # safetensors refuses weights that share memory
        weights = {name: tensor.clone() for name, tensor in weights.items()}
    write_bytes(path, _ordered(save(weights, metadata)))  # written by us, a full disk is an error that tells itself


def _ordered(data: bytes) -> bytes:
    """A safetensors file with its metadata in alphabetical order, which the library leaves to chance."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the weights begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + data[end:]


def load_model(path: Path, device: str = "cpu", own: nn.Module | None = None, *, one_core: bool = False) -> Model:
    """The model in `path`, or in `path/model.safetensors` of a run's folder.

    Parameters
    ----------
    own
        The network of one's own that it holds the weights of, which no file can; it is copied, and stays as it is.
    one_core
        Whether many frames are to be masked, each on a core of its own where the processor does the work. A network of
        one's own is called by one thread at a time.

    Raises
    ------
    WeightsError
        If it is absent, damaged or not a model of ours, or wants a network of one's own that is not given or another.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise WeightsError(
            f"{file}: no trained model there.",
            "Train one: cuemask train INPUT --out RUN; then give that RUN.",
        )
    remedy = "Give a RUN folder of cuemask train or segment."
    try:
        with safe_open(file, "pt") as opened:
            recipe = recipe_in(opened.metadata() or {}, file, remedy)
            refuse_other_network(file, recipe, own)
            state = _state(opened, recipe, file, own)
    except (SafetensorError, OSError) as error:
        raise not_ours(file, str(error), remedy) from error
    net = network(recipe.network) if own is None else copy.deepcopy(own).cpu()
    load_into(net, state, file)
    return Model(placed(net.eval(), device), recipe, device, one_core and device == "cpu" and own is None)


def _state(opened: Any, recipe: Recipe, file: Path, given: nn.Module | None) -> dict[str, Tensor]:
    """The weights, once the file's header is found to have those of the network, and no other numbers."""
    if given is not None:
        own = given.state_dict()
        if strange := [name for name in opened.keys() if name not in own]:  # noqa: SIM118 - no dictionary
            raise WeightsError(
                f"{file}: has {len(strange)} parameters that the network given does not, first {strange[0]}.",
                "Give the network that learnt: the same class with the same arguments.",
            )
    else:
        with torch.device("meta"):  # sizes without memory: what the recipe asks for may be more than there is
            own = network(recipe.network).state_dict()
    stored = {name: opened.get_slice(name) for name in opened.keys() if name in own}  # noqa: SIM118 - no dictionary
    refuse_misfits({name: tuple(part.get_shape()) for name, part in stored.items()}, own, file)
    state: dict[str, Tensor] = {name: opened.get_tensor(name) for name in own}
    for name, tensor in state.items():
        is_number = tensor.dtype == own[name].dtype and bool(torch.isfinite(tensor).all())
        if not is_number or (name.endswith("running_var") and bool((tensor < 0).any())):
            raise WeightsError(f"{file}: {name} holds what are no weights.", "Train again: the file is damaged.")
    return state


def chosen_device(wanted: str) -> str:
    """`cpu` or `cuda`.

    Raises
    ------
    CuemaskError
        If cuda is wanted and absent.
    """
    if wanted == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise CuemaskError("device cuda: torch finds no CUDA device.", "Run on the processor: --device cpu")
    return "cpu"
