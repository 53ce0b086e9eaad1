from __future__ import annotations

import errno
import io
import logging
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
import pytest

from cuemask.errors import InputError, VideoError
from cuemask.media import decoding, video
from cuemask.media.clips import Clip, Selection, open_clips

Draw = Callable[..., Path]
ReadNumber = Callable[[np.ndarray], int]


def open_one(path: Path, **selection: float) -> Clip:
    (clip,) = open_clips([path], Selection(**selection))
    return clip


def test_every_frame_comes_once_in_order_with_its_number_and_time(
    tmp_path: Path, draw_video: Draw, read_number: ReadNumber
) -> None:
    clip = open_one(draw_video(tmp_path / "op.mp4", 30))
    frames = list(clip.frames())
    assert [read_number(frame.rgb) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    assert frames[7].name == "000007"
    assert frames[7].time_seconds == pytest.approx(7 / 25)
    assert (clip.name, clip.kind, clip.height_px, clip.width_px) == ("op", "video", 64, 96)
    assert clip.frame_count == 30


def test_frames_are_decoded_anew_at_each_call_and_calls_do_not_disturb_each_other(
    tmp_path: Path, draw_video: Draw
) -> None:
    clip = open_one(draw_video(tmp_path / "op.mp4", 20))
    first, second = clip.frames(), clip.frames()
    pairs = [(next(first).index, next(second).index) for _ in range(5)]
    assert pairs == [(number, number) for number in range(5)]
    assert len(list(first)) == 15


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(25), Fraction(24000, 1001), Fraction(1)])
def test_the_frame_rate_is_exact(tmp_path: Path, draw_video: Draw, rate: Fraction) -> None:
    path = draw_video(tmp_path / "op.mp4", 20, rate=rate)
    assert open_one(path).frame_rate == rate
    assert open_one(path, every=5).frame_rate == rate / 5


def test_one_frame_makes_a_clip(tmp_path: Path, draw_video: Draw) -> None:
    clip = open_one(draw_video(tmp_path / "op.mp4", 1))
    assert [frame.name for frame in clip.frames()] == ["000000"]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name", "size"),
    [
        ("libx264", "yuv420p10le", "op.mp4", (64, 96)),
        ("libx264", "gray", "op.mp4", (64, 96)),
        ("libx264", "yuv444p", "op.mkv", (63, 97)),
        ("libx264", "yuvj420p", "op.mp4", (64, 96)),
        ("mpeg4", "yuv420p", "op.avi", (64, 96)),
        ("mpeg2video", "yuv420p", "op.mpg", (64, 96)),
        ("ffv1", "bgr0", "op.mkv", (61, 33)),
        ("libvpx-vp9", "yuv420p", "op.webm", (64, 96)),
    ],
)
def test_other_codecs_depths_and_odd_sizes_become_rgb(
    tmp_path: Path,
    draw_video: Draw,
    read_number: ReadNumber,
    codec: str,
    pix_fmt: str,
    name: str,
    size: tuple[int, int],
) -> None:
    clip = open_one(draw_video(tmp_path / name, 13, codec=codec, pix_fmt=pix_fmt, size=size))
    frames = list(clip.frames())
    assert (clip.height_px, clip.width_px) == size
    assert [read_number(frame.rgb) for frame in frames] == list(range(13))
    grey = frames[0].rgb[-4:].astype(int)
    assert np.abs(grey - 90).max() < 12


def test_a_rotated_recording_comes_upright(tmp_path: Path, draw_video: Draw) -> None:
    def bright_top(_number: int, height: int, width: int) -> np.ndarray:
        rgb = np.zeros((height, width, 3), np.uint8)
        rgb[: height // 2] = 200
        return rgb

    clip = open_one(draw_video(tmp_path / "op.mp4", 3, rotation=90, draw=bright_top))
    (rgb, *_) = [frame.rgb for frame in clip.frames()]
    assert (clip.height_px, clip.width_px) == (96, 64)
    # 90 degrees counterclockwise, as players show it: the top goes to the left.
    assert rgb[:, :20].mean() > 150
    assert rgb[:, -20:].mean() < 50


def test_every_takes_the_frames_whose_number_divides(tmp_path: Path, draw_video: Draw, read_number: ReadNumber) -> None:
    path = draw_video(tmp_path / "op.mp4", 30)
    frames = list(open_one(path, every=5).frames())
    assert [frame.name for frame in frames] == ["000000", "000005", "000010", "000015", "000020", "000025"]
    assert [read_number(frame.rgb) for frame in frames] == [0, 5, 10, 15, 20, 25]
    late = list(open_one(path, every=5, start_seconds=0.5).frames())
    assert [frame.name for frame in late] == ["000015", "000020", "000025"]


@pytest.mark.parametrize(
    ("rate", "wanted", "indices"),
    [
        (Fraction(25), 5.0, [0, 5, 10, 15, 20, 25]),
        (Fraction(25), 10.0, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27]),
        (Fraction(25), 25.0, list(range(30))),
        (Fraction(25), 60.0, list(range(30))),
        (Fraction(30), 29.97, list(range(30))),
        (Fraction(30000, 1001), 1.0, [0]),
    ],
)
@pytest.mark.parametrize("name", ["op.mp4", "op.mkv"])
def test_fps_takes_one_frame_of_each_interval_even_with_rounded_time_stamps(
    tmp_path: Path, draw_video: Draw, rate: Fraction, wanted: float, indices: list[int], name: str
) -> None:
    clip = open_one(draw_video(tmp_path / name, 30, rate=rate), frames_per_second=wanted)
    assert [frame.index for frame in clip.frames()] == pytest.approx(indices, abs=1)
    assert len(list(clip.frames())) == len(indices)
    assert clip.frame_rate == min(rate, Fraction(str(wanted)))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("op.mp4", "libx264", {"bf": "3"}),
        ("op.mkv", "libx264", {"bf": "3"}),
        ("op.ts", "libx264", {"bf": "3"}),
        ("op.mp4", "libx264", {"x264-params": "open-gop=1:bframes=3"}),
        ("op.mp4", "libx264", {"x264-params": "intra-refresh=1:bframes=0"}),
        ("op.avi", "mpeg4", {}),
        ("op.mpg", "mpeg2video", {"bf": "2"}),
        ("op.webm", "libvpx-vp9", {}),
        ("op.h264", "libx264", {}),
    ],
)
def test_start_keeps_the_source_numbers_whatever_the_container(
    tmp_path: Path,
    draw_video: Draw,
    read_number: ReadNumber,
    name: str,
    codec: str,
    options: dict[str, str],
) -> None:
    path = draw_video(tmp_path / name, 60, codec=codec, **options)
    whole = [(frame.index, frame.time_seconds) for frame in open_one(path).frames()]
    for start in (0.04, 0.5, 1.0, 1.97):
        frames = list(open_one(path, start_seconds=start).frames())
        assert [(frame.index, frame.time_seconds) for frame in frames] == [
            (index, time) for index, time in whole if time is not None and time >= start - 0.0005
        ]
        assert [read_number(frame.rgb) for frame in frames] == [frame.index for frame in frames]


def test_a_late_start_is_sought_and_not_decoded_from_the_first_frame(
    tmp_path: Path, draw_video: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = draw_video(tmp_path / "op.mp4", 200, key_every=10)
    monkeypatch.setattr(decoding.OpenVideo, "from_first", lambda _self: pytest.fail("decoded from the first frame"))
    assert next(open_one(path, start_seconds=6.0).frames()).index == 150


def test_end_is_exclusive_and_ranges_that_touch_share_no_frame(tmp_path: Path, draw_video: Draw) -> None:
    path = draw_video(tmp_path / "op.mkv", 60, rate=Fraction(30))
    first = [frame.index for frame in open_one(path, end_seconds=1.0).frames()]
    second = [frame.index for frame in open_one(path, start_seconds=1.0, end_seconds=1.5).frames()]
    assert first == list(range(30))
    assert second == list(range(30, 45))


def test_times_count_from_the_first_frame_of_a_stream_that_starts_late(tmp_path: Path, draw_video: Draw) -> None:
    path = draw_video(tmp_path / "op.ts", 50, stamps=[250 + number for number in range(50)])
    assert next(open_one(path).frames()).time_seconds == 0
    assert next(open_one(path, start_seconds=1.0).frames()).index == 25


def test_variable_frame_rates_keep_their_times(tmp_path: Path, draw_video: Draw) -> None:
    stamps = [0, 1, 2, 10, 11, 30, 31, 60]
    frames = list(open_one(draw_video(tmp_path / "op.mkv", 8, stamps=stamps)).frames())
    assert [frame.time_seconds for frame in frames] == pytest.approx([stamp / 25 for stamp in stamps], abs=0.001)


def test_a_start_past_the_end_is_refused_with_a_remedy(tmp_path: Path, draw_video: Draw) -> None:
    with pytest.raises(InputError, match=r"no frame is selected between 60 s and its end") as error:
        open_one(draw_video(tmp_path / "op.mp4", 10), start_seconds=60.0)
    assert "--start" in error.value.remedy


def test_a_text_file_named_mp4_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "op.mp4"
    path.write_text("This is no video.\n" * 50)
    with pytest.raises(VideoError, match=r"op.mp4: a text file, not a video") as error:
        open_clips([path])
    assert error.value.remedy.startswith("Give a video")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (bytes(range(128, 256)) * 40, "no video that FFmpeg can read")],
)
def test_empty_files_and_noise_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "op.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=message):
        open_clips([path])


def test_a_sound_file_is_refused_as_holding_no_video(tmp_path: Path) -> None:
    path = tmp_path / "op.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match=r"no video stream.*audio"):
        open_clips([path])


def test_a_video_cut_off_after_its_index_yields_what_decodes_and_then_warns(
    tmp_path: Path, draw_video: Draw, caplog: pytest.LogCaptureFixture
) -> None:
    path = draw_video(tmp_path / "op.mp4", 120)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    clip = open_one(path)
    with caplog.at_level(logging.WARNING):
        frames = list(clip.frames())
    assert 20 < len(frames) < 120
    assert f"{len(frames)} frames decoded of 120" in caplog.text


def test_a_fault_of_the_disk_is_not_taken_for_the_end_of_a_video(
    tmp_path: Path, draw_video: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = draw_video(tmp_path / "op.mp4", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    clip = open_one(path)

    class Failing(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object, /) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", lambda *_: Failing())
    with pytest.raises(InputError, match="cannot be read to its end") as told:
        list(clip.frames())
    assert isinstance(told.value.__cause__, OSError)


def test_a_whole_video_warns_of_nothing(tmp_path: Path, draw_video: Draw, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("op.mp4", "op.mkv", "op.avi"):
        path = draw_video(tmp_path / name, 60, codec="mpeg4")
        with caplog.at_level(logging.WARNING):
            assert len(list(open_one(path).frames())) == 60
            assert len(list(open_one(path, start_seconds=1.0).frames())) == 35
    assert not caplog.records


def test_a_video_cut_off_before_its_index_is_refused_with_a_remedy(tmp_path: Path, draw_video: Draw) -> None:
    path = draw_video(tmp_path / "op.mp4", 120, faststart=False)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match=r"index \(moov\) is missing") as error:
        open_clips([path])
    assert "untrunc" in error.value.remedy


def test_damage_in_the_middle_does_not_end_the_clip(tmp_path: Path, draw_video: Draw) -> None:
    path = draw_video(tmp_path / "op.mp4", 120)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[start : start + 200] = bytes(200)
    path.write_bytes(data)
    assert list(open_one(path).frames())[-1].index > 100


def test_a_video_without_decodable_frames_names_codec_and_the_way_out(tmp_path: Path, draw_video: Draw) -> None:
    path = draw_video(tmp_path / "op3.mp4", 5)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = b"\xff" * (len(data) - start)
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"no frame could be decoded \(codec h264") as error:
        open_clips([path])
    assert error.value.remedy == f"Run: ffmpeg -i {path} -c:v libx264 -pix_fmt yuv420p op3-h264.mp4"


def test_names_that_ffmpeg_would_take_for_protocols_or_patterns_are_plain_files(
    tmp_path: Path, draw_video: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    path = draw_video(tmp_path / "a" / "op.mp4", 3)
    for name in ("concat:op.mp4", "op%03d.mp4", "op [1].mp4", "-op.mp4", "Ödem 手術.mp4"):
        path = path.rename(tmp_path / "a" / name)
        monkeypatch.chdir(path.parent)
        assert len(list(open_one(Path(name)).frames())) == 3


def test_decoded_frames_are_held_by_nobody(tmp_path: Path, draw_video: Draw) -> None:
    clip = open_one(draw_video(tmp_path / "op.mp4", 40))
    seen = []
    for frame in clip.frames():
        seen.append(weakref.ref(frame.rgb))
        del frame
        assert sum(reference() is not None for reference in seen) <= 1


def test_a_clip_left_early_closes_its_file(tmp_path: Path, draw_video: Draw) -> None:
    frames = open_one(draw_video(tmp_path / "op.mp4", 40)).frames()
    next(frames)
    frames.close()
    open_files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert tmp_path / "op.mp4" not in open_files


@pytest.mark.parametrize("count", [1, 5, 30, 400])
def test_a_sample_is_spread_over_the_clip(
    tmp_path: Path, draw_video: Draw, read_number: ReadNumber, count: int
) -> None:
    clip = open_one(draw_video(tmp_path / "op.mp4", count))
    numbers = [read_number(rgb) for rgb in clip.sample(16)]
    assert min(count, 8) <= len(numbers) <= 16
    assert len(set(numbers)) == len(numbers)
    assert numbers[-1] >= 0.7 * (count - 1)


def test_a_sample_of_a_video_with_one_key_frame_steps_through_its_beginning(
    tmp_path: Path, draw_video: Draw, read_number: ReadNumber
) -> None:
    clip = open_one(draw_video(tmp_path / "op.mp4", 400, key_every=1000, **{"x264-params": "scenecut=0"}))
    assert [read_number(rgb) for rgb in clip.sample(16)] == list(range(0, 320, 20))


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_a_short_sample_takes_each_nth_selected_frame_and_converts_no_other(
    tmp_path: Path, draw_video: Draw, read_number: ReadNumber, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    converted: list[int] = []
    original = video.upright_rgb
    monkeypatch.setattr(video, "upright_rgb", lambda *args: (converted.append(1), original(*args))[1])
    path = draw_video(tmp_path / "op.mp4", 90, codec=codec, key_every=30)
    for selection, expected in [
        ({}, range(0, 90, 4)),
        ({"start_seconds": 1.0, "end_seconds": 3.2}, range(25, 80, 3)),
        ({"every": 3, "start_seconds": 1.0}, range(27, 90, 3)),
        ({"frames_per_second": 12.5}, range(0, 90, 4)),
    ]:
        clip = open_one(path, **selection)
        converted.clear()
        assert [read_number(rgb) for rgb in clip.sample(24)] == list(expected)
        assert len(converted) == len(expected)


@pytest.mark.real_frames
def test_a_real_clip_decodes_whole_and_alike_from_any_start(real_data: Path) -> None:
    path = real_data / "endovis17_dataset3_clip" / "clip.mp4"
    whole = list(open_one(path).frames())
    assert [frame.index for frame in whole] == list(range(20))
    for frame in open_one(path, start_seconds=0.9).frames():
        assert np.array_equal(frame.rgb, whole[frame.index].rgb)


@pytest.mark.parametrize(
    ("primaries", "curve", "matrix", "codes"),
    [
        ("bt2020", "smpte2084", "bt2020nc", (16, 9)),
        ("bt2020", "arib-std-b67", "bt2020nc", (18, 9)),
        ("bt709", "bt709", "bt709", (1, 1)),
    ],
)
def test_ten_bits_and_hdr_become_rgb_as_ffmpeg_scales_them(
    tmp_path: Path, draw_video: Draw, primaries: str, curve: str, matrix: str, codes: tuple[int, int]
) -> None:
    """PQ, HLG and ordinary 10-bit video: no tone mapping."""

    def colors(_number: int, height: int, width: int) -> np.ndarray:
        rgb = np.zeros((height, width, 3), np.uint8)
        rgb[:, : width // 2], rgb[:, width // 2 :] = (200, 60, 40), (90, 90, 90)
        return rgb

    params = f"colorprim={primaries}:transfer={curve}:colormatrix={matrix}"
    path = draw_video(tmp_path / "op.mp4", 2, pix_fmt="yuv420p10le", draw=colors, **{"x264-params": params})
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (int(frame.color_trc), int(frame.colorspace)) == codes
        graph = av.filter.Graph()
        steps = [
            graph.add_buffer(template=container.streams.video[0]),
            graph.add("scale"),
            graph.add("format", "rgb24"),
        ]
        graph.link_nodes(*steps, graph.add("buffersink")).configure()
        graph.push(frame)
        expected = graph.pull().to_ndarray()
    difference = np.abs(next(open_one(path).frames()).rgb.astype(int) - expected)
    assert difference[:, 8:40].max() <= 1  # between the colours, chroma is enlarged in another way
    assert difference[:, 56:].max() <= 1
