"""Which two frames meet in a step, and how they are cut, turned and coloured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, overload

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from cuemask.recipe import TrainingRecipe


class Pair(NamedTuple):
    """Two frames of one clip."""

    clip: int
    first: int
    second: int


@dataclass(frozen=True)
class View:
    """A crop in fractions of the picture, perhaps mirrored left to right."""

    top: float
    left: float
    height: float
    width: float
    flip: bool


class Pairs(Sequence[Pair]):
    """All pairs (t, t + 1) of each clip, or each frame with a random other one of its clip, as in the first pass.

    Clips of fewer than two frames give none. Each pair is made when it is asked for: an archive has more of them than
    memory holds.

    Parameters
    ----------
    lengths
        Of the clips, in frames.
    seed
        Of the random other ones.
    """

    def __init__(self, lengths: Sequence[int], pairing: Literal["adjacent", "random"], seed: int) -> None:
        self._lengths, self._seed, self._is_random = np.array(lengths, np.int64), seed, pairing == "random"
        ends = np.where(self._lengths > 1, self._lengths - (not self._is_random), 0).cumsum()
        self._starts = np.concatenate([[0], ends]).astype(np.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        """Pair `index`, from 0, clip after clip."""
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        clip = int(np.searchsorted(self._starts, index, side="right")) - 1
        first = index - int(self._starts[clip])
        if self._is_random:
            return Pair(clip, first, _partner(clip, first, int(self._lengths[clip]), 0, self._seed))
        return Pair(clip, first, first + 1)

    def of(self, clip: int) -> list[Pair]:
        """Those of one clip."""
        return self[int(self._starts[clip]) : int(self._starts[clip + 1])]


def clips_drawn(count: int, recipe: TrainingRecipe, seed: int) -> list[int]:
    """The numbers of `count` clips in the order in which learning looks at them; at no more than `most_clips`.

    All in their own order where they are few enough, else by chance. A clip that is looked at is read to its end before
    the first step; so many thousand of them would be read, of which no step meets a frame.
    """
    if count <= most_clips(recipe):
        return list(range(count))
    return np.random.default_rng([seed, 3]).permutation(count).tolist()


def most_clips(recipe: TrainingRecipe) -> int:
    """How many clips learning can meet: as many as its steps have pairs."""
    return recipe.steps * recipe.pairs_per_step


def _partner(clip: int, frame: int, length: int, turn: int, seed: int) -> int:
    """The other frame that a frame meets in pass `turn`; a function of its arguments alone."""
    return (frame + int(np.random.default_rng([seed, 2, turn, clip, frame]).integers(1, length))) % length


class Schedule(NamedTuple):
    """What the steps of a training run draw their pairs from.

    Attributes
    ----------
    pairs
        All of them.
    labelled
        Those that hold a labelled frame, with random partners those whose first frame is labelled; empty where none or
        all do.
    per_step, share
        Pairs a step, and the share of them that is drawn from `labelled`.
    seed
        Of the orders.
    lengths
        Of the clips, where each pass draws the second frames anew; None where pairs stay as they are.
    steps
        How many steps there are before those that draw from `alone`.
    alone
        Pairs of labelled frames.
    alone_steps
        How many steps draw from them.
    """

    pairs: Sequence[Pair]
    labelled: list[Pair]
    per_step: int
    share: float
    seed: int
    lengths: tuple[int, ...] | None = None
    steps: int = 0
    alone: Sequence[Pair] = ()
    alone_steps: int = 0

    @property
    def all_steps(self) -> int:
        """Of the whole training."""
        return self.steps + self.alone_steps


def schedule(
    lengths: Sequence[int], recipe: TrainingRecipe, seed: int, labelled: Sequence[AbstractSet[int]] = ()
) -> Schedule:
    """What training on clips of these lengths draws from.

    Parameters
    ----------
    labelled
        Of each clip the numbers of its labelled frames.
    """
    pairs, is_random = Pairs(lengths, recipe.pairing, seed), recipe.pairing == "random"
    own = [pair for clip, frames in enumerate(labelled) if frames for pair in pairs.of(clip)]
    held = [p for p in own if not labelled[p.clip].isdisjoint(p[1 : 2 if is_random else 3])]
    if len(held) == len(pairs):
        held = []
    share = recipe.labelled_share if held else 0.0
    drawn_anew = tuple(lengths) if is_random else None
    alone = _among(labelled)
    after = recipe.label_steps if alone else 0
    return Schedule(pairs, held, recipe.pairs_per_step, share, seed, drawn_anew, recipe.steps, alone, after)


def _among(labelled: Sequence[AbstractSet[int]]) -> list[Pair]:
    """Each labelled frame with the next one of its clip, the last with the first; one alone with itself."""
    rings = [sorted(frames) for frames in labelled]
    return [
        Pair(clip, *pair) for clip, ring in enumerate(rings) for pair in zip(ring, [*ring[1:], *ring[:1]], strict=True)
    ]


def step_pairs(schedule: Schedule, step: int) -> list[Pair]:
    """The pairs of step `step`: passes over all pairs, each in its own shuffled order, cut into batches.

    Random partners are drawn anew in each pass, so that over the passes a frame meets many others.

    Where few frames are labelled, every so many places are kept for pairs that hold one, in passes of their own.
    The last steps draw from labelled frames alone, if so told. A function of its arguments alone, so that a resumed
    run meets the same pairs.
    """
    pairs, labelled, per_step, share, seed, lengths = schedule[:6]
    if schedule.alone_steps and step >= schedule.steps:
        return _in_passes(schedule.alone, (step - schedule.steps) * per_step, per_step, seed)
    chosen: list[Pair] = []
    for position in range(step * per_step, (step + 1) * per_step):
        taken = math.floor(position * share)  # places before this one that were kept for labelled pairs
        is_labelled = math.floor((position + 1) * share) > taken
        source, place = (labelled, taken) if is_labelled else (pairs, position - taken)
        turn, place = divmod(place, len(source))
        pair = source[int(_order(len(source), turn, seed)[place])]
        if lengths is not None:
            # Passes over labelled pairs draw for themselves: their turns are another count.
            own_turn = 2 * turn + is_labelled
            pair = pair._replace(second=_partner(pair.clip, pair.first, lengths[pair.clip], own_turn, seed))
        chosen.append(pair)
    return chosen


def _in_passes(source: Sequence[Pair], position: int, count: int, seed: int) -> list[Pair]:
    """So many pairs from a position on, of passes over all of `source`, each in its own order."""
    places = [divmod(position + k, len(source)) for k in range(count)]
    return [source[int(_order(len(source), turn, seed)[place])] for turn, place in places]


def frames_met(schedule: Schedule, clips: int, steps: int) -> list[Int64[np.ndarray, " n"]]:
    """Of each of `clips` clips the frames that training reads in `steps` steps, in order.

    Few of a long video: at most two a pair of each step.
    """
    met: list[set[int]] = [set() for _ in range(clips)]
    passes = math.ceil(len(schedule.pairs) / schedule.per_step)  # after which there is nothing new
    for step in range(steps if schedule.labelled or schedule.alone_steps else min(steps, passes)):
        for pair in step_pairs(schedule, step):
            met[pair.clip].update((pair.first, pair.second))
    return [np.array(sorted(frames), np.int64) for frames in met]


@lru_cache(maxsize=4)  # the passes under way, of all pairs and of labelled ones, and the next
def _order(count: int, epoch: int, seed: int) -> np.ndarray:
    """The order of a pass; drawn once, as it costs as much as the video is long."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def random_view(recipe: TrainingRecipe, rng: np.random.Generator) -> View:
    """A crop whose sides are between `crop_smallest` and 1 of the picture's, and perhaps a flip."""
    side = float(rng.uniform(recipe.crop_smallest, 1))
    top, left = (float(rng.uniform(0, 1 - side)) for _ in range(2))
    return View(top, left, side, side, bool(recipe.flip and rng.random() < 0.5))


def seen(maps: np.ndarray, view: View) -> np.ndarray:
    """What `view` shows of a picture or map, (H, W) or (H, W, C), bilinear, at the same size.

    The same sampling as `resampling.interpolation_matrix` with the view's start and extent.
    """
    height, width = maps.shape[:2]
    # warpAffine with WARP_INVERSE_MAP asks where each output pixel comes from.
    x_step = -view.width if view.flip else view.width
    x_start = (view.left + (view.width if view.flip else 0)) * width + 0.5 * x_step - 0.5
    y_start = view.top * height + 0.5 * view.height - 0.5
    matrix = np.array([[x_step, 0, x_start], [0, view.height, y_start]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(maps, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def jitter(
    rgb: UInt8[np.ndarray, "H W 3"], recipe: TrainingRecipe, rng: np.random.Generator
) -> Float32[np.ndarray, "H W 3"]:
    """Brightness, contrast, saturation and hue changed at random, as one affine map of colour; clipped to [0, 1].

    Factors are uniform in 1 ± the recipe's field. Hue turns about the grey axis by up to ± hue of a full turn.
    """
    strengths = (recipe.brightness, recipe.contrast, recipe.saturation)
    brightness, contrast, saturation = (float(rng.uniform(1 - s, 1 + s)) for s in strengths)
    turn = 2 * np.pi * float(rng.uniform(-recipe.hue, recipe.hue))
    grey = np.array([0.299, 0.587, 0.114])
    to_grey = np.tile(grey, (3, 1))
    colour = saturation * np.eye(3) + (1 - saturation) * to_grey
    gain = brightness * contrast / 255
    offset = brightness * (1 - contrast) * float(np.dot(cv2.mean(rgb)[:3], grey)) / 255
    affine = np.column_stack([gain * _hue_turn(turn) @ colour, np.full(3, offset)])
    coloured = cv2.transform(rgb.astype(np.float32), affine.astype(np.float32))
    return np.clip(coloured, 0, 1, out=coloured)


def _hue_turn(angle: float) -> np.ndarray:
    """Rotation of RGB about the grey axis (Rodrigues)."""
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
