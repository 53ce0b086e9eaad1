"""Truth that lies beside the pictures: one mask file a frame, whose codes stand for classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from cuemask.datasets.dataset import Kind
from cuemask.errors import DatasetError
from cuemask.media.masks import read_mask
from cuemask.media.pictures import read_picture

Codes = Mapping[int, int]  # the class of each code that a file may hold

ABOVE_ZERO: Codes = {code: int(code > 0) for code in range(256)}
FROM_HALF: Codes = {code: int(code >= 128) for code in range(256)}

PNG_HEAD = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class MaskFiles:
    """Truth of a recording of pictures, one mask each.

    Attributes
    ----------
    masks
        By frame name, in the recording's order; only of frames that have one.
    pictures
        The frames themselves, whose size the masks must have.
    codes
        For each kind what the codes in a file stand for.
    """

    masks: Mapping[str, Path]
    pictures: Mapping[str, Path]
    codes: Mapping[Kind, Codes]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the masks tell of a pixel."""
        return tuple(self.codes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the frames that have a mask."""
        return tuple(self.masks)

    def labels(self, name: str, kind: Kind = "binary") -> UInt8[np.ndarray, "H W"]:
        """The class of each pixel of one frame.

        Raises
        ------
        PictureError
            If the mask or its frame cannot be read.
        DatasetError
            If the mask holds an unknown code, or has not the frame's size.
        """
        return read_labels(self.masks[name], self.codes[kind], picture_size(self.pictures[name]))


def beside(pictures: Mapping[str, Path], masks: Mapping[str, Path], codes: Mapping[Kind, Codes]) -> MaskFiles | None:
    """The truth of those pictures that have a mask of the same name; None where none has."""
    found = {name: masks[name] for name in pictures if name in masks}
    return MaskFiles(found, pictures, codes) if found else None


def read_labels(path: Path, codes: Codes, size_px: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    """Read a mask as classes.

    Parameters
    ----------
    codes
        The class of each code; others are refused.
    size_px
        Height and width of its frame.

    Raises
    ------
    PictureError
        If it cannot be read.
    DatasetError
        If it holds an unknown code, or has not the frame's size.
    """
    values = read_mask(path)
    if values.shape != size_px:
        raise DatasetError(
            f"{path}: {values.shape[1]}x{values.shape[0]} pixels, and its frame is {size_px[1]}x{size_px[0]}.",
            "Take the mask and the frame from the same copy of the data set, neither of them resized.",
        )
    counts = np.bincount(values.ravel(), minlength=256)
    unknown = [code for code in np.flatnonzero(counts).tolist() if code not in codes]
    if unknown:
        raise DatasetError(
            f"{path}: value {unknown[0]} at {counts[unknown[0]]} pixels; allowed are {', '.join(map(str, codes))}.",
            "Copy the mask again from the data set: resizing or a lossy format changes its values.",
        )
    classes = np.zeros(256, np.uint8)
    classes[list(codes)] = list(codes.values())
    return classes[values]


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture in pixels; of a PNG, they stand in its first bytes.

    Raises
    ------
    PictureError
        If it cannot be read.
    """
    if path.suffix.lower() == ".png" and path.is_file():
        with path.open("rb") as file:
            head = file.read(24)
        if head.startswith(PNG_HEAD) and len(head) == 24:
            return int.from_bytes(head[20:24]), int.from_bytes(head[16:20])
    height, width, _ = read_picture(path).shape
    return height, width
