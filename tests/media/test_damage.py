"""A frame keeps its number whatever else can be decoded, and what is lost is named."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cuemask.errors import VideoError
from cuemask.media.clips import Clip, Selection, open_clips
from cuemask.media.overlay import OverlayWriter
from cuemask.media.video import ranges

from ..numbered import numbered
from ..streams import mpegts

Draw = Callable[..., Path]
Damage = Callable[..., Path]
ReadNumber = Callable[[np.ndarray], int]

INTRA = {"key_every": 1}


def open_one(path: Path, **selection: float) -> Clip:
    (clip,) = open_clips([path], Selection(**selection))
    return clip


def numbers(clip: Clip) -> list[int]:
    return [frame.index for frame in clip.frames()]


def all_but(count: int, *lost: int) -> list[int]:
    return [number for number in range(count) if number not in lost]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("op.mkv", "libx264", INTRA),
        ("op.mp4", "libx264", INTRA),
        ("op.avi", "mjpeg", {"pix_fmt": "yuvj420p"}),
        ("op.avi", "mpeg4", {"key_every": 1}),
    ],
)
@pytest.mark.parametrize("zeroed", [(0,), (5,), (7, 8), (11,), (28,), (29,), (0, 14, 27)])
def test_a_packet_that_cannot_be_decoded_leaves_a_gap_and_renames_nothing(
    tmp_path: Path,
    draw_video: Draw,
    damage: Damage,
    read_number: ReadNumber,
    name: str,
    codec: str,
    options: dict[str, str],
    zeroed: tuple[int, ...],
) -> None:
    whole = draw_video(tmp_path / f"whole{Path(name).suffix}", 30, codec=codec, **options)
    clip = open_one(damage(whole, tmp_path / name, zeroed=zeroed))
    frames = list(clip.frames())
    assert [frame.index for frame in frames] == all_but(30, *zeroed)
    assert [read_number(frame.rgb) for frame in frames] == [frame.index for frame in frames]
    assert [frame.time_seconds for frame in frames] == pytest.approx([f.index / 25 for f in frames], abs=0.001)
    assert clip.lost == set(zeroed)


@pytest.mark.parametrize("start", [0.04, 0.2, 0.28, 0.5, 1.0])
def test_start_never_renames_a_frame_of_a_damaged_video(
    tmp_path: Path, draw_video: Draw, damage: Damage, read_number: ReadNumber, start: float
) -> None:
    path = damage(draw_video(tmp_path / "whole.mkv", 30, **INTRA), tmp_path / "op.mkv", zeroed=(5, 20))
    frames = list(open_one(path, start_seconds=start).frames())
    expected = [number for number in all_but(30, 5, 20) if number / 25 >= start - 0.0005]
    assert [frame.index for frame in frames] == expected
    assert [read_number(frame.rgb) for frame in frames] == expected


@pytest.mark.parametrize(
    ("name", "key"), [("op.mkv", 0), ("op.mkv", 12), ("op.mkv", 24), ("op.mp4", 0), ("op.mp4", 12), ("op.ts", 24)]
)
def test_frames_behind_a_damaged_key_frame_come_in_order_and_those_behind_the_next_are_right(
    tmp_path: Path, draw_video: Draw, damage: Damage, read_number: ReadNumber, name: str, key: int
) -> None:
    whole = draw_video(tmp_path / f"whole{Path(name).suffix}", 60, bf="3")
    clip = open_one(damage(whole, tmp_path / name, zeroed=(key,)))
    frames = list(clip.frames())
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    assert set(indices) | clip.lost == set(range(60))
    right = [frame for frame in frames if not key <= frame.index < key + 12 and frame.index != key - 1]
    assert len(right) >= 46
    assert [read_number(frame.rgb) for frame in right] == [frame.index for frame in right]


def test_times_out_of_order_are_put_in_order(tmp_path: Path, draw_video: Draw, damage: Damage) -> None:
    for ending, zeroed in (("mkv", (12,)), ("mkv", (13, 27, 43)), ("mkv", (48,)), ("ts", (11,)), ("ts", (12,))):
        whole = draw_video(tmp_path / f"whole.{ending}", 60, bf="3")
        frames = list(open_one(damage(whole, tmp_path / f"op.{ending}", zeroed=zeroed)).frames())
        times = [frame.time_seconds for frame in frames if frame.time_seconds is not None]
        assert times == pytest.approx([frame.index / 25 for frame in frames], abs=0.001)


def test_the_lost_are_named_in_a_warning_once_and_only_those_that_were_asked_for(
    tmp_path: Path, draw_video: Draw, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    path = damage(draw_video(tmp_path / "whole.mkv", 30, **INTRA), tmp_path / "op.mkv", zeroed=(5, 6, 7, 20))
    clip = open_one(path)
    with caplog.at_level(logging.WARNING):
        assert len(numbers(clip)) == len(numbers(clip)) == 26
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: 4 frames could not be decoded, no mask is made of them: 000005-000007, 000020."
    ]
    every = open_one(path, every=5)
    assert numbers(every) == [0, 10, 15, 25]
    assert ranges(every.lost) == ["000005", "000020"]
    by_rate = open_one(path, frames_per_second=5.0)
    assert numbers(by_rate) == [0, 8, 10, 15, 21, 25]  # the next one that there is takes a lost one's place
    assert by_rate.lost == set()


def test_places_count_what_is_lost(tmp_path: Path, draw_video: Draw, damage: Damage) -> None:
    path = damage(draw_video(tmp_path / "whole.mkv", 30, **INTRA), tmp_path / "op.mkv", zeroed=(10,))
    assert [(frame.index, frame.place) for frame in open_one(path, every=5).frames()] == [
        (0, 0),
        (5, 1),
        (15, 3),
        (20, 4),
        (25, 5),
    ]


def test_a_video_whose_selected_frames_are_all_lost_says_so(tmp_path: Path, draw_video: Draw, damage: Damage) -> None:
    path = damage(draw_video(tmp_path / "whole.mkv", 30, **INTRA), tmp_path / "op.mkv", zeroed=(0, 1, 2))
    with pytest.raises(VideoError, match=r"3 frames could not be decoded.*000000-000002"):
        open_one(path, end_seconds=0.12)


def test_what_a_broadcast_lost_on_its_way_is_told_by_the_hole_in_time(
    tmp_path: Path, draw_video: Draw, damage: Damage, read_number: ReadNumber
) -> None:
    path = damage(draw_video(tmp_path / "whole.ts", 40, **INTRA), tmp_path / "op.ts", dropped=(9, 10, 25))
    for start, lost in ((0.0, {9, 10, 25}), (0.2, {9, 10, 25}), (0.44, {25}), (1.04, set[int]())):
        clip = open_one(path, start_seconds=start)
        frames = list(clip.frames())
        assert [frame.index for frame in frames] == [n for n in all_but(40, 9, 10, 25) if n / 25 >= start]
        assert [read_number(frame.rgb) for frame in frames] == [frame.index for frame in frames]
        assert clip.lost == lost


def test_packets_that_a_damaged_matroska_file_swallows_are_counted(
    tmp_path: Path, draw_video: Draw, read_number: ReadNumber
) -> None:
    """Zeros over the headers of blocks: the reader goes on at the next cluster."""
    noise = np.random.default_rng(0)

    def draw(number: int, height: int, width: int) -> np.ndarray:
        rgb = numbered(number, height, width)
        rgb[-24:] = noise.integers(0, 256, (24, width, 3))
        return rgb

    path = draw_video(tmp_path / "op.mkv", 60, draw=draw, key_every=5, cluster_time_limit="200")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    clip = open_one(path)
    frames = list(clip.frames())
    assert frames[-1].index == 59
    assert {frame.index for frame in frames} | clip.lost == set(range(60))
    assert [read_number(f.rgb) for f in frames if f.index > 40] == [f.index for f in frames if f.index > 40]


def test_frames_left_out_by_the_recorder_of_a_whole_file_are_no_gap(tmp_path: Path, draw_video: Draw) -> None:
    clip = open_one(draw_video(tmp_path / "op.mkv", 8, stamps=[0, 1, 2, 10, 11, 30, 31, 60]))
    assert numbers(clip) == list(range(8))
    assert clip.lost == set()


@pytest.mark.parametrize("name", ["op.h264", "op.avi"])
def test_without_time_stamps_numbers_are_right_again_behind_the_damage(
    tmp_path: Path, draw_video: Draw, damage: Damage, read_number: ReadNumber, name: str
) -> None:
    whole = draw_video(tmp_path / f"whole{Path(name).suffix}", 60, bf="2")
    if name == "op.avi":
        path = damage(whole, tmp_path / name, zeroed=(21,))
        frames = list(open_one(path).frames())
        right = [frame for frame in frames if frame.index >= 24]
        assert [read_number(frame.rgb) for frame in right] == list(range(24, 60))
    times = [frame.time_seconds for frame in open_one(whole).frames()]
    assert times == pytest.approx([number / 25 for number in range(60)])


def test_mkv_says_that_it_is_cut_off_even_where_little_is_missing(
    tmp_path: Path, draw_video: Draw, caplog: pytest.LogCaptureFixture
) -> None:
    path = draw_video(tmp_path / "op.mkv", 60, **INTRA)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 4 // 5])
    with caplog.at_level(logging.WARNING):
        frames = numbers(open_one(path))
    assert 40 < len(frames) < 60
    assert "decoded of 60 that its header promises" in caplog.text


def test_time_goes_on_where_two_recordings_were_joined(
    tmp_path: Path, draw_video: Draw, read_number: ReadNumber
) -> None:
    def second(number: int, height: int, width: int) -> np.ndarray:
        return numbered(number + 10, height, width)

    for options in ({"bf": "0"}, {"bf": "2"}):
        parts = [
            draw_video(tmp_path / "a.ts", 10, **options),
            draw_video(tmp_path / "b.ts", 10, draw=second, **options),
        ]
        path = tmp_path / "cat.ts"
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        for start in (0.0, 0.12, 0.36, 0.4, 0.52, 0.76):
            frames = list(open_one(path, start_seconds=start).frames())
            assert [frame.index for frame in frames] == list(range(round(start * 25), 20))
            assert [read_number(frame.rgb) for frame in frames] == [frame.index for frame in frames]
            assert [frame.time_seconds for frame in frames] == pytest.approx([f.index / 25 for f in frames])


@pytest.mark.parametrize("first_pts", [900_000, 60])
def test_a_leap_in_time_is_another_recording_where_frames_follow_without_a_hole(
    tmp_path: Path, read_number: ReadNumber, first_pts: int
) -> None:
    """Ten hours are no damage, and no 900,000 lost frames; two seconds may be one."""
    path = tmp_path / "leap.ts"
    path.write_bytes(mpegts(range(6)) + mpegts(range(6, 12), first_pts=first_pts))
    after = 6 if first_pts > 1000 else first_pts
    for start in (0.0, 0.2):
        clip = open_one(path, start_seconds=start)
        frames = list(clip.frames())
        expected = [n for n in (*range(6), *range(after, after + 6)) if n >= start * 25]
        assert [frame.index for frame in frames] == expected
        assert [read_number(frame.rgb) for frame in frames] == list(range(12 - len(expected), 12))
        assert len(clip.lost) == after - 6
        assert [frame.time_seconds for frame in frames] == pytest.approx([number / 25 for number in expected])


def test_a_picture_that_changes_its_size_is_refused_with_where_and_both_parts_can_be_had(
    tmp_path: Path, draw_video: Draw
) -> None:
    parts = [draw_video(tmp_path / "a.ts", 5, size=(32, 48)), draw_video(tmp_path / "b.ts", 10, size=(64, 96))]
    path = tmp_path / "op.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    clip = open_one(path)
    for stream in (clip.frames, clip.sample):
        with pytest.raises(VideoError, match=r"changes from 48x32 to 96x64 pixels at frame 000005 \(0.2 s\)") as error:
            list(stream())
    assert error.value.remedy.startswith("Take each stretch by itself: --end 0.2 in one run, --start 0.2 in another")
    first, second = open_one(path, end_seconds=0.2), open_one(path, start_seconds=0.2)
    assert [frame.rgb.shape for frame in first.frames()] == [(32, 48, 3)] * 5
    assert [(frame.index, frame.rgb.shape) for frame in second.frames()] == [(n, (64, 96, 3)) for n in range(5, 15)]


def test_ranges_name_runs_of_frames() -> None:
    assert ranges([]) == []
    assert ranges([7, 5, 6, 20]) == ["000005-000007", "000020"]


def test_the_overlay_keeps_the_pace_of_the_video_over_a_gap(tmp_path: Path) -> None:
    with OverlayWriter(tmp_path / "o.mp4", Fraction(25)) as video:
        for place in (0, 1, 4):
            video.write(np.zeros((32, 32, 3), np.uint8), place)
    with av.open(str(tmp_path / "o.mp4")) as written:
        assert [frame.time for frame in written.decode(video=0)] == pytest.approx([0, 0.04, 0.16])


@pytest.mark.parametrize(
    ("options", "harm", "lost"),
    [
        ({"g": "1", "slicecrc": "1", "level": "3"}, {"zeroed": (5,)}, {5}),
        ({"g": "1", "slicecrc": "1", "level": "3"}, {"flipped": (0, 5)}, {0, 5}),
        ({"g": "1", "slicecrc": "0", "level": "3"}, {"zeroed": (5,)}, {5}),
        ({"g": "1", "level": "1"}, {"zeroed": (5,)}, {5}),
        ({"g": "4", "slicecrc": "1", "level": "3"}, {"flipped": (5,)}, {5, 6, 7}),  # each goes on from the one before
    ],
)
def test_damaged_packets_of_ffv1_are_lost_though_its_decoder_makes_pictures_of_them(
    tmp_path: Path,
    draw_video: Draw,
    damage: Damage,
    read_number: ReadNumber,
    options: dict[str, str],
    harm: dict[str, tuple[int, ...]],
    lost: set[int],
) -> None:
    whole = draw_video(tmp_path / "whole.mkv", 12, codec="ffv1", **options)
    assert numbers(open_one(whole)) == all_but(12)
    clip = open_one(damage(whole, tmp_path / "op.mkv", **harm))
    frames = list(clip.frames())
    assert [frame.index for frame in frames] == [read_number(frame.rgb) for frame in frames] == all_but(12, *lost)
    assert (clip.lost, clip.damaged) == (lost, set())


def test_frames_that_a_decoder_mends_and_those_behind_a_lost_one_are_named(
    tmp_path: Path, draw_video: Draw, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    whole = draw_video(tmp_path / "whole.mkv", 30, codec="mpeg4")
    mended = open_one(damage(whole, tmp_path / "mended.mkv", flipped=(5,)))
    with caplog.at_level(logging.WARNING):
        assert numbers(mended) == all_but(30)
    assert (mended.lost, mended.damaged) == (set(), {5})
    behind = open_one(damage(whole, tmp_path / "behind.mkv", zeroed=(5,)), every=2)
    assert numbers(behind) == list(range(0, 30, 2))
    assert behind.damaged == {6, 8, 10}  # key frames are 0, 12 and 24
    assert [record.getMessage().split("mkv: ")[1] for record in caplog.records] == [
        "1 frame may be wrong, being damaged or made from damaged or lost ones, and so may the masks: 000005. "
        "Copy the file again from its source.",
        "3 frames may be wrong, being damaged or made from damaged or lost ones, and so may the masks: 000006, 000008, "
        "000010. Copy the file again from its source.",
    ]
