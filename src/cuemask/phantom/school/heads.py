"""The working ends of instruments: one function a kind, each giving all parts of one instrument in painting order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cuemask.phantom.school.metals import Metal, draw_metal
from cuemask.phantom.school.parts import Part, Point, normal, strip, turned
from cuemask.phantom.school.poses import Pose, draw_pose, letters, ridges, shaft

Shape = tuple[int, int]
_STEELS = ("steel", "steel", "bright", "dark", "tissue")
_INSULATED = ("matt", "matt", "black", "dark")


def grasper(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """Two jaws on a straight shaft, closed or open, plain, toothed or with windows."""
    pose = draw_pose(rng, shape, 6.0, 0.15)
    metal = draw_metal(rng, *_STEELS)
    long = pose.half * rng.uniform(2.5, 9.0)
    parts = _jaws(rng, pose.joint, pose.axis, long, pose.half, metal, opening=_opening(rng))
    parts += shaft(rng, pose, draw_metal(rng, *_STEELS, *_INSULATED))
    return parts + _pins(rng, pose.joint, pose.axis, pose.half, metal)


def dissector(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """Two slim jaws bent to one side."""
    pose = draw_pose(rng, shape, 5.0, 0.13)
    metal = draw_metal(rng, *_STEELS)
    long = pose.half * rng.uniform(3.0, 6.0)
    bend = float(rng.choice([-1.0, 1.0])) * rng.uniform(0.5, 1.8) * pose.half
    parts = _jaws(rng, pose.joint, pose.axis, long, pose.half * 0.75, metal, opening=_opening(rng), bend=bend)
    return parts + shaft(rng, pose, draw_metal(rng, *_INSULATED, "steel"))


def scissors(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """Two thin blades that cross, straight or bowed."""
    pose = draw_pose(rng, shape, 5.0, 0.15)
    metal = draw_metal(rng, "bright", "steel", "dark")
    long, opening = pose.half * rng.uniform(2.5, 5.0), rng.uniform(0.05, 0.6)
    bend = rng.uniform(-1.2, 1.2) * pose.half
    parts: list[Part] = []
    for sign in (1.0, -1.0):
        axis = turned(pose.axis, sign * opening)
        root = pose.joint - pose.axis * pose.half * 0.3 - sign * 0.25 * pose.half * normal(pose.axis)
        parts.append(strip(root, axis, long, 0.38 * pose.half, metal, end_half=0.06 * pose.half, bend=bend))
    parts += shaft(rng, pose, draw_metal(rng, *_INSULATED, "steel"))
    return parts + _pins(rng, pose.joint + 0.3 * pose.half * pose.axis, pose.axis, pose.half, metal)


def hook(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """An insulated shaft, most with a pale cone, and a thin rod that ends in an L, a J or a ball."""
    pose = draw_pose(rng, shape, 6.0, 0.18)
    parts, tip, half = _cone(rng, pose)
    rod = draw_metal(rng, "dark", "steel", "black", "bright", "tissue")
    thin = max(0.9, half * rng.uniform(0.35, 0.9))
    long = pose.half * rng.uniform(0.8, 4.0)
    straight = strip(tip - 2.0 * pose.axis, pose.axis, long + 2.0, thin, rod)
    side = normal(pose.axis) * float(rng.choice([-1.0, 1.0]))
    foot = turned(side, rng.uniform(-0.6, 0.6))
    end = strip(straight.end - foot * thin * 0.5, foot, pose.half * rng.uniform(0.5, 1.8), thin, rod, round_end=True)
    return [end, straight, *parts] if rng.random() < 0.8 else [straight, *parts]


def spatula(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """An insulated shaft whose pale cone ends in a point, a blade or nothing."""
    pose = draw_pose(rng, shape, 5.0, 0.18)
    parts, tip, half = _cone(rng, pose)
    blade = draw_metal(rng, "steel", "dark", "ceramic", "bright")
    long = pose.half * rng.uniform(0.3, 1.5)
    return [strip(tip - pose.axis, pose.axis, long, half * 0.8, blade, end_half=half * 0.3, round_end=True), *parts]


def clip_applier(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """Two long narrow jaws beside each other, bent inwards at their ends, often with a clip between them."""
    pose = draw_pose(rng, shape, 7.0, 0.2)
    metal = draw_metal(rng, "steel", "bright", "dark", "tissue")
    long, gap = pose.half * rng.uniform(3.0, 7.0), pose.half * rng.uniform(0.35, 0.75)
    side = normal(pose.axis)
    parts: list[Part] = []
    for sign in (1.0, -1.0):
        root = pose.joint - pose.axis * pose.half + side * sign * gap
        bend = -sign * gap * rng.uniform(0.0, 0.8)
        parts.append(strip(root, pose.axis, long, pose.half * rng.uniform(0.2, 0.4), metal, bend=bend, round_end=True))
    if rng.random() < 0.5:
        clip = draw_metal(rng, "bright", "plastic", "blue")
        at = pose.joint + pose.axis * long * rng.uniform(0.4, 0.7) - side * gap
        parts.append(strip(at, side, 2 * gap, pose.half * 0.15, clip))
    return parts + shaft(rng, pose, draw_metal(rng, "steel", "dark", "bright", "matt"))


def suction(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """A plain tube with a rounded or cut end and holes in it."""
    pose = draw_pose(rng, shape, 0.5, 0.18)
    metal = draw_metal(rng, "steel", "bright", "dark", "plastic", "tissue")
    length = float(np.linalg.norm(pose.joint - pose.base))
    tube = strip(pose.base, pose.axis, length, pose.base_half, metal, end_half=pose.half, round_end=rng.random() < 0.6)
    hole = metal.plain(0.15)
    parts = [tube]
    for n in range(rng.integers(0, 6)):
        at = (
            pose.joint
            - pose.axis * pose.half * (1.2 + 1.5 * n)
            + normal(pose.axis) * pose.half * rng.uniform(-0.5, 0.5)
        )
        parts.append(_disc(at, pose.axis, pose.half * rng.uniform(0.15, 0.3), hole))
    if rng.random() < 0.4:
        parts.append(strip(pose.joint - pose.axis * 0.4 * pose.half, pose.axis, 0.4 * pose.half, pose.half * 0.8, hole))
    return parts


def stapler(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """Two long thick jaws, one with a coloured cartridge, behind a ridged joint."""
    pose = draw_pose(rng, shape, 8.0, 0.18)
    long, opening = pose.half * rng.uniform(5.0, 10.0), rng.uniform(0.0, 0.3)
    shell = draw_metal(rng, "steel", "bright", "plastic", "dark")
    cartridge = draw_metal(rng, "ceramic", "blue", "green", "plastic", "gold")
    bent = turned(pose.axis, rng.normal(0.0, 0.25))
    side = normal(bent)
    parts: list[Part] = []
    for sign, metal in ((1.0, shell), (-1.0, cartridge)):
        axis = turned(bent, sign * opening)
        root = pose.joint + side * sign * 0.45 * pose.half
        teeth = ridges(rng, long / pose.half * 3) if rng.random() < 0.5 else None
        parts.append(
            strip(root, axis, long, 0.5 * pose.half, metal, end_half=0.4 * pose.half, round_end=True, tone=teeth)
        )
    tone = ridges(rng, rng.uniform(3, 9))
    parts.append(strip(pose.joint - pose.axis * 2 * pose.half, pose.axis, 2.5 * pose.half, pose.half, shell, tone=tone))
    return parts + shaft(rng, pose, draw_metal(rng, "steel", "matt", "plastic", "black"))


def trocar(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """A wide sleeve, cut off square or aslant, its opening dark, often with an instrument through it."""
    pose = draw_pose(rng, shape, 0.0, 0.25)
    metal = draw_metal(rng, "plastic", "clear", "steel", "dark", "bright", "matt")
    length = float(np.linalg.norm(pose.joint - pose.base))
    tone = ridges(rng, length / pose.half * rng.uniform(0.5, 2.0)) if rng.random() < 0.4 else None
    opacity = rng.uniform(0.5, 0.9) if rng.random() < 0.2 else 1.0
    sleeve = strip(pose.base, pose.axis, length, pose.base_half, metal, end_half=pose.half, tone=tone, opacity=opacity)
    squeeze = pose.half * rng.uniform(0.2, 0.7)
    mouth = strip(
        pose.joint - pose.axis * squeeze, pose.axis, 2 * squeeze, _bulge(pose.half), metal.plain(rng.uniform(0.6, 1.2))
    )
    hole = strip(
        pose.joint - pose.axis * squeeze * 0.8, pose.axis, 1.6 * squeeze, _bulge(0.82 * pose.half), metal.plain(0.12)
    )
    parts = [sleeve, mouth, hole]
    if rng.random() < 0.5:
        thin = pose.half * rng.uniform(0.3, 0.6)
        rod = draw_metal(rng, *_STEELS, *_INSULATED)
        parts.append(strip(pose.joint, pose.axis, pose.half * rng.uniform(2, 6), thin, rod, round_end=True))
    return parts


def wrist(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """A robot's instrument: shaft, collar, a clevis with pulleys and pins, and two fingers bent away."""
    pose = draw_pose(rng, shape, 5.0, 0.24)
    metal = draw_metal(rng, "steel", "bright", "bright", "dark", "gold")
    bent = turned(pose.axis, rng.normal(0.0, 0.5))
    finger = draw_metal(rng, "steel", "bright", "dark", "gold")
    reach = pose.half * rng.uniform(1.0, 2.2)
    hinge = pose.joint + reach * bent
    long = pose.half * rng.uniform(1.2, 4.5)
    if rng.random() < 0.25:
        parts = _loops(rng, hinge, bent, long, pose.half, finger)
    else:
        parts = _jaws(
            rng, hinge, turned(bent, rng.normal(0.0, 0.3)), long, 0.7 * pose.half, finger, opening=_opening(rng)
        )
    clevis = strip(pose.joint - 0.3 * pose.half * bent, bent, reach + 0.9 * pose.half, 0.85 * pose.half, metal,
                   end_half=0.65 * pose.half, round_end=True)  # fmt: skip
    parts += [clevis, *_pins(rng, hinge, bent, pose.half, metal), *_cables(rng, pose, bent, reach)]
    parts += _pins(rng, pose.joint, bent, pose.half, metal)
    parts += shaft(rng, pose, draw_metal(rng, "brushed", "brushed", "matt", "dark", "black"))
    ring = draw_metal(rng, "steel", "bright", "dark", "brushed")
    wide = pose.half * rng.uniform(0.3, 1.6)
    return [
        *parts,
        strip(pose.joint - 0.5 * wide * pose.axis, pose.axis, wide, pose.half * rng.uniform(0.9, 1.05), ring),
    ]


def needle_driver(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """Short stout jaws, their insides hatched, on a shaft with golden rings."""
    pose = draw_pose(rng, shape, 4.0, 0.18)
    metal = draw_metal(rng, "bright", "steel", "gold")
    long = pose.half * rng.uniform(1.5, 3.0)
    parts = _jaws(rng, pose.joint, pose.axis, long, 0.8 * pose.half, metal, opening=rng.uniform(0.0, 0.25))
    parts += shaft(rng, pose, draw_metal(rng, *_STEELS, "brushed"))
    ring = draw_metal(rng, "gold", "bright")
    return [*parts, strip(pose.joint - pose.half * pose.axis, pose.axis, pose.half, pose.half * 1.05, ring)]


def sealer(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """A black shaft with letters and stout, bowed steel jaws: vessel sealers and ultrasonic shears."""
    pose = draw_pose(rng, shape, 7.0, 0.2)
    metal = draw_metal(rng, "steel", "bright", "tissue", "dark")
    long = pose.half * rng.uniform(3.0, 6.0)
    bend = rng.uniform(-1.2, 1.2) * pose.half
    parts = _jaws(rng, pose.joint, pose.axis, long, 0.9 * pose.half, metal, opening=_opening(rng), bend=bend)
    parts += shaft(rng, pose, draw_metal(rng, "black", "black", "matt", "plastic"))
    joint = draw_metal(rng, "bright", "steel")
    parts.append(strip(pose.joint - pose.axis * pose.half, pose.axis, 1.8 * pose.half, 0.95 * pose.half, joint))
    return parts + (letters(rng, pose) if rng.random() < 0.6 else [])


def rod(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """A plain rod, needle or cannula of one or two diameters, its end blunt, pointed or cut aslant."""
    pose = draw_pose(rng, shape, 4.0, 0.12)
    metal = draw_metal(rng, *_STEELS, *_INSULATED, "blue", "plastic", "gold")
    thin = pose.half * rng.uniform(0.25, 1.0)
    tip = strip(pose.joint - 2 * pose.axis, pose.axis, pose.half * rng.uniform(2.0, 9.0), thin, metal,
                end_half=thin * rng.uniform(0.1, 1.0), round_end=rng.random() < 0.5)  # fmt: skip
    return [tip, *shaft(rng, pose, metal if rng.random() < 0.5 else draw_metal(rng, *_STEELS, "plastic", "blue"))]


def sheath(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """A soft, clear or coloured tube or cone, as through a colonoscope, some with a wire loop."""
    pose = draw_pose(rng, shape, 4.0, 0.18)
    metal = draw_metal(rng, "clear", "clear", "plastic", "blue", "ceramic", "tissue")
    length = float(np.linalg.norm(pose.joint - pose.base))
    end = pose.half * rng.uniform(0.1, 1.0)
    opacity = rng.uniform(0.35, 1.0)
    bend = rng.normal(0.0, 0.12) * length
    body = strip(
        pose.base,
        pose.axis,
        length,
        pose.base_half * rng.uniform(1.0, 2.5),
        metal,
        end_half=end,
        bend=bend,
        opacity=opacity,
    )
    if rng.random() < 0.5:
        return [body]
    wire = draw_metal(rng, "steel", "bright", "dark")
    return [*_loops(rng, body.end, pose.axis, pose.half * rng.uniform(3, 8), pose.half * 1.5, wire), body]


def retractor(rng: np.random.Generator, shape: Shape) -> list[Part]:
    """Flat blades spread like a fan, or a paddle."""
    pose = draw_pose(rng, shape, 7.0, 0.08)
    metal = draw_metal(rng, "steel", "bright", "dark", "plastic")
    count = int(rng.integers(1, 5))
    long, spread = pose.half * rng.uniform(4.0, 8.0), rng.uniform(0.1, 0.35)
    wide = pose.half * (rng.uniform(0.5, 0.9) if count > 1 else rng.uniform(1.2, 2.2))
    parts = [
        strip(pose.joint, turned(pose.axis, spread * (n - 0.5 * (count - 1))), long, wide, metal, round_end=True)
        for n in range(count)
    ]
    return parts + shaft(rng, pose, draw_metal(rng, *_STEELS))


# Kinds and how often each is drawn.
HEADS: dict[str, tuple[Callable[[np.random.Generator, Shape], list[Part]], float]] = {
    "grasper": (grasper, 0.12),
    "dissector": (dissector, 0.06),
    "scissors": (scissors, 0.05),
    "hook": (hook, 0.13),
    "spatula": (spatula, 0.08),
    "clip_applier": (clip_applier, 0.05),
    "suction": (suction, 0.05),
    "stapler": (stapler, 0.04),
    "trocar": (trocar, 0.04),
    "wrist": (wrist, 0.11),
    "needle_driver": (needle_driver, 0.03),
    "sealer": (sealer, 0.06),
    "rod": (rod, 0.08),
    "sheath": (sheath, 0.08),
    "retractor": (retractor, 0.02),
}


def _opening(rng: np.random.Generator) -> float:
    """Half the angle between two jaws: closed one time in three."""
    return 0.02 if rng.random() < 0.35 else rng.uniform(0.05, 0.7)


def _jaws(
    rng: np.random.Generator,
    root: Point,
    axis: Point,
    long: float,
    half: float,
    metal: Metal,
    *,
    opening: float,
    bend: float = 0.0,
) -> list[Part]:
    """Two jaws from one root, some with teeth, grooves or windows."""
    toothed, slotted = rng.random() < 0.35, rng.random() < 0.4
    each = half * rng.uniform(0.3, 0.55)
    tip = each * rng.uniform(0.35, 1.1)
    parts: list[Part] = []
    for sign in (1.0, -1.0):
        leaf = turned(axis, sign * opening)
        start = root - axis * half * 0.5 + normal(axis) * sign * each * 0.8
        bow = bend - sign * rng.uniform(0.0, 0.5) * opening * half
        tone = ridges(rng, long / max(each, 1.0) * 1.5) if toothed else np.linspace(1.0, rng.uniform(0.6, 1.6), 64)
        parts.append(strip(start, leaf, long, each, metal, end_half=tip, bend=bow, round_end=True, tone=tone))
        if slotted and each > 1.5:
            place, reach = start + leaf * long * rng.uniform(0.2, 0.4), long * rng.uniform(0.3, 0.5)
            slot, narrow = metal.plain(rng.uniform(0.05, 0.4)), each * rng.uniform(0.25, 0.5)
            parts.append(strip(place, leaf, reach, narrow, slot, bend=bow * 0.4, round_end=True, round_start=True))
    return parts


def _loops(rng: np.random.Generator, root: Point, axis: Point, long: float, half: float, metal: Metal) -> list[Part]:
    """Jaws or a snare of bent wire: the tissue shows through them."""
    wire = max(0.8, half * rng.uniform(0.12, 0.25))
    parts: list[Part] = []
    for sign in (1.0, -1.0):
        bow = sign * half * rng.uniform(0.4, 1.0)
        part = strip(root, axis, long, wire, metal)
        s = np.linspace(0.0, 1.0, len(part.middle))
        parts.append(Part(part.start, axis, long, part.half, bow * np.sin(np.pi * s) ** 0.7, metal, 1.0, part.tone))
    return parts


def _cone(rng: np.random.Generator, pose: Pose) -> tuple[list[Part], Point, float]:
    """An insulated shaft and, most often, a pale or dark cone before it; where it ends and half its width there."""
    body = draw_metal(rng, *_INSULATED)
    if rng.random() < 0.2:
        return shaft(rng, pose, body), pose.joint, 0.5 * pose.half
    cone = draw_metal(rng, *(("ceramic",) * 4), "plastic", "blue", "dark", "black")
    if rng.random() < 0.4:  # white or dark all over, as in full light
        cone = cone.plain(rng.uniform(0.9, 1.3))
    long, end = pose.half * rng.uniform(1.2, 4.5), pose.half * rng.uniform(0.12, 0.5)
    s = np.linspace(0.0, 1.0, 48)
    bulge = 1.0 + rng.uniform(-0.25, 0.25) * np.sin(np.pi * s)
    half = (pose.half * (1.0 - s) + end * s) * bulge
    part = strip(pose.joint, pose.axis, long, half, cone)
    return [part, *shaft(rng, pose, body)], part.end, end


def _pins(rng: np.random.Generator, at: Point, axis: Point, half: float, metal: Metal) -> list[Part]:
    """The head of a screw or pin, on some joints."""
    if rng.random() < 0.4:
        return []
    radius = half * rng.uniform(0.2, 0.5)
    rim, top = metal.plain(rng.uniform(0.2, 0.7)), metal.plain(rng.uniform(0.6, 1.5))
    return [_disc(at, axis, radius, rim), _disc(at, axis, radius * rng.uniform(0.4, 0.8), top)]


def _cables(rng: np.random.Generator, pose: Pose, axis: Point, reach: float) -> list[Part]:
    """Dark gaps and bright cables between the plates of a clevis."""
    parts: list[Part] = []
    for _ in range(rng.integers(0, 5)):
        metal = draw_metal(rng, "black", "dark", "bright")
        start = pose.joint + normal(axis) * pose.half * rng.uniform(-0.6, 0.6) + axis * reach * rng.uniform(-0.2, 0.5)
        parts.append(strip(start, axis, reach * rng.uniform(0.2, 0.9), pose.half * rng.uniform(0.05, 0.2), metal))
    return parts


def _disc(at: Point, axis: Point, radius: float, metal: Metal) -> Part:
    return strip(at - axis * radius, axis, 2.0 * radius, _bulge(radius), metal)


def _bulge(half: float) -> np.ndarray:
    """Half widths of a disc or ellipse from one end to the other."""
    return half * np.sqrt(np.clip(1.0 - np.linspace(-1.0, 1.0, 48) ** 2, 0.0, 1.0))
