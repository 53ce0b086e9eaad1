"""Single frames of a video by their numbers, the same numbers as `decoding.OpenVideo` gives them."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple, cast

import av.error
import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Int64, UInt8

from cuemask.errors import VideoError
from cuemask.media.decoding import OpenVideo
from cuemask.media.frames import frame_name
from cuemask.media.names import shown
from cuemask.media.places import NumberedFrame, Place, in_place
from cuemask.media.upright import upright_rgb

_GONE = np.iinfo(np.int64).min


class FrameIndex(NamedTuple):
    """When each frame of a video is shown, and where it can be entered.

    Attributes
    ----------
    stamps
        Of each frame by its number, in the stream's time base; the least number where a frame is lost.
    positions
        Bytes in the file; -1 where the container does not say.
    keys
        Time stamps of the key frames, rising.
    first_stamp
        The earliest time stamp.
    """

    stamps: Int64[np.ndarray, " n"]
    positions: Int64[np.ndarray, " n"]
    keys: list[int]
    first_stamp: int


class SeekableVideo(OpenVideo):
    """An open video that can be entered at any frame, once its packets have been read and counted.

    Attributes
    ----------
    is_over
        Set by whoever wants no frame of it any more: what is being decoded is given up.
    """

    is_over = False

    def read_index(self) -> FrameIndex | None:
        """Read all packets, and decode none; None where they do not number the frames."""
        places, keys, positions = self._places(), set[int](), dict[int, int]()
        for packet in self._packets():
            if not self._holds_frame(packet):
                continue
            places.add(packet, torn=self._is_torn)
            self._is_torn = False
            if not places.is_certain or places.is_broken or packet.pts in positions:
                return None
            stamp = cast(int, packet.pts)
            positions[stamp] = -1 if packet.pos is None else packet.pos
            if packet.is_keyframe:
                keys.add(stamp)
        stamps = places.stamps()
        if not stamps:
            return None
        return FrameIndex(
            np.array([_GONE if stamp is None else stamp for stamp in stamps], np.int64),
            np.array([-1 if stamp is None else positions[stamp] for stamp in stamps], np.int64),
            sorted(keys),
            places.first_stamp,
        )

    def from_number(self, index: FrameIndex, number: int) -> Iterator[NumberedFrame] | None:
        """Decode from frame `number` on; None where the stream cannot be entered there."""
        stamp, position = int(index.stamps[number]), int(index.positions[number])
        try:
            self._container.seek(stamp, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            return None
        places = self._places()
        frames = self._decoded(places)
        landed = next((frame for frame in frames if self.is_over or frame.pts is None or frame.pts >= stamp), None)
        place = Place(0, stamp, 0, None if position < 0 else position)
        # Unless the very frame that was promised comes first, the seek went too far or the stamps lie.
        if landed is None or not self._is_at(landed, place) or (landed.interlaced_frame and self._may_break):
            return None
        places.begin_at(cast(Place, landed.opaque), number, index.first_stamp)
        return self._to_the_end(in_place(_with(landed, frames), places, number))


class _SharedIndex:
    """The index of a file, read once for all who look into it."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._read: list[FrameIndex | None] = []

    def get(self) -> FrameIndex | None:
        with self._lock:
            if not self._read:
                video = SeekableVideo(self._path)
                with video:
                    self._read.append(video.read_index())
            return self._read[0]


class VideoFrames:
    """The frames of a video by number, for whoever looks at some; one is decoded at a time, none is kept.

    Going on from the last frame is as fast as playing. A jump costs the decoding from the key frame before; videos
    whose packets do not number their frames are decoded from their beginning.

    Parameters
    ----------
    path
        The video.
    beside
        Another that looks into the same video, whose index is then used.

    Raises
    ------
    VideoError
        If it cannot be opened.
    """

    def __init__(self, path: Path, beside: VideoFrames | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._video = SeekableVideo(path)
        self._shared = _SharedIndex(path) if beside is None else beside._shared
        self._frames: Iterator[NumberedFrame] | None = None
        self._next = 0
        self._is_over = False

    def rgb(self, number: int) -> UInt8[np.ndarray, "H W 3"]:
        """Frame `number`, upright.

        Raises
        ------
        VideoError
            If there is no such frame, or it cannot be decoded.
        """
        with self._lock:
            frame = self._found(self._shared.get(), number)
            if frame is None:
                self._frames = None
                raise VideoError(
                    f"{shown(self._path)}: frame {frame_name(number)} cannot be decoded.",
                    "See that it is the video that was segmented, and copy it again from its source.",
                )
            return upright_rgb(frame)

    def close(self) -> None:
        """Let the file go; what is being decoded is given up."""
        self._is_over = self._video.is_over = True
        with self._lock:
            self._frames = None
            self._video.__exit__(None, None, None)

    def _found(self, index: FrameIndex | None, number: int) -> VideoFrame | None:
        if number < 0 or (index is not None and number >= len(index.stamps)):
            return None
        if self._frames is None or number < self._next or self._is_shorter(index, number):
            self._enter(index, number)
        assert self._frames is not None
        for found, _, frame in self._frames:
            self._next = found + 1
            if found >= number or self._is_over:
                return frame if found == number else None
        return None

    def _is_shorter(self, index: FrameIndex | None, number: int) -> bool:
        """Whether a key frame lies between the next frame and frame `number`, so that a jump decodes less."""
        if index is None or index.stamps[number] == _GONE or index.stamps[self._next] == _GONE:
            return False
        here, there = int(index.stamps[self._next]), int(index.stamps[number])
        return bisect_right(index.keys, there) > bisect_right(index.keys, here)

    def _enter(self, index: FrameIndex | None, number: int) -> None:
        if index is not None and index.stamps[number] != _GONE:
            self._frames, self._next = self._video.from_number(index, number), number
            if self._frames is not None:
                return
        self._video.__exit__(None, None, None)
        self._video = SeekableVideo(self._path)
        self._frames, self._next = self._video.from_first(), 0


def _with(first: VideoFrame, others: Iterator[VideoFrame]) -> Generator[VideoFrame, None, None]:
    yield first
    yield from others
