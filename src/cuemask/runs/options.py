"""What every run is told besides its inputs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import UInt8

from cuemask.cues.own import OwnCue
from cuemask.datasets.dataset import Dataset
from cuemask.errors import InputError
from cuemask.media.area import PictureArea, eye_area, fixed_area, picture_area
from cuemask.media.clips import Clip, Selection
from cuemask.media.hardware import Decoder
from cuemask.media.outlines import Small, with_outlines
from cuemask.media.overlay import Style
from cuemask.media.stereo import Eye
from cuemask.media.text import Ranges, text_in, without_text
from cuemask.recipe import DEFAULT, Recipe

MasksAs = Literal["pictures", "video"]

_WORDS: dict[str, tuple[str, ...]] = {
    "device": ("auto", "cpu", "cuda"),
    "provider": ("auto", "cpu", "cuda", "tensorrt", "openvino"),
    "overlay_style": get_args(Style),
    "stereo": get_args(Eye),
    "decoder": get_args(Decoder),
    "masks": get_args(MasksAs),
}

# What is going on, or how to say so when so many items are done.
Label = str | Callable[[int], str]
Progress = Callable[[Label, Iterable[Any], int | None], Iterator[Any]]


def label_at(label: Label, count: int) -> str:
    """What to show when `count` items are done."""
    return label if isinstance(label, str) else label(count)


def silent(label: Label, items: Iterable[Any], total: int | None) -> Iterator[Any]:
    """No progress shown."""
    del label, total
    yield from items


def unsaid(line: str) -> None:
    """No line shown."""
    del line


def refuse_other_words(given: Mapping[str, Any]) -> None:
    """Refuse options that are none of their words; those that are not chosen from words pass, and None does.

    Raises
    ------
    InputError
        With the nearest word.
    """
    for name, value in given.items():
        words = _WORDS.get(name)
        if words is not None and value is not None and value not in words:
            nearest = difflib.get_close_matches(str(value), words, n=1)
            hint = f"Did you mean {nearest[0]}? " if nearest else ""
            raise InputError(f"{name} {value!r} is none of {', '.join(words)}.", f"{hint}Give one of these.")


class _Place:
    """A field that is given as a string or a path, and is a path."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, instance: object | None, owner: type | None = None) -> Path:
        if instance is None:
            raise AttributeError(self._name)  # a dataclass finds no default here
        return vars(instance)[self._name]

    def __set__(self, instance: object, value: str | PathLike[str]) -> None:
        vars(instance)[self._name] = Path(value)


@dataclass(frozen=True)
class Options:
    """Options that all runs share; the command line's flags of the same names.

    Attributes
    ----------
    out
        Folder of the results.
    crop
        Top, left, height and width of the picture in the frame, in pixels; None finds it.
    stereo
        Which eye's picture is taken, `left` or `right`, of frames that hold both; None takes the frame as one picture.
    device
        `auto`, `cpu` or `cuda`.
    provider
        What ONNX Runtime runs an exported model with: `auto` (as `device` says), `cpu`, `cuda`, `tensorrt` or
        `openvino`.
    decoder
        What decodes videos: `auto`, `cpu` or `cuda` (`media.hardware`).
    dataset
        The published data set whose recordings are the inputs, where they are.
    labels
        What replaces anchors by true masks: so many percent of the data set's frames, a folder of masks, or a file
        with the names of frames; None or 0 nothing.
    classes
        The `classes.toml` of `cuemask classes`, or its run: the kinds of instruments to be told apart; None tells none.
    cues
        Cues of one's own, beside those of the recipe (`runs.own_cues`).
    network
        A network of one's own (`learning.own`), a `torch.nn.Module`; None takes the recipe's.
    masks
        Whether the masks of a clip are `masks/<frame>.png`, or one file, `masks.mov` (`media.mask_films`).
    overlay
        Whether the video with the masks drawn over it is made.
    overlay_style
        How they are drawn there.
    report
        Whether `report.html` is made at the end.
    instances
        Whether instruments are told apart (`runs.grouping`), and `overlay.mp4` shows them.
    parts
        Whether their parts are told too.
    blank_outside
        Whether frames filmed outside the body are blanked in overlay, sheet and report; they are then looked for
        whatever the recipe says.
    blank_text
        Whether all around the endoscope's picture, and burnt-in text over it, are blanked there too.
    ahead
        Of `train`: for each clip the folder where `runs.ahead.keep_read` left what learning needs of it; empty where
        that is made in the run.
    progress
        Wraps every long iteration: (label, items, total or None) gives the items.
    say
        Given a line before the run starts: the disk that it will need.

    Raises
    ------
    InputError
        If a word is none of those that there are, or the seed is below 0.
    """

    if TYPE_CHECKING:
        out: _Place = _Place()  # which tells what is given from what is had
    else:
        out: str | PathLike[str] = _Place()
    recipe: Recipe = DEFAULT
    selection: Selection = field(default_factory=Selection)
    crop: tuple[int, int, int, int] | None = None
    stereo: Eye | None = None
    device: str = "auto"
    provider: str = "auto"
    decoder: Decoder = "auto"
    seed: int = 0
    resume: bool = False
    masks: MasksAs = "pictures"
    save_probability: bool = False
    overlay: bool = True
    overlay_style: Style = "fill"
    report: bool = True
    instances: bool = False
    parts: bool = False
    blank_outside: bool = False
    blank_text: bool = False
    dataset: Dataset | None = None
    labels: int | Path | None = None
    classes: Path | None = None
    cues: tuple[OwnCue, ...] = ()
    network: Any = None
    ahead: tuple[Path, ...] = ()
    progress: Progress = silent
    say: Callable[[str], None] = unsaid

    def __post_init__(self) -> None:
        words = {"device": self.device, "provider": self.provider, "decoder": self.decoder, "masks": self.masks}
        refuse_other_words(words)
        if self.seed < 0:
            raise InputError(f"seed {self.seed} is below 0.", "Give a whole number from 0 on.")


def told_of_masks(options: Options) -> dict[str, Any]:
    """What a run's record says of where its masks lie: nothing where they are pictures, as they always were."""
    return {} if options.masks == "pictures" else {"masks": options.masks}


def area_of(clip: Clip, options: Options) -> PictureArea:
    """The endoscope's picture in `clip`, less burnt-in text: as given, found, or all, as options and recipe say.

    Raises
    ------
    InputError
        If the crop leaves the frame, every sampled frame is black, or no two halves of the frames are alike where one
        eye's picture is wanted.
    """
    if options.stereo is not None and (options.crop is not None or clip.sizes_vary):
        other = "--crop" if options.crop is not None else "pictures that differ in size"
        raise InputError(f"--stereo {options.stereo} and {other} exclude each other.", "Leave --stereo out.")
    if clip.sizes_vary:
        if options.crop is not None:
            raise InputError(
                f"{clip.source}: its pictures differ in size, so that one --crop cannot be right.", "Leave --crop out."
            )
        return PictureArea(0, 0, clip.height_px, clip.width_px, None, whole=True)
    ranges = Ranges() if options.recipe.input.text == "found" else None
    if options.stereo is not None:
        area = eye_area(clip, options.stereo, whole=options.recipe.input.area == "full")
    elif options.crop is not None:
        area = fixed_area(*options.crop, clip.height_px, clip.width_px)
    elif options.recipe.input.area == "full":
        area = fixed_area(0, 0, clip.height_px, clip.width_px, clip.height_px, clip.width_px)
    else:
        small = Small()

        def look(rgb: UInt8[np.ndarray, "H W 3"]) -> None:
            small.add(rgb)
            if ranges is not None:
                ranges.add(rgb)

        area = with_outlines(clip, picture_area(clip, look), small.frames)
    if ranges is None:
        return area
    if ranges.count == 0:
        for rgb in clip.sample():
            ranges.add(rgb)
    return without_text(area, text_in(ranges, area))
