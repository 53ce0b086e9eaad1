"""The place of each frame in its stream, told by the packets: a frame keeps its number whatever else can be decoded."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

from av.packet import Packet
from av.video.frame import VideoFrame

# As many frames as any codec keeps for reference (H.264 and HEVC, 16): what is still missing then never comes.
LATEST = 16
# In time stamps that begin anew, a step back by more than this; key frames tell of shorter ones.
BREAK_SECONDS = 1
# Where frames follow each other without a hole, another recording begins behind a step on by more than this (FFmpeg's
# own measure).
LEAP_SECONDS = 10
# Fields of one frame follow each other by half its duration.
SECOND_FIELD = Fraction(3, 4)
_PRUNED = 4096
# A hole in time is of whole frames, up to this share of one.
_UNEVEN = Fraction(1, 5)
_FILLED = -1  # in the place of a packet's number


class Place(NamedTuple):
    """Where a packet stands in its stream; in the order of showing where the packets carry time stamps.

    Attributes
    ----------
    part
        How often time had begun anew before it.
    stamp
        Its presentation time in the stream's time base; 0 where it has none.
    packet
        Its number in the order of decoding.
    position
        Byte in the file, None where the container does not say.
    """

    part: int
    stamp: int
    packet: int
    position: int | None


@dataclass
class _Part:
    """A stretch of the stream within which time only goes on."""

    begin: Fraction  # seconds after the stream's first frame
    first: int
    last: int
    duration: int


class Places:
    """Numbers the frames of a stream by the packets that have been read so far.

    Where each packet has a time stamp, a frame's number is that of its packet in the order of these stamps; packets
    that damage has swallowed are told by the hole that they leave in time. Where packets have no stamps, frames are
    counted as they come, and packets that bring no frame are counted when those behind them are shown.

    Parameters
    ----------
    time_base, interval
        Of the stream, and the usual time from frame to frame, in seconds.
    stamped
        Whether the packets' stamps are times of showing.
    steady
        Whether frames follow each other in time without a hole, as in broadcasts.
    """

    def __init__(self, time_base: Fraction, interval: Fraction, *, stamped: bool, steady: bool) -> None:
        self._tells_time = self._is_stamped = stamped
        self._time_base, self._interval, self._steady = time_base, interval, steady
        self._parts: list[_Part] = []
        self._order: list[Place] = []  # those whose number is still needed
        self._passed = 0  # places before these
        self._read, self._newest = 0, -1  # packets
        self._pending: set[int] = set()
        self._failed: set[int] = set()
        self._torn: set[int] = set()  # packets before which bytes of the file could not be read
        self._looked = Place(-1, 0, 0, None)  # up to here holes in time have been looked for
        self._next = 0  # number of the next frame, where they are counted
        self._decoding_time: int | None = None

    @property
    def count(self) -> int:
        """Frames that the packets read so far stand for."""
        return self._passed + len(self._order) if self._is_stamped else self._next + len(self._pending)

    @property
    def is_certain(self) -> bool:
        """Whether a packet's number is known before anything is decoded."""
        return self._is_stamped and bool(self._order)

    @property
    def is_broken(self) -> bool:
        """Whether time has begun anew."""
        return len(self._parts) > 1

    def add(self, packet: Packet, *, torn: bool = False) -> None:
        """Take note of the next packet; it and the frame that is decoded from it carry their `Place` as `opaque`.

        `torn` says that there is something before it in the file that could not be read.
        """
        stamp = packet.pts
        if stamp is not None:
            self._follow(packet, stamp)
        elif self._is_stamped:
            self._count_from_here()
        place = Place(max(0, len(self._parts) - 1), stamp or 0, self._read, packet.pos)
        packet.opaque = place
        if torn:
            self._torn.add(self._read)
        self._read += 1
        self._pending.add(place.packet)
        if self._is_stamped:
            self._unfill(place)
            insort(self._order, place)

    def fail(self, packet: Packet) -> None:
        """Take note that nothing could be decoded from a packet."""
        if isinstance(packet.opaque, Place):
            self._failed.add(packet.opaque.packet)

    def begin_at(self, place: Place, number: int, first: int) -> None:
        """Number the frame at `place` with `number`, in a stream whose first time stamp is `first`."""
        self._passed = number - bisect_left(self._order, place)
        earlier = (self._parts[0].first - first) * self._time_base
        self._parts[0].first = first
        for part in self._parts[1:]:  # read already, while the first frame was waited for
            part.begin += earlier

    def number(self, frame: VideoFrame) -> int:
        """The place in the stream, from 0, of a frame that has been decoded; each is asked for once."""
        place = self._of(frame)
        self._pending.discard(place.packet)
        self._forget_second_field(frame, place)
        self._newest = max(self._newest, place.packet)
        if self._is_stamped:
            self._fill_holes(place)
            number = self._passed + bisect_left(self._order, place)
            self._next = max(self._next, number + 1)
            return number
        # A key frame is shown after all that was read before it.
        least = place.packet if frame.key_frame else self._newest - LATEST
        missing = {packet for packet in self._pending if packet < least}
        missing |= {packet for packet in self._failed & self._pending if packet < place.packet}
        self._pending -= missing
        self._next += len(missing) + 1
        return self._next - 1

    def settled(self, number: int, frame: VideoFrame) -> int:
        """The number of a frame once more: packets that were read since it was asked for may come before it."""
        return self._passed + bisect_left(self._order, self._of(frame)) if self._is_stamped else number

    def forget_before(self, number: int) -> None:
        """Frames before `number` are not asked for any more; what is known of them is let go at times."""
        gone = number - self._passed
        if gone > _PRUNED:
            self._pending.difference_update(place.packet for place in self._order[:gone])
            self._torn = {packet for packet in self._torn if packet >= self._order[gone - 1].packet}
            del self._order[:gone]
            self._passed = number

    def seconds(self, number: int, frame: VideoFrame | None) -> Fraction:
        """When frame `number` is shown, in seconds after the stream's first frame; time goes on where it breaks."""
        place = self._of(frame) if frame is not None else self._place(number)
        untold = frame is not None and not self._is_stamped and frame.pts is None
        if place is None or not self._tells_time or untold or not self._parts:
            return number * self._interval
        part = self._parts[place.part]
        stamp = place.stamp if self._is_stamped or frame is None or frame.pts is None else frame.pts
        return part.begin + (stamp - part.first) * self._time_base

    def first_from(self, stamp: int) -> tuple[Place, int] | None:
        """The first place at or after `stamp`, and its number; None where there is none."""
        index = bisect_left(self._order, Place(0, stamp, -1, None))
        if index < len(self._order):
            self._fill_holes(self._order[index])
            index = bisect_left(self._order, Place(0, stamp, -1, None))
        return (self._order[index], self._passed + index) if index < len(self._order) else None

    def stamps(self) -> list[int | None]:
        """The time stamps of all frames in the order of showing; None where nothing but a hole in time tells of one."""
        if self._order:
            self._fill_holes(self._order[-1])
        return [None if place.packet == _FILLED else place.stamp for place in self._order]

    def place_at(self, stamp: int) -> Place | None:
        """The place of the packet with this time stamp; None where there is none."""
        found = self.first_from(stamp)
        return found[0] if found is not None and found[0].stamp == stamp else None

    @property
    def first_stamp(self) -> int:
        """The earliest time stamp."""
        return self._parts[0].first

    @property
    def end_seconds(self) -> Fraction:
        """When the last frame ends, after the stream's first one begins."""
        return self._end() if self._tells_time else self.count * self._interval

    def _place(self, number: int) -> Place | None:
        index = number - self._passed
        return self._order[index] if self._is_stamped and 0 <= index < len(self._order) else None

    def _fill_holes(self, place: Place) -> None:
        """Give a place to each frame before `place` that time says is missing."""
        index = bisect_left(self._order, self._looked)
        while index < len(self._order) and self._order[index] < place:
            here, after = self._order[index : index + 2] if index + 1 < len(self._order) else (place, place)
            index += 1
            if here.part != after.part or not (self._steady or self._is_torn(here, after)):
                continue
            steps = (after.stamp - here.stamp) * self._time_base / self._interval
            if self._steady and abs(steps - round(steps)) > _UNEVEN:
                continue
            for step in range(1, round(steps)):
                stamp = here.stamp + round(step * self._interval / self._time_base)
                self._order.insert(index, Place(here.part, stamp, _FILLED, None))
                index += 1
        self._looked = max(self._looked, place)

    def _unfill(self, place: Place) -> None:
        """A packet that comes late takes the place that was filled for it."""
        if place >= self._looked:
            return
        index = bisect_left(self._order, place)
        for near in (index - 1, index):
            if 0 <= near < len(self._order) and self._order[near].packet == _FILLED:
                apart = abs(self._order[near].stamp - place.stamp) * self._time_base
                if self._order[near].part == place.part and 2 * apart < self._interval:
                    del self._order[near]
                    return

    def _is_torn(self, here: Place, after: Place) -> bool:
        return any(here.packet < packet <= after.packet for packet in self._torn)

    def _of(self, frame: VideoFrame) -> Place:
        if isinstance(frame.opaque, Place):
            return frame.opaque
        found = None if frame.pts is None else self.first_from(frame.pts)  # a decoder that forgets packets
        return found[0] if found else Place(max(0, len(self._parts) - 1), frame.pts or 0, self._newest + 1, None)

    def _count_from_here(self) -> None:
        self._is_stamped = False
        self._pending = {packet for packet in self._pending if packet > self._newest}

    def _follow(self, packet: Packet, stamp: int) -> None:
        """Keep the parts' bounds; begin a new one where time steps back."""
        if not self._parts or (self._is_stamped and self._is_break(packet, stamp)):
            self._parts.append(_Part(self._end(), stamp, stamp, packet.duration or 0))
            self._decoding_time = None
        part = self._parts[-1]
        part.first = min(part.first, stamp)
        if stamp >= part.last:
            part.last, part.duration = stamp, packet.duration or 0
        if packet.dts is not None:
            self._decoding_time = packet.dts

    def _is_break(self, packet: Packet, stamp: int) -> bool:
        """Decoding time never steps back nor leaps on, and a key frame is shown after all that was read before it."""
        before, now = self._decoding_time, packet.dts
        back = None if before is None or now is None else (before - now) * self._time_base
        if self._steady and back is not None and -back > LEAP_SECONDS:
            return True
        if packet.is_keyframe and stamp < self._parts[-1].last:
            return back is None or back > 0
        return back is not None and back > BREAK_SECONDS

    def _end(self) -> Fraction:
        if not self._parts:
            return Fraction(0)
        part = self._parts[-1]
        last = part.duration * self._time_base or self._interval
        return part.begin + (part.last - part.first) * self._time_base + last

    def _forget_second_field(self, frame: VideoFrame, place: Place) -> None:
        """Some recorders send the two fields of a frame as two packets, of which one frame is made."""
        if not frame.interlaced_frame or place.packet + 1 not in self._pending:
            return
        stamps = {other.packet: other for other in self._order[-2 * LATEST :]}
        second = stamps.get(place.packet + 1)
        if second is None:
            self._pending.discard(place.packet + 1)
        elif second.part == place.part and (
            0 <= (second.stamp - place.stamp) * self._time_base < SECOND_FIELD * self._interval
        ):
            self._pending.discard(second.packet)
            self._order.remove(second)


NumberedFrame = tuple[int, Fraction, VideoFrame | None]


def in_place(frames: Iterable[VideoFrame], places: Places, next_number: int = 0) -> Iterator[NumberedFrame]:
    """Pass frames on in the order of showing: (number, seconds after the first, frame), None for those that are lost.

    A damaged stream may bring frames late or out of order. A frame counts as lost when `LATEST` behind it have come.
    """
    waiting: list[tuple[int, int, VideoFrame]] = []
    for arrival, arrived in enumerate(chain(frames, [None])):
        if arrived is not None:
            heapq.heappush(waiting, (places.number(arrived), arrival, arrived))
        while waiting and (arrived is None or waiting[0][0] <= next_number or len(waiting) > LATEST):
            number, arrival, frame = heapq.heappop(waiting)
            settled = places.settled(number, frame)
            if settled != number:
                heapq.heappush(waiting, (settled, arrival, frame))
                continue
            for gone in range(next_number, number):
                yield gone, places.seconds(gone, None), None
            if number >= next_number:  # else it comes too late
                yield number, places.seconds(number, frame), frame
            next_number = max(next_number, number + 1)
            places.forget_before(next_number)
    for gone in range(next_number, places.count):
        yield gone, places.seconds(gone, None), None
