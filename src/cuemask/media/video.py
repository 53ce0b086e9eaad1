"""Videos as streams of frames, through PyAV (FFmpeg)."""

from __future__ import annotations

import codecs
import logging
import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from cuemask.errors import InputError, VideoError
from cuemask.media.frames import Frame, Selection

log = logging.getLogger(__name__)

DEFAULT_RATE = Fraction(25)
FASTEST_RATE = Fraction(1000)
# How much longer than its video a file's sound may be before the video counts as cut off.
SOUND_OVERHANG_SECONDS = 2
SAMPLING_STEP = 20

TimedFrame = tuple[int, Fraction, VideoFrame]


class OpenVideo:
    """An open video file; a context manager that closes it.

    Attributes
    ----------
    path
        The file.
    frame_rate
        Frames per second, exact where the container tells it, else 25.
    frame_count
        Number of frames that the header promises, or None; an estimate, never to be trusted.

    Raises
    ------
    VideoError
        If FFmpeg cannot open the file or finds no video stream or no decoder in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container, self._stream = _open(path)
        self._stream.thread_type = "AUTO"
        self._discarded = 0
        self.frame_rate = _frame_rate(self._stream)
        self.frame_count = self._promised_frames()

    def __enter__(self) -> OpenVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def codec(self) -> str:
        """Codec and pixel format, for messages."""
        context = self._stream.codec_context
        return f"codec {context.name}, {context.pix_fmt}" if context.pix_fmt else f"codec {context.name}"

    def from_first(self) -> Iterator[TimedFrame]:
        """Decode all frames: (number, seconds after the first frame, frame)."""
        first, count = None, 0
        for count, frame in enumerate(self._decoded(), start=1):
            stamp = _stamp(frame)
            first = stamp if first is None else first
            if stamp is None or first is None:
                yield count - 1, (count - 1) / self.frame_rate, frame
            else:
                yield count - 1, stamp - first, frame
        if count == 0:
            raise _undecodable(self.path, self.codec)
        self._warn_if_short(count)

    def from_time(self, start: Fraction) -> Iterator[TimedFrame] | None:
        """Decode from `start` seconds on, numbered as from the first frame; None where that cannot be had.

        The packets before `start` are read and counted but not decoded, which numbers the frames exactly
        as long as every packet carries a time stamp of its own. Raw streams and some recorders' files do
        not, and some streams cannot be entered at a given time: those have to be decoded from the start.
        """
        stamps = self._stamps_until(start)
        if not stamps:
            return None
        time_base = cast(Fraction, self._stream.time_base)
        first = min(stamps)
        entry = math.ceil(first + start / time_base)
        after = [stamp for stamp in stamps if stamp >= entry]
        if not after:
            return iter(())
        with suppress(av.error.FFmpegError):  # where it cannot seek, another frame than promised comes next
            self._container.seek(entry, stream=self._stream, backward=True)
        frames = self._decoded()
        landed = next((frame for frame in frames if frame.pts is None or frame.pts >= entry), None)
        # Unless the very frame that the packets promise comes first, the seek went too far or the stamps lie.
        if landed is None or landed.pts != min(after):
            return None
        return self._numbered_from(chain([landed], frames), len(stamps) - len(after), first * time_base)

    def key_frames(self, seconds: Iterable[float]) -> dict[int, VideoFrame]:
        """Decode the key frame at or before each of `seconds` after the start, by its time stamp."""
        found: dict[int, VideoFrame] = {}
        time_base, first = self._stream.time_base, self._stream.start_time or 0
        if time_base is None:
            return found
        for second in seconds:
            try:
                self._container.seek(first + int(second / time_base), stream=self._stream, backward=True)
            except av.error.FFmpegError:
                continue
            frame = next(self._decoded(), None)
            if frame is not None and frame.pts is not None:
                found[frame.pts] = frame
        return found

    def _numbered_from(self, frames: Iterator[VideoFrame], index: int, first_seconds: Fraction) -> Iterator[TimedFrame]:
        for frame in frames:
            stamp = _stamp(frame)
            yield index, (index / self.frame_rate if stamp is None else stamp - first_seconds), frame
            index += 1
        self._warn_if_short(index)

    def _stamps_until(self, start: Fraction) -> list[int]:
        """Presentation stamps of the packets up to `start` seconds; empty unless each has one of its own."""
        time_base = self._stream.time_base
        if time_base is None:
            return []
        stamps: list[int] = []
        first = math.inf
        for packet in self._packets():
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None:
                return []
            stamps.append(packet.pts)
            first = min(first, packet.pts)
            if packet.dts is not None and packet.dts > first + start / time_base:
                break
        return stamps if len(set(stamps)) == len(stamps) else []

    def _packets(self) -> Iterator[Packet]:
        """Yield packets to the end of the file, or to where it breaks off."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError):
                return
            # An edit list can leave out the beginning; FFmpeg decodes such packets but shows nothing.
            self._discarded += packet.is_discard
            yield packet

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            try:
                frames = cast("list[VideoFrame]", packet.decode())
            except av.error.FFmpegError as error:
                log.debug("%s: a damaged packet was skipped (%s)", self.path, error)
                continue
            yield from frames

    def _promised_frames(self) -> int | None:
        if self._stream.frames:
            return self._stream.frames
        if self._container.duration:
            return round(Fraction(self._container.duration, av.time_base) * self.frame_rate)
        return None

    def _warn_if_short(self, count: int) -> None:
        if self.frame_count is None:
            return
        slack = self._discarded if self._stream.frames else SOUND_OVERHANG_SECONDS * self.frame_rate
        if count < self.frame_count - slack:
            log.warning(
                "%s: %d frames decoded of %d that its header promises; the file is cut off or damaged. "
                "Copy it again from its source if frames are missing.",
                self.path,
                count,
                self.frame_count,
            )


def video_frames(path: Path, selection: Selection) -> Generator[Frame, None, None]:
    """Decode the selected frames of a video, one at a time.

    A video that breaks off yields what decodes and then logs a warning.

    Raises
    ------
    VideoError
        If nothing can be decoded.
    InputError
        If the video decodes but no frame of it is selected.
    """
    size, taken = None, 0
    for index, time, frame in _selected(path, selection):
        rgb = _rgb(frame, size)
        size, taken = (rgb.shape[0], rgb.shape[1]), taken + 1
        yield Frame(f"{index:06d}", index, float(time), rgb)
    if not taken:
        raise _nothing_selected(path, selection)


def sample_video(path: Path, selection: Selection, count: int) -> Generator[UInt8[np.ndarray, "H W 3"], None, None]:
    """Yield about `count` frames spread over the selected stretch, without decoding what lies between.

    Long videos are entered at the key frames before evenly spread times. Where that finds too few (a short
    video, or one with few key frames), its first `count` times `SAMPLING_STEP` frames are stepped through.

    Raises
    ------
    VideoError
        If nothing can be decoded.
    """
    frames: dict[int, VideoFrame] = {}
    with OpenVideo(path) as video:
        if video.frame_count and video.frame_count > count * SAMPLING_STEP:
            seconds = float(video.frame_count / video.frame_rate)
            end = seconds if selection.end_seconds is None else min(seconds, selection.end_seconds)
            frames = video.key_frames(np.linspace(selection.start_seconds, end, count, endpoint=False).tolist())
    if len(frames) >= count // 2:
        for frame in frames.values():
            yield _rgb(frame, None)
        return
    with closing(video_frames(path, selection)) as selected:
        known = video.frame_count
        expected = selection.estimate(known, video.frame_rate) if known else count * SAMPLING_STEP
        step = min(SAMPLING_STEP, max(1, math.ceil(expected / count)))
        for frame in islice(selected, 0, count * SAMPLING_STEP, step):
            yield frame.rgb


def upright_rgb(frame: VideoFrame) -> UInt8[np.ndarray, "H W 3"]:
    """Convert a decoded frame to RGB, turned as its stream says."""
    return _rgb(frame, None)


def _selected(path: Path, selection: Selection) -> Iterator[TimedFrame]:
    with OpenVideo(path) as video:
        frames = video.from_time(selection.start) if selection.start > 0 else video.from_first()
        if frames is not None:
            yield from selection.take(frames, video.frame_rate)
            return
    log.debug("%s: decoded from its first frame, as its packets do not number its frames", path)
    with OpenVideo(path) as video:
        yield from selection.take(video.from_first(), video.frame_rate)


def _rgb(frame: VideoFrame, size: tuple[int, int] | None) -> UInt8[np.ndarray, "H W 3"]:
    """Convert to RGB, upright; a stream that changes its size midway is scaled to its first `size`."""
    rgb = frame.to_ndarray(format="rgb24")
    if frame.rotation % 90 == 0 and frame.rotation:
        rgb = np.ascontiguousarray(np.rot90(rgb, frame.rotation // 90))
    if size is not None and rgb.shape[:2] != size:
        rgb = cv2.resize(rgb, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return cast(np.ndarray, rgb)


def _stamp(frame: VideoFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _frame_rate(stream: VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= FASTEST_RATE:
            return Fraction(rate)
    return DEFAULT_RATE


def _open(path: Path) -> tuple[InputContainer, VideoStream]:
    try:
        # An absolute path holds no colon that FFmpeg could take for a protocol.
        container = av.open(str(path.absolute()))
    except PermissionError as error:
        raise VideoError(f"{path}: may not be read.", f"Run: chmod u+r {path}") from error
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise _unopenable(path, error) from error
    streams = [stream for stream in container.streams.video if stream.codec_context]
    if not streams:
        held = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        container.close()
        raise VideoError(
            f"{path}: no video stream that can be decoded ({held} in it).",
            f"Check the file: ffprobe {path}",
        )
    return container, streams[0]


def _unopenable(path: Path, error: Exception) -> VideoError:
    with path.open("rb") as file:
        head = file.read(1024)
    size = path.stat().st_size
    if not head:
        return VideoError(f"{path}: the file is empty (0 bytes).", "Copy it again from its source.")
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
        return VideoError(
            f"{path}: the video's index (moov) is missing, so that no frame can be decoded; the recording or "
            f"the copy was cut off ({size:,} bytes).",
            f"Copy it again from its source, or repair it: untrunc GOOD_VIDEO_OF_THE_SAME_DEVICE.mp4 {path}",
        )
    if _is_text(head):
        return VideoError(f"{path}: a text file, not a video.", "Give a video, a folder of pictures or a pattern.")
    return VideoError(
        f"{path}: no video that FFmpeg can read ({error.__class__.__name__}; {size:,} bytes).",
        f"Check the file: ffprobe {path}",
    )


def _undecodable(path: Path, codec: str) -> VideoError:
    return VideoError(
        f"{path}: no frame could be decoded ({codec}).",
        f"Run: ffmpeg -i {path} -c:v libx264 -pix_fmt yuv420p {path.stem}-h264.mp4",
    )


def _nothing_selected(path: Path, selection: Selection) -> InputError:
    end = "its end" if selection.end_seconds is None else f"{selection.end_seconds:g} s"
    return InputError(
        f"{path}: no frame is selected between {selection.start_seconds:g} s and {end} (--every {selection.every}).",
        "Give an earlier --start, a later --end or a smaller --every.",
    )


def _is_text(head: bytes) -> bool:
    try:
        # Incremental: the last letter may be cut in two.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\n\r\f\ufeff" for letter in text)
