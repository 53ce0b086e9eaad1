"""Shaft, wrist and clasper of an instrument, agreed over its whole track.

Along an instrument, measured from its tips in widths of its shaft, colour, width and branching are nearly the same in
every frame. They are averaged over the track; the two places where they change most are the ends of clasper and wrist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from cuemask.grouping.instances import Instrument, Labels, reach_of

SHAFT, WRIST, CLASPER = 10, 20, 30  # the part codes of EndoVis 2017

_BIN = 0.125  # widths
_BINS = 64
_LARGEST_GAP = 3  # bins
_FEWEST_PX = 4  # of a bin, to be told of
_COLOR, _WIDTH = 12.0, 0.12  # by how much each may vary within a part
_BRANCHED = 0.3  # of the frames: what falls into two so often is clasper
# In widths: what looks like the head behind the clasper is the wrist, and the collar that holds it, which is shaft.
_COLLAR = 0.75
_CLASPER, _METAL = (0.8, 3.2), (1.1, 2.4)  # shortest and longest
_USUAL_CLASPER, _USUAL_METAL = (1.8, 0.6), (1.6, 0.35)  # mean and spread over instruments
_TRUST_IN_USUAL = 0.5  # against the variation within parts; more while few frames have been seen
_FEW_FRAMES = 10


class Ends(NamedTuple):
    """Where clasper and wrist end, in widths of the shaft from the tips."""

    clasper: float
    wrist: float


USUAL = Ends(
    _USUAL_CLASPER[0], _USUAL_CLASPER[0] + _USUAL_METAL[0] - _COLLAR
)  # of an instrument that shows too little of itself


@dataclass
class _Sums:
    weight: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(_BINS))
    values: Float64[np.ndarray, "n 5"] = field(default_factory=lambda: np.zeros((_BINS, 5)))


@dataclass
class Profiles:
    """What instruments look like along their length, over a clip; memory grows with their number only."""

    _sums: dict[int, _Sums] = field(default_factory=dict)

    def add(self, labels: Labels, found: Sequence[Instrument], rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        """Take in the instruments of one frame, as `Tracker.push` gives them."""
        for one in found:
            x0, y0, x1, y1 = one.box
            own = labels[y0:y1, x0:x1] == one.number
            if own.sum() < 50:
                continue
            away = _from_tips(one, own, y0, x0)
            sums = self._sums.setdefault(one.number, _Sums())
            _add(sums, own, away, rgb[y0:y1, x0:x1], one.width_px)

    def ends(self) -> dict[int, Ends]:
        """Where the parts of each instrument end."""
        return {number: _ends(sums) for number, sums in self._sums.items()}


def parts_of(labels: Labels, found: Sequence[Instrument], ends: Mapping[int, Ends]) -> UInt8[np.ndarray, "H W"]:
    """Codes of the parts: 0 background, 10 shaft, 20 wrist, 30 clasper.

    Parameters
    ----------
    labels
        Instruments of a frame by their numbers.
    found
        The instruments, in the same pixels.
    ends
        As `Profiles.ends` tells.
    """
    codes = np.zeros(labels.shape, np.uint8)
    for one in found:
        whole = (labels == one.number).astype(np.uint8)
        if not whole.any():
            continue
        left, top, width, height = cv2.boundingRect(whole)
        place = np.s_[top : top + height, left : left + width]
        own = whole[place] > 0
        away = _from_tips(one, own, top, left)
        end = ends.get(one.number, USUAL)
        code = np.where(away <= end.clasper, CLASPER, np.where(away <= end.wrist, WRIST, SHAFT))
        codes[place][own] = code[own]
    return codes


def _from_tips(one: Instrument, own: Bool[np.ndarray, "h w"], top: int, left: int) -> Float32[np.ndarray, "h w"]:
    """How far each pixel lies from the tips, in widths of the shaft, of a box whose corner is given."""
    reach = reach_of(one.shaft, (top, left, own.shape[0], own.shape[1]))
    return (np.float32(np.percentile(reach[own], 99.5)) - reach) / np.float32(max(one.width_px, 2.0))


def _add(
    sums: _Sums,
    own: Bool[np.ndarray, "h w"],
    away: Float32[np.ndarray, "h w"],
    rgb: UInt8[np.ndarray, "h w 3"],
    width_px: float,
) -> None:
    """Add a frame's profile: mean colour, width over the shaft's and number of branches of each bin."""
    bins = np.clip((away / _BIN).astype(int), 0, _BINS)
    inner = bins[own]
    count = np.bincount(inner, minlength=_BINS + 1)[:_BINS]
    lab = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2LAB)[own].astype(np.float64)
    color = np.stack([np.bincount(inner, lab[:, c], minlength=_BINS + 1)[:_BINS] for c in range(3)], axis=1)
    is_told = count >= _FEWEST_PX
    safe = np.maximum(count, 1)
    across = count / (_BIN * width_px * width_px)
    branches = np.array([_branches(own & (bins == n)) if is_told[n] and n % 2 == 0 else 0.0 for n in range(_BINS)])
    branches[1::2] = branches[::2]
    values = np.concatenate([color / safe[:, None], across[:, None], branches[:, None]], axis=1)
    sums.values[is_told] += values[is_told]
    sums.weight += is_told


def _branches(ring: Bool[np.ndarray, "h w"]) -> float:
    """1 where a cut through the instrument falls into two parts, else 0."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(ring.astype(np.uint8))
    areas = sorted((int(stats[n, cv2.CC_STAT_AREA]) for n in range(1, count)), reverse=True)
    return float(len(areas) > 1 and areas[1] > 0.25 * areas[0])


def _ends(sums: _Sums) -> Ends:
    """The two places that leave the least variation of colour and width within clasper, wrist and shaft."""
    told = np.flatnonzero(sums.weight >= 0.3 * max(sums.weight.max(), 1))
    if len(told) < 2 * (_CLASPER[0] + _METAL[0]) / _BIN or told[0] > 4:
        return USUAL
    last = int(told[-1]) + 1
    mean = sums.values[:last] / np.maximum(sums.weight[:last, None], 1)
    weight = np.minimum(sums.weight[:last] / sums.weight.max(), 1.0)
    variation = _Variation(mean[:, :4] / np.array([1.5 * _COLOR, _COLOR, _COLOR, _WIDTH]), weight)
    # What falls into two is clasper; but a closed jaw does not, and says nothing.
    shortest = max(round(_CLASPER[0] / _BIN), _branched_from_tips(mean[: round(_CLASPER[1] / _BIN), 4] > _BRANCHED))
    trust = _TRUST_IN_USUAL * (1.0 + _FEW_FRAMES / float(sums.weight.max()))
    best, found = np.inf, USUAL
    for clasper in range(shortest, round(_CLASPER[1] / _BIN) + 1):
        for metal in range(clasper + round(_METAL[0] / _BIN), clasper + round(_METAL[1] / _BIN) + 1):
            if metal + 4 > last:
                break
            cost = variation.of(0, clasper) + variation.of(clasper, metal) + variation.of(metal, last)
            cost += trust * _unusual(clasper * _BIN, (metal - clasper) * _BIN)
            if cost < best:
                best, found = cost, Ends(clasper * _BIN, metal * _BIN - _COLLAR)
    return found


def _branched_from_tips(is_branched: Bool[np.ndarray, " n"]) -> int:
    """How many bins from the tips on fall into two; what does so behind a longer gap is no open jaw."""
    places = np.flatnonzero(is_branched)
    if not len(places) or places[0] > _LARGEST_GAP:
        return 0
    gaps = np.flatnonzero(np.diff(places) > _LARGEST_GAP)
    return int(places[-1] if not len(gaps) else places[gaps[0]]) + 1


def _unusual(clasper: float, metal: float) -> float:
    """How far two lengths, in widths, are from the usual ones."""
    return ((clasper - _USUAL_CLASPER[0]) / _USUAL_CLASPER[1]) ** 2 + ((metal - _USUAL_METAL[0]) / _USUAL_METAL[1]) ** 2


class _Variation:
    """Weighted sums of squares about the mean of any stretch of values."""

    def __init__(self, values: Float64[np.ndarray, "n k"], weight: Float64[np.ndarray, " n"]) -> None:
        nothing = np.zeros((1, values.shape[1]))
        self._first = np.concatenate([nothing, np.cumsum(weight[:, None] * values, axis=0)])
        self._second = np.concatenate([nothing, np.cumsum(weight[:, None] * values**2, axis=0)])
        self._mass = np.concatenate([np.zeros(1), np.cumsum(weight)])

    def of(self, start: int, stop: int) -> float:
        """That of the values from `start` to before `stop`."""
        mass = max(float(self._mass[stop] - self._mass[start]), 1e-6)
        squares = self._second[stop] - self._second[start]
        return float(np.maximum(squares - (self._first[stop] - self._first[start]) ** 2 / mass, 0.0).sum())
