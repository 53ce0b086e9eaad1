"""The masks of a clip as one video, `masks.mkv`: FFV1 in Matroska, exact to the pixel, each found by its frame's name.

Every frame is coded by itself, with checksums; the file's index has each sixteenth, so that a day of video opens at
once. Which frames they are of stands in the file's tag `CUEMASK_FRAMES`. A mask in a film has a path as if the film
were a folder, `masks.mkv/000012.png`, so that whoever reads masks need not know where they lie.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import zlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Bool, UInt8

from cuemask.errors import PictureError
from cuemask.media.checksums import is_whole_ffv1
from cuemask.media.files import written_aside
from cuemask.media.headers import Claimed, refuse_too_large
from cuemask.media.name_runs import NameRuns
from cuemask.media.overlay import write_errors

FILM = "masks.mkv"
FILMS = ".mkv"
_TAG = "CUEMASK_FRAMES"
# Golomb-Rice codes without a context: runs of one value are the cheapest there, to write, to read and to keep.
_ENCODER = {"level": "3", "coder": "0", "context": "0", "slicecrc": "1"}
_MILLISECOND = Fraction(1, 1000)
_INDEXED = 16  # all of a day's 2,160,000 frames in the index take 240 MB and a second to read; these 12 MB
_MOST_TABLE_BYTES = 1 << 30
_OPEN = 8
_AGAIN = "Copy it again from its source; or have the run make it again: the same command with --resume."


class Masks(NamedTuple):
    """Coded masks of one size: what a film holds.

    Attributes
    ----------
    names
        Of their frames.
    packets
        As many, in the same order.
    """

    height_px: int
    width_px: int
    names: NameRuns
    packets: Iterable[bytes]


class MaskEncoder:
    """Codes masks of one size; may be called in several threads at once."""

    def __init__(self, height_px: int, width_px: int) -> None:
        self.height_px, self.width_px = height_px, width_px
        self._idle: deque[VideoCodecContext] = deque()
        self._nothing = self._coded(np.zeros((height_px, width_px), np.bool_))

    def __call__(self, mask: Bool[np.ndarray, "H W"]) -> bytes:
        """A mask as a packet of FFV1, 255 where true and 0 elsewhere."""
        return self._coded(mask) if mask.any() else self._nothing

    def _coded(self, mask: Bool[np.ndarray, "H W"]) -> bytes:
        try:
            context = self._idle.pop()
        except IndexError:
            context = encoder_of(self.height_px, self.width_px)
        levels = np.ascontiguousarray(mask).view(np.uint8) * np.uint8(255)
        (packet,) = context.encode(VideoFrame.from_ndarray(levels, format="gray"))
        self._idle.append(context)
        return bytes(packet)


def encoder_of(height_px: int, width_px: int) -> VideoCodecContext:
    """An encoder of masks of one size, opened."""
    context = av.CodecContext.create("ffv1", "w")
    _set(context, height_px, width_px)
    context.open()
    return context


def _set(context: VideoCodecContext, height_px: int, width_px: int) -> None:
    context.height, context.width, context.pix_fmt = height_px, width_px, "gray"
    context.time_base, context.gop_size, context.thread_count = _MILLISECOND, 1, 1
    context.options = {**_ENCODER, "slices": "4" if min(height_px, width_px) > 1 else "1"}  # 2 by 2 of them


def write_film(path: Path, masks: Masks, rate: Fraction) -> None:
    """Write coded masks as a film, whole or not at all; memory does not grow with their number.

    Parameters
    ----------
    rate
        Frames of the clip a second: each mask is shown when its frame is.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with written_aside(path) as aside, write_errors(path):
        # Without numbers drawn by chance: a run that was broken off and resumed writes the same bytes.
        container = av.open(str(aside.absolute()), "w", format="matroska", container_options={"fflags": "+bitexact"})
        try:
            container.metadata[_TAG] = _coded(masks.names, rate)
            # It codes nothing, but tells decoders of the packets: it has to be as the encoders that made them.
            stream = container.add_stream("ffv1", rate=rate)
            _set(stream.codec_context, masks.height_px, masks.width_px)
            stream.time_base = _MILLISECOND
            for number, (place, data) in enumerate(zip(masks.names.places(), masks.packets, strict=True)):
                packet = Packet(data)
                packet.stream, packet.time_base = stream, _MILLISECOND
                packet.pts = packet.dts = _stamp(place, rate)
                packet.duration = _stamp(place + 1, rate) - packet.pts
                packet.is_keyframe = number % _INDEXED == 0
                container.mux(packet)
        finally:
            container.close()


class MaskFilm:
    """A film of masks, open; its masks may be read in several threads at once.

    Attributes
    ----------
    names
        Of the frames that it has masks of, in order.
    height_px, width_px
        Of each mask.

    Raises
    ------
    PictureError
        If it cannot be read, is none that cuemask wrote, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._container = av.open(str(path.absolute()))
        except PermissionError as error:
            raise PictureError(f"{path}: may not be read.", f"Run: chmod u+r {path}") from error
        except (av.error.FFmpegError, UnicodeDecodeError) as error:
            raise PictureError(f"{path}: no video that FFmpeg can read ({type(error).__name__}).", _AGAIN) from error
        self.names, self._rate = _decoded_table(path, self._container)
        self._stream: VideoStream = self._container.streams.video[0]
        context = self._stream.codec_context
        self.height_px, self.width_px = context.height, context.width
        refuse_too_large(path, Claimed("FFV1", self.width_px, self.height_px), path.stat().st_size)
        self._extradata = context.extradata
        self._lock = threading.Lock()
        self._idle: deque[VideoCodecContext] = deque()
        self._packets: Iterator[Packet] = iter(())
        self._next = -_INDEXED - 1
        self._refuse_cut_off()

    def read(self, name: str) -> UInt8[np.ndarray, "H W"]:
        """The mask of a frame, 0 and 255.

        Raises
        ------
        PictureError
            If the film has none of that name, or it is damaged.
        """
        number = self.names.number(name)
        if number is None:
            raise PictureError(
                f"{self.path}: has no mask of a frame {name}.",
                "Have the run make it again: the same command with --resume.",
            )
        try:
            with self._lock:
                data = self._data(number)
            if data is None or not is_whole_ffv1(data):
                raise PictureError(f"{self.path}: the mask of frame {name} is damaged.", _AGAIN)
            return self._decoded(data)
        except (av.error.FFmpegError, ValueError) as error:
            raise PictureError(f"{self.path}: the mask of frame {name} cannot be decoded ({error}).", _AGAIN) from error

    def packets(self) -> Iterator[bytes]:
        """All masks as they are coded, in order.

        Raises
        ------
        PictureError
            If the file breaks off.
        """
        for number in range(len(self.names)):
            with self._lock:
                data = self._data(number)
            if data is None:
                raise PictureError(f"{self.path}: is cut off or damaged.", _AGAIN)
            yield data

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._packets = iter(())
            self._container.close()

    def _data(self, number: int) -> bytes | None:
        """The packet of that number; None where the file does not have it."""
        stamp = _stamp(self.names.place(number), self._rate)
        if not 0 <= number - self._next < _INDEXED:  # else it is nearer than what the index knows
            self._next = -_INDEXED - 1
            self._container.seek(stamp, stream=self._stream, backward=True)
            self._packets = self._container.demux(self._stream)
        for packet in self._packets:
            if packet.pts is not None and packet.pts >= stamp:
                self._next = number + 1
                return bytes(packet) if packet.pts == stamp else None
        self._next = -_INDEXED - 1
        return None

    def _decoded(self, data: bytes) -> UInt8[np.ndarray, "H W"]:
        try:
            context = self._idle.pop()
        except IndexError:
            context = av.CodecContext.create("ffv1", "r")
            context.extradata, context.thread_count = self._extradata, 1
            context.height, context.width, context.pix_fmt = self.height_px, self.width_px, "gray"
        (frame,) = context.decode(Packet(data))
        self._idle.append(context)
        return frame.to_ndarray()

    def _refuse_cut_off(self) -> None:
        """The index stands at the end of the file: where the last mask can be found, none is missing."""
        with suppress(av.error.FFmpegError):
            if len(self.names) and self._data(len(self.names) - 1) is not None:
                return
        raise PictureError(f"{self.path}: is cut off or damaged: its last mask cannot be found.", _AGAIN)


class _Films:
    """The films that were read last, open."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: OrderedDict[str, tuple[tuple[int, int, int], MaskFilm]] = OrderedDict()


_films = _Films()


def film_at(path: Path) -> MaskFilm:
    """The film in a file, opened once for all who read it as long as the file stays the same.

    Raises
    ------
    PictureError
        As `MaskFilm`.
    """
    key = str(path.absolute())
    try:
        found = path.stat()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror or error}).", _AGAIN) from error
    version = found.st_mtime_ns, found.st_size, found.st_ino
    with _films.lock:
        if key not in _films.opened or _films.opened[key][0] != version:
            _films.opened[key] = version, MaskFilm(path)
        _films.opened.move_to_end(key)
        while len(_films.opened) > _OPEN:  # who still reads it holds it
            _films.opened.popitem(last=False)
        return _films.opened[key][1]


def let_go(path: Path) -> None:
    """Close a film that is about to be replaced, which Windows refuses while it is open."""
    with _films.lock:
        found = _films.opened.pop(str(path.absolute()), None)
    if found is not None:
        found[1].close()


def film_of(mask: Path) -> MaskFilm | None:
    """The film that a mask lies in, by its path; None where it is a file of its own.

    Raises
    ------
    PictureError
        As `MaskFilm`.
    """
    return film_at(mask.parent) if is_in_film(mask) else None


def is_in_film(mask: Path) -> bool:
    """Whether what stands in the place of a mask's folder is a film."""
    return mask.parent.suffix == FILMS and mask.parent.is_file()


def is_film(path: Path) -> bool:
    """Whether a path is that of a film: its masks are what a folder would hold."""
    return path.suffix == FILMS and path.is_file()


def _stamp(place: int, rate: Fraction) -> int:
    return round(place * 1000 / rate)


def _coded(names: NameRuns, rate: Fraction) -> str:
    """The table of frames as text of one line: zlib's of JSON, in base64."""
    table = {"version": 1, "rate": [rate.numerator, rate.denominator], "names": names.as_json()}
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _decoded_table(path: Path, container: InputContainer) -> tuple[NameRuns, Fraction]:
    stream = next(iter(container.streams.video), None)
    tag = container.metadata.get(_TAG)
    if tag is None or stream is None or stream.codec_context.pix_fmt != "gray":
        raise PictureError(
            f"{path}: no film of masks of cuemask's (it names no frames).",
            "Give a masks.mkv that --masks video wrote, a folder of masks FRAME.png, or a run.",
        )
    try:
        unpacked = zlib.decompressobj().decompress(base64.b64decode(tag, validate=True), _MOST_TABLE_BYTES)
        table = json.loads(unpacked)
        rate = Fraction(*table["rate"])
        if rate <= 0:
            raise ValueError("no rate")
        return NameRuns.of_json(table["names"]), rate
    except (ValueError, KeyError, TypeError, ZeroDivisionError, zlib.error, RecursionError) as error:
        raise PictureError(f"{path}: its table of frames is damaged ({error}).", _AGAIN) from error


def paths_in(film: Path) -> list[Path]:
    """The masks in a film, as if it were a folder, in the order of the clip.

    Raises
    ------
    PictureError
        As `MaskFilm`.
    """
    return [film / f"{name}.png" for name in film_at(film).names]


def has_mask(path: Path) -> bool:
    """Whether there is a mask at a path, be it a file or in a film.

    Raises
    ------
    PictureError
        As `MaskFilm`.
    """
    film = film_of(path)
    return os.path.isfile(path) if film is None else film.names.number(path.stem) is not None  # noqa: PTH113
