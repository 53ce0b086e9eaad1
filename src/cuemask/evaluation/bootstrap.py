"""Whether one run is better than another, or luck: the paired bootstrap.

The same frames are drawn with replacement for both runs, thousands of times, and the figure's difference is taken each
time (Efron and Tibshirani, An introduction to the bootstrap, 1993). Frames of one video resemble each other, so that
intervals from frames are narrower than what other videos would show; drawing whole videos is honest about it, but needs
many of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from jaxtyping import Float64

from cuemask.errors import EvaluationError
from cuemask.evaluation.frames import OF_COUNTS, FigureName, FrameScore, counted_pixels, counts_of, listed
from cuemask.evaluation.metrics import EPSILON
from cuemask.evaluation.protocols import Protocol, by_video, is_of_pixels, protocol_named
from cuemask.evaluation.results import LABELS, Evaluation, figured

Unit = Literal["frames", "videos"]
Interval = Literal["percentile", "bca"]

RESAMPLES = 10_000
CONFIDENCE = 0.95
DRAWN_AT_ONCE = 1 << 18  # units of one batch of resamples, so that memory is flat


@dataclass(frozen=True)
class Difference:
    """How much higher one run's figure is than the other's.

    Attributes
    ----------
    mean
        The first run's figure less the other's, by the protocol of both: 0 to 1, `hd95_px` in pixels.
    low, high
        Ends of the interval.
    confidence
        How sure the interval is, 0 to 1.
    frame_count
        How many frames at least one of the runs counts.
    unit
        What was drawn.
    unit_count
        How many of them there are.
    resamples
        How often they were drawn.
    interval
        `percentile`, or `bca`: bias-corrected and accelerated.
    """

    mean: float
    low: float
    high: float
    confidence: float
    frame_count: int
    unit: Unit
    unit_count: int
    resamples: int
    interval: Interval


def paired_bootstrap(
    one: Evaluation,
    other: Evaluation,
    figure: FigureName = "iou",
    *,
    unit: Unit | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    interval: Interval = "percentile",
    seed: int = 0,
) -> Difference:
    """The difference of two runs over the same frames, by their protocol, and its bootstrap interval.

    Parameters
    ----------
    figure
        Any that both have.
    unit
        What is drawn: `frames`, or whole `videos`. None for frames, and for videos where the protocol averages over
        these.
    interval
        Quantiles of the differences as drawn, or corrected for their bias and skewness (`bca`; Efron, Better bootstrap
        confidence intervals, 1987).

    Raises
    ------
    EvaluationError
        If the runs do not hold the same frames by the same protocol, there are fewer than two units, or frames are to
        be drawn where the protocol averages over videos.
    ValueError
        If `confidence` is not between 0 and 1 or `resamples` not above 0.
    """
    if not (0 < confidence < 1 and resamples > 0):
        raise ValueError(f"no interval of confidence {confidence} comes from {resamples} resamples")
    protocol = _common_protocol(one, other)
    unit = _unit(unit, protocol)
    frames, others = _counted_pairs(protocol, one, other)
    statistic = _Statistic(protocol, figure)
    units = np.stack([_units(statistic, frames, unit), _units(statistic, others, unit)], axis=1)  # units runs columns
    _refuse_few(len(units), unit, protocol)
    mean = float(statistic.difference(units.sum(axis=0)))
    drawn = _drawn(statistic, units, resamples, seed)
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if interval == "bca":
        tails = _corrected(tails, drawn, mean, statistic.difference(units.sum(axis=0) - units))
    low, high = np.quantile(drawn, tails).tolist()
    return Difference(mean, low, high, confidence, len(frames), unit, len(units), resamples, interval)


def all_differences(
    one: Evaluation, other: Evaluation, *, unit: Unit | None = None, seed: int = 0
) -> dict[FigureName, Difference]:
    """`paired_bootstrap` of every figure that the first run has.

    Raises
    ------
    EvaluationError
        As `paired_bootstrap`.
    """
    return {figure: paired_bootstrap(one, other, figure, unit=unit, seed=seed) for figure in one.pooled.figures}


def difference_lines(other: str, differences: Mapping[FigureName, Difference]) -> list[str]:
    """The differences from `other`, a line a figure: -1 to 1, HD95 in pixels; then how they were drawn."""
    width = max(len(LABELS.get(name, name)) for name in differences)
    lines = [f"difference from {other}"]
    for name, found in differences.items():
        mean, low, high = (figured(name, value, "+") for value in (found.mean, found.low, found.high))
        unit = " px" if name == "hd95_px" else ""
        lines.append(f"{LABELS.get(name, name):<{width}}  {mean}{unit} ({low} to {high})")
    one = next(iter(differences.values()))
    drawn = f"{one.unit_count} {one.unit} drawn {one.resamples} times"
    return [*lines, f"({100 * one.confidence:g} % interval, paired bootstrap, {drawn}, {one.interval})"]


@dataclass(frozen=True)
class _Statistic:
    """A protocol's figure as a function of sums over frames, so that a resample is a sum."""

    protocol: Protocol
    figure: FigureName

    @property
    def is_of_pixels(self) -> bool:
        return is_of_pixels(self.protocol, self.figure)

    def columns(self, frames: Sequence[FrameScore]) -> Float64[np.ndarray, "frames columns"]:
        """What is summed: pixels, or the figure and 1 where the frame counts and 0 and 0 where not."""
        if self.is_of_pixels:
            return counted_pixels(frames).astype(np.float64)
        counts = np.array([self.protocol.counts(frame) for frame in frames], np.float64)
        return np.stack([counts * [frame.figure(self.figure) for frame in frames], counts], axis=1)

    def of(self, sums: Float64[np.ndarray, "*any columns"]) -> Float64[np.ndarray, "*any"]:
        if self.is_of_pixels:
            return OF_COUNTS[self.figure](counts_of(np.rint(sums).astype(np.int64)))
        # Draws in which no frame of this run counts, being empty on both sides, are right: 1, as empty on empty.
        return np.asarray((sums[..., 0] + EPSILON) / (sums[..., 1] + EPSILON), np.float64)

    def difference(self, sums: Float64[np.ndarray, "*any 2 columns"]) -> Float64[np.ndarray, "*any"]:
        return np.asarray(self.of(sums[..., 0, :]) - self.of(sums[..., 1, :]), np.float64)


def _units(statistic: _Statistic, frames: Sequence[FrameScore], unit: Unit) -> Float64[np.ndarray, "units columns"]:
    if unit == "frames":
        return statistic.columns(frames)
    sums = np.stack([statistic.columns(own).sum(axis=0) for own in by_video(frames).values()])
    if statistic.protocol.unit == "videos":  # each counts once, with the mean of its frames
        return np.stack([statistic.of(sums), np.ones(len(sums))], axis=1)
    return sums


def _drawn(
    statistic: _Statistic, units: Float64[np.ndarray, "units 2 columns"], resamples: int, seed: int
) -> Float64[np.ndarray, " resamples"]:
    rng = np.random.default_rng(seed)
    batch = max(1, DRAWN_AT_ONCE // len(units))
    batches = [min(batch, resamples - start) for start in range(0, resamples, batch)]
    sums = (units[rng.integers(len(units), size=(count, len(units)))].sum(axis=1) for count in batches)
    return np.concatenate([statistic.difference(some) for some in sums])


def _corrected(
    tails: Float64[np.ndarray, " ends"],
    drawn: Float64[np.ndarray, " resamples"],
    mean: float,
    without_one: Float64[np.ndarray, " units"],
) -> Float64[np.ndarray, " ends"]:
    """Tails moved for bias z and acceleration a: Phi(z + (z + z_t) / (1 - a (z + z_t)))."""
    normal = NormalDist()
    below = (np.count_nonzero(drawn < mean) + np.count_nonzero(drawn <= mean)) / 2
    bias = normal.inv_cdf(float(np.clip(below, 0.5, len(drawn) - 0.5)) / len(drawn))
    off = without_one.mean() - without_one
    spread = float(np.sum(off**2)) ** 1.5
    acceleration = float(np.sum(off**3)) / (6 * spread) if spread > 0 else 0.0
    moved = [bias + normal.inv_cdf(float(tail)) for tail in tails]
    return np.array([normal.cdf(bias + z / (1 - acceleration * z)) for z in moved])


def _common_protocol(one: Evaluation, other: Evaluation) -> Protocol:
    if one.protocol_name != other.protocol_name or one.tolerance != other.tolerance:
        raise EvaluationError(
            f"One run is evaluated by {one.protocol_name} (tolerance {one.tolerance}), the other by "
            f"{other.protocol_name} (tolerance {other.tolerance}).",
            "Evaluate both with the same --protocol and --tolerance.",
        )
    return protocol_named(one.protocol_name)


def _counted_pairs(protocol: Protocol, one: Evaluation, other: Evaluation) -> tuple[list[FrameScore], list[FrameScore]]:
    """The frames that count in one of the runs at least, of both in one order."""
    named, partners = _by_name(one.frames), _by_name(other.frames)
    alone = [f"{video}/{frame}" if video else frame for video, frame in named.keys() ^ partners.keys()]
    if alone:
        raise EvaluationError(
            f"{len(alone)} frames are in one run only: {listed(sorted(alone))}.",
            "Compare runs over the same frames: predict both from the same clips.",
        )
    pairs = [(frame, partners[key]) for key, frame in named.items()]
    counted = [pair for pair in pairs if any(protocol.counts(frame) for frame in pair)]
    return [frame for frame, _ in counted], [frame for _, frame in counted]


def _by_name(frames: Sequence[FrameScore]) -> dict[tuple[str, str], FrameScore]:
    named = {(frame.video, frame.frame): frame for frame in frames}
    if len(named) < len(frames):
        raise ValueError("two frames of a run have one name")
    return named


def _unit(unit: Unit | None, protocol: Protocol) -> Unit:
    if protocol.unit != "videos":
        return unit or "frames"
    if unit == "frames":
        raise EvaluationError(
            f"Protocol {protocol.name} averages over videos, so that frames cannot be drawn.",
            "Draw videos, or choose another --protocol.",
        )
    return "videos"


def _refuse_few(count: int, unit: Unit, protocol: Protocol) -> None:
    if count < 2:
        remedy = "Evaluate more of them" + (", or draw frames." if unit == "videos" else ".")
        remedy = remedy if protocol.unit != "videos" else "Evaluate more videos, or choose another --protocol."
        raise EvaluationError(f"A bootstrap over {unit} needs two at least; there is {count}.", remedy)
