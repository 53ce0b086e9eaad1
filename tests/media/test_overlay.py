from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from cuemask.errors import OutputError
from cuemask.media.clips import open_clips
from cuemask.media.overlay import (
    ENCODER,
    RIM,
    SKY,
    STEADY,
    OverlayWriter,
    Style,
    captioned,
    overlay,
    video_frame,
    with_strip,
)

ReadNumber = Callable[[np.ndarray], int]


def plain(level: int = 100, height: int = 64, width: int = 96) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def write_all(path: Path, frames: list[np.ndarray], rate: Fraction = Fraction(25)) -> None:
    with OverlayWriter(path, rate) as writer:
        for rgb in frames:
            writer.write(rgb)


def test_a_mask_is_tinted_by_a_fifth_and_outlined_with_a_dark_rim() -> None:
    mask = np.zeros((64, 96), bool)
    mask[20:40, 30:60] = True
    rgb = plain()
    drawn = overlay(rgb, mask)
    assert np.all(rgb == 100), "the frame was changed"
    assert drawn[30, 45].tolist() == [80, 116, 131]
    assert drawn[20, 30].tolist() == [0, 180, 255]
    assert drawn[19, 45].tolist() == drawn[21, 45].tolist() == [0, 0, 0]
    assert np.array_equal(drawn[:18], rgb[:18])


def test_styles_tint_nothing_or_put_the_bare_frame_beside() -> None:
    mask = np.zeros((64, 96), bool)
    mask[20:40, 30:60] = True
    rgb, filled = plain(), overlay(plain(), mask)
    outlined = overlay(rgb, mask, style="outline")
    assert outlined[30, 45].tolist() == [100, 100, 100]
    assert outlined[20, 30].tolist() == [0, 180, 255]
    assert np.array_equal(overlay(rgb, mask, style="side-by-side"), np.concatenate([rgb, filled], axis=1))
    assert np.array_equal(overlay(rgb, ~mask & mask, style="side-by-side"), np.concatenate([rgb, rgb], axis=1))


# Machado, Oliveira, Fernandes 2009: what is left of linear RGB without red, green or blue cones.
SEEN = {
    "all cones": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "no blue": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
TISSUE = {
    "fat": (230, 205, 110),
    "flesh": (190, 70, 60),
    "blood": (90, 10, 15),
    "serosa": (215, 170, 160),
    "steel": (150, 155, 160),
}


def lab(rgb: tuple[int, int, int], seen: np.ndarray) -> np.ndarray:
    s = np.array(rgb) / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    linear = np.clip(seen @ linear, 0, 1)
    s = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return cv2.cvtColor(s.astype(np.float32)[None, None], cv2.COLOR_RGB2LAB)[0, 0]


@pytest.mark.parametrize("viewer", SEEN)
@pytest.mark.parametrize("tissue", TISSUE)
def test_the_line_or_its_rim_stands_out_for_every_viewer(viewer: str, tissue: str) -> None:
    """By CIE76 difference, of which 2.3 can just be seen."""
    around = lab(TISSUE[tissue], SEEN[viewer])
    line, rim = (float(np.linalg.norm(lab(color, SEEN[viewer]) - around)) for color in (SKY, RIM))
    assert max(line, rim) >= 45
    assert line >= 30


def test_a_plain_green_line_is_lost_on_fat_without_green_cones() -> None:
    """Why the line is not green."""
    seen = SEEN["no green"]
    assert np.linalg.norm(lab((0, 255, 0), seen) - lab(TISSUE["fat"], seen)) < 30


def test_the_strip_stands_below_the_picture_whatever_it_says() -> None:
    for text in ("", "op   000012   0:00.5   confidence 0.50", "long " * 80):
        told = with_strip(plain(), text)
        assert told.shape == (64 + 16, 96, 3)
        assert np.array_equal(told[:64], plain())
        assert (told[64:].max() > 150) == bool(text.strip())


@pytest.mark.parametrize("style", ["fill", "outline", "side-by-side"])
@pytest.mark.parametrize("height", [64, 65, 480, 1080])
def test_mask_and_strip_drawn_at_once_are_those_drawn_one_after_the_other(style: Style, height: int) -> None:
    rgb, mask = plain(height=height), np.zeros((height, 96), bool)
    mask[20:40, 30:60] = mask[-9:, :12] = True  # down to the strip, on which no line may be drawn
    for given in (mask, mask & False):
        drawn = captioned(rgb, given, "frame", style)
        assert np.array_equal(drawn, with_strip(overlay(rgb, given, style=style), "frame"))
        assert len(drawn) % 2 == 0
    assert np.all(rgb == 100), "the frame was changed"


def test_an_empty_mask_changes_nothing_and_a_full_one_everything() -> None:
    rgb = plain()
    assert np.array_equal(overlay(rgb, np.zeros((64, 96), bool)), rgb)
    assert (overlay(rgb, np.ones((64, 96), bool), (255, 0, 0)) != rgb).any(axis=2).all()


def test_holes_stay_untinted() -> None:
    mask = np.zeros((64, 96), bool)
    mask[10:50, 10:80] = True
    mask[20:40, 30:60] = False
    assert overlay(plain(), mask)[30, 45].tolist() == [100, 100, 100]


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(25), Fraction(2), Fraction(2997, 100)])
def test_videos_play_at_the_exact_rate(tmp_path: Path, rate: Fraction) -> None:
    write_all(tmp_path / "overlay.mp4", [plain(100, 16, 16)] * 1100, rate)  # long enough for drift to show
    (clip,) = open_clips([tmp_path / "overlay.mp4"])
    assert clip.frame_rate == rate
    frames = list(clip.frames())
    assert len(frames) == 1100
    assert frames[-1].time_seconds == pytest.approx(float(1099 / rate), abs=0.1 / float(rate))


def test_the_video_is_h264_that_every_browser_plays_and_starts_without_its_end(tmp_path: Path) -> None:
    write_all(tmp_path / "overlay.mp4", [plain()] * 5)
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    data = (tmp_path / "overlay.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("color", [(200, 40, 40), (40, 200, 40), (40, 40, 200), (255, 255, 255), (0, 0, 0)])
def test_colours_survive(tmp_path: Path, color: tuple[int, int, int]) -> None:
    write_all(tmp_path / "overlay.mp4", [np.full((64, 96, 3), color, np.uint8)] * 3)
    rgb = next(open_clips([tmp_path / "overlay.mp4"])[0].frames()).rgb
    assert np.abs(rgb.astype(int) - color).max() <= 6


@pytest.mark.parametrize(("height", "width"), [(63, 97), (64, 97), (63, 96), (1, 1)])
def test_odd_sizes_are_padded(tmp_path: Path, height: int, width: int) -> None:
    write_all(tmp_path / "overlay.mp4", [plain(150, height, width)] * 3)
    (clip,) = open_clips([tmp_path / "overlay.mp4"])
    assert (clip.height_px, clip.width_px) == (height + height % 2, width + width % 2)
    assert np.abs(next(clip.frames()).rgb.astype(int) - 150).max() <= 6


def test_the_encoder_is_given_the_colours_that_ffmpeg_would_make() -> None:
    rng = np.random.default_rng(0)
    rgb = cv2.GaussianBlur(rng.integers(0, 256, (64, 96, 3)).astype(np.uint8), (0, 0), 4)
    rgb = cv2.normalize(rgb, np.empty_like(rgb), 0, 255, cv2.NORM_MINMAX)
    theirs = VideoFrame.from_ndarray(rgb).reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    ours = video_frame(rgb)
    assert (ours.format.name, ours.width, ours.height) == ("yuv420p", 96, 64)
    difference = np.abs(ours.to_ndarray().astype(int) - theirs.to_ndarray())
    assert difference[:64].max() <= 1
    assert difference[64:].max() <= 3  # they take the colour left of a square of 2 x 2 pixels, we its mean


@pytest.mark.parametrize("encoder", [ENCODER, STEADY])
def test_pictures_that_move_stay_good_to_look_at(tmp_path: Path, encoder: dict[str, str]) -> None:
    rng = np.random.default_rng(0)
    large = cv2.GaussianBlur(rng.integers(0, 256, (120, 160, 3)).astype(np.uint8), (0, 0), 2)
    large = cv2.normalize(large, np.empty_like(large), 0, 255, cv2.NORM_MINMAX)
    frames = [large[k : k + 96, 2 * k : 2 * k + 128] for k in range(12)]
    with OverlayWriter(tmp_path / "overlay.mp4", Fraction(25), encoder=encoder) as writer:
        for rgb in frames:
            writer.write(rgb)
    seen = [frame.rgb for frame in open_clips([tmp_path / "overlay.mp4"])[0].frames()]
    assert min(cv2.PSNR(one, other) for one, other in zip(seen, frames, strict=True)) > 28


def test_an_error_leaves_neither_half_a_video_nor_a_changed_old_one(tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    path.write_bytes(b"old")

    def fail() -> None:
        with OverlayWriter(path, Fraction(25)) as writer:
            writer.write(plain())
            assert path.read_bytes() == b"old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["overlay.mp4"]
    assert path.read_bytes() == b"old"


def test_an_error_about_the_input_is_not_blamed_on_the_video(tmp_path: Path) -> None:
    def fail() -> None:
        with OverlayWriter(tmp_path / "overlay.mp4", Fraction(25)):
            raise FileNotFoundError("the input")

    with pytest.raises(FileNotFoundError, match="the input"):
        fail()


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".overlay.part.mp4").symlink_to("/dev/full")
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(60)]
    with pytest.raises(OutputError, match="no space left") as error:
        write_all(tmp_path / "overlay.mp4", frames)
    assert "Free some space" in error.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_absent_or_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in ("absent", "file"):
        with pytest.raises(OutputError, match=r"overlay.mp4"):
            write_all(tmp_path / folder / "overlay.mp4", [plain()])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="may not be written"):
        write_all(tmp_path / "overlay.mp4", [plain()])
    tmp_path.chmod(0o700)


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frame was written"):
        write_all(tmp_path / "overlay.mp4", [])
    assert not list(tmp_path.iterdir())


def test_frames_of_another_size_are_a_bug_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another size"):
        write_all(tmp_path / "overlay.mp4", [plain(), plain(height=32)])


def test_pixels_that_are_no_squares_stay_so(tmp_path: Path) -> None:
    with OverlayWriter(tmp_path / "overlay.mp4", Fraction(25), Fraction(64, 45)) as video:
        video.write(np.full((32, 48, 3), 90, np.uint8))
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)
