"""From the cues of a frame, and what is known of its clip, to its anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from cuemask.cues.anchors import Anchors, Usual, anchors, sharpen, smoothing_factor
from cuemask.cues.motion import agreement
from cuemask.recipe import CuesRecipe, Recipe

LOOKS = frozenset({"color", "contour", "motion"})  # what a frame looks like
_AGREES = 0.3  # correlation from which on motion has its whole say
_FEWEST_ROWS = 128
_DOUBT = 0.1  # of the least contour, above it: where evidence rises from 0 to 1


class CueMaps(NamedTuple):
    """The cues of one frame, each in [0, 1]; 0 everywhere for those that the recipe does not use.

    Attributes
    ----------
    own
        Those of one's own (`cues.own`), by name.
    """

    color: Float32[np.ndarray, "H W"]
    objectness: Float32[np.ndarray, "H W"]
    location: Float32[np.ndarray, "H W"]
    contour: Float32[np.ndarray, "H W"]
    motion: Float32[np.ndarray, "H W"]
    shape: Float32[np.ndarray, "H W"]
    own: Mapping[str, Float32[np.ndarray, "H W"]] = MappingProxyType({})

    def named(self, name: str) -> Float32[np.ndarray, "H W"]:
        """The map of a cue, ours or one's own."""
        return self.own[name] if name in self.own else getattr(self, name)


class Clipwide(NamedTuple):
    """What anchors need to know of their whole clip.

    Attributes
    ----------
    usual
        Spread of the fused cues over the clip; None where each frame is split for itself.
    evidence
        From 0, nothing in the clip looks like an instrument, to 1.
    shape_say
        How far the shape cue knows the clip's instruments, 0 to 1: the share of its exponent that it keeps.
    """

    usual: Usual | None
    evidence: float
    shape_say: float = 1.0


def anchors_of(maps: CueMaps, inside: Bool[np.ndarray, "H W"] | None, recipe: Recipe, clipwide: Clipwide) -> Anchors:
    """Both anchors of a frame: what it looks like, sharpened, times objectness, location, shape and one's own cues."""
    cues, wanted = recipe.cues, recipe.anchors
    looks = fused(maps, inside, cues)
    if looks is not None and wanted.sharpness > 0:
        looks = sharpen(looks, wanted.sharpness, inside, clipwide.usual if wanted.threshold == "clip" else None)
    chosen = [] if looks is None else [(looks, 1.0)]
    for cue, values, weight in (
        ("objectness", maps.objectness, cues.objectness_weight),
        ("location", maps.location, cues.location_weight),
        ("shape", maps.shape, cues.shape_weight * clipwide.shape_say),
    ):
        if cue in cues.use:
            chosen.append((values, weight))
    chosen += [(maps.own[name], weight) for name, weight in cues.own_weights.items()]
    both = anchors(
        [cue for cue, _ in chosen],
        inside,
        weights=[weight for _, weight in chosen],
        positive_power=wanted.positive_power,
        smoothing=smoothing_factor(wanted.smoothing, recipe.input.height_px),
    )
    return both if clipwide.evidence == 1 else _doubted(both, clipwide.evidence, inside)


def fused(
    maps: CueMaps, inside: Bool[np.ndarray, "H W"] | None, recipe: CuesRecipe
) -> Float32[np.ndarray, "H W"] | None:
    """What a frame's colour, contour and motion say together: their weighted product; None if none is used.

    Motion has as much say as it agrees with the other two: none where their correlation is 0, its whole weight from
    0.3 on. A moving camera, breath or jumps between frames make flow say nothing or the contrary.
    """
    looks: np.ndarray | None = None
    for cue, weight, enough in (
        ("color", recipe.color_weight, 1.0),
        ("contour", recipe.contour_weight, recipe.contour_enough),
    ):
        if cue in recipe.use:
            values = _weighed(getattr(maps, cue), weight, enough)
            looks = values if looks is None else looks * values
    if "motion" in recipe.use:
        say = 1.0 if looks is None else float(np.clip(agreement(maps.motion, looks, inside) / _AGREES, 0, 1))
        moved = maps.motion ** np.float32(say * recipe.motion_weight)
        looks = moved if looks is None else looks * moved
    return looks


def _weighed(cue: Float32[np.ndarray, "H W"], weight: float, enough: float) -> Float32[np.ndarray, "H W"]:
    """A cue as it enters the product: 1 from `enough` on, to the power `weight`."""
    if enough < 1:
        cue = np.minimum(cue / np.float32(enough), np.float32(1))
    return cue if weight == 1 else cue ** np.float32(weight)


def judged(recipe: Recipe) -> bool:
    """Whether a clip may be found to hold no instrument: small pictures show no outlines, and lesions are not grey."""
    enough = recipe.input.height_px >= _FEWEST_ROWS
    is_instrument = recipe.cues.color_channels != "lesion"
    return recipe.anchors.least_contour > 0 and "contour" in recipe.cues.use and enough and is_instrument


def evidence_of(clearest: Sequence[float], recipe: Recipe) -> float:
    """From 0, where no frame has an outline as clear as `anchors.least_contour` wants, to 1.

    Parameters
    ----------
    clearest
        The greatest contour of some frames; the clearest tenth of them decides.
    """
    if not judged(recipe):
        return 1.0
    return _risen(clearest, recipe.anchors.least_contour, _DOUBT)


def asks_shape(recipe: Recipe) -> bool:
    """Whether the shape cue may be left out of a clip: it must be able to, and others must be there to say all."""
    return recipe.cues.least_shape > 0 and "shape" in recipe.cues.use and bool(LOOKS & set(recipe.cues.use))


def shape_say_of(clearest: Sequence[float], recipe: Recipe) -> float:
    """From 0, where shape sees no instrument in any frame as clearly as `cues.least_shape` wants, to 1.

    Parameters
    ----------
    clearest
        The greatest shape of some frames; the clearest tenth of them decides.
    """
    if not asks_shape(recipe):
        return 1.0
    return _risen(clearest, recipe.cues.least_shape, 1.0)


def _risen(clearest: Sequence[float], least: float, span: float) -> float:
    """0 where the clearest tenth stays below `least`, 1 from `span` of it above it on."""
    best = float(np.quantile(clearest, 0.9))
    return float(np.clip((best / least - 1) / span, 0, 1))


def _doubted(both: Anchors, evidence: float, inside: Bool[np.ndarray, "H W"] | None) -> Anchors:
    """Less instrument, and in the same measure background everywhere."""
    everywhere = np.float32(1) if inside is None else inside.astype(np.float32)
    share = np.float32(evidence)
    return Anchors(share * both.positive, share * both.negative + (1 - share) * everywhere)
