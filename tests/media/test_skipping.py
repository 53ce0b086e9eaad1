"""`--every` and `--fps` decode less than the whole video, and give what the whole one gives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cuemask.media import skipping
from cuemask.media.decoding import OpenVideo
from cuemask.media.frames import Frame, Selection
from cuemask.media.skipping import CannotSkipError, SkippingVideo
from cuemask.media.upright import upright_rgb
from cuemask.media.video import video_frames

from .conftest import write_video

COUNT = 60
SELECTIONS = (
    Selection(every=5),
    Selection(every=13, start_seconds=0.3),
    Selection(every=25),
    Selection(frames_per_second=10.0),
    Selection(frames_per_second=3.0, start_seconds=0.7, end_seconds=1.9),
)
# What of 60 frames is decoded for every 25th of them, three frames; None where all are.
VIDEOS = {
    "closed.mp4": ({}, 8),
    "b_frames.mkv": ({"x264-params": "bframes=8:b-adapt=0:b-pyramid=normal"}, 10),
    "one_key_frame.mkv": ({"key_every": 300}, 52),
    "open_gop.mp4": ({"x264-params": "bframes=2:open-gop=1:keyint=6:scenecut=0"}, 8),
    "hevc.mp4": ({"codec": "libx265", "x265-params": "log-level=none:keyint=8:bframes=3"}, 8),
    "mpeg2.mkv": ({"codec": "mpeg2video", "bf": "2"}, 8),
    "turned.mp4": ({"rotation": 90}, 8),
    "uneven.mkv": ({"stamps": [number * 3 + number % 3 for number in range(COUNT)]}, 8),
    "vp9.webm": ({"codec": "libvpx-vp9", "speed": "4", "auto-alt-ref": "1", "lag-in-frames": "16"}, 6),
    "av1.mkv": ({"codec": "libsvtav1", "preset": "12", "svtav1-params": "keyint=20"}, 18),
    "intra.mkv": ({"codec": "mjpeg", "pix_fmt": "yuvj420p"}, 3),
    "ffv1.mkv": ({"codec": "ffv1", "key_every": 5}, 3),
    "mended.mkv": ({"x264-params": "intra-refresh=1:keyint=10:bframes=0"}, None),
    "interlaced.mkv": ({"x264-params": "tff=1:bframes=2"}, None),
    "stream.ts": ({}, None),
    "raw.h264": ({}, None),
}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """How many packets were decoded of each video that was begun; None where it was decoded whole."""
    found: list[int | None] = []
    select = SkippingVideo.selected

    def spied(self: SkippingVideo, selection: Selection) -> Iterator[object]:
        try:
            yield from select(self, selection)
            found.append(self.decoded)
        except CannotSkipError:
            found.append(None)
            raise

    monkeypatch.setattr(SkippingVideo, "selected", spied)
    return found


def whole(path: Path, selection: Selection, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Frame], set[int], set[int]]:
    """The frames of a selection, the lost and the damaged, of the video decoded from its first frame to its last."""

    def refuse(*_: object) -> Iterator[object]:
        raise CannotSkipError
        yield

    lost, damaged = set[int](), set[int]()
    with monkeypatch.context() as patched:
        patched.setattr(SkippingVideo, "selected", refuse)
        return list(video_frames(path, selection, lost, damaged)), lost, damaged


def assert_same(found: list[Frame], expected: list[Frame]) -> None:
    told = [(frame.name, frame.index, frame.time_seconds, frame.place) for frame in found]
    assert told == [(frame.name, frame.index, frame.time_seconds, frame.place) for frame in expected]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.rgb, other.rgb), one.name


@pytest.mark.parametrize("name", VIDEOS)
def test_what_a_selection_takes_is_what_a_whole_decode_gives(tmp_path, name, decoded):
    options, least = VIDEOS[name]
    path = write_video(tmp_path / name, COUNT, rate=Fraction(25), **options)
    with OpenVideo(path) as video:
        frames = [(number, time, upright_rgb(frame)) for number, time, frame in video.from_first() if frame is not None]
        rate = video.frame_rate
    assert len(frames) == COUNT
    for selection in SELECTIONS:
        found = [(frame.index, frame.time_seconds, frame.rgb) for frame in video_frames(path, selection)]
        expected = list(selection.take(iter(frames), rate))
        assert [one[:2] for one in found] == [(number, float(time)) for number, time, _ in expected], selection
        assert all(np.array_equal(one[2], other[2]) for one, other in zip(found, expected, strict=True)), selection
    assert decoded[2] == least
    assert least is None or None not in decoded
    assert least is None or decoded[0] < COUNT


def test_what_a_file_calls_a_key_frame_and_is_none_is_decoded_from_the_true_one_on(tmp_path, monkeypatch, decoded):
    path = write_video(tmp_path / "true.mp4", COUNT, rate=Fraction(25), codec="mpeg4", key_every=300)
    with av.open(str(path)) as true, av.open(str(tmp_path / "lie.mp4"), "w") as lie:
        stream = lie.add_stream_from_template(true.streams.video[0])
        for number, packet in enumerate(packet for packet in true.demux(video=0) if packet.size):
            packet.stream, packet.is_keyframe = stream, number % 10 == 0
            lie.mux(packet)
    expected, *_ = whole(tmp_path / "lie.mp4", Selection(every=25), monkeypatch)
    assert_same(list(video_frames(tmp_path / "lie.mp4", Selection(every=25))), expected)
    assert decoded == [None]


def noise(number: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


GIVEN_UP = """
import sys
from pathlib import Path

from cuemask.media.frames import Selection
from cuemask.media.skipping import SkippingVideo

for number in range(100):
    with SkippingVideo(Path(sys.argv[1])) as video:
        frames = video.selected(Selection(every=2 + number % 9))
        for _ in range(1 + number % 4):
            next(frames)
        if number % 2:
            frames.close()
    del frames, video
"""


def test_a_video_that_is_given_up_midway_is_closed_though_its_decoder_is_at_work(tmp_path):
    # Without emptying the decoder first it waits for a thread, which waits for Python's lock, within some thirty.
    options = {"codec": "libx265", "key_every": 300, "preset": "ultrafast", "x265-params": "log-level=none"}
    path = write_video(tmp_path / "a.mp4", 100, draw=noise, **options)
    subprocess.run([sys.executable, "-c", GIVEN_UP, str(path)], check=True, timeout=120)


def test_nothing_is_read_behind_the_end(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", 120, rate=Fraction(25))
    read: list[int] = []
    packets = SkippingVideo._packets
    monkeypatch.setattr(
        SkippingVideo, "_packets", lambda self: (read.append(packet.pts or 0) or packet for packet in packets(self))
    )
    assert len(list(video_frames(path, Selection(every=5, end_seconds=1.0)))) == 5
    assert len(read) <= 3 * 12 + 1, "more than the group behind the last frame was read"


@pytest.mark.parametrize("position", [0.3, 0.6, 0.98])
@pytest.mark.parametrize("selection", [Selection(every=4), Selection(frames_per_second=6.0)])
def test_of_a_damaged_video_the_same_is_given_lost_and_doubted(tmp_path, selection, position, monkeypatch, decoded):
    path = write_video(tmp_path / "a.mp4", COUNT, rate=Fraction(25), size=(96, 128))
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    begin, size = places[int(position * len(places))]
    data[begin + 4 : begin + size] = bytes(size - 4)
    path.write_bytes(data)
    expected, lost, doubted = whole(path, selection, monkeypatch)
    also_lost, also_doubted = set[int](), set[int]()
    assert_same(list(video_frames(path, selection, also_lost, also_doubted)), expected)
    if decoded == [None]:
        assert (also_lost, also_doubted) == (lost, doubted)
    assert also_lost == lost


def test_a_cut_off_video_is_told_of_once_and_its_last_frame_is_not_lost_with_others(tmp_path, monkeypatch, caplog):
    path = write_video(tmp_path / "a.mp4", COUNT, rate=Fraction(25))
    right = list(video_frames(path, Selection(every=4)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    expected, _, _ = whole(path, Selection(every=4), monkeypatch)
    assert "is cut off or damaged" in caplog.text
    caplog.clear()
    found = list(video_frames(path, Selection(every=4)))
    assert caplog.text.count("is cut off or damaged") == 1
    assert len(expected) <= len(found) < len(right)
    assert_same(found, right[: len(found)])


def test_of_a_group_that_is_too_long_to_be_held_all_is_decoded(tmp_path, monkeypatch, decoded):
    monkeypatch.setattr(skipping, "_MOST_PACKETS", 20)
    path = write_video(tmp_path / "a.mp4", COUNT, rate=Fraction(25), key_every=30)
    assert [frame.index for frame in video_frames(path, Selection(every=20))] == [0, 20, 40]
    assert decoded == [None]
