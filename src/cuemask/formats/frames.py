"""What goes out to other programs and comes in from them: masks of frames, one at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from cuemask import __version__
from cuemask.errors import InputError
from cuemask.media.headers import allowed_megapixels

LABEL = "instrument"
MADE = f"written by cuemask {__version__}"


@dataclass(frozen=True)
class MaskFrame:
    """One frame of a run, with its mask.

    Attributes
    ----------
    clip
        The clip's name.
    name
        The frame's name in the clip.
    file
        What the frame's picture is called in other programs: its file's name, `CLIP/FILE` where the run has several.
    number
        Of a video that is the run's only clip, the frame's number in it; else the place among all frames, from 0.
    """

    clip: str
    name: str
    file: str
    number: int
    mask: Bool[np.ndarray, "H W"]

    @property
    def stem(self) -> str:
        """`file` without its ending."""
        return self.file.rpartition(".")[0]


@dataclass(frozen=True)
class ReadMask:
    """One mask that another program's file holds; `file` is what the file calls the frame, not to be trusted."""

    file: str
    mask: Bool[np.ndarray, "H W"]


def empty_mask(width_px: object, height_px: object, source: str) -> Bool[np.ndarray, "H W"]:
    """A mask of the size that a file claims.

    Raises
    ------
    InputError
        If that is no size, or more than pictures may have (`media.pictures.allow_pictures_up_to`).
    """
    try:
        width, height = int(str(width_px)), int(str(height_px))
    except ValueError:
        width = height = 0
    if width < 1 or height < 1:
        raise InputError(
            f"{source}: {width_px} by {height_px} is no size of a frame.",
            "Give each frame its width and height in pixels, and import again.",
        )
    if width * height > allowed_megapixels() * 1e6:
        raise InputError(
            f"{source}: says {width:,} by {height:,} pixels, more than the {allowed_megapixels():g} million allowed.",
            "If that is right all the same, allow it: --largest-picture MEGAPIXELS",
        )
    return np.zeros((height, width), bool)


def boxed(mask: Bool[np.ndarray, "H W"]) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of what is true, in pixels; None where nothing is."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    top, bottom = int(rows[0]), int(rows[-1])
    columns = np.flatnonzero(mask[top : bottom + 1].any(axis=0))
    left, right = int(columns[0]), int(columns[-1])
    return left, top, right - left + 1, bottom - top + 1


def malformed(source: str, why: str) -> InputError:
    """What to say of a file that is not as its format has it."""
    return InputError(f"{source}: {why}.", "Export it anew from the program that wrote it, and import that.")
