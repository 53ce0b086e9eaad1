"""Matroska files (RFC 9559) of one video whose frames are coded already: as much of the format as films of masks need.

FFmpeg's own writer is not asked, as it gives PNG in Matroska only to who calls it from C. What it reads is this.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import count
from typing import BinaryIO, NamedTuple

GROUP = 16  # frames: what an entry of the index leads to. With all of a day's 2,160,000 it would take 240 MB, so 12
_LONGEST_GROUP = 0x7FFF  # milliseconds, which a frame's own place in its group is counted in
_HEAD, _SEGMENT, _SEEKS, _SEEK, _INFO = b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\x11M\x9bt", b"M\xbb", b"\x15I\xa9f"
_TRACKS, _TRACK, _VIDEO, _TAGS, _TAG = b"\x16T\xaek", b"\xae", b"\xe0", b"\x12T\xc3g", b"ss"
_CLUSTER, _TIME, _BLOCK, _CUES, _CUE, _CUE_PLACE = b"\x1fC\xb6u", b"\xe7", b"\xa3", b"\x1cS\xbbk", b"\xbb", b"\xb7"
_KEY = 0x80


class Track(NamedTuple):
    """What a video is.

    Attributes
    ----------
    codec
        Its four letters, as AVI has them.
    rate
        Frames a second: each is shown so long.
    """

    codec: bytes
    height_px: int
    width_px: int
    rate: Fraction


class Coded(NamedTuple):
    """A frame that needs no other, coded, and when it is shown."""

    stamp_ms: int
    data: bytes


def write_matroska(file: BinaryIO, track: Track, tags: Mapping[str, str], frames: Iterable[Coded]) -> None:
    """Write a video into an open file, from where it stands; the same frames give the same bytes.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    kind = _number(b"\x42\x86", 1) + _number(b"\x42\xf7", 1) + _number(b"\x42\xf2", 4) + _number(b"\x42\xf3", 8)
    kind += _element(b"\x42\x82", b"matroska") + _number(b"\x42\x87", 4) + _number(b"\x42\x85", 2)
    file.write(_element(_HEAD, kind) + _SEGMENT)
    size_at = file.tell()
    file.write(_size(0, 8))
    begin = file.tell()
    parts = (_info(0.0), _track(track), _tags(tags))
    # Where which part begins stands first; the index and the duration, known at the end, take the same room then.
    places = [len(_seeks([0] * 4)) + sum(map(len, parts[:at])) for at in range(4)]
    file.write(b"".join((_seeks(places), *parts)))
    index, ends_ms = bytearray(), 0
    place = places[3]
    for group in _groups(frames):
        first = group[0].stamp_ms
        cluster = _element(_CLUSTER, _number(_TIME, first) + b"".join(_block(frame, first) for frame in group))
        where = _number(b"\xf7", 1) + _number(b"\xf1", place)
        index += _element(_CUE, _number(b"\xb3", first) + _element(_CUE_PLACE, where))
        file.write(cluster)
        place += len(cluster)
        ends_ms = group[-1].stamp_ms + 1000 / track.rate
    cues = _element(_CUES, bytes(index))
    file.write(cues)
    for at, data in (
        (size_at, _size(place + len(cues), 8)),
        (begin, _seeks([*places[:3], place])),
        (begin + places[0], _info(float(ends_ms))),
    ):
        file.seek(at)
        file.write(data)


def _groups(frames: Iterable[Coded]) -> Iterable[list[Coded]]:
    """At most `GROUP` frames each, and those too far from one another apart."""
    group = list[Coded]()
    for frame in frames:
        if group and (len(group) == GROUP or frame.stamp_ms - group[0].stamp_ms > _LONGEST_GROUP):
            yield group
            group = []
        group.append(frame)
    if group:
        yield group


def _block(frame: Coded, first_ms: int) -> bytes:
    """A frame in its group. Only the group's first is marked as one to begin at: readers keep all that they meet."""
    own_ms = frame.stamp_ms - first_ms
    return _element(_BLOCK, struct.pack(">BhB", 0x81, own_ms, 0 if own_ms else _KEY) + frame.data)


def _seeks(places: list[int]) -> bytes:
    found = zip((_INFO, _TRACKS, _TAGS, _CUES), places, strict=True)
    seeks = (_element(b"\x53\xab", part) + _element(b"\x53\xac", struct.pack(">Q", place)) for part, place in found)
    return _element(_SEEKS, b"".join(_element(_SEEK, seek) for seek in seeks))


def _info(duration_ms: float) -> bytes:
    scale, duration = _number(b"\x2a\xd7\xb1", 1_000_000), _element(b"\x44\x89", struct.pack(">d", duration_ms))
    return _element(_INFO, scale + duration + _element(b"\x4d\x80", b"cuemask") + _element(b"\x57\x41", b"cuemask"))


def _track(track: Track) -> bytes:
    codec, height, width, rate = track
    bitmap = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, codec, 0, 0, 0, 0, 0)
    told = _number(b"\xd7", 1) + _number(b"\x73\xc5", 1) + _number(b"\x83", 1) + _number(b"\x9c", 0)
    told += _element(b"\x86", b"V_MS/VFW/FOURCC") + _element(b"\x63\xa2", bitmap)
    told += _number(b"\x23\xe3\x83", max(1, round(1e9 / rate)))
    told += _element(_VIDEO, _number(b"\xb0", width) + _number(b"\xba", height))
    return _element(_TRACKS, _element(_TRACK, told))


def _tags(tags: Mapping[str, str]) -> bytes:
    pairs = ((_element(b"\x45\xa3", key.encode()), _element(b"\x44\x87", text.encode())) for key, text in tags.items())
    simple = b"".join(_element(b"\x67\xc8", name + value) for name, value in pairs)
    return _element(_TAGS, _element(_TAG, _element(b"\x63\xc0", b"") + simple))


def _number(name: bytes, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _element(name: bytes, data: bytes) -> bytes:
    # In so many bytes are 7 bits each for the size; all of them 1 would say that it is unknown.
    wide = next(wide for wide in count(1) if len(data) < (1 << 7 * wide) - 1)
    return name + _size(len(data), wide) + data


def _size(size: int, wide: int) -> bytes:
    return (size | 1 << 7 * wide).to_bytes(wide, "big")
