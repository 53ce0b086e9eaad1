from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cuemask.errors import OutputError
from cuemask.media.clips import open_clips
from cuemask.media.overlay import OverlayWriter, overlay

ReadNumber = Callable[[np.ndarray], int]


def plain(level: int = 100, height: int = 64, width: int = 96) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def write_all(path: Path, frames: list[np.ndarray], rate: Fraction = Fraction(25)) -> None:
    with OverlayWriter(path, rate) as writer:
        for rgb in frames:
            writer.write(rgb)


def test_a_mask_is_tinted_by_forty_percent_and_outlined() -> None:
    mask = np.zeros((64, 96), bool)
    mask[20:40, 30:60] = True
    rgb = plain()
    drawn = overlay(rgb, mask)
    assert np.all(rgb == 100), "the frame was changed"
    assert drawn[30, 45].tolist() == [60, 162, 60]
    assert drawn[20, 30].tolist() == [0, 255, 0]
    assert np.array_equal(drawn[~mask], rgb[~mask])


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
