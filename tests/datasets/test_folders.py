from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.written import mask, picture, video

from cuemask.datasets.folders import read
from cuemask.errors import DatasetError, InputError, VideoError
from cuemask.media.clips import open_clips
from cuemask.media.growing_films import GrowingFilm


def recording(folder: Path) -> Path:
    """Three frames, of which the first two have masks."""
    for number in (1, 2, 10):
        picture(folder / "frames" / f"f{number}.jpg")
    mask(folder / "masks" / "f1.png", 0, 1)
    mask(folder / "masks" / "f2.png", 0, 127, 255, 0)
    return folder


def test_frames_and_masks_in_a_folder_are_one_recording_called_after_it(tmp_path: Path) -> None:
    dataset = read(recording(tmp_path / "case1"))
    assert [(it.name, it.number, it.split) for it in dataset.recordings] == [("case1", "case1", "train")]
    assert [path.name for path in dataset.recordings[0].files.paths] == ["f1.jpg", "f2.jpg", "f10.jpg"]
    assert dataset.classes == {"binary": {1: "instrument"}}
    assert dataset.layout == "frames and masks"


def test_each_folder_with_frames_is_a_recording_and_the_one_called_test_is_for_testing(tmp_path: Path) -> None:
    for name in ("case2", "case10", "test"):
        recording(tmp_path / name)
    (tmp_path / "notes").mkdir()
    dataset = read(tmp_path)
    assert [(it.name, it.split) for it in dataset.recordings] == [
        ("case2", "train"),
        ("case10", "train"),
        ("test", "test"),
    ]
    assert dataset.layout == "a folder of frames and masks a recording"


def test_frames_without_mask_are_told_and_have_no_truth(tmp_path: Path) -> None:
    dataset = read(recording(tmp_path))
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert truth.names == ("f1", "f2")
    assert dataset.oddities == (
        f"{tmp_path / 'masks'}: no truth for 1 of the 3 frames (f10) of {tmp_path / 'frames'}.",
    )


def test_instrument_is_above_zero_but_from_128_on_in_jpeg_masks(tmp_path: Path) -> None:
    recording(tmp_path)
    mask(tmp_path / "masks" / "f10.jpg", 100, 160)
    truth = read(tmp_path).recordings[0].truth
    assert truth is not None
    assert truth.kinds == ("binary",)
    assert truth.labels("f1").tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]] * 6
    assert truth.labels("f2").tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 6
    assert truth.labels("f10").tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]] * 6


def test_a_mask_of_another_size_than_its_frame_is_refused(tmp_path: Path) -> None:
    recording(tmp_path)
    mask(tmp_path / "masks" / "f2.png", 0, 1, size=(12, 16))
    truth = read(tmp_path).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=r"f2.png: 16x12 pixels; its frame has 8x6"):
        truth.labels("f2")


def test_truth_that_is_not_there_is_refused(tmp_path: Path) -> None:
    truth = read(recording(tmp_path)).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match="masks: there is no truth for frame f10"):
        truth.labels("f10")
    with pytest.raises(DatasetError, match="masks: its truth does not tell type"):
        truth.labels("f1", "type")


def test_absent_masks_are_told(tmp_path: Path) -> None:
    shutil.rmtree(recording(tmp_path) / "masks")
    dataset = read(tmp_path)
    assert dataset.recordings[0].truth is None
    assert dataset.oddities == (f"{tmp_path / 'masks'}: the folder is absent, so the frames have no truth.",)


def test_masks_without_frame_are_told(tmp_path: Path) -> None:
    recording(tmp_path)
    for name in ("f10", "f11"):
        mask(tmp_path / "masks" / f"{name}.png", 0, 1)
    assert read(tmp_path).oddities == (f"{tmp_path / 'masks'}: truth without a frame: f11.",)


def test_two_masks_of_one_frame_are_refused(tmp_path: Path) -> None:
    recording(tmp_path)
    mask(tmp_path / "masks" / "f1.bmp", 0, 1)
    with pytest.raises(DatasetError, match=r"masks: f1.bmp and f1.png are both frame f1") as error:
        read(tmp_path)
    assert error.value.remedy == "Keep one of them."


def test_an_empty_folder_of_frames_is_told_beside_others(tmp_path: Path) -> None:
    recording(tmp_path / "a")
    (tmp_path / "b" / "frames").mkdir(parents=True)
    dataset = read(tmp_path)
    assert [it.name for it in dataset.recordings] == ["a"]
    assert dataset.oddities[-1] == f"{tmp_path / 'b' / 'frames'}: no picture in it."


@pytest.mark.parametrize("name", ["frames.mp4", "clip.mp4", "video.mp4"])
def test_a_video_stands_in_for_frames_and_its_masks_are_named_by_number(tmp_path: Path, name: str) -> None:
    video(tmp_path / "op" / name)
    for number in (0, 3):
        mask(tmp_path / "op" / "masks" / f"{number:06d}.png", 0, 255, size=(64, 96))
    dataset = read(tmp_path / "op")
    (op,) = dataset.recordings
    assert (op.name, dataset.oddities) == ("op", ())
    assert [it.name for it in open_clips([op.files])[0].frames()] == ["000000", "000001", "000002", "000003"]
    assert op.truth is not None
    assert op.truth.names == ("000000", "000003")
    assert np.mean(op.truth.labels("000003")) == 0.5


def test_pictures_go_before_a_video_of_the_same_frames(tmp_path: Path) -> None:
    recording(tmp_path)
    video(tmp_path / "clip.mp4")
    assert len(read(tmp_path).recordings[0].files.paths) == 3


def test_a_mask_of_another_size_than_its_video_is_refused(tmp_path: Path) -> None:
    video(tmp_path / "clip.mp4")
    mask(tmp_path / "masks" / "000001.png", 0, 255)
    truth = read(tmp_path).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=r"000001.png: 8x6 pixels; its frame has 96x64"):
        truth.labels("000001")


def test_masks_of_a_video_that_no_frame_can_be_called_are_told(tmp_path: Path) -> None:
    video(tmp_path / "clip.mp4")
    mask(tmp_path / "masks" / "frame_1.png", 0, 255)
    dataset = read(tmp_path)
    assert dataset.recordings[0].truth is None
    expected = f"{tmp_path / 'masks'}: 1 of 1 masks are not named after a frame's number, 000000 on (frame_1.png)."
    assert dataset.oddities == (expected,)


def test_a_video_without_masks_is_told(tmp_path: Path) -> None:
    video(tmp_path / "clip.mp4")
    assert "masks: the folder is absent" in read(tmp_path).oddities[0]
    (tmp_path / "masks").mkdir()
    assert read(tmp_path).oddities == (f"{tmp_path / 'masks'}: no mask in it.",)


def test_a_damaged_video_is_refused_when_its_size_is_needed(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    mask(tmp_path / "masks" / "000000.png", 0, 255)
    truth = read(tmp_path).recordings[0].truth
    assert truth is not None
    with pytest.raises(VideoError, match=r"clip.mp4"):
        truth.labels("000000")


def test_a_folder_without_frames_is_refused_with_the_remedy(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=r"no recordings in it \(it holds a.png\)\. Expected: frames/ or") as error:
        read(tmp_path)
    assert error.value.remedy == "Put the pictures into a folder called frames, the masks into masks."


def test_frames_and_masks_match_however_their_umlauts_are_written(tmp_path: Path) -> None:
    picture(tmp_path / "frames" / "Fla\u0308che.png")
    mask(tmp_path / "masks" / "Fl\u00e4che.png", 0, 255)
    dataset = read(tmp_path)
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert truth.names == ("Fl\u00e4che",)
    assert dataset.oddities == ()


def test_masks_saved_as_jpeg_are_told(tmp_path: Path) -> None:
    recording(tmp_path)
    mask(tmp_path / "masks" / "f10.jpg", 0, 255)
    assert "1 masks are JPEG, which blurs them; instrument is from 128 on." in read(tmp_path).oddities[-1]


def film(path: Path, masks: dict[str, np.ndarray]) -> None:
    growing = GrowingFilm(path, path.with_name(".work"), Fraction(25), resume=False)
    for place, (name, own) in enumerate(masks.items()):
        growing.add(name, place, growing.coded(own))
    growing.finish()


def test_masks_of_pictures_and_of_a_video_may_be_a_film(tmp_path: Path) -> None:
    shutil.rmtree(recording(tmp_path / "a") / "masks")
    film(tmp_path / "a" / "masks.mov", {"f10": np.eye(6, 8, dtype=bool), "f2": np.zeros((6, 8), bool)})
    video(tmp_path / "b" / "clip.mp4")
    film(tmp_path / "b" / "masks.mov", {"000001": np.eye(64, 96, dtype=bool), "x": np.zeros((64, 96), bool)})
    dataset = read(tmp_path)
    pictures, frames = (one.truth for one in dataset.recordings)
    assert pictures is not None
    assert frames is not None
    assert (pictures.names, frames.names) == (("f2", "f10"), ("000001",))
    assert np.array_equal(pictures.labels("f10"), np.eye(6, 8))
    assert np.array_equal(frames.labels("000001"), np.eye(64, 96))
    assert dataset.oddities == (
        f"{tmp_path / 'a' / 'masks.mov'}: no truth for 1 of the 3 frames (f1) of {tmp_path / 'a' / 'frames'}.",
        f"{tmp_path / 'b' / 'masks.mov'}: 1 of 2 masks are not named after a frame's number, 000000 on (x.png).",
    )


def test_masks_both_in_a_folder_and_in_a_film_are_refused(tmp_path: Path) -> None:
    film(recording(tmp_path) / "masks.mov", {"f1": np.eye(6, 8, dtype=bool)})
    with pytest.raises(InputError, match=r"both masks/ and masks\.mov"):
        read(tmp_path)
