"""Which track is the video, and which way up it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cuemask.errors import VideoError
from cuemask.media.clips import Clip, open_clips

from ..numbered import number_of, numbered

Draw = Callable[..., Path]


def write_tracks(path: Path, tracks: Sequence[tuple[str, int, tuple[int, int]]], *, sound: bool = False) -> Path:
    """A file with video tracks of (codec, frames, (height, width)); each frame shows its number."""
    with av.open(str(path), "w") as container:
        streams: list[Any] = []
        for codec, _, (height, width) in tracks:
            stream: Any = container.add_stream(codec, rate=25)
            stream.height, stream.width = height, width
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            streams.append(stream)
        if sound:
            audio: Any = container.add_stream("aac", rate=8000, layout="mono")
            for part in range(10):
                heard = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 8000, part * 1024
                container.mux(audio.encode(heard))
            container.mux(audio.encode(None))
        for stream, (_, count, size) in zip(streams, tracks, strict=True):
            for number in range(count):
                frame = av.VideoFrame.from_ndarray(numbered(number, *size)).reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def opened(path: Path) -> Clip:
    (clip,) = open_clips([path])
    return clip


@pytest.mark.parametrize(
    ("tracks", "taken"),
    [
        ([("mjpeg", 1, (128, 128)), ("libx264", 12, (64, 96))], 1),  # a cover that nothing marks, larger than the video
        ([("libx264", 12, (32, 48)), ("libx264", 12, (64, 96))], 1),
        ([("libx264", 12, (64, 96)), ("libx264", 12, (32, 48))], 0),
    ],
)
def test_of_several_tracks_the_one_that_ffmpeg_takes_is_the_video_and_the_others_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tracks: list[tuple[str, int, tuple[int, int]]], taken: int
) -> None:
    path = write_tracks(tmp_path / "op.mp4" if taken == 0 else tmp_path / "op.mkv", tracks)
    with caplog.at_level(logging.WARNING):
        clip = opened(path)
        frames = list(clip.frames())
    assert (clip.height_px, clip.width_px) == (64, 96)
    assert [number_of(frame.rgb) for frame in frames] == list(range(12))
    (record,) = caplog.records
    left = tracks[1 - taken]
    assert f"2 video tracks; taken is track {taken} (h264, 96x64), left out track {1 - taken}" in record.getMessage()
    assert f"{left[2][1]}x{left[2][0]}" in record.getMessage()


def test_sound_before_the_video_costs_no_frame_of_it(tmp_path: Path) -> None:
    clip = opened(write_tracks(tmp_path / "op.mkv", [("libx264", 12, (64, 96))], sound=True))
    assert [number_of(frame.rgb) for frame in clip.frames()] == list(range(12))
    assert clip.lost == set()


def test_sound_with_a_picture_is_no_video(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "song.mkv", [("mjpeg", 1, (64, 96))], sound=True)
    with pytest.raises(VideoError, match=r"no video stream that can be decoded \(.*audio"):
        opened(path)


def test_one_track_of_pictures_without_sound_is_a_video(tmp_path: Path) -> None:
    assert len(list(opened(write_tracks(tmp_path / "op.mkv", [("mjpeg", 1, (64, 96))])).frames())) == 1


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turned_and_mirrored_tracks_come_as_ffmpeg_shows_them(
    tmp_path: Path, draw_video: Draw, mirrored: bool, quarters: int
) -> None:
    """The matrix takes a pixel at (x, y) to (a x + c y, b x + d y)."""
    turn = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), quarters)  # one quarter clockwise
    linear = (np.diag([-1, 1]) if mirrored else np.eye(2, dtype=int)) @ turn
    corners = np.zeros((32, 48, 3), np.uint8)
    corners[:16, :24], corners[:16, 24:], corners[16:, :24] = 80, 160, 240
    path = draw_video(tmp_path / "plain.mp4", 3, size=(32, 48), draw=lambda *_: corners)
    target = _with_matrix(path, tmp_path / "op.mp4", linear)
    expected = np.rot90(corners[:, ::-1] if mirrored else corners, -quarters)
    clip = opened(target)
    rgb = next(clip.frames()).rgb
    assert rgb.shape == expected.shape == (clip.height_px, clip.width_px, 3)
    assert np.abs(rgb.astype(int) - expected).mean() < 8


def _with_matrix(source: Path, target: Path, linear: np.ndarray) -> Path:
    """Write a display matrix into a video's track header: nine numbers behind its alternate group and volume."""
    data = bytearray(source.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    (a, b), (c, d) = (linear * 65536).tolist()
    for offset, value in enumerate((a, b, 0, c, d, 0, 0, 0, 1 << 30)):
        data[place + 4 * offset : place + 4 * offset + 4] = int(value).to_bytes(4, "big", signed=True)
    target.write_bytes(data)
    return target


def test_pixels_that_are_no_squares_are_told_as_they_stand_in_the_upright_picture(
    tmp_path: Path, draw_video: Draw
) -> None:
    path = draw_video(tmp_path / "op.mp4", 3, pixel_aspect=Fraction(4, 3))
    assert opened(path).pixel_aspect == Fraction(4, 3)
    assert opened(_with_matrix(path, tmp_path / "turned.mp4", np.array([[0, 1], [-1, 0]]))).pixel_aspect == Fraction(
        3, 4
    )
    assert opened(draw_video(tmp_path / "plain.mp4", 3)).pixel_aspect == 1


def test_films_that_were_put_one_behind_the_other_are_told(
    tmp_path: Path, draw_video: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = draw_video(tmp_path / "one.mp4", 6), draw_video(tmp_path / "other.mp4", 4, faststart=False)
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(one.read_bytes() + other.read_bytes() + other.read_bytes())
    assert len(list(open_clips([joined])[0].frames())) == 6
    assert f"{joined}: 3 films one behind the other in one file, of which only the first can be read." in caplog.text
    caplog.clear()
    for path in (one, other, draw_video(tmp_path / "op.mkv", 4)):
        list(open_clips([path])[0].frames())
    assert not caplog.records
