from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cuemask.datasets import endovis2015
from cuemask.datasets.endovis2015 import ABOUT, read
from cuemask.errors import DatasetError
from cuemask.media.clips import open_clips
from cuemask.phantom.layouts import _write_avi

from .miniatures import drawn, miniature, snapshot

# The truth is compressed with loss, so that outlines may be off by a pixel.
AGREEMENT = 0.985


def test_videos_of_one_truth_or_of_one_a_tool_give_the_phantoms_truth(tmp_path: Path) -> None:
    dataset = read(miniature(tmp_path, "endovis2015"))
    assert dataset.classes["parts"] == {1: "shaft", 2: "manipulator"}
    for number, recording in enumerate(dataset.recordings):
        assert recording.truth is not None
        assert recording.truth.names == ("000000", "000001", "000002", "000003")
        for n, name in enumerate(recording.truth.names):
            frame = drawn(number, n)
            true = np.array([0, 1, 2, 2])[frame.parts // 10]
            parts = recording.truth.labels(name, "parts")
            assert (parts == true).mean() > AGREEMENT
            assert (recording.truth.labels(name) == frame.mask).mean() > AGREEMENT
            assert set(np.unique(parts)) == {0, 1, 2}


def test_truth_is_named_as_the_clips_frames(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2015")
    before = snapshot(root)
    for recording in read(root).recordings:
        assert recording.truth is not None
        (clip,) = open_clips([recording.files])
        assert clip.name == recording.name
        assert tuple(frame.name for frame in clip.frames()) == recording.truth.names
    assert snapshot(root) == before


def test_frames_may_be_asked_for_in_any_order_but_decode_once_in_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = read(miniature(tmp_path, "endovis2015")).recordings[1].truth
    assert truth is not None
    begun: list[Path] = []
    decode = endovis2015.video_frames
    monkeypatch.setattr(endovis2015, "video_frames", lambda path, taken: begun.append(path) or decode(path, taken))
    forwards = [truth.labels(name, "parts") for name in truth.names]
    assert len(begun) == 1
    np.testing.assert_array_equal(truth.labels("000003", "parts"), forwards[3])
    assert len(begun) == 1
    np.testing.assert_array_equal(truth.labels("000001", "parts"), forwards[1])
    np.testing.assert_array_equal(truth.labels("000003") > 0, forwards[3] > 0)
    assert len(begun) == 2


def test_labels_are_the_askers_own(tmp_path: Path) -> None:
    truth = read(miniature(tmp_path, "endovis2015", recordings=1)).recordings[0].truth
    assert truth is not None
    truth.labels("000000", "parts")[:] = 9
    assert truth.labels("000000", "parts").max() == 2


def test_training_and_testing_are_told_apart(tmp_path: Path) -> None:
    miniature(tmp_path, "endovis2015", "Segmentation_Robotic_Training/Training")
    dataset = read(miniature(tmp_path, "endovis2015", "Testing", recordings=1))
    assert [(r.name, r.number, r.split) for r in dataset.recordings] == [
        ("Dataset1", "1", "train"),
        ("Dataset2", "2", "train"),
        ("Dataset1_test", "1", "test"),
    ]


def test_truth_may_lie_in_a_folder_of_its_own(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2015", "Segmentation")
    (root / "GT" / "Dataset2").mkdir(parents=True)
    (root / "Segmentation" / "Dataset2" / "Segmentation.avi").rename(root / "GT" / "Dataset2" / "Segmentation.avi")
    dataset = read(root)
    truth = dataset.recordings[1].truth
    assert truth is not None
    assert (truth.labels("000001") == drawn(1, 1).mask).mean() > AGREEMENT


def test_all_that_any_of_the_videos_shows_is_true(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2015", recordings=1)
    home = root / "Dataset1"
    (home / "Right_Instrument_Segmentation.avi").rename(home / "Segmentation.avi")
    dataset = read(root)
    truth = dataset.recordings[0].truth
    assert truth is not None
    assert (truth.labels("000000") == drawn(0, 0).mask).mean() > AGREEMENT


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2015")
    (root / "Dataset1" / "Left_Instrument_Segmentation.avi").unlink()
    (root / "Dataset2" / "Segmentation.avi").unlink()
    (root / "Dataset4").mkdir()
    dataset = read(root)
    assert dataset.recordings[1].truth is None
    assert dataset.oddities == (
        f"{root}/Dataset1: truth of one tool only, Right_Instrument_Segmentation.avi.",
        f"{root}/Dataset2: no Segmentation.avi in it (it holds Video.avi).",
        f"{root}/Dataset4: left out, as there is no Video.avi in it (it holds nothing).",
        f"{root}: without train recordings 3, 4 of 4 that are published.",
    )


def test_greys_far_above_the_shafts_are_refused(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2015", recordings=2)
    white = np.zeros((96, 128, 3), np.uint8)
    white[40:60, 40:60] = 255
    (root / "Dataset2" / "Segmentation.avi").unlink()
    _write_avi(root / "Dataset2" / "Segmentation.avi", [white])
    truth = read(root).recordings[1].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=r"Segmentation\.avi: code 2\d\d at row"):
        truth.labels("000000")


def test_videos_of_different_sizes_are_refused(tmp_path: Path) -> None:
    root = miniature(tmp_path, "endovis2015", recordings=1)
    path = root / "Dataset1" / "Right_Instrument_Segmentation.avi"
    path.unlink()
    _write_avi(path, [np.zeros((64, 96, 3), np.uint8)])
    truth = read(root).recordings[0].truth
    assert truth is not None
    assert truth.names == ("000000",)
    with pytest.raises(DatasetError, match="96x64 pixels"):
        truth.labels("000000")


@pytest.mark.parametrize("name", ["000004", "frame000"])
def test_unknown_frames_are_refused(tmp_path: Path, name: str) -> None:
    truth = read(miniature(tmp_path, "endovis2015", recordings=1)).recordings[0].truth
    assert truth is not None
    with pytest.raises(DatasetError, match=f"no truth for frame {name}"):
        truth.labels(name)


def test_a_root_without_recordings_says_what_is_there(tmp_path: Path) -> None:
    shutil.copytree(miniature(tmp_path, "endovis2018", recordings=1), tmp_path / "other")
    with pytest.raises(DatasetError, match=r"it holds seq_1/") as error:
        read(tmp_path / "other")
    assert "Video.avi" in error.value.remedy


def test_it_is_introduced_by_its_name() -> None:
    assert (ABOUT.name, ABOUT.read) == ("endovis2015", read)
