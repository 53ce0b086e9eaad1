"""The parts of a live run that can be told without a source: the newest frame, its mask, latency and rates."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.clip import working_picture
from cuemask.errors import InputError
from cuemask.inference.prediction import ClassPredictor, Predictor
from cuemask.inference.thresholds import class_codes, finished_probability, full_mask
from cuemask.media.area import PictureArea, fixed_area, picture_area
from cuemask.recipe import Recipe

log = logging.getLogger(__name__)

T = TypeVar("T")

SHORTEST_SECONDS, LONGEST_SECONDS = 1e-5, 1e4
STEP = 1.01  # each bin of the histogram is one per cent wide
RATE_SECONDS = 3.0
RECENT_SECONDS = 10.0
# Frames that the endoscope's picture is looked for in, and how far apart at least.
SAMPLES, SAMPLE_EVERY_SECONDS = 8, 0.5


class Newest(Generic[T]):
    """Hands the newest item from one thread to another; those that nobody took in time are dropped and counted.

    Attributes
    ----------
    received, dropped
        Items that were put, and those of them that a newer one replaced.
    """

    def __init__(self) -> None:
        self.received = self.dropped = 0
        self._item: T | None = None
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Take the place of what waits, and tell whether something did; never blocks."""
        with self._changed:
            self.received += 1
            replaces = self._item is not None
            self.dropped += replaces
            self._item = item
            self._changed.notify()
            return replaces

    def close(self, error: BaseException | None = None) -> None:
        """No more items come; `error`, if any, comes out of `take` after the last one."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify()

    def take(self, timeout_seconds: float) -> T | None:
        """The newest item, as soon as there is one; None after the timeout and at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_seconds)
            item, self._item = self._item, None
            if item is None and self._error is not None:
                raise self._error
            return item

    def drop(self) -> None:
        """Count what waits as dropped: nobody will take it."""
        with self._changed:
            self.dropped += self._item is not None
            self._item = None

    @property
    def is_over(self) -> bool:
        """Whether it is closed and its last item taken."""
        with self._changed:
            return self._closed and self._item is None


class Latencies:
    """Quantiles of any number of durations, in bounded memory: a histogram whose bins are one per cent wide.

    Durations outside 10 microseconds to 10,000 seconds count as these.
    """

    def __init__(self) -> None:
        self.count = 0
        bins = math.ceil(math.log(LONGEST_SECONDS / SHORTEST_SECONDS, STEP)) + 1
        self._counts = np.zeros(bins, np.int64)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        within = min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)
        self._counts[round(math.log(within / SHORTEST_SECONDS, STEP))] += 1
        self.count += 1

    def quantile(self, share: float) -> float | None:
        """The shortest duration that `share` of all do not exceed, to half a per cent; None without any."""
        if not self.count:
            return None
        rank = max(1, math.ceil(share * self.count))
        return SHORTEST_SECONDS * STEP ** int(np.searchsorted(np.cumsum(self._counts), rank))


class Recent:
    """What the last `RECENT_SECONDS` were like: numbers with their times, of a clock that only goes forward."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def add(self, now: float, value: float) -> None:
        """Take note of a number at `now` seconds."""
        with self._lock:
            self._values.append((now, value))
            self._forget(now)

    def values(self, now: float) -> list[float]:
        """Those of the last `RECENT_SECONDS` before `now`."""
        with self._lock:
            self._forget(now)
            return [value for _, value in self._values]

    def _forget(self, now: float) -> None:
        while self._values and self._values[0][0] <= now - RECENT_SECONDS:
            self._values.popleft()


class Rate:
    """How many events a second there were in the last `RATE_SECONDS`."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._first: float | None = None
        self._lock = threading.Lock()

    def add(self, now: float) -> None:
        """Count one event at `now` seconds of a clock that only goes forward."""
        with self._lock:
            self._first = now if self._first is None else self._first
            self._times.append(now)
            self._forget(now)

    def per_second(self, now: float) -> float:
        """Events a second up to `now`; over less than the window while there has not been that much."""
        with self._lock:
            self._forget(now)
            if self._first is None:
                return 0.0
            return len(self._times) / min(RATE_SECONDS, max(1.0, now - self._first))

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] <= now - RATE_SECONDS:
            self._times.popleft()


class LiveArea:
    """The endoscope's picture, found while frames go by, and anew when their size changes.

    The first frame decides at once; as one frame may be dark at its sides, 2, 4 and 8 frames half a second apart
    decide again. Black frames say nothing: while there are only such, the picture is the whole frame.

    Parameters
    ----------
    crop
        Top, left, height and width that the user gave; frames of a later size that it does not fit are searched.
    """

    def __init__(self, recipe: Recipe, crop: tuple[int, int, int, int] | None) -> None:
        self._recipe, self._crop = recipe, crop
        self._area: PictureArea | None = None
        self._size: tuple[int, ...] = ()
        self._samples: list[np.ndarray] | None = None
        self._next_seconds = -math.inf

    def of(self, rgb: UInt8[np.ndarray, "H W 3"], time_seconds: float) -> PictureArea:
        """Where the picture lies in this frame, taken at `time_seconds`.

        Raises
        ------
        InputError
            If the given crop leaves the first frame.
        """
        if self._area is None or rgb.shape[:2] != self._size:
            self._area = self._begin(*rgb.shape[:2])
        if self._samples is not None and time_seconds >= self._next_seconds:
            self._next_seconds = time_seconds + SAMPLE_EVERY_SECONDS
            self._area = self._searched(rgb, self._samples) or self._area
        return self._area

    def _begin(self, height: int, width: int) -> PictureArea:
        is_first = self._area is None
        self._size, self._samples, self._next_seconds = (height, width), None, -math.inf
        if self._crop is not None:
            try:
                return fixed_area(*self._crop, height, width)
            except InputError as error:
                if is_first:
                    raise
                log.warning("%s The picture is searched for instead.", error.what)
        if self._crop is not None or self._recipe.input.area != "full":
            self._samples = []
        return fixed_area(0, 0, height, width, height, width)

    def _searched(self, rgb: np.ndarray, samples: list[np.ndarray]) -> PictureArea | None:
        """The picture in all samples where it is time to look, else None."""
        samples.append(rgb)
        if len(samples) not in (1, 2, 4, SAMPLES):
            return None
        try:
            area = picture_area(samples)
        except InputError:  # all of them are black
            samples.clear()
            return None
        if len(samples) == SAMPLES:
            self._samples = None
        return area


class LiveMask(NamedTuple):
    """A frame's mask at its own size, as `cuemask predict` gives it.

    Attributes
    ----------
    p
        Its `finished_probability`.
    area
        The endoscope's picture in it.
    classes
        Probability of each class at working size; None of a model of one class.
    """

    mask: Bool[np.ndarray, "H W"]
    p: Float32[np.ndarray, "h2 w2"]
    area: PictureArea
    classes: Float32[np.ndarray, "C h w"] | None

    def codes(self) -> UInt8[np.ndarray, "H W"] | None:
        """The class of each pixel, from 1, and 0 where no instrument is; None of a model of one class."""
        return None if self.classes is None else class_codes(self.classes, self.mask, self.area)


def live_mask(model: Predictor, rgb: UInt8[np.ndarray, "H W 3"], area: PictureArea) -> LiveMask:
    """The mask of one frame."""
    pictures, classes = working_picture(rgb, area, model.recipe)[None], None
    if isinstance(model, ClassPredictor) and model.recipe.network.classes > 1:
        (classes,) = model.working_classes(pictures)
        working = classes.sum(0).clip(0, 1)
    else:
        (working,) = model.working_probability(pictures)
    p = finished_probability(working, rgb, area, model.recipe)
    height, width = rgb.shape[:2]
    return LiveMask(full_mask(p, area, height, width, model.recipe.masks), p, area, classes)


def warm_up(model: Predictor) -> None:
    """Run the network once on nothing: the first run of all takes much longer than those that follow."""
    size = model.recipe.input
    model.working_probability(np.zeros((1, size.height_px, size.width_px, 3), np.uint8))
