"""The cues and anchors of a whole clip, streamed: two passes, flat memory, kept on disk.

The location cue is the mean of all colour maps, so anchors can only be had in a second pass. What costs most,
objectness, is left to that pass: of a long video, training meets but some frames. Of a clip that is longer than what
may be kept, these alone are kept, in one more pass (`keep_pictures`).
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

from cuemask.cues.anchors import Anchors, spread_of
from cuemask.cues.color import Range, color_cue, color_ranges, stretch, true_grey
from cuemask.cues.contour import contour_cue
from cuemask.cues.fusion import (
    LOOKS,
    Clipwide,
    CueMaps,
    anchors_of,
    asks_shape,
    evidence_of,
    fused,
    judged,
    shape_say_of,
)
from cuemask.cues.lesion import lesion_cue
from cuemask.cues.location import MeanMap, gaussian_location
from cuemask.cues.motion import GAPS, frame_gap, motion_cue, probed_frames
from cuemask.cues.objectness import objectness_cue
from cuemask.cues.outside import SAMPLED, Outside, Stretch, Stretches, as_values, outside_of
from cuemask.cues.own import MapOf
from cuemask.cues.pictures import PictureWriter, kept_pictures
from cuemask.cues.shape import entering, shape_cue
from cuemask.errors import PictureError
from cuemask.media.area import PictureArea
from cuemask.media.arrays import load_array
from cuemask.media.clips import Clip
from cuemask.media.files import write_bytes
from cuemask.media.frames import Frame
from cuemask.media.packed import PackedMask
from cuemask.media.records import SomeRecords
from cuemask.media.seals import is_sealed, seal
from cuemask.media.threads import in_threads
from cuemask.recipe import Recipe

SEAL = "cues.seal"
HALVED_ABOVE = 4  # times the working size
_FILES = ("location.npy", "names.json", "outside.json")
_LOOKED_OVER, _PASSES = 24, 6  # frames of a clip, and in how many goes they are looked at


@dataclass(frozen=True)
class KeptClip:
    """A clip at working size with its cues, on disk.

    Attributes
    ----------
    names
        The source's frame names, without those that were filmed outside the body where these are looked for.
    rgb
        Records of uint8, (H, W, 3), by the frames' numbers: of all frames, or of those that `keep_pictures` was told.
    folder
        Where it lies.
    seed
        Of the windows that objectness draws.
    inside
        Where the endoscope's picture is in any frame; None for everywhere.
    outside
        The frames filmed outside the body.
    own
        What gives the maps of cues of one's own, by their names.
    """

    clip: Clip
    area: PictureArea
    names: list[str]
    rgb: SomeRecords
    folder: Path
    seed: int
    if TYPE_CHECKING:
        inside: PackedMask = PackedMask()
    else:
        inside: Bool[np.ndarray, "H W"] | None = PackedMask()
    outside: tuple[Stretch, ...] = ()
    own: Mapping[str, MapOf] = field(default_factory=dict)
    _clipwide: dict[Recipe, Clipwide] = field(default_factory=dict, repr=False, compare=False)
    _ranges: dict[str, list[Range]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def location(self) -> Float32[np.ndarray, "H W"]:
        """The location cue, read anew each time: there may be hundreds of clips, and one is worked on."""
        return load_array(self.folder / "location.npy")

    def inside_of(self, index: int) -> Bool[np.ndarray, "H W"] | None:
        """Where the endoscope's picture is in frame `index`; None for everywhere."""
        return working_inside_of(self.rgb[index], self.area, self.inside)

    @property
    def _common(self) -> Bool[np.ndarray, "H W"] | None:
        """Where the endoscope's picture is in every frame."""
        return self.inside if not self.area.outlines else working_mask(self.area.common, *self.location.shape)

    def cues(self, index: int, recipe: Recipe) -> CueMaps:
        """The cues of frame `index` that the recipe uses, the others 0; computed anew each time."""
        rgb, use, inside = self.rgb[index], recipe.cues.use, self.inside_of(index)
        color = frame_color(rgb, inside, recipe, self._color_ranges(recipe))
        nothing = np.zeros_like(color)
        return CueMaps(
            color,
            _objectness(rgb, inside, recipe, self.seed),
            self.location,
            contour_cue(color, inside) if "contour" in use else nothing,
            motion_cue(rgb, self._neighbours(index), inside) if "motion" in use else nothing,
            shape_cue(rgb, inside) if "shape" in use else nothing,
            {name: self.own[name](self.names[index], rgb) for name in recipe.cues.own_weights},
        )

    def anchors(self, index: int, recipe: Recipe) -> Anchors:
        """Both anchors of frame `index`, from the cues that the recipe uses."""
        return self.anchors_from(index, self.cues(index, recipe), recipe)

    def anchors_from(self, index: int, maps: CueMaps, recipe: Recipe) -> Anchors:
        """Both anchors of frame `index`, whose cues are known."""
        return anchors_of(maps, self.inside_of(index), recipe, self.clipwide(recipe))

    def clipwide(self, recipe: Recipe) -> Clipwide:
        """What the anchors of each frame need to know of the whole clip; computed once a recipe, from some frames."""
        if recipe not in self._clipwide:
            self._clipwide[recipe] = self._looked_over(recipe)
        return self._clipwide[recipe]

    def know(self, recipe: Recipe, clipwide: Clipwide) -> None:
        """Take over what `clipwide` gave elsewhere of the same clip."""
        self._clipwide[recipe] = clipwide

    def _color_ranges(self, recipe: Recipe) -> list[Range] | None:
        channels = recipe.cues.color_channels
        if recipe.cues.color_scale != "clip" or channels == "lesion":
            return None
        if channels not in self._ranges:
            self._ranges[channels] = color_ranges((self.rgb[i] for i in self._some()), self._common, channels)
        return self._ranges[channels]

    def _some(self) -> list[int]:
        """Frames spread over the clip, from which what concerns all of it is read."""
        return _spread_over(len(self.names))

    def _looked_over(self, recipe: Recipe) -> Clipwide:
        wanted = recipe.anchors
        by_frame = wanted.threshold == "frame" or wanted.sharpness == 0
        if by_frame and wanted.least_contour == 0 and not asks_shape(recipe):
            return Clipwide(None, 1.0)
        if not LOOKS & set(recipe.cues.use):  # then there is nothing to look at
            return Clipwide(None, 1.0)
        self._color_ranges(recipe)  # once, before the threads ask for it
        lean = dataclasses.replace(
            recipe,
            cues=dataclasses.replace(
                recipe.cues, use=tuple(c for c in recipe.cues.use if c not in ("objectness", "shape")), own=()
            ),
        )

        def looked_at(index: int) -> np.ndarray:
            inside = self.inside_of(index)
            looks = fused(self.cues(index, lean), inside, lean.cues)
            assert looks is not None
            return looks.ravel() if inside is None else looks[inside]

        spread = spread_of(np.concatenate(list(in_threads(looked_at, self._some()))))
        evidence = self._until_sure(self._clearest, evidence_of, recipe)
        return Clipwide(spread, evidence, self._until_sure(self._clearest_shape, shape_say_of, recipe))

    def _until_sure(
        self,
        measure: Callable[[int, Recipe], float],
        say: Callable[[Sequence[float], Recipe], float],
        recipe: Recipe,
    ) -> float:
        """What `say` makes of the measures of some frames, which rises with each; once it is 1 no more are taken."""
        some, found = self._some(), list[float]()
        for start in range(_PASSES):  # frames spread over the clip in each
            chunk = some[start::_PASSES]
            found += in_threads(lambda index: measure(index, recipe), chunk)
            # Whatever the others are, they are not below 0.
            if say([*found, *[0.0] * (len(some) - len(found))], recipe) == 1:
                return 1.0
        return say(found, recipe)

    def _clearest(self, index: int, recipe: Recipe) -> float:
        """The greatest contour in a frame when only true grey counts as grey; 1 where nobody asks."""
        if not judged(recipe):
            return 1.0
        rgb, channels = self.rgb[index], recipe.cues.color_channels
        assert channels != "lesion"  # `judged` refuses it
        own = self.inside_of(index)
        ranges = self._color_ranges(recipe) or color_ranges([rgb], own, channels)
        inside = slice(None) if own is None else own
        greatest = [
            np.quantile(contour_cue(frame_color(rgb, own, recipe, grey), own)[inside], 0.995)
            for grey in true_grey(ranges)
        ]
        return float(max(greatest))

    def _clearest_shape(self, index: int, recipe: Recipe) -> float:
        """The greatest shape in a frame of what comes in from the picture's rim; 1 where nobody asks."""
        if not asks_shape(recipe):
            return 1.0
        inside = self.inside_of(index)
        shape = entering(shape_cue(self.rgb[index], inside), inside)
        return float(np.quantile(shape if inside is None else shape[inside], 0.995))

    def _neighbours(self, index: int) -> list[UInt8[np.ndarray, "H W 3"]]:
        return [self.rgb[i] for i in (index - self._gap, index + self._gap) if 0 <= i < len(self.names)]

    @cached_property
    def _gap(self) -> int:
        return frame_gap(self.rgb.__getitem__, len(self.names))

    def read_for(self, indices: Iterable[int], recipe: Recipe) -> list[int]:
        """The frames whose pictures the cues and anchors of frames `indices` are made from, ascending."""
        return frames_read_for(indices, len(self.names), recipe)


def frames_read_for(indices: Iterable[int], count: int, recipe: Recipe) -> list[int]:
    """As `KeptClip.read_for`, of a clip of `count` frames."""
    read = {*indices, *_spread_over(count)}
    if "motion" in recipe.cues.use:
        read |= {i + gap for i in read for gap in (*GAPS, *(-gap for gap in GAPS))}
        read |= probed_frames(count)
    return sorted(i for i in read if 0 <= i < count)


def _spread_over(count: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, _LOOKED_OVER).astype(int)).tolist()


def working_picture(rgb: UInt8[np.ndarray, "H W 3"], area: PictureArea, recipe: Recipe) -> UInt8[np.ndarray, "h w 3"]:
    """The endoscope's picture cut out and resized (by area when reduced) to the recipe's working size."""
    return resized(area.of(*rgb.shape[:2]).crop(rgb), recipe.input.width_px, recipe.input.height_px)


def resized(rgb: Shaped[np.ndarray, "H W ..."], width_px: int, height_px: int) -> Shaped[np.ndarray, "h w ..."]:
    """A picture or map at another size: means over areas where both sides shrink, else bilinear.

    Where both shrink by more than `HALVED_ABOVE`, and are even, first to means of 2 x 2 pixels: OpenCV takes a third of
    the time for it, and a picture of a clip moves by less than a level.
    """
    height, width = rgb.shape[:2]
    if (height, width) == (height_px, width_px):
        return np.ascontiguousarray(rgb)
    if height > HALVED_ABOVE * height_px and width > HALVED_ABOVE * width_px and height % 2 == width % 2 == 0:
        rgb = cast(np.ndarray, cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    shrinks = width >= width_px and height >= height_px
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cast(np.ndarray, cv2.resize(rgb, (width_px, height_px), interpolation=kind))


def working_inside(area: PictureArea, recipe: Recipe) -> Bool[np.ndarray, "h w"] | None:
    """The picture's mask at working size, all that any frame of the clip shows."""
    return working_mask(area, recipe.input.height_px, recipe.input.width_px)


def working_inside_of(
    picture: UInt8[np.ndarray, "h w 3"], area: PictureArea, inside: Bool[np.ndarray, "h w"] | None
) -> Bool[np.ndarray, "h w"] | None:
    """The same of one frame, `picture` at working size; `inside` where the clip's picture never changes."""
    return inside if not area.outlines else working_mask(area.shown(picture), *picture.shape[:2])


def working_mask(area: PictureArea, height_px: int, width_px: int) -> Bool[np.ndarray, "h w"] | None:
    """`area.inside` at another size."""
    if area.inside is None:
        return None
    size = (width_px, height_px)
    return cv2.resize(area.inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)


def outside_of_clip(clip: Clip, area: PictureArea, recipe: Recipe) -> Outside:
    """What tells the frames of a clip that were filmed outside the body; none where the recipe keeps them.

    Raises
    ------
    VideoError, PictureError
        If a frame of the clip cannot be read.
    """
    if recipe.input.outside == "kept":
        return Outside()
    pictures = in_threads(lambda rgb: working_picture(rgb, area, recipe), clip.sample(SAMPLED), threads=1)
    return outside_of(pictures, working_inside(area.common, recipe))


def keep_clip(
    clip: Clip,
    area: PictureArea,
    recipe: Recipe,
    folder: Path,
    seed: int,
    frames: Iterable[Frame],
    labelled: AbstractSet[str] = frozenset(),
    most: int | None = None,
) -> KeptClip:
    """Stream `frames` once: cut out, resize and keep each in `folder`, with the mean of their colour maps.

    Parameters
    ----------
    labelled
        Names of frames of which a mask is known: they are kept wherever they were filmed.
    most
        Of a clip of more frames than this no picture is kept; `keep_pictures` then keeps some. None keeps all.

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
    judge, outside = outside_of_clip(clip, area, recipe), Stretches()

    def work(frame: Frame) -> tuple[Frame, np.ndarray, np.ndarray | None]:
        rgb = working_picture(frame.rgb, area, recipe)
        own = working_inside_of(rgb, area, inside)
        is_outside = frame.name not in labelled and judge.holds(rgb, own)
        return frame, rgb, None if is_outside else frame_color(rgb, own, recipe)

    with PictureWriter(folder, (*shape, 3)) as pictures:
        for frame, rgb, color in in_threads(work, frames):
            outside.add(frame, is_outside=color is None)
            if color is None:
                continue
            if most is None or len(names) < most:
                pictures.append(len(names), rgb)
            elif len(names) == most:
                pictures.drop()
            names.append(frame.name)
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
    write_bytes(folder / "names.json", json.dumps(names).encode())
    write_bytes(folder / "outside.json", json.dumps(as_values(outside.items)).encode())
    seal(folder, SEAL, _FILES)  # written last: where it stands, all of the above is whole
    return _kept(folder, clip, area, recipe, seed)


def keep_pictures(
    kept: KeptClip, recipe: Recipe, folder: Path, frames: Iterable[Frame], wanted: Collection[int]
) -> KeptClip:
    """The clip with the pictures of frames `wanted`, unless it has them: kept in `folder` from one more look.

    Parameters
    ----------
    kept
        As `keep_clip` gave it for `folder`.
    frames
        Those of the clip, from the first on; they are read no further than to the last that is wanted.
    wanted
        Numbers of frames, among `kept.names`.

    Raises
    ------
    OutputError
        If `folder` cannot be written.
    PictureError
        If the clip holds other frames than it did.
    """
    missing = set(wanted).difference(kept.rgb.frames.tolist())
    if not missing:
        return kept
    numbers = {kept.names[number]: number for number in wanted}
    left = set(numbers)

    def work(frame: Frame) -> tuple[str, np.ndarray]:
        return frame.name, working_picture(frame.rgb, kept.area, recipe)

    chosen = (frame for frame in _until(frames, left) if frame.name in numbers)
    with PictureWriter(folder, (recipe.input.height_px, recipe.input.width_px, 3)) as pictures:
        for name, rgb in in_threads(work, chosen):
            pictures.append(numbers[name], rgb)
            left.discard(name)
    if left:
        raise PictureError(
            f"{kept.clip.source}: frame {min(left)} is not there any more.",
            "Leave the input as it is while a run goes on.",
        )
    return dataclasses.replace(kept, rgb=kept_pictures(folder))


def _until(frames: Iterable[Frame], left: AbstractSet[str]) -> Iterator[Frame]:
    """The frames as long as some are left."""
    for frame in frames:
        if not left:
            return
        yield frame


def kept_before(
    folder: Path, clip: Clip, area: PictureArea, recipe: Recipe, seed: int, most: int | None = None
) -> KeptClip | None:
    """What `keep_clip` left in `folder`; None if it did not come to its end there, or a file has changed since.

    With `most`, pictures may be gone, which are not kept of a clip of more frames: `keep_pictures` makes them again.
    """
    if not is_sealed(folder, SEAL, _FILES):
        return None
    kept = _kept(folder, clip, area, recipe, seed)
    return kept if most is not None or len(kept.rgb.frames) == len(kept.names) else None


def _kept(folder: Path, clip: Clip, area: PictureArea, recipe: Recipe, seed: int) -> KeptClip:
    return KeptClip(
        clip,
        area,
        json.loads((folder / "names.json").read_text(encoding="utf-8")),
        kept_pictures(folder),
        folder,
        seed,
        working_inside(area, recipe),
        tuple(Stretch(**values) for values in json.loads((folder / "outside.json").read_text(encoding="utf-8"))),
    )


def frame_color(
    rgb: UInt8[np.ndarray, "H W 3"],
    inside: Bool[np.ndarray, "H W"] | None,
    recipe: Recipe,
    ranges: Sequence[Range] | None = None,
) -> Float32[np.ndarray, "H W"]:
    """The colour cue as the recipe scales it; `clip` as `channels` where the clip's ranges are not known yet."""
    cues = recipe.cues
    if cues.color_channels == "lesion":
        return lesion_cue(rgb, inside)
    scale = "channels" if cues.color_scale == "clip" else cues.color_scale
    return color_cue(rgb, inside, channels=cues.color_channels, scale=scale, dark=cues.dark, ranges=ranges)


def _objectness(rgb: np.ndarray, inside: np.ndarray | None, recipe: Recipe, seed: int) -> np.ndarray:
    if "objectness" not in recipe.cues.use:
        return np.zeros(rgb.shape[:2], np.float32)
    chosen = recipe.cues
    cue = objectness_cue(rgb, windows=chosen.objectness_windows, seed=seed, superpixel_cost=chosen.superpixel_cost)
    return cue if inside is None else stretch(np.where(inside, cue, np.float32(0)), inside) * inside


def _location(mean: MeanMap, inside: np.ndarray | None, recipe: Recipe) -> np.ndarray:
    if recipe.cues.location == "gaussian":
        location = gaussian_location(recipe.input.height_px, recipe.input.width_px)
    else:
        location = mean.mean()
    return stretch(location, inside) if recipe.cues.location_scale == "minmax" else location
