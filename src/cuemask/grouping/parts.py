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
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from cuemask.grouping.instrument import Instrument, farthest, reach_of
from cuemask.grouping.labels import Labels

SHAFT, WRIST, CLASPER = 10, 20, 30  # the part codes of EndoVis 2017

_BIN = 0.125  # widths
_BINS = 64
# Frames in which so much of its end lies near no other instrument tell of it; where there are fewer, all do.
_ALONE, _FEWEST_ALONE = 0.95, 3
_LARGEST_GAP = 3  # bins
_FEWEST_PX = 4  # of a bin, to be told of
_COLOR, _WIDTH = 12.0, 0.12  # by how much each may vary within a part
_BRANCHED = 0.3  # of the frames: what falls into two so often is clasper
_COLLAR = 0.75  # in widths: what looks like the wrist but is shaft and holds it, where there is one
# Where the straight part ends the wrist begins, or one that is as wide as the shaft goes on a little: give or take.
_BEFORE, _BEYOND = 0.2, 0.35
_END_QUANTILE = 0.5  # over frames
_CLASPER_SHARE, _CLASPER_SPREAD = 0.6, 0.1  # of the head, over kinds of instruments
_SHORTEST = 2  # bins, of a clasper and of a wrist
_FARTHEST = 5.0  # in widths from the tips, where a shaft's end still tells something
_TRUST_IN_USUAL = 3.0  # against the variation within parts; more while few frames have been seen
_FEW_FRAMES = 3
# Of a tube: seen in so many frames, so wide up to its end, and that it looks branched in so many of them.
_TUBE_FRAMES, _TUBE_WIDTH, _TUBE_BRANCHED = 3, 0.5, 0.1
_TUBE_BINS = 12  # of the shaft, that are looked at: light falls off along it


class Ends(NamedTuple):
    """Where clasper and wrist end, in widths of the shaft from the tips."""

    clasper: float
    wrist: float


USUAL = Ends(1.5, 2.5)  # of an instrument that shows too little of itself
TUBE = Ends(0.0, 0.0)  # of one that is shaft up to its tip, such as a suction tube


@dataclass
class _Sums:
    weight: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(_BINS))
    values: Float64[np.ndarray, "n 5"] = field(default_factory=lambda: np.zeros((_BINS, 5)))
    ends: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(_BINS))  # frames by where the shaft ends


@dataclass
class Profiles:
    """What instruments look like along their length, over a clip; memory grows with their number only."""

    _alone: dict[int, _Sums] = field(default_factory=dict)
    _meeting: dict[int, _Sums] = field(default_factory=dict)

    def add(self, labels: Labels, found: Sequence[Instrument], rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        """Take in the instruments of one frame, as `Tracker.push` gives them."""
        for one in found:
            x0, y0, x1, y1 = one.box
            own = labels[y0:y1, x0:x1] == one.number
            if own.sum() < 50 or not one.tips:
                continue
            reach = reach_of(one.shaft, own, y0, x0)
            away = _from_tips(one, own, reach)
            kind = self._alone if one.alone >= _ALONE else self._meeting
            sums = kind.setdefault(one.number, _Sums())
            _add(sums, own, away, rgb[y0:y1, x0:x1], one.width_px)
            shaft_end = float(away[own & (reach <= 0)].min(initial=np.inf)) - 0.5
            sums.ends[int(np.clip(round(min(shaft_end, _FARTHEST + 1) / _BIN), 0, _BINS - 1))] += 1

    def ends(self) -> dict[int, Ends]:
        """Where the parts of each instrument end."""
        told = {number: _ends(sums) for number, sums in self._meeting.items()}
        alone = {n: sums for n, sums in self._alone.items() if n not in told or sums.weight.max() >= _FEWEST_ALONE}
        return told | {number: _ends(sums) for number, sums in alone.items()}


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
        end = ends.get(one.number, USUAL)
        reach = reach_of(one.shaft, own, top, left)
        # Where its tips lie outside the picture the wrist begins half a width beyond where the straight part ends.
        away = _from_tips(one, own, reach) if one.tips else end.wrist + 1.0 - reach / max(one.width_px, 2.0)
        code = np.where(away <= end.clasper, CLASPER, np.where(away <= end.wrist, WRIST, SHAFT))
        if end == TUBE:
            code[:] = SHAFT
        codes[place][own] = code[own]
    return codes


def _from_tips(
    one: Instrument, own: Bool[np.ndarray, "h w"], reach: Float32[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"]:
    """How far each pixel lies from the tips, in widths of the shaft."""
    end = one.reach_px or farthest(reach, own)
    return (np.float32(end) - reach) / np.float32(max(one.width_px, 2.0))


def _add(
    sums: _Sums,
    own: Bool[np.ndarray, "h w"],
    away: Float32[np.ndarray, "h w"],
    rgb: UInt8[np.ndarray, "h w 3"],
    width_px: float,
) -> None:
    """Add a frame's profile: mean colour, width over the shaft's and number of branches of each bin."""
    bins = np.clip((away / _BIN).astype(np.int64), 0, _BINS)
    inner = bins[own]
    count = np.bincount(inner, minlength=_BINS + 1)[:_BINS]
    lab = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2LAB)[own].astype(np.float64)
    color = np.stack([np.bincount(inner, lab[:, c], minlength=_BINS + 1)[:_BINS] for c in range(3)], axis=1)
    is_told = count >= _FEWEST_PX
    safe = np.maximum(count, 1)
    across = count / (_BIN * width_px * width_px)
    branches = np.where(is_told, _branches(own, bins), 0.0)
    branches[1::2] = branches[::2]
    values = np.concatenate([color / safe[:, None], across[:, None], branches[:, None]], axis=1)
    sums.values[is_told] += values[is_told]
    sums.weight += is_told


def _branches(own: Bool[np.ndarray, "h w"], bins: Int64[np.ndarray, "h w"]) -> Float64[np.ndarray, " n"]:
    """1 for each even bin in which the instrument falls into two parts, else 0."""
    is_even = own & (bins % 2 == 0) & (bins < _BINS)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(is_even.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.int64)
    bin_of = np.zeros(count, np.int64)
    bin_of[pieces[is_even]] = bins[is_even]
    told = np.zeros(_BINS)
    for n in np.unique(bin_of[1:]):
        largest = np.sort(areas[1:][bin_of[1:] == n])[::-1]
        told[n] = float(len(largest) > 1 and largest[1] > 0.25 * largest[0])
    return told


def _ends(sums: _Sums) -> Ends:
    """The two places that leave the least variation of colour and width within clasper, wrist and shaft."""
    if not sums.ends.any():
        return USUAL
    counts = np.cumsum(sums.ends)
    shaft_end = _BIN * float(np.searchsorted(counts, _END_QUANTILE * counts[-1]))
    is_told = 2 * _SHORTEST * _BIN < shaft_end < _FARTHEST
    usual = Ends(_CLASPER_SHARE * shaft_end, shaft_end) if is_told else USUAL
    told = np.flatnonzero(sums.weight >= 0.3 * max(sums.weight.max(), 1))
    if not is_told or not len(told) or told[0] > 4:
        return usual
    last = int(told[-1]) + 1
    mean = sums.values[:last] / np.maximum(sums.weight[:last, None], 1)
    if sums.weight.max() >= _TUBE_FRAMES and _is_tube(mean, round(shaft_end / _BIN)):
        return TUBE
    weight = np.minimum(sums.weight[:last] / sums.weight.max(), 1.0)
    variation = _Variation(mean[:, :4] / np.array([1.5 * _COLOR, _COLOR, _COLOR, _WIDTH]), weight)
    # What falls into two is clasper; but a closed jaw does not, and says nothing.
    longest = round((shaft_end + 3 * _BEYOND) / _BIN)
    shortest = max(_SHORTEST, min(_branched_from_tips(mean[:longest, 4] > _BRANCHED), longest - _SHORTEST))
    trust = _TRUST_IN_USUAL * (1.0 + _FEW_FRAMES / float(sums.weight.max()))
    best, found = np.inf, usual
    for clasper in range(shortest, longest):
        for wrist in range(clasper + _SHORTEST, longest + 1):
            for metal in (wrist, wrist + round(_COLLAR / _BIN)):
                if metal + 4 > last:
                    break
                cost = variation.of(0, clasper) + variation.of(clasper, metal) + variation.of(metal, last)
                cost += trust * _unusual(clasper * _BIN, wrist * _BIN, shaft_end)
                if cost < best:
                    best, found = cost, Ends(clasper * _BIN, wrist * _BIN)
    return found


def _is_tube(mean: Float64[np.ndarray, "n 5"], shaft_end: int) -> bool:
    """Whether what lies before the shaft's end is of its material, blunt, and never falls into two."""
    start = shaft_end + round(_COLLAR / _BIN)
    head, shaft = mean[_SHORTEST:shaft_end], mean[start : start + _TUBE_BINS]
    if len(head) < 2 * _SHORTEST or len(shaft) < 2 * _SHORTEST:
        return False
    apart = np.abs(np.median(head[:, :3], axis=0) - np.median(shaft[:, :3], axis=0)) / (2.5 * _COLOR, _COLOR, _COLOR)
    is_blunt = float(head[:, 3].min()) >= _TUBE_WIDTH
    return bool((apart <= 1.0).all()) and is_blunt and float(head[:, 4].max()) < _TUBE_BRANCHED


def _branched_from_tips(is_branched: Bool[np.ndarray, " n"]) -> int:
    """How many bins from the tips on fall into two; what does so behind a longer gap is no open jaw."""
    places = np.flatnonzero(is_branched)
    if not len(places) or places[0] > _LARGEST_GAP:
        return 0
    gaps = np.flatnonzero(np.diff(places) > _LARGEST_GAP)
    return int(places[-1] if not len(gaps) else places[gaps[0]]) + 1


def _unusual(clasper: float, wrist: float, shaft_end: float) -> float:
    """How far from the usual two ends are, in widths, where the straight part ends at `shaft_end`."""
    beyond = wrist - shaft_end
    away = beyond / (_BEYOND if beyond > 0 else _BEFORE)
    return away**2 + ((clasper / wrist - _CLASPER_SHARE) / _CLASPER_SPREAD) ** 2


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
