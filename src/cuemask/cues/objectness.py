"""How likely each place is covered by whole objects: the objectness measure, as windows and as a heat map.

Written from the definitions in Alexe, Deselaers, Ferrari: "What is an object?" (CVPR 2010) and "Measuring the
objectness of image windows" (TPAMI 2012). A picture goes through five steps, each a function of this module::

    candidate_windows   drawn at random, in proportion to their multi-scale saliency (MS)
    contrast_scores, edge_scores, straddling_scores      what else speaks for an object (CC, ED, SS)
    log_ratio           from each cue's score to its evidence; added up, naive Bayes
    suppress_overlaps   the best windows that do not repeat each other
    heat_map            the sum of the windows' probabilities at each pixel

Windows are rows of whole pixels (top, left, bottom, right), bottom and right excluded, inside the picture and
not empty. Every window costs the same, whatever its size: all sums come from summed-area tables.

Where the papers leave room or we differ: the likelihood ratios are smooth curves through points of the
published ones; superpixels are finer unless told (`SUPERPIXEL_COST`); a window's saliency is that of its best colour
channel; edge density counts in a way that does not depend on the picture's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from cuemask.errors import InstallationError, RecipeError

WindowCue = Literal["saliency", "contrast", "edges", "straddling"]

PRIOR = 0.0797
"""Share of drawn windows that hold an object, before any cue is looked at."""

SALIENCY_THRESHOLDS = {16: 0.43, 24: 0.32, 32: 0.34, 48: 0.35, 64: 0.26}
"""Side of the square that the picture is shrunk to -> what counts as salient on it."""

REFERENCE_AREA_PX = 60_000
"""Picture area at which the lengths and areas below are meant; they grow and shrink with the picture."""

LEAST_SIDE_PX = 10.0
SUPERPIXEL_LEAST_AREA_PX = 200.0

SUPERPIXEL_BLUR_PX = 0.5

SUPERPIXEL_COST = 75.0
"""Felzenszwalb and Huttenlocher's k. The papers' 450, which the recipe `paper` has, leaves 10 to 25 superpixels in a
surgical picture, whose contrast is low; whether one of them merges, which differs between sizes of one picture, then
moves the whole heat map. With 75 there are 40 to 80."""

INNER_SHRINK = 100 / 117
"""Side of a window's inner part over the window's side; edges count in the ring between the two."""

LAB_BITS = (2, 3, 3)
"""Histogram bins, as powers of two, of the colours' lightness, a* and b*."""

PROPOSALS_PER_CANDIDATE = 4
"""Windows looked at, over all scales, for each candidate that is drawn."""

CHUNK = 2048
SUPPRESSION_BLOCK = 128


class RatioCurve(NamedTuple):
    """log p(score | object) / p(score | background) = lowest + rise * (1 - exp(-score / scale))."""

    lowest: float
    rise: float
    scale: float


RATIO_CURVES: dict[WindowCue, RatioCurve] = {
    "saliency": RatioCurve(lowest=-1.32, rise=2.48, scale=29.0),
    "contrast": RatioCurve(lowest=-0.95, rise=3.86, scale=0.71),
    "edges": RatioCurve(lowest=-2.1, rise=7.4, scale=100.0),
    "straddling": RatioCurve(lowest=-3.25, rise=6.45, scale=0.42),
}


def objectness_cue(
    rgb: UInt8[np.ndarray, "H W 3"],
    *,
    cues: Sequence[WindowCue] = ("saliency", "contrast", "straddling"),
    windows: int = 1000,
    candidates: int = 5_000,
    seed: int = 0,
    working_height_px: int = 128,
    superpixel_cost: float = SUPERPIXEL_COST,
) -> Float32[np.ndarray, "H W"]:
    """How likely each pixel is covered by whole objects: a blurred map, high where many good windows overlap.

    The picture is brought to the working height, its best windows found by `objectness_windows`, and their
    heat map brought back to the picture's size.

    Parameters
    ----------
    rgb
        The picture, 0 to 255.
    cues
        What speaks for an object, any of "saliency", "contrast", "edges", "straddling". Candidates are drawn
        by their saliency in any case.
    windows
        How many windows are kept at most. Fewer are left when all other candidates overlap a better one.
    candidates
        How many windows are drawn and looked at.
    seed
        Of the draw. The same seed gives the same map.
    working_height_px
        Height of the picture in which windows are looked for; time and memory grow with its square.
    superpixel_cost
        As `superpixels` takes it; above 0, and the smaller, the finer.

    Returns
    -------
    Float32 [H W]
        0 to 1, both reached; all 0 where nothing in the picture stands out, as in a picture of one colour.

    Raises
    ------
    RecipeError
        If a cue is unknown, there is none, or a number is too small.
    InstallationError
        If OpenCV's contrib modules are not installed and straddling is among the cues.

    References
    ----------
    Alexe, Deselaers, Ferrari: Measuring the objectness of image windows. TPAMI 34 (2012), 2189-2202.

    Examples
    --------
    >>> import numpy as np
    >>> rgb = np.zeros((120, 160, 3), np.uint8)
    >>> rgb[40:80, 50:110] = (200, 60, 90)
    >>> heat = objectness_cue(rgb)
    >>> bool(heat[40:80, 50:110].mean() > 2 * heat.mean())
    True
    """
    if working_height_px < 16:
        raise RecipeError(f"working_height_px = {working_height_px} is too small.", "Choose 16 or more.")
    height_px, width_px = rgb.shape[:2]
    working = _resized(rgb, working_height_px, _working_width_px(height_px, width_px, working_height_px))
    found, p = objectness_windows(
        working, cues=cues, windows=windows, candidates=candidates, seed=seed, superpixel_cost=superpixel_cost
    )
    heat = heat_map(found, p, working.shape[0], working.shape[1])
    return _min_max(cv2.resize(heat, (width_px, height_px), interpolation=cv2.INTER_LINEAR))


def objectness_windows(
    rgb: UInt8[np.ndarray, "H W 3"],
    *,
    cues: Sequence[WindowCue] = ("saliency", "contrast", "straddling"),
    windows: int = 1000,
    candidates: int = 5_000,
    seed: int = 0,
    superpixel_cost: float = SUPERPIXEL_COST,
) -> tuple[Int[np.ndarray, "N 4"], Float32[np.ndarray, " N"]]:
    """The picture's most object-like windows and the probability of each, best first.

    Works on the picture at its own size: shrink large pictures first, as `objectness_cue` does.

    Parameters
    ----------
    rgb
        The picture, 0 to 255.
    cues, windows, candidates, seed, superpixel_cost
        As for `objectness_cue`.

    Returns
    -------
    Int [N 4]
        Windows (top, left, bottom, right), at most `windows` of them, no two overlapping by more than half.
    Float32 [N]
        p(object | cues) of each, 0 to 1: naive Bayes over `log_ratio` of the cues, with prior `PRIOR`.

    Raises
    ------
    RecipeError, InstallationError
        As for `objectness_cue`.
    """
    _check(cues, windows, candidates)
    found, saliency = candidate_windows(rgb, candidates, seed)
    log_odds = np.full(len(found), np.log(PRIOR / (1 - PRIOR)), np.float32)
    if "saliency" in cues:
        log_odds += log_ratio("saliency", saliency)
    if "contrast" in cues:
        log_odds += log_ratio("contrast", contrast_scores(quantized_lab(rgb), found))
    if "edges" in cues:
        log_odds += log_ratio("edges", edge_scores(edge_map(rgb), found))
    if "straddling" in cues:
        log_odds += log_ratio("straddling", straddling_scores(superpixels(rgb, superpixel_cost), found))
    p = np.float32(1) / (1 + np.exp(-log_odds))
    best = suppress_overlaps(found, p, windows)
    return found[best], p[best]


def log_ratio(cue: WindowCue, scores: Float[np.ndarray, " N"]) -> Float32[np.ndarray, " N"]:
    """Evidence for an object: the log of p(score | object) over p(score | background).

    A saturating exponential per cue (`RATIO_CURVES`): grows with the score, and no score decides alone. Its
    three numbers are fitted to points read off the published ratios; it stays within 30 % of those points.

    Parameters
    ----------
    cue
        Whose scores these are.
    scores
        0 or more, in the cue's own unit.

    Returns
    -------
    Float32 [N]
        Natural logarithm; positive speaks for an object.
    """
    curve = RATIO_CURVES[cue]
    return (curve.lowest - curve.rise * np.expm1(-scores / curve.scale)).astype(np.float32)


# ---- saliency, and the candidates drawn by it


def saliency_maps(rgb: UInt8[np.ndarray, "H W 3"], side_px: int) -> Float32[np.ndarray, "{side_px} {side_px} 3"]:
    """Where each colour channel departs from the smooth spectrum of natural pictures, at one scale.

    The spectral residual (Hou and Zhang, CVPR 2007): log amplitude of the shrunken channel minus its 3 x 3
    mean, back with the old phase, squared, blurred. With F the spectrum, exp(residual + i phase) is
    F exp(-mean), which needs no phase; the mean is that of log(1 + |F|), so that frequencies which the
    picture lacks stay lacking.

    Parameters
    ----------
    rgb
        The picture, 0 to 255.
    side_px
        The picture is shrunk (or enlarged) to this square.

    Returns
    -------
    Float32 [S S 3]
        0 to 1 in each channel; a channel of one value has none.
    """
    planes = _resized(rgb, side_px, side_px).astype(np.float32)
    spectrum = np.fft.fft2(planes, axes=(0, 1))
    log_amplitude = np.log1p(np.abs(spectrum)).astype(np.float32)
    mean = cv2.blur(log_amplitude, (3, 3), borderType=cv2.BORDER_REPLICATE)
    residual = np.fft.ifft2(spectrum * np.exp(-mean), axes=(0, 1))
    power = (residual.real**2 + residual.imag**2).astype(np.float32)
    smooth = cv2.GaussianBlur(power, (0, 0), 2.5, borderType=cv2.BORDER_CONSTANT)
    flat = np.ptp(planes, axis=(0, 1)) == 0
    return np.stack([_min_max(smooth[..., c]) * (not flat[c]) for c in range(3)], axis=-1)


def saliency_scores(
    maps: Float32[np.ndarray, "H W C"], threshold: float, windows: Int[np.ndarray, "N 4"]
) -> Float32[np.ndarray, "N C"]:
    """MS: how much of each window is salient, and how strongly.

    (sum of the salient values) x (their number) / (the window's area), so that of two windows of one density
    the larger wins.

    Parameters
    ----------
    maps
        Saliency maps of one scale, 0 to 1.
    threshold
        Values from here on are salient.
    windows
        In pixels of the maps.

    Returns
    -------
    Float32 [N C]
        0 to the map's area.
    """
    salient = maps >= threshold
    layers = np.concatenate([np.where(salient, maps, 0), salient], axis=-1).astype(np.float32)
    sums = _box_sums(_summed_area(layers), windows)
    values, counts = np.split(sums, 2, axis=-1)
    return np.maximum(values, 0) * counts / _areas(windows)[:, None]


def candidate_windows(
    rgb: UInt8[np.ndarray, "H W 3"], count: int, seed: int = 0
) -> tuple[Int[np.ndarray, "N 4"], Float32[np.ndarray, " N"]]:
    """Windows drawn at random, in proportion to their saliency over all scales.

    Millions of windows exist; `PROPOSALS_PER_CANDIDATE` times `count` are drawn evenly, scored by their best
    channel, and `count` drawn among those by score, at even steps of the summed score. What is drawn twice is
    returned once. A window's sides are at least 10 px in a picture of 60,000 px, scaled with it.

    Parameters
    ----------
    rgb
        The picture, 0 to 255.
    count
        How many to draw.
    seed
        Of the draw.

    Returns
    -------
    Int [N 4]
        Windows in pixels of the picture, N at most `count`; none where nothing is salient.
    Float32 [N]
        Their saliency (MS) at the scale at which they were drawn.
    """
    rng = np.random.default_rng(seed)
    per_cell = PROPOSALS_PER_CANDIDATE * count / sum(side_px**2 for side_px in SALIENCY_THRESHOLDS)
    drawn = [
        _proposals(rgb, side_px, threshold, int(np.ceil(per_cell * side_px**2)), rng)
        for side_px, threshold in SALIENCY_THRESHOLDS.items()
    ]
    parts, saliency, stands_for = (np.concatenate(lists) for lists in zip(*drawn, strict=True))
    total = np.cumsum(saliency * stands_for)
    if not total[-1] > 0:
        return np.zeros((0, 4), np.int64), saliency[:0]
    steps = (np.arange(count) + rng.random()) * (total[-1] / count)
    reached = np.searchsorted(total, steps, side="right").clip(max=len(total) - 1)
    chosen = reached[np.diff(reached, prepend=-1) > 0]
    return _to_pixels(parts[chosen], rgb.shape[0], rgb.shape[1]), saliency[chosen]


def _proposals(
    rgb: UInt8[np.ndarray, "H W 3"], side_px: int, threshold: float, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "N 4"], Float32[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Windows of one scale drawn evenly, in parts of the picture; their saliency; what each stands for."""
    least = LEAST_SIDE_PX * _side_scale(rgb) * side_px
    tops, bottoms = _spans(side_px, least / rgb.shape[0])
    lefts, rights = _spans(side_px, least / rgb.shape[1])
    rows, columns = rng.integers(len(tops), size=count), rng.integers(len(lefts), size=count)
    cells = np.stack([tops[rows], lefts[columns], bottoms[rows], rights[columns]], axis=1)
    channels = saliency_scores(saliency_maps(rgb, side_px), threshold, cells).T
    saliency = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    return cells / side_px, saliency, np.full(count, len(tops) * len(lefts) / count)


def _spans(side: int, least: float) -> tuple[Int[np.ndarray, " M"], Int[np.ndarray, " M"]]:
    """All (start, stop) on a line of `side` cells that are at least `least` cells long."""
    starts, stops = np.triu_indices(side + 1, min(side, max(1, int(np.ceil(least)))))
    return starts, stops


def _to_pixels(parts: Float[np.ndarray, "N 4"], height_px: int, width_px: int) -> Int[np.ndarray, "N 4"]:
    """Windows in parts of the picture as whole pixels, at least one a side."""
    size = np.array([height_px, width_px])
    windows = np.rint(parts * np.tile(size, 2)).astype(np.int64)
    windows[:, :2] = np.minimum(windows[:, :2], size - 1)
    windows[:, 2:] = np.maximum(windows[:, 2:], windows[:, :2] + 1)
    return windows


# ---- the other three cues


def quantized_lab(rgb: UInt8[np.ndarray, "H W 3"]) -> Int[np.ndarray, "H W"]:
    """The LAB colour of each pixel in 4 x 8 x 8 bins, 0 to 255."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.int32)
    bins = np.zeros(rgb.shape[:2], np.int32)
    for channel, bits in enumerate(LAB_BITS):
        bins = (bins << bits) | (lab[..., channel] >> (8 - bits))
    return bins


def contrast_scores(bins: Int[np.ndarray, "H W"], windows: Int[np.ndarray, "N 4"]) -> Float32[np.ndarray, " N"]:
    """CC: how far the colours in each window differ from those around it.

    The chi-square distance, sum of (a - b)^2 / (a + b), between the normalised histograms of the window and
    of the ring that grows it by half its height above and below and half its width left and right, within the
    picture.

    Parameters
    ----------
    bins
        The colour bin of each pixel, as `quantized_lab` gives them; only equal or not equal matters.
    windows
        In pixels of `bins`.

    Returns
    -------
    Float32 [N]
        0 to 2; 0 where the window fills the picture, so that nothing is around it.
    """
    table = _label_table(bins)
    size = np.array(bins.shape)

    def scores(chunk: Int[np.ndarray, "n 4"]) -> Float32[np.ndarray, " n"]:
        margin = (chunk[:, 2:] - chunk[:, :2]) // 2
        grown = np.hstack([np.maximum(chunk[:, :2] - margin, 0), np.minimum(chunk[:, 2:] + margin, size)])
        inside = _box_sums(table, chunk)
        around = _box_sums(table, grown) - inside
        ring_area = around.sum(axis=1, keepdims=True)
        inside /= inside.sum(axis=1, keepdims=True)
        around /= np.maximum(ring_area, 1)
        distance = np.square(inside - around)
        distance /= np.maximum(inside + around, np.float32(1e-12))
        return distance.sum(axis=1) * (ring_area[:, 0] > 0)

    return _chunked(scores, windows)


def edge_map(rgb: UInt8[np.ndarray, "H W 3"]) -> Bool[np.ndarray, "H W"]:
    """Edges of the grey picture by Canny's detector.

    The upper threshold is the 70 % quantile of the gradient, the lower one 0.4 of it, so that dim pictures
    have edges too.
    """
    gray = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), np.sqrt(2))
    dx, dy = cv2.Sobel(gray, cv2.CV_16S, 1, 0), cv2.Sobel(gray, cv2.CV_16S, 0, 1)
    strong = float(np.quantile(np.hypot(dx, dy, dtype=np.float32), 0.7))
    return cv2.Canny(dx, dy, 0.4 * strong, strong, L2gradient=True) > 0


def edge_scores(edges: Bool[np.ndarray, "H W"], windows: Int[np.ndarray, "N 4"]) -> Float32[np.ndarray, " N"]:
    """ED: how many edges run along each window's border, just inside it.

    The share of edge pixels in the ring between the window and its inner part (`INNER_SHRINK`, the ring at
    least 1 px wide), times the window's mean side in pixels. Edges are 1 px wide at any size of picture, so
    that their share falls as the side grows, and the product stays.

    Parameters
    ----------
    edges
        True on edges.
    windows
        In pixels of `edges`.

    Returns
    -------
    Float32 [N]
        0 to the window's mean side.
    """
    table = _summed_area(edges[..., None].astype(np.float32))
    sides = windows[:, 2:] - windows[:, :2]
    margin = np.maximum(np.rint(sides * ((1 - INNER_SHRINK) / 2)), 1).astype(np.int64)
    inner_top_left = np.minimum(windows[:, :2] + margin, windows[:, 2:])
    inner = np.hstack([inner_top_left, np.maximum(windows[:, 2:] - margin, inner_top_left)])
    count = (_box_sums(table, windows) - _box_sums(table, inner))[:, 0]
    ring_area = _areas(windows) - _areas(inner)
    return (count / ring_area * sides.mean(axis=1)).astype(np.float32)


def superpixels(rgb: UInt8[np.ndarray, "H W 3"], cost: float = SUPERPIXEL_COST) -> Int[np.ndarray, "H W"]:
    """Segments of like colour, after Felzenszwalb and Huttenlocher (IJCV 2004), numbered from 0.

    Parameters
    ----------
    cost
        Their k: two segments merge where the edge between them is weaker than what is within each, by up to k over its
        size.

    Raises
    ------
    InstallationError
        If OpenCV's contrib modules are not installed.
    """
    require_contrib()
    least_area_px = max(1, round(SUPERPIXEL_LEAST_AREA_PX * _side_scale(rgb) ** 2))
    segmenter = cv2.ximgproc.segmentation.createGraphSegmentation(SUPERPIXEL_BLUR_PX, cost, least_area_px)
    return segmenter.processImage(np.ascontiguousarray(rgb))


def require_contrib() -> None:
    """Make sure that OpenCV's contrib modules are there; other OpenCV packages overwrite them in silence.

    Raises
    ------
    InstallationError
        If they are not.
    """
    if not hasattr(cv2, "ximgproc"):
        raise InstallationError(
            f"OpenCV {cv2.__version__} has no ximgproc module: another OpenCV package replaced contrib.",
            "Run: pip uninstall -y opencv-python opencv-python-headless"
            " && pip install --force-reinstall opencv-contrib-python-headless",
        )


def straddling_scores(segments: Int[np.ndarray, "H W"], windows: Int[np.ndarray, "N 4"]) -> Float32[np.ndarray, " N"]:
    """SS: how little each window cuts superpixels apart.

    1 - (sum over segments of the smaller of their parts inside and outside the window) / (the window's area).

    Parameters
    ----------
    segments
        The segment of each pixel, as `superpixels` gives them.
    windows
        In pixels of `segments`.

    Returns
    -------
    Float32 [N]
        0 to 1; 1 where the window is a union of whole segments.
    """
    table = _label_table(segments)
    whole = table[-1, -1]

    def scores(chunk: Int[np.ndarray, "n 4"]) -> Float32[np.ndarray, " n"]:
        inside = _box_sums(table, chunk)
        cut = np.minimum(inside, whole - inside).sum(axis=1)
        return 1 - cut / inside.sum(axis=1)

    return _chunked(scores, windows)


# ---- from windows to the map


def suppress_overlaps(
    windows: Int[np.ndarray, "N 4"], scores: Float[np.ndarray, " N"], keep: int, overlap: float = 0.5
) -> Int[np.ndarray, " K"]:
    """The best windows that do not repeat each other: greedy non-maximum suppression.

    From the best down, a window is kept unless its intersection over union with a kept one exceeds `overlap`.
    Of equal scores the earlier window counts as better.

    Parameters
    ----------
    windows, scores
        Any windows; their scores, higher is better.
    keep
        Stop at this many.
    overlap
        Intersection over union, 0 to 1.

    Returns
    -------
    Int [K]
        Indices of the kept windows, best first, K at most `keep`.
    """
    left = np.argsort(-scores, kind="stable")
    sides = windows.astype(np.float32)
    kept: list[np.int64] = []
    while len(left) and len(kept) < keep:
        block, left = left[:SUPPRESSION_BLOCK], left[SUPPRESSION_BLOCK:]
        block = block[_first_of_each(_overlapping(sides[block], sides[block], overlap))]
        left = left[~_overlapping(sides[block], sides[left], overlap).any(axis=0)]
        kept.extend(block)
    return np.array(kept[:keep], np.int64)


def _overlapping(
    a: Float32[np.ndarray, "A 4"], b: Float32[np.ndarray, "B 4"], overlap: float
) -> Bool[np.ndarray, "A B"]:
    """Which windows of `a` and `b` overlap by more than `overlap`."""
    top, left, bottom, right = np.ascontiguousarray(b.T)
    shared = _common(a[:, 0, None], a[:, 2, None], top, bottom)
    shared *= _common(a[:, 1, None], a[:, 3, None], left, right)
    shared *= np.float32(1 + overlap)
    return shared > (overlap * _areas(a))[:, None] + overlap * _areas(b)


def _common(start: np.ndarray, stop: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> Float32[np.ndarray, "A B"]:
    """How much of each of the first spans lies in each of the second."""
    common = np.minimum(stop, stops)
    common -= np.maximum(start, starts)
    return np.maximum(common, 0, out=common)


def _first_of_each(conflicts: Bool[np.ndarray, "B B"]) -> list[int]:
    """Greedy choice, first come first served, of items that have no conflict."""
    chosen: list[int] = []
    blocked = np.zeros(len(conflicts), bool)
    for i in range(len(conflicts)):
        if not blocked[i]:
            chosen.append(i)
            blocked |= conflicts[i]
    return chosen


def heat_map(
    windows: Int[np.ndarray, "N 4"], scores: Float[np.ndarray, " N"], height_px: int, width_px: int
) -> Float32[np.ndarray, "{height_px} {width_px}"]:
    """The sum of the scores of all windows over each pixel, min-max to 0 to 1; a constant sum gives 0."""
    corners = np.zeros((height_px + 1, width_px + 1))
    for row, column, sign in ((0, 1, 1), (2, 1, -1), (0, 3, -1), (2, 3, 1)):
        np.add.at(corners, (windows[:, row], windows[:, column]), sign * scores.astype(np.float64))
    return _min_max(corners.cumsum(axis=0).cumsum(axis=1)[:-1, :-1])


# ---- sums over windows


def _summed_area(layers: Float32[np.ndarray, "H W C"]) -> Float32[np.ndarray, "H+1 W+1 C"]:
    """Sums over everything above and to the left, exact for counts up to 16 million."""
    table = np.zeros((layers.shape[0] + 1, layers.shape[1] + 1, layers.shape[2]), np.float32)
    table[1:, 1:] = layers
    return _summed_up(table)


def _label_table(labels: Int[np.ndarray, "H W"]) -> Float32[np.ndarray, "H+1 W+1 C"]:
    """The summed-area table of each label that occurs: what most of the 256 colour bins do not."""
    occurs = np.bincount(labels.ravel()) > 0
    layer = (np.cumsum(occurs) - 1)[labels]
    table = np.zeros((labels.shape[0] + 1, labels.shape[1] + 1, np.count_nonzero(occurs)), np.float32)
    np.put_along_axis(table[1:, 1:], layer[..., None], 1, axis=2)
    return _summed_up(table)


def _summed_up(table: Float32[np.ndarray, "H W C"]) -> Float32[np.ndarray, "H W C"]:
    """Running sums down and across, in place; row by row is 8 times as fast as np.cumsum here."""
    for row in range(1, table.shape[0]):
        table[row] += table[row - 1]
    for column in range(1, table.shape[1]):
        table[:, column] += table[:, column - 1]
    return table


def _box_sums(table: Float32[np.ndarray, "H W C"], windows: Int[np.ndarray, "N 4"]) -> Float32[np.ndarray, "N C"]:
    """The sum over each window from a summed-area table, whatever the window's size."""
    flat = table.reshape(-1, table.shape[2])
    top, left, bottom, right = np.ascontiguousarray(windows.T)
    top, bottom = top * table.shape[1], bottom * table.shape[1]
    sums = flat.take(bottom + right, axis=0)
    sums -= flat.take(top + right, axis=0)
    sums -= flat.take(bottom + left, axis=0)
    sums += flat.take(top + left, axis=0)
    return sums


def _areas(windows: Float[np.ndarray, "N 4"] | Int[np.ndarray, "N 4"]) -> Float32[np.ndarray, " N"]:
    sides = windows[:, 2:] - windows[:, :2]
    return (sides[:, 0] * sides[:, 1]).astype(np.float32)


def _chunked(
    scores: Callable[[Int[np.ndarray, "n 4"]], Float32[np.ndarray, " n"]], windows: Int[np.ndarray, "N 4"]
) -> Float32[np.ndarray, " N"]:
    """Score so many windows at a time that their histograms stay in the processor's cache."""
    parts = [scores(windows[i : i + CHUNK]) for i in range(0, len(windows), CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


# ---- sizes and ranges


def _check(cues: Sequence[str], windows: int, candidates: int) -> None:
    unknown = [cue for cue in cues if cue not in RATIO_CURVES]
    if unknown or not cues:
        raise RecipeError(
            f"cues = {tuple(cues)}: {f'{unknown[0]!r} is unknown' if unknown else 'none is given'}.",
            f"Choose one or more of: {', '.join(RATIO_CURVES)}.",
        )
    if windows < 1 or candidates < 1:
        raise RecipeError(f"windows = {windows}, candidates = {candidates}: too few.", "Choose 1 or more of each.")


def _side_scale(rgb: UInt8[np.ndarray, "H W 3"]) -> float:
    """Lengths in this picture over lengths in a picture of the reference area."""
    return float(np.sqrt(rgb.shape[0] * rgb.shape[1] / REFERENCE_AREA_PX))


def _working_width_px(height_px: int, width_px: int, working_height_px: int) -> int:
    """Width at the working height; strips of extreme shape are brought to 1:4 or 4:1."""
    width = round(width_px * working_height_px / height_px)
    return min(max(width, working_height_px // 4), 4 * working_height_px)


def _resized(rgb: UInt8[np.ndarray, "H W 3"], height_px: int, width_px: int) -> UInt8[np.ndarray, "h w 3"]:
    shrinks = height_px <= rgb.shape[0] and width_px <= rgb.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(rgb, (width_px, height_px), interpolation=interpolation)


def _min_max(values: Float[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Scaled to 0 to 1; constant values give 0."""
    low, high = values.min(), values.max()
    if not high > low:
        return np.zeros(values.shape, np.float32)
    return ((values - low) / (high - low)).astype(np.float32)
