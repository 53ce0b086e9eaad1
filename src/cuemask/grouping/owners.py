"""Whose each pixel of a mask is, when its shafts are known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, UInt8, UInt16

from cuemask.grouping.instrument import HEAD_WIDTHS
from cuemask.grouping.labels import Labels, pieces, spread
from cuemask.grouping.shafts import Shaft

_HIDDEN_WIDTHS = 2.0  # of its own, that another instrument may hide between a shaft and its head
_CLEARLY = 0.35  # by so much (widths, and 1 less the cosine) a part hangs rather on one end than on another
_ON_AXIS_WIDTHS = 0.8  # how far a part that was cut off may lie beside the axis of its shaft
_ON_AXIS_COSINE = 0.94


def owned(
    mask: Bool[np.ndarray, "H W"],
    shafts: Sequence[Shaft],
    rgb: UInt8[np.ndarray, "H W 3"] | None,
    before: Labels | None,
) -> Labels:
    """Whose each pixel is: shafts first, then what hangs on their ends, then the rest.

    Parameters
    ----------
    before
        n + 1 where the pixels of `shafts[n]` are expected.

    Returns
    -------
    n + 1 where the pixels of `shafts[n]` are.
    """
    shape = (mask.shape[0], mask.shape[1])
    bands = [shaft.band(shape) & mask for shaft in shafts]
    labels = np.zeros(shape, np.uint16)
    for value in reversed(stacked(shafts, bands, rgb)):  # the lowest first
        labels[bands[value]] = value + 1
    between = np.zeros(shape, np.uint16)  # heads that touch each other
    parts = pieces(mask & (labels == 0), 1.0)
    ends = [_by_ends(part, shafts, mask) for part in parts]
    headed = {hangs_on[0][1] for hangs_on in ends if hangs_on}
    for part, hangs_on in zip(parts, ends, strict=True):
        owners = [index for cost, index in hangs_on if cost <= hangs_on[0][0] + _CLEARLY or index not in headed]
        was = _owner_before(part, before)
        if was is not None and not hangs_on:
            owners = [was]
        if len(owners) == 1:
            labels[part] = owners[0] + 1
        elif owners:
            between[part] = _shared(part, [(owner, shafts[owner]) for owner in owners], before)[part]
    if between.any():
        free = mask & (labels == 0)
        between = spread(between, free, max(shape))
        labels[free] = between[free]
    labels = spread(labels, mask, max(shape))
    for part in pieces(mask & (labels == 0), 1.0):
        owner = whose(part, shafts, mask)
        if owner is not None:
            labels[part] = owner + 1
    return labels


def _shared(
    part: Bool[np.ndarray, "H W"], owners: Sequence[tuple[int, Shaft]], before: Labels | None
) -> UInt16[np.ndarray, "H W"]:
    """Seeds in a part that several heads make up: what was theirs and still hangs on their ends, else the ends."""
    shape = (part.shape[0], part.shape[1])
    seeds = np.zeros(shape, np.uint16)
    for owner, shaft in owners:
        zone = _end_zone(shaft, shape)
        if before is None:
            seeds[zone & part] = owner + 1
            continue
        own = part & (before == owner + 1)
        _, pieces = cv2.connectedComponents((own | zone).astype(np.uint8))
        kept = np.unique(pieces[zone])
        seeds[own & np.isin(pieces, kept[kept > 0])] = owner + 1
    for owner, shaft in owners:
        if not (seeds == owner + 1).any():
            seeds[_end_zone(shaft, shape) & part & (seeds == 0)] = owner + 1
    return seeds


def _owner_before(part: Bool[np.ndarray, "H W"], before: Labels | None) -> int | None:
    """Whose most of a part was in the frame before."""
    if before is None:
        return None
    counts = np.bincount(before[part], minlength=1)
    value = int(counts.argmax())
    return value - 1 if value > 0 and counts[value] > 0.6 * counts.sum() else None


def _end_zone(shaft: Shaft, shape: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(x - shaft.end[0], y - shaft.end[1]) <= 0.9 * shaft.width_at(shaft.length) + 3


def _by_ends(
    part: Bool[np.ndarray, "H W"], shafts: Sequence[Shaft], mask: Bool[np.ndarray, "H W"]
) -> list[tuple[float, int]]:
    """The shafts whose ends a part may hang on, seen or behind another instrument, the likeliest first.

    Each with how far the part lies from its end, in widths, and 1 less the cosine by which it lies beside the axis.
    """
    rows, columns = np.nonzero(part)
    near: list[tuple[float, int]] = []
    too_far: list[tuple[float, int]] = []
    reach = 0.0
    for index, shaft in enumerate(shafts):
        (x, y), width = shaft.end, max(shaft.width_at(shaft.length), 0.6 * shaft.width, 3.0)
        distances = np.hypot(columns - x, rows - y)
        nearest = int(distances.argmin())
        away = max(0.0, float(distances[nearest]) - 0.5 * width) / width
        is_ahead = (columns[nearest] - x) * shaft.direction[0] + (rows[nearest] - y) * shaft.direction[1] > -0.7 * width
        if away <= _HIDDEN_WIDTHS and is_ahead:
            steps = np.linspace(0, 1, 12)
            column = np.clip(np.rint(x + steps * (columns[nearest] - x)), 0, mask.shape[1] - 1).astype(int)
            row = np.clip(np.rint(y + steps * (rows[nearest] - y)), 0, mask.shape[0] - 1).astype(int)
            if mask[row, column].mean() > 0.8:
                ahead = np.array([columns.mean() - x, rows.mean() - y])
                cosine = float(ahead @ np.array(shaft.direction)) / max(float(np.linalg.norm(ahead)), 1.0)
                is_within = distances.max() <= HEAD_WIDTHS * width + 3
                (near if is_within else too_far).append((away + 1.0 - cosine, index))
                reach += HEAD_WIDTHS * width if away < _CLEARLY else 0.0
    longest = float(np.hypot(np.ptp(columns), np.ptp(rows)))
    if len(near) + len(too_far) > 1 and longest <= reach + 3:  # heads that touch, together longer than one may be
        near += too_far
    return sorted(near)


def whose(part: Bool[np.ndarray, "H W"], shafts: Sequence[Shaft], mask: Bool[np.ndarray, "H W"]) -> int | None:
    """The shaft on whose end or axis a part without an entry lies, which something hides in between; else None."""
    hangs_on = _by_ends(part, shafts, mask)
    if hangs_on:
        return hangs_on[0][1]
    rows, columns = np.nonzero(part)
    (x, y), spread_of = (columns.mean(), rows.mean()), np.cov(np.stack([columns, rows])) if len(rows) > 2 else np.eye(2)
    values, vectors = np.linalg.eigh(spread_of)
    is_long = values[1] > 6 * max(values[0], 0.5)
    best, found = np.inf, None
    for index, shaft in enumerate(shafts):
        along = (x - shaft.entry[0]) * shaft.direction[0] + (y - shaft.entry[1]) * shaft.direction[1]
        aside = abs((y - shaft.entry[1]) * shaft.direction[0] - (x - shaft.entry[0]) * shaft.direction[1])
        width = shaft.width_at(min(along, shaft.length))
        cosine = abs(float(vectors[0, 1] * shaft.direction[0] + vectors[1, 1] * shaft.direction[1]))
        off_axis = aside / width
        near = float(np.hypot(columns - shaft.end[0], rows - shaft.end[1]).min())
        is_as_wide = 3.5 * float(np.sqrt(max(values[0], 0.1))) >= 0.25 * width
        is_beyond = along > 0 and (along > 0.9 * shaft.length)
        is_on = off_axis <= _ON_AXIS_WIDTHS and is_beyond and is_as_wide and (not is_long or cosine >= _ON_AXIS_COSINE)
        is_head = near <= 1.5 * width and not is_long
        if (is_on or is_head) and min(off_axis, near / width) < best:
            best, found = min(off_axis, near / width), index
    return found


def stacked(
    shafts: Sequence[Shaft], bands: Sequence[Bool[np.ndarray, "H W"]], rgb: UInt8[np.ndarray, "H W 3"] | None
) -> list[int]:
    """Shafts from the one on top to the lowest, by whose edges are seen where they cross."""
    order = sorted(range(len(shafts)), key=lambda n: shafts[n].width)
    if rgb is None:
        return order
    strength = None
    for i in range(len(order)):
        for j in range(i + 1, len(order)):
            shared = bands[order[i]] & bands[order[j]]
            if shared.any():
                strength = _gradient(rgb) if strength is None else strength
                if _edge(strength, shafts[order[j]], shared) > _edge(strength, shafts[order[i]], shared):
                    order[i], order[j] = order[j], order[i]
    return order


def _gradient(rgb: UInt8[np.ndarray, "H W 3"]) -> tuple[np.ndarray, np.ndarray]:
    smooth = cv2.GaussianBlur(rgb, (0, 0), 1.0).astype(np.float32)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    return x, y


def _edge(gradient: tuple[np.ndarray, np.ndarray], shaft: Shaft, shared: Bool[np.ndarray, "H W"]) -> float:
    """How strongly the picture changes across a shaft's edges, within the pixels that two shafts share."""
    along, aside = shaft.coordinates((shared.shape[0], shared.shape[1]))
    half = np.maximum(shaft.width + shaft.taper * along, 1.0) / 2
    on_edge = cv2.dilate(shared.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & (
        np.abs(np.abs(aside) - half) <= 1.5
    )
    if on_edge.sum() < 4:
        return 0.0
    dx, dy = shaft.direction
    across = np.abs(gradient[1] * dx - gradient[0] * dy).sum(axis=2) if gradient[0].ndim == 3 else 0.0
    return float(np.mean(np.asarray(across)[on_edge]))
