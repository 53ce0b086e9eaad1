from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.errors import InputError
from cuemask.media.area import PictureArea, fixed_area, picture_area
from cuemask.media.clips import open_clips

HEIGHT, WIDTH = 240, 426


def tissue(count: int = 8, seed: int = 0, brightness: float = 1.0) -> Iterator[np.ndarray]:
    """Frames full of smooth, changing, reddish texture between about 40 and 230."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        coarse = random.uniform(60, 230, (7, 12)).astype(np.float32)
        red = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * brightness
        rgb = np.stack([red, red * 0.5, red * 0.45], axis=2) + random.normal(0, 2, (HEIGHT, WIDTH, 1))
        yield np.clip(rgb, 0, 255).astype(np.uint8)


def bordered(
    shown: np.ndarray, level: int = 0, noise: int = 0, frames: Iterator[np.ndarray] | None = None
) -> Iterator[np.ndarray]:
    """Frames that show the tissue only where `shown`, a border of `level` elsewhere."""
    random = np.random.default_rng(1)
    for rgb in frames or tissue():
        border = level + random.integers(-noise, noise + 1, (HEIGHT, WIDTH, 1)) + np.zeros(3, int)
        yield np.where(shown[..., None], rgb, np.clip(border, 0, 255)).astype(np.uint8)


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    shown = np.zeros((HEIGHT, WIDTH), bool)
    shown[top : top + height, left : left + width] = True
    return shown


def disc(radius: int, row: int = HEIGHT // 2, column: int = WIDTH // 2) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def assert_near(area: PictureArea, expected: tuple[int, int, int, int], tolerance: int = 2) -> None:
    found = (area.top, area.left, area.height_px, area.width_px)
    assert np.abs(np.subtract(found, expected)).max() <= tolerance, found


def test_a_frame_without_border_is_taken_whole() -> None:
    area = picture_area(tissue())
    assert (area.top, area.left, area.height_px, area.width_px, area.inside) == (0, 0, HEIGHT, WIDTH, None)


@pytest.mark.parametrize(("level", "noise"), [(0, 0), (3, 3), (16, 0), (16, 2)])
@pytest.mark.parametrize("expected", [(20, 60, 200, 300), (0, 60, 240, 300), (30, 0, 180, 426), (5, 0, 235, 420)])
def test_straight_borders_are_cut_off(level: int, noise: int, expected: tuple[int, int, int, int]) -> None:
    area = picture_area(bordered(rectangle(*expected), level, noise))
    assert_near(area, expected)
    assert area.inside is None


def test_a_round_picture_gets_its_disc() -> None:
    area = picture_area(bordered(disc(110), noise=2, level=3))
    assert_near(area, (12, 105, 217, 217), tolerance=3)
    inside = area.paste(area.inside, HEIGHT, WIDTH) if area.inside is not None else np.zeros((1, 1), bool)
    assert not (inside & ~disc(110)).any(), "border counts as picture"
    assert inside.sum() > 0.93 * disc(110).sum(), inside.sum() / disc(110).sum()


def test_a_round_picture_that_the_frame_cuts_keeps_its_arcs() -> None:
    area = picture_area(bordered(disc(150)))
    assert_near(area, (0, 65, 240, 297), tolerance=3)
    assert area.inside is not None
    assert 0.85 < area.inside.mean() < 0.95


def test_cut_corners_are_left_out() -> None:
    octagon = rectangle(0, 20, 240, 380)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    octagon &= (rows + columns > 70) & (rows + (WIDTH - columns) > 76)
    area = picture_area(bordered(octagon, level=1))
    assert_near(area, (0, 20, 240, 380), tolerance=5)
    inside = area.paste(area.inside, HEIGHT, WIDTH) if area.inside is not None else np.zeros((1, 1), bool)
    assert not (inside & ~octagon).any()
    assert inside.sum() > 0.96 * octagon.sum()


def test_burnt_in_text_does_not_enlarge_the_picture() -> None:
    def with_text() -> Iterator[np.ndarray]:
        for number, rgb in enumerate(bordered(rectangle(20, 110, 200, 300))):
            drawn = np.ascontiguousarray(rgb)
            cv2.putText(drawn, f"12:0{number}", (4, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
            cv2.putText(drawn, "PATIENT", (4, 120), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 0), 1)
            yield drawn

    assert_near(picture_area(with_text()), (20, 110, 200, 300))


def test_dark_tissue_at_the_edge_is_no_border() -> None:
    falloff = np.clip((WIDTH - np.arange(WIDTH)) / 250, 0.04, 1)[None, :, None]
    frames = ((rgb * falloff).astype(np.uint8) for rgb in tissue())
    assert_near(picture_area(frames), (0, 0, HEIGHT, WIDTH), tolerance=0)


def test_a_dark_moving_object_with_a_sharp_edge_is_no_border() -> None:
    random = np.random.default_rng(3)
    frames = []
    for rgb in tissue():
        rgb[:, 340:] = 0
        glints = (random.random((60, 22)) < 0.08).repeat(4, axis=0).repeat(4, axis=1)[:, :86]
        rgb[:, 340:][glints] = 60
        frames.append(rgb)
    assert_near(picture_area(frames), (0, 0, HEIGHT, WIDTH), tolerance=0)


def test_a_dark_corner_of_a_bordered_picture_belongs_to_it() -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    shade = np.clip(np.hypot(rows - 220, columns - 360) / 120, 0.02, 1)[..., None]
    frames = ((rgb * shade).astype(np.uint8) for rgb in tissue())
    area = picture_area(bordered(rectangle(20, 60, 200, 300), frames=frames))
    assert_near(area, (20, 60, 200, 300), tolerance=3)
    assert area.inside is None


def test_dark_frames_still_show_their_picture() -> None:
    area = picture_area(bordered(rectangle(20, 60, 200, 300), frames=tissue(brightness=0.3)))
    assert_near(area, (20, 60, 200, 300), tolerance=3)


def test_some_black_frames_do_no_harm() -> None:
    def frames() -> Iterator[np.ndarray]:
        for rgb in bordered(rectangle(20, 60, 200, 300)):
            yield rgb
            yield np.zeros_like(rgb)

    assert_near(picture_area(frames()), (20, 60, 200, 300))


@pytest.mark.parametrize(
    ("lit", "expected"),
    [
        ((36, 68, 474, 634), (33, 65, 480, 640)),  # 640x480 with a dark rim
        ((36, 68, 460, 634), (36, 68, 460, 634)),  # too far from any raster
        ((28, 1, 472, 634), (28, 1, 472, 634)),  # the raster would leave the frame
    ],
)
def test_the_dark_rim_of_a_cameras_raster_belongs_to_it(
    lit: tuple[int, int, int, int], expected: tuple[int, int, int, int]
) -> None:
    top, left, height, width = lit
    frames = []
    for rgb in tissue(4):
        whole = np.full((540, 800, 3), 15, np.uint8)
        whole[top : top + height, left : left + width] = cv2.resize(rgb, (width, height))
        frames.append(whole)
    assert_near(picture_area(frames), expected, tolerance=1)


@pytest.mark.parametrize("level", [0, 16])
def test_black_clips_are_refused_with_a_remedy(level: int) -> None:
    with pytest.raises(InputError, match="every sampled frame is black") as error:
        picture_area([np.full((HEIGHT, WIDTH, 3), level, np.uint8)] * 4)
    assert "--crop" in error.value.remedy


def test_a_plain_grey_frame_is_taken_whole() -> None:
    assert_near(picture_area([np.full((HEIGHT, WIDTH, 3), 90, np.uint8)]), (0, 0, HEIGHT, WIDTH), tolerance=0)


def test_no_frames_are_refused() -> None:
    with pytest.raises(InputError, match="No frame"):
        picture_area([])


def test_one_frame_and_one_pixel_pass() -> None:
    assert_near(picture_area(bordered(rectangle(20, 60, 200, 300), frames=tissue(1))), (20, 60, 200, 300))
    assert_near(picture_area([np.full((1, 1, 3), 90, np.uint8)]), (0, 0, 1, 1), tolerance=0)


def test_crop_and_paste_undo_each_other() -> None:
    area = fixed_area(10, 20, 30, 40, HEIGHT, WIDTH)
    rgb = next(tissue())
    cut = area.crop(rgb)
    assert cut.base is not None
    assert cut.shape == (30, 40, 3)
    whole = area.paste(cut, HEIGHT, WIDTH)
    assert np.array_equal(area.crop(whole), cut)
    assert whole.sum() == cut.sum()
    assert area.paste(np.ones((30, 40), bool), HEIGHT, WIDTH).dtype == bool
    assert area.paste(np.ones((30, 40), bool), HEIGHT, WIDTH).sum() == 1200


@pytest.mark.parametrize("crop", [(-1, 0, 10, 10), (0, -1, 10, 10), (0, 0, 241, 10), (0, 400, 10, 27), (0, 0, 0, 10)])
def test_a_crop_that_leaves_the_frame_is_refused(crop: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match=",".join(map(str, crop))) as error:
        fixed_area(*crop, HEIGHT, WIDTH)
    assert "--crop top,left,height,width" in error.value.remedy


def test_a_clip_is_sampled_by_itself(tmp_path: Path, draw_video: Callable[..., Path]) -> None:
    frames = list(bordered(rectangle(20, 60, 200, 300), frames=tissue(30)))
    path = draw_video(tmp_path / "op.mp4", 30, size=(HEIGHT, WIDTH), draw=lambda number, *_: frames[number])
    assert_near(picture_area(open_clips([path])[0]), (20, 60, 200, 300), tolerance=4)


@pytest.mark.real_frames
@pytest.mark.parametrize(
    ("place", "expected", "tolerance", "shape"),
    [
        ("endovis17_dataset4/frames", (28, 320, 1024, 1280), 4, None),
        ("endovis17_dataset3_clip/clip.mp4", (28, 320, 1024, 1280), 4, None),
        ("endovis18_sequence/frames", (0, 0, 1024, 1280), 0, None),
        ("cholecseg8k_clip/*_endo.png", (0, 140, 480, 583), 4, 0.88),
        ("segcol_sequence/frames", (0, 34, 480, 595), 4, 0.94),
        ("endoscapes_clip", (0, 6, 480, 844), 4, 0.95),
        ("dermoscopy/images", (0, 0, 450, 600), 0, None),
    ],
)
def test_real_pictures_are_found(
    real_data: Path, place: str, expected: tuple[int, int, int, int], tolerance: int, shape: float | None
) -> None:
    area = picture_area(open_clips([str(real_data / place)])[0])
    assert_near(area, expected, tolerance)
    assert (area.inside is None) == (shape is None)
    assert area.inside is None or abs(area.inside.mean() - (shape or 1)) < 0.015
