from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from cuemask.errors import InputError, PictureError
from cuemask.media.clips import ClipFiles, open_clips
from cuemask.media.names import alike, refuse_clip_name, refuse_frame_names

Draw = Callable[..., Path]

OF_A_RUN = ["run.json", "Model.safetensors", "losses.png", "corrections"]
NOWHERE = ["", ".", "..", ".work", ".hidden", "a/b", "a\\b", "a\nb", "a\0b", "con", "AUX", "nul.endo", "com1", "\udcff"]


@pytest.mark.parametrize("name", [*NOWHERE, *OF_A_RUN, "a.", "a ", "e" * 256])
def test_names_that_no_folder_of_a_run_can_have(name: str) -> None:
    with pytest.raises(InputError, match="the folder of its results would be called"):
        refuse_clip_name(name, "clip.mp4")
    with pytest.raises(InputError):
        ClipFiles(name, (Path("clip.mp4"),))


@pytest.mark.parametrize("name", ["op.2", "a..b", "12 30", "console", "com", "Größe", "é" * 127, "run", "frames"])
def test_ordinary_names_may_name_a_folder(name: str) -> None:
    refuse_clip_name(name, "clip.mp4")


@pytest.mark.parametrize("name", [*NOWHERE, "e" * 252])
def test_names_that_no_picture_of_a_frame_can_have(name: str) -> None:
    with pytest.raises(InputError, match="a mask in it would be called"):
        refuse_frame_names(["000000", name], "frames")


def test_names_that_a_frame_may_have() -> None:
    refuse_frame_names(["000000", "frame_1.left", "run.json", "a.", "e" * 251], "frames")


@pytest.mark.parametrize("name", ["...mp4", "..mp4", ".work.mp4", "run.json.mp4", "nul.mp4", "a .mp4"])
def test_a_video_whose_name_would_lead_elsewhere_is_refused_by_it(name: str, tmp_path: Path, draw_video: Draw) -> None:
    draw_video(tmp_path / "a.mp4", 2).rename(tmp_path / name)
    with pytest.raises(InputError, match="the folder of its results would be called") as error:
        open_clips([tmp_path / name])
    assert name in error.value.what


def test_clips_that_some_disks_take_for_one_get_their_folders_in_front(tmp_path: Path, draw_picture: Draw) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))
    assert composed != decomposed
    for place in (f"a/{composed}", f"b/{decomposed}", "a/op", "b/OP"):
        draw_picture(tmp_path / place / "0.png")
    names = [clip.name for clip in open_clips([tmp_path / f"a/{composed}", tmp_path / f"b/{decomposed}"])]
    assert names == [f"a_{composed}", f"b_{decomposed}"]
    assert [clip.name for clip in open_clips([tmp_path / "a/op", tmp_path / "b/OP"])] == ["a_op", "b_OP"]


def test_pictures_that_some_disks_take_for_one_are_refused(tmp_path: Path, draw_picture: Draw) -> None:
    for first, second in (("a", "A"), (unicodedata.normalize("NFC", "ö"), unicodedata.normalize("NFD", "ö"))):
        folder = tmp_path / first
        draw_picture(folder / f"{first}.png")
        draw_picture(folder / f"{second}.png")
        with pytest.raises(PictureError, match="have one name on disks"):
            open_clips([folder])


def test_a_picture_of_the_longest_name_gets_its_mask(tmp_path: Path, draw_picture: Draw) -> None:
    from cuemask.media.files import write_bytes

    name = "e" * 251 + ".png"
    draw_picture(tmp_path / "frames" / name)
    (clip,) = open_clips([tmp_path / "frames"])
    assert clip.names() == ["e" * 251]
    write_bytes(tmp_path / name, b"mask")
    assert (tmp_path / name).read_bytes() == b"mask"


def test_alike_is_what_disks_without_capitals_or_forms_see() -> None:
    assert alike("É") == alike("e\u0301")
    assert alike("straße") == alike("STRASSE")
    assert alike("a") != alike("b")
