"""What is reviewed: the clips of a run, their frames as JPEG for the page, and the network's own masks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.errors import PictureError
from cuemask.media.lookup import FrameLookup
from cuemask.media.masks import read_mask

_QUALITY, _THUMB_QUALITY = 92, 75
_JPEG_BYTES = 48 << 20
_RGB_FRAMES = 4


@dataclass(frozen=True)
class ReviewClip:
    """A clip of a run.

    Attributes
    ----------
    name, source
        What its results are called, and where it was read.
    height_px, width_px
        Of its first frame.
    rate
        Frames of the source a second; None of pictures, which have no time.
    frames
        Names of the frames that have a mask, in order.
    confidences, shares
        What `confidence.csv` tells of them, 0 to 1.
    masks
        What holds the network's masks: a folder, or a film.
    opened
        Opens what gives its frames.
    """

    name: str
    source: str
    height_px: int
    width_px: int
    rate: float | None
    frames: list[str]
    confidences: Float32[np.ndarray, " n"]
    shares: Float32[np.ndarray, " n"]
    masks: Path
    opened: Callable[[], FrameLookup]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Places of the frames by their names."""
        return {name: number for number, name in enumerate(self.frames)}

    def own_mask(self, frame: str, masks: Path | None = None) -> Bool[np.ndarray, "H W"]:
        """The network's own mask, or that of another run's masks.

        Raises
        ------
        PictureError
            If it is gone or damaged.
        """
        return read_mask((self.masks if masks is None else masks) / f"{frame}.png") > 0


@dataclass
class _Kept:
    """The last pictures that were asked for, up to so many bytes."""

    most: int
    items: OrderedDict[tuple[str, str, int], bytes] = field(
        default_factory=OrderedDict[tuple[str, str, int], bytes], init=False
    )
    held: int = field(default=0, init=False)

    def add(self, key: tuple[str, str, int], data: bytes) -> None:
        if key not in self.items:
            self.items[key] = data
            self.held += len(data)
        while self.held > self.most and len(self.items) > 1:
            self.held -= len(self.items.popitem(last=False)[1])


class Pictures:
    """The frames of a run as they are asked for; memory does not grow with their number.

    Two decoders a clip: what is looked at now does not wait for what may be looked at next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decoders: dict[str, tuple[FrameLookup, FrameLookup]] = {}
        self._jpegs = _Kept(_JPEG_BYTES)
        self._rgbs: OrderedDict[tuple[str, str], UInt8[np.ndarray, "H W 3"]] = OrderedDict()

    def rgb(self, clip: ReviewClip, frame: str, *, ahead: bool = False) -> UInt8[np.ndarray, "H W 3"]:
        """A frame of a clip.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        key = clip.name, frame
        with self._lock:
            if key in self._rgbs:
                self._rgbs.move_to_end(key)
                return self._rgbs[key]
            decoder = self._decoder(clip, ahead=ahead)
        rgb = decoder.rgb(frame)
        with self._lock:
            self._rgbs[key] = rgb
            while len(self._rgbs) > _RGB_FRAMES:
                self._rgbs.popitem(last=False)
        return rgb

    def _decoder(self, clip: ReviewClip, *, ahead: bool) -> FrameLookup:
        if clip.name not in self._decoders:
            first = clip.opened()
            self._decoders[clip.name] = first, first.twin()
        return self._decoders[clip.name][ahead]

    def jpeg(self, clip: ReviewClip, frame: str, width_px: int = 0, *, ahead: bool = False) -> bytes:
        """A frame as JPEG: at its own size, or at most `width_px` wide.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        key = clip.name, frame, width_px
        with self._lock:
            if key in self._jpegs.items:
                self._jpegs.items.move_to_end(key)
                return self._jpegs.items[key]
        data = as_jpeg(self.rgb(clip, frame, ahead=ahead), width_px)
        with self._lock:
            self._jpegs.add(key, data)
        return data

    def close(self) -> None:
        """Let all files go."""
        with self._lock:
            for decoder in chain.from_iterable(self._decoders.values()):
                decoder.close()
            self._decoders.clear()


def as_jpeg(rgb: UInt8[np.ndarray, "H W 3"], width_px: int = 0) -> bytes:
    """A picture as JPEG, at most `width_px` wide where that is given.

    Raises
    ------
    PictureError
        If it cannot be encoded.
    """
    height, width = rgb.shape[:2]
    is_small = 0 < width_px < width
    if is_small:
        size = (width_px, max(1, round(height * width_px / width)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    settings = [cv2.IMWRITE_JPEG_QUALITY, _THUMB_QUALITY if is_small else _QUALITY]
    encoded, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), settings)
    if not encoded:
        raise PictureError("A frame could not be encoded as JPEG.", "See whether there is memory left.")
    return data.tobytes()
