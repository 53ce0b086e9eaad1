"""How far the outline of a mask is from the true one, in pixels.

Conventions are MONAI's `compute_surface_dice` and `compute_hausdorff_distance(percentile=95)` without subvoxels, whose
figures these are: a surface is the mask's pixels of which one of the four neighbours is outside the mask, and outside
the picture is outside the mask. (`metrics.boundary`, for the boundary F-score, has no outline at the picture's edge.)
MONAI answers masks without a surface with NaN or infinity; here every frame has finite figures, see `surface`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float64

from cuemask.evaluation.metrics import BOUNDARY_TOLERANCE, require_one_shape, squared_distances, within

SURFACE_RULE = "both empty: NSD 1, HD95 0 px; one empty: NSD 0, HD95 the picture's diagonal"


@dataclass(frozen=True)
class Tolerance:
    """How far a surface may be off and still count as right.

    Attributes
    ----------
    value
        0 or more: pixels, or a share of the picture's diagonal (0.01 is one hundredth).
    unit
        Which of the two.
    """

    value: float
    unit: Literal["px", "diagonal"] = "px"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.value) and self.value >= 0):
            raise ValueError(f"a tolerance of {self.value} is not 0 or more")

    def px(self, height_px: int, width_px: int) -> float:
        """The tolerance in a picture of this size, in pixels."""
        return self.value * float(np.hypot(height_px, width_px)) if self.unit == "diagonal" else self.value

    def __str__(self) -> str:
        return f"{100 * self.value:g} % of the diagonal" if self.unit == "diagonal" else f"{self.value:g} px"


TOLERANCE = Tolerance(BOUNDARY_TOLERANCE, "diagonal")


@dataclass(frozen=True)
class Surface:
    """Figures of one frame's surface.

    Attributes
    ----------
    nsd
        Normalised surface distance (surface Dice) at the tolerance, 0 to 1.
    hd95_px
        Hausdorff distance at the 95th percentile, in pixels, 0 to the picture's diagonal.
    """

    nsd: float
    hd95_px: float


def surface(predicted: Bool[np.ndarray, "H W"], truth: Bool[np.ndarray, "H W"], tolerance: Tolerance) -> Surface:
    """Normalised surface distance and 95 % Hausdorff distance of one frame.

    With P and T the surfaces' pixels, d(p, T) the distance of p to the nearest pixel of T and t the tolerance,
    NSD = (|{p: d(p, T) <= t}| + |{q: d(q, P) <= t}|) / (|P| + |T|) (Nikolov et al., 2021) and
    HD95 = max(95th percentile of d(p, T), 95th percentile of d(q, P)), between pixels linear. Where both masks are
    empty, NSD is 1 and HD95 0; where one of them is, NSD is 0 and HD95 the picture's diagonal, which is more than any
    two pixels are apart.

    Raises
    ------
    ValueError
        If the masks differ in shape.
    """
    require_one_shape(predicted, truth)
    diagonal_px = float(np.hypot(*truth.shape))
    if not (predicted.any() and truth.any()):
        return Surface(0.0, diagonal_px) if predicted.any() or truth.any() else Surface(1.0, 0.0)
    reach_px = tolerance.px(*truth.shape)
    there, back = _distances(predicted, truth)
    near = np.count_nonzero(within(reach_px, there)) + np.count_nonzero(within(reach_px, back))
    hd95_px = max(float(np.percentile(np.sqrt(squared), 95)) for squared in (there, back))
    return Surface(near / (there.size + back.size), hd95_px)


def _distances(
    predicted: Bool[np.ndarray, "H W"], truth: Bool[np.ndarray, "H W"]
) -> tuple[Float64[np.ndarray, " predicted"], Float64[np.ndarray, " true"]]:
    """Squared distances, in px^2, of each surface's pixels to the other's; no mask is empty."""
    left, top, width, height = cv2.boundingRect((predicted | truth).astype(np.uint8))
    cut = np.s_[top : top + height, left : left + width]  # nothing lies outside, and most of a frame is outside
    found, true = _surface_pixels(predicted[cut]), _surface_pixels(truth[cut])
    return squared_distances(true)[found], squared_distances(found)[true]


def _surface_pixels(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = cv2.erode(mask.astype(np.uint8), cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & (inner == 0)
