"""Instruments that move: shaft, wrist and a jaw of two fingers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cuemask.phantom.surfaces import Material, Point, Surface, bar, bowed_finger

FPS = 25
SHAFT, WRIST, CLASPER = 10, 20, 30  # the part codes of EndoVis 2017
LEAVE_PERIOD, LEAVE_ABSENT, LEAVE_MOVING = 400, 110, 30  # frames


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
    port
        Where its shaft enters the body, outside the picture: it turns about this place.
    home, reach
        Where its wrist is on average, and how far it strays from there.
    width
        Width of the shaft at the wrist.
    sway_x, sway_y, bend, grip
        Motions of the wrist along x and y, of its angle, and of the jaw.
    shaft, collar, wrist, finger
        What it is made of.
    leaves_at
        The frame at which it first starts to leave; None if it stays.
    """

    port: Point
    home: Point
    reach: float
    width: float
    sway_x: Wave
    sway_y: Wave
    bend: Wave
    grip: Wave
    shaft: Material
    collar: Material
    wrist: Material
    finger: Material
    leaves_at: int | None

    def surfaces(self, t: int, height_px: int) -> Iterator[Surface]:
        """The outlines at frame `t`, from the lowest to the one on top."""
        w, px = self.width, height_px
        wrist = self.home + self.reach * np.array([self.sway_x.at(t), self.sway_y.at(t)])
        axis = _unit(wrist - self.port)
        wrist = wrist - self._withdrawn(t) * axis
        bent = _turned(axis, 0.75 * self.bend.at(t))
        opening = 0.05 + 0.42 * (0.5 + 0.5 * self.grip.at(t)) ** 1.5
        for sign in (1.0, -1.0):
            root = wrist + 1.1 * w * bent
            yield bowed_finger(root, _turned(bent, sign * opening), sign, w, px, CLASPER, self.finger)
        yield bar(wrist - 0.2 * w * bent, bent, 1.45 * w, (0.45 * w, 0.36 * w), px, WRIST, self.wrist)
        # The shaft starts far outside the picture even when pulled out; nearer to the camera it looks wider.
        length = float(np.linalg.norm(self.home - self.port)) + 1.0
        flare = 0.52 * w * (1.0 + 0.45 * length)
        yield bar(wrist - 0.5 * w * axis, -axis, length, (0.51 * w, flare), px, SHAFT, self.shaft)
        yield bar(wrist + 0.1 * w * axis, -axis, 0.85 * w, (0.48 * w, 0.53 * w), px, SHAFT, self.collar)

    def _withdrawn(self, t: int) -> float:
        """How far it is pulled out along its shaft at frame `t`, in picture heights."""
        if self.leaves_at is None or t < self.leaves_at:
            return 0.0
        phase = (t - self.leaves_at) % LEAVE_PERIOD
        away = min(1.0, max(0.0, min(phase, LEAVE_ABSENT - phase) / LEAVE_MOVING))
        eased = away * away * (3.0 - 2.0 * away)
        # The jaw reaches 3 widths beyond the wrist, so the port itself must lie behind it.
        return eased * (float(np.linalg.norm(self.home - self.port)) + self.reach + 3.2 * self.width)


def draw_tools(seed: int, count: int, aspect: float, width: float, leaving: bool) -> list[Tool]:
    """The instruments of one scene; each looks and moves the same however many there are.

    Parameters
    ----------
    seed
        The scene's seed.
    count
        How many, 0 to 3.
    aspect
        Width of the picture over its height.
    width
        Width of a shaft in picture heights.
    leaving
        Whether the second instrument, or a lone one, leaves for a while and comes back.
    """
    first_side = int(np.random.default_rng([seed, 2]).integers(0, 2))
    leaver = min(count, 2) - 1 if leaving else None
    tools: list[Tool] = []
    for n in range(count):
        side = 2 if n == 2 else (first_side + n) % 2
        tools.append(_draw_tool(np.random.default_rng([seed, 3, n]), side, aspect, width, n == leaver))
    return tools


def _draw_tool(rng: np.random.Generator, side: int, aspect: float, width: float, leaves: bool) -> Tool:
    """An instrument from the left (side 0), the right (1) or above (2)."""
    height = rng.uniform(0.35, 1.25)
    port = np.array([(-0.3, height), (aspect + 0.3, height), (aspect * rng.uniform(0.3, 0.7), -0.3)][side])
    home = np.array([(0.33 * aspect, 0.55), (0.68 * aspect, 0.5), (0.5 * aspect, 0.22)][side])
    first, second, third = (float(phase) for phase in rng.uniform(0.0, 2.0 * np.pi, 3))
    tint = rng.uniform(-0.015, 0.015, 3)
    shaft = rng.uniform(0.15, 0.45) + tint
    steel = rng.uniform(0.52, 0.70) + tint
    return Tool(
        port=port,
        home=home + rng.uniform(-0.10, 0.10, 2),
        reach=0.12,
        width=width * float(rng.uniform(0.9, 1.12)),
        sway_x=draw_wave(rng, 0.11),
        sway_y=draw_wave(rng, 0.13),
        bend=draw_wave(rng, 0.10),
        grip=draw_wave(rng, 0.17),
        shaft=Material(shaft, 0.4, "shaft", (first, second)),
        collar=Material(steel, 0.7, "collar", (second, third)),
        wrist=Material(steel, 0.8, "wrist", (third, first)),
        finger=Material(1.08 * steel, 0.7, "finger", (first, third)),
        leaves_at=int(rng.integers(60, 160)) if leaves else None,
    )


def _unit(v: Point) -> Point:
    return v / max(float(np.linalg.norm(v)), 1e-9)


def _turned(axis: Point, radians: float) -> Point:
    cos, sin = np.cos(radians), np.sin(radians)
    return np.array([cos * axis[0] - sin * axis[1], sin * axis[0] + cos * axis[1]])
