"""Whether packets are as they were written, where their codec lets one tell and FFmpeg's decoder does not."""

from __future__ import annotations

import zlib
from contextlib import suppress
from itertools import islice
from pathlib import Path

import av
import av.error
from av.packet import Packet

# Behind each slice of FFV1: its size, and where it has a checksum a byte and that (RFC 9043, section 4.9).
_SIZE_BYTES, _FOOTER_BYTES = 3, 8
_LOOKED_AT = 4  # packets
_BITS_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class FFV1Packets:
    """Which packets of a video in FFV1 can be decoded: FFmpeg decodes damaged ones to whatever comes of them.

    Damaged are packets of zeros only and, where the file carries checksums, those that belie theirs. Behind a damaged
    one all is lost up to the next key frame, as each frame goes on with the statistics of the one before.
    """

    def __init__(self, path: Path, stream: int) -> None:
        self._has_checksums = self._is_behind_damage = False
        with suppress(av.error.FFmpegError), av.open(str(path)) as container:
            packets = container.demux(container.streams[stream])
            self._has_checksums = any(is_whole_ffv1(bytes(packet)) for packet in islice(packets, _LOOKED_AT))

    def can_be_decoded(self, packet: Packet) -> bool:
        """Whether the next packet and all that it goes on from are whole."""
        data = bytes(packet)
        if packet.is_keyframe:
            self._is_behind_damage = False
        if not any(data) or (self._has_checksums and not is_whole_ffv1(data)):
            self._is_behind_damage = True
        return not self._is_behind_damage


def is_whole_ffv1(data: bytes) -> bool:
    """Whether a packet of FFV1, version 3, consists of slices that each have a checksum which is right."""
    end = len(data)
    while end > 0:
        begin = end - _FOOTER_BYTES - int.from_bytes(data[max(0, end - _FOOTER_BYTES) :][:_SIZE_BYTES], "big")
        if begin < 0 or not _checks(data[begin:end]):
            return False
        end = begin
    return any(data)


def _checks(data: bytes) -> bool:
    """Whether the CRC-32 of data and its own CRC is 0, as it has to be: from the highest bit on, begun with 0."""
    return zlib.crc32(data.translate(_BITS_TURNED), 0xFFFFFFFF) == 0xFFFFFFFF
