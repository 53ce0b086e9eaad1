"""Recipes: every choice the method leaves open, as one value that is written down with each run.

A recipe is a frozen dataclass of sections. Four have names: `default` (ours), `fast` (the same in a quarter of the
time), `paper` (the text to the letter) and `released` (the settings of the authors' published code). Where the paper is
silent, `paper` takes the released setting. Two more are for skin lesions: `isic` (the paper's section 3.5) and `lesion`
(ours). Every field that differs is explained in docs/deviations.md.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from cuemask.errors import RecipeError
from cuemask.notebook import facts_html

Cue = Literal["color", "objectness", "location", "contour", "motion", "shape"]
# What no cue of one's own may be called: our cues, and the folders that runs have beside the maps of cues.
_TAKEN = frozenset(
    {*get_args(Cue), "positive", "negative", "masks", "probability", "classes", "instances", "parts", "shown"}
)


@dataclass(frozen=True)
class InputRecipe:
    """The size at which cues are computed and the network works; masks come at the source's own size."""

    height_px: int = 256
    width_px: int = 320
    area: Literal["auto", "full"] = "auto"  # find the endoscope's picture in its black border, or take all
    # Frames filmed outside the body (`cues.outside`): taken as any other, or left out of learning and masked empty.
    outside: Literal["kept", "found"] = "kept"
    # Burnt-in text (`media.text`): taken as picture, or as if the endoscope's picture ended there.
    text: Literal["kept", "found"] = "kept"


@dataclass(frozen=True)
class CuesRecipe:
    """The three coarse cues (paper, section 2.1), and three of ours: contour, motion and shape.

    Colour, contour and motion are multiplied to what a frame looks like; `anchors` sharpens that, and multiplies it
    with objectness, location and shape, which a small network learnt from drawn scenes (`cues.shape`).
    """

    use: tuple[Cue, ...] = ("color", "objectness", "location")
    # lesion: unlike the skin at the picture's rim, a cue for dermoscopy (`cues.lesion`), scaled in its own way
    color_channels: Literal["a*saturation", "a*saturation*chroma", "lesion"] = "a*saturation"
    # fixed: 8-bit channels over 255; minmax: the product stretched per frame; channels: each channel stretched per
    # frame; clip: each channel stretched by its range over the clip (but per frame in the mean of the location cue)
    color_scale: Literal["fixed", "minmax", "channels", "clip"] = "fixed"
    location: Literal["mean", "gaussian"] = "mean"  # the clip's mean colour map, or a fixed centre prior
    location_scale: Literal["fixed", "minmax"] = "fixed"  # the mean as it is, or stretched per clip
    objectness_windows: int = 1000
    superpixel_cost: float = 450.0  # of objectness: k of Felzenszwalb and Huttenlocher; the smaller, the finer
    dark: float = 0.0  # LAB lightness, 0 to 100, below which the colour cue fades, to nothing at 0
    # Exponents in the products: 1 is the paper's plain product, below 1 a cue has less say.
    color_weight: float = 1.0
    contour_weight: float = 1.0
    contour_enough: float = 1.0  # contour from which on an outline counts as wholly sharp
    motion_weight: float = 1.0  # in frames where motion agrees with the other cues, less where it does not
    objectness_weight: float = 1.0
    location_weight: float = 1.0
    shape_weight: float = 1.0
    # Shape that the clearest frames of a clip must reach for the cue to have a say in it, the whole from twice that on:
    # where it sees no instrument in any frame, it does not know what they look like there. 0 never asks.
    least_shape: float = 0.0
    # Cues of one's own, which enter the products beside objectness, location and shape: NAME, or NAME:WEIGHT. Their
    # maps are given with the inputs, `--cue NAME=FOLDER`.
    own: tuple[str, ...] = ()

    @property
    def own_weights(self) -> dict[str, float]:
        """The exponents of cues of one's own, by their names."""
        return dict(map(_own_cue, self.own))


@dataclass(frozen=True)
class AnchorsRecipe:
    """How cues become pseudo labels."""

    # given: anchors that come with the data set take the place of computed ones.
    source: Literal["cues", "given"] = "cues"
    # Reduce by this factor and enlarge again, in a picture of 1024 rows; in smaller ones by as much less, so that the
    # same details go. 1 leaves the product as it is. Given anchors are smoothed too, at the size that they have.
    smoothing: int = 1
    # 0: the plain product. Above: colour, with contour and motion, first goes through a logistic curve centred at its
    # own Otsu threshold, this steep per standard deviation.
    sharpness: float = 0.0
    # frame: each frame's own Otsu threshold. clip: frames that are dim beside the rest of their clip take the clip's,
    # since Otsu splits a frame without instruments too.
    threshold: Literal["frame", "clip"] = "frame"
    # Exponent of the positive product. Many cues leave it dim where all but one agree, and its root brightens it there;
    # the negative product stays as it is, so that pixels on which the cues are at odds are left open.
    positive_power: float = 1.0
    # Contour that the clearest frames of a clip must reach when only true grey counts as grey; where none does,
    # nothing is called instrument. 0 never asks.
    least_contour: float = 0.0
    # What labels are of use for: their own frames, or also the frames beside these, as far as optical flow can be
    # followed (`cues.carrying`), where they take the place of anchors and have their say in the masks.
    labels: Literal["own", "carried"] = "own"


@dataclass(frozen=True)
class NetworkRecipe:
    """The segmentation network."""

    # own: a module of one's own, given in Python with the inputs; what else stands here is not for it.
    architecture: Literal["unet", "resnet18_unet", "own"] = "unet"
    width: int = 64  # channels of the first level; doubled at each level below
    depth: int = 4  # times that the size is halved
    # unet: no norms, or batch norm after each convolution. resnet18_unet: the encoder's batch norms folded into its
    # convolutions, or trained on.
    normalization: Literal["none", "batch"] = "none"
    scaling: Literal["signed", "imagenet"] = "imagenet"  # unet: RGB in [-1, 1], or by ImageNet's mean and deviation
    dropout: float = 0.0  # unet: share dropped in training at the end of the contracting path; 0.5 in the original
    mirror_px: int = 0  # unet: the picture continued by its mirror image on each side; 96 for unpadded convolutions
    skips: Literal["before", "after"] = "after"  # resnet18_unet: joined before a block's convolutions or after them
    block_px: int = 1  # unet: side of the square of pixels taken as one; 2 does a quarter of the work
    # unet: drawn from chance, or the network that learnt from drawn scenes, whose form the recipe must then have.
    start: Literal["chance", "drawn"] = "chance"
    weights: str = ""  # resnet18_unet: encoder file; "" looks in the weights folders, "random" starts from chance
    # Kinds of instruments that the network tells apart. 1: instrument or not, one logit a pixel, as in the paper; C: a
    # softmax over C classes and the background, whose anchors `cuemask.learning.classes` explains.
    classes: int = 1
    class_names: tuple[str, ...] = ()  # what they are called, in the order of their codes, which begin at 1

    @property
    def outputs(self) -> int:
        """Logits a pixel: one, or the background's and one a class."""
        return 1 if self.classes == 1 else self.classes + 1


@dataclass(frozen=True)
class FeaturesRecipe:
    """The frozen features whose region means the diffusion loss compares."""

    extractor: Literal["texture", "drawn", "vgg16", "resnet18"] = "vgg16"
    weights: str = ""  # a file; "" looks in the weights folders, then downloads
    normalize_pixels: bool = False  # scale each pixel's feature vector to length 1 before averaging
    interpolation: Literal["linear", "cubic"] = "linear"  # cubic: with aligned corners, as published


@dataclass(frozen=True)
class LossesRecipe:
    """Equations 1, 3, 4 and 5; margins and weights are on the paper's scale."""

    anchor_form: Literal["linear", "log"] = "linear"
    positive_weight: float = 1.0
    negative_weight: float = 1.0
    foreground_margin: float = 0.2
    background_margin: float = 0.8
    foreground_weight: float = 1.0
    background_weight: float = 1.0
    # What the diffusion losses move: all pixels, or each as far as neither anchor has a say on it.
    diffuse_to: Literal["all", "open"] = "all"
    # Which clips the diffusion losses count in: all, or those where both shape and contour know of an instrument, by
    # `cues.least_shape` and `anchors.least_contour`.
    diffuse_in: Literal["all", "known"] = "all"
    label_weight: float = 1.0  # of the pixels of labelled frames, beside those of anchors

    @property
    def diffuses(self) -> bool:
        """Whether a diffusion loss counts; where none does, features are neither computed nor needed."""
        return self.foreground_weight != 0 or self.background_weight != 0


@dataclass(frozen=True)
class TrainingRecipe:
    """Pairs, augmentation and optimiser."""

    steps: int = 1800  # 6 epochs of the 1,800 frames of EndoVis 2017 in batches of 6 pairs
    pairs_per_step: int = 6
    pairing: Literal["adjacent", "random"] = "adjacent"  # random: each pass over the frames draws partners anew
    # The network sees both frames of the pairs as one batch, or all first frames and then all second ones: the same but
    # for batch norms.
    frames: Literal["together", "apart"] = "together"
    labelled_share: float = 0.25  # of the pairs, at least, hold a labelled frame, where there are any
    label_steps: int = 0  # more steps after the others, on labelled frames alone, where there are any
    learning_rate: float = 5e-4
    schedule: Literal["constant", "cosine"] = "constant"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where the processor has it
    crop_smallest: float = 0.85  # side of the random crop over the side of the picture; 1: no crop
    flip: bool = True
    brightness: float = 0.1
    contrast: float = 0.1
    saturation: float = 0.01
    hue: float = 0.01  # of the colour circle
    pasted: float = 0.0  # share of the pictures into which drawn instruments are pasted, with their exact truth
    # Masks come from a running average of the network's weights that keeps this share of itself in each step; 0: from
    # the network as the last step left it.
    averaging: float = 0.0
    checkpoint_seconds: float = 30.0


@dataclass(frozen=True)
class MasksRecipe:
    """From probability to mask."""

    height_px: int = 0  # at which probabilities are refined and thresholded, then enlarged; 0: the picture's own
    threshold: Literal["otsu"] | float = "otsu"
    otsu_range: Literal["own", "unit"] = "own"  # Otsu's 256 levels: over the values that the map has, or 0 to 1
    smallest_blob: float = 0.0  # of the picture's area; smaller connected parts are dropped
    blob_connectivity: int = 8  # pixels of one part touch at sides or corners (8), or at sides (4)
    refinement: Literal["none", "guided"] = "none"  # guided filter, the frame as its guide
    refinement_radius: float = 0.01  # of the picture's diagonal
    refinement_step: int = 2  # every so many pixels the filter's coefficients are computed, and interpolated between


@dataclass(frozen=True)
class Recipe:
    """All choices of a run; see the sections, and docs/deviations.md for what each is worth.

    Raises
    ------
    RecipeError
        If a value is out of its range.

    Examples
    --------
    >>> import cuemask
    >>> cuemask.load_recipe("fast", ["training.steps=25"])
    Recipe(fast: training.steps=25)
    """

    name: str = "paper"
    input: InputRecipe = field(default_factory=InputRecipe)
    cues: CuesRecipe = field(default_factory=CuesRecipe)
    anchors: AnchorsRecipe = field(default_factory=AnchorsRecipe)
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    features: FeaturesRecipe = field(default_factory=FeaturesRecipe)
    losses: LossesRecipe = field(default_factory=LossesRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)
    masks: MasksRecipe = field(default_factory=MasksRecipe)

    def __post_init__(self) -> None:
        _check(self)

    def __repr__(self) -> str:
        differs = changed_fields(self)
        told = ", ".join(f"{place}={value!r}" for place, value in differs[:_SHOWN])
        return f"Recipe({self.name}{': ' if told else ''}{told}{', ...' if len(differs) > _SHOWN else ''})"

    def _repr_html_(self) -> str:
        """What notebooks show: every field."""
        return facts_html(f"Recipe {self.name}", dict(_fields(self)))


_SHOWN = 4  # fields that `repr` tells of
_LARGEST = 1_000_000_000  # of any number of a recipe
MOST_CLASSES = 64
_MOST_CHANNELS = 4096  # at a network's lowest level, whose convolutions have a square of them as weights


def _check(recipe: Recipe) -> None:
    """Ranges that types cannot express."""
    r = recipe
    _refuse_own_cues(r.cues.own)
    rules = [
        ("input.height_px", r.input.height_px, 32 <= r.input.height_px <= 4096, "from 32 to 4096"),
        ("input.width_px", r.input.width_px, 32 <= r.input.width_px <= 4096, "from 32 to 4096"),
        (
            "cues.use",
            r.cues.use,
            bool(r.cues.use or r.cues.own) and len(r.cues.use) == len(set(r.cues.use)),
            "of one or more cues, each once; none only beside cues of your own",
        ),
        ("cues.objectness_windows", r.cues.objectness_windows, r.cues.objectness_windows >= 1, "at least 1"),
        ("cues.superpixel_cost", r.cues.superpixel_cost, r.cues.superpixel_cost > 0, "above 0"),
        ("cues.objectness_weight", r.cues.objectness_weight, r.cues.objectness_weight > 0, "above 0"),
        ("cues.location_weight", r.cues.location_weight, r.cues.location_weight > 0, "above 0"),
        ("cues.shape_weight", r.cues.shape_weight, r.cues.shape_weight > 0, "above 0"),
        ("cues.least_shape", r.cues.least_shape, 0 <= r.cues.least_shape < 1, "from 0 to below 1"),
        ("anchors.positive_power", r.anchors.positive_power, r.anchors.positive_power > 0, "above 0"),
        (
            "network.start",
            r.network.start,
            r.network.start == "chance" or _as_drawn(r.network),
            "of chance, or give the network the form of the drawn one: architecture unet, width 16, depth 4, "
            "normalization batch, block_px 2, scaling signed",
        ),
        ("cues.color_weight", r.cues.color_weight, r.cues.color_weight > 0, "above 0"),
        ("cues.contour_weight", r.cues.contour_weight, r.cues.contour_weight > 0, "above 0"),
        ("cues.motion_weight", r.cues.motion_weight, r.cues.motion_weight > 0, "above 0"),
        ("cues.contour_enough", r.cues.contour_enough, 0 < r.cues.contour_enough <= 1, "above 0, up to 1"),
        ("cues.dark", r.cues.dark, 0 <= r.cues.dark <= 100, "from 0 to 100"),
        ("anchors.least_contour", r.anchors.least_contour, 0 <= r.anchors.least_contour < 1, "from 0 to below 1"),
        ("anchors.smoothing", r.anchors.smoothing, r.anchors.smoothing >= 1, "at least 1"),
        ("anchors.sharpness", r.anchors.sharpness, r.anchors.sharpness >= 0, "at least 0"),
        ("network.width", r.network.width, 1 <= r.network.width <= 512, "from 1 to 512"),
        ("network.depth", r.network.depth, 1 <= r.network.depth <= 6, "from 1 to 6"),
        (
            "network.width",
            r.network.width,
            r.network.width * 2 ** min(r.network.depth, 6) <= _MOST_CHANNELS,
            f"of which {_MOST_CHANNELS} at most become at the lowest level, doubled network.depth times",
        ),
        ("network.dropout", r.network.dropout, 0 <= r.network.dropout < 1, "from 0 to below 1"),
        (
            "network.mirror_px",
            r.network.mirror_px,
            0 <= r.network.mirror_px < min(r.input.height_px, r.input.width_px),
            "from 0 to below the picture's height and width",
        ),
        ("network.block_px", r.network.block_px, 1 <= r.network.block_px <= 8, "from 1 to 8"),
        ("network.classes", r.network.classes, 1 <= r.network.classes <= MOST_CLASSES, f"from 1 to {MOST_CLASSES}"),
        (
            "network.classes",
            r.network.classes,
            r.network.classes == 1 or r.network.architecture != "own",
            "of 1: a network of your own tells instrument or not",
        ),
        (
            "network.class_names",
            r.network.class_names,
            len(r.network.class_names) in (0, r.network.classes),
            "of as many names as network.classes, or none",
        ),
        ("training.steps", r.training.steps, r.training.steps >= 1, "at least 1"),
        ("training.pairs_per_step", r.training.pairs_per_step, r.training.pairs_per_step >= 1, "at least 1"),
        ("training.label_steps", r.training.label_steps, r.training.label_steps >= 0, "at least 0"),
        ("losses.label_weight", r.losses.label_weight, r.losses.label_weight > 0, "above 0"),
        (
            "training.labelled_share",
            r.training.labelled_share,
            0 <= r.training.labelled_share <= 1,
            "from 0 to 1",
        ),
        ("training.learning_rate", r.training.learning_rate, r.training.learning_rate > 0, "above 0"),
        (
            "training.crop_smallest",
            r.training.crop_smallest,
            0.1 <= r.training.crop_smallest <= 1,
            "from 0.1 to 1",
        ),
        ("training.hue", r.training.hue, 0 <= r.training.hue <= 0.5, "from 0 to 0.5"),
        ("training.pasted", r.training.pasted, 0 <= r.training.pasted <= 1, "from 0 to 1"),
        ("training.averaging", r.training.averaging, 0 <= r.training.averaging < 1, "from 0 to below 1"),
        ("masks.height_px", r.masks.height_px, 0 <= r.masks.height_px <= 8192, "from 0 to 8192"),
        (
            "masks.refinement_radius",
            r.masks.refinement_radius,
            0 <= r.masks.refinement_radius <= 0.5,
            "from 0 to 0.5",
        ),
        (
            "masks.refinement_step",
            r.masks.refinement_step,
            1 <= r.masks.refinement_step <= 16,
            "from 1 to 16",
        ),
        ("masks.smallest_blob", r.masks.smallest_blob, 0 <= r.masks.smallest_blob < 1, "from 0 to below 1"),
        ("masks.blob_connectivity", r.masks.blob_connectivity, r.masks.blob_connectivity in (4, 8), "of 4 or 8"),
        (
            "masks.threshold",
            r.masks.threshold,
            r.masks.threshold == "otsu" or 0 < float(r.masks.threshold) < 1,
            "otsu or between 0 and 1",
        ),
    ]
    rules += [(place, value, -_LARGEST <= value <= _LARGEST, f"up to {_LARGEST:,}") for place, value in _numbers(r)]
    for place, value, holds, wanted in rules:
        if not holds:
            raise RecipeError(f"recipe: {place} = {value!r} is out of range.", f"Set {place} to a value {wanted}.")


def _own_cue(text: str) -> tuple[str, float]:
    """Name and weight of a cue of one's own: NAME, or NAME:WEIGHT."""
    name, colon, weight = text.partition(":")
    try:
        return name, float(weight) if colon else 1.0
    except ValueError:
        return name, math.nan


def _refuse_own_cues(own: Sequence[str]) -> None:
    """Refuse names that are none or are taken, and weights that are none."""
    taken = {*_TAKEN, *(each.name for each in dataclasses.fields(CuesRecipe))}
    seen = set(taken)
    for text in own:
        name, weight = _own_cue(text)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name):
            wanted = "a letter, then letters, digits and _, 40 at most"
            raise RecipeError(f"the cue {name!r}: not a name.", f"Call it by {wanted}.")
        if name.lower() in seen:
            whose = "a cue, folder or setting of ours has that name" if name.lower() in taken else "given twice"
            raise RecipeError(f"the cue {name!r}: {whose}.", f"Give it another name: my_{name}")
        if not 0 < weight <= _LARGEST:
            raise RecipeError(
                f"the cue {name!r}: the weight {text.partition(':')[2]} is no number above 0.", f"Try: {name}:0.5"
            )
        seen.add(name.lower())


def _fields(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    """All fields of the sections with their places, `section.key`."""
    for section in dataclasses.fields(recipe):
        values = getattr(recipe, section.name)
        for key in dataclasses.fields(values) if dataclasses.is_dataclass(values) else ():
            yield f"{section.name}.{key.name}", getattr(values, key.name)


def _numbers(recipe: Recipe) -> Iterator[tuple[str, float]]:
    """All numbers of a recipe with their places; NaN and infinity are of no use in any of them."""
    return ((place, value) for place, value in _fields(recipe) if isinstance(value, (int, float)))


def changed_fields(recipe: Recipe) -> list[tuple[str, Any]]:
    """What differs from the recipe of the same name, or from `default` where none has it: place and value."""
    usual = dict(_fields(NAMED.get(recipe.name, DEFAULT)))
    return [(place, value) for place, value in _fields(recipe) if value != usual[place]]


def _as_drawn(network: NetworkRecipe) -> bool:
    """Whether the network has the form of `learning.school`'s."""
    form = (network.architecture, network.width, network.depth, network.normalization, network.block_px)
    return form == ("unet", 16, 4, "batch", 2) and network.scaling == "signed"


PAPER = Recipe(
    name="paper",
    input=InputRecipe(height_px=512, width_px=640),
    # The paper does not say; without norms the linear loss collapsed onto "background everywhere" here.
    network=NetworkRecipe(normalization="batch"),
)

RELEASED = Recipe(
    name="released",
    input=InputRecipe(height_px=512, width_px=640),
    cues=CuesRecipe(color_scale="minmax", location_scale="minmax"),
    anchors=AnchorsRecipe(smoothing=4),
    network=NetworkRecipe(architecture="resnet18_unet", normalization="batch"),
    features=FeaturesRecipe(normalize_pixels=True, interpolation="cubic"),
    losses=LossesRecipe(
        anchor_form="log",
        positive_weight=1.5,
        negative_weight=1.0,
        foreground_margin=0.1,
        background_margin=0.9,
        foreground_weight=0.25,
        background_weight=1.0,
    ),
    training=TrainingRecipe(frames="apart"),
    # Theirs is floor(255 p) > 153; the number of single precision below 154 / 255 says the same with `>`.
    masks=MasksRecipe(threshold=154 / 255 - 5e-8, smallest_blob=10_000 / (1024 * 1280), blob_connectivity=4),
)

# A network that starts as the one behind the shape cue, in that network's form and at its size.
_AS_DRAWN = NetworkRecipe(width=16, depth=4, normalization="batch", scaling="signed", block_px=2, start="drawn")

DEFAULT = Recipe(
    name="default",
    input=InputRecipe(height_px=160, width_px=224, outside="found", text="found"),
    cues=CuesRecipe(
        use=("color", "contour", "location", "shape"),
        color_channels="a*saturation*chroma",
        color_scale="clip",
        dark=10.0,
        location_scale="minmax",
        superpixel_cost=75.0,
        color_weight=0.5,
        contour_weight=2.0,
        contour_enough=0.7,
        motion_weight=0.5,
        objectness_weight=0.3,
        location_weight=0.3,
        least_shape=0.25,
    ),
    anchors=AnchorsRecipe(sharpness=4.0, threshold="clip", least_contour=0.525, positive_power=0.5, labels="carried"),
    network=_AS_DRAWN,
    features=FeaturesRecipe(extractor="drawn"),
    losses=LossesRecipe(anchor_form="log", diffuse_in="known"),
    training=TrainingRecipe(
        steps=150,
        pairs_per_step=4,
        learning_rate=1e-3,
        schedule="cosine",
        crop_smallest=0.7,
        brightness=0.25,
        contrast=0.25,
        saturation=0.3,
        hue=0.03,
        pasted=0.5,
        averaging=0.97,
        label_steps=150,
    ),
    masks=MasksRecipe(height_px=512, threshold=0.5, smallest_blob=0.002, refinement="guided", refinement_step=4),
)

# A quarter of the default's time: fewer and smaller steps.
FAST = dataclasses.replace(
    DEFAULT,
    name="fast",
    training=dataclasses.replace(DEFAULT.training, steps=60, pairs_per_step=2, label_steps=60),
)

# Skin lesions (section 3.5): no colour cue, a fixed prior of the centre, pairs at random, pictures of any size.
ISIC = dataclasses.replace(
    PAPER,
    name="isic",
    input=dataclasses.replace(PAPER.input, area="full"),
    cues=CuesRecipe(use=("objectness", "location"), location="gaussian"),
    training=TrainingRecipe(pairing="random"),
)

# Ours for skin lesions: a colour cue of their own.
LESION = Recipe(
    name="lesion",
    input=InputRecipe(height_px=256, width_px=320, area="full"),
    cues=CuesRecipe(
        use=("color", "objectness", "location"),
        color_channels="lesion",
        location="gaussian",
        superpixel_cost=75.0,
        objectness_weight=0.3,
        location_weight=0.3,
    ),
    anchors=AnchorsRecipe(sharpness=4.0),
    network=NetworkRecipe(width=16, depth=3, normalization="batch", scaling="signed", block_px=2),
    features=FeaturesRecipe(extractor="texture"),
    losses=LossesRecipe(anchor_form="log", foreground_weight=0.5, background_weight=0.15),
    training=TrainingRecipe(steps=150, pairs_per_step=4, learning_rate=2e-3, schedule="cosine", pairing="random"),
    masks=DEFAULT.masks,
)

NAMED = {recipe.name: recipe for recipe in (DEFAULT, FAST, PAPER, RELEASED, ISIC, LESION)}
MEANT_FOR = {
    "default": "ours; minutes on 2 cores",
    "fast": "default with a fifth of its pictures and without its slow cues",
    "paper": "the paper's text to the letter; days without a GPU",
    "released": "the settings of the authors' published code; hours without a GPU",
    "isic": "skin lesions as in the paper",
    "lesion": "skin lesions, ours: with a colour cue for lesions",
}


def load_recipe(
    name_or_file: str | PathLike[str] | Recipe,
    settings: Sequence[str] = (),
    sections: Mapping[str, Any] | None = None,
) -> Recipe:
    """A named recipe or one from a TOML file, with single fields set.

    Parameters
    ----------
    name_or_file
        One of `NAMED`, or the path of a TOML file. A file starts from the recipe that its top-level key `base` names
        (`default` without one). A recipe is taken as it is.
    settings
        `section.key=value` each; values are TOML, bare words are strings. They are applied together, so that only what
        comes of all of them must be a recipe; of two for one field the later counts.
    sections
        The same as values: `{"training": {"steps": 25}}`. `settings` come after them.

    Raises
    ------
    RecipeError
        For an unknown recipe, section or key (the nearest is suggested), a value of the wrong type or out of
        range, or a file that is not TOML.

    Examples
    --------
    >>> import cuemask
    >>> cuemask.load_recipe("fast", ["training.steps=25"], {"input": {"height_px": 96}}).training.steps
    25
    """
    recipe = name_or_file if isinstance(name_or_file, Recipe) else _named(str(Path(name_or_file)))
    changes: dict[str, Any] = {
        name: dict(section) if isinstance(section, Mapping) else section for name, section in (sections or {}).items()
    }
    for setting in settings:
        section, key, value = _parsed(setting)
        changes.setdefault(section, {})[key] = value
    return recipe_from_mapping(changes, recipe)


def recipe_from_mapping(values: Mapping[str, Any], base: Recipe = DEFAULT) -> Recipe:
    """`base` with the fields that `values` names replaced; the inverse of `recipe_as_mapping`.

    Raises
    ------
    RecipeError
        As `load_recipe`.
    """
    changes: dict[str, Any] = {}
    for key, value in values.items():
        _known(key, [f.name for f in dataclasses.fields(base)], "section")
        if key == "name":
            changes[key] = str(value)
        elif isinstance(value, Mapping):
            changes[key] = _section(getattr(base, key), key, cast("Mapping[str, Any]", value))
        else:
            raise RecipeError(
                f"recipe: {key} is a section, not a value ({value!r}).",
                f"Write [{key}] on a line of its own and its keys below it.",
            )
    return dataclasses.replace(base, **changes)


def recipe_of_model(values: object) -> Recipe:
    """The recipe in a model's file; what its version of cuemask did not let choose is as it was then.

    A field that is new changes nothing at the value that its type gives it.

    Raises
    ------
    RecipeError
        As `load_recipe`.
    """
    if not isinstance(values, Mapping):
        raise RecipeError(f"recipe: {str(values)[:40]} is no table of sections.", "Give a model that cuemask wrote.")
    sections = cast("Mapping[str, Any]", values)
    filled = {name: dict(section) if isinstance(section, Mapping) else section for name, section in sections.items()}
    network = filled.setdefault("network", {})
    if not all(isinstance(filled.get(name, {}), dict) for name in ("network", "masks", "cues")):
        return recipe_from_mapping(filled, Recipe())  # which says what is wrong
    if "skips" not in network:
        network |= {"skips": "before", "scaling": "signed"}
        if network.get("architecture") == "resnet18_unet":
            network["normalization"] = "none"
        filled.setdefault("masks", {})["otsu_range"] = "unit"
        filled.setdefault("cues", {}).setdefault("superpixel_cost", 75.0)
    return recipe_from_mapping(filled, Recipe())


def recipe_as_mapping(recipe: Recipe) -> dict[str, Any]:
    """Plain nested dictionaries, lists, strings and numbers: what JSON and TOML hold."""
    mapping = dataclasses.asdict(recipe)
    mapping["cues"]["use"], mapping["cues"]["own"] = list(recipe.cues.use), list(recipe.cues.own)
    mapping["network"]["class_names"] = list(recipe.network.class_names)
    return mapping


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Where two recipes, as mappings, differ.

    Returns
    -------
    `section.key`, its value in `one`, its value in `other`, `-` where one has no such field; names are left out.
    """
    here, there = _flat(one), _flat(other)
    told = [(key, str(here.get(key, "-")), str(there.get(key, "-"))) for key in {**here, **there} if key != "name"]
    return [row for row in told if row[1] != row[2]]


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value}
    return found


def recipe_as_toml(recipe: Recipe) -> str:
    """The whole recipe as a TOML file that `load_recipe` reads back to an equal recipe."""
    import tomli_w

    return tomli_w.dumps(recipe_as_mapping(recipe))


def _named(name: str) -> Recipe:
    path = Path(name)
    if name in NAMED:
        return NAMED[name]
    if not _is_file(path):
        nearest = difflib.get_close_matches(name, NAMED, n=1)
        hint = f"Did you mean {nearest[0]}? " if nearest else ""
        raise RecipeError(
            f"recipe {name!r} is neither one of {', '.join(NAMED)} nor a file.",
            f"{hint}Give one of these names or the path of a TOML file: --recipe default",
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise RecipeError(f"{path}: brackets nested too deeply.", "Give a recipe: sections with keys.") from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path}: not a TOML file ({error}).", "Correct the file at the place named.") from error
    base = values.pop("base", "default")
    if not isinstance(base, str) or base not in NAMED:
        raise RecipeError(f"{path}: unknown base {base!r}.", f"Set base to one of {', '.join(NAMED)}.")
    return recipe_from_mapping({"name": path.stem, **values}, NAMED[base])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than names of files may be
        return False


def _parsed(setting: str) -> tuple[str, str, Any]:
    """Section, key and value of `section.key=value`."""
    path, equals, text = setting.partition("=")
    section, dot, key = path.strip().partition(".")
    if not equals or not dot:
        raise RecipeError(f"--set {setting}: not of the form section.key=value.", "Try: --set training.steps=300")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except ValueError:  # no TOML, or a number of more digits than Python reads
        value = text.strip()
        if re.fullmatch(r"[-+]?(\d+\.|\.\d+)", value):  # .5 and 5., which TOML does not know
            value = float(value)
    except RecursionError as error:
        raise RecipeError(
            f"--set {section}.{key}: brackets nested too deeply.", "Give one value, or a list."
        ) from error
    return section, key, value


def _section(section: Any, name: str, values: Mapping[str, Any]) -> Any:
    types = get_type_hints(type(section))
    changes: dict[str, Any] = {}
    for key, value in values.items():
        _known(key, list(types), "key", name)
        changes[key] = _converted(value, types[key], f"{name}.{key}")
    return dataclasses.replace(section, **changes)


def _known(key: str, names: Sequence[str], what: str, section: str = "") -> None:
    if key in names:
        return
    place = f"{section}.{key}" if section else key
    nearest = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
    hint = f"Did you mean {section + '.' if section else ''}{nearest[0]}? " if nearest else ""
    raise RecipeError(f"recipe: unknown {what} {place!r}.", f"{hint}Known here: {', '.join(names)}.")


def _converted(value: Any, kind: Any, place: str) -> Any:
    """`value` as the type `kind`; integers pass for floats, lists for tuples, a single value for a list."""
    if get_origin(kind) is tuple:
        items = value if isinstance(value, (list, tuple)) else [part for part in str(value).split(",") if part]
        return tuple(_converted(item, get_args(kind)[0], place) for item in cast("Sequence[Any]", items))
    choices = _choices(kind)
    if choices and value in choices:
        return value
    allowed = [kind] if not choices else [k for k in get_args(kind) if get_origin(k) is not Literal]
    if float in allowed and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if isinstance(value, float) or abs(value) <= _LARGEST else math.inf
    if isinstance(value, bool) == (bool in allowed) and any(
        k in (int, str, bool) and isinstance(value, k) for k in allowed
    ):
        return value
    wanted = " or ".join([*choices, *(k.__name__ for k in allowed if isinstance(k, type))])
    nearest = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.4)
    hint = f"Did you mean {nearest[0]}? " if nearest else ""
    raise RecipeError(
        f"recipe: {place} = {value!r} is not {wanted}.", f"{hint}Try: --set {place}={(choices or ['...'])[0]}"
    )


def _choices(kind: Any) -> list[str]:
    """The words that a Literal type allows, also inside a union."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if get_origin(kind) is Union or type(kind).__name__ == "UnionType":
        return [word for part in get_args(kind) for word in _choices(part)]
    return []
