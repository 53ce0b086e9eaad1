from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.written import mask, picture

from cuemask.datasets.isic2016 import ABOUT, read
from cuemask.errors import DatasetError
from cuemask.media.clips import open_clips


def part(root: Path, name: str, folder: str) -> Path:
    return root / f"ISBI2016_ISIC_Part1_{name}_{folder}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three training pictures and two test pictures of two sizes, all with truth."""
    root = tmp_path / "isic"
    for name, count in (("Training", 3), ("Test", 2)):
        for number in range(count):
            size = (6, 8) if number % 2 else (10, 4)
            picture(part(root, name, "Data") / f"ISIC_{number:07d}.jpg", size)
            mask(part(root, name, "GroundTruth") / f"ISIC_{number:07d}_Segmentation.png", 0, 255, size=size)
    return root


def test_training_and_test_pictures_are_a_recording_each(root: Path) -> None:
    dataset = read(root)
    found = [(it.name, it.number, it.split, len(it.files.paths)) for it in dataset.recordings]
    assert found == [("training", "training", "train", 3), ("test", "test", "test", 2)]
    assert dataset.classes == {"binary": {1: "lesion"}}
    assert dataset.oddities == ()
    assert ABOUT.protocol == "isic2016"


def test_pictures_of_different_sizes_stream_as_one_clip(root: Path) -> None:
    frames = list(open_clips([read(root).recordings[0].files])[0].frames())
    assert [frame.name for frame in frames] == ["ISIC_0000000", "ISIC_0000001", "ISIC_0000002"]
    assert [frame.rgb.shape[:2] for frame in frames] == [(10, 4), (6, 8), (10, 4)]


def test_a_lesion_is_where_the_mask_is_255(root: Path) -> None:
    truth = read(root).recordings[0].truth
    assert truth is not None
    assert truth.kinds == ("binary",)
    assert truth.names == ("ISIC_0000000", "ISIC_0000001", "ISIC_0000002")
    labels = truth.labels("ISIC_0000001")
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]] * 6


def test_a_mask_with_other_values_is_refused_with_value_and_file(root: Path) -> None:
    truth = read(root).recordings[0].truth
    assert truth is not None
    mask(part(root, "Training", "GroundTruth") / "ISIC_0000001_Segmentation.png", 0, 200)
    with pytest.raises(
        DatasetError, match=r"ISIC_0000001_Segmentation.png: code 200 at row 0, column 4; 24 pixels"
    ) as error:
        truth.labels("ISIC_0000001")
    assert error.value.remedy.endswith("allowed are 0, 255.")


def test_test_pictures_without_their_truth_are_told(root: Path) -> None:
    shutil.rmtree(part(root, "Test", "GroundTruth"))
    dataset = read(root)
    assert dataset.recordings[1].truth is None
    assert len(dataset.oddities) == 1
    assert "Test_GroundTruth: the folder is absent, so the test pictures have no truth" in dataset.oddities[0]


def test_a_missing_part_is_told(root: Path) -> None:
    shutil.rmtree(part(root, "Test", "Data"))
    dataset = read(root)
    assert [it.name for it in dataset.recordings] == ["training"]
    assert [oddity for oddity in dataset.oddities if "Test_Data: the folder is absent" in oddity]


def test_a_part_without_pictures_is_told(root: Path) -> None:
    for path in part(root, "Test", "Data").iterdir():
        path.unlink()
    assert [it.name for it in read(root).recordings] == ["training"]
    assert "Test_Data: no JPEG picture in it." in read(root).oddities[0]


def test_pictures_without_mask_and_masks_without_picture_are_counted_and_named(root: Path) -> None:
    truth = part(root, "Training", "GroundTruth")
    (truth / "ISIC_0000001_Segmentation.png").rename(truth / "ISIC_0000009_Segmentation.png")
    dataset = read(root)
    found = dataset.recordings[0].truth
    assert found is not None
    assert found.names == ("ISIC_0000000", "ISIC_0000002")
    assert dataset.oddities == (
        f"{truth}: no truth for 1 of the 3 frames (ISIC_0000001) of {part(root, 'Training', 'Data')}.",
        f"{truth}: truth without a frame: ISIC_0000009.",
    )


def test_a_folder_around_the_data_set_is_looked_into(root: Path, tmp_path: Path) -> None:
    assert read(tmp_path).root == root


def test_archive_stubs_are_not_taken_for_a_second_data_set(root: Path, tmp_path: Path) -> None:
    part(tmp_path / "__MACOSX", "Training", "Data").mkdir(parents=True)
    assert read(tmp_path).root == root


def test_a_folder_without_the_data_set_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    picture(tmp_path / "other" / "a.jpg")
    with pytest.raises(
        DatasetError, match=r"no ISIC 2016 task 1 in it \(it holds other/\)\. Expected: ISBI2016"
    ) as error:
        read(tmp_path)
    assert "Unpack the archives" in error.value.remedy


def test_folders_without_any_picture_are_refused(tmp_path: Path) -> None:
    part(tmp_path, "Training", "Data").mkdir()
    with pytest.raises(DatasetError, match="no ISIC 2016 task 1 in it"):
        read(tmp_path)


def test_an_absent_root_is_refused_with_its_neighbours(root: Path) -> None:
    with pytest.raises(DatasetError, match="isik: no such folder") as error:
        read(root.parent / "isik")
    assert f"Did you mean {root}?" in error.value.remedy


def test_a_file_is_refused_as_root(root: Path) -> None:
    archive = root.parent / "isic.zip"
    archive.touch()
    with pytest.raises(DatasetError, match=r"isic.zip: a file, not a folder") as error:
        read(archive)
    assert "Unpack it" in error.value.remedy
