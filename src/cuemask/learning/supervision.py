"""What may stand in the place of computed anchors: true masks of some frames, or anchors that came with the data."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.anchors import Anchors, smooth, smoothing_factor
from cuemask.cues.carrying import Carried, carried, together
from cuemask.cues.clip import KeptClip, resized, working_inside_of
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
    _numbers: dict[str, list[int]] = field(default_factory=dict[str, list[int]], repr=False, compare=False)

    def labelled(self, kept: KeptClip) -> frozenset[int]:
        """The numbers of the clip's labelled frames."""
        return frozenset(self._in_order(kept))

    def anchors(self, kept: KeptClip, index: int, recipe: Recipe) -> Anchors:
        """Both anchors of a frame at working size: from its mask times `losses.label_weight`, given, or computed.

        Raises
        ------
        InputError
            If a mask or anchor has not the size of its frame.
        """
        own = kept.inside_of(index)
        inside = np.float32(1) if own is None else own.astype(np.float32)
        weight = recipe.losses.label_weight
        if kept.names[index] in self.labels.names:
            positive = self._label(kept, index, recipe)
            return Anchors(np.float32(weight) * positive, np.float32(weight) * (inside - positive))
        computed = self._other(kept, index, recipe)
        near = self.carried(kept, index, recipe)
        if near is None:
            return computed
        background = near._replace(mask=inside - near.mask)
        return Anchors(near.over(computed.positive, weight), background.over(computed.negative, weight))

    def carried(
        self, kept: KeptClip, index: int, recipe: Recipe, picture: UInt8[np.ndarray, "h w 3"] | None = None
    ) -> Carried | None:
        """What the labels of the nearest labelled frames, one before and one after, say of a frame; None if nothing.

        A frame's own label is not asked. `picture` is the frame's, at working size; None for the one that was kept.

        Raises
        ------
        InputError
            If a mask has not the size of its frame.
        """
        if recipe.anchors.labels != "carried" or not self.labels.names:
            return None
        numbers, there = self._in_order(kept), kept.rgb[index] if picture is None else picture
        inside = working_inside_of(there, kept.area, kept.inside)
        before, after = bisect_left(numbers, index), bisect_right(numbers, index)
        near = numbers[max(before - 1, 0) : before] + numbers[after : after + 1]
        some = [carried(self._label(kept, n, recipe), kept.rgb[n], there, inside) for n in near]
        return together(some, [abs(n - index) for n in near])

    def _in_order(self, kept: KeptClip) -> list[int]:
        """Looked up once: a video may have many frames."""
        if kept.clip.name not in self._numbers:
            self._numbers[kept.clip.name] = [i for i, name in enumerate(kept.names) if name in self.labels.names]
        return self._numbers[kept.clip.name]

    def _label(self, kept: KeptClip, index: int, recipe: Recipe) -> Float32[np.ndarray, "h w"]:
        name = kept.names[index]
        mask = self.labels.read(name).astype(np.float32)
        return _working(_cut_out(mask, kept, f"the label of frame {name}"), kept.inside_of(index), recipe)

    def _other(self, kept: KeptClip, index: int, recipe: Recipe) -> Anchors:
        """Without labels: given or computed."""
        if self.given is not None and recipe.anchors.source == "given":
            name = kept.names[index]
            return Anchors(*(_given(getattr(self.given, side)[name], kept, index, recipe) for side in Anchors._fields))
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
            covered = _working(own, kept.inside_of(index), recipe)
            told[covered > most] = code
            most = np.maximum(most, covered)
        return told


def _given(path: Path, kept: KeptClip, index: int, recipe: Recipe) -> Float32[np.ndarray, "h w"]:
    """Smoothed at the picture's own size, as the authors do with the very files that they released."""
    anchor = _cut_out(read_mask(path).astype(np.float32) / 255, kept, str(path))
    return _working(
        smooth(anchor, smoothing_factor(recipe.anchors.smoothing, len(anchor))), kept.inside_of(index), recipe
    )


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


def _working(
    values: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "h w"] | None, recipe: Recipe
) -> Float32[np.ndarray, "h w"]:
    """Resized as the frames are; 0 outside the endoscope's picture."""
    small = resized(values, recipe.input.width_px, recipe.input.height_px)
    return small if inside is None else small * inside


def _none(name: str) -> Bool[np.ndarray, "H W"]:
    raise KeyError(name)
