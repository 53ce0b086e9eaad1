"""Frames in, masks out, as a stream: reading, network and finishing overlap, memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.clip import working_picture
from cuemask.inference.thresholds import full_mask, full_probability
from cuemask.media.area import PictureArea
from cuemask.media.frames import Frame
from cuemask.media.threads import in_threads
from cuemask.recipe import Recipe


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

    def working_probability(self, pictures: UInt8[np.ndarray, "N h w 3"]) -> Float32[np.ndarray, "N h w"]:
        """Instrument probability in [0, 1] of pictures at working size."""
        ...


class Segmented(NamedTuple):
    """One frame with its result at the frame's own size; a mask known before comes without probability."""

    frame: Frame
    mask: Bool[np.ndarray, "H W"]
    probability: Float32[np.ndarray, "H W"] | None


class _Job(NamedTuple):
    frame: Frame
    known: Bool[np.ndarray, "H W"] | None
    picture: UInt8[np.ndarray, "h w 3"] | None


def segmented(
    model: Predictor,
    frames: Iterable[Frame],
    area: PictureArea,
    *,
    finish: Callable[[Segmented], None] = lambda _: None,
    known: Callable[[Frame], np.ndarray | None] = lambda _: None,
    at_once: int = 4,
) -> Iterator[Segmented]:
    """Masks of `frames` in order.

    Parameters
    ----------
    finish
        Called with each new result in a worker thread, in no fixed order: writing files, say.
    known
        The mask of a frame that need not be computed again, or None.
    at_once
        Frames that go through the network together.
    """

    def finished(item: tuple[_Job, np.ndarray | None]) -> Segmented:
        job, working = item
        if working is None:
            assert job.known is not None
            return Segmented(job.frame, job.known, None)
        p = full_probability(working, job.frame.rgb, area, model.recipe)
        result = Segmented(job.frame, full_mask(p, area, model.recipe), p)
        finish(result)
        return result

    def prepared(frame: Frame) -> _Job:
        mask = known(frame)
        return _Job(frame, mask, None if mask is not None else working_picture(frame.rgb, area, model.recipe))

    return in_threads(finished, _through_network(model, in_threads(prepared, frames), at_once))


def _through_network(
    model: Predictor, jobs: Iterator[_Job], at_once: int
) -> Iterator[tuple[_Job, Float32[np.ndarray, "h w"] | None]]:
    while chunk := list(islice(jobs, at_once)):
        pictures = [job.picture for job in chunk if job.picture is not None]
        results = iter(model.working_probability(np.stack(pictures)) if pictures else ())
        for job in chunk:
            yield job, None if job.picture is None else next(results)
