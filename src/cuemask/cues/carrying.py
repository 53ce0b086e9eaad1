"""Masks carried from frames where they are known to frames beside them, as far as optical flow can be followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.flow import fetched, flow, missed_px

_RETURNS = (1.0, 0.1)  # px, and share of the flow's length, by which a pixel may miss itself, there and back
_ALIKE = 24.0  # of 255: by how much a pixel may differ from where it came from, the mean of its colours
_FOLLOWED = (0.7, 0.9)  # share of the picture that can be followed: below the first nothing is, from the second all


class Carried(NamedTuple):
    """What the masks of other frames say of a frame.

    Attributes
    ----------
    mask
        Share of each pixel that the instruments cover, as they would lie here, 0 to 1.
    trust
        How far that can be believed, 0 to 1.
    """

    mask: Float32[np.ndarray, "H W"]
    trust: Float32[np.ndarray, "H W"]

    def over(self, own: Float32[np.ndarray, "H W"], weight: float = 1.0) -> Float32[np.ndarray, "H W"]:
        """`own` where nothing is carried, the carried mask times `weight` where that can be believed."""
        return own + self.trust * (np.float32(weight) * self.mask - own)


def carried(
    mask: Float32[np.ndarray, "H W"],
    here: UInt8[np.ndarray, "H W 3"],
    there: UInt8[np.ndarray, "H W 3"],
    inside: Bool[np.ndarray, "H W"] | None = None,
) -> Carried:
    """Move the mask of the frame `here` along with what it covers to the frame `there`.

    A pixel is believed where flow forth and back agree to 1 px and a tenth of their length, and where it looks as it
    did; and all of them no more than the picture as a whole can be followed: between frames that show different things
    flow finds a way back here and there by chance (of frames 30 s apart for a quarter of the pixels, of frames up to
    0.2 s apart for nine of ten).

    Parameters
    ----------
    inside
        Where the endoscope's picture is; nothing is believed outside it.
    """
    before, after = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (here, there))
    back = flow(after, before)
    returns = missed_px(back, flow(before, after)) < _RETURNS[0] + _RETURNS[1] * np.linalg.norm(back, axis=2)
    within = np.ones(mask.shape, np.bool_) if inside is None else inside
    least, enough = _FOLLOWED
    say = min(max((float(returns[within].mean()) - least) / (enough - least), 0.0), 1.0)
    away = cv2.absdiff(fetched(here, back), there).mean(axis=2, dtype=np.float32)
    trust = np.where(returns & within & (away < _ALIKE), np.float32(say), np.float32(0))
    return Carried(fetched(mask, back), trust)


def together(some: Sequence[Carried], frames_away: Sequence[int]) -> Carried | None:
    """What several frames say of one, the nearer the more; None where none can be believed.

    The mean of the masks by trust over distance; the trust of the pixel that can be believed most.
    """
    if not any(one.trust.any() for one in some):
        return None
    weights = [one.trust / away for one, away in zip(some, frames_away, strict=True)]
    total = np.sum(weights, axis=0)
    summed = np.sum([weight * one.mask for weight, one in zip(weights, some, strict=True)], axis=0)
    mask = np.divide(summed, total, out=np.zeros_like(summed), where=total > 0)
    return Carried(mask, np.max([one.trust for one in some], axis=0))
