"""Selected frames of a video without decoding those between them, as far as its codec lets some be left out.

From one key frame to the next, nothing is decoded behind the last frame that is wanted, and nothing at all where none
is; of what has to be decoded on the way, frames that no other refers to are passed over. All packets are still read:
they number the frames. Where anything is not as it should be, the video is to be decoded whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av.error
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame

from cuemask.media.decoding import OpenVideo
from cuemask.media.frames import Chooser, Selection
from cuemask.media.places import NumberedFrame, Place, Places

# Codecs of which a key frame needs nothing before it, and each packet holds one frame that is shown; those
# without a memory are never asked for what was left out.
_WITHOUT_MEMORY = frozenset({"mjpeg", "ffv1", "prores", "dnxhd", "rawvideo", "png", "huffyuv", "ffvhuff", "utvideo"})
_CODECS = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp9", "av1", "libdav1d"}) | _WITHOUT_MEMORY
# Of which a packet never ends in many zeros.
_NO_ZEROS, _HOLE_BYTES = frozenset({"h264", "hevc"}), 16
_MOST_PACKETS, _MOST_BYTES = 3000, 96 << 20  # from key frame to key frame, that are held


class CannotSkipError(Exception):
    """The video has to be decoded whole: it is damaged, or its packets do not tell what can be left out."""


@dataclass
class _Group:
    """Packets from a key frame to the next, as they are decoded.

    Attributes
    ----------
    wanted
        Numbers and times of frames that are wanted, by their time stamps.
    """

    packets: list[Packet]
    wanted: dict[int, tuple[int, Fraction]] = field(default_factory=dict[int, tuple[int, Fraction]])

    @property
    def key(self) -> int:
        return _stamp(self.packets[0])

    def is_led_by_wanted(self) -> bool:
        """Whether a frame is wanted that comes behind the key frame and is shown before it."""
        return any(stamp < self.key for stamp in self.wanted)


class SkippingVideo(OpenVideo):
    """An open video of which selected frames are decoded, and as few others as can be.

    Attributes
    ----------
    decoded
        How many packets the decoder has been given.
    """

    decoded = 0

    def selected(self, selection: Selection, step: int = 1, most: int | None = None) -> Iterator[NumberedFrame]:
        """The frames that `selection` takes: (number, seconds after the first, frame).

        Parameters
        ----------
        step, most
            Of the first `most` of them, None for all, every `step`th.

        Raises
        ------
        CannotSkipError
            If the video has to be decoded whole. What was given so far is right.
        """
        if self._stream.codec_context.name not in _CODECS or self._may_break or not self._is_stamped:
            raise CannotSkipError
        self._left, self._is_fed_whole = dict[int, tuple[int, Fraction]](), True
        self._entered = set[int]()  # key frames before which something was left out
        self._is_at_end, places = False, self._places()
        self._stream.codec_context.open(strict=False)  # AV1's decoder is told only then what it may pass over: nothing
        try:
            yield from self._passed(
                self._frames_of(self._groups(places, Chooser(selection, self.frame_rate, step, most)))
            )
        except av.error.FFmpegError as error:
            raise CannotSkipError from error
        if self._left:
            raise CannotSkipError
        if self._is_at_end:
            self._tell_end(places, 0)

    def _groups(self, places: Places, chooser: Chooser) -> Iterator[_Group]:
        """All groups, up to the one where the selection ends."""
        count, shown_to = 0, None
        for packets in self._from_key_to_key(places):
            group, stamps = _Group(packets), sorted(map(_stamp, packets))
            is_first = shown_to is None
            if len(set(stamps)) < len(stamps) or (shown_to is not None and stamps[0] <= shown_to):
                raise CannotSkipError  # time steps back
            if is_first and stamps[0] != group.key:
                raise CannotSkipError  # frames that refer to what is not there
            shown_to, is_over = stamps[-1], False
            for number, stamp in enumerate(stamps, count):
                time = (stamp - places.first_stamp) * cast(Fraction, self._stream.time_base)
                if is_over := chooser.is_over(time):
                    break
                if chooser.takes(number, time):
                    group.wanted[stamp] = number, time
            count += len(packets)
            places.forget_before(count)
            yield group
            if is_over:
                return
        self._is_at_end = True

    def _from_key_to_key(self, places: Places) -> Iterator[list[Packet]]:
        packets, held = list[Packet](), 0
        for packet in self._packets():
            if packet.size == 0:
                continue
            if not self._holds_frame(packet) or packet.pts is None or self._is_torn or self._ends_in_nothing(packet):
                raise CannotSkipError
            places.add(packet)
            if not places.is_certain or places.is_broken or (not packets and not packet.is_keyframe):
                raise CannotSkipError
            if packet.is_keyframe and packets:
                yield packets
                packets, held = [], 0
            packets.append(packet)
            held += packet.size
            if len(packets) > _MOST_PACKETS or held > _MOST_BYTES:
                raise CannotSkipError
        if packets:
            yield packets

    def _ends_in_nothing(self, packet: Packet) -> bool:
        """Whether a packet has a hole of zeros, as disks leave it, in which the decoder would see no reference."""
        return self._stream.codec_context.name in _NO_ZEROS and not any(memoryview(packet)[-_HOLE_BYTES:])

    def _frames_of(self, groups: Iterable[_Group]) -> Iterator[VideoFrame]:
        """What the decoder makes of the packets that it has to be given, in the order of showing."""
        waiting: _Group | None = None
        for group in groups:
            if waiting is not None:
                yield from self._decoded_group(waiting, needs_all=group.is_led_by_wanted())
            waiting = group
        if waiting is not None:
            yield from self._decoded_group(waiting, needs_all=False)
        yield from self._stream.codec_context.decode(None)

    def _decoded_group(self, group: _Group, *, needs_all: bool) -> Iterator[VideoFrame]:
        """Frames of a group, and those before it that the decoder still held.

        Parameters
        ----------
        needs_all
            Whether what is wanted of the next group may refer to any frame of this one.
        """
        packets, context = group.packets, self._stream.codec_context
        if not self._is_fed_whole:  # what may refer to the group before is not wanted
            packets = [packet for packet in packets if _stamp(packet) >= group.key]
        last = max((at for at, packet in enumerate(packets) if needs_all or _stamp(packet) in group.wanted), default=-1)
        fed = packets[: last + 1]
        if fed and not self._is_fed_whole:
            self._entered.add(group.key)
            if context.name not in _WITHOUT_MEMORY:  # else it would look for what was left out
                yield from context.decode(None)
                context.flush_buffers()
        self._left |= group.wanted
        for packet in fed:
            if self._ffv1 is not None and not self._ffv1.can_be_decoded(packet):
                raise CannotSkipError
            context.skip_frame = "DEFAULT" if _stamp(packet) in group.wanted else "NONREF"
            self.decoded += 1
            yield from cast("list[VideoFrame]", packet.decode())
        self._is_fed_whole = len(fed) == len(packets)

    def _passed(self, frames: Iterable[VideoFrame]) -> Iterator[NumberedFrame]:
        """Those of `frames` that are wanted, each with its number and time."""
        for frame in frames:
            # Of fields, two packets may make one frame.
            if frame.is_corrupt or frame.interlaced_frame or not isinstance(frame.opaque, Place):
                raise CannotSkipError
            stamp = frame.opaque.stamp
            if stamp in self._entered:
                self._entered.discard(stamp)
                if frame.pict_type != PictureType.I:  # it goes on from what was left out, whatever its file says
                    raise CannotSkipError
            if stamp not in self._left:
                continue
            if stamp != next(iter(self._left)):  # one before it is lost
                raise CannotSkipError
            yield (*self._left.pop(stamp), frame)


def _stamp(packet: Packet) -> int:
    return cast(int, packet.pts)
