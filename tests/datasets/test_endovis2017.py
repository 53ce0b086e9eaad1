from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.datasets.dataset import Dataset
from cuemask.datasets.endovis2017 import ABOUT, CROP, read
from cuemask.errors import DatasetError
from cuemask.media.clips import open_clips
from cuemask.phantom.layouts import write_layout

from .miniatures import miniature, snapshot, true_parts

LAYOUTS = ["endovis2017", "endovis2017-test", "endovis2017-cropped", "endovis2017-authors"]


def codes_of(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def write(path: Path, codes: np.ndarray) -> None:
    assert cv2.imwrite(str(path), codes)


def names(dataset: Dataset) -> list[str]:
    return [recording.name for recording in dataset.recordings]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_phantoms_exact_binary_truth(tmp_path: Path, layout: str) -> None:
    dataset = read(miniature(tmp_path, layout))
    for number, recording in enumerate(dataset.recordings[:2]):
        assert recording.truth is not None
        assert recording.truth.names == tuple(f"frame{n:03}" for n in range(4))
        for n, name in enumerate(recording.truth.names):
            np.testing.assert_array_equal(recording.truth.labels(name), true_parts(number, n) > 0)


@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_parts_and_types_are_numbered_alike_in_every_layout(tmp_path: Path, layout: str) -> None:
    dataset = read(miniature(tmp_path, layout))
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert truth.kinds == tuple(dataset.classes)
    assert truth.kinds[:3] == ("binary", "parts", "type")
    assert dataset.classes["parts"] == {1: "shaft", 2: "wrist", 3: "clasper"}
    parts = true_parts(0, 1)
    np.testing.assert_array_equal(truth.labels("frame001", "parts"), parts)
    types = truth.labels("frame001", "type")
    left = np.arange(parts.shape[1]) < parts.shape[1] // 2
    np.testing.assert_array_equal(types[parts > 0], np.where(left, 1, 2)[np.where(parts)[1]])
    assert (types == 7).any()
    assert dataset.classes["type"][7] == "other"


def test_each_folder_of_a_tool_is_one_instrument_and_the_probe_is_none(tmp_path: Path) -> None:
    dataset = read(miniature(tmp_path, "endovis2017"))
    for number, recording in enumerate(dataset.recordings):
        assert recording.truth is not None
        assert "instances" in recording.truth.kinds
        for n, name in enumerate(recording.truth.names):
            parts = true_parts(number, n)
            left = np.arange(parts.shape[1]) < parts.shape[1] // 2
            expected = np.where(parts > 0, np.where(left, 1, 2), 0)
            np.testing.assert_array_equal(recording.truth.labels(name, "instances"), expected)
    assert dataset.classes["instances"] == {}


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_layouts_without_folders_of_tools_tell_no_instances(tmp_path: Path, layout: str) -> None:
    dataset = read(miniature(tmp_path, layout))
    assert "instances" not in dataset.classes
    assert all(it.truth is None or "instances" not in it.truth.kinds for it in dataset.recordings)


def test_what_is_no_instrument_counts_only_as_a_type(tmp_path: Path) -> None:
    truth = read(miniature(tmp_path, "endovis2017")).recordings[0].truth
    assert truth is not None
    other = truth.labels("frame000", "type") == 7
    assert other.any()
    assert not truth.labels("frame000", "binary")[other].any()
    assert not truth.labels("frame000", "parts")[other].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading_writes_nothing(tmp_path: Path, layout: str) -> None:
    root = miniature(tmp_path, layout)
    before = snapshot(root)
    for recording in read(root).recordings:
        assert recording.truth is not None
        recording.truth.labels("frame000")
    assert snapshot(root) == before


def test_training_and_test_side_by_side_are_told_apart(tmp_path: Path) -> None:
    miniature(tmp_path, "endovis2017", "instrument_1_4_training")
    dataset = read(miniature(tmp_path, "endovis2017-test", "instrument_1_4_testing"))
    assert names(dataset) == [
        "instrument_dataset_1",
        "instrument_dataset_2",
        "instrument_dataset_1_test",
        "instrument_dataset_2_test",
    ]
    assert [recording.split for recording in dataset.recordings] == ["train", "train", "test", "test"]
    assert [recording.number for recording in dataset.recordings] == ["1", "2", "1", "2"]


def test_test_frames_without_truth_are_recordings_of_the_test(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017-test")
    for folder in root.glob("*/gt"):
        shutil.rmtree(folder)
    dataset = read(root)
    assert names(dataset) == ["instrument_dataset_1_test", "instrument_dataset_2_test"]
    assert [recording.truth for recording in dataset.recordings] == [None, None]


def test_test_truth_may_lie_in_a_folder_of_its_own(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017-test")
    for folder in list(root.glob("*/gt")):
        shutil.copytree(folder, root / "gt" / folder.parent.name)
        shutil.rmtree(folder)
    truth = read(root).recordings[1].truth
    assert truth is not None
    np.testing.assert_array_equal(truth.labels("frame002", "parts"), true_parts(1, 2))


def test_binary_test_truth_follows_from_parts_where_it_is_absent(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017-test")
    shutil.rmtree(root / "instrument_dataset_1" / "gt" / "BinarySegmentation")
    dataset = read(root)
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert truth.kinds == ("binary", "parts", "type")
    np.testing.assert_array_equal(truth.labels("frame000"), true_parts(0, 0) > 0)
    assert any("no BinarySegmentation" in oddity for oddity in dataset.oddities)


def test_binary_truth_from_types_leaves_out_what_is_no_instrument(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017-test")
    for kind in ("Binary", "Parts"):
        shutil.rmtree(root / "instrument_dataset_1" / "gt" / f"{kind}Segmentation")
    truth = read(root).recordings[0].truth
    assert truth is not None
    np.testing.assert_array_equal(truth.labels("frame000"), true_parts(0, 0) > 0)


def test_the_four_folds_are_the_usual_ones(tmp_path: Path) -> None:
    dataset = read(miniature(tmp_path, "endovis2017", recordings=8, frames=1))
    assert dataset.oddities == ()
    assert dataset.folds == tuple(
        tuple(f"instrument_dataset_{number}" for number in fold) for fold in ((1, 3), (2, 5), (4, 8), (6, 7))
    )


def test_recordings_that_are_not_there_are_named(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017", recordings=8, frames=1)
    shutil.rmtree(root / "instrument_dataset_7")
    assert read(root).oddities == (f"{root}: without train recordings 7 of 8 that are published.",)


def test_the_crop_is_prescribed_for_whole_frames_only(tmp_path: Path) -> None:
    write_layout("endovis2017", tmp_path / "whole", recordings=1, frames=1, full_size=True)
    write_layout("endovis2017", tmp_path / "small", recordings=1, frames=1)
    dataset = read(tmp_path / "whole")
    assert dataset.crop == CROP == (28, 320, 1024, 1280)
    assert read(tmp_path / "small").crop is None
    truth = dataset.recordings[0].truth
    assert truth is not None
    labels = truth.labels("frame000")
    inside = labels[28 : 28 + 1024, 320 : 320 + 1280]
    assert labels.shape == (1080, 1920)
    assert labels.sum() == inside.sum() > 0


def test_the_authors_release_brings_anchors_for_every_frame(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017-authors")
    dataset = read(root)
    assert names(dataset) == ["instrument_dataset_1", "instrument_dataset_2", "instrument_dataset_1_test"]
    anchors = dataset.recordings[1].anchors
    assert anchors is not None
    assert anchors.positive["frame003"] == root / "anchors" / "pos" / "instrument_dataset_2_train" / "frame003.png"
    assert anchors.positive.keys() == anchors.negative.keys() == {f"frame{n:03}" for n in range(4)}


def test_absent_anchors_are_named(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017-authors")
    (root / "anchors" / "neg" / "instrument_dataset_1_train" / "frame001.png").unlink()
    assert any("no anchor for 1 of 4 frames: frame001." in oddity for oddity in read(root).oddities)


def test_the_authors_truth_goes_by_place_where_no_name_fits(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017-authors")
    for path in (root / "ground_truth" / "instrument_dataset_1_train").iterdir():
        path.rename(path.with_name(path.name.replace("frame", "mask_")))
    truth = read(root).recordings[0].truth
    assert truth is not None
    np.testing.assert_array_equal(truth.labels("frame002"), true_parts(0, 2) > 0)


def test_clips_open_by_the_recordings_files(tmp_path: Path) -> None:
    (clip,) = open_clips([read(miniature(tmp_path, "endovis2017-cropped")).recordings[1].files])
    assert clip.name == "instrument_dataset_2"
    assert [frame.name for frame in clip.frames()] == ["frame000", "frame001", "frame002", "frame003"]


def test_a_copy_in_another_layout_is_left_out_and_named(tmp_path: Path) -> None:
    miniature(tmp_path, "endovis2017", "train")
    dataset = read(miniature(tmp_path, "endovis2017-cropped", "made"))
    assert names(dataset) == ["instrument_dataset_1", "instrument_dataset_2"]
    assert "cropped_train" in dataset.oddities[0]
    assert "left_frames" in dataset.layout


def test_a_second_copy_of_a_recording_is_left_out_and_named(tmp_path: Path) -> None:
    miniature(tmp_path, "endovis2017", "a")
    dataset = read(miniature(tmp_path, "endovis2017", "b"))
    assert names(dataset) == ["instrument_dataset_1", "instrument_dataset_2"]
    assert sum("was found before it" in oddity for oddity in dataset.oddities) == 2


def test_frames_without_truth_and_truth_without_frames_are_named(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017")
    home = root / "instrument_dataset_1"
    (home / "ground_truth" / "Other_labels" / "frame001.png").unlink()
    (home / "left_frames" / "frame002.png").unlink()
    dataset = read(root)
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert truth.names == ("frame000", "frame003")
    said = "\n".join(dataset.oddities)
    assert f"{home}/ground_truth/Other_labels: no truth for 1 of the 3 frames (frame001)" in said
    assert "Right_Prograsp_Forceps_labels: truth without a frame: frame002." in said
    assert f"{home}/left_frames: the numbers of its frames leave out 2." in said


def test_a_recording_without_truth_is_kept_without_it(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017", "train")
    shutil.rmtree(root / "train" / "instrument_dataset_2" / "ground_truth")
    dataset = read(root)
    assert dataset.recordings[1].split == "train"
    assert dataset.recordings[1].truth is None
    assert any("instrument_dataset_2: no ground_truth in it" in oddity for oddity in dataset.oddities)


def test_a_folder_of_no_known_tool_is_refused(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017")
    truth = root / "instrument_dataset_1" / "ground_truth"
    (truth / "Maryland_Bipolar_Forceps_labels").rename(truth / "Left_Spoon_labels")
    with pytest.raises(DatasetError, match=r"Left_Spoon_labels: no tool") as error:
        read(root)
    assert "prograsp forceps" in error.value.remedy


def test_folders_that_hold_no_truth_are_left_out_and_named(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017")
    (root / "instrument_dataset_1" / "ground_truth" / "fuse").mkdir()
    assert any("fuse: left out" in oddity for oddity in read(root).oddities)


def test_a_code_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017")
    path = root / "instrument_dataset_1" / "ground_truth" / "Maryland_Bipolar_Forceps_labels" / "frame001.png"
    codes = codes_of(path)
    codes[5, 7] = 99
    write(path, codes)
    truth = read(root).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=r"frame001\.png: code 99 at row 5, column 7") as error:
        truth.labels("frame001")
    assert "allowed are 0, 10, 20, 30" in error.value.remedy


def test_truth_of_16_bits_is_refused(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017")
    path = root / "instrument_dataset_1" / "ground_truth" / "Other_labels" / "frame001.png"
    write(path, codes_of(path).astype(np.uint16))
    truth = read(root).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match="truth of type uint16"):
        truth.labels("frame001", "type")


def test_few_blended_pixels_of_a_truth_in_colours_take_the_nearest_code(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017")
    path = root / "instrument_dataset_1" / "ground_truth" / "Maryland_Bipolar_Forceps_labels" / "frame001.png"
    codes = cv2.cvtColor(codes_of(path), cv2.COLOR_GRAY2BGR)
    places = np.argwhere(codes[..., 0] == 30)[:3]
    codes[tuple(places.T)] = [(27, 28, 28), (31, 31, 31), (26, 26, 26)]
    write(path, codes)
    truth = read(root).recordings[0].truth
    assert truth is not None
    np.testing.assert_array_equal(truth.labels("frame001", "parts"), true_parts(0, 1))


def test_class_numbers_in_the_place_of_codes_are_refused_even_in_colours(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017")
    path = root / "instrument_dataset_1" / "ground_truth" / "Maryland_Bipolar_Forceps_labels" / "frame001.png"
    write(path, cv2.cvtColor(codes_of(path) // np.uint8(10), cv2.COLOR_GRAY2BGR))
    truth = read(root).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=r"code [123] at row"):
        truth.labels("frame001")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_truth_of_another_size_than_its_frame_is_refused(tmp_path: Path, layout: str) -> None:
    root = miniature(tmp_path, layout)
    recording = read(root).recordings[0]
    assert recording.truth is not None
    picture = codes_of(recording.files.paths[0])
    write(recording.files.paths[0], picture[:-2])
    with pytest.raises(DatasetError, match=r"128x96 pixels; its frame has 128x94"):
        recording.truth.labels("frame000")


def test_unknown_frames_and_kinds_are_refused(tmp_path: Path) -> None:
    truth = read(miniature(tmp_path, "endovis2017-authors")).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match="no truth for frame frame999"):
        truth.labels("frame999")
    with pytest.raises(DatasetError, match="does not tell parts"):
        truth.labels("frame000", "parts")


def test_endings_in_capitals_and_linked_folders_are_read(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017")
    for path in (root / "instrument_dataset_1" / "left_frames").iterdir():
        path.rename(path.with_suffix(".PNG"))
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "instrument_dataset_1").symlink_to(root / "instrument_dataset_1")
    truth = read(tmp_path / "linked").recordings[0].truth
    assert truth is not None
    np.testing.assert_array_equal(truth.labels("frame001"), true_parts(0, 1) > 0)


def test_stubs_that_macs_pack_beside_the_files_are_passed_over(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2017", "train")
    shutil.copytree(root / "train", root / "__MACOSX" / "train")
    dataset = read(root)
    assert not any("found before it" in oddity for oddity in dataset.oddities)


@pytest.mark.parametrize("made", ["empty", "other", "absent", "file"])
def test_a_root_without_recordings_says_what_is_there_and_what_was_expected(tmp_path: Path, made: str) -> None:
    root = tmp_path / "data"
    if made == "file":
        root.write_text("")
    elif made != "absent":
        (root / ("somewhere" if made == "other" else ".")).mkdir(parents=True)
    said = {"empty": "it holds nothing", "other": "it holds somewhere/", "absent": "no such", "file": "not a folder"}
    with pytest.raises(DatasetError, match=said[made]) as error:
        read(root)
    assert str(root) in error.value.what
    assert "left_frames" in error.value.remedy


def test_a_recording_without_pictures_is_left_out_and_an_error_if_it_is_the_only_one(tmp_path: Path) -> None:
    (tmp_path / "data" / "instrument_dataset_1" / "left_frames").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no picture in it"):
        read(tmp_path / "data")


def test_it_is_introduced_by_its_name() -> None:
    assert ABOUT.name == "endovis2017"
    assert ABOUT.read is read
    assert len(ABOUT.layouts) == 4
