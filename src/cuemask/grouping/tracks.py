"""The same number for the same instrument, through a clip: frames are pushed one by one, memory stays flat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.grouping.assignment import best_pairs
from cuemask.grouping.heads import Head, Placed, head_of, merged, told_apart
from cuemask.grouping.instances import instruments
from cuemask.grouping.instrument import Instrument, numbered, told_again
from cuemask.grouping.labels import Labels, border_of
from cuemask.grouping.motion import flow_between, moved_shaft, small_grey
from cuemask.grouping.shafts import Shaft

MOST_TRACKS = 64  # instruments that are remembered; beyond that the one that was seen longest ago is forgotten
_FRESH_FRAMES = 3  # a shaft seen so lately is expected to be where the flow takes it
_PROVEN_FRAMES = 3  # what seems to come out of another instrument, or is small and floats, has to last so long
_SMALL_SHARE = 0.02  # of the picture: what floats and covers less may be tissue that the mask took for an instrument
_FROM_ANOTHER = 0.3  # of its pixels, that were another instrument's before
_SAME_PIXELS = 0.7  # of its pixels that one instrument had before: it is a piece of that one
# Of the picture's height, by which an entry may have moved until it is hardly the same: seen lately, or long ago.
_ENTRY_SHARE, _LOST_ENTRY_SHARE = 0.2, 0.4
_TURN_RADIANS = 0.5
_LOOK = 22.0  # in L*a*b*
_LEAST_NEW = 0.05  # by which a track's look and width follow each frame
# Of a head's cells that have to be known: to be remembered at all, and in place of one that was seen before. How badly
# one may agree with the picture that follows what is seen.
_FIRST_SHARE, _LATER_SHARE, _FOLLOWS = 0.65, 0.95, 0.35
_LEAST_FRESH, _LEAST_LOST = 0.25, 0.35


@dataclass
class _Track:
    number: int
    shaft: Shaft
    look: Float32[np.ndarray, " 4"]
    seen: int
    width_px: float
    frames: int = 1
    head: Head | None = None


@dataclass
class _Maybe:
    """Something that may have come apart from an instrument, or is none."""

    shaft: Shaft
    frames: int
    seen: int


@dataclass
class Tracker:
    """Numbers the instruments of one clip, from 1 in the order in which they are first seen.

    What an instrument is known by: where it enters the picture and in which direction (its port lies outside the
    picture and stays), where the pixels of the frame before have moved to, its colour and its width.
    """

    _tracks: list[_Track] = field(default_factory=list)
    _maybes: list[_Maybe] = field(default_factory=list)
    _next: int = 1
    _frame: int = -1
    _before: tuple[UInt8[np.ndarray, "h w"], Labels] | None = None

    def push(
        self,
        mask: Bool[np.ndarray, "H W"],
        inside: Bool[np.ndarray, "H W"] | None,
        rgb: UInt8[np.ndarray, "H W 3"],
    ) -> tuple[Labels, list[Instrument]]:
        """Split the next frame's mask; labels and numbers are those of the clip.

        Parameters
        ----------
        mask, inside, rgb
            As `instances.instruments` takes them: the endoscope's picture, reduced.
        """
        self._frame += 1
        inside = np.ones(mask.shape, np.bool_) if inside is None else inside
        small = small_grey(rgb)
        expected, flow = self._expected(small, mask.shape)
        fresh = [track for track in self._tracks if self._frame - track.seen <= _FRESH_FRAMES]
        known = [moved_shaft(track.shaft, flow) for track in fresh]
        labels, found = instruments(mask, inside, rgb, known, _of_known(expected, [track.number for track in fresh]))
        border = border_of(inside)
        labels, found = _joined(labels, found, expected, border)
        looks = [_look(rgb, labels == one.number, one.shaft, mask.shape[0]) for one in found]
        numbers = self._numbers(labels, found, looks, expected, border)
        labels, found = _attached(labels, found, numbers, expected, border)
        told, renumbered = _renumbered(labels, found, numbers)
        before = {track.number: track.shaft.length for track in fresh}
        for one in found:
            if numbers[one.number]:
                self._remember(numbers[one.number], one, looks[one.number - 1])
        told, agreed = self._told_apart(told, [self._agreed(one) for one in renumbered], before, expected, rgb, border)
        self._before = small, told
        return told, agreed

    def _told_apart(
        self,
        labels: Labels,
        found: list[Instrument],
        before: Mapping[int, float],
        expected: Labels | None,
        rgb: UInt8[np.ndarray, "H W 3"],
        border: Bool[np.ndarray, "H W"],
    ) -> tuple[Labels, list[Instrument]]:
        """Instruments that meet, told apart by their heads as they were; heads that are seen are remembered."""
        tracks = {track.number: track for track in self._tracks}
        seen = {one.number: head_of(rgb, labels, one) for one in found}
        meeting = [one for one in found if seen[one.number].share < 1.0]
        heads = {one.number: head for one in meeting if (head := tracks[one.number].head) is not None}
        places: dict[int, Placed] = {}
        if len(meeting) > 1 and heads:
            theirs = np.isin(labels, [one.number for one in meeting])
            lengths = {one.number: before.get(one.number, one.shaft.length) for one in meeting}
            own, places = told_apart(np.where(theirs, labels, np.uint16(0)), meeting, heads, lengths, expected, rgb)
            labels = np.where(theirs, own, labels)
            for one in found:
                if one.number in places:
                    length = max(1.0, places[one.number].length_px)
                    tracks[one.number].shaft = replace(one.shaft, length=length)
            shafts = {number: tracks[number].shaft for number in places}
            reach = {number: heads[number].reach_widths * tracks[number].width_px for number in places}
            found = told_again(labels, found, shafts, reach, border)
            seen = {one.number: head_of(rgb, labels, one) for one in found}
        for one in found:
            track, head = tracks[one.number], seen[one.number]
            if track.head is not None and one.number in places:
                if places[one.number].cost <= _FOLLOWS:
                    track.head = merged(head, track.head, places[one.number].turn)
            elif one.tips and head.share >= (_FIRST_SHARE if track.head is None else _LATER_SHARE):
                track.head = head
        return labels, [replace(one, alone=seen[one.number].share) for one in found]

    def _expected(
        self, small: UInt8[np.ndarray, "h w"], shape: Sequence[int]
    ) -> tuple[Labels | None, Float32[np.ndarray, "H W 2"] | None]:
        """The labels of the frame before where the flow takes them, and the flow from there, at full size."""
        if self._before is None or self._before[0].shape != small.shape or self._before[1].shape != tuple(shape):
            return None, None
        before, labels = self._before
        back = flow_between(small, before)
        full = cv2.resize(back, (shape[1], shape[0])) * np.float32(shape[0] / small.shape[0])
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        moved = cv2.remap(
            labels, x + full[..., 0], y + full[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        return moved, -full

    def _numbers(
        self,
        labels: Labels,
        found: Sequence[Instrument],
        looks: Sequence[Float32[np.ndarray, " 4"]],
        expected: Labels | None,
        border: Bool[np.ndarray, "H W"],
    ) -> dict[int, int]:
        """The clip's number of each instrument of this frame; 0 of what is not yet known to be one."""
        overlaps = [_overlaps(labels == one.number, expected) for one in found]
        numbers = {one.number: 0 for one in found}
        # What was here a moment ago comes first: one that left long ago, and looks like it, must not take its place.
        for is_fresh in (True, False):
            likeness = np.zeros((len(self._tracks), len(found)))
            for row, track in enumerate(self._tracks):
                for column, one in enumerate(found):
                    if numbers[one.number] or track.number in numbers.values():
                        continue
                    if is_fresh and self._is_fresh(track):
                        same = overlaps[column].get(track.number, (0.0, 0.0))[0]
                        likeness[row, column] = _fresh_likeness(track, one, looks[column], same, labels.shape[0])
                    elif not is_fresh:
                        likeness[row, column] = _likeness(track, one, looks[column], labels.shape[0])
            for row, column in best_pairs(likeness):
                if likeness[row, column] > 0:
                    numbers[found[column].number] = self._tracks[row].number
        for column, one in enumerate(found):
            if numbers[one.number] == 0:
                is_doubtful = one.area_px < _SMALL_SHARE * labels.size and not border[labels == one.number].any()
                numbers[one.number] = self._newcomer(one, overlaps[column], labels.shape[0], is_doubtful=is_doubtful)
        self._maybes = [maybe for maybe in self._maybes if self._frame - maybe.seen <= 1]
        return numbers

    def _is_fresh(self, track: _Track) -> bool:
        return self._frame - track.seen <= _FRESH_FRAMES and self._before is not None

    def _newcomer(
        self,
        one: Instrument,
        overlaps: Mapping[int, tuple[float, float]],
        height_px: int,
        *,
        is_doubtful: bool,
    ) -> int:
        """A new number; 0 for what has come apart from an instrument, or is doubtful, until it has lasted.

        In the first frame, which may be the only one, what is doubtful is one.
        """
        if sum(share for _, share in overlaps.values()) > _FROM_ANOTHER or (is_doubtful and self._frame > 0):
            near = [m for m in self._maybes if _place(m.shaft, one.shaft, _ENTRY_SHARE * height_px) > 0.5]
            maybe = near[0] if near else _Maybe(one.shaft, 0, self._frame)
            if not near:
                self._maybes.append(maybe)
            maybe.shaft, maybe.frames, maybe.seen = one.shaft, maybe.frames + 1, self._frame
            if maybe.frames < _PROVEN_FRAMES:
                return 0
        number, self._next = self._next, self._next + 1
        return number

    def _remember(self, number: int, one: Instrument, look: Float32[np.ndarray, " 4"]) -> None:
        track = next((track for track in self._tracks if track.number == number), None)
        if track is None:
            self._tracks.append(_Track(number, one.shaft, look, self._frame, one.width_px))
            if len(self._tracks) > MOST_TRACKS:
                self._tracks.remove(min(self._tracks, key=lambda track: track.seen))
            return
        track.shaft, track.seen, track.frames = one.shaft, self._frame, track.frames + 1
        share = max(_LEAST_NEW, 1.0 / track.frames)
        track.look = np.float32(1.0 - share) * track.look + np.float32(share) * look
        track.width_px += share * (one.width_px - track.width_px)

    def _agreed(self, one: Instrument) -> Instrument:
        """An instrument with what its track says of its width."""
        return replace(one, width_px=next(track.width_px for track in self._tracks if track.number == one.number))


def _of_known(expected: Labels | None, numbers: Sequence[int]) -> Labels | None:
    """The expected labels by the places of their numbers in `numbers`, from 1; 0 for others."""
    if expected is None:
        return None
    lookup = np.zeros(max([int(expected.max()), *numbers]) + 1, np.uint16)
    lookup[list(numbers)] = np.arange(1, len(numbers) + 1)
    return lookup[expected]


def _fresh_likeness(
    track: _Track, one: Instrument, look: Float32[np.ndarray, " 4"], same: float, height_px: int
) -> float:
    """How like an instrument is to one that was there a moment ago, 0 to 1; 0 where it cannot be.

    Parameters
    ----------
    same
        How far its pixels are those that are expected, 0 to 1.
    """
    place = _place(track.shaft, one.shaft, _ENTRY_SHARE * height_px)
    value = 0.55 * same + 0.45 * place * (0.2 + 0.8 * _alike(track, look))
    return value if value >= _LEAST_FRESH else 0.0


def _likeness(track: _Track, one: Instrument, look: Float32[np.ndarray, " 4"], height_px: int) -> float:
    """The same by entry, direction and look alone: of one that was lost, or moved too fast for the flow."""
    place = _place(track.shaft, one.shaft, _LOST_ENTRY_SHARE * height_px)
    value = place * (0.2 + 0.8 * _alike(track, look))
    return value if value >= _LEAST_LOST else 0.0


def _alike(track: _Track, look: Float32[np.ndarray, " 4"]) -> float:
    """How alike colour and width are, 0 to 1."""
    color, width = np.sum((track.look[:3] - look[:3]) ** 2) / _LOOK**2, (track.look[3] - look[3]) ** 2
    return float(np.exp(-color - width))


def _place(one: Shaft, other: Shaft, reach_px: float) -> float:
    """How well two shafts agree in where they enter, give or take `reach_px`, and in direction, 0 to 1."""
    away = float(np.hypot(one.entry[0] - other.entry[0], one.entry[1] - other.entry[1])) / reach_px
    cosine = one.direction[0] * other.direction[0] + one.direction[1] * other.direction[1]
    turn = float(np.arccos(np.clip(cosine, -1.0, 1.0))) / _TURN_RADIANS
    return float(np.exp(-(away**2) - turn**2))


def _look(
    rgb: UInt8[np.ndarray, "H W 3"], own: Bool[np.ndarray, "H W"], shaft: Shaft, height_px: int
) -> Float32[np.ndarray, " 4"]:
    """Median colour in L*a*b* and the logarithm of the width."""
    pixels = rgb[own][None, :: max(1, int(own.sum()) // 2000)]
    lab = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2LAB)[0]
    middle = np.median(lab, axis=0)
    width = np.log(max(shaft.width_at(shaft.length / 2), 1.0) / height_px * 10)
    return np.array([middle[0] * 0.4, middle[1], middle[2], width], np.float32)  # light changes, hue does not


def _overlaps(own: Bool[np.ndarray, "H W"], expected: Labels | None) -> dict[int, tuple[float, float]]:
    """For each number that is expected where `own` lies: IoU, and the share of `own` that it covers."""
    if expected is None:
        return {}
    count, totals = np.bincount(expected[own], minlength=1), np.bincount(expected.ravel())
    area = int(own.sum())
    return {
        number: (float(count[number] / (area + totals[number] - count[number])), float(count[number] / area))
        for number in range(1, len(count))
        if count[number]
    }


def _joined(
    labels: Labels, found: Sequence[Instrument], expected: Labels | None, border: Bool[np.ndarray, "H W"]
) -> tuple[Labels, list[Instrument]]:
    """Pieces that were one instrument in the frame before, put together: the larger one keeps its shaft.

    What enters at the border is no piece.
    """
    if expected is None:
        return labels, list(found)
    owners: dict[int, Instrument] = {}
    shafts = {one.number: one.shaft for one in found}
    joined = labels.copy()
    for one in sorted(found, key=lambda one: -one.area_px):
        shares = {number: share for number, (_, share) in _overlaps(labels == one.number, expected).items()}
        owner = max(shares, key=lambda number: shares[number], default=0)
        if shares.get(owner, 0.0) < _SAME_PIXELS:
            continue
        if owner in owners and not (border & (labels == one.number)).any():
            joined[labels == one.number] = owners[owner].number
            del shafts[one.number]
        elif owner not in owners:
            owners[owner] = one
    if len(shafts) == len(found):
        return labels, list(found)
    order = sorted(shafts)
    lookup = np.zeros(int(joined.max()) + 1, np.uint16)
    lookup[order] = np.arange(1, len(order) + 1)
    return numbered(lookup[joined], [shafts[number] for number in order], border)


def _attached(
    labels: Labels,
    found: Sequence[Instrument],
    numbers: dict[int, int],
    expected: Labels | None,
    border: Bool[np.ndarray, "H W"],
) -> tuple[Labels, list[Instrument]]:
    """What has come apart and is not yet known to be an instrument, with the one it was; `numbers` are completed.

    Where nothing else of that one is left, it is that one.
    """
    labels = labels.copy()
    shafts = [one.shaft for one in found]
    for one in (one for one in found if numbers[one.number] == 0):
        own = labels == one.number
        shares = {number: share for number, (_, share) in _overlaps(own, expected).items()}
        owner = max(shares, key=lambda number: shares[number], default=0)
        heir = next((other for other, number in numbers.items() if number == owner), None)
        if owner and heir is None:
            numbers[one.number] = owner
        elif heir is not None:
            labels[own] = heir
    gone = {one.number for one in found} - set(np.unique(labels).tolist())
    if not gone:
        return labels, list(found)
    _, whole = numbered(labels, shafts, border)
    kept = [one.number for one in found if one.number not in gone]
    return labels, [replace(one, number=number) for one, number in zip(whole, kept, strict=True)]


def _renumbered(
    labels: Labels, found: Sequence[Instrument], numbers: Mapping[int, int]
) -> tuple[Labels, list[Instrument]]:
    lookup = np.zeros(max(numbers, default=0) + 1, np.uint16)
    for one in found:
        lookup[one.number] = numbers[one.number]
    kept = [replace(one, number=numbers[one.number]) for one in found if numbers[one.number]]
    return lookup[labels], sorted(kept, key=lambda one: one.number)
