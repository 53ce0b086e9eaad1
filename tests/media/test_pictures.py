from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cuemask.errors import PictureError
from cuemask.media import pictures
from cuemask.media.clips import Selection, open_clips
from cuemask.media.pictures import natural_order, read_picture

Draw = Callable[..., Path]
ReadNumber = Callable[[np.ndarray], int]


def test_pictures_come_in_the_order_in_which_people_count(folder: Path, read_number: ReadNumber) -> None:
    (clip,) = open_clips([folder])
    frames = list(clip.frames())
    assert [frame.name for frame in frames] == [f"frame_{number}" for number in range(12)]
    assert [read_number(frame.rgb) for frame in frames] == list(range(12))
    assert [frame.index for frame in frames] == list(range(12))
    assert {frame.time_seconds for frame in frames} == {None}
    assert (clip.frame_rate, clip.frame_count) == (Fraction(10), 12)


def test_natural_order_compares_text_with_text_and_numbers_with_numbers() -> None:
    names = ["b1.png", "a10.png", "a2.png", "2.png", "10.png", "a.png", "a02b.png"]
    ordered = [path.name for path in natural_order(Path(name) for name in names)]
    assert ordered == ["2.png", "10.png", "a.png", "a2.png", "a02b.png", "a10.png", "b1.png"]


@pytest.mark.parametrize(
    ("selection", "indices"),
    [
        (Selection(every=5), [0, 5, 10]),
        (Selection(start_seconds=0.3, end_seconds=0.6), [3, 4, 5]),
        (Selection(frames_per_second=2.0), [0, 5, 10]),
        (Selection(every=5, start_seconds=0.1), [5, 10]),
    ],
)
def test_selections_count_ten_pictures_a_second(folder: Path, selection: Selection, indices: list[int]) -> None:
    (clip,) = open_clips([folder], selection)
    assert [frame.index for frame in clip.frames()] == indices
    assert clip.frame_count == len(indices)


def test_an_empty_selection_is_refused_with_how_long_the_pictures_last(folder: Path) -> None:
    with pytest.raises(PictureError, match=r"none of 12 pictures is selected; at 10 a second they last 1.2 s"):
        open_clips([folder], Selection(start_seconds=2.0))


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp", "ppm", "PNG", "JPG"])
def test_all_picture_formats_are_read(tmp_path: Path, draw_picture: Draw, read_number: ReadNumber, ending: str) -> None:
    draw_picture(tmp_path / "frames" / f"7.{ending}", 7)
    (clip,) = open_clips([tmp_path / "frames"])
    assert [read_number(frame.rgb) for frame in clip.frames()] == [7]


def test_red_stays_red(tmp_path: Path) -> None:
    bgr = np.zeros((8, 8, 3), np.uint8)
    bgr[..., 2] = 200
    cv2.imwrite(str(tmp_path / "red.png"), bgr)
    assert read_picture(tmp_path / "red.png")[0, 0].tolist() == [200, 0, 0]


def test_grey_transparent_and_16_bit_pictures_become_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((8, 8), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((8, 8, 4), (77, 77, 77, 0), np.uint8))
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((8, 8, 3), 77 * 257, np.uint16))
    for name in ("grey.png", "alpha.png", "deep.png"):
        rgb = read_picture(tmp_path / name)
        assert rgb.shape == (8, 8, 3)
        assert rgb.dtype == np.uint8
        assert np.all(rgb == 77), name


def test_hidden_and_other_files_are_passed_over(folder: Path) -> None:
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"no picture")
    (folder / "sub.png").mkdir()
    assert len(open_clips([folder])[0].paths) == 12


def test_mixed_sizes_at_the_end_are_refused_at_once(folder: Path, draw_picture: Draw) -> None:
    draw_picture(folder / "frame_12.png", size=(32, 48))
    message = r"frame_0.png is 96x64 pixels and frame_12.png is 48x32"
    with pytest.raises(PictureError, match=message) as error:
        open_clips([folder])
    assert "folder of their own" in error.value.remedy


def test_mixed_sizes_in_the_middle_are_refused_when_they_come(folder: Path, draw_picture: Draw) -> None:
    draw_picture(folder / "frame_5.png", size=(32, 48))
    (clip,) = open_clips([folder])
    with pytest.raises(PictureError, match=r"frame_0.png is 96x64 pixels and frame_5.png is 48x32"):
        list(clip.frames())


def test_two_pictures_with_one_stem_are_refused(folder: Path, draw_picture: Draw) -> None:
    draw_picture(folder / "frame_5.jpg")
    with pytest.raises(PictureError, match=r"frame_5.jpg and frame_5.png would both be written to frame_5.png"):
        open_clips([folder])


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "bmp", "ppm"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_picture_that_is_cut_off_is_named(tmp_path: Path, draw_picture: Draw, ending: str, kept: float) -> None:
    path = draw_picture(tmp_path / "frames" / f"7.{ending}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(PictureError, match=rf"7\.{ending}: (the picture is cut off|no picture)") as error:
        open_clips([tmp_path / "frames"])
    assert error.value.remedy.startswith("Copy it again")


def test_a_damaged_picture_in_the_middle_is_named_at_its_turn(folder: Path, read_number: ReadNumber) -> None:
    path = folder / "frame_6.png"
    path.write_bytes(path.read_bytes()[:-30])
    seen = []

    def read_all() -> None:
        for frame in open_clips([folder])[0].frames():
            seen.append(read_number(frame.rgb))

    with pytest.raises(PictureError, match=r"frame_6.png: the picture is cut off or damaged"):
        read_all()
    assert seen == [0, 1, 2, 3, 4, 5]


def test_empty_and_vanished_pictures_are_named(folder: Path) -> None:
    (clip,) = open_clips([folder])
    (folder / "frame_3.png").unlink()
    with pytest.raises(PictureError, match=r"frame_3.png: cannot be read \(No such file"):
        list(clip.frames())
    (folder / "frame_3.png").write_bytes(b"")
    with pytest.raises(PictureError, match=r"frame_3.png: the file is empty"):
        list(clip.frames())


def test_reading_ahead_is_bounded_and_ends_with_its_reader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def remember(path: Path) -> np.ndarray:
        read.append(path)
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr(pictures, "read_picture", remember)
    paths = natural_order(folder.iterdir()) * 10
    frames = pictures.read_ahead(paths)
    for taken in range(1, 4):
        next(frames)
        time.sleep(0.02)  # as long as the readers need for all that was asked of them
        assert len(read) <= taken + pictures.READ_AHEAD
    frames.close()
    assert len(read) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


def test_pictures_are_held_by_nobody(tmp_path: Path, draw_picture: Draw) -> None:
    for number in range(40):
        draw_picture(tmp_path / "frames" / f"{number}.png", number)
    seen = []
    for frame in open_clips([tmp_path / "frames"])[0].frames():
        seen.append(weakref.ref(frame.rgb))
        del frame
        assert sum(reference() is not None for reference in seen) <= 2


def test_numbers_with_decimals_sort_by_value_and_sections_by_their_numbers() -> None:
    def ordered(*names: str) -> list[str]:
        return [path.stem for path in natural_order(Path(f"{name}.png") for name in names)]

    assert ordered("0.5", "0", "0.25", "1", "0.125") == ["0", "0.125", "0.25", "0.5", "1"]
    assert ordered("t0.5_a", "t0.25_a", "t10.5_a", "t2_a") == ["t0.25_a", "t0.5_a", "t2_a", "t10.5_a"]
    assert ordered("1.10", "1.9", "1.2", "1.11") == ["1.2", "1.9", "1.10", "1.11"]
    assert ordered("v1.2.10", "v1.2.9", "v1.10.1") == ["v1.2.9", "v1.2.10", "v1.10.1"]


def test_files_of_several_pictures_are_refused_with_their_number(tmp_path: Path) -> None:
    pages = [np.full((8, 8, 3), 10 * page, np.uint8) for page in range(4)]
    assert cv2.imwritemulti(str(tmp_path / "stack.tif"), pages)
    with pytest.raises(PictureError, match=r"stack.tif: holds 4 pictures; only files of one picture are read") as error:
        open_clips([tmp_path])
    assert "magick" in error.value.remedy
    animated = [Image.fromarray(page) for page in pages]
    for name in ("moving.png", "moving.webp"):
        animated[0].save(tmp_path / name, save_all=True, append_images=animated[1:])
        with pytest.raises(PictureError, match=r"holds \d pictures"):
            read_picture(tmp_path / name)


@pytest.mark.parametrize(("greatest", "bits"), [(255, 8), (1023, 10), (4095, 12), (4000, 12), (16383, 14)])
def test_sixteen_bit_files_of_fewer_bits_are_refused_with_how_to_spread_them(
    tmp_path: Path, greatest: int, bits: int
) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8, 3), greatest - number, np.uint16))
    with pytest.raises(PictureError, match=rf"values of {bits} bits \(none above {greatest} of 65535\)") as error:
        open_clips([tmp_path])
    assert f"-evaluate multiply {1 << (16 - bits)} " in error.value.remedy


def test_true_sixteen_bit_pictures_are_read_even_where_some_are_dark(tmp_path: Path) -> None:
    for number, level in enumerate((100, 60000, 300)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8, 3), level, np.uint16))
    assert [int(frame.rgb.max()) for frame in open_clips([tmp_path])[0].frames()] == [0, 234, 1]


def test_links_that_lead_nowhere_are_named(folder: Path) -> None:
    (folder / "frame_12.png").symlink_to(folder / "gone.png")
    for given in (folder, str(folder / "frame_*.png")):
        with pytest.raises(PictureError, match=r"links to pictures that are not there: frame_12.png .*gone.png"):
            open_clips([given])
    (folder / "frame_12.png").unlink()
    (folder / "frame_12.png").symlink_to(folder / "frame_3.png")
    assert len(open_clips([folder])[0].paths) == 13


def test_frames_are_named_in_composed_letters_however_their_files_are(tmp_path: Path, draw_picture: Draw) -> None:
    draw_picture(tmp_path / "Fla\u0308che.png")
    (clip,) = open_clips([tmp_path])
    assert clip.names() == [frame.name for frame in clip.frames()] == ["Fl\u00e4che"]
    draw_picture(tmp_path / "Fl\u00e4che.png")
    with pytest.raises(PictureError, match="one form of letters only"):
        open_clips([tmp_path])
