"""One frame's mask, split into instruments.

What is known without a label: an instrument enters at the border of the endoscope's picture, its shaft is straight,
at its end is a short head that may bend and open, and a shaft that another one hides goes on behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt16

from cuemask.grouping.shafts import Point, Ray, Shaft, axis_from, fitted_shaft

Labels = UInt16[np.ndarray, "H W"]

ROWS = 256  # instruments are told apart in masks of at most so many rows
_EDGE_PX = 2  # at that size, how far a full mask may reach beyond its reduced one
_BORDER_PX = 3  # at that size, how far from the border a mask counts as touching it
_SMALLEST = 0.0012  # of the picture: a part that is less is no instrument of its own
_NEW_SHARE = 0.4  # of its bar, that no other instrument has explained: else it is none
_SLIVER_WIDTHS = 0.2  # what lies so near to a bar, along most of it, is the bar's own flank
_HIDDEN_WIDTHS = 2.0  # of its own, that another instrument may hide between a shaft and its head
_CLEARLY = 0.35  # by so much (widths, and 1 less the cosine) a part hangs rather on one end than on another
_HEAD_WIDTHS = 5.0  # how far a head reaches beyond its shaft, in widths
_SHORTEST_WIDTHS = 0.8  # a bar that is shorter has no direction
_ON_AXIS_WIDTHS = 0.8  # how far a part that was cut off may lie beside the axis of its shaft
_ON_AXIS_COSINE = 0.94


@dataclass(frozen=True)
class Instrument:
    """One instrument of one frame. Places are x and y in px, from the picture's upper left corner.

    Attributes
    ----------
    number
        Its value in the label map, from 1.
    box
        x0, y0, x1, y1 of the smallest box around it; the last two are one past it.
    area_px
        Its pixels.
    shaft
        Where it enters, its direction, width and length.
    width_px
        Width of its shaft where its head begins; over a track, the mean of the frames so far.
    tips
        One or two places that lie farthest in, along its axis and its bent head; two of an open jaw.
    confidence
        0 to 1: how much of it lies where a straight shaft with a short head has to lie.
    """

    number: int
    box: tuple[int, int, int, int]
    area_px: int
    shaft: Shaft
    width_px: float
    tips: tuple[Point, ...]
    confidence: float


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
    labels = _labelled(mask, shafts, rgb, None if before is None else lookup[before])
    return numbered(labels, shafts)


def reduced(mask: Bool[np.ndarray, "H W"], rows: int = ROWS) -> Bool[np.ndarray, "h w"]:
    """The mask at `rows` rows, or as it is where it has no more."""
    height, width = mask.shape
    if height <= rows:
        return mask
    size = (max(1, round(width * rows / height)), rows)
    return cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) >= 128


def lifted(labels: UInt16[np.ndarray, "h w"], mask: Bool[np.ndarray, "H W"]) -> Labels:
    """Labels of a reduced mask at the size of `mask`: each pixel gets the label that lies next, within reach."""
    height, width = mask.shape
    near = spread(labels, np.ones(labels.shape, np.bool_), _EDGE_PX)
    full = cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST)
    full[~mask] = 0
    return full


def spread(labels: Labels, within: Bool[np.ndarray, "H W"], most: int) -> Labels:
    """Labels grown pixel by pixel into what is unlabelled of `within`, at most so many pixels far."""
    free = within & (labels == 0)
    if not free.any():
        return labels
    rows, columns = np.flatnonzero(free.any(axis=1)), np.flatnonzero(free.any(axis=0))
    place = np.s_[max(0, rows[0] - 1) : rows[-1] + 2, max(0, columns[0] - 1) : columns[-1] + 2]
    part, free = labels[place].copy(), free[place]
    square = np.ones((3, 3), np.uint8)
    for _ in range(most):
        new = free & (part == 0) & ((grown := cv2.dilate(part, square)) > 0)
        if not new.any():
            break
        part[new] = grown[new]
    labels = labels.copy()
    labels[place] = part
    return labels


def numbered(labels: Labels, shafts: Sequence[Shaft]) -> tuple[Labels, list[Instrument]]:
    """Instruments of a label map whose value n is that of `shafts[n - 1]`; those without pixels are left out."""
    found: list[Instrument] = []
    told = np.zeros_like(labels)
    for value, shaft in enumerate(shafts, 1):
        own = labels == value
        if own.any():
            number = len(found) + 1
            told[own] = number
            found.append(_instrument(number, own, shaft))
    return told, found


def _instrument(number: int, own: Bool[np.ndarray, "H W"], shaft: Shaft) -> Instrument:
    left, top, width, height = cv2.boundingRect(own.astype(np.uint8))
    along, aside = shaft.coordinates((own.shape[0], own.shape[1]))
    half = np.maximum(shaft.width + shaft.taper * np.minimum(along, shaft.length), 1.0) / 2
    is_shaft = own & (along <= shaft.length)
    expected = is_shaft & (np.abs(aside) <= half + 1.5)
    head = own & (along > shaft.length)
    reach = _HEAD_WIDTHS * shaft.width_at(shaft.length)
    expected |= head & (np.hypot(along - shaft.length, aside) <= reach)
    confidence = float(expected.sum() / own.sum()) * (0.5 + 0.5 * shaft.share)
    return Instrument(
        number,
        (left, top, left + width, top + height),
        int(own.sum()),
        shaft,
        shaft.width_at(shaft.length),
        tips_of(own, shaft),
        round(min(1.0, max(0.0, confidence)), 4),
    )


def tips_of(own: Bool[np.ndarray, "H W"], shaft: Shaft) -> tuple[Point, ...]:
    """The one or two places that lie farthest in: the end of a head, or of both fingers of an open jaw."""
    left, top, width, height = cv2.boundingRect(own.astype(np.uint8))
    part = own[top : top + height, left : left + width]
    reach = reach_of(shaft, (top, left, height, width))
    farthest = float(np.percentile(reach[part], 99.8)) if part.any() else 0.0
    span = 0.5 * max(shaft.width_at(shaft.length), 4.0)
    count, labels = cv2.connectedComponents((part & (reach >= farthest - span)).astype(np.uint8))
    found: list[tuple[float, Point]] = []
    for n in range(1, count):
        rows, columns = np.nonzero(labels == n)
        values = reach[rows, columns]
        near = values >= values.max() - max(1.0, 0.04 * shaft.width)
        found.append((float(values.max()), (float(columns[near].mean()) + left, float(rows[near].mean()) + top)))
    found.sort(reverse=True)
    return tuple(point for value, point in found[:2] if value >= found[0][0] - span / 2)


def reach_of(shaft: Shaft, place: tuple[int, int, int, int]) -> Float32[np.ndarray, "h w"]:
    """How far in each pixel of a box (top, left, height, width) lies: along the shaft, then from its end any way.

    0 is half a width before the shaft's end, about where its head may turn; below 0 is shaft.
    """
    top, left, height, width = place
    moved = replace(shaft, entry=(shaft.entry[0] - left, shaft.entry[1] - top))
    along, aside = moved.coordinates((height, width))
    beyond = along - np.float32(max(0.0, shaft.length - 0.5 * shaft.width_at(shaft.length)))
    return np.where(beyond > 0, np.hypot(beyond, aside), beyond).astype(np.float32)


def _shafts(
    mask: Bool[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"], known: Sequence[Shaft]
) -> tuple[list[Shaft], list[int]]:
    """The shafts of a mask: those known, then what enters at the border, then what floats; and which known ones."""
    smallest = _SMALLEST * mask.size
    depth = _depth(mask, inside)
    shafts, which = _known_again(mask, inside, known, smallest / 2)
    left = _without_crumbs(mask, smallest / 2)
    for shaft in shafts:
        left = _without(left, shaft, depth, inside, smallest)
    is_tried = np.zeros(mask.shape, np.bool_)
    while (start := _deepest_entry(left & ~is_tried, depth, inside)) is not None:
        run, ray = start
        is_tried |= run
        shaft = fitted_shaft(ray.start, ray.direction, mask, inside, 2.2 * ray.depth_px + 6)
        if shaft is not None and _is_new(shaft, mask, left, smallest):
            shafts.append(shaft)
            left = _without(left, shaft, depth, inside, smallest)
    for part in _parts(left, smallest):
        if _whose(part, shafts, mask) is None and (shaft := _floating(part, inside)) is not None:
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
        if shaft is not None and _is_like(shaft, one) and _is_new(shaft, mask, left, smallest):
            shafts.append(shaft)
            which.append(index)
            left = left & ~shaft.band((mask.shape[0], mask.shape[1]), 2.0)
    return shafts, which


def _without_crumbs(mask: Bool[np.ndarray, "H W"], smallest: float) -> Bool[np.ndarray, "H W"]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest
    keep[0] = False
    return keep[labels.astype(np.intp)]


def _parts(mask: Bool[np.ndarray, "H W"], smallest: float) -> list[Bool[np.ndarray, "H W"]]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    order = sorted(range(1, count), key=lambda n: -int(stats[n, cv2.CC_STAT_AREA]))
    return [labels == n for n in order if stats[n, cv2.CC_STAT_AREA] >= smallest]


def _depth(mask: Bool[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """How far each pixel of the mask lies from the next one of tissue: the picture's border is none."""
    codes = cv2.copyMakeBorder((mask | ~inside).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(codes, cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.where(mask, np.minimum(depth, mask.shape[0] / 2), np.float32(0)).astype(np.float32)


def border_of(inside: Bool[np.ndarray, "H W"], width_px: int = _BORDER_PX) -> Bool[np.ndarray, "H W"]:
    """The picture's outermost pixels."""
    square = np.ones((2 * width_px + 1, 2 * width_px + 1), np.uint8)
    inner = cv2.erode(inside.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return inside & (inner == 0)


def _deepest_entry(
    left: Bool[np.ndarray, "H W"], depth: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"]
) -> tuple[Bool[np.ndarray, "H W"], Ray] | None:
    """Of the places where the mask touches the border the one from which a ray runs deepest, with that ray."""
    count, runs, stats, _ = cv2.connectedComponentsWithStats((left & border_of(inside)).astype(np.uint8))
    best, found = 0.0, None
    deep = np.where(left, depth, np.float32(0))
    for n in range(1, count):
        if stats[n, cv2.CC_STAT_AREA] < 2 * _BORDER_PX:
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


def _is_new(shaft: Shaft, mask: Bool[np.ndarray, "H W"], left: Bool[np.ndarray, "H W"], smallest: float) -> bool:
    """Whether a bar is long enough to be one, and explains what no other has explained."""
    if shaft.length < _SHORTEST_WIDTHS * shaft.width_at(shaft.length / 2):
        return False
    band = shaft.band((mask.shape[0], mask.shape[1])) & mask
    new = int((band & left).sum())
    return new >= smallest and new >= _NEW_SHARE * int(band.sum())


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
    for part in _parts(left, 1.0):
        rows, columns = np.nonzero(part)
        distances = np.hypot(columns - end[0], rows - end[1])
        is_head = distances.min() <= 1.2 * width + 3 and distances.max() <= _HEAD_WIDTHS * width + 3
        at_border = border[rows, columns]
        is_head &= not at_border.any() or float(depth[rows[at_border], columns[at_border]].max()) < 0.3 * width
        if touching[rows, columns].any() and (is_head or near[rows, columns].mean() > 0.5):
            left[part] = False
    return _without_crumbs(left, smallest / 2)


def _whose(part: Bool[np.ndarray, "H W"], shafts: Sequence[Shaft], mask: Bool[np.ndarray, "H W"]) -> int | None:
    """The shaft on whose end or axis a part without an entry lies, which something hides in between; else None."""
    owners = _by_ends(part, shafts, mask)
    if owners:
        return owners[0]
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


def _labelled(
    mask: Bool[np.ndarray, "H W"],
    shafts: Sequence[Shaft],
    rgb: UInt8[np.ndarray, "H W 3"] | None,
    before: Labels | None,
) -> Labels:
    """Whose each pixel is: shafts first, then what hangs on their ends, then the rest."""
    shape = (mask.shape[0], mask.shape[1])
    bands = [shaft.band(shape) & mask for shaft in shafts]
    labels = np.zeros(shape, np.uint16)
    for value in reversed(stacked(shafts, bands, rgb)):  # the lowest first
        labels[bands[value]] = value + 1
    between = np.zeros(shape, np.uint16)  # heads that touch each other
    for part in _parts(mask & (labels == 0), 1.0):
        owners = _by_ends(part, shafts, mask)
        was = _owner_before(part, before)
        if was is not None and (was in owners or not owners):
            owners = [was]
        if len(owners) == 1:
            labels[part] = owners[0] + 1
        for owner in owners if len(owners) > 1 else ():
            between[_end_zone(shafts[owner], shape) & part] = owner + 1
    if between.any():
        free = mask & (labels == 0)
        between = spread(between, free, max(shape))
        labels[free] = between[free]
    labels = spread(labels, mask, max(shape))
    for part in _parts(mask & (labels == 0), 1.0):
        whose = _whose(part, shafts, mask)
        if whose is not None:
            labels[part] = whose + 1
    return labels


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


def _by_ends(part: Bool[np.ndarray, "H W"], shafts: Sequence[Shaft], mask: Bool[np.ndarray, "H W"]) -> list[int]:
    """The shafts whose ends a part hangs on, seen or behind another instrument, the nearest first.

    Several only where it lies next to all of these ends.
    """
    rows, columns = np.nonzero(part)
    near: list[tuple[float, int]] = []
    for index, shaft in enumerate(shafts):
        (x, y), width = shaft.end, max(shaft.width_at(shaft.length), 0.6 * shaft.width, 3.0)
        distances = np.hypot(columns - x, rows - y)
        nearest = int(distances.argmin())
        away = max(0.0, float(distances[nearest]) - 0.5 * width) / width
        is_ahead = (columns[nearest] - x) * shaft.direction[0] + (rows[nearest] - y) * shaft.direction[1] > -0.7 * width
        if away <= _HIDDEN_WIDTHS and is_ahead and distances.max() <= _HEAD_WIDTHS * width + 3:
            steps = np.linspace(0, 1, 12)
            column = np.clip(np.rint(x + steps * (columns[nearest] - x)), 0, mask.shape[1] - 1).astype(int)
            row = np.clip(np.rint(y + steps * (rows[nearest] - y)), 0, mask.shape[0] - 1).astype(int)
            if mask[row, column].mean() > 0.8:
                ahead = np.array([columns.mean() - x, rows.mean() - y])
                cosine = float(ahead @ np.array(shaft.direction)) / max(float(np.linalg.norm(ahead)), 1.0)
                near.append((away + 1.0 - cosine, index))
    near.sort()
    if len(near) > 1 and near[1][0] > near[0][0] + _CLEARLY:
        near = near[:1]
    return [index for _, index in near]


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


def scaled(one: Instrument, factor_x: float, factor_y: float, top: int = 0, left: int = 0) -> Instrument:
    """An instrument of a reduced picture, told in px of the frame that the picture lies in.

    Places are told so that the middle of the frame's first pixel is 0.5, 0.5.
    """
    factor = float(np.sqrt(factor_x * factor_y))

    def moved(point: Point) -> Point:
        return (point[0] + 0.5) * factor_x + left, (point[1] + 0.5) * factor_y + top

    shaft = replace(
        one.shaft, entry=moved(one.shaft.entry), width=one.shaft.width * factor, length=one.shaft.length * factor
    )
    x0, y0, x1, y1 = one.box
    return replace(
        one,
        box=(
            int(x0 * factor_x) + left,
            int(y0 * factor_y) + top,
            int(np.ceil(x1 * factor_x)) + left,
            int(np.ceil(y1 * factor_y)) + top,
        ),
        area_px=round(one.area_px * factor_x * factor_y),
        shaft=shaft,
        width_px=one.width_px * factor,
        tips=tuple(moved(tip) for tip in one.tips),
    )
