"""Live sources: cameras, network streams, pipes, and files played at their own speed; opened again when they break."""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast
from urllib.parse import urlsplit, urlunsplit

import av
import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame

from cuemask.errors import InputError, VideoError
from cuemask.media.decoding import OpenVideo
from cuemask.media.hardware import accelerator
from cuemask.media.tracks import best_track

log = logging.getLogger(__name__)

Kind = Literal["camera", "network", "file", "pipe"]
State = Literal["opening", "live", "stalled", "reconnecting", "ended"]

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "rtp", "srt")
OPENING_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
# What a network address may lead FFmpeg to: never to a file of this machine, which a playlist could name.
_PROTOCOLS = "http,https,httpproxy,crypto,tls,tcp,udp,rtp,srtp,rtmp,rtmpe,rtmps,rtmpt,rtmpts,ffrtmphttp,srt"
_OPTIONS = {
    "analyzeduration": "2000000",  # microseconds; longer only delays the first picture
    "fpsprobesize": "0",  # nor are frames collected only to tell their rate
    "rtsp_flags": "prefer_tcp",
    "overrun_nonfatal": "1",
    "protocol_whitelist": _PROTOCOLS,
}
_NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS: the stamps of such formats are invented
# Formats that come in pieces of some seconds, faster than they are to be shown.
_DELIVERED_AHEAD = ("hls", "dash", "mov,mp4,m4a,3gp,3g2,mj2")
_AHEAD_SECONDS = 60.0
_PIPE_BYTES = 65536


@dataclass(frozen=True)
class Source:
    """Where live frames come from.

    Attributes
    ----------
    address
        The camera's number or device, the network address, or the file; "-" is standard input.
    name
        The address for people to read: without a password.
    """

    kind: Kind
    address: str
    name: str


class Arrival(NamedTuple):
    """A frame as it was decoded.

    Attributes
    ----------
    time_seconds
        After the first frame of all, by the source's own stamps as far as they can be believed.
    decoded_seconds
        When it was decoded, by `time.monotonic`.
    """

    frame: VideoFrame
    time_seconds: float
    decoded_seconds: float


def source_of(text: str) -> Source:
    """What the user means: a camera's number, an address, a file, a named pipe, or "-" for standard input.

    Raises
    ------
    InputError
        If there is no such file, or nothing known speaks the address's protocol.
    """
    if text == "-":
        return Source("pipe", text, "standard input")
    if text.isdecimal():
        return Source("camera", text, f"camera {text}")
    if "://" in text:
        if urlsplit(text).scheme.lower() not in SCHEMES:
            raise InputError(
                f"{_without_password(text)}: not an address that can be watched.",
                f"Give one that begins with {', '.join(f'{scheme}://' for scheme in SCHEMES)}.",
            )
        return Source("network", text, _without_password(text))
    path, is_file = Path(text), False
    with suppress(OSError):  # longer than names of files may be
        if path.is_fifo():
            return Source("pipe", text, text)
        if path.is_char_device():
            return Source("camera", text, text)
        is_file = path.is_file()
    if not is_file:
        raise InputError(
            f"{text}: no such file.", "Give a camera's number (0), an address (rtsp://...), a file, or - for a pipe."
        )
    return Source("file", text, text)


class StreamClock:
    """Seconds after the first frame, from stamps that may be missing, jump or begin anew.

    Time always goes on. It follows the stamps while they stay within a tolerance of the frames' arrival, and
    the arrival where they do not.
    """

    def __init__(self) -> None:
        self._first_arrival: float | None = None
        self._anchor: tuple[float, float] | None = None
        self._tolerance_seconds = 0.0
        self._last = -1e-3

    def restart(self, tolerance_seconds: float) -> None:
        """Stamps begin anew: another connection, or a file from its beginning."""
        self._anchor, self._tolerance_seconds = None, tolerance_seconds

    def seconds(self, stamp: float | None, arrival: float) -> float:
        """When a frame with this stamp, in seconds, that arrived now was taken."""
        if self._first_arrival is None:
            self._first_arrival = arrival
        now = arrival - self._first_arrival
        time_seconds = now
        if stamp is not None:
            if self._anchor is not None:
                time_seconds = self._anchor[0] + stamp - self._anchor[1]
            believed = self._last < time_seconds and abs(time_seconds - now) <= self._tolerance_seconds
            if self._anchor is None or not believed:
                time_seconds = max(now, self._last + 1e-3)
                self._anchor = (time_seconds, stamp)
        self._last = max(time_seconds, self._last + 1e-3)
        return self._last

    def early_seconds(self, time_seconds: float, now: float) -> float:
        """How long a frame of `time_seconds` has still to wait when it is played at its own speed."""
        assert self._first_arrival is not None
        return self._first_arrival + time_seconds - now


class LiveSource:
    """A source whose frames one thread reads; other threads see how it fares and may stop it.

    Network addresses and cameras are opened again whenever they end, break or bring no frame for
    `stall_seconds`, with pauses of half a second to ten. A file (unless it loops) and a pipe have one end.

    Parameters
    ----------
    stall_seconds
        After how long without a frame the source counts as stalled.
    give_up_seconds
        After how long without a frame it is not opened again; None never gives up.
    loop
        Play a file again from its beginning.

    Attributes
    ----------
    reconnects
        How often the source was opened again and brought a frame.
    trouble
        What broke last, in words; None while all is well.
    gave_up
        Whether it ended because of `give_up_seconds`.
    """

    def __init__(
        self,
        source: Source,
        *,
        stall_seconds: float = 5.0,
        give_up_seconds: float | None = None,
        loop: bool = False,
    ) -> None:
        self.source = source
        self.reconnects = 0
        self.trouble: str | None = None
        self.gave_up = False
        self._stall_seconds, self._give_up_seconds, self._loop = stall_seconds, give_up_seconds, loop
        self._stop = threading.Event()
        self._clock = StreamClock()
        self._state: State = "opening"
        self._last_frame: float | None = None

    @property
    def state(self) -> State:
        """How it fares now: opening, live, stalled, reconnecting or ended."""
        last = self._last_frame
        silent_seconds = 0.0 if last is None or self.source.kind == "file" else time.monotonic() - last
        return "stalled" if self._state == "live" and silent_seconds > self._stall_seconds else self._state

    def stop(self) -> None:
        """End `arrivals`: at once while it waits, else with the next packet or the source's timeout."""
        self._stop.set()

    def arrivals(self) -> Generator[Arrival, None, None]:
        """Yield frames as they are decoded, to the source's end or to `stop`.

        Raises
        ------
        VideoError, InputError
            If not one frame comes when the source is opened for the first time.
        """
        pause, connections, started = FIRST_PAUSE_SECONDS, 0, time.monotonic()
        while not self._stop.is_set():
            frames = 0
            try:
                with self._opened() as container:
                    for frames, arrival in enumerate(self._through(container), start=1):
                        if frames == 1:
                            connections += 1
                            self.reconnects = 0 if self.source.kind == "file" else connections - 1
                        self._state, self.trouble, self._last_frame = "live", None, arrival.decoded_seconds
                        yield arrival
                self.trouble = "it ended" if frames else "no frame could be decoded"
            except (av.error.FFmpegError, OSError) as error:
                self.trouble = _why(error, self._stall_seconds if connections else OPENING_SECONDS)
            if self._stop.is_set() or (connections and self._has_one_end):
                break
            if not connections:
                raise _unopenable(self.source, self.trouble)
            self._state = "reconnecting"
            log.debug("%s: %s; opening again", self.source.name, self.trouble)
            if self.source.kind != "file":
                pause = FIRST_PAUSE_SECONDS if frames else min(2 * pause, LONGEST_PAUSE_SECONDS)
                self._stop.wait(pause)
            if self._give_up_seconds is not None and time.monotonic() - (self._last_frame or started) > (
                self._give_up_seconds
            ):
                self.gave_up = True
                break
        self._state = "ended"

    @property
    def _has_one_end(self) -> bool:
        return self.source.kind == "pipe" or (self.source.kind == "file" and not self._loop)

    @contextmanager
    def _opened(self) -> Generator[InputContainer, None, None]:
        gpu = accelerator()
        with _pipe_of(self.source, self._stop) as pipe:
            if pipe is not None:
                container = cast(InputContainer, av.open(pipe, buffer_size=_PIPE_BYTES, options=_OPTIONS, hwaccel=gpu))
            elif self.source.kind == "camera":
                container = _camera(self.source.address)
            elif self.source.kind == "file":
                OpenVideo(Path(self.source.address)).__exit__(None, None, None)  # says well what is wrong with a file
                container = av.open(str(Path(self.source.address).absolute()), hwaccel=gpu)
            else:
                timeouts = (OPENING_SECONDS, self._stall_seconds)
                container = av.open(self.source.address, timeout=timeouts, options=_OPTIONS, hwaccel=gpu)
            try:
                yield container
            finally:
                container.close()

    def _through(self, container: InputContainer) -> Iterator[Arrival]:
        """Decode an open source; played at its own speed where it is delivered ahead of time."""
        ahead = self.source.kind == "file" or container.format.name in _DELIVERED_AHEAD
        believable = not container.format.flags & _NO_TIMESTAMPS or self.source.kind == "file"
        tolerance = float("inf") if self.source.kind == "file" else _AHEAD_SECONDS if ahead else self._stall_seconds
        self._clock.restart(tolerance)
        for frame in self._decoded(container):
            stamp = frame.time if believable else None
            time_seconds = self._clock.seconds(stamp, time.monotonic())
            if ahead and self._stop.wait(max(0.0, self._clock.early_seconds(time_seconds, time.monotonic()))):
                return
            yield Arrival(frame, time_seconds, time.monotonic())

    def _decoded(self, container: InputContainer) -> Iterator[VideoFrame]:
        stream = best_track(container)
        if stream is None:
            raise av.error.InvalidDataError(1, "no video in it")
        stream.thread_type = "SLICE"  # threads that work on several frames would hold them back
        watched = time.monotonic()
        # All packets, not only the video's: a source that goes on with sound alone has stalled too.
        for packet in container.demux():
            if self._stop.is_set():
                return
            if packet.stream is stream:
                with suppress(av.error.FFmpegError):  # a damaged packet is skipped
                    for frame in cast("list[VideoFrame]", packet.decode()):
                        yield frame
                        watched = time.monotonic()
            if self.source.kind == "network" and time.monotonic() - watched > self._stall_seconds:
                raise av.error.ExitError(1, "no frame")


class _Pipe:
    """Standard input or a named pipe, to be read by FFmpeg until its end or `stop`."""

    def __init__(self, file: int, stop: threading.Event) -> None:
        self._file, self._stop = file, stop

    def read(self, size: int) -> bytes:
        """What is there, `size` bytes at most; nothing at the end."""
        while not self._stop.is_set():
            # Windows knows no `select` for pipes: there a silent pipe ends only with its writer.
            if sys.platform == "win32" or select.select([self._file], [], [], 0.1)[0]:
                return os.read(self._file, size)
        return b""


@contextmanager
def _pipe_of(source: Source, stop: threading.Event) -> Generator[_Pipe | None, None, None]:
    if source.kind != "pipe":
        yield None
    elif source.address == "-":
        yield _Pipe(sys.stdin.fileno(), stop)
    else:
        # Not blocking: to open a pipe would otherwise wait for its writer, deaf to `stop`.
        file = os.open(source.address, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            yield _Pipe(file, stop)
        finally:
            os.close(file)


def _camera(address: str) -> InputContainer:
    """Open a camera by its number, as each system names it, or by its device."""
    if sys.platform == "darwin":
        return av.open(f"{address}:none", format="avfoundation", options={"framerate": "30"})
    if sys.platform == "win32":
        return av.open(f"video={_windows_camera(int(address))}", format="dshow")
    device = f"/dev/video{address}" if address.isdecimal() else address
    return av.open(device, format="v4l2")


def _windows_camera(number: int) -> str:
    """DirectShow knows cameras by name only."""
    from av.device import enumerate_input_devices

    names = [device.name for device in enumerate_input_devices("dshow") if "video" in device.media_types]
    if number >= len(names):
        raise OSError(f"there are {len(names)} cameras: {', '.join(names) or 'none'}")
    return names[number]


def _unopenable(source: Source, why: str) -> VideoError:
    """The error of a source that could not be opened even once."""
    return VideoError(f"{source.name}: could not be opened ({why}).", _REMEDIES[source.kind].format(_checked(source)))


_REMEDIES: dict[Kind, str] = {
    "camera": "Plug it in, free it from other programs, and see which there are (Linux: ls -l /dev/video*; your user "
    "has to be in the group video).",
    "network": "See whether it can be reached from this machine: {}",
    "file": "Check it: {}",
    "pipe": "Pipe a stream that can be read from any point on, MPEG-TS or Matroska: ffmpeg -i INPUT -f mpegts - | "
    "cuemask live - --model MODEL.onnx",
}


def _checked(source: Source) -> str:
    return f"ffprobe {source.name}"


def _why(error: Exception, seconds: float) -> str:
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {seconds:g} s"
    said = getattr(error, "strerror", None) or str(error)
    return said[:1].lower() + said[1:]


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    if "@" not in parts.netloc or not parts.scheme:
        return address
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{name}:***@{host}" if ":" in user else parts.netloc))
