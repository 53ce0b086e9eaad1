"""The page of `cuemask live`: moving pictures as MJPEG, figures as JSON, nothing from elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from importlib import resources
from typing import Any, Literal, NamedTuple, get_args

import cv2
import numpy as np
from anyio.to_thread import run_sync
from jaxtyping import Bool, UInt8
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from cuemask.media.numbers import Box, with_classes, with_numbers
from cuemask.media.overlay import TINT, overlay
from cuemask.web.guard import Served, is_loopback, names_this_machine

__all__ = ["Page", "Screen", "application", "is_loopback", "names_this_machine"]

View = Literal["overlay", "mask", "picture"]
Numbered = tuple[np.ndarray, Mapping[int, Box]]  # label map of instruments, and the box of each number
Codes = Callable[[], UInt8[np.ndarray, "H W"] | None]  # the class of each pixel, made only when it is looked at

WIDEST_PX = 1280
QUALITY = 80
TINT_PERCENT = round(100 * TINT)
TINTS = tuple(str(percent) for percent in range(0, 101, 10))  # few, since each is drawn and kept
BOUNDARY = "cuemask-frame"
_WAIT_SECONDS = 1.0
_FILES = {
    "/": ("live.html", "text/html"),
    "/live.css": ("live.css", "text/css"),
    "/live.js": ("live.js", "text/javascript"),
}


class Screen:
    """The newest frame with its mask; drawn and compressed only when somebody looks, and then once for all.

    Whoever looks takes the newest picture when ready for it, so that slow lookers see fewer pictures, not old ones.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._drawing = threading.Lock()
        self._number = 0
        self._closed = False
        self._shown: _Shown | None = None
        self._drawn: dict[tuple[View, int], tuple[int, bytes]] = {}

    def show(
        self,
        rgb: UInt8[np.ndarray, "H W 3"],
        mask: Bool[np.ndarray, "H W"],
        numbered: Numbered | None = None,
        codes: Codes | None = None,
    ) -> None:
        """Take the place of what is shown; costs nothing while nobody looks.

        Parameters
        ----------
        numbered
            Instruments by their numbers, and their boxes: the overlay shows them instead of the mask.
        codes
            Gives the class of each pixel: the overlay shows each in its colour, where there are no numbers.
        """
        with self._changed:
            self._number += 1
            self._shown = _Shown(rgb, mask, numbered, codes)
            self._changed.notify_all()

    def close(self) -> None:
        """Let everybody who waits go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether no picture comes any more."""
        return self._closed

    def newer(
        self, than: int, view: View, timeout_seconds: float, tint_percent: int = TINT_PERCENT
    ) -> tuple[int, bytes] | None:
        """Number and JPEG of the newest frame, when its number exceeds `than`; None after the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > than or self._closed, timeout_seconds)
            if self._number <= than or self._shown is None:
                return None
        with self._drawing:
            with self._changed:
                number, shown = self._number, self._shown
            key = view, tint_percent
            if key not in self._drawn or self._drawn[key][0] != number:
                self._drawn[key] = (number, _jpeg(shown, view, tint_percent))
            return self._drawn[key]


class _Shown(NamedTuple):
    rgb: UInt8[np.ndarray, "H W 3"]
    mask: Bool[np.ndarray, "H W"]
    numbered: Numbered | None
    codes: Codes | None


class Page(Served):
    """The page's server, in a thread of its own; a context manager, as `Served`.

    Parameters
    ----------
    statistics
        Gives what `/statistics` shows, in JSON's types.
    """

    def __init__(self, screen: Screen, statistics: Callable[[], Mapping[str, Any]], host: str, port: int) -> None:
        super().__init__(application(screen, statistics), host, port, screen.close)


def application(screen: Screen, statistics: Callable[[], Mapping[str, Any]]) -> ASGIApp:
    """The page, its pictures (`/video?show=overlay&tint=20`; or `mask`, `picture`) and its figures (`/statistics`)."""

    async def file(request: Request) -> Response:
        name, kind = _FILES[request.url.path]
        return Response(resources.files("cuemask.web").joinpath(name).read_bytes(), media_type=kind)

    async def figures(request: Request) -> Response:
        del request
        return Response(json.dumps(await run_sync(statistics)), media_type="application/json")

    async def video(request: Request) -> Response:
        asked = request.query_params.get("show", "overlay")
        tint = request.query_params.get("tint", str(TINT_PERCENT))
        if tint not in TINTS:
            return PlainTextResponse(f"tint={tint}: not one of {', '.join(TINTS)}.\n", 400)
        for view in get_args(View):
            if asked == view:
                media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
                return StreamingResponse(_parts(screen, view, int(tint)), media_type=media_type)
        return PlainTextResponse(f"show={asked}: not one of {', '.join(get_args(View))}.\n", 400)

    routes = [Route(path, file) for path in _FILES]
    routes += [Route("/statistics", figures), Route("/video", video)]
    return Starlette(routes=routes)


async def _parts(screen: Screen, view: View, tint_percent: int) -> AsyncGenerator[bytes, None]:
    """One JPEG after the other, each followed at once by what the next one begins with: Chromium shows a part then."""
    begin = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
    yield begin
    number = 0
    while not screen.is_closed:
        picture = await run_sync(screen.newer, number, view, _WAIT_SECONDS, tint_percent)
        if picture is not None:
            number, jpeg = picture
            yield jpeg + b"\r\n" + begin


def _jpeg(shown: _Shown, view: View, tint_percent: int) -> bytes:
    rgb, mask, numbered, classes = shown
    codes = classes() if classes is not None and view == "overlay" and numbered is None else None
    height, width = rgb.shape[:2]
    if width > WIDEST_PX:
        size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
        codes = None if codes is None else cv2.resize(codes, size, interpolation=cv2.INTER_NEAREST)
        numbered = None if numbered is None else _resized(numbered, size, WIDEST_PX / width)
    if view == "mask":
        levels = mask.astype(np.uint8) * np.uint8(255)
    else:
        drawn = rgb
        if view == "overlay":
            drawn = _overlaid(rgb, mask, numbered, codes, tint_percent / 100)
        levels = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _overlaid(
    rgb: np.ndarray, mask: np.ndarray, numbered: Numbered | None, codes: np.ndarray | None, tint: float
) -> np.ndarray:
    if numbered is not None:
        return with_numbers(rgb, *numbered)
    return overlay(rgb, mask, tint=tint) if codes is None else with_classes(rgb, codes, tint=tint)


def _resized(numbered: Numbered, size: tuple[int, int], factor: float) -> Numbered:
    labels, boxes = numbered
    smaller = {
        number: (int(x0 * factor), int(y0 * factor), int(np.ceil(x1 * factor)), int(np.ceil(y1 * factor)))
        for number, (x0, y0, x1, y1) in boxes.items()
    }
    return cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), smaller
