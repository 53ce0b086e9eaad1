"""The location cue: where in this clip instruments tend to be."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float32


class MeanMap:
    """The running mean of a clip's colour maps, c_loc = 1/T sum_t c_color,t (paper, section 2.1).

    Sums in float64, so that the order and the number of frames do not show in the result.
    """

    def __init__(self, height_px: int, width_px: int) -> None:
        self._sum = np.zeros((height_px, width_px))
        self.count = 0

    def add(self, color: Float32[np.ndarray, "H W"]) -> None:
        """Take one more frame's colour map in [0, 1]."""
        self._sum += color
        self.count += 1

    def mean(self) -> Float32[np.ndarray, "H W"]:
        """The mean in [0, 1]; zeros before any frame came."""
        return (self._sum / max(self.count, 1)).astype(np.float32)


def mean_location(colors: Iterable[Float32[np.ndarray, "H W"]]) -> Float32[np.ndarray, "H W"]:
    """The mean of a clip's colour maps (paper, section 2.1), which may come one by one.

    Parameters
    ----------
    colors
        Maps of one size in [0, 1], one at least.

    Returns
    -------
    In [0, 1].

    Raises
    ------
    ValueError
        Without any map.

    Examples
    --------
    >>> import cuemask, numpy as np
    >>> maps = [np.zeros((4, 6), np.float32), np.ones((4, 6), np.float32)]
    >>> float(cuemask.cues.location(maps)[0, 0])
    0.5
    """
    mean: MeanMap | None = None
    for color in colors:
        mean = mean or MeanMap(*color.shape)
        mean.add(color)
    if mean is None:
        raise ValueError("a mean needs at least one map")
    return mean.mean()


def gaussian_location(height_px: int, width_px: int, sigma: float = 0.25) -> Float32[np.ndarray, "H W"]:
    """A fixed centre prior for pictures that are not video (paper, section 3.5).

    Parameters
    ----------
    height_px, width_px
        Size of the map.
    sigma
        Standard deviation over the side of the picture, along each axis.

    Returns
    -------
    Two-dimensional Gaussian with 1 at the centre.

    Examples
    --------
    >>> import cuemask
    >>> prior = cuemask.cues.center(61, 81)
    >>> prior.shape, float(prior[30, 40])
    ((61, 81), 1.0)
    """
    y = (np.arange(height_px) + 0.5) / height_px - 0.5
    x = (np.arange(width_px) + 0.5) / width_px - 0.5
    return np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * sigma**2)).astype(np.float32)
