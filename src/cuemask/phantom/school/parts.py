"""Parts of instruments: strips of any profile along a straight axis, drawn with exact, smooth edges."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32

from cuemask.phantom.school.metals import Metal

Point = Float[np.ndarray, "2"]
Profile = Float[np.ndarray, " N"]
Tone = Float[np.ndarray, " T"]
SAMPLES = 48  # places along a part at which its profile is given


@dataclass(frozen=True, eq=False)
class Part:
    """One strip; lengths in px.

    Attributes
    ----------
    start, axis
        Where it starts, x before y, and its unit direction.
    length
        How far it reaches along the axis.
    half
        Half width at `SAMPLES` places from start to end.
    middle
        How far its middle line lies beside the axis at the same places.
    metal
        What it is made of.
    opacity
        1, or less where what lies behind shines through.
    tone
        Brightness at `SAMPLES` places or more along it: rings, ridges, collars, fading light.
    """

    start: Point
    axis: Point
    length: float
    half: Profile
    middle: Profile
    metal: Metal
    opacity: float
    tone: Tone

    @property
    def end(self) -> Point:
        """Where it ends, on its middle line."""
        return self.start + self.length * self.axis + self.middle[-1] * normal(self.axis)


@dataclass(frozen=True, eq=False)
class Layer:
    """An instrument, or another foreign thing, cut free of any background.

    Attributes
    ----------
    rgb
        Its colours, 0 to 1 and above where blown out; meaningless where `alpha` is 0.
    alpha
        Its opacity, 0 to 1.
    cover
        How much of each pixel it covers, 0 to 1; above `alpha` where it is transparent.
    """

    rgb: Float32[np.ndarray, "H W 3"]
    alpha: Float32[np.ndarray, "H W"]
    cover: Float32[np.ndarray, "H W"]


def empty_layer(shape: tuple[int, int]) -> Layer:
    """A layer with nothing on it."""
    return Layer(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def lay(rng: np.random.Generator, layer: Layer, part: Part) -> None:
    """Draw `part` on top of what `layer` holds, in place."""
    place = _place(part, layer.alpha.shape)
    if place is None:
        return
    rows, columns = place
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(part.start[0])
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(part.start[1])
    axis_x, axis_y = np.float32(part.axis[0]), np.float32(part.axis[1])
    along = x * axis_x + y * axis_y
    share = np.clip(along / np.float32(max(part.length, 1e-3)), 0.0, 1.0)
    half, middle = _looked_up(part.half, share), _looked_up(part.middle, share)
    across = y * axis_x - x * axis_y - middle
    cover = np.clip(half - np.abs(across) + 0.5, 0.0, 1.0) * np.clip(2.0 * half, 0.0, 1.0)
    cover *= np.clip(along + 0.5, 0.0, 1.0) * np.clip(np.float32(part.length + 0.5) - along, 0.0, 1.0)
    rgb = _shaded(rng, part, across / np.maximum(half, 0.5), share)
    alpha = np.float32(part.opacity) * cover
    rgb_below, alpha_below, cover_below = layer.rgb[place], layer.alpha[place], layer.cover[place]
    rgb_below += (rgb - rgb_below) * (alpha / np.maximum(alpha + alpha_below * (1.0 - alpha), 1e-4))[..., None]
    alpha_below += alpha * (1.0 - alpha_below)
    np.maximum(cover_below, cover, out=cover_below)


def strip(
    start: Point,
    axis: Point,
    length: float,
    half: float | Profile,
    metal: Metal,
    *,
    end_half: float | None = None,
    bend: float = 0.0,
    round_end: bool = False,
    round_start: bool = False,
    opacity: float = 1.0,
    tone: Tone | None = None,
) -> Part:
    """A strip of even or evenly changing width, straight or bent sideways by `bend` px at its end."""
    s = np.linspace(0.0, 1.0, SAMPLES)
    profile = np.asarray(half, float) + (0.0 if end_half is None else s * (end_half - np.asarray(half, float)))
    profile = np.broadcast_to(profile, SAMPLES).copy()
    if round_end:
        profile *= _rounded(s, length, profile[-1])
    if round_start:
        profile *= _rounded(s, length, profile[0])[::-1]
    light = np.ones(SAMPLES) if tone is None else tone
    return Part(start, axis, max(length, 1.0), profile, bend * s**2, metal, opacity, light)


def normal(axis: Point) -> Point:
    """The direction a quarter turn from `axis`."""
    return np.array([-axis[1], axis[0]])


def turned(axis: Point, angle: float) -> Point:
    """`axis` turned by `angle` radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([cosine * axis[0] - sine * axis[1], sine * axis[0] + cosine * axis[1]])


def _rounded(s: Profile, length: float, half: float) -> Profile:
    """Factor that rounds off the last `half` px."""
    reach = min(1.0, half / max(length, 1e-3))
    left = np.clip((1.0 - s) / max(reach, 1e-3), 0.0, 1.0)
    return np.sqrt(1.0 - (1.0 - left) ** 2)


def _place(part: Part, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """The rows and columns of the picture that the part may touch."""
    side = float(np.max(part.half)) + 1.5
    low, high = float(part.middle.min()) - side, float(part.middle.max()) + side
    ends = [part.start + u * part.axis + v * normal(part.axis) for u in (-1.5, part.length + 1.5) for v in (low, high)]
    corners = np.stack(ends)
    left, top = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(0)) + 1, (shape[1], shape[0])).astype(int)
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def _looked_up(values: Profile, share: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """`values` at `share` (0 to 1) of their length, between two of them linearly."""
    row = values.astype(np.float32)[None, :]
    columns = share * np.float32(len(values) - 1)
    return cv2.remap(row, columns, np.zeros_like(columns), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _shaded(
    rng: np.random.Generator, part: Part, s: Float32[np.ndarray, "h w"], share: Float32[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w 3"]:
    """Colours by the place across (-1 to 1) and along (0 to 1) the part."""
    profile = part.metal.profile(rng)
    columns = np.clip(0.5 * (s + 1.0), 0.0, 1.0) * np.float32(len(profile) - 1)
    rgb = cv2.remap(profile[None], columns, np.zeros_like(columns), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    wear = 1.0 + part.metal.wear * rng.standard_normal(rng.integers(3, 9))
    worn = np.interp(np.linspace(0, 1, len(part.tone)), np.linspace(0, 1, len(wear)), wear)
    return rgb * _looked_up(np.clip(part.tone * worn, 0.0, 2.0), share)[..., None]
