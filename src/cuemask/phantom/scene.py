"""A laparoscopic scene that is drawn, so that its masks are exact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.errors import RecipeError
from cuemask.phantom.cover import PLACES, Patch, cover
from cuemask.phantom.fields import Field, smooth_field, step
from cuemask.phantom.heads import KINDS
from cuemask.phantom.surfaces import Surface
from cuemask.phantom.tissue import Tissue, grow_tissue
from cuemask.phantom.tools import MEETINGS, Tool, Wave, draw_tools, draw_wave
from cuemask.phantom.truth import Tip, covered_places, most_shown, visible_tips

CANVAS = 1.4  # the tissue's size over the picture's: room for the camera to move


@dataclass(frozen=True, eq=False)
class PhantomFrame:
    """One frame and the truth about it.

    Attributes
    ----------
    rgb
        The picture.
    mask
        Where instruments cover at least half of the pixel and the endoscope sees it.
    parts
        EndoVis 2017 codes: 0 background, 10 shaft, 20 wrist, 30 clasper; above 0 where `mask` is true.
    instances
        0 background, else the number of the instrument that covers most of the pixel, from 1: the same in every frame
        of the scene. Above 0 where `mask` is true.
    classes
        0 background, else the code of its kind: the place in `cuemask.phantom.heads.KINDS`, from 1.
    tips
        The ends of the instruments that are seen: neither outside the picture nor hidden by another instrument.
    """

    rgb: UInt8[np.ndarray, "H W 3"]
    mask: Bool[np.ndarray, "H W"]
    parts: UInt8[np.ndarray, "H W"]
    instances: UInt8[np.ndarray, "H W"]
    classes: UInt8[np.ndarray, "H W"]
    tips: list[Tip]


@dataclass(frozen=True)
class PhantomScene:
    """A scene that moves for ever at 25 frames a second; any frame can be drawn on its own.

    Attributes
    ----------
    seed
        Decides colours, shapes and motion; 0 or more.
    height_px, width_px
        Size of the picture, at least 32 each. The scene is the same at every size of one shape.
    tools
        Number of instruments, 0 to 4; a later one lies above an earlier one. Nothing else in the scene depends on it.
    tool_width
        Width of a shaft in picture heights, 0.02 to 0.4.
    leaving
        Whether one instrument leaves for about 3 s of every 16 s.
    kinds
        Kinds of the first instrument, the second ..., begun anew after the last: "grasper", "hook", "scissors",
        "suction", "clip_applier".
    meeting
        What the first two instruments do with each other once in 8 s: "apart" (nothing), "crossing" (each goes to the
        other's side and back, their shafts cross) or "touching" (they bring their tips together).
    camera_motion
        How far the camera moves and the patient breathes: 0 holds both still, 1 is usual, at most 2.
    glare, smoke, shadow
        Strength of wet highlights, of haze, of the instruments' shadows; 0 to 1.
    pale_fat, dark_organ, blood
        Share of the tissue covered by each, 0 to 1.
    vignette
        How much darker the picture's corners are, 0 to 1.
    noise
        Standard deviation of the sensor's noise in grey levels, 0 to 20.
    round_picture
        Whether the picture is the endoscope's round one, black outside.

    Raises
    ------
    RecipeError
        If a value lies outside its range.
    """

    seed: int = 0
    height_px: int = 512
    width_px: int = 640
    tools: int = 2
    tool_width: float = 0.12
    leaving: bool = True
    camera_motion: float = 1.0
    glare: float = 0.6
    smoke: float = 0.0
    shadow: float = 0.5
    pale_fat: float = 0.14
    dark_organ: float = 0.12
    blood: float = 0.03
    vignette: float = 0.6
    noise: float = 2.0
    round_picture: bool = False
    kinds: tuple[str, ...] = ("grasper",)
    meeting: str = "apart"

    def __post_init__(self) -> None:
        _refuse_names("kinds", self.kinds, KINDS)
        _refuse_names("meeting", (self.meeting,), MEETINGS)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise RecipeError(
                    f"phantom scene: {name} is {value}, outside {low} to {high}.",
                    f"Give {name} a value from {low} to {high}.",
                )

    def frame(self, t: int) -> PhantomFrame:
        """Draw frame `t` (0 or more, 25 a second); frames do not depend on one another.

        Raises
        ------
        RecipeError
            If `t` is negative.
        """
        if t < 0:
            raise RecipeError(f"phantom scene: there is no frame {t}.", "Ask for frames from 0 on.")
        shape = (self.height_px, self.width_px)
        tools = [list(tool.surfaces(t, self.height_px)) for tool in self._tools]
        surfaces = [surface for tool in tools for surface in tool]
        patches = cover([surface.outline for surface in surfaces], shape)
        covered = covered_places(patches, shape)
        rgb = self._with_shadow(self._tissue_seen(t), covered)
        rgb = _with_tools(rgb, surfaces, patches, covered)
        seen = self._opening >= 0.5
        parts = most_shown([surface.part for surface in surfaces], patches, covered, seen)
        numbers = [n for n, tool in enumerate(tools, start=1) for _ in tool]
        instances = most_shown(numbers, patches, covered, seen)
        kinds = np.array([0, *(KINDS.index(tool.kind) + 1 for tool in self._tools)], np.uint8)
        return PhantomFrame(
            self._sensed(rgb, t), parts > 0, parts, instances, kinds[instances], visible_tips(tools, seen)
        )

    def _tissue_seen(self, t: int) -> Float32[np.ndarray, "H W 3"]:
        """The tissue as the camera sees it at frame `t`, with its glare."""
        x, y = self._view(t)
        rgb = cv2.remap(self._tissue.rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        surface = cv2.remap(self._tissue.surface, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        slope_x, slope_y, wetness = cv2.split(surface)
        # The light sits at the camera: level tissue mirrors it in the middle, leaning tissue at the rim.
        grid_x, grid_y = self._grid
        lean = 1.6 / self.height_px
        off = (slope_x + lean * grid_x) ** 2 + (slope_y + lean * grid_y) ** 2
        sparkle = 1.5 * cv2.exp(-28.0 * off) + 0.12 * cv2.exp(-1.5 * off)
        shine = np.minimum(1.5 * self.glare * sparkle * wetness, 1.0).astype(np.float32)
        return rgb + shine[..., None] * np.array([0.95, 0.92, 0.93], np.float32)

    def _view(self, t: int) -> tuple[Field, Field]:
        """Where on the tissue each pixel looks at frame `t`: x and y in px."""
        pan_x, pan_y, roll, zoom, breath = (self.camera_motion * wave.at(t) for wave in self._waves)
        height = self.height_px
        turn = (1.0 + 0.05 * zoom) * np.exp(0.06j * roll)
        a, b = np.float32(turn.real), np.float32(turn.imag)
        x, y = self._grid
        middle_x = np.float32(0.5 * CANVAS * self.width_px + 0.06 * height * pan_x)
        middle_y = np.float32(0.5 * CANVAS * height + 0.06 * height * pan_y)
        swell = self._swell * np.float32(0.025 * height * breath)
        return a * x - b * y + middle_x, b * x + a * y + middle_y + swell

    def _with_shadow(
        self, rgb: Float32[np.ndarray, "H W 3"], covered: UInt8[np.ndarray, "H W"]
    ) -> Float32[np.ndarray, "H W 3"]:
        """Darken the tissue below and beside the instruments."""
        height, width = covered.shape
        if self.shadow == 0.0 or not covered.any():
            return rgb
        small = cv2.resize(covered, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
        moved = np.array([[1.0, 0.0, 0.012 * height], [0.0, 1.0, 0.015 * height]])
        small = cv2.warpAffine(small.astype(np.float32), moved, (small.shape[1], small.shape[0]))
        small = cv2.GaussianBlur(small, (0, 0), 0.006 * height + 0.3)
        shade = 1.0 - self.shadow / PLACES * cv2.resize(small, (width, height))
        return rgb * shade[..., None].astype(np.float32)

    def _sensed(self, rgb: Float32[np.ndarray, "H W 3"], t: int) -> UInt8[np.ndarray, "H W 3"]:
        """What the camera makes of the scene: fall-off of its light, haze, blur, noise, the round picture."""
        rgb = rgb * self._falloff[..., None]
        if self.smoke > 0.0:
            haze = self._haze(t)[..., None]
            rgb = rgb * (1.0 - haze) + haze * np.array([0.74, 0.71, 0.72], np.float32)
        rgb = cv2.GaussianBlur(rgb, (0, 0), 0.3 + 0.0009 * self.height_px) * np.float32(255.0)
        rgb += self._sensor_noise(t)
        if self.round_picture:
            rgb *= self._opening[..., None]
        return np.clip(rgb + 0.5, 0.0, 255.0).astype(np.uint8)

    def _haze(self, t: int) -> Field:
        """Opacity of the smoke at frame `t`, 0 to 1: three clouds that come and go."""
        weights = [0.5 + 0.5 * wave.at(t) for wave in self._waves[:3]]
        cloud = sum((np.float32(w) * c for w, c in zip(weights, self._clouds, strict=True)), np.float32(0.0))
        return (self.smoke * step(0.45 + 0.35 * np.asarray(cloud, np.float32)) * 0.85).astype(np.float32)

    def _sensor_noise(self, t: int) -> Float32[np.ndarray, "H W 3"]:
        """A window at a place drawn for frame `t`, on one larger piece of noise: nearly free."""
        top, left = np.random.default_rng([self.seed, 5, t]).integers(0, _NOISE_MARGIN, 2)
        return self._noise[top : top + self.height_px, left : left + self.width_px]

    @cached_property
    def _tissue(self) -> Tissue:
        shape = (round(CANVAS * self.height_px), round(CANVAS * self.width_px))
        return grow_tissue(self.seed, shape, pale_fat=self.pale_fat, dark_organ=self.dark_organ, blood=self.blood)

    @cached_property
    def _tools(self) -> list[Tool]:
        aspect = self.width_px / self.height_px
        return draw_tools(self.seed, self.tools, aspect, self.tool_width, self.leaving, self.kinds, self.meeting)

    @cached_property
    def _waves(self) -> list[Wave]:
        """Pan along x and y, roll, zoom, breath."""
        rng = np.random.default_rng([self.seed, 4])
        return [draw_wave(rng, hertz) for hertz in (0.06, 0.05, 0.04, 0.05, 0.24)]

    @cached_property
    def _grid(self) -> tuple[Field, Field]:
        """Place of each pixel, x and y, from the picture's middle, in px."""
        y, x = np.mgrid[: self.height_px, : self.width_px].astype(np.float32)
        return x - np.float32((self.width_px - 1) / 2), y - np.float32((self.height_px - 1) / 2)

    @cached_property
    def _swell(self) -> Field:
        """How strongly each pixel follows the breath."""
        rng = np.random.default_rng([self.seed, 6])
        return 1.0 + np.float32(0.5) * smooth_field(rng, (self.height_px, self.width_px), 0.7)

    @cached_property
    def _falloff(self) -> Field:
        """Brightness of the headlight, about 1 near the middle; its centre lies a little off."""
        rng = np.random.default_rng([self.seed, 7])
        off_x, off_y = (float(off) * self.height_px for off in rng.uniform(-0.15, 0.15, 2))
        x, y = self._grid
        corner = (self.height_px**2 + self.width_px**2) / 4.0
        squared = ((x - off_x) ** 2 + (y - off_y) ** 2) / corner
        return (1.12 - self.vignette * step(0.9 * squared)).astype(np.float32)

    @cached_property
    def _clouds(self) -> list[Field]:
        rng = np.random.default_rng([self.seed, 8])
        return [smooth_field(rng, (self.height_px, self.width_px), cell) for cell in (0.9, 0.5, 0.25)]

    @cached_property
    def _noise(self) -> Float32[np.ndarray, "_ _ 3"]:
        rng = np.random.default_rng([self.seed, 9])
        height, width = self.height_px + _NOISE_MARGIN, self.width_px + _NOISE_MARGIN
        grey = rng.standard_normal((height, width, 1), np.float32)
        colored = rng.standard_normal((height, width, 3), np.float32)
        return np.float32(self.noise) * (np.float32(0.8) * grey + np.float32(0.6) * colored)

    @cached_property
    def _opening(self) -> Field:
        """How much of each pixel the endoscope sees, 0 to 1: all of it unless the picture is round."""
        x, y = self._grid
        if not self.round_picture:
            return np.ones_like(x)
        # Wider than high, as most recordings crop the circle at the top and the bottom.
        radius = 0.56 * self.height_px
        return np.clip(radius - np.sqrt(x**2 + y**2) + 0.5, 0.0, 1.0).astype(np.float32)


_NOISE_MARGIN = 61

_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**63 - 1),
    "height_px": (32, 8192),
    "width_px": (32, 8192),
    "tools": (0, 4),
    "tool_width": (0.02, 0.4),
    "camera_motion": (0.0, 2.0),
    "glare": (0.0, 1.0),
    "smoke": (0.0, 1.0),
    "shadow": (0.0, 1.0),
    "pale_fat": (0.0, 1.0),
    "dark_organ": (0.0, 1.0),
    "blood": (0.0, 1.0),
    "vignette": (0.0, 1.0),
    "noise": (0.0, 20.0),
}


def _refuse_names(field: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    if not given or not set(given) <= set(known):
        raise RecipeError(
            f"phantom scene: {field} is {', '.join(given) or 'empty'}.", f"Give of {field}: {', '.join(known)}."
        )


def _with_tools(
    rgb: Float32[np.ndarray, "H W 3"],
    surfaces: list[Surface],
    patches: list[Patch],
    covered: UInt8[np.ndarray, "H W"],
) -> Float32[np.ndarray, "H W 3"]:
    """Each pixel's places averaged: those of the instruments and those of the tissue between them."""
    rgb = rgb * (1.0 - covered.astype(np.float32) / PLACES)[..., None]
    for surface, patch in zip(surfaces, patches, strict=True):
        if patch.covered.any():
            rows, columns = patch.place
            x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + np.float32(0.5)
            y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5)
            rgb[patch.place] += surface.shade(x, y) * (patch.covered.astype(np.float32) / PLACES)[..., None]
    return rgb
