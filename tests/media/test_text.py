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


def draw_logo(
    rgb: np.ndarray, color: tuple[int, int, int] = (30, 110, 240), place: tuple[int, int] = (240, 120)
) -> None:
    cv2.circle(rgb, place, 14, color, -1)
    cv2.circle(rgb, place, 7, (250, 250, 250), 3)


def with_logo(color: tuple[int, int, int] = (30, 110, 240), place: tuple[int, int] = (240, 120)) -> list[np.ndarray]:
    frames = [scene(number) for number in range(16)]
    for rgb in frames:
        draw_logo(rgb, color, place)
    return frames


def test_a_coloured_logo_is_found_where_it_stands() -> None:
    (box,) = text_in(ranges_of(with_logo()), AREA)
    assert box.top <= 120 - 14 < 120 + 14 < box.top + box.height
    assert box.left <= 240 - 14 < 240 + 14 < box.left + box.width
    assert box.height * box.width < 3 * 28 * 28


def test_a_logo_is_found_beside_a_line() -> None:
    frames = with_words(["DOE JOHN"] * 16)
    for rgb in frames:
        draw_logo(rgb)
    assert len(text_in(ranges_of(frames), AREA)) == 2


def test_what_comes_in_from_the_rim_or_is_grey_or_moves_is_no_logo() -> None:
    assert text_in(ranges_of(with_logo((150, 150, 155))), AREA) == []
    assert text_in(ranges_of(with_logo(place=(310, 120))), AREA) == []
    assert text_in(ranges_of(with_logo()), PictureArea(0, 0, HEIGHT, 255, None)) == []
    disc = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (160, 120), 90, 1, -1).astype(bool)
    assert text_in(ranges_of(with_logo()), PictureArea(0, 0, HEIGHT, WIDTH, disc)) == []
    moving = [scene(number) for number in range(16)]
    for number, rgb in enumerate(moving):
        draw_logo(rgb, place=(60 + 10 * number, 120))
    assert text_in(ranges_of(moving), AREA) == []


def test_a_blue_thing_that_rests_with_what_is_around_it_is_no_logo() -> None:
    frames = with_logo()
    for rgb in frames:
        rgb[80:160, 200:280] = np.where(
            rgb[80:160, 200:280, 2:] > 200, rgb[80:160, 200:280], frames[0][80:160, 200:280]
        )
    assert text_in(ranges_of(frames), AREA) == []


def test_what_is_hardly_coloured_or_large_is_no_logo() -> None:
    framed, large = ([scene(number) for number in range(16)] for _ in range(2))
    for rgb, other in zip(framed, large, strict=True):
        cv2.rectangle(rgb, (220, 100), (260, 140), (150, 150, 155), -1)
        cv2.rectangle(rgb, (220, 100), (260, 140), (30, 110, 240), 1)
        cv2.circle(other, (240, 120), 40, (30, 110, 240), -1)
    assert text_in(ranges_of(framed), AREA) == []
    assert text_in(ranges_of(large), AREA) == []


def test_a_ring_around_what_moves_is_no_logo() -> None:
    frames = [scene(number) for number in range(16)]
    for rgb in frames:
        cv2.circle(rgb, (240, 120), 14, (30, 110, 240), 3)
    assert text_in(ranges_of(frames), AREA) == []


def test_a_half_transparent_line_is_found() -> None:
    bare = [scene(number) for number in range(16)]
    drawn = with_words(["ENDO VIEW"] * 16)
    half = [np.rint((one.astype(float) + other) / 2).astype(np.uint8) for one, other in zip(bare, drawn, strict=True)]
    (box,) = text_in(ranges_of(half), AREA)
    strokes = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    write(strokes, "ENDO VIEW", (80, 100))
    rows, columns = np.nonzero(strokes.any(axis=2))
    covered = np.zeros((HEIGHT, WIDTH), bool)
    covered[box.top : box.top + box.height, box.left : box.left + box.width] = True
    assert covered[rows, columns].mean() > 0.95
    assert box.height * box.width < 2.5 * np.ptp(rows) * np.ptp(columns)


def test_two_signs_are_no_line_nor_are_three_that_are_half_transparent() -> None:
    assert text_in(ranges_of(with_words(["HE"] * 16)), AREA) == []
    bare, drawn = [scene(number) for number in range(16)], with_words(["HEN"] * 16)
    half = [np.rint((one.astype(float) + other) / 2).astype(np.uint8) for one, other in zip(bare, drawn, strict=True)]
    assert text_in(ranges_of(half), AREA) == []
    assert len(text_in(ranges_of(drawn), AREA)) == 1


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
