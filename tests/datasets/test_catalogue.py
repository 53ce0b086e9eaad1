from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.datasets.written import mask, picture

from cuemask.datasets.catalogue import DATASETS, read_dataset
from cuemask.datasets.survey import survey
from cuemask.errors import DatasetError
from cuemask.phantom import PhantomScene
from cuemask.phantom.layouts import LAYOUTS, SMALL_SIZE, write_layout


@pytest.fixture
def cholec(tmp_path: Path) -> Path:
    root = tmp_path / "cholec"
    for clip in ("video01/video01_00080", "video01/video01_00160", "video12/video12_15750"):
        picture(root / clip / "frame_1_endo.png")
        mask(root / clip / "frame_1_endo_watershed_mask.png", 50, 31)
    return root


@pytest.fixture
def isic(tmp_path: Path) -> Path:
    for part in ("Training", "Test"):
        picture(tmp_path / "isic" / f"ISBI2016_ISIC_Part1_{part}_Data" / "ISIC_0000000.jpg")
    return tmp_path / "isic"


def names(name: str, root: Path, *videos: str) -> list[str]:
    return [recording.name for recording in read_dataset(name, root, videos).recordings]


def test_all_data_sets_are_there_in_their_order() -> None:
    endovis = ["endovis2017", "endovis2018", "endovis2015"]
    assert list(DATASETS) == [*endovis, "isic2016", "cholecseg8k", "robustmis", "kvasir", "folders"]


def test_every_data_set_says_what_it_is() -> None:
    for name, about in DATASETS.items():
        assert about.name == name
        assert all((about.title, about.content, about.terms, about.access, about.layouts, about.protocol))
        assert about.kinds[0] == "binary"


def test_without_videos_all_recordings_are_read(cholec: Path) -> None:
    assert names("cholecseg8k", cholec) == ["video01_00080", "video01_00160", "video12_15750"]


@pytest.mark.parametrize(
    ("videos", "chosen"),
    [
        (["1"], ["video01_00080", "video01_00160"]),
        (["01"], ["video01_00080", "video01_00160"]),
        (["video01"], ["video01_00080", "video01_00160"]),
        (["video01_00160"], ["video01_00160"]),
        (["12", "video01_00080"], ["video01_00080", "video12_15750"]),
        (["train", "1"], ["video01_00080", "video01_00160", "video12_15750"]),
    ],
)
def test_videos_are_chosen_by_number_name_or_beginning_and_keep_their_order(
    cholec: Path, videos: list[str], chosen: list[str]
) -> None:
    assert names("cholecseg8k", cholec, *videos) == chosen


@pytest.mark.parametrize(("video", "chosen"), [("train", "training"), ("training", "training"), ("test", "test")])
def test_videos_are_chosen_by_split_or_by_what_the_set_calls_it(isic: Path, video: str, chosen: str) -> None:
    assert names("isic2016", isic, video) == [chosen]


def test_a_whole_name_goes_before_the_beginning_of_another(tmp_path: Path) -> None:
    for name in ("case_1", "case_1_late", "case_2"):
        picture(tmp_path / name / "frames" / "0.png")
    assert names("folders", tmp_path, "case_1") == ["case_1"]
    assert names("folders", tmp_path, "case") == ["case_1", "case_1_late", "case_2"]


def test_all_unknown_videos_are_refused_with_the_list_of_what_there_is(cholec: Path) -> None:
    with pytest.raises(DatasetError, match=r"cholecseg8k there has no video 2, video0, test\.") as error:
        names("cholecseg8k", cholec, "2", "1", "video0", "test")
    expected = "video01_00080, video01_00160, video12_15750"
    assert error.value.remedy == f"Give the number of a video (1, 12), its name ({expected}) or a split (train)."


def test_long_lists_of_what_there_is_are_cut_short(tmp_path: Path) -> None:
    for number in range(1, 31):
        picture(tmp_path / f"case{number}" / "frames" / "0.png")
    with pytest.raises(DatasetError, match="no video case31") as error:
        names("folders", tmp_path, "case31")
    assert "case19, case20 and 10 more) or a split (train)" in error.value.remedy


def test_an_unknown_data_set_is_refused_with_the_nearest_name_and_all(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="CholecSeg: no data set of that name") as error:
        read_dataset("CholecSeg", tmp_path)
    assert error.value.remedy.startswith("Did you mean cholecseg8k? Give one of: ")
    with pytest.raises(DatasetError) as error:
        read_dataset("xyz", tmp_path)
    assert error.value.remedy == f"Give one of: {', '.join(DATASETS)}."


@pytest.mark.parametrize("layout", LAYOUTS)
def test_phantoms_of_every_layout_are_read_without_a_problem(tmp_path: Path, layout: str) -> None:
    name = layout.split("-")[0]
    write_layout(layout, tmp_path / name)
    dataset = read_dataset(name, tmp_path / name)
    found = survey(dataset)
    assert found.problems == ()
    assert found.truth_count > 0
    assert all(classes[1].pixel_share > 0 for classes in found.classes.values())
    assert set(dataset.classes) <= set(DATASETS[name].kinds)


def test_the_mask_that_was_drawn_is_the_truth_that_is_read(tmp_path: Path) -> None:
    for name in ("cholecseg8k", "folders", "robustmis"):
        write_layout(name, tmp_path / name, recordings=1, frames=1)
        truth = read_dataset(name, tmp_path / name).recordings[0].truth
        assert truth is not None
        scene = PhantomScene(0, *SMALL_SIZE, leaving=False, round_picture=name == "cholecseg8k")
        inside = np.s_[1:-1, 1:-1]  # CholecSeg8k names the outermost pixels edge
        assert np.array_equal(truth.labels(truth.names[0])[inside], scene.frame(0).mask[inside])


def test_every_data_set_refuses_an_absent_folder_and_an_empty_one(tmp_path: Path) -> None:
    for name in DATASETS:
        with pytest.raises(DatasetError, match="absent: no such folder"):
            read_dataset(name, tmp_path / "absent")
        with pytest.raises(DatasetError, match=str(tmp_path)):
            read_dataset(name, tmp_path)
