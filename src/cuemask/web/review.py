"""The page of `cuemask review`: its files for anybody, all that it asks for with the token only."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from importlib import resources

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cuemask.errors import CuemaskError, OutputError
from cuemask.web.guard import Served
from cuemask.web.review_desk import Ask, ReviewDesk, refused

TOKEN = "X-Cuemask-Token"
_MOST_BYTES = 64 << 20  # of a mask: four a pixel, were all its neighbours different


class ReviewPage(Served):
    """The server of a desk, in a thread of its own; a context manager, as `Served`.

    Attributes
    ----------
    address
        Of the page, with the token that opens it.
    """

    def __init__(self, desk: ReviewDesk, host: str, port: int) -> None:
        token = secrets.token_urlsafe(24)
        super().__init__(application(desk, token), host, port, desk.close)
        self.address = f"{self.url}#{token}"


def application(desk: ReviewDesk, token: str) -> Starlette:
    """The page, which anybody may load, and what it asks for, which needs the token in a header.

    A header, and not a cookie: other pages cannot send it, whatever port of this machine they come from.
    """
    looks = (desk.run, desk.frame, desk.mask, desk.superpixels, desk.news, desk.kinds, desk.exemplar)
    acts = (desk.hold, desk.release, desk.draft, desk.decide, desk.carry, desk.agreement, desk.again, desk.name)
    routes = [Route(f"/api/{work.__name__}", _answer(work, token), methods=["GET"]) for work in looks]
    routes += [Route(f"/api/{work.__name__}", _answer(work, token), methods=["POST"]) for work in acts]
    return Starlette(routes=[*(Route(path, _file(path)) for path in _files()), *routes])


def _files() -> dict[str, tuple[str, str]]:
    """Addresses of the page's own files, each with its place below this module's folder and its type."""
    files = {"/": ("review.html", "text/html"), "/review.css": ("review.css", "text/css")}
    for file in resources.files("cuemask.web").joinpath("review").iterdir():
        if file.name.endswith(".js"):
            files[f"/review/{file.name}"] = (f"review/{file.name}", "text/javascript")
    return files


def _file(path: str) -> Callable[[Request], Awaitable[Response]]:
    place, kind = _files()[path]
    data = resources.files("cuemask.web").joinpath(place).read_bytes()

    async def file(request: Request) -> Response:
        del request
        return Response(data, media_type=kind)

    return file


def _answer(work: Callable[[Ask], Response], token: str) -> Callable[[Request], Awaitable[Response]]:
    """Answers one address: with the token only, in a thread, our own errors as words."""

    async def answer(request: Request) -> Response:
        if not secrets.compare_digest(request.headers.get(TOKEN, "").encode(), token.encode()):
            return refused(403, "This page does not know its token.", "Open the address that cuemask review printed.")
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                return refused(413, "That is more than any mask.", "Reload the page.")
        return await run_sync(_worked, work, Ask(request.query_params, bytes(body)))

    return answer


def _worked(work: Callable[[Ask], Response], ask: Ask) -> Response:
    try:
        return work(ask)
    except KeyError as error:
        return refused(404, f"The run has no clip or frame {error}.", "Reload the page.")
    except ValueError as error:
        return refused(400, f"Not understood: {error}.", "Reload the page.")
    except CuemaskError as error:
        return refused(507 if isinstance(error, OutputError) else 422, error.what, error.remedy)
