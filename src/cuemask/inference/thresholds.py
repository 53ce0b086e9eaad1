"""From probability to mask: size, refinement, threshold, small blobs."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.objectness import require_contrib
from cuemask.cues.otsu import otsu_threshold
from cuemask.errors import WeightsError
from cuemask.media.area import PictureArea
from cuemask.recipe import MasksRecipe, Recipe

_FEW_PARTS = 12
_GUIDED_EPS = 1e-3  # variance of the guide, 0 to 1, below which a neighbourhood counts as flat


def finished_probability(
    working: Float32[np.ndarray, "h w"], rgb: UInt8[np.ndarray, "H W 3"], area: PictureArea, recipe: Recipe
) -> Float32[np.ndarray, "h2 w2"]:
    """A working-size probability, enlarged and refined within the endoscope's picture; 0 outside it.

    Returns
    -------
    The endoscope's picture at `masks.height_px`, or at its own size where that is 0 or larger than the picture.

    Raises
    ------
    WeightsError
        If the probability is none: a network whose weights are damaged, or diverged, gives no numbers.
    """
    if not np.isfinite(working).all():
        raise WeightsError(
            "the model gives no numbers (NaN) where probabilities should be.", "Train it again, or give another RUN."
        )
    size = _finishing_size(area, recipe.masks)
    p = cv2.resize(working, size, interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
    if recipe.masks.refinement != "none":
        # Not by area, which costs six times as much: a guide may miss a pixel between two samples.
        guide = cv2.resize(area.crop(rgb), size, interpolation=cv2.INTER_LINEAR)
        p = refined(p, guide, recipe.masks)
    return p if area.inside is None else p * _inside(area, size)


def full_probability(
    p: Float32[np.ndarray, "h2 w2"], area: PictureArea, height_px: int, width_px: int
) -> Float32[np.ndarray, "H W"]:
    """`finished_probability` at the frame's own size: bilinear, 0 outside the endoscope's picture."""
    full = _enlarged(p, area)
    return area.paste(full if area.inside is None else full * area.inside, height_px, width_px)


def full_mask(
    p: Float32[np.ndarray, "h2 w2"], area: PictureArea, height_px: int, width_px: int, recipe: MasksRecipe
) -> Bool[np.ndarray, "H W"]:
    """The mask at the frame's own size: `finished_probability` thresholded, small blobs dropped.

    The threshold and the blobs are those at the size of `p`. Bilinear enlargement gives no value above the greatest
    around it, so that a dropped blob leaves nothing behind.
    """
    inside = None if area.inside is None else _inside(area, (p.shape[1], p.shape[0]))
    threshold = threshold_of(p, inside, recipe)
    if recipe.smallest_blob > 0:
        above = p > threshold
        kept = without_small_blobs(above, recipe.smallest_blob, recipe.blob_connectivity)
        p = p if kept is above else p * (above == kept)
    mask = _enlarged(p, area) > threshold
    return area.paste(mask if area.inside is None else mask & area.inside, height_px, width_px)


def class_codes(
    classes: Float32[np.ndarray, "C h w"], mask: Bool[np.ndarray, "H W"], area: PictureArea
) -> UInt8[np.ndarray, "H W"]:
    """The class of each pixel of a mask, from 1: the one that is most probable there; 0 outside of it.

    Parameters
    ----------
    classes
        Probability of each class at working size.
    mask
        At the frame's own size.
    area
        The endoscope's picture in it.
    """
    most = np.full((area.height_px, area.width_px), -1, np.float32)
    codes = np.zeros(most.shape, np.uint8)
    for code, p in enumerate(classes, 1):
        full = _enlarged(p, area)  # one after another: all of them at full size would be a gigabyte
        codes[full > most] = code
        np.maximum(most, full, out=most)
    return area.paste(codes, *mask.shape) * mask


def mask_of(
    p: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None, recipe: MasksRecipe
) -> Bool[np.ndarray, "H W"]:
    """Threshold a probability map within the endoscope's picture and drop small blobs."""
    mask = p > threshold_of(p, inside, recipe)
    mask = mask if inside is None else mask & inside
    return without_small_blobs(mask, recipe.smallest_blob, recipe.blob_connectivity)


def threshold_of(p: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None, recipe: MasksRecipe) -> float:
    """The recipe's threshold, to be compared with `>`.

    Otsu's is taken on the map's own histogram (paper, section 3); of a map of one level it leaves nothing.
    """
    if recipe.threshold == "otsu":
        return otsu_threshold(p if inside is None else p[inside], own_range=recipe.otsu_range == "own")
    return float(recipe.threshold)


def without_small_blobs(
    mask: Bool[np.ndarray, "H W"], smallest: float, connectivity: int = 8
) -> Bool[np.ndarray, "H W"]:
    """`mask` without its connected parts of fewer pixels than `smallest` times the picture's area.

    Parameters
    ----------
    connectivity
        8: pixels that touch at a corner are of one part; 4: only those that share a side.
    """
    if smallest <= 0 or not mask.any():
        return mask
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    labels = np.asarray(labels, np.int32)
    # Counted here: a third of the time of OpenCV's own statistics, and of few parts, one by one, a tenth.
    if count <= _FEW_PARTS:
        sizes = np.array([np.count_nonzero(labels == part) for part in range(count)])
    else:
        sizes = np.bincount(labels.ravel(), minlength=count)
    keep = sizes >= smallest * mask.size
    if keep[1:].all():
        return mask
    if np.count_nonzero(~keep) <= _FEW_PARTS:
        kept = mask.copy()
        for part in np.flatnonzero(~keep):
            kept &= labels != part
        return kept
    keep[0] = False  # the background
    return keep.take(labels, mode="clip")  # no label is out of range: `clip` saves the check


def refined(
    p: Float32[np.ndarray, "H W"], rgb: UInt8[np.ndarray, "H W 3"], recipe: MasksRecipe
) -> Float32[np.ndarray, "H W"]:
    """Probability whose edges follow those of the frame: the guided filter of He, Sun and Tang (2010).

    The radius is a fraction of the diagonal; the filter's linear coefficients are computed of every
    `refinement_step`th pixel each way and interpolated (fast guided filter, He and Sun 2015).
    """
    if recipe.refinement == "none":
        return p
    require_contrib()
    radius = max(4, round(recipe.refinement_radius * float(np.hypot(*p.shape))))
    # OpenCV counts the radius in pixels of the reduced picture. With a guide in 0 to 1 it takes the small
    # determinants of smooth neighbourhoods for zero and only blurs; in 0 to 255 it agrees with the formula.
    step = recipe.refinement_step
    out = cv2.ximgproc.guidedFilter(rgb, p, max(1, radius // step), _GUIDED_EPS * 255**2, scale=1 / step)
    return np.clip(out, 0, 1).astype(np.float32, copy=False)


def _finishing_size(area: PictureArea, recipe: MasksRecipe) -> tuple[int, int]:
    """Width and height at which probabilities are refined and thresholded."""
    if not 0 < recipe.height_px < area.height_px:
        return area.width_px, area.height_px
    return max(1, round(area.width_px * recipe.height_px / area.height_px)), recipe.height_px


def _inside(area: PictureArea, size: tuple[int, int]) -> Bool[np.ndarray, "h2 w2"]:
    assert area.inside is not None
    return cv2.resize(area.inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def _enlarged(p: Float32[np.ndarray, "h2 w2"], area: PictureArea) -> Float32[np.ndarray, "H W"]:
    return cv2.resize(p, (area.width_px, area.height_px), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
