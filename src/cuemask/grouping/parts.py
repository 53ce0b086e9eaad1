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
_FEWEST_PX = 4  # of a bin, to be told of
_COLOR, _WIDTH, _BRANCHES = 12.0, 0.12, 0.35  # by how much each may vary within a part
_CLASPER = (0.8, 3.2)  # shortest and longest, in widths
_WRIST = (0.5, 2.0)


class Ends(NamedTuple):
    """Where clasper and wrist end, in widths of the shaft from the tips."""

    clasper: float
    wrist: float


USUAL = Ends(1.6, 2.9)  # of an instrument that shows too little of itself


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
    """The two places that leave the least variation within clasper, wrist and shaft."""
    told = np.flatnonzero(sums.weight >= 0.3 * max(sums.weight.max(), 1))
    if len(told) < 2 * (_CLASPER[0] + _WRIST[0]) / _BIN or told[0] > 4:
        return USUAL
    last = int(told[-1]) + 1
    mean = sums.values[:last] / np.maximum(sums.weight[:last, None], 1)
    scaled = mean / np.array([2 * _COLOR, _COLOR, _COLOR, _WIDTH, _BRANCHES])
    weight = np.minimum(sums.weight[:last] / sums.weight.max(), 1.0)
    first = np.concatenate([np.zeros((1, 5)), np.cumsum(weight[:, None] * scaled, axis=0)])
    second = np.concatenate([np.zeros((1, 5)), np.cumsum(weight[:, None] * scaled**2, axis=0)])
    total = np.concatenate([[0.0], np.cumsum(weight)])

    def variation(start: int, stop: int) -> float:
        mass = max(total[stop] - total[start], 1e-6)
        part = second[stop] - second[start] - (first[stop] - first[start]) ** 2 / mass
        return float(np.maximum(part, 0.0).sum())

    best, found = np.inf, USUAL
    for clasper in range(round(_CLASPER[0] / _BIN), round(_CLASPER[1] / _BIN) + 1):
        for wrist in range(clasper + round(_WRIST[0] / _BIN), clasper + round(_WRIST[1] / _BIN) + 1):
            if wrist + 4 > last:
                break
            cost = variation(0, clasper) + variation(clasper, wrist) + variation(wrist, last)
            if cost < best:
                best, found = cost, Ends(clasper * _BIN, wrist * _BIN)
    return found
