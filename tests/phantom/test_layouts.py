from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.errors import OutputError, RecipeError
from cuemask.media.decoding import OpenVideo
from cuemask.media.masks import read_mask
from cuemask.media.pictures import read_picture
from cuemask.phantom import PhantomFrame, PhantomScene
from cuemask.phantom.layouts import FULL_SIZES, LAYOUTS, SMALL_SIZE, STEP, write_layout


def files_in(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def drawn(recording: int, number: int) -> PhantomFrame:
    return PhantomScene(recording, *SMALL_SIZE, leaving=False).frame(number * STEP)


FIRST_AND_COUNT = {
    "endovis2017": ("instrument_dataset_1/ground_truth/Maryland_Bipolar_Forceps_labels/frame000.png", 2 * 3 * 4),
    "endovis2017-test": ("instrument_dataset_1/gt/BinarySegmentation/frame000.png", 2 * 3 * 4),
    "endovis2017-cropped": ("cropped_train/instrument_dataset_1/binary_masks/frame000.png", 2 * 3 * 4),
    "endovis2017-authors": ("anchors/neg/instrument_dataset_1_test/frame000.png", 3 * 3 * 8),
    "endovis2018": ("seq_1/labels/frame000.png", 2 * 3 * 2),
    "endovis2015": ("Dataset1/Left_Instrument_Segmentation.avi", 3 + 2),
    "isic2016": ("ISBI2016_ISIC_Part1_Test_Data/ISIC_0000006.jpg", 2 * (6 + 3)),
    "cholecseg8k": ("video01/video01_00080/frame_80_endo.png", 2 * 3 * 3),
    "robustmis": ("Stage_1/Proctocolectomy/1/250/instrument_instances.png", 4 * 2 * (3 + 2)),
    "kvasir": ("images/ckcu0000phantom.jpg", 2 * 6 + 2),
    "folders": ("recording_1/frames/000000.png", 2 * 3 * 2),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_has_the_published_names(tmp_path: Path, name: str) -> None:
    write_layout(name, tmp_path / "out", frames=3)
    files = files_in(tmp_path / "out")
    first, count = FIRST_AND_COUNT[name]
    assert len(files) == count
    assert files[0] == first
    assert not [file for file in files if ".part" in file]


@pytest.mark.parametrize("name", ["endovis2017", "isic2016", "cholecseg8k", "kvasir"])
def test_one_seed_draws_one_miniature(tmp_path: Path, name: str) -> None:
    for out in ("a", "b"):
        write_layout(name, tmp_path / out, frames=2)
    for file in files_in(tmp_path / "a"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_truth_of_tools_adds_up_to_the_phantoms_parts(tmp_path: Path) -> None:
    write_layout("endovis2017", tmp_path)
    truth = tmp_path / "instrument_dataset_2" / "ground_truth"
    left, right, other = (
        read_mask(truth / f"{tool}_labels" / "frame003.png")
        for tool in ("Left_Prograsp_Forceps", "Right_Prograsp_Forceps", "Other")
    )
    np.testing.assert_array_equal(left + right, drawn(1, 3).parts)
    assert left.any()
    assert right.any()
    assert set(np.unique(other)) == {0, 40}
    assert not ((left + right > 0) & (other > 0)).any()


def test_cropped_truth_bears_the_winners_factors(tmp_path: Path) -> None:
    write_layout("endovis2017-cropped", tmp_path, recordings=1)
    home = tmp_path / "cropped_train" / "instrument_dataset_1"
    parts = drawn(0, 1).parts
    np.testing.assert_array_equal(read_mask(home / "binary_masks" / "frame001.png"), (parts > 0) * 255)
    np.testing.assert_array_equal(read_mask(home / "parts_masks" / "frame001.png"), parts // 10 * 85)
    assert set(np.unique(read_mask(home / "instruments_masks" / "frame001.png"))) == {0, 32, 64, 224}
    assert read_picture(home / "images" / "frame001.jpg").shape == (*SMALL_SIZE, 3)


def test_anchors_of_the_authors_release_tell_instrument_from_tissue(tmp_path: Path) -> None:
    write_layout("endovis2017-authors", tmp_path, recordings=1, frames=1)
    home = "instrument_dataset_1_train/frame000.png"
    mask = read_mask(tmp_path / "ground_truth" / home) > 0
    positive, negative = (read_mask(tmp_path / "anchors" / sign / home) for sign in ("pos", "neg"))
    assert positive[mask].mean() > 2 * positive[~mask].mean()
    assert negative[~mask].mean() > 2 * negative[mask].mean()


def test_whole_frames_of_2017_have_their_black_border(tmp_path: Path) -> None:
    write_layout("endovis2017-test", tmp_path, recordings=1, frames=1, full_size=True)
    rgb = read_picture(tmp_path / "instrument_dataset_1" / "left_frames" / "frame000.png")
    assert rgb.shape == (1080, 1920, 3)
    inside = np.zeros(rgb.shape[:2], bool)
    inside[28 : 28 + 1024, 320 : 320 + 1280] = True
    assert not rgb[~inside].any()
    assert rgb[inside].mean() > 40


def test_full_size_is_that_of_the_published_set(tmp_path: Path) -> None:
    write_layout("cholecseg8k", tmp_path, recordings=1, frames=1, full_size=True)
    rgb = read_picture(tmp_path / "video01" / "video01_00080" / "frame_80_endo.png")
    assert rgb.shape[:2] == FULL_SIZES["cholecseg8k"] == (480, 854)


def test_other_sizes_are_drawn_whole_without_a_border(tmp_path: Path) -> None:
    write_layout("endovis2017", tmp_path, recordings=1, frames=1, height_px=64, width_px=80)
    rgb = read_picture(tmp_path / "instrument_dataset_1" / "left_frames" / "frame000.png")
    assert rgb.shape == (64, 80, 3)


def test_videos_of_2015_last_as_long_as_their_truth(tmp_path: Path) -> None:
    write_layout("endovis2015", tmp_path, frames=5)
    for path in tmp_path.rglob("*.avi"):
        with OpenVideo(path) as video:
            assert len(list(video.from_first())) == 5


def test_moles_are_dark_and_brown_on_pink_skin_and_vary_in_size(tmp_path: Path) -> None:
    write_layout("isic2016", tmp_path)
    sizes = set()
    for path in (tmp_path / "ISBI2016_ISIC_Part1_Training_Data").iterdir():
        rgb = read_picture(path).astype(float)
        codes = read_mask(tmp_path / "ISBI2016_ISIC_Part1_Training_GroundTruth" / f"{path.stem}_Segmentation.png")
        assert set(np.unique(codes)) == {0, 255}
        assert codes.shape == rgb.shape[:2]
        assert 0.1 < (codes > 0).mean() < 0.4
        assert rgb[codes > 0].mean() < 0.6 * rgb[codes == 0].mean()
        assert rgb[codes == 0][:, 0].mean() > rgb[codes == 0][:, 2].mean()
        sizes.add(codes.shape)
    assert len(sizes) > 2


def test_codes_of_cholecseg8k_are_three_equal_greys_in_a_frame_of_255(tmp_path: Path) -> None:
    write_layout("cholecseg8k", tmp_path)
    home = tmp_path / "video02" / "video02_00160"
    codes = cv2.imread(str(home / "frame_163_endo_watershed_mask.png"), cv2.IMREAD_UNCHANGED)
    assert codes.shape == (*SMALL_SIZE, 3)
    assert (codes == codes[..., :1]).all()
    assert {31, 32, 50, 255} <= set(np.unique(codes).tolist()) <= {11, 12, 21, 22, 31, 32, 50, 255}
    assert (codes[0] == 255).all()
    assert (codes[:, -1] == 255).all()


def test_some_frames_of_robustmis_have_no_truth_or_an_empty_one(tmp_path: Path) -> None:
    write_layout("robustmis", tmp_path, recordings=1)
    home = tmp_path / "Stage_3" / "Sigmoid resection" / "1"
    assert not (home / "500" / "instrument_instances.png").exists()
    assert not read_mask(home / "750" / "instrument_instances.png").any()
    assert set(np.unique(read_mask(home / "250" / "instrument_instances.png"))) == {0, 1, 2}


def test_the_lists_of_kvasir_name_each_picture_once(tmp_path: Path) -> None:
    write_layout("kvasir", tmp_path)
    train, test = ((tmp_path / f"{part}.txt").read_text().split() for part in ("train", "test"))
    assert sorted(train + test) == sorted(path.stem for path in (tmp_path / "images").iterdir())
    assert (len(train), len(test)) == (6, 2)


def test_one_recording_of_ones_own_lies_in_two_folders(tmp_path: Path) -> None:
    write_layout("folders", tmp_path, recordings=1, frames=1)
    assert files_in(tmp_path) == ["frames/000000.png", "masks/000000.png"]


def test_an_unknown_layout_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no layout is called 'endovis'") as error:
        write_layout("endovis", tmp_path / "out")
    assert all(name in error.value.remedy for name in LAYOUTS)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("endovis2017", {"recordings": 9}),
        ("endovis2015", {"recordings": 5}),
        ("endovis2015", {"width_px": 129}),
        ("folders", {"recordings": 0}),
        ("folders", {"frames": 0}),
        ("folders", {"frames": 1000}),
        ("folders", {"seed": -1}),
        ("folders", {"height_px": 8}),
    ],
)
def test_impossible_numbers_are_refused_before_anything_is_written(
    tmp_path: Path, name: str, told: dict[str, int]
) -> None:
    with pytest.raises(RecipeError):
        write_layout(name, tmp_path / "out", **told)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(OutputError, match="holds something"):
        write_layout("folders", tmp_path)
    assert files_in(tmp_path) == ["mine.txt"]
