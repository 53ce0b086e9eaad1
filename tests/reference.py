"""The paper's equations as literal loops over pixels, frames and channels, in Python floats.

Written from the text (Liu et al., MICCAI 2020, sections 2.1 and 2.2) and from nothing of ours. At the end the boundary
F-score, from that of Csurka et al. (BMVC 2013), and the surface figures as MONAI defines them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Map = Sequence[float]  # one value a pixel
FeatureMap = Sequence[Sequence[float]]  # D values a pixel


def anchor_loss(positive: Map, negative: Map, p: Map) -> float:
    """Equation 1."""
    total = 0.0
    for i in range(len(p)):
        total += -positive[i] * p[i] - negative[i] * (1 - p[i])
    return total / len(p)


def aggregate(weights: Map, features: FeatureMap) -> list[float]:
    """Equation 2, one region: sum_i w_i F_i."""
    out = [0.0] * len(features[0])
    for i, weight in enumerate(weights):
        for d in range(len(out)):
            out[d] += weight * features[i][d]
    return out


def cosine(f: Sequence[float], g: Sequence[float]) -> float:
    """phi of equation 3."""
    dot = sum(a * b for a, b in zip(f, g, strict=True))
    return dot / (math.sqrt(sum(a * a for a in f)) * math.sqrt(sum(b * b for b in g)))


def regions(p: Map, features: FeatureMap) -> tuple[list[float], list[float]]:
    """Equation 2: f_fg and f_bg."""
    return aggregate(p, features), aggregate([1 - value for value in p], features)


def diffusion_losses(
    p_now: Map, features_now: FeatureMap, p_then: Map, features_then: FeatureMap, m_fg: float, m_bg: float
) -> tuple[float, float]:
    """Equations 3 and 4."""
    fg_now, bg_now = regions(p_now, features_now)
    fg_then, bg_then = regions(p_then, features_then)
    within = cosine(fg_now, bg_now) + cosine(fg_then, bg_then)
    foreground = max(within - 2 * cosine(fg_now, fg_then) + m_fg, 0)
    background = max(within - 2 * cosine(bg_now, bg_then) + m_bg, 0)
    return foreground, background


def full_loss(
    p_now: Map,
    features_now: FeatureMap,
    anchors_now: tuple[Map, Map],
    p_then: Map,
    features_then: FeatureMap,
    anchors_then: tuple[Map, Map],
    m_fg: float,
    m_bg: float,
) -> float:
    """Equation 5."""
    foreground, background = diffusion_losses(p_now, features_now, p_then, features_then, m_fg, m_bg)
    return anchor_loss(*anchors_now, p_now) + anchor_loss(*anchors_then, p_then) + foreground + background


Mask = Sequence[Sequence[bool]]


def boundary_f(predicted: Mask, truth: Mask, tolerance: float) -> float:
    """Csurka et al. 2013: F of the shares of boundary pixels near one of the other mask's."""
    found, true = outline(predicted), outline(truth)
    if not found or not true:
        return 1.0 if list(map(list, predicted)) == list(map(list, truth)) else 0.0
    reach = tolerance * math.hypot(len(truth), len(truth[0]))
    precision, recall = share_near(found, true, reach), share_near(true, found, reach)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def outline(mask: Mask) -> list[tuple[int, int]]:
    """Pixels of the mask with one of the picture's pixels outside the mask above, below, left or right."""
    pixels = []
    for y in range(len(mask)):
        for x in range(len(mask[0])):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            seen = [mask[b][a] for b, a in around if 0 <= b < len(mask) and 0 <= a < len(mask[0])]
            if mask[y][x] and not all(seen):
                pixels.append((y, x))
    return pixels


def share_near(pixels: list[tuple[int, int]], others: list[tuple[int, int]], reach: float) -> float:
    """How many of `pixels` have one of `others` within `reach`."""
    near = 0
    for pixel in pixels:
        near += any(math.dist(pixel, other) <= reach + 1e-9 for other in others)
    return near / len(pixels)


def surface_figures(predicted: Mask, truth: Mask, tolerance_px: float) -> tuple[float, float]:
    """Normalised surface distance (Nikolov et al. 2021) and 95 % Hausdorff distance; neither mask is empty."""
    found, true = rim(predicted), rim(truth)
    there = sorted(min(math.dist(p, q) for q in true) for p in found)
    back = sorted(min(math.dist(p, q) for p in found) for q in true)
    near = sum(d <= tolerance_px + 1e-9 for d in there) + sum(d <= tolerance_px + 1e-9 for d in back)
    return near / (len(there) + len(back)), max(percentile(there, 95), percentile(back, 95))


def rim(mask: Mask) -> list[tuple[int, int]]:
    """Pixels of the mask with a neighbour above, below, left or right outside the mask or outside the picture."""
    height, width = len(mask), len(mask[0])

    def holds(y: int, x: int) -> bool:
        return 0 <= y < height and 0 <= x < width and bool(mask[y][x])

    pixels = [(y, x) for y in range(height) for x in range(width) if mask[y][x]]
    return [(y, x) for y, x in pixels if not all(map(holds, (y - 1, y + 1, y, y), (x, x, x - 1, x + 1)))]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Linear between the two values around it."""
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def class_anchor_loss(own: Sequence[Map], unknown: Map, negative: Map, p: Sequence[Map]) -> float:
    """Equation 1 for each class c: its anchor is positive, the others' and the background's are negative.

    `p` holds the background's probability, then one map a class; `unknown` is known only to be some instrument.
    """
    total = 0.0
    for i in range(len(negative)):
        for c in range(len(own)):
            against = negative[i]
            for k in range(len(own)):
                if k != c:
                    against += own[k][i]
            total += -own[c][i] * p[c + 1][i] - against * (1 - p[c + 1][i])
        total += -unknown[i] * (1 - p[0][i])
    return total / len(negative)


def class_log_anchor_loss(
    own: Sequence[Map], unknown: Map, negative: Map, p: Sequence[Map], w_pos: float, w_neg: float
) -> float:
    """The same with the published code's log p and log(1 - p), and its weights."""
    total = 0.0
    for i in range(len(negative)):
        for c in range(len(own)):
            against = negative[i] + sum(own[k][i] for k in range(len(own)) if k != c)
            total -= w_pos * own[c][i] * math.log(p[c + 1][i]) + w_neg * against * math.log(1 - p[c + 1][i])
        total -= w_pos * unknown[i] * math.log(1 - p[0][i])
    return total / len(negative)
