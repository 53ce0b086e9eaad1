from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from urllib.parse import urlsplit
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

from cuemask.errors import CuemaskError
from cuemask.media.numbers import color_of
from cuemask.web import guard
from cuemask.web import live as web
from cuemask.web.live import Page, Screen, is_loopback, names_this_machine

RGB = np.full((60, 80, 3), (200, 40, 40), np.uint8)
MASK = np.zeros((60, 80), bool)
MASK[20:40, 20:60] = True


@pytest.fixture
def screen():
    return Screen()


@pytest.fixture
def page(screen):
    with Page(screen, lambda: {"state": "live", "latency_p99_ms": None}, "127.0.0.1", 0) as page:
        page.netloc = urlsplit(page.url).netloc
        yield page


Ask = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def ask(page) -> Iterator[Ask]:
    """Ask the page for a path, under another name of its host if one is given."""
    with ExitStack() as opened:

        def asked(path: str, host: str | None = None) -> http.client.HTTPResponse:
            connection = opened.enter_context(closing(http.client.HTTPConnection(page.netloc, timeout=20)))
            connection.request("GET", path, headers={"Host": host} if host else {})
            return opened.enter_context(closing(connection.getresponse()))

        yield asked


def part(answer: http.client.HTTPResponse) -> np.ndarray:
    """Read one part of a multipart answer as a browser does, up to where the next one begins: a picture, RGB."""
    headers: dict[str, str] = {}
    while (line := answer.readline().decode().strip()) or not headers:
        if ":" in line:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
    assert headers["content-type"] == "image/jpeg"
    data = b""
    while (line := answer.readline()) != f"--{web.BOUNDARY}\r\n".encode():
        assert line
        data += line
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def test_the_page_loads_nothing_from_elsewhere_and_may_not(ask):
    answer = ask("/")
    text = answer.read().decode()
    assert answer.status == 200
    assert "http" not in text.lower().replace("<!doctype html>", "")
    assert "default-src 'none'" in (answer.getheader("content-security-policy") or "")
    for name in ("live.css", "live.js"):
        assert name in text
        assert ask(f"/{name}").status == 200


def test_the_video_is_jpegs_of_the_newest_frame_with_its_mask(ask, screen):
    screen.show(np.zeros_like(RGB), MASK)
    screen.show(RGB, MASK)
    answer = ask("/video")
    assert answer.getheader("content-type") == f"multipart/x-mixed-replace; boundary={web.BOUNDARY}"
    assert answer.readline() == f"--{web.BOUNDARY}\r\n".encode()
    picture = part(answer)
    assert picture.shape == (60, 80, 3)
    assert np.abs(picture[30, 40].astype(int) - (160, 68, 83)).max() < 25, "the mask is not drawn"
    assert np.abs(picture[5, 5].astype(int) - (200, 40, 40)).max() < 25
    screen.show(np.zeros_like(RGB), MASK)
    assert part(answer)[5, 5].max() < 25
    assert answer.readline() == b"Content-Type: image/jpeg\r\n", "Chromium would wait for the next frame"
    assert answer.readline() == b"\r\n", "Chromium would wait for the next frame"


@pytest.mark.parametrize(("view", "inside", "outside"), [("mask", 255, 0), ("picture", 200, 200)])
def test_the_mask_or_the_picture_alone_can_be_watched(ask, screen, view, inside, outside):
    screen.show(RGB, MASK)
    answer = ask(f"/video?show={view}")
    answer.readline()
    picture = part(answer)
    assert abs(int(picture[30, 40, 0]) - inside) < 20
    assert abs(int(picture[5, 5, 0]) - outside) < 20


@pytest.mark.parametrize(("tint", "red"), [("0", 200), ("50", 100), ("100", 0)])
def test_the_mask_is_as_opaque_as_asked(ask, screen, tint, red):
    screen.show(RGB, MASK)
    answer = ask(f"/video?tint={tint}")
    answer.readline()
    picture = part(answer)
    assert abs(int(picture[30, 40, 0]) - red) < 25
    assert abs(int(picture[5, 5, 0]) - 200) < 25


def test_figures_are_json(ask):
    answer = ask("/statistics")
    assert json.loads(answer.read()) == {"state": "live", "latency_p99_ms": None}
    assert answer.getheader("access-control-allow-origin") is None
    assert answer.getheader("cross-origin-resource-policy") == "same-origin"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/../pyproject.toml", "/video?show=everything", "/video?tint=25", "/video?tint=x"]
)
def test_what_is_not_there_is_refused(ask, path):
    assert ask(path).status in (400, 404)


@pytest.mark.parametrize("path", ["/", "/statistics", "/video"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "10.0.0.1"])
def test_a_foreign_name_that_points_here_is_refused(ask, path, host):
    answer = ask(path, host)
    assert answer.status == 400
    assert b"state" not in answer.read()


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are_answered(ask, host):
    assert ask("/statistics", host).status == 200


@pytest.mark.parametrize(
    ("header", "ours"),
    [
        ("127.0.0.1:8000", True),
        ("LOCALHOST", True),
        ("[::1]", True),
        ("::1", False),
        ("", False),
        ("localhost.evil.example", False),
        ("evil.example:127", False),
        ("[::1].evil.example", False),
    ],
)
def test_hosts_are_told_apart(header, ours):
    assert names_this_machine(header) is ours


def test_only_loopback_addresses_are_this_machine_alone():
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.4", "hospital.example"))


def test_a_port_that_is_taken_is_said_with_the_remedy(page, screen):
    with pytest.raises(CuemaskError, match="in use") as error:
        Page(screen, dict, "127.0.0.1", urlsplit(page.url).port or 0)
    assert "--port 0" in error.value.remedy


def test_a_host_that_is_not_ours_is_said(screen):
    with pytest.raises(CuemaskError, match=r"203\.0\.113\.7"):
        Page(screen, dict, "203.0.113.7", 0)


def test_nothing_is_drawn_unless_somebody_looks_and_then_once_for_all(screen, monkeypatch):
    drawn: list[str] = []
    jpeg = web._jpeg
    monkeypatch.setattr(web, "_jpeg", lambda *a: (drawn.append(a[1]), jpeg(*a))[1])
    for _ in range(50):
        screen.show(RGB, MASK)
    assert drawn == []
    pictures = [screen.newer(0, "overlay", 1.0) for _ in range(20)]
    assert drawn == ["overlay"]
    assert len(set(pictures)) == 1


def test_a_browser_that_does_not_read_holds_nobody_up(ask, page, screen):
    """It gets what fits into the socket's buffers and, when it reads again, goes on with new pictures."""
    rgb = np.random.default_rng(0).integers(0, 256, (720, 1280, 3)).astype(np.uint8)
    asleep = socket.create_connection(("127.0.0.1", urlsplit(page.url).port or 0))
    asleep.sendall(b"GET /video HTTP/1.1\r\nHost: localhost\r\n\r\n")
    awake = ask("/video")
    awake.readline()
    for k in range(1, 21):
        rgb[:80, :80] = 10 * k
        screen.show(rgb, np.zeros((720, 1280), bool))
        assert abs(int(part(awake)[40, 40, 0]) - 10 * k) < 5
    asleep.close()


def test_connections_on_which_nothing_happens_are_closed(screen, monkeypatch):
    """Whoever asks nothing, half a question, nothing more after an answer, or takes nothing of what was asked for."""
    monkeypatch.setattr(guard, "PATIENCE_SECONDS", 0.2)
    rgb = np.random.default_rng(0).integers(0, 256, (720, 1280, 3)).astype(np.uint8)
    questions = [b"", b"GET /statistics HTTP/1.1\r\nHost: loc", b"GET /video HTTP/1.1\r\nHost: localhost\r\n\r\n"]
    with Page(screen, dict, "127.0.0.1", 0) as page, ExitStack() as opened:
        address = ("127.0.0.1", urlsplit(page.url).port or 0)
        idle = [opened.enter_context(socket.create_connection(address, timeout=20)) for _ in questions]
        awake = opened.enter_context(closing(http.client.HTTPConnection(*address, timeout=20)))
        awake.request("GET", "/video")
        for connection, question in zip(idle, questions, strict=True):
            connection.sendall(question)
        watched = awake.getresponse()
        watched.readline()
        is_watched = False
        while len(page._server.server_state.connections) > 1:
            screen.show(rgb, np.zeros((720, 1280), bool))
            is_watched = part(watched).size > 0
        assert is_watched, "whoever takes pictures is not closed"
        screen.show(rgb, np.zeros((720, 1280), bool))
        assert part(watched).size


def test_wide_pictures_are_reduced_and_odd_ones_are_shown(screen):
    for height, width, shown in [(1080, 1920, (720, 1280, 3)), (1, 1, (1, 1, 3)), (33, 51, (33, 51, 3))]:
        screen.show(np.zeros((height, width, 3), np.uint8), np.ones((height, width), bool))
        number, jpeg = screen.newer(0, "overlay", 1.0) or (0, b"")
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == shown
        assert number > 0


def test_the_page_ends_though_somebody_still_looks(screen):
    with Page(screen, dict, "127.0.0.1", 0) as page:
        screen.show(RGB, MASK)
        answer = urlopen(f"{page.url}video", timeout=20)
        answer.readline()
        part(answer)
    with answer:
        assert b"\xff\xd8" not in answer.read(), "another picture"
    assert not any(thread.name == "page" for thread in threading.enumerate())


def test_classes_are_drawn_in_their_colours_as_opaque_as_asked_and_made_only_when_they_are_looked_at(screen):
    made: list[int] = []

    def codes() -> np.ndarray:
        made.append(1)
        coded = MASK.astype(np.uint8)
        coded[:, 40:] *= 2
        return coded

    screen.show(RGB, MASK, None, codes)
    pictures = {}
    for view, tint in (("picture", 20), ("mask", 20)):
        pictures[view] = screen.newer(0, view, 1.0, tint)
    assert made == []
    for tint in (0, 100):
        jpeg = screen.newer(0, "overlay", 1.0, tint)[1]
        pictures[tint] = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    assert np.abs(pictures[100][30, 30] - color_of(1)).max() < 40
    assert np.abs(pictures[100][30, 50] - color_of(2)).max() < 40
    assert np.abs(pictures[0][30, 50] - RGB[30, 50].astype(int)).max() < 40


def test_numbers_of_instruments_are_drawn_over_the_picture_also_when_it_is_made_smaller(screen):
    for shown, scale in enumerate((1, 32)):
        rgb, mask = (np.repeat(np.repeat(one, scale, 0), scale, 1) for one in (RGB, MASK))
        boxes = {3: (20 * scale, 20 * scale, 60 * scale, 40 * scale)}
        screen.show(rgb, mask, (mask.astype(np.uint16) * 3, boxes))
        overlaid, picture = (
            cv2.imdecode(np.frombuffer(screen.newer(shown, view, 1.0)[1], np.uint8), cv2.IMREAD_COLOR)
            for view in ("overlay", "picture")
        )
        differs = np.abs(overlaid.astype(int) - picture).max(axis=2) > 60
        rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
        size = overlaid.shape[1] / 80
        assert (columns[0] / size, columns[-1] / size) == pytest.approx((20, 60), abs=3)
        assert (rows[0] / size, rows[-1] / size) == pytest.approx((20, 40), abs=3)
