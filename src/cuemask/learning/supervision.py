"""What may stand in the place of computed anchors: true masks of some frames, or anchors that came with the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.anchors import Anchors, smooth, smoothing_factor
from cuemask.cues.clip import KeptClip, resized
from cuemask.datasets.dataset import GivenAnchors
from cuemask.errors import InputError
from cuemask.media.masks import read_mask
from cuemask.recipe import Recipe


@dataclass(frozen=True)
class Labels:
    """True masks of some frames of one clip.

    Attributes
    ----------
    names
        Of these frames.
    read
        The mask of one of them, (H, W) boolean at the frame's own size.
    codes
        The classes in one of them, (H, W), 255 for an instrument of a class that is not told; None where they tell
        masks only.
    """

    names: frozenset[str] = frozenset()
    read: Callable[[str], Bool[np.ndarray, "H W"]] = field(default=lambda name: _none(name), compare=False)
    codes: Callable[[str], UInt8[np.ndarray, "H W"]] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Supervision:
    """What is known of one clip's frames before any cue is looked at.

    Attributes
    ----------
    labels
        Frames whose anchors are their true mask and its complement (paper, section 3.3).
    given
        Anchors of other frames that came with the data, in the place of computed ones.
    classes
        What gives the class of each pixel of a frame, by its name: 0 where it is not known or there is no instrument.
        None of a frame of which nothing is known.
    """

    labels: Labels = Labels()
    given: GivenAnchors | None = None
    classes: Callable[[str], UInt8[np.ndarray, "H W"] | None] | None = field(default=None, compare=False)

    def labelled(self, kept: KeptClip) -> frozenset[int]:
        """The numbers of the clip's labelled frames."""
        return frozenset(i for i, name in enumerate(kept.names) if name in self.labels.names)

    def anchors(self, kept: KeptClip, index: int, recipe: Recipe) -> Anchors:
        """Both anchors of a frame at working size: from its mask times `losses.label_weight`, given, or computed.

        Raises
        ------
        InputError
            If a mask or anchor has not the size of its frame.
        """
        name = kept.names[index]
        if name in self.labels.names:
            mask = self.labels.read(name).astype(np.float32)
            positive = _working(_cut_out(mask, kept, f"the label of frame {name}"), kept, recipe)
            inside = np.ones_like(positive) if kept.inside is None else kept.inside.astype(np.float32)
            weight = np.float32(recipe.losses.label_weight)
            return Anchors(weight * positive, weight * (inside - positive))
        if self.given is not None and recipe.anchors.source == "given":
            return Anchors(*(_given(getattr(self.given, side)[name], kept, recipe) for side in Anchors._fields))
        return kept.anchors(index, recipe)

    def class_codes(self, kept: KeptClip, index: int, recipe: Recipe) -> UInt8[np.ndarray, "h w"]:
        """The class of each pixel at working size, of those that any class covers a part of the one that covers most.

        Raises
        ------
        InputError
            If they have not the size of their frame.
        """
        name = kept.names[index]
        codes = None if self.classes is None else self.classes(name)
        shape = (recipe.input.height_px, recipe.input.width_px)
        told, most = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
        for code in np.unique(codes[codes > 0]) if codes is not None else ():
            own = _cut_out((codes == code).astype(np.float32), kept, f"the classes of frame {name}")
            covered = _working(own, kept, recipe)
            told[covered > most] = code
            most = np.maximum(most, covered)
        return told


def _given(path: Path, kept: KeptClip, recipe: Recipe) -> Float32[np.ndarray, "h w"]:
    """Smoothed at the picture's own size, as the authors do with the very files that they released."""
    anchor = _cut_out(read_mask(path).astype(np.float32) / 255, kept, str(path))
    return _working(smooth(anchor, smoothing_factor(recipe.anchors.smoothing, len(anchor))), kept, recipe)


def _cut_out(values: Float32[np.ndarray, "H W"], kept: KeptClip, what: str) -> Float32[np.ndarray, "h w"]:
    """The part within the endoscope's picture, at the frame's own size."""
    expected = (kept.clip.height_px, kept.clip.width_px)
    if values.shape != expected and not kept.clip.sizes_vary:
        raise InputError(
            f"{kept.clip.name}: {what} is {values.shape[1]}x{values.shape[0]} pixels, its frame "
            f"{expected[1]}x{expected[0]}.",
            "Give masks of the frames' own size.",
        )
    return kept.area.of(*values.shape).crop(values)


def _working(values: Float32[np.ndarray, "H W"], kept: KeptClip, recipe: Recipe) -> Float32[np.ndarray, "h w"]:
    """Resized as the frames are; 0 outside the endoscope's picture."""
    small = resized(values, recipe.input.width_px, recipe.input.height_px)
    return small if kept.inside is None else small * kept.inside


def _none(name: str) -> Bool[np.ndarray, "H W"]:
    raise KeyError(name)
