"""The cues and anchors of a whole clip, streamed: two passes, flat memory, kept on disk.

The location cue is the mean of all colour maps, so anchors can only be had in a second pass. What costs most,
objectness, is left to that pass: of a long video, training meets but some frames.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.anchors import Anchors, anchors, sharpen
from cuemask.cues.color import color_cue, stretch
from cuemask.cues.location import MeanMap, gaussian_location
from cuemask.cues.objectness import objectness_cue
from cuemask.errors import PictureError
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip
from cuemask.media.files import write_bytes
from cuemask.media.frames import Frame
from cuemask.media.records import Records, RecordWriter
from cuemask.media.threads import in_threads
from cuemask.recipe import Recipe


class CueMaps(NamedTuple):
    """The three cues of one frame, each in [0, 1]."""

    color: Float32[np.ndarray, "H W"]
    objectness: Float32[np.ndarray, "H W"]
    location: Float32[np.ndarray, "H W"]


@dataclass(frozen=True)
class KeptClip:
    """A clip at working size with its cues, on disk.

    Attributes
    ----------
    names
        The source's frame names.
    rgb
        Records of uint8, (H, W, 3).
    location
        Float32, (H, W).
    inside
        Where the endoscope's picture is; None for everywhere.
    seed
        Of the windows that objectness draws.
    """

    clip: Clip
    area: PictureArea
    names: list[str]
    rgb: Records
    location: Float32[np.ndarray, "H W"]
    inside: Bool[np.ndarray, "H W"] | None
    seed: int

    def cues(self, index: int, recipe: Recipe) -> CueMaps:
        """All three cues of frame `index`; objectness is computed anew each time."""
        rgb = self.rgb[index]
        color = frame_color(rgb, self.inside, recipe)
        return CueMaps(color, _objectness(rgb, self.inside, recipe, self.seed), self.location)

    def anchors(self, index: int, recipe: Recipe) -> Anchors:
        """Both anchors of frame `index`, from the cues that the recipe uses."""
        return self.anchors_from(self.cues(index, recipe), recipe)

    def anchors_from(self, maps: CueMaps, recipe: Recipe) -> Anchors:
        """Both anchors of a frame of this clip whose cues are known."""
        settings = recipe.cues
        if recipe.anchors.sharpness > 0:
            maps = maps._replace(color=sharpen(maps.color, recipe.anchors.sharpness, self.inside))
        weights = {"color": 1.0, "objectness": settings.objectness_weight, "location": settings.location_weight}
        chosen = [(getattr(maps, cue), weights[cue]) for cue in settings.use]
        return anchors(
            [cue for cue, _ in chosen], self.inside, weights=[w for _, w in chosen], smoothing=recipe.anchors.smoothing
        )


def working_picture(rgb: UInt8[np.ndarray, "H W 3"], area: PictureArea, recipe: Recipe) -> UInt8[np.ndarray, "h w 3"]:
    """The endoscope's picture cut out and resized (by area when reduced) to the recipe's working size."""
    return resized(area.crop(rgb), recipe.input.width_px, recipe.input.height_px)


def resized(rgb: UInt8[np.ndarray, "H W 3"], width_px: int, height_px: int) -> UInt8[np.ndarray, "h w 3"]:
    """A picture at another size: means over areas where both sides shrink, else bilinear."""
    if rgb.shape[:2] == (height_px, width_px):
        return np.ascontiguousarray(rgb)
    shrinks = rgb.shape[1] >= width_px and rgb.shape[0] >= height_px
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cast(np.ndarray, cv2.resize(rgb, (width_px, height_px), interpolation=kind))


def working_inside(area: PictureArea, recipe: Recipe) -> Bool[np.ndarray, "h w"] | None:
    """The picture's mask at working size."""
    if area.inside is None:
        return None
    size = (recipe.input.width_px, recipe.input.height_px)
    return cv2.resize(area.inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)


def keep_clip(
    clip: Clip, area: PictureArea, recipe: Recipe, folder: Path, seed: int, frames: Iterable[Frame]
) -> KeptClip:
    """Stream `frames` once: cut out, resize and keep each in `folder`, with the mean of their colour maps.

    Raises
    ------
    OutputError
        If `folder` cannot be written.
    PictureError
        If every pixel of every frame is black.
    """
    inside = working_inside(area, recipe)
    shape = (recipe.input.height_px, recipe.input.width_px)
    mean, names, brightest = MeanMap(*shape), list[str](), 0

    def work(frame: Frame) -> tuple[str, np.ndarray, np.ndarray]:
        rgb = working_picture(frame.rgb, area, recipe)
        return frame.name, rgb, frame_color(rgb, inside, recipe)

    with RecordWriter(folder / "rgb.npy", (*shape, 3), np.uint8) as kept_rgb:
        for name, rgb, color in in_threads(work, frames):
            names.append(name)
            kept_rgb.append(rgb)
            mean.add(color)
            brightest = max(brightest, int(rgb.max()))
    if brightest < 8:
        raise PictureError(
            f"{clip.source}: all {len(names)} frames are black.",
            "Check the recording, or cut the black part off with --start and --end.",
        )
    location = io.BytesIO()
    np.save(location, _location(mean, inside, recipe))
    write_bytes(folder / "location.npy", location.getvalue())
    # Written last: where it stands, all of the above is whole.
    write_bytes(folder / "names.json", json.dumps(names).encode())
    kept = kept_before(folder, clip, area, recipe, seed)
    assert kept is not None
    return kept


def kept_before(folder: Path, clip: Clip, area: PictureArea, recipe: Recipe, seed: int) -> KeptClip | None:
    """What `keep_clip` left in `folder`, or None if it did not come to its end there."""
    if not (folder / "names.json").is_file():
        return None
    return KeptClip(
        clip,
        area,
        json.loads((folder / "names.json").read_text()),
        Records(folder / "rgb.npy"),
        np.load(folder / "location.npy"),
        working_inside(area, recipe),
        seed,
    )


def frame_color(
    rgb: UInt8[np.ndarray, "H W 3"], inside: Bool[np.ndarray, "H W"] | None, recipe: Recipe
) -> Float32[np.ndarray, "H W"]:
    """The colour cue as the recipe scales it."""
    return color_cue(rgb, inside, channels=recipe.cues.color_channels, scale=recipe.cues.color_scale)


def _objectness(rgb: np.ndarray, inside: np.ndarray | None, recipe: Recipe, seed: int) -> np.ndarray:
    if "objectness" not in recipe.cues.use:
        return np.zeros(rgb.shape[:2], np.float32)
    cue = objectness_cue(rgb, windows=recipe.cues.objectness_windows, seed=seed)
    return cue if inside is None else stretch(np.where(inside, cue, np.float32(0)), inside) * inside


def _location(mean: MeanMap, inside: np.ndarray | None, recipe: Recipe) -> np.ndarray:
    if recipe.cues.location == "gaussian":
        location = gaussian_location(recipe.input.height_px, recipe.input.width_px)
    else:
        location = mean.mean()
    return stretch(location, inside) if recipe.cues.location_scale == "minmax" else location
