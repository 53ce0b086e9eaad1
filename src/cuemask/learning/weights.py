"""Pretrained weights: found in a file or a folder, else downloaded; always hashed, never executed."""

from __future__ import annotations

import hashlib
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cuemask.errors import WeightsError
from cuemask.media.files import make_folder, sha256, written_aside

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """A file of weights that torchvision publishes."""

    file: str
    sha256: str

    @property
    def url(self) -> str:
        """Where torchvision's users get it."""
        return f"https://download.pytorch.org/models/{self.file}"


VGG16 = Published("vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0")
RESNET18 = Published("resnet18-f37072fd.pth", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec")


def weights_file(given: str, published: Published, *, setting: str, instead: str) -> Path:
    """The file to load: the one given, else one in the weights folders, else a download.

    The folders are $CUEMASK_WEIGHTS_DIR, torch hub's cache and cuemask's own cache. A file found or downloaded
    there must have the published SHA-256; a file given by name may be any.

    Parameters
    ----------
    given
        A path, or "" for none.
    setting
        The recipe key that names the file, for the message.
    instead
        What to do without the file, for the message.

    Raises
    ------
    WeightsError
        If the file given is absent, a file found has another hash, or nothing was found and the download fails.
    """
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise WeightsError(f"{path}: no such file of weights.", f"Give the right path: --set {setting}=FILE")
        return path
    for folder in weights_folders():
        path = folder / published.file
        if path.is_file():
            _check_hash(path, published)
            return path
    return _download(published, setting, instead)


def weights_folders() -> list[Path]:
    """Where published files are looked for, in this order."""
    folders = [_torch_hub(), _own_cache()]
    if named := os.environ.get("CUEMASK_WEIGHTS_DIR"):
        folders.insert(0, Path(named).expanduser())
    return folders


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name from safetensors or a PyTorch file, which is read with `weights_only=True`.

    Raises
    ------
    WeightsError
        If the file is neither, is damaged or holds anything but tensors.
    """
    remedy = "Get the file anew; safetensors or a PyTorch state dictionary is needed."
    try:
        state = load_file(path) if path.suffix == ".safetensors" else unpickled(path, remedy)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable file of weights ({error}).", remedy) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: holds no state dictionary.", "Save it with torch.save(model.state_dict(), FILE).")
    return {str(name): value for name, value in state.items()}


def unpickled(path: Path, remedy: str) -> Any:
    """What `torch.save` wrote to `path`; tensors and plain values only, nothing in it is executed.

    Raises
    ------
    WeightsError
        If it is anything else, or damaged.
    """
    try:
        return torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # a damaged pickle is a wrong program: there is no error that it cannot end in
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path}: not a readable file of weights ({reason}).", remedy) from error


def digest_of(state: Any) -> str:
    """SHA-256 of nested dictionaries, lists, tensors and plain values.

    torch.load reads a file in which bits have changed without a word.
    """
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            found.update(f"{value.dtype}{tuple(value.shape)}".encode())
            found.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data)
        elif isinstance(value, dict):
            for key, item in cast("dict[Any, Any]", value).items():
                found.update(f"{key!r}:".encode())
                add(item)
        elif isinstance(value, (list, tuple)):
            for item in cast("Sequence[Any]", value):
                add(item)
            found.update(b";")
        else:
            found.update(f"{value!r},".encode())

    add(state)
    return found.hexdigest()


def load_into(module: torch.nn.Module, state: dict[str, Tensor], path: Path, may_lack: str = "\0") -> list[str]:
    """Copy `state` into `module`; names that start with `may_lack` may be absent and are returned.

    Raises
    ------
    WeightsError
        If a parameter is missing or of another shape.
    """
    own = module.state_dict()
    missing = refuse_misfits({name: tuple(tensor.shape) for name, tensor in state.items()}, own, path, may_lack)
    for name, tensor in own.items():
        if name not in missing:
            tensor.copy_(state[name])
    return missing


def refuse_misfits(
    shapes: Mapping[str, tuple[int, ...]], own: Mapping[str, Tensor], path: Path, may_lack: str = "\0"
) -> list[str]:
    """Refuse a file whose tensors, of these shapes, are not those of a network; as `load_into`, with nothing read yet.

    Raises
    ------
    WeightsError
        If a parameter is missing or of another shape.
    """
    missing = [name for name in own if name not in shapes]
    if wrong := [name for name in missing if not name.startswith(may_lack)]:
        raise WeightsError(
            f"{path}: lacks {len(wrong)} of {len(own)} parameters, first {wrong[0]}.",
            "Give a file for this network, with torchvision's parameter names.",
        )
    for name, tensor in own.items():
        if name not in missing and tuple(tensor.shape) != shapes[name]:
            raise WeightsError(
                f"{path}: {name} has shape {shapes[name]}, not {tuple(tensor.shape)}.",
                "Give a file for this network.",
            )
    return missing


def _check_hash(path: Path, published: Published) -> None:
    found = sha256(path)
    if found != published.sha256:
        raise WeightsError(
            f"{path}: SHA-256 is {found}, not {published.sha256}; the file is damaged or another one.",
            f"Remove it and get it anew from {published.url}",
        )


def _download(published: Published, setting: str, instead: str) -> Path:
    path = make_folder(_own_cache()) / published.file
    logger.info("downloading %s", published.url)
    try:
        with urllib.request.urlopen(published.url, timeout=30) as answer, written_aside(path) as aside:
            with aside.open("wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
            _check_hash(aside, published)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise WeightsError(
            f"{published.file} is not on this machine and could not be downloaded ({error}).",
            f"Get {published.url} on a machine with network and put it into {_own_cache()} or name it with "
            f"--set {setting}=FILE; or, without it: {instead}",
        ) from error
    return path


def _torch_hub() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"


def _own_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "cuemask"
