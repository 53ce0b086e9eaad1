"""Drawn instruments pasted into real frames: exact truth, on the clip's own tissue and in its own light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from cuemask.media.threads import in_threads
from cuemask.phantom.school import Cutout, draw_foreign, draw_instrument, paste

INSTRUMENTS, FOREIGN = 128, 32  # drawn for a run
_COUNTS = (0.4, 0.4, 0.2)  # how often 1, 2 or 3 instruments are pasted into a picture
_FOREIGN_SHARE = 0.25  # of the pictures that get a needle, thread, gauze or clip as well


class Pieces(NamedTuple):
    """What may be pasted into the frames of a run."""

    instruments: Sequence[Cutout] = ()
    foreign: Sequence[Cutout] = ()


def draw_pieces(height_px: int, width_px: int, seed: int) -> Pieces:
    """Instruments, and things that are none, for pictures of this size; decided by `seed`."""
    shape = (height_px, width_px)

    def drawn(n: int) -> Cutout:
        rng = np.random.default_rng([seed, 3, n])
        return draw_instrument(rng, shape) if n < INSTRUMENTS else draw_foreign(rng, shape)

    cutouts = list(in_threads(drawn, range(INSTRUMENTS + FOREIGN)))
    return Pieces(cutouts[:INSTRUMENTS], cutouts[INSTRUMENTS:])


def pasted_at_random(
    rgb: Float32[np.ndarray, "H W 3"], pieces: Pieces, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "H W 3"], Float32[np.ndarray, "H W"], Float32[np.ndarray, "H W"]]:
    """A picture in [0, 1] with one to three instruments more.

    Returns
    -------
    The picture; how much of each pixel the instruments cover; and how much other things do.
    """
    some = rng.integers(len(pieces.instruments), size=1 + rng.choice(len(_COUNTS), p=_COUNTS))
    cutouts = [pieces.instruments[n] for n in some]
    if pieces.foreign and rng.random() < _FOREIGN_SHARE:
        cutouts.insert(int(rng.integers(len(cutouts) + 1)), pieces.foreign[int(rng.integers(len(pieces.foreign)))])
    return paste(rng, rgb, cutouts)
