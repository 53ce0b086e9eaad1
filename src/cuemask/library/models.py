"""A trained model as a function: pictures in, masks out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.clip import working_picture
from cuemask.errors import InputError
from cuemask.inference.prediction import Predictor
from cuemask.inference.thresholds import finished_probability, full_mask, full_probability
from cuemask.library.settings import Place
from cuemask.media.area import PictureArea, fixed_area, picture_area
from cuemask.media.threads import in_threads
from cuemask.notebook import facts_html
from cuemask.recipe import Recipe
from cuemask.runs.models import open_model

__all__ = ["Model", "load"]

AT_ONCE = 4  # frames that go through the network together, as in a run
SAMPLES = 16  # frames of an iterator in which the endoscope's picture is looked for

Crop = tuple[int, int, int, int]
Rgb = UInt8[np.ndarray, "H W 3"]
Working = UInt8[np.ndarray, "h w 3"]
_Finish = Callable[[Float32[np.ndarray, "h w"], Rgb, PictureArea], Any]


class Model:
    """A trained model: call it with pictures. `load` makes one.

    It sees one picture at a time, as `cuemask live` does: burnt-in text and frames outside the body, which only a whole
    clip tells, are not looked for. Else its masks are those of `cuemask predict`.

    Examples
    --------
    >>> import cuemask, numpy as np
    >>> model = cuemask.load("result")
    >>> rgb = np.full((96, 128, 3), (180, 60, 50), np.uint8)
    >>> model(rgb).shape, model(np.stack([rgb, rgb])).shape
    ((96, 128), (2, 96, 128))
    >>> [mask.shape for mask in model(iter([rgb, rgb]))]
    [(96, 128), (96, 128)]
    """

    def __init__(self, predictor: Predictor, name: str) -> None:
        self._predictor, self.name = predictor, name

    @property
    def recipe(self) -> Recipe:
        """The recipe that it was trained and is to be used by."""
        return self._predictor.recipe

    @property
    def device(self) -> str:
        """What it runs on."""
        return self._predictor.device

    # An array is an iterable, too; the first that fits counts.
    @overload
    def __call__(self, rgb: np.ndarray, *, crop: Crop | None = None) -> np.ndarray: ...  # pyright: ignore[reportOverlappingOverload]

    @overload
    def __call__(self, rgb: Iterable[np.ndarray], *, crop: Crop | None = None) -> Iterator[np.ndarray]: ...

    def __call__(
        self, rgb: np.ndarray | Iterable[np.ndarray], *, crop: Crop | None = None
    ) -> np.ndarray | Iterator[np.ndarray]:
        """Where there is an instrument.

        Parameters
        ----------
        rgb
            (H, W, 3) uint8, a batch (N, H, W, 3), or any iterable of pictures of one size, of which few are held.
        crop
            Top, left, height and width of the endoscope's picture in pixels. None finds it in what is given: in up to
            16 pictures of a batch, spread evenly, and in the first 16 of an iterable. Give it where pictures come one
            by one: one alone may be dark at its sides.

        Returns
        -------
        (H, W) bool, (N, H, W) bool, or an iterator of (H, W) bool.

        Raises
        ------
        InputError
            If it is no such picture, sizes differ, or the crop leaves the picture.
        """
        return self._of(rgb, crop, self._mask)

    @overload
    def probability(self, rgb: np.ndarray, *, crop: Crop | None = None) -> np.ndarray: ...  # pyright: ignore[reportOverlappingOverload]

    @overload
    def probability(self, rgb: Iterable[np.ndarray], *, crop: Crop | None = None) -> Iterator[np.ndarray]: ...

    def probability(
        self, rgb: np.ndarray | Iterable[np.ndarray], *, crop: Crop | None = None
    ) -> np.ndarray | Iterator[np.ndarray]:
        """The probability of an instrument in [0, 1], float32, before threshold and small blobs; else as a call."""
        return self._of(rgb, crop, self._probability)

    def _of(self, rgb: np.ndarray | Iterable[np.ndarray], crop: Crop | None, finish: _Finish) -> Any:
        if not isinstance(rgb, np.ndarray):
            return self._stream(_pictures(rgb), crop, finish)
        if rgb.ndim == 4 and len(rgb):
            area = self._area([rgb[i] for i in _spread(len(rgb))], crop)
            return np.stack(list(self._masked(_pictures(rgb), area, finish)))
        (one,) = self._masked(_pictures([rgb]), self._area([rgb], crop), finish)
        return one

    def _stream(self, pictures: Iterator[Rgb], crop: Crop | None, finish: _Finish) -> Iterator[np.ndarray]:
        first = list(islice(pictures, SAMPLES))
        if first:
            yield from self._masked(chain(first, pictures), self._area(first, crop), finish)

    def _area(self, samples: list[np.ndarray], crop: Crop | None) -> PictureArea:
        height, width = _checked(samples[0]).shape[:2]
        if crop is not None:
            return fixed_area(*crop, height, width)
        whole = fixed_area(0, 0, height, width, height, width)
        if self.recipe.input.area == "full":
            return whole
        try:
            return picture_area(samples)
        except InputError:  # all of them are black
            return whole

    def _masked(self, pictures: Iterable[Rgb], area: PictureArea, finish: _Finish) -> Iterator[np.ndarray]:
        model = self._predictor

        def prepared(rgb: Rgb) -> tuple[Rgb, Working]:
            return rgb, working_picture(rgb, area, model.recipe)

        def finished(item: tuple[Rgb, Float32[np.ndarray, "h w"]]) -> np.ndarray:
            rgb, working = item
            return finish(working, rgb, area)

        def alone(rgb: Rgb) -> np.ndarray:
            return finish(model.working_probability(prepared(rgb)[1][None])[0], rgb, area)

        if model.one_core:
            return in_threads(alone, pictures, networks=True)
        return in_threads(finished, _through(model, in_threads(prepared, pictures)))

    def _mask(self, working: Float32[np.ndarray, "h w"], rgb: Rgb, area: PictureArea) -> Bool[np.ndarray, "H W"]:
        height, width = rgb.shape[:2]
        return full_mask(finished_probability(working, rgb, area, self.recipe), area, height, width, self.recipe.masks)

    def _probability(self, working: Float32[np.ndarray, "h w"], rgb: Rgb, area: PictureArea) -> np.ndarray:
        height, width = rgb.shape[:2]
        return full_probability(finished_probability(working, rgb, area, self.recipe), area, height, width)

    def __repr__(self) -> str:
        size = self.recipe.input
        return f"Model({self.name!r}: recipe {self.recipe.name}, {size.height_px}x{size.width_px}, {self.device})"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        size = self.recipe.input
        facts = {"recipe": self.recipe.name, "works at": f"{size.height_px} x {size.width_px}", "device": self.device}
        return facts_html(f"Model {self.name}", facts)


def load(
    model: Place,
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    provider: Literal["auto", "cpu", "cuda", "tensorrt", "openvino"] = "auto",
    network: Callable[..., Any] | None = None,
) -> Model:
    """A trained model, ready to be called.

    Parameters
    ----------
    model
        A run, its folder or its `model.safetensors`; a `.onnx` file that `cuemask export onnx` wrote, which runs
        without torch; or "drawn", the network that comes with cuemask and has seen drawn scenes only.
    device, provider
        As in `segment` and `predict`.
    network
        The `torch.nn.Module` that learnt, where it was one of your own; it is copied, and its weights are the file's.

    Raises
    ------
    WeightsError
        If it is absent, damaged or no model of ours.
    InstallationError
        If what is to run it is not installed.

    Examples
    --------
    >>> import cuemask
    >>> cuemask.load("drawn").recipe.name
    'drawn'
    """
    return Model(open_model(Path(model), device, provider, network=network)[0], str(Path(model)))


def _through(
    model: Predictor, prepared: Iterator[tuple[Rgb, Working]]
) -> Iterator[tuple[Rgb, Float32[np.ndarray, "h w"]]]:
    """The network, some pictures at once."""
    while some := list(islice(prepared, AT_ONCE)):
        working = model.working_probability(np.stack([picture for _, picture in some]))
        yield from zip((rgb for rgb, _ in some), working, strict=True)


def _pictures(given: Iterable[np.ndarray]) -> Iterator[Rgb]:
    """Pictures as they come, each looked at."""
    shape = None
    for rgb in given:
        if _checked(rgb).shape != (shape or rgb.shape):
            raise InputError(f"pictures of {shape} and of {rgb.shape} in one stream.", "Give one size at once.")
        shape = rgb.shape
        yield np.ascontiguousarray(rgb)


def _checked(rgb: np.ndarray) -> Rgb:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
        raise InputError(
            f"an array of shape {rgb.shape} and type {rgb.dtype} is no picture.",
            "Give (H, W, 3) uint8 in RGB, or a batch (N, H, W, 3).",
        )
    return rgb


def _spread(count: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, SAMPLES))})
