"""Videos on a web server that gives ranges."""

from __future__ import annotations

import logging
import pickle
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from cuemask.errors import InputError, InstallationError, VideoError
from cuemask.media.clips import open_clips
from cuemask.media.frames import Selection
from cuemask.media.stores import StoredPath, is_address, place_of
from cuemask.phantom import PhantomScene, write_phantom
from cuemask.studies.videos import videos_of


class Store(ThreadingHTTPServer):
    """One object; counts the bytes that it gave, and may break off."""

    content = b""
    given = 0
    is_broken = False


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        store = self.server
        assert isinstance(store, Store)
        first, last = 0, len(store.content) - 1
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if store.is_broken or not self.path.startswith("/day/op1.mp4"):
            self.send_response(503 if store.is_broken else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if found:
            first, last = int(found[1]), min(last, int(found[2] or last))
        self.send_response(206 if found else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("ETag", '"1"')
        if found:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(store.content)}")
        self.end_headers()
        if with_body:
            store.given += last - first + 1
            self.wfile.write(store.content[first : last + 1])

    def log_message(self, format: str, *args: object) -> None:
        logging.getLogger(__name__).debug(format, *args)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    return write_phantom(folder, 8, PhantomScene(seed=1, height_px=64, width_px=80)).video


@pytest.fixture
def store(video: Path) -> Iterator[Store]:
    pytest.importorskip("aiohttp", reason="no aiohttp: pip install 'cuemask[stores]'")
    with Store(("127.0.0.1", 0), Answer) as server:
        server.content = video.read_bytes()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(store: Store, name: str = "op1.mp4") -> str:
    return f"http://127.0.0.1:{store.server_address[1]}/day/{name}"


def test_a_stored_video_gives_the_frames_of_the_file(store: Store, video: Path) -> None:
    for selection in (Selection(), Selection(start_seconds=0.15)):
        (clip,), (own,) = open_clips([address(store)], selection), open_clips([video], selection)
        for found, expected in zip(clip.frames(), own.frames(), strict=True):
            assert found.name == expected.name
            np.testing.assert_array_equal(found.rgb, expected.rgb)
    assert (clip.name, clip.source) == ("op1", address(store))
    assert len(clip.sha256()) == 64
    assert clip.sha256() != own.sha256()


def test_a_long_object_is_read_by_range_and_not_copied_whole(store: Store) -> None:
    ahead = int.to_bytes(40 << 20, 4, "big") + b"free" + bytes((40 << 20) - 8)
    store.content = store.content[:32] + ahead + store.content[32:]  # 40 MB between the header and the rest
    if store.content[4:8] != b"ftyp" or int.from_bytes(store.content[:4], "big") != 32:
        pytest.skip("another layout than expected")
    path = place_of(address(store))
    with path.open("rb") as file:
        assert file.read(8)[4:] == b"ftyp"
        file.seek(-8, 2)
        assert file.read() == store.content[-8:]
    assert store.given < 8 << 20
    assert path.stat().st_size == len(store.content)


def test_an_object_that_is_not_there_and_a_store_that_breaks_off_are_told(store: Store) -> None:
    with pytest.raises(InputError, match="the store does not give it"):
        open_clips([address(store, "none.mp4")])
    (clip,) = open_clips([address(store)])
    store.is_broken = True
    with pytest.raises((InputError, VideoError)) as told:
        list(clip.frames())
    assert address(store) in str(told.value)


def test_a_store_without_its_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(address: str) -> None:
        raise ImportError(f"{address}: install s3fs")

    monkeypatch.setattr("fsspec.url_to_fs", lacks)
    with pytest.raises(InstallationError, match="its store needs a library") as told:
        open_clips(["s3://bucket/op.mp4"])
    assert "s3fs" in told.value.remedy


def test_a_stream_is_no_store() -> None:
    with pytest.raises(InputError, match="no such kind of store is known") as told:
        open_clips(["rtsp://host/camera"])
    assert "cuemask live" in told.value.remedy


def test_what_is_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_address("https://host/a.mp4")
    assert not is_address("c:/videos/a.mp4")
    assert not is_address("12:30.mp4")
    told = "https://host/day/op%201.mp4?sign=a//b"
    path = place_of(told)
    assert isinstance(path, StoredPath)
    assert str(path) == str(pickle.loads(pickle.dumps(path))) == told
    assert str(path.parent) == "https://host/day/op%201.mp4?sign=a"
    assert str(place_of("s3://bucket/op.mp4")) == "s3://bucket/op.mp4"
    assert place_of(path) is path or place_of(path) == path
    assert not isinstance(place_of("a.mp4"), StoredPath)


def test_a_manifest_may_name_addresses(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("s3://bucket/day1/op.mp4\nday2/op.mp4\n")
    found = videos_of(tmp_path / "list.txt")
    assert [(video.name, video.source) for video in found] == [
        ("day1_op", "s3://bucket/day1/op.mp4"),
        ("day2_op", str(tmp_path / "day2" / "op.mp4")),
    ]
