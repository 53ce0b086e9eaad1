"""Truth that lies beside the pictures: one mask file a frame, whose codes stand for classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from cuemask.datasets.codes import frame_size, read_labels, refuse_unknown_frame
from cuemask.datasets.dataset import Kind

Codes = Mapping[int, int]  # the class of each code that a file may hold

ABOVE_ZERO: Codes = {code: int(code > 0) for code in range(256)}
FROM_HALF: Codes = {code: int(code >= 128) for code in range(256)}


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
            If there is no such mask, it holds an unknown code, or has not the frame's size.
        """
        refuse_unknown_frame(next(iter(self.pictures.values())).parent, self.masks, name, self.kinds, kind)
        return read_labels(self.masks[name], self.codes[kind], frame_size(self.pictures[name]))


def beside(pictures: Mapping[str, Path], masks: Mapping[str, Path], codes: Mapping[Kind, Codes]) -> MaskFiles | None:
    """The truth of those pictures that have a mask of the same name; None where none has."""
    found = {name: masks[name] for name in pictures if name in masks}
    return MaskFiles(found, pictures, codes) if found else None
