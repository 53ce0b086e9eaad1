from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.datasets.written import mask, picture

from cuemask.datasets.kvasir import read
from cuemask.errors import DatasetError
from cuemask.media.clips import open_clips

SIZES = {"ckaa": (6, 8), "ckbb": (4, 8), "ckcc": (6, 8), "ckdd": (10, 6)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three training pictures and a test picture, of three sizes."""
    root = tmp_path / "kvasir-instrument"
    for name, size in SIZES.items():
        picture(root / "images" / f"{name}.jpg", size)
        mask(root / "masks" / f"{name}.png", 0, 127, 128, 255, channels=3, size=size)
    (root / "train.txt").write_text("ckcc\nckaa\nckbb\n")
    (root / "test.txt").write_text("ckdd\n")
    return root


def test_the_lists_part_the_pictures_into_training_and_test(root: Path) -> None:
    dataset = read(root)
    assert [(it.name, it.number, it.split) for it in dataset.recordings] == [
        ("train", "train", "train"),
        ("test", "test", "test"),
    ]
    assert [[path.stem for path in it.files.paths] for it in dataset.recordings] == [["ckaa", "ckbb", "ckcc"], ["ckdd"]]
    assert dataset.classes == {"binary": {1: "instrument"}}
    assert dataset.oddities == ()


def test_pictures_of_different_sizes_stream_as_one_clip(root: Path) -> None:
    frames = open_clips([read(root).recordings[0].files])[0].frames()
    assert [frame.rgb.shape[:2] for frame in frames] == [(6, 8), (4, 8), (6, 8)]


def test_blurred_edges_are_cut_in_the_middle(root: Path) -> None:
    truth = read(root).recordings[0].truth
    assert truth is not None
    assert truth.kinds == ("binary",)
    assert truth.names == ("ckaa", "ckbb", "ckcc")
    assert truth.labels("ckaa").tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]] * 6


def test_a_mask_of_another_size_than_its_picture_is_refused(root: Path) -> None:
    mask(root / "masks" / "ckbb.png", 0, 255, size=(6, 8))
    truth = read(root).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=r"ckbb.png: 8x6 pixels; its frame has 8x4"):
        truth.labels("ckbb")


def test_truth_that_is_not_there_is_refused(root: Path) -> None:
    truth = read(root).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match="images: there is no truth for frame ckdd"):
        truth.labels("ckdd")
    with pytest.raises(DatasetError, match="images: its truth does not tell parts"):
        truth.labels("ckaa", "parts")


def test_names_in_the_lists_may_have_endings_and_blank_lines(root: Path) -> None:
    (root / "train.txt").write_text("ckcc.jpg\r\nckaa.png\r\n\r\nckbb \r\n")
    assert read(root).oddities == ()


def test_pictures_in_neither_or_both_lists_are_told(root: Path) -> None:
    (root / "train.txt").write_text("ckaa\nckdd\n")
    dataset = read(root)
    assert dataset.oddities == (
        f"{root}: 1 of 4 pictures stand in both train.txt and test.txt (ckdd).",
        f"{root}: 2 of 4 pictures stand in neither train.txt nor test.txt (ckbb, ckcc).",
    )
    assert [len(it.files.paths) for it in dataset.recordings] == [2, 1]


def test_names_without_picture_are_told(root: Path) -> None:
    (root / "images" / "ckbb.jpg").unlink()
    assert read(root).oddities == (
        f"{root / 'train.txt'}: no picture for 1 of 3 names (ckbb).",
        f"{root / 'masks'}: truth without a frame: ckbb.",
    )


def test_pictures_without_mask_are_told_and_have_no_truth(root: Path) -> None:
    (root / "masks" / "ckaa.png").unlink()
    dataset = read(root)
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert truth.names == ("ckbb", "ckcc")
    assert dataset.oddities == (f"{root / 'masks'}: no truth for 1 of the 4 frames (ckaa) of {root / 'images'}.",)


def test_absent_masks_leave_pictures_without_truth(root: Path) -> None:
    shutil.rmtree(root / "masks")
    dataset = read(root)
    assert [it.truth for it in dataset.recordings] == [None, None]
    assert dataset.oddities == (f"{root / 'masks'}: no truth for any of the 4 frames of {root / 'images'}.",)


def test_an_absent_list_is_told(root: Path) -> None:
    (root / "test.txt").unlink()
    dataset = read(root)
    assert [it.name for it in dataset.recordings] == ["train"]
    assert dataset.oddities == (
        f"{root / 'test.txt'}: the list is absent.",
        f"{root}: 1 of 4 pictures stand in neither train.txt nor test.txt (ckdd).",
    )


def test_lists_that_name_no_picture_are_refused(root: Path) -> None:
    (root / "train.txt").write_text("other\n")
    (root / "test.txt").write_text("")
    with pytest.raises(DatasetError, match=r"4 pictures, and none of them stands in train.txt or test.txt") as error:
        read(root)
    assert "Copy train.txt and test.txt" in error.value.remedy


def test_packed_pictures_are_refused_with_the_command_that_unpacks_them(root: Path) -> None:
    for folder in ("images", "masks"):
        shutil.rmtree(root / folder)
        (root / f"{folder}.tar.gz").touch()
    with pytest.raises(
        DatasetError, match=r"no Kvasir-Instrument in it \(it holds images.tar.gz, masks.tar.gz"
    ) as error:
        read(root)
    assert error.value.remedy == f"Run: cd {root} && tar xzf images.tar.gz && tar xzf masks.tar.gz"


def test_a_folder_around_the_data_set_is_looked_into(root: Path, tmp_path: Path) -> None:
    assert read(tmp_path).root == root


def test_two_data_sets_in_a_folder_are_refused(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "copy")
    with pytest.raises(DatasetError, match="it holds copy/, kvasir-instrument/"):
        read(tmp_path)


def test_pictures_that_differ_in_their_endings_only_are_refused(root: Path) -> None:
    picture(root / "images" / "ckaa.jpeg")
    with pytest.raises(DatasetError, match=r"ckaa.jpeg and ckaa.jpg are both frame ckaa"):
        read(root)


def test_a_folder_without_the_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"no Kvasir-Instrument in it \(it holds nothing\)\. Expected: images/NAME.jpg"
    ):
        read(tmp_path)
