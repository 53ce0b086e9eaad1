"""The video stream in a DICOM file, read where it lies: its fragments in a row, as a file that FFmpeg reads."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from cuemask.errors import PictureError
from cuemask.media.dicom import Instance, pieces
from cuemask.media.names import shown
from cuemask.media.reading_at import ReadAt


class FragmentedStream(io.RawIOBase):
    """Pieces of a file one after another, as one file to read and seek in.

    Parameters
    ----------
    path
        The file.
    places
        First byte and length of each.
    """

    def __init__(self, path: Path, places: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._pieces = list(places)
        self._ends = list(accumulate(length for _, length in places))
        self._place = 0
        self._read_at = ReadAt(path)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Byte that is read next."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte, counted from the beginning, from here or from the end."""
        size = self._ends[-1] if self._ends else 0
        self._place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: size}[whence])
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read what is left of one piece, at most."""
        number = bisect_right(self._ends, self._place)
        if number == len(self._pieces):
            return 0
        start, length = self._pieces[number]
        done = self._place - (self._ends[number] - length)
        data = self._read_at(min(len(buffer), length - done), start + done)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def video_stream(instance: Instance) -> FragmentedStream:
    """The stream of MPEG-2, H.264 or HEVC in a DICOM file.

    Raises
    ------
    PictureError
        If it holds none.
    """
    path = instance.path
    if instance.pixels is None or not instance.is_video:
        raise PictureError(
            f"{shown(path)}: holds no video stream ({instance.syntax_name}).", "Give it as an image: its folder."
        )
    return FragmentedStream(path, pieces(instance))
