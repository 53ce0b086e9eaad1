from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.draw import polygon2mask

from cuemask.errors import RecipeError
from cuemask.phantom import PhantomFrame, PhantomScene
from cuemask.phantom.tools import CLASPER, LEAVE_ABSENT, LEAVE_PERIOD, SHAFT, WRIST

SMALL = PhantomScene(seed=1, height_px=128, width_px=160)


def same(a: PhantomFrame, b: PhantomFrame) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("rgb", "mask", "parts"))


def difference(a: PhantomFrame, b: PhantomFrame) -> np.ndarray:
    """Largest difference over the channels, in grey levels."""
    return np.abs(a.rgb.astype(int) - b.rgb.astype(int)).max(axis=-1)


def grown(mask: np.ndarray, px: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * px + 1, 2 * px + 1))) > 0


def color_cue_iou(frame: PhantomFrame) -> float:
    a = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2LAB)[..., 1] / 255.0
    saturation = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2HSV)[..., 1] / 255.0
    cue = (1 - a) * (1 - saturation)
    levels = np.uint8(255 * (cue - cue.min()) / np.ptp(cue))
    predicted = cv2.threshold(levels, 0, 1, cv2.THRESH_OTSU)[1] > 0
    return (predicted & frame.mask).sum() / (predicted | frame.mask).sum()


def test_the_same_seed_draws_the_same_frames() -> None:
    again = PhantomScene(seed=1, height_px=128, width_px=160)
    assert all(same(SMALL.frame(t), again.frame(t)) for t in (0, 7, 300))


def test_frames_can_be_drawn_in_any_order() -> None:
    forwards, backwards = replace(SMALL), replace(SMALL)
    there = [forwards.frame(t) for t in (0, 5, 90)]
    back = [backwards.frame(t) for t in (90, 5, 0)]
    assert all(same(a, b) for a, b in zip(there, back[::-1], strict=True))


def test_other_seeds_draw_other_tissue_and_other_instruments() -> None:
    one, other = (replace(SMALL, seed=seed).frame(0) for seed in (1, 2))
    assert difference(one, other).mean() > 20
    assert (one.mask ^ other.mask).sum() > 0.5 * one.mask.sum()


def test_other_seeds_grow_other_tissue() -> None:
    still = replace(SMALL, tools=0, camera_motion=0.0, vignette=0.0)
    assert difference(still.frame(0), replace(still, seed=2).frame(0)).mean() > 20


def test_a_scene_moves_smoothly() -> None:
    frames = [SMALL.frame(t) for t in (0, 1, 25)]
    assert (frames[0].mask ^ frames[1].mask).sum() < 0.2 * frames[0].mask.sum()
    assert difference(frames[0], frames[1]).mean() < difference(frames[0], frames[2]).mean()


def test_a_scene_is_the_same_at_every_size() -> None:
    large = replace(SMALL, height_px=256, width_px=320, noise=0.0).frame(3)
    small = replace(SMALL, noise=0.0).frame(3)
    shrunk = cv2.resize(large.mask.astype(np.uint8) * 255, (160, 128), interpolation=cv2.INTER_AREA) > 127
    assert (shrunk & small.mask).sum() / (shrunk | small.mask).sum() > 0.95


@pytest.mark.parametrize("t", [0, 40, 133])
def test_masks_are_what_differs_from_the_same_scene_without_instruments(t: int) -> None:
    scene = replace(SMALL, shadow=0.0, tools=3)
    frame = scene.frame(t)
    bare = replace(scene, tools=0).frame(t)
    changed = difference(frame, bare) > 8
    assert not frame.mask.all()
    assert not changed[~grown(frame.mask, 3)].any()
    inside = ~grown(~frame.mask, 1)
    assert changed[inside].mean() > 0.97
    assert (changed & frame.mask).sum() / (changed | frame.mask).sum() > 0.85


def test_without_instruments_the_mask_is_empty() -> None:
    bare = replace(SMALL, tools=0).frame(0)
    assert not bare.mask.any()
    assert not bare.parts.any()


def test_parts_together_are_the_mask() -> None:
    for t in (0, 60):
        frame = SMALL.frame(t)
        np.testing.assert_array_equal(frame.parts > 0, frame.mask)
        assert set(np.unique(frame.parts)) == {0, SHAFT, WRIST, CLASPER}


@pytest.mark.parametrize("t", [0, 33])
def test_masks_and_parts_agree_with_a_much_finer_count_of_the_outlines(t: int) -> None:
    frame = SMALL.frame(t)
    labels = np.zeros((128 * 8, 160 * 8), np.uint8)
    for tool in SMALL._tools:
        for surface in tool.surfaces(t, 128):
            labels[polygon2mask(labels.shape, surface.outline[:, ::-1] * 8 - 0.5)] = surface.part
    cells = labels.reshape(128, 8, 160, 8)
    share = {code: (cells == code).mean(axis=(1, 3)) for code in (SHAFT, WRIST, CLASPER)}
    total = sum(share.values())
    # OpenCV fills the places that an edge touches, which counts at this size.
    assert frame.mask[total > 0.75].all()
    assert not frame.mask[total == 0].any()
    assert frame.mask.sum() == pytest.approx(total.sum(), rel=0.06)
    for code in share:
        most = share[code] > 0.6 + np.max([share[other] for other in share if other != code], axis=0)
        assert (frame.parts[most & frame.mask] == code).all()


def test_each_instrument_reaches_in_from_the_border() -> None:
    mask = SMALL.frame(0).mask
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    assert set(range(1, count)) <= set(border.tolist())


def test_the_jaw_opens_and_closes() -> None:
    scene = replace(SMALL, tools=1, leaving=False)
    tool = scene._tools[0]
    grips = [tool.grip.at(t) for t in range(0, 400, 10)]
    spans = []
    for t in (10 * int(np.argmin(grips)), 10 * int(np.argmax(grips))):
        fingers = [s.axis for s in tool.surfaces(t, 128) if s.part == CLASPER]
        spans.append(np.arccos(fingers[0] @ fingers[1]))
    assert spans[0] < np.radians(20)
    assert spans[1] > np.radians(40)


def test_one_instrument_leaves_and_comes_back() -> None:
    scene = replace(SMALL, tools=1)
    leaves_at = scene._tools[0].leaves_at
    assert leaves_at is not None
    assert scene.frame(leaves_at).mask.any()
    assert not scene.frame(leaves_at + LEAVE_ABSENT // 2).mask.any()
    assert scene.frame(leaves_at + LEAVE_ABSENT).mask.any()
    assert not scene.frame(leaves_at + LEAVE_PERIOD + LEAVE_ABSENT // 2).mask.any()
    assert replace(scene, leaving=False).frame(leaves_at + LEAVE_ABSENT // 2).mask.any()


def test_instruments_do_not_depend_on_how_many_there_are() -> None:
    few, many = (replace(SMALL, tools=n, leaving=False).frame(5).mask for n in (1, 3))
    assert (many | few == many).all()
    assert many.sum() > few.sum()


def test_a_round_picture_is_black_outside_and_masks_end_at_its_rim() -> None:
    frame = replace(SMALL, round_picture=True).frame(0)
    y, x = np.mgrid[:128, :160]
    outside = np.hypot(x - 79.5, y - 63.5) > 0.56 * 128 + 1
    assert not frame.rgb[outside].any()
    assert not frame.mask[outside].any()
    full = SMALL.frame(0).mask
    np.testing.assert_array_equal(frame.mask[~grown(outside, 2)], full[~grown(outside, 2)])


@pytest.mark.parametrize(
    ("option", "brighter"),
    [
        ({"smoke": 1.0}, True),
        ({"glare": 1.0}, True),
        ({"pale_fat": 0.9}, True),
        ({"dark_organ": 0.9}, False),
        ({"blood": 0.9}, False),
        ({"shadow": 1.0}, False),
        ({"vignette": 1.0}, False),
    ],
)
def test_each_option_shows_in_the_picture_and_not_in_the_mask(option: dict[str, float], brighter: bool) -> None:
    usual, changed = SMALL.frame(0), replace(SMALL, **option).frame(0)
    assert (changed.rgb.mean() > usual.rgb.mean()) == brighter
    np.testing.assert_array_equal(changed.mask, usual.mask)


def test_a_still_camera_shows_the_same_tissue_for_ever() -> None:
    scene = replace(SMALL, tools=0, camera_motion=0.0, noise=0.0)
    assert same(scene.frame(0), scene.frame(500))
    assert not same(replace(scene, camera_motion=1.0).frame(0), replace(scene, camera_motion=1.0).frame(500))


def test_noise_is_new_in_each_frame_and_as_strong_as_asked() -> None:
    still = replace(SMALL, tools=0, camera_motion=0.0, noise=4.0)
    change = still.frame(0).rgb.astype(float) - still.frame(1).rgb
    assert change.std() == pytest.approx(4.0 * np.sqrt(2), rel=0.1)


def test_wider_instruments_cover_more() -> None:
    thin, thick = (replace(SMALL, tool_width=width, leaving=False).frame(0).mask.sum() for width in (0.05, 0.2))
    assert thick > 3 * thin


@pytest.mark.parametrize(("height_px", "width_px"), [(32, 32), (33, 47), (32, 300), (300, 32)])
def test_small_odd_and_narrow_pictures_are_drawn(height_px: int, width_px: int) -> None:
    frame = PhantomScene(height_px=height_px, width_px=width_px, tools=3, smoke=0.5).frame(0)
    assert frame.rgb.shape == (height_px, width_px, 3)
    np.testing.assert_array_equal(frame.parts > 0, frame.mask)


@pytest.mark.parametrize("option", ["pale_fat", "dark_organ", "blood", "smoke", "glare", "shadow", "vignette"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_options_may_take_their_extremes(option: str, value: float) -> None:
    frame = PhantomScene(height_px=48, width_px=64, **{option: value}).frame(0)
    assert frame.rgb.std() > 0


def test_the_color_cue_alone_is_neither_perfect_nor_hopeless() -> None:
    scenes = [PhantomScene(seed, height_px=256, width_px=320) for seed in range(4)]
    scores = [color_cue_iou(scene.frame(t)) for scene in scenes for t in (0, 50)]
    assert 0.4 < np.mean(scores) < 0.8


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("height_px", 0),
        ("width_px", 31),
        ("tools", 5),
        ("tool_width", 0.0),
        ("glare", 1.5),
        ("smoke", float("nan")),
    ],
)
def test_values_out_of_range_are_refused_with_the_range(field: str, value: float) -> None:
    with pytest.raises(RecipeError, match=f"{field} is {value}, outside") as error:
        PhantomScene(**{field: value})
    assert error.value.remedy.startswith(f"Give {field} a value from")


def test_there_is_no_frame_before_the_first() -> None:
    with pytest.raises(RecipeError, match="no frame -1"):
        SMALL.frame(-1)
