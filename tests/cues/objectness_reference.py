"""The objectness measure as literal loops, one window at a time, from its definition.

Slow and plain on purpose: no summed-area table, no chunk, no code shared with `cuemask.cues.objectness`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np


def saliency_map(channel: np.ndarray) -> np.ndarray:
    """The spectral residual of one square channel: residual amplitude, old phase, squared, blurred."""
    spectrum = np.fft.fft2(channel.astype(np.float64))
    log_amplitude, phase = np.log(np.abs(spectrum) + 1), np.angle(spectrum)
    side = len(channel)
    amplitude = np.zeros_like(log_amplitude)
    for y in range(side):
        for x in range(side):
            rows = [min(max(y + d, 0), side - 1) for d in (-1, 0, 1)]
            columns = [min(max(x + d, 0), side - 1) for d in (-1, 0, 1)]
            mean = np.mean([log_amplitude[r, c] for r in rows for c in columns])
            amplitude[y, x] = abs(spectrum[y, x]) / math.exp(mean)
    saliency = np.abs(np.fft.ifft2(amplitude * np.exp(1j * phase))) ** 2
    saliency = cv2.GaussianBlur(saliency, (0, 0), 2.5, borderType=cv2.BORDER_CONSTANT)
    return (saliency - saliency.min()) / (saliency.max() - saliency.min())


def saliency_score(values: np.ndarray, threshold: float, window: np.ndarray) -> float:
    top, left, bottom, right = window
    total, count, area = 0.0, 0, 0
    for y in range(top, bottom):
        for x in range(left, right):
            area += 1
            if values[y, x] >= threshold:
                total += float(values[y, x])
                count += 1
    return total * count / area


def contrast_score(bins: np.ndarray, window: np.ndarray) -> float:
    height_px, width_px = bins.shape
    top, left, bottom, right = window
    above, beside = (bottom - top) // 2, (right - left) // 2
    inside, around = np.zeros(256), np.zeros(256)
    for y in range(max(top - above, 0), min(bottom + above, height_px)):
        for x in range(max(left - beside, 0), min(right + beside, width_px)):
            if top <= y < bottom and left <= x < right:
                inside[bins[y, x]] += 1
            else:
                around[bins[y, x]] += 1
    if around.sum() == 0:
        return 0.0
    a, b = inside / inside.sum(), around / around.sum()
    return sum((p - q) ** 2 / (p + q) for p, q in zip(a, b, strict=True) if p + q > 0)


def edge_score(edges: np.ndarray, window: np.ndarray) -> float:
    top, left, bottom, right = window
    height_px, width_px = bottom - top, right - left
    rows = max(round(height_px * (1 - 100 / 117) / 2), 1)
    columns = max(round(width_px * (1 - 100 / 117) / 2), 1)
    count, area = 0, 0
    for y in range(top, bottom):
        for x in range(left, right):
            if not (top + rows <= y < bottom - rows and left + columns <= x < right - columns):
                area += 1
                count += int(edges[y, x])
    return count / area * (height_px + width_px) / 2


def straddling_score(segments: np.ndarray, window: np.ndarray) -> float:
    top, left, bottom, right = window
    inside = segments[top:bottom, left:right]
    cut = 0
    for segment in np.unique(segments):
        within = int((inside == segment).sum())
        cut += min(within, int((segments == segment).sum()) - within)
    return 1 - cut / inside.size


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    height_px = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    width_px = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = height_px * width_px
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def suppress_overlaps(windows: np.ndarray, scores: np.ndarray, keep: int, overlap: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(windows)), key=lambda i: (-scores[i], i)):
        if len(kept) == keep:
            break
        if all(intersection_over_union(windows[i], windows[j]) <= overlap for j in kept):
            kept.append(i)
    return kept


def heat_map(windows: np.ndarray, scores: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    heat = np.zeros((height_px, width_px))
    for (top, left, bottom, right), score in zip(windows, scores, strict=True):
        for y in range(top, bottom):
            for x in range(left, right):
                heat[y, x] += score
    return (heat - heat.min()) / (heat.max() - heat.min()) if heat.max() > heat.min() else heat * 0


def probability(saliency: float, contrast: float, straddling: float) -> float:
    """Naive Bayes from the published prior, with the ratio curves' numbers written out."""
    log_odds = math.log(0.0797 / (1 - 0.0797))
    log_odds += -1.32 + 2.48 * (1 - math.exp(-saliency / 29))
    log_odds += -0.95 + 3.86 * (1 - math.exp(-contrast / 0.71))
    log_odds += -3.25 + 6.45 * (1 - math.exp(-straddling / 0.42))
    return 1 / (1 + math.exp(-log_odds))


def objectness_map(
    windows: np.ndarray, saliency: np.ndarray, bins: np.ndarray, segments: np.ndarray, keep: int
) -> np.ndarray:
    """From drawn windows and their saliency to the heat map, everything by the loops above."""
    p = np.array(
        [
            probability(float(s), contrast_score(bins, w), straddling_score(segments, w))
            for w, s in zip(windows, saliency, strict=True)
        ]
    )
    kept = suppress_overlaps(windows, p, keep, 0.5)
    return heat_map(windows[kept], p[kept], *bins.shape)
