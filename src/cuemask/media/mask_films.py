"""The masks of a clip as one video, `masks.mov`: PNG in QuickTime, exact to the pixel, each found by its frame's name.

Every frame is coded by itself, with a checksum, and stands in the file's index, of which a day of video has 20 MB.
Which frames they are of stands in the file's tag `CUEMASK_FRAMES`. A mask in a film has a path as if the film were a
folder, `masks.mov/000012.png`, so that whoever reads masks need not know where they lie.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import zlib
from collections import OrderedDict
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
from av.video.stream import VideoStream
from jaxtyping import UInt8

from cuemask.errors import PictureError
from cuemask.media.bit_png import mask_of_bits
from cuemask.media.files import written_aside
from cuemask.media.headers import Claimed, refuse_too_large
from cuemask.media.name_runs import NameRuns
from cuemask.media.overlay import write_errors

FILM = "masks.mov"
FILMS = ".mov"
_TAG = "CUEMASK_FRAMES"
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
        options = {"movflags": "use_metadata_tags", "fflags": "+bitexact"}
        container = av.open(str(aside.absolute()), "w", format="mov", container_options=options)
        try:
            container.metadata[_TAG] = _coded(masks.names, rate)
            stream = container.add_mux_stream("png", rate=rate, width=masks.width_px, height=masks.height_px)
            stream.time_base = 1 / rate
            for place, data in zip(masks.names.places(), masks.packets, strict=True):
                packet = Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, 1 / rate, True
                packet.pts = packet.dts = place
                packet.duration = 1
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
        assert self._stream.time_base is not None
        self._tick = self._stream.time_base
        context = self._stream.codec_context
        self.height_px, self.width_px = context.height, context.width
        refuse_too_large(path, Claimed(context.name.upper(), self.width_px, self.height_px), path.stat().st_size)
        self._lock = threading.Lock()
        self._packets: Iterator[Packet] = iter(())
        self._next: int | None = None  # whose packet is met without a look at the index
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
            if data is None:
                raise PictureError(f"{self.path}: the mask of frame {name} is damaged.", _AGAIN)
            return mask_of_bits(data, self.height_px, self.width_px)
        except (av.error.FFmpegError, ValueError) as error:
            raise PictureError(f"{self.path}: the mask of frame {name} is damaged ({error}).", _AGAIN) from error

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
        place, self._next, expected = self.names.place(number), None, self._next
        if number != expected:
            self._container.seek(round(place / self._rate / self._tick), stream=self._stream, backward=True)
            self._packets = self._container.demux(self._stream)
        packet = next(self._packets, None)
        if packet is None or packet.pts is None or round(packet.pts * self._tick * self._rate) != place:
            return None
        self._next = number + 1
        return bytes(packet)

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


def _coded(names: NameRuns, rate: Fraction) -> str:
    """The table of frames as text of one line: zlib's of JSON, in base64."""
    table = {"version": 1, "rate": [rate.numerator, rate.denominator], "names": names.as_json()}
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _decoded_table(path: Path, container: InputContainer) -> tuple[NameRuns, Fraction]:
    stream = next(iter(container.streams.video), None)
    tag = container.metadata.get(_TAG)
    context = stream.codec_context if stream is not None else None  # of a codec that nobody knows there is none
    if tag is None or not context or context.name != "png":
        raise PictureError(
            f"{path}: no film of masks of cuemask's (it names no frames).",
            "Give a masks.mov that --masks video wrote, a folder of masks FRAME.png, or a run.",
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
