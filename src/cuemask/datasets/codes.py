"""From the codes in a mask's file to the numbers of its classes."""

from __future__ import annotations

import struct
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.datasets.dataset import Kind
from cuemask.errors import DatasetError
from cuemask.media.masks import read_mask
from cuemask.media.pictures import read_picture

Shape = tuple[int, int]

UNKNOWN = 255


def read_labels(path: Path, label_of_code: Mapping[int, int], shape: Shape) -> UInt8[np.ndarray, "H W"]:
    """Read a mask and number its classes.

    Parameters
    ----------
    label_of_code
        What each code that may stand in the file means; 0 for background.
    shape
        Height and width of the frame, in pixels.

    Raises
    ------
    PictureError
        If the file cannot be read.
    DatasetError
        If it holds another code, or has another size.
    """
    codes = read_mask(path)
    refuse_other_size(path, codes, shape)
    return decoded(path, codes, label_of_code)


def decoded(path: Path, codes: UInt8[np.ndarray, "H W"], label_of_code: Mapping[int, int]) -> UInt8[np.ndarray, "H W"]:
    """Number the classes of the codes read from `path`.

    Raises
    ------
    DatasetError
        If there is another code than those of `label_of_code`.
    """
    table = np.full(256, UNKNOWN, np.uint8)
    table[list(label_of_code)] = list(label_of_code.values())
    labels = table[codes]
    unknown = labels == UNKNOWN
    if unknown.any():
        row, column = first_place(unknown)
        allowed = ", ".join(str(code) for code in sorted(label_of_code))
        raise DatasetError(
            f"{path}: code {codes[row, column]} at row {row}, column {column}; "
            f"{int(unknown.sum()):,} pixels hold codes that the set does not know.",
            f"Copy the file again from its source; allowed are {allowed}.",
        )
    return labels


def refuse_unknown_frame(frames: Path, known: Container[str], name: str, kinds: Sequence[Kind], kind: Kind) -> None:
    """Refuse a frame or a kind that a recording has no truth for.

    Raises
    ------
    DatasetError
        If `name` is not in `known`, or `kind` not in `kinds`.
    """
    if name not in known:
        raise DatasetError(f"{frames}: there is no truth for frame {name}.", "Ask for one of the truth's names.")
    if kind not in kinds:
        raise DatasetError(
            f"{frames}: its truth does not tell {kind}.", f"Ask for one of what it tells: {', '.join(kinds)}."
        )


def first_place(pixels: Bool[np.ndarray, "H W"]) -> tuple[int, int]:
    """Row and column of the first pixel that is true."""
    row, column = np.unravel_index(int(np.argmax(pixels)), pixels.shape)
    return int(row), int(column)


def refuse_other_size(path: Path, codes: np.ndarray, shape: Shape) -> None:
    """Refuse truth that does not cover its frame.

    Raises
    ------
    DatasetError
        If height or width differ.
    """
    if codes.shape[:2] != shape:
        raise DatasetError(
            f"{path}: {codes.shape[1]}x{codes.shape[0]} pixels; its frame has {shape[1]}x{shape[0]}.",
            "Put frames and truth of one release together: both cropped, or both whole.",
        )


def frame_size(path: Path) -> Shape:
    """Height and width of a picture in pixels; a PNG is not decoded for it.

    Raises
    ------
    PictureError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except OSError:
        head = b""
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR" and len(head) == 24:
        width, height = struct.unpack(">II", head[16:24])
        return height, width
    rgb = read_picture(path)
    return rgb.shape[0], rgb.shape[1]
