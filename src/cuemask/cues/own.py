"""Cues of one's own: maps that another program left in a folder, or a function from pictures to maps."""

from __future__ import annotations

import hashlib
import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from cuemask.errors import InputError
from cuemask.media.arrays import array_of
from cuemask.media.headers import claimed_size
from cuemask.media.masks import read_mask
from cuemask.media.pictures import composed, is_picture, natural_order, read_picture_bytes
from cuemask.media.tagged import orientation

# From a picture, (H, W, 3) uint8 RGB at working size, to how far each pixel looks like an instrument: (H, W), 0 to 1.
CueFunction = Callable[[UInt8[np.ndarray, "H W 3"]], Any]
# The map of one frame, by its name and its picture at working size.
MapOf = Callable[[str, UInt8[np.ndarray, "H W 3"]], Float32[np.ndarray, "H W"]]


@dataclass(frozen=True)
class OwnCue:
    """A cue that somebody brings.

    Attributes
    ----------
    name
        What it is called, in the recipe's `cues.own` too.
    source
        A folder of maps, or a function.
    weight
        Its exponent in the products; None takes the recipe's, or 1.
    """

    name: str
    source: Path | CueFunction
    weight: float | None = None


@dataclass(frozen=True)
class FolderMaps:
    """The maps of a clip's frames as files, each of its frame's own size.

    Attributes
    ----------
    name
        Of the cue.
    files
        By the frames' names.
    fitted
        Cuts a map out of its frame and resizes it, as the picture is.
    """

    name: str
    files: Mapping[str, Path]
    fitted: Callable[[Float32[np.ndarray, "H W"]], Float32[np.ndarray, "h w"]]

    def __call__(self, frame: str, rgb: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "H W"]:
        """The map of a frame, cut out and resized as its picture was.

        Raises
        ------
        InputError
            If it cannot be read any more.
        """
        del rgb
        return self.fitted(read_map(self.name, self.files[frame]))


@dataclass(frozen=True)
class FunctionMaps:
    """Maps that a function makes, of one picture at a time, however many threads ask."""

    name: str
    function: CueFunction
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __call__(self, frame: str, rgb: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "H W"]:
        """The map of a frame.

        Raises
        ------
        InputError
            If what the function gives is no map of this size in [0, 1].
        """
        with self._one_at_a_time:
            given = np.asarray(self.function(np.array(rgb)))  # its own copy
        of = f"the cue {self.name}, frame {frame}"
        remedy = "Have the function give (H, W) of its picture's size, float or bool, 0 to 1."
        if given.shape != rgb.shape[:2]:
            raise InputError(f"{of}: an array of shape {given.shape}, its picture is {rgb.shape[:2]}.", remedy)
        return _unit(given, of, remedy)


def told_of_function(function: CueFunction) -> dict[str, str]:
    """What a record says of a function: what it is called and, where its source is at hand, the SHA-256 of that."""
    inner: Any = function
    while hasattr(inner, "func"):  # functools.partial
        inner = inner.func
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    told = {"function": f"{named.__module__}.{named.__qualname__}"}
    try:
        return told | {"sha256": hashlib.sha256(inspect.getsource(named).encode()).hexdigest()}
    except (OSError, TypeError):
        return told


def files_of_maps(folder: Path) -> dict[str, Path]:
    """The maps in a folder by the names of their frames.

    Raises
    ------
    InputError
        If two are of one frame, or the folder cannot be looked into.
    """
    found: dict[str, Path] = {}
    try:
        paths = natural_order(path for path in folder.iterdir() if _is_map(path) and path.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be looked into ({error.strerror}).", f"Run: chmod u+rx {folder}") from error
    for path in paths:
        other = found.setdefault(composed(path.stem), path)
        if other is not path:
            raise InputError(
                f"{folder}: {other.name} and {path.name} are maps of one frame.", "Leave one of them there."
            )
    return found


def read_map(name: str, path: Path) -> Float32[np.ndarray, "H W"]:
    """A map: of a picture its codes over 255, of a .npy its own values.

    Parameters
    ----------
    name
        Of the cue, for messages.

    Raises
    ------
    InputError
        If it cannot be read, is no array of two axes, or has values outside [0, 1].
    """
    if is_picture(path):
        return read_mask(path).astype(np.float32) / np.float32(255)
    return _array(name, path, _bytes_of(path))


def look_at_map(name: str, path: Path) -> tuple[tuple[int, int], bytes]:
    """Height and width of a map in pixels, and the SHA-256 of its file; an array's values are looked at, too.

    Raises
    ------
    InputError
        As `read_map`; of a picture only its header is read.
    """
    data = read_picture_bytes(path) if is_picture(path) else _bytes_of(path)
    if not is_picture(path):
        shape = _array(name, path, data).shape
    elif (claimed := claimed_size(data)) is None or orientation(path, data) > 1:
        shape = read_mask(path).shape
    else:
        shape = claimed.height_px, claimed.width_px
    return (shape[0], shape[1]), hashlib.sha256(data).digest()


def _is_map(path: Path) -> bool:
    return is_picture(path) or (path.suffix.lower() == ".npy" and not path.name.startswith("."))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}).", "Put the map there again, readable to you."
        ) from error


def _array(name: str, path: Path, data: bytes) -> Float32[np.ndarray, "H W"]:
    of, remedy = f"the cue {name}, {path}", "Save an array (H, W) of floats from 0 to 1: numpy.save(FILE, map)"
    try:
        values = array_of(data)
    except Exception as error:  # there is no telling in what damaged bytes end
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise InputError(f"{of}: no array of numpy's ({reason}).", remedy) from error
    if values.ndim != 2 or not values.size:
        raise InputError(f"{of}: an array of shape {values.shape}, not of two axes.", remedy)
    return _unit(values, of, remedy)


def _unit(values: np.ndarray, of: str, remedy: str) -> Float32[np.ndarray, "H W"]:
    """As float32, once it is found to be a map: float or bool, from 0 to 1 but for rounding."""
    if values.dtype != np.bool_ and not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"{of}: values of type {values.dtype}.", remedy)
    least, most = float(values.min()), float(values.max())
    if not (least >= -1e-6 and most <= 1 + 1e-6):  # which no NaN passes
        raise InputError(f"{of}: values from {least:g} to {most:g}.", remedy)
    return np.clip(values.astype(np.float32), 0, 1)
