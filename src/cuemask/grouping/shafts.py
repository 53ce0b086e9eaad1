"""Straight shafts in a mask: an axis, two straight edges that may draw together, and where they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

Point = tuple[float, float]

STEP_PX = 2.0  # between two cross-sections, and of a ray
_DIRECTIONS = 48
_MOST_STARTS = 8
_RAY_STEP_PX = 3.0
_EDGE_PX = 1.3  # how far a mask's edge may lie from a straight one, and more of wide shafts
_EDGE_SHARE = 0.05
_STEEPEST = 0.2  # an edge against the axis: nearer to the camera a shaft looks wider
_LONGEST_GAP_PX = 4.0  # of tissue on the axis: what lies behind it is no part of the same bar
_NECK = 0.6  # of the width on either side
_ENDED_WIDTHS = 0.5  # a bar that is narrower than it should be for so long has come to its end


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


class _Edges(NamedTuple):
    """Of cross-sections at `along`, where the mask ends beside the axis; see `_first_other`."""

    along: Float64[np.ndarray, " n"]
    left: Float64[np.ndarray, " n"]
    right: Float64[np.ndarray, " n"]


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
        edges = _edges(entry, direction, mask, inside, widest_px)
        fit = None if edges is None else _fit(edges)
        if fit is None:
            return shaft
        shaft = _as_shaft(entry, direction, *fit)
        entry, direction = _at_border(shaft, inside), shaft.direction
        shaft = _moved(shaft, entry)
    return shaft


def _edges(
    entry: Point,
    direction: Point,
    mask: Bool[np.ndarray, "H W"],
    inside: Bool[np.ndarray, "H W"],
    widest_px: float,
) -> _Edges | None:
    """Cut the mask across the axis, from the entry to where the axis leaves it for good."""
    height, width = mask.shape
    along = np.arange(0.0, float(np.hypot(height, width)), STEP_PX)
    aside = np.arange(-np.ceil(widest_px), np.ceil(widest_px) + 1)
    dx, dy = direction
    x = (entry[0] + along[:, None] * dx - aside[None, :] * dy).astype(np.float32)
    y = (entry[1] + along[:, None] * dy + aside[None, :] * dx).astype(np.float32)
    codes = np.where(inside, np.where(mask, 1, 0), 2).astype(np.uint8)
    cut = cv2.remap(codes, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=2)
    middle = len(aside) // 2
    seen = cut[:, middle - 1 : middle + 2] == 1
    on_axis = seen.any(axis=1)
    if not on_axis.any():
        return None
    last = _last_without_gap(on_axis)
    crosses = bool((cut[last : last + 2 + int(_LONGEST_GAP_PX / STEP_PX), middle] == 2).any())
    along, cut, on_axis = along[: last + 1], cut[: last + 1], on_axis[: last + 1]
    left = _first_other(cut[:, : middle + 1][:, ::-1])
    right = _first_other(cut[:, middle:])
    left[~on_axis], right[~on_axis] = np.nan, np.nan
    if crosses:  # up to the other side of the picture
        neck = _neck(left + right)
        along, left, right = along[:neck], left[:neck], right[:neck]
    return _Edges(along, -left, right)


def _neck(widths: Float64[np.ndarray, " n"]) -> int:
    """Where two instruments from opposite sides touch: far thinner there than at both borders; else the end."""
    count = len(widths)
    known = np.isfinite(widths)
    if count < 12 or known.sum() < 8:
        return count
    filled = np.interp(np.arange(count), np.flatnonzero(known), widths[known])
    smooth = np.convolve(np.pad(filled, 1, mode="edge"), np.full(3, 1 / 3), "valid")
    quarter, edge = count // 4, max(1, count // 10)
    thin = edge + int(smooth[edge : count - edge].argmin())
    sides = min(float(np.median(smooth[:quarter])), float(np.median(smooth[-quarter:])))
    return thin + 1 if smooth[thin] < _NECK * sides else count


def _first_other(cut: np.ndarray) -> Float64[np.ndarray, " n"]:
    """In each row from the axis outwards, where the mask ends: infinite beyond the cut, NaN where the picture ends."""
    other = cut != 1
    other[:, :2] = other[:, :2] & False
    first = other.argmax(axis=1)
    value = first.astype(np.float64) - 0.5
    value[~other.any(axis=1)] = np.inf
    value[cut[np.arange(len(cut)), first] == 2] = np.nan
    return value


def _last_without_gap(on_axis: Bool[np.ndarray, " n"]) -> int:
    """The last cut of the mask before its first gap that is too long to be bridged."""
    places = np.flatnonzero(on_axis)
    wide = np.flatnonzero(np.diff(places) * STEP_PX > _LONGEST_GAP_PX)
    return int(places[-1] if not len(wide) else places[wide[0]])


def _fit(edges: _Edges) -> tuple[tuple[float, float], tuple[float, float], float, float] | None:
    """Left and right edge, each as place at the entry and slope; how far they hold, and for what share of cuts."""
    widths = (edges.right - edges.left)[np.isfinite(edges.right - edges.left)]
    tolerance = _EDGE_PX + _EDGE_SHARE / 2 * (float(np.median(widths)) if len(widths) else 0.0)
    left, right = _line(edges.along, edges.left, tolerance), _line(edges.along, edges.right, tolerance)
    if left is None and right is None:
        return None
    # Of a shaft that lies along the picture's border only one edge is seen: the other one mirrors it at the axis.
    if left is None:
        assert right is not None
        left = (-right[0], -right[1])
    if right is None:
        right = (-left[0], -left[1])
    along = edges.along
    off_left = (left[0] + left[1] * along) - edges.left  # above 0: wider than it should be
    off_right = edges.right - (right[0] + right[1] * along)
    is_on = _holds(off_left, tolerance) & _holds(off_right, tolerance)
    width = right[0] - left[0]
    if width < 2.0 or not is_on.any():
        return None
    is_narrow = (
        (off_left < -tolerance) | (off_right < -tolerance) | ((np.isnan(edges.left) | np.isnan(edges.right)) & ~is_on)
    )
    last = _last_before_end(is_on, is_narrow, _ENDED_WIDTHS * width)
    length = float(along[last])
    narrowing = right[1] - left[1]
    if width + narrowing * length < 1.0:
        length = max(STEP_PX, (1.0 - width) / narrowing)
    return left, right, length, float(is_on[: last + 1].mean())


def _holds(off: Float64[np.ndarray, " n"], tolerance: float) -> Bool[np.ndarray, " n"]:
    """Whether an edge lies where it should; of one that is not seen nothing speaks against it."""
    return np.isnan(off) | (np.abs(off) <= tolerance)


def _last_before_end(is_on: Bool[np.ndarray, " n"], is_narrow: Bool[np.ndarray, " n"], longest_px: float) -> int:
    """The last cut that agrees with both edges, before the bar is too narrow for too long."""
    last, narrow_px = 0, 0.0
    for index in range(len(is_on)):
        if is_on[index]:
            last, narrow_px = index, 0.0
        elif is_narrow[index]:
            narrow_px += STEP_PX
            if narrow_px > longest_px:
                break
    return last


def _line(
    along: Float64[np.ndarray, " n"], aside: Float64[np.ndarray, " n"], tolerance: float
) -> tuple[float, float] | None:
    """The straight line that most points lie on, those near the entry before others; place and slope."""
    known = np.flatnonzero(np.isfinite(aside))
    if len(known) < 3:
        return None
    known = known[np.unique(np.linspace(0, len(known) - 1, 64).astype(int))]
    s, u = along[known], aside[known]
    first, second = np.triu_indices(len(known), 2)
    slope = (u[second] - u[first]) / (s[second] - s[first])
    is_possible = np.abs(slope) <= _STEEPEST
    if not is_possible.any():
        return None
    first, slope = first[is_possible], slope[is_possible]
    place = u[first] - slope * s[first]
    off = np.abs(u[None, :] - place[:, None] - slope[:, None] * s[None, :]) / tolerance
    is_near = off <= 1.0
    weight = 1.0 / (1.0 + s / max(float(s[-1]), 1.0))  # a shaft is known by where it enters
    best = int((np.maximum(1.0 - off**2, 0.0) * weight).sum(axis=1).argmax())
    chosen, place_best, slope_best = is_near[best], float(place[best]), float(slope[best])
    for share in (1.0, 0.6, 0.4):  # a head that is a little thinner must not pull the edge inwards
        nearer = chosen & (np.abs(u - place_best - slope_best * s) <= share * tolerance)
        if nearer.sum() < 3:
            break
        slope_best, place_best = (float(value) for value in np.polyfit(s[nearer], u[nearer], 1))
    return place_best, slope_best


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
