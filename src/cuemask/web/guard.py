"""What guards every page: headers, the host check, connections that end, and a server in a thread of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from cuemask.errors import CuemaskError

PATIENCE_SECONDS = 30.0
_STARTING_SECONDS = 20.0
# Nothing is loaded from elsewhere, and no other page may show ours or what it shows.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Served:
    """An application's server, in a thread of its own; a context manager.

    Parameters
    ----------
    application
        What answers, given whether only requests to this machine by its own names may pass.
    port
        0 takes a free one.
    close
        Called before the server ends, to let go who waits.

    Attributes
    ----------
    url
        Where it listens.

    Raises
    ------
    CuemaskError
        If the port is taken, or the host is not this machine's.
    """

    def __init__(self, application: ASGIApp, host: str, port: int, close: Callable[[], None]) -> None:
        self._close = close
        self._socket = _listening(host, port)
        number = self._socket.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{number}/"
        config = uvicorn.Config(
            guarded(application, only_local=is_loopback(host)),
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

    def __enter__(self) -> Served:
        self._thread.start()
        deadline = time.monotonic() + _STARTING_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
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


def guarded(application: ASGIApp, *, only_local: bool) -> ASGIApp:
    """Refuse foreign Host headers and add `HEADERS` to every answer.

    Parameters
    ----------
    only_local
        Refuse requests that name another host than this machine: a page of another site whose name was made to
        point here (DNS rebinding).
    """

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        if only_local and not names_this_machine(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("This page is for this machine: open it as 127.0.0.1 or localhost.\n", 400)
            await refusal(scope, receive, send_with_headers)
            return
        await application(scope, receive, send_with_headers)

    return guarded


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
