from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.errors import CuemaskError, InputError, VideoError
from cuemask.media import stream as stream_module
from cuemask.media.stream import Arrival, LiveSource, StreamClock, source_of
from cuemask.media.upright import upright_rgb

from ..numbered import number_of
from ..streams import encode, http_stream, mjpeg, mpegts, rtsp_server

NEVER = 30.0  # seconds: no test waits for it


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(stream_module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(stream_module, "LONGEST_PAUSE_SECONDS", 0.02)


@contextmanager
def reading(text: str, **options) -> Iterator[tuple[LiveSource, Iterator[Arrival]]]:
    source = LiveSource(source_of(text), **{"stall_seconds": NEVER, **options})
    arrivals = source.arrivals()
    try:
        yield source, arrivals
    finally:
        source.stop()
        arrivals.close()


def numbers(arrivals: Iterator[Arrival], count: int | None = None) -> list[int]:
    found = []
    while count is None or len(found) < count:
        arrival = next(arrivals, None)
        if arrival is None:
            break
        found.append(number_of(upright_rgb(arrival.frame)))
    return found


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("0", "camera", "camera 0"),
        ("-", "pipe", "standard input"),
        ("rtsp://10.0.0.5/1", "network", "rtsp://10.0.0.5/1"),
        ("rtsp://me:secret@10.0.0.5:554/1?x=1", "network", "rtsp://me:***@10.0.0.5:554/1?x=1"),
        ("http://host/a.mjpg", "network", "http://host/a.mjpg"),
    ],
)
def test_what_the_user_means_is_told_apart_and_passwords_are_not_shown(text, kind, name):
    source = source_of(text)
    assert (source.kind, source.name, source.address) == (kind, name, text)


@pytest.mark.parametrize("text", ["nowhere.mp4", "file:///etc/passwd", "concat://a|b", "data://x"])
def test_what_is_no_source_is_refused_with_what_would_be_one(text):
    with pytest.raises(InputError) as error:
        source_of(text)
    assert text in error.value.what
    assert "rtsp://" in error.value.remedy


@given(st.lists(st.tuples(st.none() | st.floats(-1e5, 1e5), st.floats(0, 5)), max_size=40))
def test_time_always_goes_on_and_stays_near_the_arrival(frames):
    clock, arrival, before = StreamClock(), 1000.0, -1.0
    clock.restart(2.0)
    for number, (stamp, pause) in enumerate(frames):
        arrival += pause
        now = clock.seconds(stamp, arrival)
        assert now > before
        assert now == pytest.approx(arrival - 1000 - frames[0][1], abs=2.0 + 0.002 * (number + 1))
        before = now


def test_time_follows_the_stamps_and_not_the_jitter_of_their_arrival():
    clock = StreamClock()
    clock.restart(2.0)
    times = [clock.seconds(7 + k / 25, 100 + k / 25 + jitter) for k, jitter in enumerate([0, 0.3, 0.1, 0.5, 0])]
    assert times == pytest.approx([k / 25 for k in range(5)])


def test_stamps_that_begin_anew_go_on_from_the_arrival():
    clock = StreamClock()
    clock.restart(2.0)
    assert clock.seconds(500.0, 10.0) == 0
    clock.restart(2.0)
    assert clock.seconds(3.0, 14.0) == 4
    assert clock.seconds(3.5, 14.4) == 4.5
    assert clock.seconds(9e4, 15.0) == 5, "a jump of a day was believed"


def test_a_file_plays_every_frame_once_at_its_own_times(tmp_path):
    encode(str(tmp_path / "a.mp4"), range(8), format="mp4")
    with reading(str(tmp_path / "a.mp4")) as (source, arrivals):
        began = time.monotonic()
        got = list(arrivals)
        assert time.monotonic() - began >= 7 / 25
    assert [number_of(upright_rgb(a.frame)) for a in got] == list(range(8))
    assert [a.time_seconds for a in got] == pytest.approx([k / 25 for k in range(8)], abs=1e-3)
    assert (source.state, source.reconnects) == ("ended", 0)


def test_a_looped_file_begins_again_and_its_time_goes_on(tmp_path):
    encode(str(tmp_path / "a.mp4"), range(3), format="mp4")
    with reading(str(tmp_path / "a.mp4"), loop=True) as (source, arrivals):
        got = [next(arrivals) for _ in range(8)]
        assert source.reconnects == 0
    assert [number_of(upright_rgb(a.frame)) for a in got] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert all(a.time_seconds < b.time_seconds for a, b in pairwise(got))


def test_a_stream_that_is_cut_is_opened_again():
    with (
        http_stream([mpegts(range(10))], [], [mpegts(range(20, 30))]) as server,
        reading(server.url) as (source, arrivals),
    ):
        got = numbers(arrivals, 20)
        assert got == [*range(10), *range(20, 30)]
        assert server.connections == 3, "the one that was cut at once was not tried again"
        assert source.reconnects == 1


def test_time_goes_on_across_a_reconnect():
    with http_stream([mpegts(range(5))], [mpegts(range(5))]) as server, reading(server.url) as (_, arrivals):
        times = [next(arrivals).time_seconds for _ in range(10)]
    assert times == sorted(set(times))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + NEVER
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_stream_that_stalls_is_seen_to_and_opened_again():
    silent, again = threading.Event(), threading.Event()
    with (
        http_stream([mpegts(range(10)), silent], [again, mpegts(range(20, 30))]) as server,
        reading(server.url, stall_seconds=0.3) as (source, arrivals),
    ):
        assert numbers(arrivals, 8) == list(range(8))
        assert (source.state, source.trouble) == ("live", None)
        found: list[int] = []
        reader = threading.Thread(target=lambda: found.extend(numbers(arrivals, 6)))
        reader.start()
        wait_until(lambda: source.state == "reconnecting")
        assert source.trouble == "nothing came for 0.3 s"
        again.set()
        reader.join()
        silent.set()
        assert {20, 21, 22} <= set(found)
        assert (source.state, source.trouble, source.reconnects) == ("live", None, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_that_falls_silent_is_stalled_and_then_live_again(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found: list[int] = []
    with reading(str(tmp_path / "pipe"), stall_seconds=0.1) as (source, arrivals):
        reader = threading.Thread(target=lambda: found.extend(numbers(arrivals)))
        reader.start()
        with (tmp_path / "pipe").open("wb") as file:
            file.write(mpegts(range(10)))
            file.flush()
            wait_until(lambda: source.state == "stalled")
            file.write(mpegts(range(10, 20), first_pts=10))
            file.flush()
            wait_until(lambda: source.state == "live")
        reader.join()
    assert found == list(range(20))


def test_a_stream_that_changes_its_size_goes_on():
    data = mpegts(range(5)) + mpegts(range(5, 10), size=(128, 160), first_pts=5)
    with http_stream([data]) as server, reading(server.url) as (source, arrivals):
        got = [upright_rgb(next(arrivals).frame) for _ in range(10)]
    assert [number_of(rgb) for rgb in got] == list(range(10))
    assert [rgb.shape[:2] for rgb in got] == [(64, 96)] * 5 + [(128, 160)] * 5
    assert source.reconnects == 0


def test_moving_jpegs_over_http_are_a_source_too():
    with (
        http_stream([mjpeg(range(40))], kind="multipart/x-mixed-replace; boundary=part") as server,
        reading(server.url) as (_, arrivals),
    ):
        got = numbers(arrivals, 30)
    assert got == list(range(30))


def test_damaged_bytes_midway_do_not_end_a_stream():
    data = mpegts(range(10)) + b"\xff\x00broken" * 500 + mpegts(range(10, 20), first_pts=10)
    with http_stream([data]) as server, reading(server.url) as (source, arrivals):
        got = numbers(arrivals, 18)
    assert set(range(13, 18)) <= set(got)
    assert source.reconnects == 0


def test_an_rtsp_camera_is_watched_over_tcp_and_opened_again():
    with rtsp_server(range(10), range(20, 30)) as server:
        with reading(f"rtsp://127.0.0.1:{server.port}/camera") as (source, arrivals):
            got = numbers(arrivals, 15)
        assert got[:9] == list(range(9))
        assert 20 in got
        assert source.reconnects == 1
        assert sum(request.startswith("PLAY") for request in server.requests) == 2


def test_a_source_that_is_not_there_is_said_with_what_to_check():
    with http_stream() as server:
        address = server.url.replace("http://", "http://me:secret@")
    with reading(address) as (_, arrivals), pytest.raises(VideoError, match="onnection refused") as error:
        next(arrivals)
    assert "secret" not in str(error.value)
    assert "ffprobe http://me:***@" in error.value.remedy


def test_a_source_that_accepts_and_says_nothing_is_given_up_at_its_first_opening(monkeypatch):
    monkeypatch.setattr(stream_module, "OPENING_SECONDS", 0.3)
    with (
        http_stream([threading.Event()]) as server,
        reading(server.url) as (_, arrivals),
        pytest.raises(VideoError, match=r"nothing came for 0\.3 s"),
    ):
        next(arrivals)


def test_a_stream_that_stays_away_is_given_up_after_the_time_that_was_allowed():
    with http_stream([mpegts(range(5))]) as server, reading(server.url, give_up_seconds=0.2) as (source, arrivals):
        assert numbers(arrivals) == list(range(5))
        assert source.gave_up
        assert source.state == "ended"
        assert "refused" in (source.trouble or "")


def test_stop_ends_a_source_that_is_being_waited_for(monkeypatch):
    monkeypatch.setattr(stream_module, "FIRST_PAUSE_SECONDS", NEVER)
    with http_stream([mpegts(range(5))]) as server, reading(server.url) as (source, arrivals):
        thread = threading.Thread(target=lambda: numbers(arrivals))
        thread.start()
        wait_until(lambda: source.state == "reconnecting")
        source.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read_to_its_end_which_is_the_only_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        with (tmp_path / "pipe").open("wb") as file:
            file.write(mpegts(range(12)))

    writer = threading.Thread(target=write)
    with reading(str(tmp_path / "pipe")) as (source, arrivals):
        writer.start()
        assert numbers(arrivals) == list(range(12))
        assert source.state == "ended"
    writer.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_stop_ends_a_pipe_that_nobody_writes_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    source = LiveSource(source_of(str(tmp_path / "pipe")))
    thread = threading.Thread(target=lambda: list(source.arrivals()))
    thread.start()
    source.stop()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.skipif(not Path("/dev").is_dir() or Path("/dev/video97").exists(), reason="no such camera is needed")
def test_a_camera_that_is_absent_is_said_with_what_to_check():
    with reading("97") as (_, arrivals), pytest.raises(VideoError, match="camera 97") as error:
        next(arrivals)
    assert "Plug it in" in error.value.remedy


def test_a_file_that_is_no_video_is_said_as_everywhere(tmp_path):
    (tmp_path / "a.mp4").write_text("text")
    with reading(str(tmp_path / "a.mp4")) as (_, arrivals), pytest.raises(CuemaskError, match="a text file"):
        next(arrivals)


def test_a_playlist_from_the_network_cannot_name_a_file_of_this_machine(tmp_path):
    (tmp_path / "secret.ts").write_bytes(mpegts(range(30)))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{tmp_path}/secret.ts\n#EXT-X-ENDLIST\n"
    with (
        http_stream([playlist.encode()], kind="application/vnd.apple.mpegurl") as server,
        reading(server.url) as (_, arrivals),
        pytest.raises(VideoError),
    ):
        next(arrivals)
