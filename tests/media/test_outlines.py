"""The endoscope's picture where it changes within a clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.cues.clip import keep_clip
from cuemask.inference.drawn import DRAWN
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip, open_clips
from cuemask.media.masks import read_mask
from cuemask.media.outlines import stretches_in
from cuemask.recipe import DEFAULT
from cuemask.runs.options import Options, area_of
from cuemask.runs.predicting import predict

HEIGHT, WIDTH, COUNT = 120, 160, 24
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
DISC = (ROWS - 60) ** 2 + (COLUMNS - 80) ** 2 <= 50**2


def frame(number: int, *_: int, shown: np.ndarray | None = None) -> np.ndarray:
    """Red waves that move on, and a grey shaft that comes in from the left."""
    wave = np.sin(COLUMNS / 17 + ROWS / 23 + 0.8 * number)
    rgb = np.stack([140 + 60 * wave, 60 + 30 * wave, 55 + 30 * wave], axis=-1).astype(np.uint8)
    cv2.line(rgb, (0, 90), (85, 55 + number % 5), (150, 150, 155), 16)
    return rgb if shown is None else rgb * shown[..., None].astype(np.uint8)


def first_half_round(number: int, *_: int) -> np.ndarray:
    return frame(number, shown=DISC if number < COUNT // 2 else None)


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("changing")
    for number in range(COUNT):
        cv2.imwrite(str(folder / f"{number:06d}.png"), first_half_round(number)[..., ::-1])
    (clip,) = open_clips([folder])
    return clip


def test_a_stretch_that_shows_less_is_found_wherever_it_stands() -> None:
    for of_disc in (range(8), range(8, 16), range(5, 11)):
        frames = [frame(number, shown=DISC if number in of_disc else None) for number in range(16)]
        assert stretches_in(frames) == [(of_disc.start, of_disc.stop)]


def test_pictures_that_stay_the_same_tell_of_no_change() -> None:
    for shown in (None, DISC):
        assert stretches_in([frame(number, shown=shown) for number in range(16)]) == []
    black = [frame(number) * (number % 2) for number in range(16)]
    assert stretches_in(black) == []
    assert stretches_in([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 16) == []


def test_a_picture_that_is_hardly_smaller_is_no_other_one() -> None:
    for radius, stretches in ((49, []), (40, [(0, 8)])):
        smaller = np.hypot(ROWS - 60, COLUMNS - 80) <= radius
        assert stretches_in([frame(n, shown=smaller if n < 8 else DISC) for n in range(16)]) == stretches


def test_a_black_tool_that_rests_at_a_side_is_no_border() -> None:
    def seen(number: int) -> np.ndarray:
        rgb = frame(number)
        if number < 9:
            rgb[:, :40] = 8
        return rgb

    assert stretches_in([seen(number) for number in range(16)]) == []


def test_each_frame_counts_within_its_own_picture(changing: Clip, tmp_path: Path) -> None:
    area = area_of(changing, Options(tmp_path))
    assert (area.height_px, area.width_px, area.inside) == (HEIGHT, WIDTH, None)
    (outline,) = area.outlines
    assert (outline & ~DISC).sum() == 0
    assert outline.sum() > 0.9 * DISC.sum()
    assert np.array_equal(area.shown(first_half_round(0)).inside, outline)
    assert area.shown(first_half_round(COUNT - 1)) == replace(area, outlines=())
    recipe = replace(DEFAULT, input=replace(DEFAULT.input, height_px=60, width_px=80))
    kept = keep_clip(changing, area, recipe, tmp_path, 0, changing.frames())
    small = cv2.resize(outline.astype(np.uint8), (80, 60), interpolation=cv2.INTER_NEAREST) > 0
    first, last = kept.inside_of(0), kept.inside_of(COUNT - 1)
    assert first is not None
    assert np.array_equal(first, small)
    assert last is None
    round_anchors, whole_anchors = kept.anchors(0, recipe), kept.anchors(COUNT - 1, recipe)
    assert not round_anchors.positive[~small].any()
    assert not round_anchors.negative[~small].any()
    assert whole_anchors.negative[~small].any()


def test_masks_are_empty_outside_the_picture_that_their_frame_shows(changing: Clip, tmp_path: Path) -> None:
    said: list[str] = []
    out = predict(
        Path(DRAWN), [*changing.paths], Options(tmp_path / "out", overlay=False, report=False, say=said.append)
    )
    masks = [read_mask(path) > 0 for path in sorted(out.glob("*/masks/*.png"))]
    assert len(masks) == COUNT
    assert not any((mask & ~DISC).any() for mask in masks[: COUNT // 2])
    assert any((mask & ~DISC).any() for mask in masks[COUNT // 2 :])
    assert any("the endoscope's picture changes within the clip: 1 smaller one besides" in line for line in said)


def test_an_area_without_outlines_is_that_of_every_frame() -> None:
    area = PictureArea(0, 0, HEIGHT, WIDTH, DISC)
    assert area.shown(frame(0)) is area
    assert area.common is area


def test_of_two_outlines_a_frame_gets_the_smallest_that_holds_its_light() -> None:
    inner = (ROWS - 60) ** 2 + (COLUMNS - 80) ** 2 <= 30**2
    area = PictureArea(0, 0, HEIGHT, WIDTH, None, outlines=(inner, DISC))
    assert np.array_equal(area.shown(frame(0, shown=inner)).inside, inner)
    assert np.array_equal(area.shown(frame(0, shown=DISC)).inside, DISC)
    assert np.array_equal(area.shown(frame(0)).inside, None)
    assert np.array_equal(area.common.inside, inner)
