from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.datasets.written import mask, picture

from cuemask.datasets.cholecseg8k import CODES, read
from cuemask.errors import DatasetError, PictureError
from cuemask.media.clips import open_clips


def frame(clip: Path, number: int, *codes: int) -> None:
    """A frame with all files that are published beside it."""
    picture(clip / f"frame_{number}_endo.png")
    mask(clip / f"frame_{number}_endo_watershed_mask.png", *(codes or (50, 31, 32, 21)), channels=3)
    picture(clip / f"frame_{number}_endo_mask.png")
    picture(clip / f"frame_{number}_endo_color_mask.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two clips of video 1 and one of video 12, three frames each."""
    root = tmp_path / "cholecseg8k"
    for clip in ("video01/video01_00080", "video01/video01_00160", "video12/video12_15750"):
        first = int(clip[-5:])
        for number in range(first, first + 3):
            frame(root / clip, number)
    return root


def test_each_clip_is_a_recording_and_bears_the_number_of_its_video(root: Path) -> None:
    dataset = read(root)
    assert [(it.name, it.number, it.split) for it in dataset.recordings] == [
        ("video01_00080", "1", "train"),
        ("video01_00160", "1", "train"),
        ("video12_15750", "12", "train"),
    ]
    assert dataset.classes == {"binary": {1: "instrument"}, "type": {1: "grasper", 2: "L-hook"}}
    assert dataset.oddities == ()


def test_frames_are_the_endoscope_pictures_only_in_the_order_people_count(root: Path) -> None:
    clip = root / "video01" / "video01_00080"
    for number in range(83, 101):
        frame(clip, number)
    names = [it.name for it in open_clips([read(root).recordings[0].files])[0].frames()]
    assert names == [f"frame_{number}_endo" for number in range(80, 101)]


def test_grasper_and_hook_are_instruments_of_two_types(root: Path) -> None:
    truth = read(root).recordings[0].truth
    assert truth is not None
    assert truth.kinds == ("binary", "type")
    assert truth.names == ("frame_80_endo", "frame_81_endo", "frame_82_endo")
    assert truth.labels("frame_80_endo").tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 6
    assert truth.labels("frame_80_endo", "type").tolist() == [[0, 0, 1, 1, 2, 2, 0, 0]] * 6


def test_all_thirteen_classes_the_white_edge_and_the_unnamed_are_known(root: Path) -> None:
    assert len(CODES["binary"]) == 13 + 2
    clip = root / "video01" / "video01_00080"
    for code in CODES["type"]:
        mask(clip / "frame_80_endo_watershed_mask.png", code, channels=3)
        truth = read(root).recordings[0].truth
        assert truth is not None
        assert np.all(truth.labels("frame_80_endo", "type") == {31: 1, 32: 2}.get(code, 0))


def test_an_unknown_code_is_refused_with_file_and_allowed_ones(root: Path) -> None:
    path = root / "video01" / "video01_00080" / "frame_80_endo_watershed_mask.png"
    mask(path, 50, 99, channels=3)
    truth = read(root).recordings[0].truth
    assert truth is not None
    for kind in truth.kinds:
        with pytest.raises(DatasetError, match=f"{path}: code 99 at row 0, column 4; 24 pixels") as error:
            truth.labels("frame_80_endo", kind)
        assert "allowed are 0, 5, 11, 12, 13, 21, 22, 23, 24, 25, 31, 32, 33, 50, 255." in error.value.remedy


def test_a_mask_of_another_size_than_its_frame_is_refused(root: Path) -> None:
    path = root / "video01" / "video01_00080" / "frame_80_endo_watershed_mask.png"
    mask(path, 50, size=(6, 9))
    truth = read(root).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=f"{path}: 9x6 pixels; its frame has 8x6"):
        truth.labels("frame_80_endo")


def test_an_empty_frame_file_is_refused_where_its_size_is_needed(root: Path) -> None:
    (root / "video01" / "video01_00080" / "frame_80_endo.png").write_bytes(b"")
    truth = read(root).recordings[0].truth
    assert truth is not None
    with pytest.raises(PictureError, match=r"frame_80_endo.png: the file is empty"):
        truth.labels("frame_80_endo")


@pytest.mark.parametrize(
    ("below", "names"),
    [
        ("..", ["video01_00080", "video01_00160", "video12_15750"]),
        ("video01", ["video01_00080", "video01_00160"]),
        ("video12/video12_15750", ["video12_15750"]),
    ],
)
def test_a_folder_around_it_one_video_or_one_clip_will_do(root: Path, below: str, names: list[str]) -> None:
    assert [it.name for it in read(root / below).recordings] == names


def test_a_clip_in_a_folder_of_another_name_is_called_after_it(tmp_path: Path) -> None:
    frame(tmp_path / "my_clip", 7)
    recording = read(tmp_path / "my_clip").recordings[0]
    assert (recording.name, recording.number) == ("my_clip", "my_clip")


def test_frames_without_mask_are_told_and_have_no_truth(root: Path) -> None:
    clip = root / "video01" / "video01_00080"
    (clip / "frame_81_endo_watershed_mask.png").unlink()
    dataset = read(root)
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert truth.names == ("frame_80_endo", "frame_82_endo")
    assert dataset.oddities == (f"{clip}: no truth for 1 of the 3 frames (frame_81_endo) of {clip}.",)


def test_a_clip_without_any_mask_has_no_truth(root: Path) -> None:
    for path in (root / "video12").rglob("*_watershed_mask.png"):
        path.unlink()
    dataset = read(root)
    assert [it.truth is None for it in dataset.recordings] == [False, False, True]
    assert "no truth for any of the 3 frames" in dataset.oddities[0]


def test_masks_without_frame_and_gaps_between_frames_are_told(root: Path) -> None:
    clip = root / "video01" / "video01_00080"
    (clip / "frame_81_endo.png").unlink()
    assert read(root).oddities == (
        f"{clip}: truth without a frame: frame_81_endo.",
        f"{clip}: its frames leave out 81.",
    )


def test_empty_folders_of_videos_and_clips_are_told(root: Path) -> None:
    (root / "video09").mkdir()
    (root / "video12" / "video12_19500").mkdir()
    assert read(root).oddities == (
        f"{root / 'video09'}: no clip in it.",
        f"{root / 'video12' / 'video12_19500'}: no frame in it.",
    )


def test_two_clips_of_one_name_are_refused(root: Path) -> None:
    frame(root / "video1" / "video01_00080", 80)
    with pytest.raises(DatasetError, match="have one name") as error:
        read(root)
    assert str(root / "video1" / "video01_00080") in error.value.what


def test_a_folder_without_clips_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "cholecseg8k.zip").touch()
    with pytest.raises(DatasetError, match=r"no CholecSeg8k in it \(it holds cholecseg8k.zip\)\. Expected: videoXX"):
        read(tmp_path)


@pytest.mark.real_frames
def test_the_masks_of_a_real_clip_decode(real_data: Path) -> None:
    dataset = read(real_data / "cholecseg8k_clip")
    (recording,) = dataset.recordings
    assert (recording.name, len(recording.files.paths), dataset.oddities) == ("cholecseg8k_clip", 40, ())
    truth = recording.truth
    assert truth is not None
    assert truth.names == tuple(f"frame_{number}_endo" for number in range(561, 601))
    types = np.stack([truth.labels(name, "type") for name in truth.names])
    assert types.shape == (40, 480, 854)
    assert np.bincount(types.ravel()).tolist() == [16165677, 231077, 46]
    assert np.array_equal(truth.labels("frame_561_endo") > 0, types[0] > 0)
