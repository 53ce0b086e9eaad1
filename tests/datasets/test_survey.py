from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.datasets.written import mask, picture, video

from cuemask.datasets import cholecseg8k, folders, kvasir
from cuemask.datasets.survey import Source, survey
from cuemask.errors import VideoError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two clips: two frames and one, of which the last has no truth."""
    root = tmp_path / "cholec"
    for clip, number, codes in (("video01_00080", 80, (50, 31)), ("video01_00080", 81, (50, 50, 21, 32))):
        picture(root / "video01" / clip / f"frame_{number}_endo.png")
        mask(root / "video01" / clip / f"frame_{number}_endo_watershed_mask.png", *codes)
    picture(root / "video02" / "video02_00010" / "frame_10_endo.png", (10, 4))
    return root


def test_recordings_frames_and_truth_are_counted(root: Path) -> None:
    found = survey(cholecseg8k.read(root))
    assert [(it.name, it.number, it.split, it.frame_count, it.truth_count) for it in found.recordings] == [
        ("video01_00080", "1", "train", 2, 2),
        ("video02_00010", "2", "train", 1, 0),
    ]
    assert (found.frame_count, found.truth_count) == (3, 2)
    assert found.problems == ()


def test_sizes_are_counted_the_most_frequent_first(root: Path) -> None:
    assert list(survey(cholecseg8k.read(root)).sizes.items()) == [((6, 8), 2), ((10, 4), 1)]


def test_shares_and_frames_of_each_class_are_of_the_truth_only(root: Path) -> None:
    classes = survey(cholecseg8k.read(root)).classes
    binary, types = ([(it.code, it.name, it.pixel_share, it.frame_count) for it in found] for found in classes.values())
    assert list(classes) == ["binary", "type"]
    assert binary == [(0, "background", 0.625, 2), (1, "instrument", 0.375, 2)]
    assert types == [(0, "background", 0.625, 2), (1, "grasper", 0.25, 1), (2, "L-hook", 0.125, 1)]


def test_a_class_that_never_occurs_is_shown_as_such(root: Path) -> None:
    mask(root / "video01" / "video01_00080" / "frame_81_endo_watershed_mask.png", 50)
    hook = survey(cholecseg8k.read(root)).classes["type"][2]
    assert (hook.name, hook.pixel_share, hook.frame_count) == ("L-hook", 0.0, 0)


def test_a_set_without_truth_has_shares_of_zero(root: Path) -> None:
    found = survey(cholecseg8k.read(root / "video02"))
    assert [it.pixel_share for it in found.classes["binary"]] == [0.0, 0.0]


def test_wrong_and_unreadable_files_are_gathered_and_each_is_one_problem(root: Path) -> None:
    clip = root / "video01" / "video01_00080"
    mask(clip / "frame_80_endo_watershed_mask.png", 99)
    (clip / "frame_81_endo_watershed_mask.png").write_bytes(b"")
    (root / "video02" / "video02_00010" / "frame_10_endo.png").write_bytes(b"no picture")
    found = survey(cholecseg8k.read(root))
    assert [problem.split(":")[0] for problem in found.problems] == [
        str(clip / "frame_80_endo_watershed_mask.png"),
        str(clip / "frame_81_endo_watershed_mask.png"),
        str(root / "video02" / "video02_00010" / "frame_10_endo.png"),
    ]
    assert (found.frame_count, found.truth_count) == (3, 0)
    assert found.sizes == {(6, 8): 2}


def test_a_picture_that_spoils_its_truth_too_is_one_problem(tmp_path: Path) -> None:
    picture(tmp_path / "frames" / "a.jpg")
    mask(tmp_path / "masks" / "a.png", 0, 1)
    (tmp_path / "frames" / "a.jpg").write_bytes(b"no picture")
    found = survey(folders.read(tmp_path))
    assert len(found.problems) == 1
    assert (found.frame_count, found.truth_count) == (1, 0)


def test_a_video_is_counted_by_its_frames_and_truth_beyond_its_end_is_a_problem(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mp4", 4)
    for number in (1, 4):
        mask(tmp_path / "masks" / f"{number:06d}.png", 0, 255, size=(64, 96))
    found = survey(folders.read(tmp_path))
    assert (found.frame_count, found.truth_count, dict(found.sizes)) == (4, 1, {(64, 96): 4})
    assert found.problems == (f"{path}: there is truth of frame 000004, and no such frame.",)


def test_a_damaged_video_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    found = survey(folders.read(tmp_path))
    assert len(found.problems) == 1
    assert found.frame_count == 0


def test_truth_that_is_a_damaged_video_is_one_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_names(_: object) -> tuple[str, ...]:
        raise VideoError("Segmentation.avi: no frame could be decoded.", "Copy it again.")

    video(tmp_path / "clip.mp4", 3)
    mask(tmp_path / "masks" / "000000.png", 0, 255, size=(64, 96))
    dataset = folders.read(tmp_path)
    monkeypatch.setattr(folders.OwnMasks, "names", property(no_names))
    found = survey(dataset)
    assert found.problems == ("Segmentation.avi: no frame could be decoded.",)
    assert (found.frame_count, found.truth_count) == (3, 0)


def test_pictures_of_one_clip_that_differ_in_size_are_a_problem(root: Path, tmp_path: Path) -> None:
    clip = root / "video02" / "video02_00010"
    for number in (11, 12):
        picture(clip / f"frame_{number}_endo.png")
    found = survey(cholecseg8k.read(root))
    assert found.problems == (f"{clip}: its pictures differ in size: 2 of 8x6, 1 of 4x10.",)
    for name, size in (("a", (6, 8)), ("b", (10, 4))):
        picture(tmp_path / "kvasir" / "images" / f"{name}.jpg", size)
    (tmp_path / "kvasir" / "train.txt").write_text("a\nb\n")
    assert survey(kvasir.read(tmp_path / "kvasir")).problems == ()


def test_oddities_are_handed_on(root: Path) -> None:
    dataset = cholecseg8k.read(root)
    assert survey(dataset).oddities == dataset.oddities
    assert len(dataset.oddities) == 1


def test_progress_sees_every_picture_once_and_in_order(root: Path) -> None:
    seen: list[str | None] = []

    def progress(sources: Iterable[Source]) -> Iterator[Source]:
        for source in sources:
            seen.append(source.frame_name)
            yield source

    survey(cholecseg8k.read(root), progress)
    assert seen == ["frame_80_endo", "frame_81_endo", "frame_10_endo"]


def test_the_table_shows_it_all(root: Path) -> None:
    clip = root / "video02" / "video02_00010"
    assert survey(cholecseg8k.read(root)).table().splitlines() == [
        f"cholecseg8k in {root}",
        "layout: videoXX/videoXX_NNNNN/frame_N_endo.png, frame_N_endo_watershed_mask.png",
        "",
        "recording      number  split  frames  without truth",
        "video01_00080  1       train       2              0",
        "video02_00010  2       train       1              1",
        "all                                3              1",
        "",
        "width x height  frames",
        "8x6                  2",
        "4x10                 1",
        "",
        "binary              of pixels  frames",
        "0       background   62.500 %       2",
        "1       instrument   37.500 %       2",
        "",
        "type              of pixels  frames",
        "0     background   62.500 %       2",
        "1     grasper      25.000 %       1",
        "2     L-hook       12.500 %       1",
        "",
        "oddities",
        f"  {clip}: no truth for any of the 1 frames of {clip}.",
        "",
        "problems: none",
    ]


def test_of_many_problems_the_table_shows_the_first_and_the_count(tmp_path: Path) -> None:
    for number in range(23):
        picture(tmp_path / "frames" / f"{number}.png")
        mask(tmp_path / "masks" / f"{number}.png", 0, 1, size=(3, 4))
    found = survey(folders.read(tmp_path))
    lines = found.table().splitlines()
    assert lines[-22] == "problems: 23"
    assert lines[-1] == "  and 3 more"
    assert len(found.problems) == 23
    assert found.as_json()["problem_count"] == 23


def test_the_same_comes_as_plain_values(root: Path) -> None:
    found = json.loads(json.dumps(survey(cholecseg8k.read(root)).as_json()))
    assert (found["name"], found["frame_count"], found["frames_without_truth"]) == ("cholecseg8k", 3, 1)
    assert found["recordings"][1] == {
        "name": "video02_00010",
        "number": "2",
        "split": "train",
        "frame_count": 1,
        "frames_without_truth": 1,
    }
    assert found["sizes"][0] == {"height_px": 6, "width_px": 8, "frame_count": 2}
    assert found["classes"]["type"][1] == {"code": 1, "name": "grasper", "pixel_share": 0.25, "frame_count": 1}
    assert found["problems"] == []
