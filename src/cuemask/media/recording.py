"""Masks of a live source as video: real times, a new file for a new size, never in the way of what comes next."""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from jaxtyping import Bool

from cuemask.errors import OutputError
from cuemask.media.files import aside_of, make_folder, put_in_place
from cuemask.media.overlay import write_errors
from cuemask.media.threads import CONVERTING

log = logging.getLogger(__name__)

# Hardly any bits at this quality, as a mask is flat, and its outline returns to the pixel.
_ENCODER = {"preset": "veryfast", "crf": "12", "tune": "zerolatency"}
# Fragments while it is written: what a killed run leaves can be played. An ordinary file at the end.
_MUXING = {"movflags": "+hybrid_fragmented+frag_keyframe", "flush_packets": "1"}
_TIME_BASE = Fraction(1, 90_000)
_KEY_EVERY = 50
_NOMINAL_RATE = 25
_WAITING = 32


@dataclass
class RecordedFile:
    """One file of a recording.

    Attributes
    ----------
    start_seconds
        When its first frame was taken, after the first frame of all.
    """

    path: Path
    start_seconds: float
    width_px: int
    height_px: int
    frames: int = 0


class MaskRecorder:
    """Write masks to H.264 in MP4, 0 and 255, in a thread of its own.

    `add` never waits: masks that come faster than they can be written are left out and counted. A frame of
    another size begins another file, `name-2.mp4` after `name.mp4`. Every file is written aside, playable even
    if the program is killed, and gets its name when it is done. After an error, such as a full disk, nothing
    more is written; what stands is finished, if that is possible.

    Parameters
    ----------
    path
        The first file, ending in .mp4; it must not exist.

    Attributes
    ----------
    files
        What has been begun, in order.
    skipped
        Masks that were left out.
    error
        What ended the recording early, or None.

    Raises
    ------
    OutputError
        If `path` exists, does not end in .mp4 or its folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() != ".mp4":
            raise OutputError(f"{path}: does not end in .mp4.", f"Run: --mask-video {path.with_suffix('.mp4')}")
        for taken in (path, aside_of(path)):  # what a killed run left aside is a recording too
            if taken.exists():
                raise OutputError(f"{taken}: exists already.", f"Give --mask-video another name, or: rm {taken}")
        make_folder(path.absolute().parent)
        self.path = path
        self.files: list[RecordedFile] = []
        self.skipped = 0
        self.error: OutputError | None = None
        self._writer: _MaskWriter | None = None
        self._waiting: queue.Queue[tuple[np.ndarray, float] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._write, name="mask video", daemon=True)
        self._thread.start()

    def add(self, mask: Bool[np.ndarray, "H W"], time_seconds: float) -> None:
        """Hand over the mask of a frame taken `time_seconds` after the first one; times must rise."""
        try:
            self._waiting.put_nowait((mask, time_seconds))
        except queue.Full:
            self.skipped += 1

    def close(self) -> None:
        """Write what waits and finish the last file."""
        while self._thread.is_alive():
            with suppress(queue.Full):
                self._waiting.put(None, timeout=1)
                self._thread.join()

    def _write(self) -> None:
        while (item := self._waiting.get()) is not None:
            if self.error is not None:
                self.skipped += 1
                continue
            try:
                self._append(*item)
            except OutputError as error:
                self._fail(error)
        if self._writer is not None:
            try:
                self._writer.finish()
            except OutputError as error:
                self._fail(error)

    def _append(self, mask: np.ndarray, time_seconds: float) -> None:
        height, width = mask.shape
        if self._writer is None or (height, width) != (self.files[-1].height_px, self.files[-1].width_px):
            if self._writer is not None:
                writer, self._writer = self._writer, None
                writer.finish()
            path = self._next_path()
            self._writer = _MaskWriter(path)
            self.files.append(RecordedFile(path, time_seconds, width, height))
        self._writer.write(mask, time_seconds - self.files[-1].start_seconds)
        self.files[-1].frames += 1

    def _next_path(self) -> Path:
        number, path = len(self.files) + 1, self.path
        while (number > 1 and path == self.path) or path.exists() or aside_of(path).exists():
            path = self.path.with_name(f"{self.path.stem}-{number}{self.path.suffix}")
            number += 1
        return path

    def _fail(self, error: OutputError) -> None:
        log.warning("%s The mask video ends here; masks go on.", error.what)
        self.error = self.error or error
        if self._writer is not None:
            with suppress(OutputError):
                self._writer.finish()
            self._writer = None


class _MaskWriter:
    """One file of masks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._aside = aside_of(path)
        self._stream: VideoStream | None = None
        with write_errors(path):
            self._container = av.open(str(self._aside.absolute()), "w", format="mp4", options=_MUXING)

    def write(self, mask: Bool[np.ndarray, "H W"], time_seconds: float) -> None:
        levels = cv2.copyMakeBorder(
            mask.astype(np.uint8) * np.uint8(255), 0, mask.shape[0] % 2, 0, mask.shape[1] % 2, cv2.BORDER_REPLICATE
        )
        frame = VideoFrame.from_ndarray(levels.astype(np.uint8, copy=False), format="gray").reformat(
            format="yuv420p", src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.MPEG, threads=CONVERTING
        )
        if self._stream is None:
            self._stream = self._begin(frame.width, frame.height)
        frame.pts, frame.time_base = round(time_seconds / _TIME_BASE), _TIME_BASE
        with write_errors(self.path):
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write the end and give the file its name."""
        try:
            with write_errors(self.path):
                if self._stream is not None:
                    self._container.mux(self._stream.encode(None))
                self._container.close()
                put_in_place(self._aside, self.path)
        finally:
            with suppress(OSError, av.error.FFmpegError):
                self._container.close()

    def _begin(self, width: int, height: int) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=_NOMINAL_RATE, options=_ENCODER)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        stream.codec_context.gop_size = _KEY_EVERY
        stream.codec_context.color_range = ColorRange.MPEG
        return stream
