from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.errors import InputError, PictureError
from cuemask.media.clips import Selection, open_clips
from cuemask.media.names import told_apart
from cuemask.media.pictures import read_picture

Draw = Callable[..., Path]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"every": 0}, "--every 0"),
        ({"frames_per_second": 0.0}, "--fps 0"),
        ({"frames_per_second": float("nan")}, "--fps nan"),
        ({"every": 2, "frames_per_second": 5.0}, "exclude each other"),
        ({"start_seconds": -1.0}, "--start -1"),
        ({"start_seconds": 5.0, "end_seconds": 5.0}, "--end 5 is not after --start 5"),
    ],
)
def test_selections_out_of_range_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Selection(**values)


@given(
    rate=st.fractions(min_value=1, max_value=120, max_denominator=1001),
    wanted=st.floats(min_value=0.1, max_value=120),
    count=st.integers(min_value=1, max_value=300),
)
def test_fps_takes_as_many_frames_as_time_and_rate_ask_for(rate: Fraction, wanted: float, count: int) -> None:
    selection = Selection(frames_per_second=wanted)
    frames = [(index, index / rate, None) for index in range(count)]
    taken = list(selection.take(frames, rate))
    assert abs(len(taken) - selection.estimate(count, rate)) <= 1
    assert len({index for index, _, _ in taken}) == len(taken)


def test_clips_are_named_after_video_folder_and_the_folder_of_a_pattern(
    tmp_path: Path, folder: Path, draw_video: Draw, draw_picture: Draw
) -> None:
    draw_picture(tmp_path / "chol" / "1_endo.png")
    draw_picture(tmp_path / "chol" / "1_mask.png")
    video = draw_video(tmp_path / "op.2.mp4", 3)
    clips = open_clips([video, str(folder), str(tmp_path / "chol" / "*_endo.png")])
    assert [clip.name for clip in clips] == ["op.2", "frames", "chol"]
    assert [clip.kind for clip in clips] == ["video", "pictures", "pictures"]
    assert [path.name for path in clips[2].paths] == ["1_endo.png"]
    assert clips[2].source == str(tmp_path / "chol" / "*_endo.png")


def test_inputs_that_share_a_name_get_their_parents_in_front(tmp_path: Path, draw_picture: Draw) -> None:
    for case in ("a/case1", "a/case2", "b/case2"):
        draw_picture(tmp_path / case / "frames" / "0.png")
    draw_picture(tmp_path / "other" / "0.png")
    inputs = [tmp_path / case / "frames" for case in ("a/case1", "a/case2", "b/case2")] + [tmp_path / "other"]
    names = [clip.name for clip in open_clips(inputs)]
    assert names == ["case1_frames", "a_case2_frames", "b_case2_frames", "other"]


def test_links_to_one_video_are_clips_of_their_own_names(tmp_path: Path, draw_video: Draw) -> None:
    video = draw_video(tmp_path / "4f1c.mp4", 2)
    links = [tmp_path / name for name in ("op1.mp4", "op2.mp4")]
    for link in links:
        link.symlink_to(video)
    assert [clip.name for clip in open_clips(links)] == ["op1", "op2"]


def test_a_message_lists_no_thousand_names() -> None:
    with pytest.raises(InputError, match=r"^0 and 1 and 2 and 3 and 996 more: "):
        told_apart([["op"]] * 1000, [str(number) for number in range(1000)])


def test_a_folder_given_as_a_dot_has_its_own_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert [clip.name for clip in open_clips(["."])] == ["frames"]


def test_the_same_input_twice_is_refused(folder: Path, draw_video: Draw, tmp_path: Path) -> None:
    video = draw_video(tmp_path / "op.mp4", 2)
    for inputs in ([video, video], [folder, folder / ".." / "frames"], [folder, str(folder / "*.png")]):
        with pytest.raises(InputError, match="given twice"):
            open_clips(inputs)
    picture = folder / "frame_1.png"
    with pytest.raises(PictureError, match="given 2 times"):
        open_clips([picture, folder / "frame_2.png", picture])


def test_two_inputs_that_no_parent_tells_apart_are_refused(tmp_path: Path, draw_video: Draw) -> None:
    with pytest.raises(InputError, match="would share one name"):
        open_clips([draw_video(tmp_path / "op.mp4", 2), draw_video(tmp_path / "op.mkv", 2)])


def test_pictures_named_one_by_one_are_one_clip_a_folder(folder: Path, tmp_path: Path, draw_picture: Draw) -> None:
    other = draw_picture(tmp_path / "case2" / "a.png")
    clips = open_clips([folder / "frame_10.png", folder / "frame_9.png", other])
    assert [(clip.name, [frame.name for frame in clip.frames()]) for clip in clips] == [
        ("frames", ["frame_9", "frame_10"]),
        ("case2", ["a"]),
    ]


def test_a_pattern_over_several_folders_gives_one_clip_each(tmp_path: Path, draw_picture: Draw) -> None:
    for case in ("case1", "case2"):
        draw_picture(tmp_path / case / "frames" / "0.png")
    clips = open_clips([str(tmp_path / "**" / "*.png")])
    assert [clip.name for clip in clips] == ["case1_frames", "case2_frames"]


def test_a_pattern_of_videos_or_folders_gives_each_its_own_clip(tmp_path: Path, draw_video: Draw, folder: Path) -> None:
    for number in (10, 9):
        draw_video(tmp_path / f"op{number}.mp4", 2)
    assert [clip.name for clip in open_clips([str(tmp_path / "*.mp4")])] == ["op9", "op10"]
    assert [clip.name for clip in open_clips([str(tmp_path / "case1" / "*")])] == ["frames"]


def test_a_name_with_brackets_that_exists_is_no_pattern(tmp_path: Path, draw_video: Draw) -> None:
    assert open_clips([str(draw_video(tmp_path / "op [1].mp4", 2))])[0].name == "op [1]"


def test_a_pattern_may_stand_in_a_folder_with_brackets_in_its_name(tmp_path: Path, draw_picture: Draw) -> None:
    for case in ("case [1]", "case 1"):
        draw_picture(tmp_path / case / "frames" / "0.png")
    (clip,) = open_clips([str(tmp_path / "case [1]" / "frames" / "*.png")])
    assert clip.paths == (tmp_path / "case [1]" / "frames" / "0.png",)
    with pytest.raises(InputError, match="matches nothing") as error:
        open_clips([str(tmp_path / "case [1]" / "frames" / "*.bmp")])
    assert f"{tmp_path / 'case [1]' / 'frames'} holds 0.png" in error.value.remedy
    assert len(open_clips([str(tmp_path / "case*[!1]" / "frames" / "*.png")])) == 1
    assert len(open_clips([str(tmp_path / "case [0-9]" / "frames" / "*.png")])) == 1


def test_a_missing_path_names_its_nearest_neighbour(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder") as error:
        open_clips([folder.parent / "frame"])
    assert str(folder) in error.value.remedy
    with pytest.raises(InputError) as error:
        open_clips([tmp_path / "cas1" / "frames"])
    assert str(tmp_path / "case1") in error.value.remedy


def test_what_is_no_file_and_never_ends_is_refused_at_once(tmp_path: Path, folder: Path) -> None:
    os.mkfifo(tmp_path / "live.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    for name, kind in (("live.mp4", "a pipe"), ("zero.mp4", "a device")):
        with pytest.raises(InputError, match=f"{name}: {kind}, not a file"):
            open_clips([tmp_path / name])
    os.mkfifo(folder / "mask.png")
    with pytest.raises(InputError, match="a pipe"):
        read_picture(folder / "mask.png")


def test_a_link_that_leads_nowhere_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "dangling").symlink_to("absent")
    for name, target in (("loop.mp4", "loop.mp4"), ("dangling", "absent"), ("dangling/frames", "absent")):
        with pytest.raises(InputError, match=f"a link that leads nowhere .to {target}.") as error:
            open_clips([tmp_path / name])
        assert "Did you mean" not in error.value.remedy


@pytest.mark.parametrize("given", ["", "e" * 300, f"{'e' * 300}/frames"])
def test_what_can_be_no_path_is_refused(given: str) -> None:
    with pytest.raises(InputError):
        open_clips([given])


def test_a_pattern_without_a_match_says_what_lies_there(folder: Path) -> None:
    with pytest.raises(InputError, match="matches nothing") as error:
        open_clips([str(folder / "*.bmp")])
    assert "frame_0.png" in error.value.remedy


def test_no_input_is_refused() -> None:
    with pytest.raises(InputError, match="No input"):
        open_clips([])


def test_a_folder_without_pictures_says_what_it_holds(tmp_path: Path, folder: Path, draw_video: Draw) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="the folder is empty"):
        open_clips([tmp_path / "empty"])
    with pytest.raises(PictureError, match="but in 1 of its folders") as error:
        open_clips([folder.parent])
    assert str(folder) in error.value.remedy
    draw_video(tmp_path / "videos.mp4", 2).rename(tmp_path / "empty" / "op.mp4")
    with pytest.raises(PictureError, match=r"it holds 1 x .mp4") as error:
        open_clips([tmp_path / "empty"])
    assert str(tmp_path / "empty" / "op.mp4") in error.value.remedy


def test_the_hash_is_of_the_content_and_the_pictures_names(folder: Path, tmp_path: Path, draw_video: Draw) -> None:
    def fingerprint() -> str:
        return open_clips([folder])[0].sha256()

    before = fingerprint()
    assert before == fingerprint()
    (folder / "frame_1.png").rename(folder / "frame_1b.png")
    renamed = fingerprint()
    (folder / "frame_1b.png").write_bytes((folder / "frame_2.png").read_bytes())
    assert len({before, renamed, fingerprint()}) == 3
    video = draw_video(tmp_path / "op.mp4", 3)
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(video.read_bytes())
    assert open_clips([video])[0].sha256() == open_clips([moved])[0].sha256()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused_with_chmod(folder: Path, tmp_path: Path, draw_video: Draw) -> None:
    video = draw_video(tmp_path / "op.mp4", 2)
    for path in (video, folder / "frame_0.png", folder):
        path.chmod(0)
        with pytest.raises(InputError, match="may not be read") as error:
            open_clips([folder if path != video else video])
        assert "chmod" in error.value.remedy
        path.chmod(0o755)


@pytest.mark.real_frames
def test_real_folders_patterns_and_videos_open_together(real_data: Path) -> None:
    clips = open_clips(
        [
            real_data / "endovis17_dataset4" / "frames",
            real_data / "endovis18_sequence" / "frames",
            str(real_data / "cholecseg8k_clip" / "*_endo.png"),
            real_data / "endovis17_dataset3_clip" / "clip.mp4",
        ]
    )
    names = [clip.name for clip in clips]
    assert names == ["endovis17_dataset4_frames", "endovis18_sequence_frames", "cholecseg8k_clip", "clip"]
    assert [(clip.height_px, clip.width_px) for clip in clips] == [
        (1080, 1920),
        (1024, 1280),
        (480, 854),
        (1080, 1920),
    ]
    assert [sum(1 for _ in clip.frames()) for clip in clips] == [5, 6, 40, 20]
    assert all(np.asarray(next(clip.frames()).rgb).mean() > 20 for clip in clips)
