from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.datasets.endovis2018 import ABOUT, read
from cuemask.errors import DatasetError
from cuemask.media.clips import open_clips

from .miniatures import miniature, snapshot, true_parts


def recolor(path: Path, place: tuple[int, int], rgb: tuple[int, int, int]) -> None:
    bgr = cv2.imread(str(path))
    bgr[place] = rgb[::-1]
    assert cv2.imwrite(str(path), bgr)


def test_colours_decode_to_the_phantoms_exact_parts(tmp_path: Path) -> None:
    dataset = read(miniature(tmp_path, "endovis2018"))
    assert [recording.name for recording in dataset.recordings] == ["seq_1", "seq_2"]
    for number, recording in enumerate(dataset.recordings):
        assert recording.truth is not None
        assert recording.truth.names == ("frame000", "frame001", "frame002", "frame003")
        for n, name in enumerate(recording.truth.names):
            parts = true_parts(number, n)
            np.testing.assert_array_equal(recording.truth.labels(name, "parts"), parts)
            np.testing.assert_array_equal(recording.truth.labels(name), parts > 0)


def test_types_are_all_the_classes_of_the_challenge(tmp_path: Path) -> None:
    dataset = read(miniature(tmp_path, "endovis2018"))
    names = dataset.classes["type"]
    assert len(names) == 11
    truth = dataset.recordings[0].truth
    assert truth is not None
    seen = {names[number] for number in np.unique(truth.labels("frame000", "type")).tolist() if number}
    assert seen == {"instrument shaft", "instrument wrist", "instrument clasper", "kidney", "ultrasound probe"}


@pytest.mark.parametrize(
    ("rgb", "parts", "name"),
    [
        ((0, 255, 0), 1, "instrument shaft"),
        ((125, 255, 12), 2, "instrument wrist"),
        ((0, 255, 255), 3, "instrument clasper"),
        ((0, 255, 125), 0, "clamps"),
        ((255, 255, 125), 0, "needle"),
        ((123, 15, 175), 0, "suction"),
        ((12, 255, 141), 0, "ultrasound probe"),
        ((187, 155, 25), 0, "thread"),
        ((255, 55, 0), 0, "kidney"),
        ((24, 55, 125), 0, "covered kidney"),
        ((124, 155, 5), 0, "small intestine"),
    ],
)
def test_only_shaft_wrist_and_clasper_are_instrument(
    tmp_path: Path, rgb: tuple[int, int, int], parts: int, name: str
) -> None:
    root = miniature(tmp_path, "endovis2018", recordings=1, frames=1)
    recolor(root / "seq_1" / "labels" / "frame000.png", (3, 4), rgb)
    dataset = read(root)
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert truth.labels("frame000", "parts")[3, 4] == parts
    assert truth.labels("frame000")[3, 4] == (parts > 0)
    assert dataset.classes["type"][int(truth.labels("frame000", "type")[3, 4])] == name


@pytest.mark.parametrize("rgb", [(1, 255, 0), (255, 255, 255), (0, 0, 1)])
def test_an_unknown_colour_is_refused_with_its_place(tmp_path: Path, rgb: tuple[int, int, int]) -> None:
    root = miniature(tmp_path, "endovis2018", recordings=1)
    recolor(root / "seq_1" / "labels" / "frame002.png", (10, 20), rgb)
    truth = read(root).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=r"frame002\.png: colour \(.*\) at row 10, column 20; 1 pixels") as error:
        truth.labels("frame002")
    assert str(rgb) in error.value.what
    assert "instrument clasper" in error.value.remedy


def test_releases_in_folders_and_the_test_of_the_same_numbers_are_told_apart(tmp_path: Path) -> None:
    miniature(tmp_path, "endovis2018", "miccai_challenge_2018_release_1/miccai_challenge_2018_release_1")
    root = miniature(tmp_path, "endovis2018", "Test_data_and_label_release/test_data", recordings=1)
    dataset = read(root)
    assert [(r.name, r.number, r.split) for r in dataset.recordings] == [
        ("seq_1", "1", "train"),
        ("seq_2", "2", "train"),
        ("seq_1_test", "1", "test"),
    ]


def test_the_usual_validation_is_the_one_fold(tmp_path: Path) -> None:
    dataset = read(miniature(tmp_path, "endovis2018", recordings=15, frames=1))
    assert dataset.folds == (("seq_2", "seq_5", "seq_9", "seq_15"),)
    assert dataset.oddities == ()
    assert dataset.crop is None


def test_corrected_labels_take_the_place_of_those_they_correct(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2018")
    (root / "repairs").mkdir()
    shutil.copy(root / "seq_1" / "labels" / "frame003.png", root / "repairs" / "seq_1_frame001.png")
    dataset = read(root)
    truth = dataset.recordings[0].truth
    assert truth is not None
    np.testing.assert_array_equal(truth.labels("frame001", "parts"), true_parts(0, 3))
    assert "seq_1: corrected labels take the place of those of frame001." in dataset.oddities


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2018")
    (root / "seq_1" / "labels" / "frame001.png").unlink()
    (root / "seq_1" / "left_frames" / "frame002.png").unlink()
    shutil.rmtree(root / "seq_2" / "labels")
    (root / "seq_3").mkdir()
    dataset = read(root)
    said = "\n".join(dataset.oddities)
    assert f"{root}/seq_1/labels: no truth for 1 of the 3 frames (frame001) of {root}/seq_1/left_frames." in said
    assert "seq_1/labels: truth without a frame: frame002." in said
    assert "seq_1/left_frames: the numbers of its frames leave out 2." in said
    assert "seq_2: no labels in it (it holds left_frames/)." in said
    assert "seq_3: left out, as there is no picture in left_frames (it holds nothing)." in said
    assert dataset.recordings[0].truth is not None
    assert dataset.recordings[0].truth.names == ("frame000", "frame003")
    assert dataset.recordings[1].truth is None


def test_truth_of_another_size_than_its_frame_is_refused(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2018", recordings=1)
    truth = read(root).recordings[0].truth
    assert truth is not None
    path = root / "seq_1" / "labels" / "frame000.png"
    assert cv2.imwrite(str(path), cv2.imread(str(path))[:, :-2])
    with pytest.raises(DatasetError, match=r"126x96 pixels; its frame has 128x96"):
        truth.labels("frame000")


def test_reading_writes_nothing_and_the_clip_opens(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2018", recordings=1)
    before = snapshot(root)
    recording = read(root).recordings[0]
    assert recording.truth is not None
    recording.truth.labels("frame000")
    (clip,) = open_clips([recording.files])
    assert [frame.name for frame in clip.frames()] == list(recording.truth.names)
    assert snapshot(root) == before


def test_a_root_without_recordings_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    with pytest.raises(DatasetError, match=r"no recording of EndoVis 2018 in it \(it holds videos/\)") as error:
        read(tmp_path)
    assert "seq_1" in error.value.remedy


def test_the_only_recording_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "seq_1" / "left_frames").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no picture in left_frames"):
        read(tmp_path)


def test_it_is_introduced_by_its_name() -> None:
    assert (ABOUT.name, ABOUT.read) == ("endovis2018", read)
