"""Burnt-in text: lines that never move while all else does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cuemask.media.area import PictureArea
from cuemask.media.text import Ranges, text_blanked, text_in, without_text

HEIGHT, WIDTH = 240, 320
AREA = PictureArea(0, 0, HEIGHT, WIDTH, None)


def scene(number: int) -> np.ndarray:
    """Red waves that move on."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    wave = np.sin(x / 17 + y / 23 + 0.8 * number)
    return np.stack([130 + 70 * wave, 60 + 40 * wave, 55 + 40 * wave], axis=-1).astype(np.uint8)


def write(rgb: np.ndarray, words: str, place: tuple[int, int], color: tuple[int, int, int] = (255, 255, 255)) -> None:
    cv2.putText(rgb, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 2)


def ranges_of(frames: list[np.ndarray]) -> Ranges:
    ranges = Ranges()
    for rgb in frames:
        ranges.add(rgb)
    return ranges


def with_words(words: list[str], color: tuple[int, int, int] = (255, 255, 255)) -> list[np.ndarray]:
    frames = [scene(number) for number in range(len(words))]
    for rgb, drawn in zip(frames, words, strict=True):
        write(rgb, drawn, (80, 100), color)
    return frames


@pytest.mark.parametrize("color", [(255, 255, 255), (80, 240, 70), (70, 200, 250)], ids=["white", "green", "cyan"])
def test_a_line_is_found_where_it_stands(color: tuple[int, int, int]) -> None:
    (box,) = text_in(ranges_of(with_words(["DOE JOHN"] * 16, color)), AREA)
    strokes = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    write(strokes, "DOE JOHN", (80, 100))
    rows, columns = np.nonzero(strokes.any(axis=2))
    assert box.top <= rows.min() < rows.max() < box.top + box.height
    assert box.left <= columns.min() < columns.max() < box.left + box.width
    assert box.height * box.width < 2.5 * np.ptp(rows) * np.ptp(columns)


def test_a_clocks_changing_digits_belong_to_its_line() -> None:
    clock = with_words([f"10:42:{(7 * number) % 60:02d}" for number in range(16)])
    (box,) = text_in(ranges_of(clock), AREA)
    strokes = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    write(strokes, "10:42:58", (80, 100))
    columns = np.flatnonzero(strokes.any(axis=(0, 2)))
    assert box.left <= columns.min() < columns.max() < box.left + box.width


def test_nothing_is_found_without_text_motion_or_frames() -> None:
    words = with_words(["DOE JOHN"] * 16)
    assert text_in(ranges_of([scene(number) for number in range(16)]), AREA) == []
    assert text_in(ranges_of([words[0]] * 16), AREA) == []
    assert text_in(ranges_of(words[:11]), AREA) == []


def test_a_tool_at_rest_and_its_glints_are_no_text() -> None:
    frames = [scene(number) for number in range(16)]
    for rgb in frames:
        cv2.line(rgb, (0, 200), (200, 120), (178, 178, 180), 26)
        for x in (60, 120):
            cv2.circle(rgb, (x, 200 - 2 * x // 5), 4, (255, 255, 255), -1)
    assert text_in(ranges_of(frames), AREA) == []


def test_text_that_moves_is_none() -> None:
    frames = [scene(number) for number in range(16)]
    for number, rgb in enumerate(frames):
        write(rgb, "DOE JOHN", (20 + 5 * number, 100))
    assert text_in(ranges_of(frames), AREA) == []


def test_boxes_count_from_the_frames_corner_and_are_no_part_of_the_picture() -> None:
    area = PictureArea(20, 30, 200, 260, None)
    boxes = text_in(ranges_of(with_words(["DOE JOHN"] * 16)), area)
    assert boxes == text_in(ranges_of(with_words(["DOE JOHN"] * 16)), AREA)
    less = without_text(area, boxes)
    (top, left, height, width), rgb = boxes[0], np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    assert less.text == (boxes[0],)
    assert less.inside is not None
    assert np.count_nonzero(~less.inside) == height * width
    blank = text_blanked(rgb, less)
    assert (blank[top : top + height, left : left + width] == 40).all()
    assert (blank[:20] == 40).all()
    assert (blank[20 + 5, 35] == 200).all()
    assert np.count_nonzero(blank == 200) == 3 * (200 * 260 - height * width)


def test_without_boxes_the_area_is_as_it_was() -> None:
    assert without_text(AREA, []) is AREA
