"""Where an instrument comes from and where it points, and its shaft."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cuemask.phantom.school.metals import Metal, draw_metal
from cuemask.phantom.school.parts import Part, Point, Profile, normal, strip, turned


@dataclass(frozen=True, eq=False)
class Pose:
    """An instrument's place in the picture; lengths in px.

    Attributes
    ----------
    base, joint
        Where its shaft starts, outside the picture, and where it ends.
    axis
        Unit direction from base to joint.
    half, base_half
        Half the shaft's width at the joint and at the base.
    """

    base: Point
    joint: Point
    axis: Point
    half: float
    base_half: float


def draw_pose(rng: np.random.Generator, shape: tuple[int, int], reach: float, widest: float = 0.2) -> Pose:
    """A pose from the picture's rim inwards; the head reaches about `reach` half widths beyond the joint.

    `widest` limits half the shaft's width, in picture heights; by a quarter more near the camera.
    """
    height, width = shape
    kind = rng.random()
    if kind < 0.32:
        half = float(np.exp(rng.uniform(np.log(0.008), np.log(widest)))) * height
    elif kind < 0.62:
        half = float(np.clip(np.exp(rng.normal(np.log(0.06), 0.5)), 0.01, widest)) * height
    else:  # near the camera
        half = rng.uniform(min(0.08, widest), 1.25 * widest) * height
    tip = np.clip(rng.normal(0.5, 0.22, 2), 0.04, 0.96) * (width, height)
    if rng.random() < 0.3:  # only its end peeps in
        tip = _rim(rng, shape, rng.uniform(0.02, 0.35))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    if rng.random() < 0.6:  # from a lower corner or a side, as most do
        angle = float(rng.choice([0.0, np.pi])) + rng.normal(0.0, 0.5)
    axis = np.array([np.cos(angle), np.sin(angle)])
    away = _distance_out(tip, -axis, shape) + 4.0 * half + 8.0
    joint = tip - axis * min(reach * half, 0.8 * away)
    flare = 1.0 + abs(rng.normal(0.25, 0.6)) * away / height
    return Pose(tip - axis * (away + reach * half), joint, axis, half, half * flare)


def shaft(rng: np.random.Generator, pose: Pose, metal: Metal, *, bend: float = 0.0) -> list[Part]:
    """The shaft from base to joint, some with rings, rods of light that fade, marks or letters."""
    length = float(np.linalg.norm(pose.joint - pose.base))
    tone = np.linspace(rng.uniform(0.5, 1.5), 1.0, 256)
    if rng.random() < 0.35:
        tone = tone * rings(rng, int(rng.integers(1, 6)))
    if rng.random() < 0.06:
        tone = tone * ridges(rng, length / (pose.half * rng.uniform(0.3, 1.0)))
    body = strip(pose.base, pose.axis, length, pose.base_half, metal, end_half=pose.half, tone=tone, bend=bend)
    parts = [body]
    if rng.random() < 0.2:
        parts += letters(rng, pose)
    if rng.random() < 0.3:
        parts.append(collar(rng, pose))
    return parts


def collar(rng: np.random.Generator, pose: Pose) -> Part:
    """A ring of another metal around the shaft's end."""
    metal = draw_metal(rng, "steel", "bright", "dark", "black", "gold", "plastic", "blue")
    long = rng.uniform(0.2, 2.0) * pose.half
    return strip(pose.joint - pose.axis * long, pose.axis, long, pose.half * rng.uniform(0.95, 1.15), metal)


def letters(rng: np.random.Generator, pose: Pose) -> list[Part]:
    """White or dark marks along the shaft: letters, scales, arrows as far as one can read them here."""
    metal = draw_metal(rng, "ceramic" if rng.random() < 0.8 else "black").plain(1.0)
    side = normal(pose.axis)
    at = pose.joint - pose.axis * pose.half * rng.uniform(0.5, 4.0)
    row = pose.half * rng.uniform(-0.4, 0.4)
    size = pose.half * rng.uniform(0.3, 1.6)
    marks: list[Part] = []
    for _ in range(rng.integers(2, 9)):
        place = at + side * row
        upright = turned(side, float(rng.choice([0.0, 0.0, 0.4, -0.4])))
        marks.append(strip(place - upright * size / 2, upright, size, size * rng.uniform(0.08, 0.36), metal))
        if rng.random() < 0.6:
            foot = place + upright * size * float(rng.choice([-0.5, 0.0, 0.4]))
            marks.append(strip(foot, pose.axis, size * 0.5, size * 0.12, metal))
        at = at - pose.axis * size * rng.uniform(0.7, 1.1)
    return marks


def rings(rng: np.random.Generator, count: int, samples: int = 256) -> Profile:
    """Brightness with `count` darker or brighter rings."""
    s = np.linspace(0.0, 1.0, samples)
    tone = np.ones(samples)
    for _ in range(count):
        at, wide = rng.uniform(0.3, 1.0), rng.uniform(0.004, 0.03)
        tone[np.abs(s - at) < wide] *= float(rng.choice([0.3, 0.6, 1.5]))
    return tone


def ridges(rng: np.random.Generator, count: float, samples: int = 256) -> Profile:
    """Brightness of `count` even ridges: teeth, threads, corrugated tubes."""
    s = np.linspace(0.0, 1.0, samples)
    return 1.0 - rng.uniform(0.2, 0.7) * (np.sin(2.0 * np.pi * np.clip(count, 2.0, 40.0) * s) > rng.uniform(-0.3, 0.6))


def _rim(rng: np.random.Generator, shape: tuple[int, int], depth: float) -> Point:
    """A place `depth` (heights) inside a random side of the picture."""
    height, width = shape
    along = rng.uniform(0.05, 0.95)
    inside = depth * height
    sides = (
        (along * width, inside),
        (along * width, height - inside),
        (inside, along * height),
        (width - inside, along * height),
    )
    return np.array(sides[rng.integers(4)])


def _distance_out(place: Point, direction: Point, shape: tuple[int, int]) -> float:
    """How far from `place` along `direction` the picture ends."""
    far = np.where(direction > 0, np.array([shape[1], shape[0]]) - place, -place)
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = np.where(np.abs(direction) > 1e-6, far / direction, np.inf)
    return float(max(0.0, distances.min()))
