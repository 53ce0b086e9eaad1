"""From probability to mask: size, refinement, threshold, small blobs."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.objectness import require_contrib
from cuemask.cues.otsu import otsu_threshold
from cuemask.media.area import PictureArea
from cuemask.recipe import MasksRecipe, Recipe

_GUIDED_EPS = 1e-3  # variance of the guide, 0 to 1, below which a neighbourhood counts as flat


def full_probability(
    working: Float32[np.ndarray, "h w"], rgb: UInt8[np.ndarray, "H W 3"], area: PictureArea, recipe: Recipe
) -> Float32[np.ndarray, "H W"]:
    """A working-size probability at the frame's own size: bilinear, refined, 0 outside the endoscope's picture."""
    size = (area.width_px, area.height_px)
    p = cv2.resize(working, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    p = refined(p, np.ascontiguousarray(area.crop(rgb)), recipe.masks)
    if area.inside is not None:
        p = np.where(area.inside, p, np.float32(0))
    return area.paste(p, rgb.shape[0], rgb.shape[1])


def full_mask(p: Float32[np.ndarray, "H W"], area: PictureArea, recipe: Recipe) -> np.ndarray:
    """The mask of a full-size probability map, thresholded within the endoscope's picture."""
    mask = mask_of(np.ascontiguousarray(area.crop(p)), area.inside, recipe.masks)
    return area.paste(mask, p.shape[0], p.shape[1])


def mask_of(
    p: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None, recipe: MasksRecipe
) -> Bool[np.ndarray, "H W"]:
    """Threshold a probability map within the endoscope's picture and drop small blobs.

    Otsu's threshold is taken on the map's own 8-bit histogram (paper, section 3); a map of one level gives an
    empty mask.
    """
    if recipe.threshold == "otsu":
        threshold = otsu_threshold(p if inside is None else p[inside])
    else:
        threshold = float(recipe.threshold)
    mask = p > threshold
    if inside is not None:
        mask &= inside
    return without_small_blobs(mask, recipe.smallest_blob)


def without_small_blobs(mask: Bool[np.ndarray, "H W"], smallest: float) -> Bool[np.ndarray, "H W"]:
    """`mask` without its 8-connected parts of fewer pixels than `smallest` times the picture's area."""
    if smallest <= 0 or not mask.any():
        return mask
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep: np.ndarray = stats[:, cv2.CC_STAT_AREA] >= smallest * mask.size
    keep[0] = False  # the background
    return keep[labels.astype(np.intp)]


def refined(
    p: Float32[np.ndarray, "H W"], rgb: UInt8[np.ndarray, "H W 3"], recipe: MasksRecipe
) -> Float32[np.ndarray, "H W"]:
    """Probability whose edges follow those of the frame: the guided filter of He, Sun and Tang (2010).

    The radius is a fraction of the diagonal; the filter works at half the size (fast guided filter).
    """
    if recipe.refinement == "none":
        return p
    require_contrib()
    radius = max(4, round(recipe.refinement_radius * float(np.hypot(*p.shape))))
    # OpenCV counts the radius in pixels of the reduced picture. With a guide in 0 to 1 it takes the small
    # determinants of smooth neighbourhoods for zero and only blurs; in 0 to 255 it agrees with the formula.
    out = cv2.ximgproc.guidedFilter(rgb, p, radius // 2, _GUIDED_EPS * 255**2, scale=0.5)
    return np.clip(out, 0, 1).astype(np.float32)
