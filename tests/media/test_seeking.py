from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from cuemask.errors import InputError, VideoError
from cuemask.media.clips import open_clips
from cuemask.media.decoding import OpenVideo
from cuemask.media.lookup import lookup_of
from cuemask.media.seeking import SeekableVideo, VideoFrames
from cuemask.media.upright import upright_rgb

from .conftest import write_picture, write_video

# Where to jump, so that steps forward, back, far, near and to both ends occur.
JUMPS = (7, 8, 9, 29, 0, 13, 12, 25, 26, 3, 29, 1)


def in_order(path) -> dict[int, np.ndarray]:
    with OpenVideo(path) as video:
        return {number: upright_rgb(frame) for number, _, frame in video.from_first() if frame is not None}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("b_frames.mp4", {"x264-params": "bframes=3:b-adapt=0"}),
        ("one_key_frame.mkv", {"key_every": 300}),
        ("open_gop.mp4", {"x264-params": "bframes=2:open-gop=1:keyint=6:scenecut=0"}),
        ("stream.ts", {}),
        ("uneven.mkv", {"stamps": [number * 3 + number % 3 for number in range(30)]}),
        ("no_numbers.avi", {"codec": "mpeg4"}),
        ("raw.h264", {}),
    ],
)
def test_a_frame_by_number_is_the_one_that_the_stream_gives_under_that_number(tmp_path, name, options):
    path = write_video(tmp_path / name, 30, rate=Fraction(25), **options)
    expected = in_order(path)
    assert len(expected) == 30
    frames = VideoFrames(path)
    for number in JUMPS:
        assert np.array_equal(frames.rgb(number), expected[number]), number
    frames.close()


def test_going_on_decodes_each_frame_once_and_a_jump_begins_at_the_key_frame_before(tmp_path, monkeypatch):
    frames = VideoFrames(write_video(tmp_path / "a.mp4", 60, key_every=12))
    entered: list[int] = []
    enter = SeekableVideo.from_number
    monkeypatch.setattr(SeekableVideo, "from_number", lambda self, i, n: (entered.append(n), enter(self, i, n))[1])
    for number in (20, 21, 22, 23):
        frames.rgb(number)
    assert entered == [20]
    frames.rgb(50)
    assert entered == [20, 50]
    frames.close()


def test_a_frame_that_a_video_has_not_is_told_and_the_next_one_is_there(tmp_path):
    path = write_video(tmp_path / "a.mp4", 12)
    frames = VideoFrames(path)
    for number in (12, -1, 400):
        with pytest.raises(VideoError, match="cannot be decoded"):
            frames.rgb(number)
    assert np.array_equal(frames.rgb(3), in_order(path)[3])
    frames.close()


def test_pictures_are_found_by_name_and_only_those_that_are_taken(folder):
    (clip,) = open_clips([folder])
    pictures = lookup_of(clip)
    streamed = {frame.name: frame.rgb for frame in clip.frames()}
    for name in ("frame_10", "frame_2"):
        assert np.array_equal(pictures.rgb(name), streamed[name])
    with pytest.raises(InputError, match="has no frame frame_99"):
        pictures.rgb("frame_99")
    pictures.close()


def test_a_video_is_looked_up_by_the_names_that_its_masks_have(tmp_path):
    (clip,) = open_clips([write_video(tmp_path / "a.mp4", 12)])
    frames = lookup_of(clip)
    streamed = {frame.name: frame.rgb for frame in clip.frames()}
    assert np.array_equal(frames.rgb("000007"), streamed["000007"])
    with pytest.raises(InputError, match=r"has no frame \.\./x"):
        frames.rgb("../x")
    frames.close()


def test_a_path_is_no_name(tmp_path):
    write_picture(tmp_path / "case" / "a.png", 1)
    write_picture(tmp_path / "other" / "b.png", 2)
    (clip,) = open_clips([tmp_path / "case"])
    with pytest.raises(InputError, match="has no frame"):
        lookup_of(clip).rgb("../other/b")
