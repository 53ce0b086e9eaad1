"""Cuts across a bar of a mask: where it ends on both sides, and the straight edges that most cuts agree with."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float64

STEP_PX = 2.0  # between two cross-sections, and of a ray
_LINE_POINTS = 40  # of an edge, that lines are laid through by twos
_EDGE_PX = 1.3  # how far a mask's edge may lie from a straight one, and more of wide shafts
_EDGE_SHARE = 0.05
_STEEPEST = 0.2  # an edge against the axis: nearer to the camera a shaft looks wider
_LONGEST_GAP_PX = 4.0  # of tissue on the axis: what lies behind it is no part of the same bar
_NECK = 0.6  # of the width on either side
_ENDED_WIDTHS = 0.5  # a bar that is narrower than it should be for so long has come to its end


class Edges(NamedTuple):
    """Of cross-sections at `along`, where the mask ends beside the axis; see `_first_other`."""

    along: Float64[np.ndarray, " n"]
    left: Float64[np.ndarray, " n"]
    right: Float64[np.ndarray, " n"]


def edges_of(
    entry: tuple[float, float],
    direction: tuple[float, float],
    mask: Bool[np.ndarray, "H W"],
    inside: Bool[np.ndarray, "H W"],
    widest_px: float,
) -> Edges | None:
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
    return Edges(along, -left, right)


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


def straight_edges(edges: Edges) -> tuple[tuple[float, float], tuple[float, float], float, float] | None:
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
    known = known[np.unique(np.linspace(0, len(known) - 1, _LINE_POINTS).astype(int))]
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
        place_best, slope_best = _straight(s[nearer], u[nearer])
    return place_best, slope_best


def _straight(s: Float64[np.ndarray, " n"], u: Float64[np.ndarray, " n"]) -> tuple[float, float]:
    """The line of least squares: place and slope."""
    off = s - s.mean()
    slope = float(off @ u / max(float(off @ off), 1e-9))
    return float(u.mean()) - slope * float(s.mean()), slope
