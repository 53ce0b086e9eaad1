"""What the instruments of each kind carry at the end of their shaft, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from cuemask.phantom.surfaces import Material, Point, Surface, bar, bowed_finger, normal

SHAFT, WRIST, CLASPER = 10, 20, 30  # the part codes of EndoVis 2017
KINDS = ("grasper", "hook", "scissors", "suction", "clip_applier")  # a kind's code is its place, from 1
RIGID = ("hook", "suction", "clip_applier")  # without a joint
Triple = Float[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class Materials:
    """What an instrument's parts are made of: `finger` is what grasps, cuts or burns."""

    shaft: Material
    collar: Material
    wrist: Material
    finger: Material


@dataclass(frozen=True, eq=False)
class Pose:
    """Where an instrument's head is.

    Attributes
    ----------
    wrist
        Where it sits on the shaft, in picture heights, x before y.
    axis, bent
        Unit directions of the shaft, towards its end, and of the head.
    grip
        How far the jaw is open, -1 to 1.
    width
        Width of the shaft there, in picture heights.
    px
        Height of the picture.
    """

    wrist: Point
    axis: Point
    bent: Point
    grip: float
    width: float
    px: int


def materials(kind: str, shaft: float, steel: float, tint: Triple, soil: Triple) -> Materials:
    """The materials of one instrument of a kind.

    Parameters
    ----------
    kind
        One of `KINDS`.
    shaft, steel
        Brightness of a grasper's shaft, 0.15 to 0.45, and metal, 0.52 to 0.70; others vary with them by a tenth.
    tint
        Added to red, green and blue.
    soil
        Phases that decide where blood clings.
    """
    first, second, third = (float(phase) for phase in soil)
    if kind == "grasper":
        metal = steel + tint
        return Materials(
            shaft=Material(shaft + tint, 0.4, "shaft", (first, second)),
            collar=Material(metal, 0.7, "collar", (second, third)),
            wrist=Material(metal, 0.8, "wrist", (third, first)),
            finger=Material(1.08 * metal, 0.7, "finger", (first, third)),
        )
    colors = _COLORS[kind]
    light = (0.9 + 0.2 * (shaft - 0.15) / 0.3, 0.9 + 0.2 * (steel - 0.52) / 0.18)
    rgb = [np.array(color) * light[n > 0] + tint for n, color in enumerate(colors)]
    body, head = _PATTERNS[kind]
    return Materials(
        shaft=Material(rgb[0], _SHAFT_SHINE[kind], body, (first, second)),
        collar=Material(rgb[1], 0.6, "collar", (second, third)),
        wrist=Material(rgb[1], 0.6, "plain", (third, first)),
        finger=Material(rgb[2], 0.7, head, (first, third)),
    )


def head_surfaces(kind: str, pose: Pose, made_of: Materials) -> Iterator[Surface]:
    """The outlines of a head, from the lowest to the one on top."""
    if kind == "hook":
        yield from _hook(pose, made_of)
    elif kind == "scissors":
        yield from _scissors(pose, made_of)
    elif kind == "suction":
        yield _suction(pose, made_of)
    elif kind == "clip_applier":
        yield from _clip_applier(pose, made_of)
    else:
        yield from _grasper(pose, made_of)


def turned(axis: Point, radians: float) -> Point:
    """`axis` turned from x towards y."""
    cos, sin = np.cos(radians), np.sin(radians)
    return np.array([cos * axis[0] - sin * axis[1], sin * axis[0] + cos * axis[1]])


def _grasper(pose: Pose, made_of: Materials) -> Iterator[Surface]:
    """A joint and two bowed fingers."""
    w, px, wrist, bent = pose.width, pose.px, pose.wrist, pose.bent
    opening = 0.05 + 0.42 * (0.5 + 0.5 * pose.grip) ** 1.5
    for sign in (1.0, -1.0):
        root = wrist + 1.1 * w * bent
        yield bowed_finger(root, turned(bent, sign * opening), sign, w, px, CLASPER, made_of.finger)
    yield bar(wrist - 0.2 * w * bent, bent, 1.45 * w, (0.45 * w, 0.36 * w), px, WRIST, made_of.wrist)


def _hook(pose: Pose, made_of: Materials) -> Iterator[Surface]:
    """A ceramic neck, a wire and its end, bent to the side."""
    w, px, axis = pose.width, pose.px, pose.axis
    start, side, thick = pose.wrist + 0.6 * w * axis, normal(axis), 0.11 * w
    bend, wide = start + 1.5 * w * axis, (thick, thick)
    tip = (bend + 0.75 * w * side) * px
    yield replace(bar(bend - thick * side, side, 0.75 * w + thick, wide, px, CLASPER, made_of.finger), tip=tip)
    yield bar(start, axis, 1.5 * w + thick, wide, px, CLASPER, made_of.finger)
    yield bar(pose.wrist - 0.1 * w * axis, axis, 0.95 * w, (0.40 * w, 0.22 * w), px, WRIST, made_of.wrist)


def _scissors(pose: Pose, made_of: Materials) -> Iterator[Surface]:
    """A short joint and two long blades that end in points."""
    w, px, wrist, bent = pose.width, pose.px, pose.wrist, pose.bent
    root, opening = wrist + 0.75 * w * bent, 0.02 + 0.36 * (0.5 + 0.5 * pose.grip)
    for sign in (1.0, -1.0):
        yield _finger(root, turned(bent, sign * opening), sign, _BLADE, 2.5 * w, w, px, made_of.finger)
    yield bar(wrist - 0.2 * w * bent, bent, 1.1 * w, (0.45 * w, 0.30 * w), px, WRIST, made_of.wrist)


def _suction(pose: Pose, made_of: Materials) -> Surface:
    """A straight steel tube, thinner than the shaft that it comes out of, with holes near its end."""
    w, px, axis = pose.width, pose.px, pose.axis
    end = pose.wrist + 2.6 * w * axis
    return replace(bar(end, -axis, 2.9 * w, (0.29 * w, 0.30 * w), px, SHAFT, made_of.finger), tip=end * px)


def _clip_applier(pose: Pose, made_of: Materials) -> Iterator[Surface]:
    """A short neck and two broad jaws with blunt ends, which stay level with each other."""
    w, px, axis = pose.width, pose.px, pose.axis
    apart = 0.10 + 0.16 * (0.5 + 0.5 * pose.grip)
    for sign in (1.0, -1.0):
        root = pose.wrist + 0.8 * w * axis + sign * apart * w * normal(axis)
        yield _finger(root, axis, sign, _JAW, 1.6 * w, w, px, made_of.finger)
    yield bar(pose.wrist - 0.1 * w * axis, axis, 1.1 * w, (0.50 * w, 0.46 * w), px, WRIST, made_of.wrist)


def _finger(
    root: Point,
    axis: Point,
    sign: float,
    profile: Float[np.ndarray, "N 2"],
    length: float,
    width: float,
    px: int,
    material: Material,
) -> Surface:
    """Half a jaw with a given profile: places along its length, 0 to 1, and across, in shaft widths towards `sign`."""
    along, across = length * profile[:, 0], sign * width * profile[:, 1]
    outline = root + along[:, None] * axis + across[:, None] * normal(axis)
    ends = profile[profile[:, 0] == 1.0, 1]
    tip = root + length * axis + sign * width * float(ends.mean()) * normal(axis)
    widths = (0.3 * width * px, 0.2 * width * px)
    return Surface(outline * px, CLASPER, material, root * px, axis, length * px, widths, tip * px)


_BLADE = np.array([(0.0, -0.16), (0.25, -0.12), (1.0, -0.01), (1.0, 0.02), (0.6, 0.17), (0.2, 0.24), (0.0, 0.22)])
_JAW = np.array([(0.0, -0.05), (0.25, 0.10), (1.0, 0.10), (1.0, 0.42), (0.35, 0.42), (0.0, 0.30)])

# Shaft; collar and neck; head: red, green, blue.
_COLORS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "hook": ((0.09, 0.09, 0.10), (0.78, 0.75, 0.66), (0.47, 0.46, 0.45)),
    "scissors": ((0.20, 0.25, 0.36), (0.50, 0.52, 0.56), (0.38, 0.40, 0.44)),
    "suction": ((0.52, 0.53, 0.54), (0.60, 0.61, 0.62), (0.66, 0.67, 0.68)),
    "clip_applier": ((0.62, 0.61, 0.58), (0.36, 0.37, 0.40), (0.68, 0.56, 0.34)),
}
_PATTERNS = {  # of the shaft and of the head
    "hook": ("plain", "plain"),
    "scissors": ("shaft", "blade"),
    "suction": ("plain", "tube"),
    "clip_applier": ("plain", "finger"),
}
_SHAFT_SHINE = {"hook": 0.2, "scissors": 0.4, "suction": 0.9, "clip_applier": 0.5}
