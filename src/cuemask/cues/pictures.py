"""The pictures of a clip at working size, on disk: of all its frames, or of those that something is learnt from."""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8

from cuemask.media.arrays import load_array
from cuemask.media.files import write_bytes
from cuemask.media.records import Records, RecordWriter, SomeRecords
from cuemask.media.seals import is_sealed, seal

SEAL = "pictures.seal"
FILES = ("rgb.npy", "frames.npy")


class PictureWriter:
    """Writes pictures and the numbers of their frames into a folder, sealed at the end.

    Parameters
    ----------
    folder
        What another writer left there is removed.
    shape
        Of a picture, (H, W, 3).
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self._folder, self._numbers = folder, list[int]()
        for name in (SEAL, *FILES):
            (folder / name).unlink(missing_ok=True)
        self._records = RecordWriter(folder / FILES[0], shape, np.uint8)

    def append(self, number: int, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        """Write the picture of frame `number`, which is above those before it.

        Raises
        ------
        OutputError
            If the disk is full or not writable.
        """
        self._records.append(rgb)
        self._numbers.append(number)

    def drop(self) -> None:
        """Forget what was written, and give its room back at once."""
        self._records.restart()
        self._numbers.clear()

    def __enter__(self) -> PictureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._records.__exit__(kind, error, trace)
        if kind is not None:
            return
        numbers = io.BytesIO()
        np.save(numbers, np.array(self._numbers, np.int64))
        write_bytes(self._folder / FILES[1], numbers.getvalue())
        seal(self._folder, SEAL, FILES)


def kept_pictures(folder: Path) -> SomeRecords:
    """The pictures in `folder`, by the numbers of their frames; none where they are not whole."""
    if not is_sealed(folder, SEAL, FILES):
        return SomeRecords(None, np.zeros(0, np.int64))
    return SomeRecords(Records(folder / FILES[0]), load_array(folder / FILES[1]))
