"""An open video, decoded through PyAV (FFmpeg): every frame with its place in the stream."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Literal, cast

import av
import av.error
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cuemask.errors import VideoError
from cuemask.media.checksums import FFV1Packets
from cuemask.media.dicom import header_of
from cuemask.media.files import refuse_unreadable
from cuemask.media.names import shown
from cuemask.media.places import NumberedFrame, Place, Places, in_place
from cuemask.media.tracks import films_in, open_video
from cuemask.media.upright import is_turned

log = logging.getLogger(__name__)

DEFAULT_RATE = Fraction(25)
FASTEST_RATE = Fraction(1000)
# How much longer than its video a file's sound may be before the video counts as cut off.
SOUND_OVERHANG_SECONDS = 2
# Formats in which time may begin anew: there a time stamp alone does not name a frame.
_TIME_MAY_BREAK = 0x0200  # AVFMT_TS_DISCONT
_NO_TIME_STAMPS = 0x0080  # AVFMT_NOTIMESTAMPS
# Between two packets of a Matroska file lie headers of a few bytes; more could not be read.
_HEADERS_BYTES = 512
_DICOM_CODECS = {  # by the beginning of the transfer syntax
    "1.2.840.10008.1.2.4.100": "mpeg2video",
    "1.2.840.10008.1.2.4.101": "mpeg2video",
    **{f"1.2.840.10008.1.2.4.{number}": "h264" for number in range(102, 107)},
    **{f"1.2.840.10008.1.2.4.{number}": "hevc" for number in (107, 108)},
}
_SAME_RATE = Fraction(1, 100)  # headers count in whole milliseconds

# FFmpeg decodes several frames at once, or parts of one frame; the latter is slower and survives damage at the end.
Threads = Literal["AUTO", "SLICE"]


class _EndLostError(Exception):
    """Frames that were still being decoded at the end of the file were lost with a damaged one."""


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
    damaged
        Numbers of the frames passed on so far that may be wrong: the decoder made up parts of them, or they were
        predicted from one that is lost.

    Raises
    ------
    VideoError
        If FFmpeg cannot open the file or finds no video stream or no decoder in it.
    """

    def __init__(self, path: Path, threads: Threads = "AUTO") -> None:
        self.path = path
        self._container, self._stream = open_video(path)
        # Without time stamps a frame's number hangs on knowing at once which packet failed.
        is_elsewhere = self._stream.codec_context.is_hwaccel  # on a GPU, which has no use for threads of ours
        self._threads: Threads = threads if self._is_stamped and not is_elsewhere else "SLICE"
        self._stream.thread_type = self._threads
        is_ffv1 = self._stream.codec_context.name == "ffv1"
        self._ffv1 = FFV1Packets(path, self._stream.index) if is_ffv1 else None
        self.damaged: set[int] = set()
        self._stream.codec_context.copy_opaque = True  # each frame knows the packet that it came in
        self._discarded = 0
        self._read_to: int | None = None  # byte at which the last packet ended
        self._is_torn = False
        self._header = header_of(path)
        self.frame_rate = self._own_rate() or (self._header and self._header.rate) or _frame_rate(self._stream)
        self.frame_count = self._promised_frames()

    def __enter__(self) -> OpenVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # FFmpeg's threads may still be at frames. Whoever frees the decoder waits for them and holds Python's lock,
        # which they need to let go of `opaque`: both would wait for ever. Here the lock is free meanwhile.
        if self._stream.codec_context.is_open:
            self._stream.codec_context.flush_buffers()
        self._container.close()

    @property
    def codec(self) -> str:
        """Codec and pixel format, for messages."""
        context = self._stream.codec_context
        return f"codec {context.name}, {context.pix_fmt}" if context.pix_fmt else f"codec {context.name}"

    def contradictions(self) -> list[str]:
        """What the header of a DICOM file says otherwise than the stream in it, in words; the stream counts."""
        if self._header is None:
            return []
        context, header, found = self._stream.codec_context, self._header, list[str]()
        if (header.width_px, header.height_px) != (context.width, context.height):
            found.append(f"{header.width_px}x{header.height_px} pixels and not {context.width}x{context.height}")
        own = self._own_rate()
        if own and header.rate and abs(own / header.rate - 1) > _SAME_RATE:
            found.append(f"{float(header.rate):g} frames a second and not {float(own):g}")
        said = next((codec for begin, codec in _DICOM_CODECS.items() if header.syntax.startswith(begin)), None)
        if said is not None and said != context.name:
            found.append(f"{header.syntax_name} and not {context.name}")
        return found

    def _own_rate(self) -> Fraction | None:
        """The rate that container or stream tell; None where FFmpeg supposes one."""
        context = self._stream.codec_context
        if self._container.format.flags & _NO_TIME_STAMPS:
            return Fraction(context.framerate) if context.framerate else None
        return _frame_rate(self._stream)

    def from_first(self) -> Iterator[NumberedFrame]:
        """All frames in their order: (number, seconds after the first frame, frame or None where it is lost).

        A frame's number is its place in the stream, whatever else can be decoded.
        """
        return self._to_the_end(self._from_first())

    def from_time(self, start: Fraction) -> Iterator[NumberedFrame] | None:
        """Decode from `start` seconds on, numbered as from the first frame; None where that cannot be had.

        The packets before `start` are read and counted but not decoded, which numbers the frames exactly
        as long as every packet carries a time stamp of its own. Raw streams and some recorders' files do
        not, and some streams cannot be entered at a given time: those have to be decoded from the start.
        """
        with suppress(_EndLostError):
            frames = self._from_time(start)
            return frames and self._to_the_end(frames)
        return None

    def _from_first(self) -> Iterator[NumberedFrame]:
        places = self._places()
        frames = self._decoded(places)
        first = next(frames, None)
        if first is None:
            raise _undecodable(self.path, self.codec)
        yield from self._watched(in_place(chain([first], frames), places), places)

    def _from_time(self, start: Fraction) -> Iterator[NumberedFrame] | None:
        before = self._places_until(start)
        if not before.is_certain or before.is_broken:
            return None
        time_base = cast(Fraction, self._stream.time_base)
        entry = before.first_from(math.ceil(before.first_stamp + start / time_base))
        if entry is None:
            return iter(())
        place, number = entry
        with suppress(av.error.FFmpegError):  # where it cannot seek, another frame than promised comes next
            self._container.seek(place.stamp, stream=self._stream, backward=True)
        places = self._places()
        frames = self._decoded(places)
        landed = next((frame for frame in frames if frame.pts is None or frame.pts >= place.stamp), None)
        # Unless the very frame that the packets promise comes first, the seek went too far or the stamps lie.
        if landed is None or not self._is_at(landed, place):
            return None
        if landed.interlaced_frame and self._may_break:  # these may send the fields of a frame one by one
            return None
        places.begin_at(cast(Place, landed.opaque), number, before.first_stamp)
        return self._watched(in_place(chain([landed], frames), places, number), places)

    def pixel_aspect(self) -> Fraction:
        """Width of a pixel over its height, of the upright picture; decodes one frame."""
        aspect = Fraction(self._stream.sample_aspect_ratio or 1)
        with suppress(_EndLostError):
            frame = next(self._decoded(self._places()), None)
            return 1 / aspect if frame is not None and is_turned(frame) else aspect
        return aspect

    def key_frames(self, seconds: Iterable[float]) -> dict[int, VideoFrame]:
        """Decode the key frame at or before each of `seconds` after the start, by its time stamp."""
        found: dict[int, VideoFrame] = {}
        time_base, first = self._stream.time_base, self._stream.start_time or 0
        if time_base is None:
            return found
        for second in seconds:
            try:
                self._container.seek(first + int(second / time_base), stream=self._stream, backward=True)
                frame = next(self._decoded(self._places()), None)
            except (av.error.FFmpegError, _EndLostError):
                continue
            if frame is not None and frame.pts is not None:
                found[frame.pts] = frame
        return found

    def _to_the_end(self, frames: Iterator[NumberedFrame]) -> Iterator[NumberedFrame]:
        """Pass frames on; what a damaged end costs where frames are decoded side by side is decoded once more."""
        last = -1
        try:
            for item in frames:
                last = item[0]
                yield item
        except _EndLostError:
            with OpenVideo(self.path, "SLICE") as again:
                again.damaged = self.damaged
                yield from (item for item in again._from_first() if item[0] > last)

    def _places(self) -> Places:
        time_base, interval = self._stream.time_base or Fraction(1), 1 / self.frame_rate
        return Places(time_base, interval, stamped=self._is_stamped, steady=self._may_break)

    @property
    def _is_stamped(self) -> bool:
        """Whether packets may tell when they are shown; AVI knows only in which order they are decoded."""
        if self._stream.time_base is None or self._container.format.flags & _NO_TIME_STAMPS:
            return False
        return not (self._container.format.name == "avi" and self._stream.codec_context.has_b_frames)

    @property
    def _may_break(self) -> bool:
        return bool(self._container.format.flags & _TIME_MAY_BREAK)

    def _is_at(self, frame: VideoFrame, place: Place) -> bool:
        landed = frame.opaque
        if not isinstance(landed, Place) or landed.stamp != place.stamp:
            return False
        if place.position is None or landed.position is None:
            return not self._may_break
        return landed.position == place.position

    def _places_until(self, start: Fraction) -> Places:
        """The places of the packets up to `start` seconds; some more where the codec shows frames late."""
        places = self._places()
        for packet in self._packets():
            if not self._holds_frame(packet):
                continue
            places.add(packet, torn=self._is_torn)
            self._is_torn = False
            if not places.is_certain or places.is_broken:
                break
            time_base = cast(Fraction, self._stream.time_base)
            if packet.dts is not None and packet.dts > places.first_stamp + start / time_base:
                break
        return places

    def _holds_frame(self, packet: Packet) -> bool:
        """Whether a packet is of a frame that is shown."""
        if packet.size == 0 or packet.is_discard:
            return False
        # VP8 may send pictures that others refer to and nobody sees; a bit of the first byte tells.
        return self._stream.codec_context.name != "vp8" or bool(memoryview(packet)[0] & 0x10)

    def _packets(self) -> Iterator[Packet]:
        """Yield packets to the end of the file, or to where it breaks off."""
        packets = self._container.demux()
        self._read_to, self._is_torn = None, False
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError):
                return
            self._look_for_tears(packet)
            if packet.stream is not self._stream:  # an empty packet at the end, too, names its stream
                continue
            # An edit list can leave out the beginning; FFmpeg decodes such packets but shows nothing.
            self._discarded += packet.is_discard
            yield packet

    def _look_for_tears(self, packet: Packet) -> None:
        if "matroska" in self._container.format.name and packet.pos is not None:
            if self._read_to is not None and packet.pos - self._read_to > _HEADERS_BYTES:
                self._is_torn = True
            self._read_to = packet.pos + packet.size

    def _decoded(self, places: Places) -> Iterator[VideoFrame]:
        for packet in self._packets():
            if self._holds_frame(packet):
                places.add(packet, torn=self._is_torn)
                self._is_torn = False
            if self._ffv1 is not None and packet.size and not self._ffv1.can_be_decoded(packet):
                places.fail(packet)
                continue
            try:
                frames = cast("list[VideoFrame]", packet.decode())
            except av.error.FFmpegError as error:
                log.debug("%s: a damaged packet was skipped (%s)", shown(self.path), error)
                places.fail(packet)
                if packet.size == 0 and self._threads != "SLICE":
                    raise _EndLostError from error
                continue
            yield from frames

    def _watched(self, frames: Iterator[NumberedFrame], places: Places) -> Iterator[NumberedFrame]:
        """Pass frames on, those that may be wrong noted; at the end warn if there should have been more."""
        lost, is_behind_loss = 0, False
        for number, time, frame in frames:
            lost += frame is None
            is_behind_loss = frame is None or (is_behind_loss and not frame.key_frame)
            if frame is not None and (is_behind_loss or frame.is_corrupt):
                self.damaged.add(number)
            yield number, time, frame
        self._tell_end(places, lost)

    def _tell_end(self, places: Places, lost: int) -> None:
        """Warn at the end of a file if there should have been more in it."""
        if self._header is not None:
            if places.count != self._header.frame_count:
                log.warning(
                    "%s: its DICOM header says %d frames, its stream holds %d; the stream counts.",
                    shown(self.path),
                    self._header.frame_count,
                    places.count,
                )
        elif self.frame_count is not None and self._is_short(places):
            refuse_unreadable(self.path)
            log.warning(
                "%s: %d frames decoded of %d that its header promises; the file is cut off or damaged. "
                "Copy it again from its source if frames are missing.",
                shown(self.path),
                places.count - lost,
                self.frame_count,
            )
        if (films := films_in(self.path)) > 1:
            log.warning(
                "%s: %d films one behind the other in one file, of which only the first can be read. "
                "Join them with: ffmpeg -f concat -i LIST -c copy joined.mp4, or give each as a file of its own.",
                shown(self.path),
                films,
            )

    def _is_short(self, places: Places) -> bool:
        if self._stream.frames:
            return places.count < self._stream.frames - self._discarded
        told = _told_seconds(self._stream)
        if told is not None:
            return places.end_seconds < told - 2 / self.frame_rate
        if places.is_broken:  # the container only knows its first and its last time
            return False
        assert self.frame_count is not None
        return places.end_seconds < self.frame_count / self.frame_rate - SOUND_OVERHANG_SECONDS

    def _promised_frames(self) -> int | None:
        if self._stream.frames:
            return self._stream.frames
        told = _told_seconds(self._stream)
        if told is None and self._container.duration:
            told = Fraction(self._container.duration, av.time_base)
        return round(told * self.frame_rate) if told else self._header and self._header.frame_count


def _frame_rate(stream: VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= FASTEST_RATE:
            return Fraction(rate)
    return DEFAULT_RATE


def _told_seconds(stream: VideoStream) -> Fraction | None:
    """How long the video lasts by its own tag, as Matroska has it."""
    told = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return int(told[1]) * 3600 + int(told[2]) * 60 + Fraction(told[3]) if told else None


def _undecodable(path: Path, codec: str) -> VideoError:
    return VideoError(
        f"{shown(path)}: no frame could be decoded ({codec}).",
        f"Run: ffmpeg -i {shown(path)} -c:v libx264 -pix_fmt yuv420p {Path(shown(path)).stem}-h264.mp4",
    )
