"""The page of `cuemask live`: moving pictures as MJPEG, figures as JSON, nothing from elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from importlib import resources
from typing import Any, Literal, get_args

import cv2
import numpy as np
from anyio.to_thread import run_sync
from jaxtyping import Bool, UInt8
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from cuemask.media.overlay import overlay
from cuemask.web.guard import Served, is_loopback, names_this_machine

__all__ = ["Page", "Screen", "application", "is_loopback", "names_this_machine"]

View = Literal["overlay", "mask", "picture"]

WIDEST_PX = 1280
QUALITY = 80
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
        self._shown: tuple[np.ndarray, np.ndarray] | None = None
        self._drawn: dict[View, tuple[int, bytes]] = {}

    def show(self, rgb: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]) -> None:
        """Take the place of what is shown; costs nothing while nobody looks."""
        with self._changed:
            self._number += 1
            self._shown = (rgb, mask)
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

    def newer(self, than: int, view: View, timeout_seconds: float) -> tuple[int, bytes] | None:
        """Number and JPEG of the newest frame, when its number exceeds `than`; None after the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > than or self._closed, timeout_seconds)
            if self._number <= than or self._shown is None:
                return None
        with self._drawing:
            with self._changed:
                number, (rgb, mask) = self._number, self._shown
            if view not in self._drawn or self._drawn[view][0] != number:
                self._drawn[view] = (number, _jpeg(rgb, mask, view))
            return self._drawn[view]


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
    """The page, its pictures (`/video?show=overlay`, `mask` or `picture`) and its figures (`/statistics`)."""

    async def file(request: Request) -> Response:
        name, kind = _FILES[request.url.path]
        return Response(resources.files("cuemask.web").joinpath(name).read_bytes(), media_type=kind)

    async def figures(request: Request) -> Response:
        del request
        return Response(json.dumps(statistics()), media_type="application/json")

    async def video(request: Request) -> Response:
        asked = request.query_params.get("show", "overlay")
        for view in get_args(View):
            if asked == view:
                media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
                return StreamingResponse(_parts(screen, view), media_type=media_type)
        return PlainTextResponse(f"show={asked}: not one of {', '.join(get_args(View))}.\n", 400)

    routes = [Route(path, file) for path in _FILES]
    routes += [Route("/statistics", figures), Route("/video", video)]
    return Starlette(routes=routes)


async def _parts(screen: Screen, view: View) -> AsyncGenerator[bytes, None]:
    """One JPEG after the other. Each is followed by the boundary at once: browsers show a part when it has ended."""
    yield f"--{BOUNDARY}\r\n".encode()
    number = 0
    while not screen.is_closed:
        picture = await run_sync(screen.newer, number, view, _WAIT_SECONDS)
        if picture is not None:
            number, jpeg = picture
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\nX-Frame: {number}\r\n\r\n"
            yield head.encode() + jpeg + f"\r\n--{BOUNDARY}\r\n".encode()


def _jpeg(rgb: np.ndarray, mask: np.ndarray, view: View) -> bytes:
    height, width = rgb.shape[:2]
    if width > WIDEST_PX:
        size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
    if view == "mask":
        levels = mask.astype(np.uint8) * np.uint8(255)
    else:
        levels = cv2.cvtColor(overlay(rgb, mask) if view == "overlay" else rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
