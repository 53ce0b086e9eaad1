"""Frames in, masks out, as a stream: reading, network and finishing overlap, memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.carrying import Carried
from cuemask.cues.clip import working_picture
from cuemask.inference.thresholds import finished_probability, full_mask
from cuemask.media.area import PictureArea
from cuemask.media.frames import Frame
from cuemask.media.threads import in_threads
from cuemask.recipe import Recipe

T = TypeVar("T")


@runtime_checkable
class Predictor(Protocol):
    """A trained model, whatever runs it: torch (`inference.model`) or ONNX Runtime (`inference.runtime`)."""

    @property
    def recipe(self) -> Recipe:
        """The recipe that it was trained and is to be used by."""
        ...

    @property
    def device(self) -> str:
        """What it runs on, in words for the run's record."""
        ...

    @property
    def one_core(self) -> bool:
        """Whether frames are given one by one from a thread a core, each call staying on its own."""
        ...

    def working_probability(self, pictures: UInt8[np.ndarray, "N h w 3"]) -> Float32[np.ndarray, "N h w"]:
        """Instrument probability in [0, 1] of pictures at working size."""
        ...


@runtime_checkable
class ClassPredictor(Predictor, Protocol):
    """A model whose recipe's `network.classes` is above 1."""

    def working_classes(self, pictures: UInt8[np.ndarray, "N h w 3"]) -> Float32[np.ndarray, "N C h w"]:
        """Probability of each class in [0, 1] of pictures at working size; their sum is that of an instrument."""
        ...


@dataclass(frozen=True)
class Segmented(Generic[T]):
    """One frame with its mask at the frame's own size.

    Attributes
    ----------
    probability
        As `thresholds.finished_probability` gives it; None for a mask known before.
    finished
        What the caller's `finish` made of it.
    outside
        Whether it was filmed outside the body, and its mask is empty for that.
    """

    frame: Frame
    mask: Bool[np.ndarray, "H W"]
    probability: Float32[np.ndarray, "h2 w2"] | None
    finished: T
    outside: bool = False


class Seen(NamedTuple):
    """What the network said of a frame.

    Attributes
    ----------
    probability
        As `thresholds.finished_probability` gives it.
    mirrored
        Of the picture mirrored, mirrored back, at working size: what confidence is told by.
    area
        The endoscope's picture in this frame.
    classes
        Of each class at working size; None of a model of one class.
    """

    probability: Float32[np.ndarray, "h2 w2"]
    mirrored: Float32[np.ndarray, "h w"]
    area: PictureArea
    classes: Float32[np.ndarray, "C h w"] | None = None


class _Working(NamedTuple):
    """What the network gives of a picture and of its mirror image, mirrored back, at working size."""

    p: Float32[np.ndarray, "h w"]
    mirrored: Float32[np.ndarray, "h w"]
    classes: Float32[np.ndarray, "C h w"] | None


class _Job(NamedTuple):
    frame: Frame
    known: Bool[np.ndarray, "H W"] | None
    picture: UInt8[np.ndarray, "h w 3"] | None
    carried: Carried | None = None
    outside: bool = False


def segmented(
    model: Predictor,
    frames: Iterable[Frame],
    area: PictureArea,
    finish: Callable[[Frame, Bool[np.ndarray, "H W"], Seen | None], T],
    *,
    known: Callable[[Frame], np.ndarray | None] = lambda _: None,
    outside: Callable[[Frame, np.ndarray], bool] | None = None,
    carried: Callable[[Frame, np.ndarray], Carried | None] = lambda *_: None,
    at_once: int = 4,
) -> Iterator[Segmented[T]]:
    """Masks of `frames` in order.

    Parameters
    ----------
    finish
        Called with each frame, its mask and what the network said of it (None where it was not asked), in a worker
        thread and in no fixed order: writing files, drawing.
    known
        The mask of a frame that need not be computed again, or None.
    outside
        Whether a frame, given with its picture at working size, was filmed outside the body: the network does not see
        it, and its mask is empty whatever was known. None asks of no frame.
    carried
        What the labels of other frames say of a frame, given with its picture at working size, or None: as far as it
        can be believed, it takes the place of what the network says, of the mirrored picture too.
    at_once
        Frames that go through the network together, unless the model takes them one by one on one core each.
    """

    def prepared(frame: Frame) -> _Job:
        mask = known(frame)
        if mask is not None and outside is None:
            return _Job(frame, mask, None)
        picture = working_picture(frame.rgb, area, model.recipe)
        if outside is not None and outside(frame, picture):
            return _Job(frame, np.zeros(frame.rgb.shape[:2], np.bool_), None, outside=True)
        return _Job(frame, mask, None) if mask is not None else _Job(frame, None, picture, carried(frame, picture))

    def result(item: tuple[_Job, _Working | None]) -> Segmented[T]:
        (frame, mask, picture, near, is_outside), working = item
        seen = None
        if working is not None:
            assert picture is not None
            height, width = frame.rgb.shape[:2]
            own = area.of(height, width).shown(picture)
            if near is not None:
                working = working._replace(p=near.over(working.p), mirrored=near.over(working.mirrored))
            p = finished_probability(working.p, frame.rgb, own, model.recipe)
            seen = Seen(p, working.mirrored, own, working.classes)
            mask = full_mask(seen.probability, own, height, width, model.recipe.masks)
        assert mask is not None
        return Segmented(frame, mask, seen and seen.probability, finish(frame, mask, seen), is_outside)

    def on_one_core(frame: Frame) -> Segmented[T]:
        job = prepared(frame)
        return result((job, None if job.picture is None else next(both_ways(model, job.picture[None]))))

    if model.one_core:
        return in_threads(on_one_core, frames, networks=True)
    return in_threads(result, _through_network(model, in_threads(prepared, frames), at_once))


def both_ways(model: Predictor, pictures: UInt8[np.ndarray, "N h w 3"]) -> Iterator[_Working]:
    """Probabilities of each picture, and of its mirror image mirrored back."""
    mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
    if isinstance(model, ClassPredictor) and model.recipe.network.classes > 1:
        classes = model.working_classes(pictures)
        p = classes.sum(1).clip(0, 1)
    else:
        classes, p = [None] * len(pictures), model.working_probability(pictures)
    yield from map(_Working, p, model.working_probability(mirrored)[:, :, ::-1], classes)


def _through_network(model: Predictor, jobs: Iterator[_Job], at_once: int) -> Iterator[tuple[_Job, _Working | None]]:
    while chunk := list(islice(jobs, at_once)):
        some = next((job.picture for job in chunk if job.picture is not None), None)
        if some is None:
            yield from ((job, None) for job in chunk)
            continue
        # Black stands in for known frames: the last digit of a probability depends on how many pictures go together.
        pictures = [np.zeros_like(some) if job.picture is None else job.picture for job in chunk]
        for job, both in zip(chunk, both_ways(model, np.stack(pictures)), strict=True):
            yield job, None if job.picture is None else both
