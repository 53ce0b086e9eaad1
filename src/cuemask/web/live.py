"""The page of `cuemask live`: moving pictures as MJPEG, figures as JSON, nothing from elsewhere."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from importlib import resources
from types import TracebackType
from typing import Any, Literal, get_args

import cv2
import numpy as np
import uvicorn
from anyio.to_thread import run_sync
from jaxtyping import Bool, UInt8
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from cuemask.errors import CuemaskError
from cuemask.media.overlay import TINT, overlay

View = Literal["overlay", "mask", "picture"]

WIDEST_PX = 1280
QUALITY = 80
TINT_PERCENT = round(100 * TINT)
TINTS = tuple(str(percent) for percent in range(0, 101, 10))  # few, since each is drawn and kept
BOUNDARY = "cuemask-frame"
PATIENCE_SECONDS = 30.0
_WAIT_SECONDS = 1.0
_STARTING_SECONDS = 20.0
_FILES = {
    "/": ("live.html", "text/html"),
    "/live.css": ("live.css", "text/css"),
    "/live.js": ("live.js", "text/javascript"),
}
# Nothing is loaded from elsewhere, and no other page may show ours or what it shows.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
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
        self._drawn: dict[tuple[View, int], tuple[int, bytes]] = {}

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
                number, (rgb, mask) = self._number, self._shown
            key = view, tint_percent
            if key not in self._drawn or self._drawn[key][0] != number:
                self._drawn[key] = (number, _jpeg(rgb, mask, view, tint_percent))
            return self._drawn[key]


class Page:
    """The page's server, in a thread of its own; a context manager.

    Parameters
    ----------
    statistics
        Gives what `/statistics` shows, in JSON's types.
    port
        0 takes a free one.

    Attributes
    ----------
    url
        Where the page is.

    Raises
    ------
    CuemaskError
        If the port is taken, or the host is not this machine's.
    """

    def __init__(self, screen: Screen, statistics: Callable[[], Mapping[str, Any]], host: str, port: int) -> None:
        self._screen = screen
        self._socket = _listening(host, port)
        number = self._socket.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{number}/"
        config = uvicorn.Config(
            application(screen, statistics, only_local=is_loopback(host)),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http=_Connection,
            loop="asyncio",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="page", daemon=True
        )

    def __enter__(self) -> Page:
        self._thread.start()
        deadline = time.monotonic() + _STARTING_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


class _Connection(H11Protocol):
    """uvicorn's connection, closed where for `PATIENCE_SECONDS` nothing is asked or nothing of the answer is taken.

    uvicorn itself waits for ever until a first request is whole, and for whoever does not read.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._wait(self._state())

    def _state(self) -> tuple[int, int]:
        """The request that is answered or was last, and the bytes of the answer that wait to be taken."""
        return id(self.cycle), self.transport.get_write_buffer_size()

    def _wait(self, seen: tuple[int, int]) -> None:
        self.loop.call_later(PATIENCE_SECONDS, self._look, seen)

    def _look(self, seen: tuple[int, int]) -> None:
        if self.transport.is_closing() and self not in self.connections:
            return
        is_asked = bool(self.cycle) and not self.cycle.response_complete
        waits = self.flow.write_paused or not is_asked
        if waits and self._state() == seen:
            self.transport.abort()
        else:
            self._wait(self._state())


def application(screen: Screen, statistics: Callable[[], Mapping[str, Any]], *, only_local: bool) -> ASGIApp:
    """The page, its pictures (`/video?show=overlay`, `mask` or `picture`, `&tint=20`) and its figures (`/statistics`).

    Parameters
    ----------
    only_local
        Refuse requests that name another host than this machine: a page of another site whose name was made to
        point here (DNS rebinding).
    """

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
    return _guarded(Starlette(routes=routes), only_local)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_this_machine(host_header: str) -> bool:
    """Whether a request's Host header, with or without port, names this machine as such."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:\d*)?", host_header)
    return found is not None and is_loopback(found[1].removeprefix("[").removesuffix("]"))


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


def _guarded(application: ASGIApp, only_local: bool) -> ASGIApp:
    """Refuse foreign Host headers and add `_HEADERS` to every answer."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        if only_local and not names_this_machine(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("This page is for this machine: open it as 127.0.0.1 or localhost.\n", 400)
            await refusal(scope, receive, send_with_headers)
            return
        await application(scope, receive, send_with_headers)

    return guarded


def _jpeg(rgb: np.ndarray, mask: np.ndarray, view: View, tint_percent: int) -> bytes:
    height, width = rgb.shape[:2]
    if width > WIDEST_PX:
        size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
    if view == "mask":
        levels = mask.astype(np.uint8) * np.uint8(255)
    else:
        drawn = overlay(rgb, mask, tint=tint_percent / 100) if view == "overlay" else rgb
        levels = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CuemaskError(
            f"--host {host}: not an address ({error.strerror}).", "Give --host 127.0.0.1 or one of this machine's."
        ) from error
    try:
        if os.name == "posix":  # a port that was left a moment ago is free; on Windows this means something else
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise CuemaskError(
            f"The page cannot be served at {host}, port {port} ({error.strerror}).",
            "Choose another port: --port 0 takes a free one; and a --host of this machine.",
        ) from error
    return listener
