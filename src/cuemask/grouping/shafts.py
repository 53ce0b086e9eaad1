"""Straight shafts in a mask: an axis, two straight edges that may draw together, and where they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from cuemask.grouping.edges import edges_of, straight_edges

Point = tuple[float, float]
_DIRECTIONS = 48
_MOST_STARTS = 8
_RAY_STEP_PX = 3.0


@dataclass(frozen=True)
class Shaft:
    """A straight bar that begins at the picture's border.

    Attributes
    ----------
    entry
        Where its axis begins, x and y in px.
    direction
        Unit vector along the axis, from the entry inwards.
    width, taper
        Its width at the entry in px, and by how much it grows with each px inwards (below 0: it draws together).
    length
        How far its edges stay straight, in px.
    share
        Of the cross-sections up to there, the share whose two edges lie where straight ones would, 0 to 1.
    """

    entry: Point
    direction: Point
    width: float
    taper: float
    length: float
    share: float

    def width_at(self, along: float) -> float:
        """Width in px, `along` px from the entry."""
        return max(1.0, self.width + self.taper * along)

    @property
    def end(self) -> Point:
        """Where its straight part ends."""
        return (
            self.entry[0] + self.length * self.direction[0],
            self.entry[1] + self.length * self.direction[1],
        )

    def coordinates(self, shape: tuple[int, int]) -> tuple[Float32[np.ndarray, "H W"], Float32[np.ndarray, "H W"]]:
        """Of each pixel, how far it lies along the axis from the entry and how far to its right, in px."""
        y, x = np.ogrid[: shape[0], : shape[1]]
        dx, dy = np.float32(self.direction[0]), np.float32(self.direction[1])
        from_x, from_y = (
            x.astype(np.float32) - np.float32(self.entry[0]),
            y.astype(np.float32) - np.float32(self.entry[1]),
        )
        return from_x * dx + from_y * dy, from_y * dx - from_x * dy

    def band(self, shape: tuple[int, int], margin_px: float = 1.0) -> Bool[np.ndarray, "H W"]:
        """The pixels between its edges, from the border to where it ends."""
        along, aside = self.coordinates(shape)
        half = np.maximum(np.float32(self.width) + np.float32(self.taper) * along, 1.0) / 2 + np.float32(margin_px)
        return (np.abs(aside) <= half) & (along <= np.float32(self.length))


class Ray(NamedTuple):
    """A ray through a mask.

    Attributes
    ----------
    start, direction
        Where it enters, and its unit vector, x and y.
    depth_px
        How far from the mask's edges it runs, about: half the width of what it runs through.
    weight
        The sum of these distances along it.
    """

    start: Point
    direction: Point
    depth_px: float
    weight: float


def axis_from(starts: Float64[np.ndarray, "n 2"], depth: Float32[np.ndarray, "H W"]) -> Ray | None:
    """The ray from one of `starts` that runs deepest through a mask.

    Parameters
    ----------
    starts
        Points x, y at the picture's border.
    depth
        How far each pixel lies from the next one beside the mask, in px; 0 beside it and outside the picture.

    Returns
    -------
    The ray; None if none runs through the mask.
    """
    chosen = starts[np.unique(np.linspace(0, len(starts) - 1, _MOST_STARTS).astype(int))].astype(np.float32)
    angles = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    reach = np.arange(0.0, float(np.hypot(*depth.shape)), _RAY_STEP_PX, dtype=np.float32)
    rays = directions[:, None, :] * reach[None, :, None]
    x = (chosen[:, 0, None, None] + rays[None, ..., 0]).reshape(-1, len(reach))
    y = (chosen[:, 1, None, None] + rays[None, ..., 1]).reshape(-1, len(reach))
    values = cv2.remap(depth, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    values *= np.logical_and.accumulate(values > 0, axis=1)
    best = int(values.sum(axis=1).argmax())
    deep = values[best][values[best] > 0]
    if not len(deep):
        return None
    start, direction = chosen[best // _DIRECTIONS], directions[best % _DIRECTIONS]
    return Ray(
        (float(start[0]), float(start[1])),
        (float(direction[0]), float(direction[1])),
        float(np.percentile(deep, 80)),
        float(deep.sum() * _RAY_STEP_PX),
    )


def fitted_shaft(
    entry: Point,
    direction: Point,
    mask: Bool[np.ndarray, "H W"],
    inside: Bool[np.ndarray, "H W"],
    widest_px: float,
    rounds: int = 3,
) -> Shaft | None:
    """The straight bar of `mask` about an axis that is known roughly; None where there is none.

    Each round cuts the mask across the axis, finds the two straight edges that most cuts agree with, and takes the
    middle between them as the next axis. Cuts that another instrument widens agree with neither.
    """
    shaft = None
    for _ in range(rounds):
        edges = edges_of(entry, direction, mask, inside, widest_px)
        fit = None if edges is None else straight_edges(edges)
        if fit is None:
            return shaft
        shaft = _as_shaft(entry, direction, *fit)
        entry, direction = _at_border(shaft, inside), shaft.direction
        shaft = _moved(shaft, entry)
    return shaft


def _as_shaft(
    entry: Point,
    direction: Point,
    left: tuple[float, float],
    right: tuple[float, float],
    length: float,
    share: float,
) -> Shaft:
    """The bar between two edges that were measured from a first axis."""
    shift, turn = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
    dx, dy = direction
    turned = np.array([dx - turn * dy, dy + turn * dx])
    turned /= np.linalg.norm(turned)
    start = (entry[0] - shift * dy, entry[1] + shift * dx)
    return Shaft(start, (float(turned[0]), float(turned[1])), right[0] - left[0], right[1] - left[1], length, share)


def _at_border(shaft: Shaft, inside: Bool[np.ndarray, "H W"]) -> Point:
    """Where the axis enters the picture: the last place before its start that still lies inside, or the first after."""
    height, width = inside.shape
    reach = np.arange(-float(np.hypot(height, width)), 2 * float(np.hypot(height, width)), 1.0)
    x = shaft.entry[0] + reach * shaft.direction[0]
    y = shaft.entry[1] + reach * shaft.direction[1]
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    is_in = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    is_in[is_in] = inside[row[is_in], column[is_in]]
    if not is_in.any():
        return shaft.entry
    first = int(np.flatnonzero(is_in)[0])
    return float(x[first]), float(y[first])


def _moved(shaft: Shaft, entry: Point) -> Shaft:
    """The same bar, told from another place on its axis."""
    back = (entry[0] - shaft.entry[0]) * shaft.direction[0] + (entry[1] - shaft.entry[1]) * shaft.direction[1]
    return Shaft(
        entry,
        shaft.direction,
        max(1.0, shaft.width + shaft.taper * back),
        shaft.taper,
        max(1.0, shaft.length - back),
        shaft.share,
    )
