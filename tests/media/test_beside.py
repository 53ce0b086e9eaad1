from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.media.clips import open_clips

RNG = np.random.default_rng(0)


def frame(path: Path) -> None:
    assert cv2.imwrite(str(path), RNG.integers(0, 255, (64, 80, 3), np.uint8))


def mask(path: Path, *colors: tuple[int, int, int]) -> None:
    picture = np.zeros((64, 80, 3), np.uint8)
    for at, color in enumerate(colors):
        picture[:, 8 * at : 8 * at + 8] = color
    assert cv2.imwrite(str(path), picture)


def names(*given: Path | str) -> list[str]:
    (clip,) = open_clips(list(given))
    return clip.names() or []


def test_masks_beside_frames_are_left_aside_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(80, 83):
        stem = tmp_path / f"frame_{number}_endo"
        frame(stem.with_suffix(".png"))
        mask(stem.with_name(stem.name + "_watershed_mask.png"), (50, 50, 50), (31, 31, 31))
        mask(stem.with_name(stem.name + "_color_mask.png"), (255, 85, 0), (0, 160, 255))
    with caplog.at_level(logging.WARNING):
        assert names(tmp_path) == ["frame_80_endo", "frame_81_endo", "frame_82_endo"]
        assert names(f"{tmp_path}/*.png") == ["frame_80_endo", "frame_81_endo", "frame_82_endo"]
    assert "pictures called *_watershed_mask.png (3) are left aside" in caplog.text
    assert "pictures called *_color_mask.png (3) are left aside" in caplog.text


def test_so_are_grey_ones_saved_as_jpeg_and_those_with_a_word_before_the_name(tmp_path: Path) -> None:
    for number in range(2):
        frame(tmp_path / f"{number:03}.jpg")
        assert cv2.imwrite(
            str(tmp_path / f"gt_{number:03}.jpg"), (np.arange(64 * 80).reshape(64, 80) % 90).astype(np.uint8)
        )
    assert names(tmp_path) == ["000", "001"]


def test_pictures_in_many_colours_stay_frames_whatever_they_are_called(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("f1", "f1_left", "f10", "f1 copy"):
        frame(tmp_path / f"{name}.png")
    with caplog.at_level(logging.WARNING):
        assert len(names(tmp_path)) == 4
    assert not caplog.text


def test_numbers_and_letters_behind_a_name_tell_of_another_frame(tmp_path: Path) -> None:
    frame(tmp_path / "f1.png")
    for name in ("f10", "f1_2", "f1b"):
        mask(tmp_path / f"{name}.png", (9, 9, 9))
    assert len(names(tmp_path)) == 4


def test_a_folder_of_masks_alone_or_of_grey_frames_stays_whole(tmp_path: Path) -> None:
    mask(tmp_path / "a.png", (90, 90, 90))
    mask(tmp_path / "a_seg.png", (9, 9, 9))
    assert names(tmp_path) == ["a", "a_seg"]


def test_one_frame_among_the_masks_keeps_all_that_are_called_so(tmp_path: Path) -> None:
    for number in range(3):
        frame(tmp_path / f"{number}.png")
        (frame if number == 2 else mask)(tmp_path / f"{number}_seg.png")
    assert len(names(tmp_path)) == 6
