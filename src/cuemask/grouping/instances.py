"""One frame's mask, split into instruments.

What is known without a label: an instrument enters at the border of the endoscope's picture, its shaft is straight,
at its end is a short head that may bend and open, and a shaft that another one hides goes on behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.grouping.instrument import HEAD_WIDTHS, Instrument, numbered
from cuemask.grouping.labels import BORDER_PX, Labels, border_of, pieces, without_crumbs
from cuemask.grouping.owners import owned, whose
from cuemask.grouping.shafts import Ray, Shaft, axis_from, fitted_shaft

_SMALLEST = 0.0012  # of the picture: a part that is less is no instrument of its own
_NEW_SHARE = 0.4  # of its bar, that no other instrument has explained: else it is none
_SEEN_SHARE = 0.5  # of a bar: what shows less of it is something else on its axis
_SLIVER_WIDTHS = 0.2  # what lies so near to a bar, along most of it, is the bar's own flank
_SHORTEST_WIDTHS = 0.8  # a bar that is shorter has no direction


def instruments(
    mask: Bool[np.ndarray, "H W"],
    inside: Bool[np.ndarray, "H W"] | None = None,
    rgb: UInt8[np.ndarray, "H W 3"] | None = None,
    known: Sequence[Shaft] = (),
    before: Labels | None = None,
) -> tuple[Labels, list[Instrument]]:
    """Split a mask into instruments.

    Parameters
    ----------
    mask
        Where instruments are, of the endoscope's picture, at most about `ROWS` high (`reduced` makes it so).
    inside
        Which pixels show the picture, for round ones; None where all do.
    rgb
        The picture: where two shafts cross, the one whose edges are seen lies on top. Without it the narrower does.
    known
        Shafts as they are expected to lie, from the frames before; they are looked for first.
    before
        Where the pixels of these instruments are expected: n is that of `known[n - 1]`.

    Returns
    -------
    A label map, 0 where no instrument is, and the instruments in the order of their numbers 1, 2 ... Every pixel of
    the mask has a label, but for crumbs that nothing explains.
    """
    inside = np.ones(mask.shape, np.bool_) if inside is None else inside
    mask = mask & inside
    shafts, which = _shafts(mask, inside, known)
    if not shafts:
        return np.zeros(mask.shape, np.uint16), []
    lookup = np.zeros(len(known) + 1, np.uint16)
    for place, index in enumerate(which, 1):
        lookup[index + 1] = place
    labels = owned(mask, shafts, rgb, None if before is None else lookup[before])
    return numbered(labels, shafts, border_of(inside))


def _shafts(
    mask: Bool[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"], known: Sequence[Shaft]
) -> tuple[list[Shaft], list[int]]:
    """The shafts of a mask: those known, then what enters at the border, then what floats; and which known ones."""
    smallest = _SMALLEST * mask.size
    depth = _depth(mask, inside)
    shafts, which = _known_again(mask, inside, known, smallest / 2)
    left = without_crumbs(mask, smallest / 2)
    for shaft in shafts:
        left = _without(left, shaft, depth, inside, smallest)
    is_tried = np.zeros(mask.shape, np.bool_)
    while (start := _deepest_entry(left & ~is_tried, depth, inside)) is not None:
        run, ray = start
        is_tried |= run
        shaft = fitted_shaft(ray.start, ray.direction, mask, inside, 2.2 * ray.depth_px + 6)
        if shaft is not None and _is_new(shaft, mask, inside, left, smallest):
            shafts.append(shaft)
            left = _without(left, shaft, depth, inside, smallest)
    for part in pieces(left, smallest):
        if whose(part, shafts, mask) is None and (shaft := _floating(part, inside)) is not None:
            shafts.append(shaft)
    return shafts, which


def _known_again(
    mask: Bool[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"], known: Sequence[Shaft], smallest: float
) -> tuple[list[Shaft], list[int]]:
    """The known shafts that are still there, as they lie now, and their places in `known`."""
    shafts: list[Shaft] = []
    which: list[int] = []
    left = mask
    for index, one in enumerate(known):
        shaft = fitted_shaft(one.entry, one.direction, mask, inside, max(6.0, 1.1 * one.width))
        if shaft is not None and _is_like(shaft, one) and _is_new(shaft, mask, inside, left, smallest):
            shafts.append(shaft)
            which.append(index)
            left = left & ~shaft.band((mask.shape[0], mask.shape[1]), 2.0)
    return shafts, which


def _depth(mask: Bool[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """How far each pixel of the mask lies from the next one of tissue: the picture's border is none."""
    codes = cv2.copyMakeBorder((mask | ~inside).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(codes, cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.where(mask, np.minimum(depth, mask.shape[0] / 2), np.float32(0)).astype(np.float32)


def _deepest_entry(
    left: Bool[np.ndarray, "H W"], depth: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"]
) -> tuple[Bool[np.ndarray, "H W"], Ray] | None:
    """Of the places where the mask touches the border the one from which a ray runs deepest, with that ray."""
    count, runs, stats, _ = cv2.connectedComponentsWithStats((left & border_of(inside)).astype(np.uint8))
    best, found = 0.0, None
    deep = np.where(left, depth, np.float32(0))
    for n in range(1, count):
        if stats[n, cv2.CC_STAT_AREA] < 2 * BORDER_PX:
            continue
        run = runs == n
        rows, columns = np.nonzero(run)
        ray = axis_from(np.stack([columns, rows], axis=1).astype(np.float64), deep)
        if ray is not None and ray.weight > best:
            best, found = ray.weight, (run, ray)
    return found


def _is_like(shaft: Shaft, expected: Shaft) -> bool:
    """Whether what was found is what was expected: about as wide, and as turned."""
    cosine = shaft.direction[0] * expected.direction[0] + shaft.direction[1] * expected.direction[1]
    return cosine > 0.9 and 0.5 < shaft.width / max(expected.width, 1.0) < 2.0


def _is_new(
    shaft: Shaft,
    mask: Bool[np.ndarray, "H W"],
    inside: Bool[np.ndarray, "H W"],
    left: Bool[np.ndarray, "H W"],
    smallest: float,
) -> bool:
    """Whether a bar is long enough to be one, and explains what no other has explained."""
    if shaft.length < _SHORTEST_WIDTHS * shaft.width_at(shaft.length / 2):
        return False
    band = shaft.band((mask.shape[0], mask.shape[1]))
    seen = band & mask
    new = int((seen & left).sum())
    is_seen = int(seen.sum()) >= _SEEN_SHARE * int((band & inside).sum())
    return is_seen and new >= smallest and new >= _NEW_SHARE * int(seen.sum())


def _without(
    left: Bool[np.ndarray, "H W"],
    shaft: Shaft,
    depth: Float32[np.ndarray, "H W"],
    inside: Bool[np.ndarray, "H W"],
    smallest: float,
) -> Bool[np.ndarray, "H W"]:
    """What is left to be explained: without the shaft, slivers of its flanks, and what hangs on its end alone.

    What reaches the border and is about as thick as the shaft there is no head of it, but comes from there.
    """
    border = border_of(inside)
    shape = (left.shape[0], left.shape[1])
    band = shaft.band(shape, 2.0)
    left = left & ~band
    touching = cv2.dilate(band.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    near = shaft.band(shape, max(4.0, _SLIVER_WIDTHS * shaft.width))
    end, width = shaft.end, max(shaft.width_at(shaft.length), 0.6 * shaft.width)
    for part in pieces(left, 1.0):
        rows, columns = np.nonzero(part)
        distances = np.hypot(columns - end[0], rows - end[1])
        is_head = distances.min() <= 1.2 * width + 3 and distances.max() <= HEAD_WIDTHS * width + 3
        at_border = border[rows, columns]
        is_head &= not at_border.any() or float(depth[rows[at_border], columns[at_border]].max()) < 0.3 * width
        if touching[rows, columns].any() and (is_head or near[rows, columns].mean() > 0.5):
            left[part] = False
    return without_crumbs(left, smallest / 2)


def _floating(part: Bool[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"]) -> Shaft | None:
    """The shaft of a part that does not reach the border: along its length, from the end that lies nearer to it."""
    rows, columns = np.nonzero(part)
    centre = np.array([columns.mean(), rows.mean()])
    values, vectors = np.linalg.eigh(np.cov(np.stack([columns, rows])))
    axis = vectors[:, 1]
    half = 2 * float(np.sqrt(max(values[1], 1.0)))
    to_border = cv2.distanceTransform(
        cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0), cv2.DIST_L2, 3
    )[1:-1, 1:-1]
    ends = [centre - half * axis, centre + half * axis]
    depths = [
        to_border[np.clip(round(e[1]), 0, part.shape[0] - 1), np.clip(round(e[0]), 0, part.shape[1] - 1)] for e in ends
    ]
    if depths[1] < depths[0]:
        axis, ends = -axis, ends[::-1]
    start = (float(ends[0][0]), float(ends[0][1]))
    width = float(np.sqrt(12 * max(values[0], 0.3)))
    shaft = Shaft(start, (float(axis[0]), float(axis[1])), width, 0.0, 2 * half, 0.5)
    return shaft
