"""Instruments that move: a shaft that turns about its port, and what it carries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cuemask.phantom.heads import CLASPER, RIGID, SHAFT, WRIST, Materials, Pose, head_surfaces, materials, turned
from cuemask.phantom.surfaces import Point, Surface, bar

__all__ = ["CLASPER", "FPS", "SHAFT", "WRIST", "Tool", "Wave", "draw_tools", "draw_wave"]

FPS = 25
LEAVE_PERIOD, LEAVE_ABSENT, LEAVE_MOVING = 400, 110, 30  # frames
MEET_PERIOD = 200  # frames from apart over met to apart
MEETINGS = ("apart", "crossing", "touching")


@dataclass(frozen=True)
class Wave:
    """A smooth, endless motion: a sum of three slow sines, within -1 to 1."""

    hertz: tuple[float, float, float]
    phase: tuple[float, float, float]

    def at(self, t: int) -> float:
        """Value at frame `t`."""
        angle = 2.0 * np.pi * np.array(self.hertz) * t / FPS + np.array(self.phase)
        return float(np.dot((0.6, 0.28, 0.12), np.sin(angle)))


def draw_wave(rng: np.random.Generator, hertz: float) -> Wave:
    """A wave around the frequency `hertz` and about two and four times it."""
    a, b, c = hertz * rng.uniform(0.8, 1.25, 3) * (1.0, 2.3, 4.1)
    p, q, r = rng.uniform(0.0, 2.0 * np.pi, 3)
    return Wave((float(a), float(b), float(c)), (float(p), float(q), float(r)))


@dataclass(frozen=True, eq=False)
class Tool:
    """One instrument. Lengths and places are in picture heights, x before y.

    Attributes
    ----------
    kind
        What it is: one of `cuemask.phantom.heads.KINDS`.
    port
        Where its shaft enters the body, outside the picture: it turns about this place.
    home, reach
        Where its wrist is on average, and how far it strays from there.
    width
        Width of the shaft at the wrist.
    sway_x, sway_y, bend, grip
        Motions of the wrist along x and y, of its angle, and of the jaw.
    made_of
        The materials of its parts.
    leaves_at
        The frame at which it first starts to leave; None if it stays.
    approach
        How far its wrist goes from home to meet another instrument, once in `MEET_PERIOD` frames; None: never.
    """

    kind: str
    port: Point
    home: Point
    reach: float
    width: float
    sway_x: Wave
    sway_y: Wave
    bend: Wave
    grip: Wave
    made_of: Materials
    leaves_at: int | None
    approach: Point | None

    def surfaces(self, t: int, height_px: int) -> Iterator[Surface]:
        """The outlines at frame `t`, from the lowest to the one on top."""
        w, px = self.width, height_px
        wrist = self.home + self.reach * np.array([self.sway_x.at(t), self.sway_y.at(t)])
        if self.approach is not None:
            wrist = wrist + (0.5 - 0.5 * np.cos(2.0 * np.pi * t / MEET_PERIOD)) * self.approach
        axis = _unit(wrist - self.port)
        wrist = wrist - self._withdrawn(t) * axis
        bent = axis if self.kind in RIGID else turned(axis, 0.75 * self.bend.at(t))
        yield from head_surfaces(self.kind, Pose(wrist, axis, bent, self.grip.at(t), w, px), self.made_of)
        # The shaft starts far outside the picture even when pulled out; nearer to the camera it looks wider.
        length = self._reached() + 1.0
        flare = 0.52 * w * (1.0 + 0.45 * length)
        yield bar(wrist - 0.5 * w * axis, -axis, length, (0.51 * w, flare), px, SHAFT, self.made_of.shaft)
        yield bar(wrist + 0.1 * w * axis, -axis, 0.85 * w, (0.48 * w, 0.53 * w), px, SHAFT, self.made_of.collar)

    def _reached(self) -> float:
        """How far from the port its wrist is on average, or at most where it goes to meet another one."""
        home = float(np.linalg.norm(self.home - self.port))
        return home if self.approach is None else home + float(np.linalg.norm(self.approach))

    def _withdrawn(self, t: int) -> float:
        """How far it is pulled out along its shaft at frame `t`, in picture heights."""
        if self.leaves_at is None or t < self.leaves_at:
            return 0.0
        phase = (t - self.leaves_at) % LEAVE_PERIOD
        away = min(1.0, max(0.0, min(phase, LEAVE_ABSENT - phase) / LEAVE_MOVING))
        eased = away * away * (3.0 - 2.0 * away)
        # The jaw reaches 3 widths beyond the wrist, so the port itself must lie behind it.
        return eased * (self._reached() + self.reach + 3.2 * self.width)


def draw_tools(
    seed: int, count: int, aspect: float, width: float, leaving: bool, kinds: Sequence[str], meeting: str
) -> list[Tool]:
    """The instruments of one scene; each looks and moves the same however many there are.

    Parameters
    ----------
    seed
        The scene's seed.
    count
        How many, 0 to 4. A later one lies above an earlier one.
    aspect
        Width of the picture over its height.
    width
        Width of a shaft in picture heights.
    leaving
        Whether the second instrument, or a lone one, leaves for a while and comes back.
    kinds
        Kind of the first, the second ...; begun anew after the last.
    meeting
        One of `MEETINGS`: what the first two do with each other.
    """
    first_side = int(np.random.default_rng([seed, 2]).integers(0, 2))
    leaver = min(count, 2) - 1 if leaving else None
    tools: list[Tool] = []
    for n in range(count):
        side = n if n > 1 else (first_side + n) % 2
        rng, kind = np.random.default_rng([seed, 3, n]), kinds[n % len(kinds)]
        tools.append(_draw_tool(rng, kind, side, aspect, width, n == leaver, meeting if n < 2 else "apart"))
    return tools


def _draw_tool(
    rng: np.random.Generator, kind: str, side: int, aspect: float, width: float, leaves: bool, meeting: str
) -> Tool:
    """An instrument from the left (side 0), the right (1), above (2) or below (3)."""
    height = rng.uniform(0.35, 1.25)
    along = aspect * rng.uniform(0.3, 0.7)
    port = np.array([(-0.3, height), (aspect + 0.3, height), (along, -0.3), (along, 1.3)][side])
    home = np.array([(0.33 * aspect, 0.55), (0.68 * aspect, 0.5), (0.5 * aspect, 0.22), (0.5 * aspect, 0.8)][side])
    soil = rng.uniform(0.0, 2.0 * np.pi, 3)
    tint = rng.uniform(-0.015, 0.015, 3)
    shaft, steel = float(rng.uniform(0.15, 0.45)), float(rng.uniform(0.52, 0.70))
    tool = Tool(
        kind=kind,
        port=port,
        home=home + rng.uniform(-0.10, 0.10, 2),
        reach=0.12,
        width=width * float(rng.uniform(0.9, 1.12)),
        sway_x=draw_wave(rng, 0.11),
        sway_y=draw_wave(rng, 0.13),
        bend=draw_wave(rng, 0.10),
        grip=draw_wave(rng, 0.17),
        made_of=materials(kind, shaft, steel, tint, soil),
        leaves_at=int(rng.integers(60, 160)) if leaves else None,
        approach=None,
    )
    return tool if meeting == "apart" else _meeting(tool, side, aspect, meeting)


def _meeting(tool: Tool, side: int, aspect: float, meeting: str) -> Tool:
    """The same instrument, on its way to the other one: over it to the other side, or up to its tip."""
    port = np.array([tool.port[0], max(float(tool.port[1]), 0.85)])  # both from below, so that shafts cross
    home = np.array([aspect * (0.28, 0.72)[side], (0.5, 0.42)[side]])
    if meeting == "crossing":
        goal = np.array([aspect * (0.68, 0.32)[side], 0.4])
        return replace(tool, port=port, home=home, approach=goal - home)
    # Where the tips are, about two and a half widths beyond the wrist, the two meet in the middle.
    middle = np.array([0.5 * aspect, 0.45])
    goal = middle - 2.4 * tool.width * _unit(middle - port)
    return replace(tool, port=port, home=home, approach=goal - home, reach=0.04)


def _unit(v: Point) -> Point:
    return v / max(float(np.linalg.norm(v)), 1e-9)
