"""What people look at: masks drawn over frames, and videos of them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast

import av
import av.error
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from jaxtyping import Bool, UInt8

from cuemask.errors import OutputError
from cuemask.media.files import aside_of, output_errors, put_in_place
from cuemask.media.threads import encoders

# With its dark rim it stands out from all tissue for whoever sees it, also without red, green or blue cones
# (docs/deviations.md#the-colour-of-an-outline).
SKY = (0, 180, 255)
RIM = (0, 0, 0)
TINT = 0.2
ENCODER = {"preset": "ultrafast", "crf": "22"}  # for the eye, and two fifths of the work of veryfast
# The same quality in every frame: what to spend on which is then not asked, which is a fifth to a third of the work.
STEADY = {"preset": "ultrafast", "qp": "23"}
BT709 = 1
# Luminance and both colour differences of red, green and blue, 0 to 255, in the range of video (ITU-R BT.709).
_RED, _GREEN, _BLUE = 0.2126, 0.7152, 0.0722
_YUV = np.array(
    [
        [219 / 255 * _RED, 219 / 255 * _GREEN, 219 / 255 * _BLUE, 16],
        [112 / 255 * -_RED / (1 - _BLUE), 112 / 255 * -_GREEN / (1 - _BLUE), 112 / 255, 128],
        [112 / 255, 112 / 255 * -_GREEN / (1 - _RED), 112 / 255 * -_BLUE / (1 - _RED), 128],
    ],
    np.float32,
)

Style = Literal["outline", "fill", "side-by-side"]


def overlay(
    rgb: UInt8[np.ndarray, "H W 3"],
    mask: Bool[np.ndarray, "H W"],
    color: tuple[int, int, int] = SKY,
    style: Style = "fill",
    tint: float = TINT,
) -> UInt8[np.ndarray, "H W2 3"]:
    """Draw the outline of what the mask covers, with a dark rim, and tint it.

    Parameters
    ----------
    rgb, mask
        A frame, 0 to 255, and what to mark in it.
    color
        Red, green and blue, 0 to 255.
    style
        `outline` tints nothing; `side-by-side` puts the bare frame to the left.
    tint
        How strongly, 0 to 1.

    Returns
    -------
    array
        A new picture; outside of the mask and the line it equals `rgb`.
    """
    drawn = rgb.copy()
    if mask.any():
        _mark(drawn, mask, color, 0.0 if style == "outline" else tint)
    return np.concatenate([rgb, drawn], axis=1) if style == "side-by-side" else drawn


def captioned(
    rgb: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"], text: str, style: Style = "fill"
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """`overlay`, in its own colour, with the strip of `with_strip` below; the frame is copied once for both."""
    if style == "side-by-side":
        return with_strip(overlay(rgb, mask, style=style), text)
    drawn = with_strip(rgb, text)
    if mask.any():
        _mark(drawn[: len(rgb)], mask, SKY, 0.0 if style == "outline" else TINT)
    return drawn


def _mark(
    drawn: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"], color: tuple[int, int, int], tint: float
) -> None:
    codes = mask.astype(np.uint8)
    left, top, width, height = cv2.boundingRect(codes)
    inner = np.s_[top : top + height, left : left + width]
    if tint:
        mixed = np.hstack([np.eye(3) * (1 - tint), np.array(color)[:, None] * tint])
        tinted = cv2.transform(drawn[inner], mixed.astype(np.float32))
        cv2.copyTo(tinted, codes[inner], drawn[inner])
    # Points between the ends of straight lines would change no pixel of what is drawn.
    contours, _ = cv2.findContours(codes[inner], cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    line = max(1, round(drawn.shape[0] / 200))
    cv2.drawContours(drawn, contours, -1, RIM, line + 2)
    cv2.drawContours(drawn, contours, -1, color, line)


def with_strip(rgb: UInt8[np.ndarray, "H W 3"], text: str) -> UInt8[np.ndarray, "H2 W 3"]:
    """A new picture with a strip below `rgb` that holds `text`, smaller where it is too long: a frame stays as it is.

    Its rows are even in number, as an encoder wants them: to add one to a picture of 1080 rows takes a millisecond.
    """
    height, width = rgb.shape[:2]
    rows = max(16, height // 24)
    strip = np.full((rows + (height + rows) % 2, width, 3), 24, np.uint8)
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1, 1)
    scale = max(0.3, min(0.6 * strip.shape[0] / max(high, 1), 0.98 * width / max(wide, 1)))
    place = (max(2, height // 120), round(0.72 * strip.shape[0]))
    weight = max(1, height // 700)
    cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), weight, cv2.LINE_AA)
    return np.concatenate([rgb, strip])


def blanked(rgb: UInt8[np.ndarray, "H W 3"], words: str) -> UInt8[np.ndarray, "H W 3"]:
    """A plain dark grey picture of the same size with `words` in its middle: nothing of `rgb` is left."""
    height, width = rgb.shape[:2]
    blank = np.full_like(rgb, 40)
    (wide, high), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 1, 1)
    scale = min(0.5 * width / max(wide, 1), 0.1 * height / max(high, 1))
    place = (round((width - scale * wide) / 2), round((height + scale * high) / 2))
    cv2.putText(blank, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (200,) * 3, max(1, round(scale)), cv2.LINE_AA)
    return blank


class OverlayWriter:
    """Write frames to an H.264 video in MP4 that plays everywhere; absent unless all went well.

    Use it as a context manager: the video appears under its name when the block ends without an error.
    Sizes that are odd are padded to even ones by repeating the last row or column.

    Parameters
    ----------
    path
        The video, ending in .mp4.
    frame_rate
        Frames per second, exact, such as 30000/1001.
    pixel_aspect
        Width of a pixel over its height.
    encoder
        Options of x264: `ENCODER` or `STEADY`.

    Raises
    ------
    OutputError
        If the file cannot be written: no space left, read-only, not permitted.
    """

    def __init__(
        self,
        path: Path,
        frame_rate: Fraction,
        pixel_aspect: Fraction = Fraction(1),
        encoder: Mapping[str, str] = ENCODER,
    ) -> None:
        self.path = path
        self.frame_rate = frame_rate
        self.pixel_aspect = pixel_aspect
        self._encoder = dict(encoder)
        self._aside = aside_of(path)
        self._stream: VideoStream | None = None
        self._next = 0

    def __enter__(self) -> OverlayWriter:
        with write_errors(self.path):
            self._container = av.open(str(self._aside.absolute()), "w", options={"movflags": "+faststart"})
        return self

    def write(self, rgb: UInt8[np.ndarray, "H W 3"], place: int | None = None) -> None:
        """Append one frame; all share the first one's size.

        Parameters
        ----------
        place
            Which frame of the video it is, from 0, where some are left out: those before it are shown for longer.

        Raises
        ------
        OutputError
            If writing fails.
        """
        frame = video_frame(_even(rgb))
        if self._stream is None:
            self._stream = self._begin(frame.width, frame.height)
        if (frame.width, frame.height) != (self._stream.width, self._stream.height):
            raise ValueError(f"{self.path}: frames of {self._stream.width} by {self._stream.height}, then another size")
        frame.pts, frame.time_base = self._next if place is None else place, 1 / self.frame_rate
        with write_errors(self.path):
            self._container.mux(self._stream.encode(frame))
        self._next = frame.pts + 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            # Closing an unfinished or full file fails once more; what matters has been raised already.
            with suppress(OSError, av.error.FFmpegError):
                self._container.close()
            with suppress(OSError):
                self._aside.unlink(missing_ok=True)

    def _begin(self, width: int, height: int) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=self.frame_rate, options=self._encoder)
        stream.codec_context.thread_count = encoders()
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.sample_aspect_ratio = self.pixel_aspect
        stream.time_base = stream.codec_context.time_base = 1 / self.frame_rate
        stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = BT709
        stream.codec_context.color_range = ColorRange.MPEG
        return stream

    def _finish(self) -> None:
        if self._stream is None:
            raise OutputError(f"{self.path}: no frame was written.", "Select at least one frame.")
        with write_errors(self.path):
            self._container.mux(self._stream.encode(None))
            self._container.close()
            put_in_place(self._aside, self.path)


@contextmanager
def write_errors(path: Path) -> Generator[None, None, None]:
    """Turn what FFmpeg and the operating system say about writing `path` into an `OutputError`."""
    with output_errors(path):
        try:
            yield
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror or str(error)) from error


def video_frame(rgb: UInt8[np.ndarray, "H W 3"]) -> VideoFrame:
    """A frame for the encoder, colour at half the size; FFmpeg's own conversion takes four times as long."""
    height, width = rgb.shape[:2]
    yuv = cv2.transform(rgb, _YUV)
    halved = cv2.resize(yuv, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    frame = VideoFrame(width, height, "yuv420p")
    for channel, picture in enumerate((yuv, halved, halved)):
        plane = frame.planes[channel]
        rows = np.frombuffer(cast(Any, plane), np.uint8).reshape(plane.height, plane.line_size)
        cv2.extractChannel(picture, channel, rows[:, : plane.width])
    return frame


def _even(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H2 W2 3"]:
    height, width = rgb.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return np.ascontiguousarray(rgb)
    return cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
