"""The paper's equations as literal loops over pixels, frames and channels, in Python floats.

Written from the text (Liu et al., MICCAI 2020, sections 2.1 and 2.2) and from nothing of ours.
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
