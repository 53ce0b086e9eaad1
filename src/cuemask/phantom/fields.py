"""Smooth random fields: what tissue, relief and smoke are made of."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32

Shape = tuple[int, int]
Field = Float32[np.ndarray, "H W"]


def smooth_field(rng: np.random.Generator, shape: Shape, cell: float) -> Field:
    """Gaussian noise of one length scale: mean 0, standard deviation 1.

    Parameters
    ----------
    rng
        Where the noise comes from.
    shape
        Height and width in px.
    cell
        Length of the noise's waves as a share of the height; the noise does not depend on the size in px.
    """
    height, width = shape
    rows = max(2, round(1.0 / cell)) + 3
    columns = max(2, round(width / height / cell)) + 3
    field = rng.standard_normal((rows, columns)).astype(np.float32)
    while min(field.shape[0] / height, field.shape[1] / width) < 1.0:
        # Repeated pyramids converge to a B-spline: no creases that a relief would show.
        field = cv2.pyrUp(field)
    field = cv2.resize(field, (width, height), interpolation=cv2.INTER_AREA)
    return ((field - field.mean()) / (field.std() + 1e-6)).astype(np.float32)


def layered_field(rng: np.random.Generator, shape: Shape, cells: Sequence[float], fall: float = 0.5) -> Field:
    """Sum of smooth fields, each layer `fall` times as strong as the one before; standard deviation 1."""
    field = np.zeros(shape, np.float32)
    for layer, cell in enumerate(cells):
        field += np.float32(fall**layer) * smooth_field(rng, shape, cell)
    return field / np.float32(field.std() + 1e-6)


def region(field: Field, share: float, softness: float = 0.15) -> Field:
    """Soft region, 0 to 1, that covers about `share` of the picture: where `field` is highest."""
    if share <= 0.0:
        return np.zeros_like(field)
    edge = float(np.quantile(field, 1.0 - min(share, 1.0)))
    return step((field - edge) / softness + 0.5)


def step(x: Field) -> Field:
    """Smooth step: 0 below 0, 1 above 1, x^2 (3 - 2x) between."""
    x = np.clip(x, 0.0, 1.0)
    return (x * x * (3.0 - 2.0 * x)).astype(np.float32)


def mix(
    below: Float[np.ndarray, "H W 3"], above: Sequence[float] | Float[np.ndarray, "H W 3"], share: Field
) -> Float32[np.ndarray, "H W 3"]:
    """Lay the colour `above` over the picture `below` with the opacity `share`."""
    # Whole planes and rows, since numpy is slow at a last axis of 3.
    opacity = cv2.merge((share, share, share))
    color = np.asarray(above, np.float32)
    if color.ndim == 1:
        color = np.tile(color, (below.shape[1], 1))
    return (below * (1.0 - opacity) + color * opacity).astype(np.float32, copy=False)
