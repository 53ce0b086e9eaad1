from __future__ import annotations

from pathlib import Path

import pytest
from tests.datasets.written import mask, picture

from cuemask.datasets.robustmis import read
from cuemask.errors import DatasetError
from cuemask.media.clips import open_clips

RECTAL = Path("Training", "Rectal", "1")


def frame(folder: Path, *instances: int) -> None:
    picture(folder / "raw.png")
    mask(folder / "instrument_instances.png", *instances)
    (folder / "10s_video.zip").touch()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A training operation of three frames, and one of each of two stages of the test."""
    root = tmp_path / "robustmis"
    for name, instances in (("9", (0, 1)), ("100", (0, 1, 2, 0)), ("20", (0,))):
        frame(root / RECTAL / name, *instances)
    frame(root / "Stage_1" / "Rectal" / "1" / "40", 0, 1)
    frame(root / "Stage_3" / "Sigmoid" / "10" / "40", 0, 1)
    return root


def test_each_operation_of_each_stage_is_a_recording(root: Path) -> None:
    dataset = read(root)
    assert [(it.name, it.number, it.split) for it in dataset.recordings] == [
        ("Training_Rectal_1", "Rectal_1", "train"),
        ("Stage_1_Rectal_1", "Rectal_1", "test"),
        ("Stage_3_Sigmoid_10", "Sigmoid_10", "test"),
    ]
    assert dataset.classes == {"binary": {1: "instrument"}, "instances": {}}
    assert dataset.oddities == ()


def test_frames_are_named_after_their_folders_and_come_in_the_order_of_numbers(root: Path) -> None:
    recording = read(root).recordings[0]
    assert recording.files.frame_names == ("9", "20", "100")
    assert [it.name for it in open_clips([recording.files])[0].frames()] == ["9", "20", "100"]
    assert recording.truth is not None
    assert recording.truth.names == ("9", "20", "100")


def test_every_instance_is_instrument_and_an_all_zero_mask_an_empty_truth(root: Path) -> None:
    truth = read(root).recordings[0].truth
    assert truth is not None
    assert truth.kinds == ("binary", "instances")
    assert truth.labels("100").tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 6
    assert truth.labels("20").tolist() == [[0] * 8] * 6


def test_instances_keep_the_numbers_of_the_file(root: Path) -> None:
    truth = read(root).recordings[0].truth
    assert truth is not None
    assert truth.labels("100", "instances").tolist() == [[0, 0, 1, 1, 2, 2, 0, 0]] * 6
    assert truth.labels("20", "instances").tolist() == [[0] * 8] * 6


def test_a_missing_mask_is_no_truth_and_told(root: Path) -> None:
    (root / RECTAL / "20" / "instrument_instances.png").unlink()
    dataset = read(root)
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert truth.names == ("9", "100")
    assert dataset.oddities == (f"{root / RECTAL}: no instrument_instances.png in 1 of 3 frames (20).",)


def test_an_operation_without_any_mask_has_no_truth(root: Path) -> None:
    for path in (root / RECTAL).rglob("instrument_instances.png"):
        path.unlink()
    dataset = read(root)
    assert dataset.recordings[0].truth is None
    assert dataset.oddities == (f"{root / RECTAL}: no instrument_instances.png in 3 of 3 frames (9, 20, 100).",)


def test_a_frame_without_picture_is_left_out_and_told(root: Path) -> None:
    (root / RECTAL / "100" / "raw.png").unlink()
    dataset = read(root)
    assert dataset.recordings[0].files.frame_names == ("9", "20")
    assert dataset.oddities == (f"{root / RECTAL}: no raw.png in 1 of 3 frames (100).",)


def test_an_operation_without_any_picture_is_told(root: Path) -> None:
    (root / "Stage_1" / "Rectal" / "1" / "40" / "raw.png").unlink()
    dataset = read(root)
    assert [it.name for it in dataset.recordings] == ["Training_Rectal_1", "Stage_3_Sigmoid_10"]
    assert dataset.oddities == (f"{root / 'Stage_1' / 'Rectal' / '1'}: no frame with raw.png in it.",)


def test_a_mask_of_another_size_than_its_frame_is_refused(root: Path) -> None:
    mask(root / RECTAL / "9" / "instrument_instances.png", 0, 1, size=(3, 4))
    truth = read(root).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=r"9/instrument_instances.png: 4x3 pixels; its frame has 8x6") as error:
        truth.labels("9")
    assert "of one release" in error.value.remedy


def test_stages_in_a_folder_of_their_own_are_found(root: Path) -> None:
    (root / "Testing").mkdir()
    for stage in ("Stage_1", "Stage_3"):
        (root / stage).rename(root / "Testing" / stage)
    assert [it.name for it in read(root).recordings] == ["Training_Rectal_1", "Stage_1_Rectal_1", "Stage_3_Sigmoid_10"]


def test_a_folder_around_the_data_set_is_looked_into(root: Path, tmp_path: Path) -> None:
    assert read(tmp_path).root == root


def test_a_folder_without_frames_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "Training"):
        (root / "Rectal").mkdir(parents=True)
        with pytest.raises(DatasetError, match=r"no ROBUST-MIS 2019 in it \(it holds .*Rectal/") as error:
            read(root)
        assert error.value.remedy == "Give the folder that holds Training, Stage_1, Stage_2 and Stage_3."


def test_spaces_in_the_names_of_procedures_become_underscores(root: Path) -> None:
    (root / "Stage_3" / "Sigmoid").rename(root / "Stage_3" / "Sigmoid resection")
    recording = read(root).recordings[-1]
    assert (recording.name, recording.number) == ("Stage_3_Sigmoid_resection_10", "Sigmoid_resection_10")
