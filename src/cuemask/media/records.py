"""Arrays of many equal records on disk, written one after another and read by number.

The file is an ordinary `.npy`. Records are read one by one and not memory-mapped, so that the resident memory of a run
does not grow with the length of its videos; the file is opened for each, so that a run may have any number of videos.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Int64

from cuemask.errors import OutputError
from cuemask.media.arrays import header_of
from cuemask.media.files import aside_of, output_errors, put_in_place


class RecordWriter:
    """Appends records to a file that gets its name only when all are written.

    Parameters
    ----------
    path
        The `.npy` file to write.
    shape
        Shape of one record.
    dtype
        Type of its values; what is appended is converted.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: Any) -> None:
        self.path = path
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.count = 0
        self._aside = aside_of(path)
        with output_errors(path):
            self._file = self._aside.open("wb")
            self._write_header()

    def append(self, record: np.ndarray) -> None:
        """Write one record.

        Raises
        ------
        OutputError
            If the disk is full or not writable.
        """
        if record.shape != self.shape:
            raise ValueError(f"record of shape {record.shape}, not {self.shape}")
        with output_errors(self.path):
            self._file.write(np.ascontiguousarray(record, self.dtype).tobytes())
        self.count += 1

    def restart(self) -> None:
        """Forget all records, and give their room back.

        Raises
        ------
        OutputError
            If the disk is not writable.
        """
        with output_errors(self.path):
            self._file.seek(0)
            self._file.truncate()
            self.count = 0
            self._write_header()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with output_errors(self.path):
                    self._file.seek(0)
                    self._write_header()
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._file.close()
                    put_in_place(self._aside, self.path)
        finally:
            with suppress(OSError):  # a full disk has been reported already
                self._file.close()
            self._aside.unlink(missing_ok=True)

    def _write_header(self) -> None:
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


class Records:
    """Reads records by number; safe to share between threads, and holds no open file.

    Raises
    ------
    OutputError
        If the file is shorter than its header says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            (count, *shape), self.dtype = header_of(file)
            self._start = file.tell()
        self.shape = tuple(shape)
        self._count = int(count)
        self._bytes = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        if path.stat().st_size < self._start + self._count * self._bytes:
            raise OutputError(f"{path}: cut short.", f"Remove it and run again: rm {path}")

    def __reduce__(self) -> tuple[type[Records], tuple[Path]]:
        """Another process opens the file for itself."""
        return Records, (self.path,)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        """Record `index`, from 0, as an array of its own."""
        if not 0 <= index < self._count:
            raise IndexError(f"record {index} of {self._count}")
        with self.path.open("rb", buffering=0) as file:
            file.seek(self._start + index * self._bytes)
            data = file.read(self._bytes)
        return np.frombuffer(bytearray(data), self.dtype).reshape(self.shape)


class SomeRecords:
    """Records of some frames only, read by the frames' numbers.

    Parameters
    ----------
    records
        One a frame; None where there are none.
    frames
        The frames' numbers, ascending.
    """

    def __init__(self, records: Records | None, frames: Int64[np.ndarray, " n"]) -> None:
        self.records = records
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, frame: int) -> np.ndarray:
        """The record of `frame` as an array of its own.

        Raises
        ------
        IndexError
            If that frame was not kept.
        """
        place = int(np.searchsorted(self.frames, frame))
        if self.records is None or place == len(self.frames) or self.frames[place] != frame:
            raise IndexError(f"frame {frame} is none of the {len(self.frames)} kept")
        return self.records[place]
