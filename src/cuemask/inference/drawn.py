"""A model that no run has trained: the network behind the shape cue, which has learnt from drawn scenes alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from cuemask.cues.shape import HEIGHT_PX, WIDTH_PX, shape_cue
from cuemask.recipe import DEFAULT, Recipe

DRAWN = "drawn"
"""The word that stands in the place of a run."""

RECIPE = dataclasses.replace(
    DEFAULT,
    name=DRAWN,
    input=dataclasses.replace(DEFAULT.input, height_px=HEIGHT_PX, width_px=WIDTH_PX),
    cues=dataclasses.replace(DEFAULT.cues, use=("shape",)),
)


@dataclass(frozen=True)
class DrawnModel:
    """`cues.shape.shape_cue` as a model; masks are made of its probability as `default` makes them."""

    recipe: Recipe = RECIPE
    device: str = f"opencv {cv2.__version__} cpu"
    one_core: bool = True

    def working_probability(self, pictures: UInt8[np.ndarray, "N H W 3"]) -> Float32[np.ndarray, "N H W"]:
        """Instrument probability in [0, 1]."""
        return np.stack([shape_cue(rgb) for rgb in pictures])
