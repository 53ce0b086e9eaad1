"""`cuemask live`: masks of a source while it runs, on a page and as video. To keep up, it drops frames."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cuemask import __version__
from cuemask.errors import CuemaskError, VideoError
from cuemask.grouping.whole_frames import WholeFrames, at_full_size, boxes_of
from cuemask.inference.live import Latencies, LiveArea, LiveMask, Newest, Rate, Recent, live_mask, warm_up
from cuemask.inference.prediction import Predictor
from cuemask.media.files import make_folder, write_bytes
from cuemask.media.folders import refuse_foreign_file, tells_of_us
from cuemask.media.hardware import Decoder, decoding_with
from cuemask.media.numbers import color_of
from cuemask.media.recording import MaskRecorder
from cuemask.media.stream import OPENING_SECONDS, Arrival, LiveSource, source_of
from cuemask.media.upright import upright_rgb
from cuemask.runs.confidences import told_of
from cuemask.runs.models import open_model
from cuemask.runs.pages import page_libraries

if TYPE_CHECKING:
    from cuemask.web.live import Screen

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_TOLD_EVERY_SECONDS = 1.0
STRAINED_SHARE = 0.2  # of the frames dropped, above which the page warns


@dataclass(frozen=True)
class LiveOptions:
    """Options of a live run; the command line's flags of the same names.

    Attributes
    ----------
    host, port
        Where the page is served; port 0 takes a free one, None serves no page.
    mask_video
        An .mp4 file to write the masks to, which must not exist.
    figures
        A file for the closing figures in JSON.
    loop
        Play a file again and again.
    seconds
        End after so many seconds; None goes on.
    stall_seconds
        After how long without a frame a source counts as stalled, and is opened again unless it is a pipe.
    give_up_seconds
        End after so many seconds without a frame; None never gives up.
    stay
        Leave the page up when the source has ended, until `stop` is set or Ctrl-C is pressed.
    instances
        Whether instruments are told apart and shown with numbers, which takes its own time after the mask.
    crop, device, provider
        As in `Options`.
    decoder
        Likewise; what a camera sends is left to the processor.
    """

    host: str = "127.0.0.1"
    port: int | None = 8000
    mask_video: Path | None = None
    figures: Path | None = None
    loop: bool = False
    seconds: float | None = None
    stall_seconds: float = 5.0
    give_up_seconds: float | None = None
    stay: bool = False
    instances: bool = False
    crop: tuple[int, int, int, int] | None = None
    device: str = "auto"
    provider: str = "auto"
    decoder: Decoder = "auto"


@dataclass(frozen=True)
class LiveFigures:
    """How a live run fares, or fared.

    Attributes
    ----------
    state
        Of the source: opening, live, stalled, reconnecting or ended.
    trouble
        What is wrong with it; None while it is live.
    ended
        Why the run is over; None while it is not.
    page
        Where it is shown.
    frames_in, frames_masked, frames_dropped
        Decoded, masked, and replaced by a newer one before their turn; at the end the first is the sum of the others.
    fps_in, fps_masked
        Frames a second over the last three seconds; at the end over the whole run.
    latency_median_ms, latency_p99_ms
        From a frame's being decoded to its mask being ready, over the whole run; None before the first mask.
    recent_latency_median_ms, recent_latency_p99_ms, recent_dropped_share
        The same, and the share of the frames that were dropped, 0 to 1, over the last ten seconds; None where there
        were none.
    is_strained
        Whether that share is above a fifth.
    reconnects
        How often the source was opened again with success.
    mask_video
        The files, each with path, size, frames and the time of its first frame after the run's.
    mask_video_skipped
        Masks that came faster than they could be written.
    mask_video_trouble
        What ended the mask video early.
    instruments
        Numbers of those in the newest frame; None where they are not told apart.
    """

    cuemask: str
    source: str
    model: str
    device: str
    state: str
    trouble: str | None
    ended: str | None
    page: str | None
    seconds: float
    width_px: int
    height_px: int
    frames_in: int
    frames_masked: int
    frames_dropped: int
    fps_in: float
    fps_masked: float
    latency_median_ms: float | None
    latency_p99_ms: float | None
    recent_latency_median_ms: float | None
    recent_latency_p99_ms: float | None
    recent_dropped_share: float | None
    is_strained: bool
    reconnects: int
    mask_video: list[dict[str, Any]]
    mask_video_skipped: int
    mask_video_trouble: str | None
    instruments: list[int] | None

    def as_json(self) -> dict[str, Any]:
        """In JSON's types."""
        return asdict(self)

    def line(self) -> str:
        """The present in one line."""
        return (
            f"{self.state}: {self.fps_in:.1f} frames/s in, {self.fps_masked:.1f} masked, {self.frames_dropped} of "
            f"{self.frames_in} dropped, latency {_ms(self.latency_median_ms)} (p99 {_ms(self.latency_p99_ms)}), "
            f"{self.reconnects} reconnects"
        )

    def lines(self) -> list[str]:
        """Closing lines."""
        files = [f"mask video: {file['path']}" for file in self.mask_video]
        skipped = [f"left out of the mask video: {self.mask_video_skipped}"] if self.mask_video_skipped else []
        return [
            f"{self.source}: {self.ended} after {self.seconds:.1f} s, {self.reconnects} reconnects",
            f"frames: {self.frames_in} in, {self.frames_masked} masked, {self.frames_dropped} dropped",
            f"latency, decoded to masked: median {_ms(self.latency_median_ms)}, "
            f"99th percentile {_ms(self.latency_p99_ms)}",
            *files,
            *skipped,
        ]


def live(
    source: str | int | Path,
    model: Path,
    options: LiveOptions,
    *,
    told: Callable[[LiveFigures], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> LiveFigures:
    """Mask a live source until it ends, `stop` is set, time is up or Ctrl-C is pressed.

    Parameters
    ----------
    source
        A camera's number, an address, a file, a named pipe, or "-" for standard input.
    model
        As for `predict`.
    told
        Called when the page is there, when the state of the source changes and about once a second; where the page
        stays, also with the closing figures.

    Returns
    -------
    The closing figures.

    Raises
    ------
    CuemaskError
        If the model, the source, the page or the mask video cannot be opened, or cuda is to decode and is absent; after
        the figures are written also if the source was given up or the mask video broke off.
    """
    with decoding_with(options.decoder):
        return _live(source, model, options, told, stop)


def _live(
    source: str | int | Path,
    model: Path,
    options: LiveOptions,
    told: Callable[[LiveFigures], None],
    stop: threading.Event | None,
) -> LiveFigures:
    asked = source_of(str(source))
    if options.figures is not None:
        refuse_foreign_file(options.figures, lambda file: tells_of_us(file, "frames_masked") is True)
        make_folder(options.figures.absolute().parent)
    predictor, _ = open_model(model, options.device, options.provider)
    live_source = LiveSource(
        asked, stall_seconds=options.stall_seconds, give_up_seconds=options.give_up_seconds, loop=options.loop
    )
    recorder = None if options.mask_video is None else MaskRecorder(options.mask_video)
    run = _LiveRun(live_source, predictor, model, recorder, options)
    try:
        warm_up(predictor)
        with run.page():
            told(run.figures())
            stop = stop or threading.Event()
            run.ended = run.go_on(told, stop)
            if options.stay and options.port is not None and run.ended == _ENDED:
                run.close()
                figures = _closing(run, options)
                told(figures)
                _wait(stop)
                return figures
    finally:
        run.close()
    return _closing(run, options)


def _closing(run: _LiveRun, options: LiveOptions) -> LiveFigures:
    """The closing figures, written where that is wanted."""
    figures = run.figures()
    if options.figures is not None:
        write_bytes(options.figures, (json.dumps(figures.as_json(), indent=2) + "\n").encode())
    return figures


def _wait(stop: threading.Event) -> None:
    """Until `stop` is set or Ctrl-C is pressed."""
    with suppress(KeyboardInterrupt):
        while not stop.wait(_TICK_SECONDS):  # Windows hears no Ctrl-C in a wait without an end
            pass


def problem(figures: LiveFigures, options: LiveOptions) -> CuemaskError | None:
    """What a run that came to its end has to be blamed for, or None."""
    if figures.ended == _GAVE_UP:
        return VideoError(
            f"{figures.source}: given up after {options.give_up_seconds:g} s without a frame ({figures.trouble}).",
            "See whether the source runs; without --give-up it is waited for.",
        )
    if figures.mask_video_trouble is not None:
        return CuemaskError(figures.mask_video_trouble, "Masks were made to the end, their video was not.")
    return None


_GAVE_UP, _ENDED = "given up", "the source ended"


class _LiveRun:
    """The threads of a live run and what they count: one reads, one masks, one writes video, some show pages."""

    def __init__(
        self,
        source: LiveSource,
        model: Predictor,
        model_path: Path,
        recorder: MaskRecorder | None,
        options: LiveOptions,
    ) -> None:
        self.ended: str | None = None
        self._is_closed = False
        self._source, self._model, self._model_path = source, model, model_path
        self._recorder, self._options = recorder, options
        self._area = LiveArea(model.recipe, options.crop)
        self._whole = WholeFrames() if options.instances else None
        self._instruments: list[int] | None = [] if options.instances else None
        self._newest: Newest[Arrival] = Newest()
        self._latencies, self._arriving, self._masking = Latencies(), Rate(), Rate()
        self._recent_latencies, self._recent_drops = Recent(), Recent()
        self._masked: LiveMask | None = None
        self._told: tuple[LiveMask, dict[str, Any]] | None = None
        self._size = (0, 0)
        self._screen: Screen | None = None
        self._page_url: str | None = None
        self._started = self._closed = time.monotonic()
        self._reader = threading.Thread(target=copy_context().run, args=(self._read,), name="source", daemon=True)

    @contextmanager
    def page(self) -> Generator[None, None, None]:
        """Serve the page, if there is to be one."""
        if self._options.port is None:
            yield
            return
        with page_libraries("; or go without the page: --no-page"):
            from cuemask.web.live import Page, Screen, is_loopback
        screen = Screen()
        with Page(screen, self._shown, self._options.host, self._options.port) as page:
            if not is_loopback(self._options.host):
                log.warning("--host %s: whoever reaches this machine can watch at %s", self._options.host, page.url)
            self._screen, self._page_url = screen, page.url
            yield

    def go_on(self, told: Callable[[LiveFigures], None], stop: threading.Event) -> str:
        """Read and mask until something ends it; why, in words."""
        self._started = next_told = time.monotonic()
        state = self._source.state
        end = float("inf") if self._options.seconds is None else self._started + self._options.seconds
        self._reader.start()
        try:
            while not stop.is_set() and time.monotonic() < end:
                arrival = self._newest.take(_TICK_SECONDS)
                if arrival is not None:
                    self._mask(arrival)
                elif self._newest.is_over:
                    return _GAVE_UP if self._source.gave_up else _ENDED
                if time.monotonic() >= next_told or state != self._source.state:
                    state = self._source.state
                    next_told = time.monotonic() + _TOLD_EVERY_SECONDS
                    told(self.figures())
        except KeyboardInterrupt:
            stop.set()
        return "stopped" if stop.is_set() else "time was up"

    def close(self) -> None:
        """Finish the mask video, then let go of the source; a second time it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._source.stop()
        if self._recorder is not None:
            self._recorder.close()
        if self._reader.is_alive():
            # It may have to wait for the source's timeout; nothing of it is needed any more.
            self._reader.join(max(OPENING_SECONDS, self._options.stall_seconds) + 1)
        self._newest.drop()
        self._closed = time.monotonic()

    def figures(self) -> LiveFigures:
        """As they stand now."""
        now = time.monotonic()
        over = self.ended is not None
        seconds = (self._closed if over else now) - self._started
        frames_in, masked = self._newest.received, self._latencies.count
        latencies, drops = self._recent_latencies.values(now), self._recent_drops.values(now)
        dropped_share = round(sum(drops) / len(drops), 4) if drops else None
        files = self._recorder.files if self._recorder else []
        error = self._recorder.error if self._recorder else None
        return LiveFigures(
            cuemask=__version__,
            source=self._source.source.name,
            model=str(self._model_path),
            device=self._model.device,
            state="ended" if over else self._source.state,
            trouble=self._source.trouble,
            ended=self.ended,
            page=self._page_url,
            seconds=round(seconds, 3),
            width_px=self._size[1],
            height_px=self._size[0],
            frames_in=frames_in,
            frames_masked=masked,
            # The frame that Ctrl-C interrupted was taken and never masked.
            frames_dropped=frames_in - masked if over else self._newest.dropped,
            fps_in=round(frames_in / max(seconds, 1e-3) if over else self._arriving.per_second(now), 2),
            fps_masked=round(masked / max(seconds, 1e-3) if over else self._masking.per_second(now), 2),
            latency_median_ms=_milliseconds(self._latencies.quantile(0.5)),
            latency_p99_ms=_milliseconds(self._latencies.quantile(0.99)),
            recent_latency_median_ms=_milliseconds(_quantile(latencies, 0.5)),
            recent_latency_p99_ms=_milliseconds(_quantile(latencies, 0.99)),
            recent_dropped_share=dropped_share,
            is_strained=dropped_share is not None and dropped_share > STRAINED_SHARE,
            reconnects=self._source.reconnects,
            mask_video=[{**vars(file), "path": str(file.path)} for file in files],
            mask_video_skipped=self._recorder.skipped if self._recorder else 0,
            mask_video_trouble=error.what if error else None,
            instruments=self._instruments,
        )

    def _read(self) -> None:
        try:
            for arrival in self._source.arrivals():
                replaces = self._newest.put(arrival)
                self._arriving.add(arrival.decoded_seconds)
                self._recent_drops.add(arrival.decoded_seconds, float(replaces))
        except BaseException as error:  # it comes out where the frames are taken
            self._newest.close(error)
        else:
            self._newest.close()

    def _mask(self, arrival: Arrival) -> None:
        rgb = upright_rgb(arrival.frame)
        area = self._area.of(rgb, arrival.time_seconds)
        masked = live_mask(self._model, rgb, area)
        mask = masked.mask
        ready = time.monotonic()
        self._latencies.add(ready - arrival.decoded_seconds)
        self._recent_latencies.add(ready, ready - arrival.decoded_seconds)
        self._masking.add(ready)
        self._size = (rgb.shape[0], rgb.shape[1])
        if self._recorder is not None:
            self._recorder.add(mask, arrival.time_seconds)
        numbered = None
        if self._whole is not None:
            labels, found = at_full_size(self._whole.push(mask, rgb, area), mask, area)
            numbered = labels, boxes_of(found)
            self._instruments = [one.number for one in found]
        if self._screen is not None:
            self._masked = masked
            self._screen.show(rgb, mask, numbered, None if masked.classes is None else masked.codes)

    def _shown(self) -> dict[str, Any]:
        """What the page asks for: the figures, and what is known of the newest mask, which is looked at only then.

        How far to trust it: a live picture is not seen mirrored, its own probability has to do. Which classes it has.
        """
        masked = self._masked
        if masked is not None and (self._told is None or self._told[0] is not masked):
            self._told = (
                masked,
                {
                    "confidence": told_of(masked.p, masked.mask, masked.area).confidence,
                    "classes": self._classes(masked),
                },
            )
        return self.figures().as_json() | (self._told[1] if self._told else {"confidence": None, "classes": None})

    def _classes(self, masked: LiveMask) -> list[dict[str, Any]] | None:
        """The model's classes, each with its colour over the picture and whether it is in it; None where it has one."""
        codes = masked.codes()
        if codes is None:
            return None
        network, present = self._model.recipe.network, set(np.unique(codes).tolist())
        names = network.class_names or [f"class {code}" for code in range(1, network.classes + 1)]
        # Where instruments are told apart, the colours are theirs.
        return [
            {"name": name, "color": None if self._whole else color_of(code), "is_seen": code in present}
            for code, name in enumerate(names, 1)
        ]


def _quantile(values: list[float], share: float) -> float | None:
    """The least value that `share` of all do not exceed; None without any."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1] if values else None


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 2)


def _ms(milliseconds: float | None) -> str:
    return "unknown" if milliseconds is None else f"{milliseconds:.1f} ms"
