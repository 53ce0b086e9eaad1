"""Which of a file's tracks is its video, and what to say of a file that has none."""

from __future__ import annotations

import codecs
import logging
from pathlib import Path
from typing import IO, cast

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from cuemask.errors import VideoError
from cuemask.media.dicom import Instance, header_of
from cuemask.media.dicom_stream import video_stream
from cuemask.media.hardware import accelerator
from cuemask.media.names import shown
from cuemask.media.stores import StoredPath

log = logging.getLogger(__name__)

# Of several tracks FFmpeg takes the largest, and counts the one marked as usual for so many pixels more.
_USUAL_PX = 5_000_000
_PICTURE_CODECS = frozenset({"mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpeg2000", "jpegls", "targa"})
_LOOKED_AT = 2000  # packets


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """Open a file and choose its video: no cover or other still picture, and of several the one that FFmpeg takes.

    Raises
    ------
    VideoError
        If FFmpeg cannot open the file, or finds no video in it that it can decode.
    """
    container = _opened(path, accelerator())
    stream = best_track(container, _stills(path, container))
    if stream is not None:
        return container, stream
    held = ", ".join(sorted({_kind(stream) for stream in container.streams})) or "nothing"
    container.close()
    raise VideoError(
        f"{shown(path)}: no video stream that can be decoded ({held} in it).", f"Check the file: ffprobe {shown(path)}"
    )


def best_track(container: InputContainer, stills: frozenset[int] = frozenset()) -> VideoStream | None:
    """The video track that FFmpeg takes: no cover, the largest; None where there is none.

    Parameters
    ----------
    stills
        Numbers of the tracks that hold one picture only.
    """
    tracks = [track for track in _videos(container) if track.index not in stills]
    return max(tracks, key=_weight, default=None)


def other_tracks(path: Path) -> str | None:
    """A sentence on what else there would have been to take; None where there was no choice."""
    with _opened(path) as container:
        taken = best_track(container, _stills(path, container))
        others = [track for track in _videos(container) if taken is not None and track.index != taken.index]
        if taken is None or not others:
            return None
        left = ", ".join(_described(track) for track in others)
        return f"{shown(path)}: {len(others) + 1} video tracks; taken is {_described(taken)}, left out {left}."


def _videos(container: InputContainer) -> list[VideoStream]:
    return [
        track
        for track in container.streams.video
        if track.codec_context and not track.disposition & Disposition.attached_pic
    ]


def _weight(track: VideoStream) -> int:
    area = (track.codec_context.width or 0) * (track.codec_context.height or 0)
    return area + (_USUAL_PX if track.disposition & Disposition.default else 0)


def _stills(path: Path, container: InputContainer) -> frozenset[int]:
    """Tracks that hold one picture beside a video or sound: covers that are not marked as such."""
    tracks = _videos(container)
    doubtful = len(tracks) > 1 or (bool(container.streams.audio) and _are_pictures(tracks))
    if not doubtful:
        return frozenset()
    counts = dict.fromkeys((track.index for track in tracks), 0)
    with _opened(path) as again:
        chosen = [track for track in again.streams.video if track.index in counts]
        packets = again.demux(chosen)
        for _ in range(_LOOKED_AT):
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError):
                break
            counts[packet.stream.index] += packet.size > 0
            if min(counts.values()) > 1:
                break
    stills = frozenset(index for index, count in counts.items() if count <= 1)
    return stills if len(stills) < len(tracks) or _are_pictures(tracks) else frozenset()


def _are_pictures(tracks: list[VideoStream]) -> bool:
    return bool(tracks) and all(track.codec_context.name in _PICTURE_CODECS for track in tracks)


def _described(track: VideoStream) -> str:
    context = track.codec_context
    return f"track {track.index} ({context.name}, {context.width}x{context.height})"


def _kind(stream: object) -> str:
    is_cover = isinstance(stream, VideoStream) and bool(stream.disposition & Disposition.attached_pic)
    return "a cover picture" if is_cover else str(getattr(stream, "type", "unknown"))


def _opened(path: Path, hwaccel: HWAccel | None = None) -> InputContainer:
    if (instance := header_of(path)) is not None:
        return _of_dicom(instance, hwaccel)
    try:
        if isinstance(path, StoredPath):
            return cast("InputContainer", av.open(path.open("rb"), "r", hwaccel=hwaccel))
        # An absolute path holds no colon that FFmpeg could take for a protocol.
        return av.open(str(path.absolute()), hwaccel=hwaccel)
    except PermissionError as error:
        raise VideoError(f"{shown(path)}: may not be read.", f"Run: chmod u+r {shown(path)}") from error
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise _unopenable(path, error) from error


def _of_dicom(instance: Instance, hwaccel: HWAccel | None) -> InputContainer:
    """The stream that a DICOM file holds; what kind of stream its header says counts for nothing."""
    try:
        return av.open(cast("IO[bytes]", video_stream(instance)), "r", hwaccel=hwaccel)
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{shown(instance.path)}: its pixels are no video that FFmpeg can read ({instance.syntax_name}, "
            f"{error.__class__.__name__}).",
            "Copy it again from its source.",
        ) from error


def _unopenable(path: Path, error: Exception) -> VideoError:
    with path.open("rb") as file:
        head = file.read(1024)
    size = path.stat().st_size
    if not head:
        return VideoError(f"{shown(path)}: the file is empty (0 bytes).", "Copy it again from its source.")
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
        return VideoError(
            f"{shown(path)}: the video's index (moov) is missing, so that no frame can be decoded; the recording or "
            f"the copy was cut off ({size:,} bytes).",
            f"Copy it again from its source, or repair it: untrunc GOOD_VIDEO_OF_THE_SAME_DEVICE.mp4 {shown(path)}",
        )
    if _is_text(head):
        return VideoError(
            f"{shown(path)}: a text file, not a video.", "Give a video, a folder of pictures or a pattern."
        )
    return VideoError(
        f"{shown(path)}: no video that FFmpeg can read ({error.__class__.__name__}; {size:,} bytes).",
        f"Check the file: ffprobe {shown(path)}",
    )


def _is_text(head: bytes) -> bool:
    try:
        # Incremental: the last letter may be cut in two.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\n\r\f\ufeff" for letter in text)


def films_in(path: Path) -> int:
    """How many MP4 files were put one behind the other in one, as `cat` does; 1 of any other file.

    In fragmented ones all fragments are read, however often the head is repeated.
    """
    films, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while file.tell() + 8 <= size:
            begin = file.tell()
            length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
            films += kind == b"ftyp"
            if not films or kind == b"moof":
                return 1
            if length == 1:  # it follows in 64 bits
                length = int.from_bytes(file.read(8), "big")
            if length < 8:  # to the end of the file, or no box
                break
            file.seek(begin + length)
    return max(1, films)
