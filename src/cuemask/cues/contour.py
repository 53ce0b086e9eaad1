"""The contour cue: an instrument's region has a sharp outline all around, a patch of pale or dark tissue fades.

Regions are the connected parts of a map above each of several levels (its component tree, sampled); each is judged
by the mean gradient along its outline. Objectness (Alexe et al. 2012) asks the same of rectangles.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32

_LEVELS = 16
_LOWEST, _HIGHEST = 0.30, 0.995  # quantiles of the map between which the levels lie
_FULL = 0.1  # change of the cue a pixel, at 256 rows, that counts as 1
_SMALLEST, _LARGEST = 0.002, 0.5  # regions, in areas of the picture
_SIGMA = 1.5 / 256  # of the gradient, in heights
_RIM = 4 / 256  # beside the round picture's border no outline is trusted, in heights
_POWER = 0.25  # of the mean along an outline: near 0, the geometric mean, by which one faded stretch tells
_SHORT = 0.02  # outlines that are short beside this share of height + width count for less
_ROWS = 256  # at which larger pictures are looked at


def contour_cue(
    cue: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None = None
) -> Float32[np.ndarray, "H W"]:
    """How sharply the best outlined region around each pixel stands out of what surrounds it.

    For each of 16 levels, the 4-connected regions where `cue` is above the level and which cover 0.2 to 50 % of the
    picture are scored by the (power) mean of the gradient of `cue` along their outline; where the region meets the
    border of the picture there is no outline. A pixel takes the best score of all regions that hold it. Pictures of
    more than 256 rows are reduced to that many, the result is enlarged again.

    Parameters
    ----------
    cue
        The colour cue, in [0, 1].
    inside
        Where the endoscope's picture is; elsewhere the result is 0.

    Returns
    -------
    In [0, 1]: 1 for an outline at which the cue changes by 0.1 a pixel or more, in a picture 256 pixels high; 0
    everywhere for a constant cue.

    Examples
    --------
    >>> import cuemask, numpy as np
    >>> rgb = np.full((60, 80, 3), (180, 60, 50), np.uint8)  # tissue
    >>> rgb[20:40, :50] = 150  # and a grey tool
    >>> cue = cuemask.cues.contour(cuemask.cues.color(rgb))
    >>> bool(cue[30, 10] > 0.3), float(cue[5, 5])
    (True, 0.0)
    """
    height, width = cue.shape
    if height > _ROWS:
        return _from_small(cue, inside)
    gradient = _gradient(cue) ** _POWER
    trusted = np.ones((height, width), np.uint8) if inside is None else _core(inside, height)
    values = cue if inside is None else cue[inside]
    best = np.zeros_like(cue)
    if not values.size:
        return best
    low, high = np.quantile(values, (_LOWEST, _HIGHEST))
    for level in np.linspace(low, high, _LEVELS):
        above = (cue > level) if inside is None else (cue > level) & inside
        np.maximum(best, _scores(above.astype(np.uint8), gradient, trusted, values.size), out=best)
    return np.minimum(best * (height / 256 / _FULL), 1, dtype=np.float32)


def _from_small(cue: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None) -> Float32[np.ndarray, "H W"]:
    """The cue of a large picture from the same picture with fewer rows."""
    height, width = cue.shape
    size = (max(1, round(width * _ROWS / height)), _ROWS)
    small = cv2.resize(cue, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    within = None if inside is None else cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    found = cv2.resize(contour_cue(small, within), (width, height), interpolation=cv2.INTER_LINEAR)
    found = found.astype(np.float32, copy=False)
    return found if inside is None else np.where(inside, found, np.float32(0))


def _scores(
    above: np.ndarray, gradient: Float32[np.ndarray, "H W"], trusted: np.ndarray, picture: int
) -> Float32[np.ndarray, "H W"]:
    """For each pixel of a region the mean gradient along that region's outline."""
    height, width = above.shape
    count, labels = cv2.connectedComponents(above, connectivity=4)  # areas are quicker counted than with its statistics
    labels = labels.ravel()
    # Beyond the picture's border counts as region, so that the border is no outline.
    within = cv2.erode(above, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    outline = np.flatnonzero((above > within) & (trusted > 0))
    of = labels[outline]
    length = np.bincount(of, minlength=count)
    total = np.bincount(of, weights=gradient.ravel()[outline], minlength=count)
    score = ((total / (length + _SHORT * (height + width))) ** (1 / _POWER)).astype(np.float32)
    area = np.bincount(labels, minlength=count)
    score[(area < _SMALLEST * picture) | (area > _LARGEST * picture)] = 0
    score[0] = 0  # what is not above
    return score.take(labels, mode="clip").reshape(height, width)  # no label is out of range: `clip` saves the check


def _gradient(cue: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Length of the gradient at a small scale, the largest of each pixel's neighbourhood."""
    smooth = cv2.GaussianBlur(cue, (0, 0), max(0.5, _SIGMA * cue.shape[0]))
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    length = np.sqrt(across * across + down * down)  # cv2.magnitude rounds by where in memory its arrays lie
    return cv2.dilate(length, np.ones((3, 3), np.uint8)).astype(np.float32)


def _core(inside: Bool[np.ndarray, "H W"], height: int) -> np.ndarray:
    side = 2 * max(1, round(_RIM * height)) + 1
    return cv2.erode(inside.astype(np.uint8), np.ones((side, side), np.uint8), borderValue=1)
