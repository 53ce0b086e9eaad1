"""Frames filmed outside the body, told from the rest of their clip by colour, light and texture, with nothing labelled.

Lit tissue, even pale or grey, shows some red or yellow somewhere; cloth, gloves, metal, cards and black do not. How
much of it a clip's pictures show is measured on some of its frames, and a frame counts as outside only where next to
nothing of that is left, and what is left is not tissue seen through smoke. A clip that shows little of it throughout,
or is too short to tell, loses no frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.media.frames import Frame

SAMPLED = 24  # frames of a clip, from which it is learnt what the others are held against
FEWEST = 8  # of them, for a clip to be judged
_ROWS, _COLUMNS = 80, 112  # at which a picture is looked at, if it is not smaller
_LIT = 12  # brightest channel, 0 to 255, below which a pixel has no colour
_RED, _WARM = 0.15, 0.25  # red over the next channel, red over blue; shares of the brightest channel
_USUAL = 0.4  # share of tissue that the usual frame of a clip has to show
_LEAST = 0.03  # share of tissue, in the usual one of the clip, below which a frame may be outside
_REDDER = 0.05  # from which on grey is tissue, be it pale
# Grey, of no lower tint, that has less contrast and whose tint spreads more, also in levels, is smoke before tissue.
_HAZE_TINT, _HAZE_CONTRAST, _HAZE_SPREAD, _HAZE_LEVELS = -0.2, 0.3, 0.03, 5.0
# A trocar's end lies in the middle: where all around it is lit wall, tissue seen through it does not count.
_END, _WALL_LIT = 0.3, 0.8  # its radius, of the picture's height; share of the wall that is lit


class Look(NamedTuple):
    """What a frame is judged by; tint is red over the stronger of green and blue, in shares of the brightest channel.

    Attributes
    ----------
    tissue
        Share of the picture with the colour of tissue: red, or yellow as fat is.
    lit
        Share of the picture that is.
    coldest, redder, reddest
        Tints of the lit pixels: 5, 90 and 95 % of them have less.
    levels
        Between the first and last of these in what tint is a share of, 0 to 255.
    contrast
        Deviation of their lightness over its mean.
    """

    tissue: float
    lit: float
    coldest: float
    redder: float
    reddest: float
    levels: float
    contrast: float


@dataclass(frozen=True)
class Outside:
    """Tells the frames of one clip that were filmed outside the body.

    Attributes
    ----------
    least
        Share of tissue below which a frame may be outside; 0 where the clip cannot be judged.
    """

    least: float = 0.0

    def holds(self, rgb: UInt8[np.ndarray, "H W 3"], inside: Bool[np.ndarray, "H W"] | None) -> bool:
        """Whether a picture was filmed outside; sizes as of `look_of`."""
        if self.least == 0:
            return False
        tints = _tints_of(rgb, inside)
        if self._is_bare(tints):
            return True
        around = _tints_of(rgb, _around(rgb.shape[0], rgb.shape[1], inside))
        return around.lit > _WALL_LIT and self._is_bare(around)

    def _is_bare(self, tints: _Tints) -> bool:
        if tints.tissue >= self.least:  # nearly all frames: what they look like besides costs more to tell
            return False
        look = tints.look
        return look.redder < _REDDER and not _is_hazy(look)


def outside_of(pictures: Iterable[UInt8[np.ndarray, "H W 3"]], inside: Bool[np.ndarray, "H W"] | None) -> Outside:
    """What frames of a clip are held against.

    Parameters
    ----------
    pictures
        Some frames spread over the clip, at working size.
    inside
        Where the endoscope's picture is; None for everywhere.
    """
    tissue = [look_of(rgb, inside).tissue for rgb in pictures]
    usual = float(np.median(tissue)) if len(tissue) >= FEWEST else 0.0
    return Outside(_LEAST * usual) if usual >= _USUAL else Outside()


def look_of(rgb: UInt8[np.ndarray, "H W 3"], inside: Bool[np.ndarray, "H W"] | None) -> Look:
    """How a picture at working size looks; `inside` is where the endoscope's picture is, None for everywhere."""
    return _tints_of(rgb, inside).look


@dataclass(frozen=True)
class _Tints:
    """Of the lit pixels lightness, tint and the tint's levels; shares of the picture that are tissue, and lit."""

    lightness: Float32[np.ndarray, " n"]
    tint: Float32[np.ndarray, " n"]
    more: Float32[np.ndarray, " n"]
    tissue: float
    lit: float

    @property
    def look(self) -> Look:
        if not self.lightness.size:
            return Look(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        coldest, redder, reddest = (float(value) for value in np.quantile(self.tint, (0.05, 0.9, 0.95)))
        low, high = (float(value) for value in np.quantile(self.more, (0.05, 0.95)))
        contrast = float(self.lightness.std() / self.lightness.mean())
        return Look(self.tissue, self.lit, coldest, redder, reddest, high - low, contrast)


def _tints_of(rgb: UInt8[np.ndarray, "H W 3"], inside: Bool[np.ndarray, "H W"] | None) -> _Tints:
    size = (min(_COLUMNS, rgb.shape[1]), min(_ROWS, rgb.shape[0]))
    red, green, blue = cv2.split(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32))
    seen = np.ones(red.shape, np.bool_)
    if inside is not None:
        seen = cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    brightest = np.maximum(np.maximum(red, green), blue)
    lit = seen & (brightest >= _LIT)
    lightness, more = brightest[lit], (red - np.maximum(green, blue))[lit]
    tint, warmth = more / lightness, (red - blue)[lit] / lightness
    tissue = int(np.count_nonzero((tint >= 0) & ((tint > _RED) | (warmth > _WARM))))
    pixels = max(1, int(np.count_nonzero(seen)))
    return _Tints(lightness, tint, more, tissue / pixels, lightness.size / pixels)


def _is_hazy(look: Look) -> bool:
    is_grey = look.coldest > _HAZE_TINT and look.contrast < _HAZE_CONTRAST
    return is_grey and look.reddest - look.coldest > _HAZE_SPREAD and look.levels > _HAZE_LEVELS


def _around(height: int, width: int, inside: Bool[np.ndarray, "H W"] | None) -> Bool[np.ndarray, "H W"]:
    """All of the picture but its middle."""
    y, x = np.ogrid[:height, :width]
    outer = np.hypot(y - height / 2, x - width / 2) > _END * height
    return outer if inside is None else outer & inside


@dataclass(frozen=True)
class Stretch:
    """Frames filmed outside that follow each other.

    Attributes
    ----------
    first, last
        Names of its first and last frame.
    first_number, last_number
        Their numbers in the source.
    frames
        How many they are.
    first_seconds, last_seconds
        Times of the first and last frame in the source; None of pictures.
    """

    first: str
    last: str
    first_number: int
    last_number: int
    frames: int
    first_seconds: float | None
    last_seconds: float | None


class Stretches:
    """Gathers what is outside of a clip whose frames are told in their order; memory grows with the stretches only."""

    def __init__(self) -> None:
        self.items: list[Stretch] = []
        self._goes_on = False

    def add(self, frame: Frame, *, is_outside: bool) -> None:
        """Take in the clip's next frame."""
        name, number, time = frame.name, frame.index, frame.time_seconds
        if is_outside and self._goes_on:
            last = self.items[-1]
            self.items[-1] = replace(last, last=name, last_number=number, last_seconds=time, frames=last.frames + 1)
        elif is_outside:
            self.items.append(Stretch(name, name, number, number, 1, time, time))
        self._goes_on = is_outside


def as_values(stretches: Iterable[Stretch]) -> list[dict[str, Any]]:
    """In JSON's types."""
    return [asdict(stretch) for stretch in stretches]
