"""What the rows of a table were made with, in words: losses, features, threshold, cues, network, training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cuemask.cues.anchors import SMOOTHING_ROWS, smoothing_factor
from cuemask.cues.fusion import asks_shape, judged
from cuemask.experiments.plan import Row
from cuemask.recipe import (
    FeaturesRecipe,
    InputRecipe,
    LossesRecipe,
    MasksRecipe,
    NetworkRecipe,
    Recipe,
    TrainingRecipe,
)

_EXTRACTORS = {
    "vgg16": "VGG16 relu5_3",
    "resnet18": "ResNet-18 layer3",
    "texture": "texture, a fixed bank",
    "drawn": "the drawn network's inner layers",
}
_PRINTED = "rows beside the paper's figures"


@dataclass(frozen=True)
class RowSettings:
    """What the rows of a table were made with.

    Attributes
    ----------
    shared
        By what it is of, that which is the same in all rows that it is of.
    own
        Names of rows with what they have of their own; empty where nothing differs.
    """

    shared: dict[str, str]
    own: tuple[tuple[tuple[str, ...], dict[str, str]], ...]

    def lines(self) -> list[str]:
        """As lists in Markdown."""
        said = [f"- {name}: {text}" for name, text in self.shared.items()]
        if self.own:
            said += ["", "Where rows differ:", ""]
        for rows, differing in self.own:
            said += [f"- {'; '.join(rows)}", *(f"  - {name}: {text}" for name, text in differing.items())]
        return said

    def as_json(self) -> dict[str, object]:
        """The same for machines."""
        return {"shared": self.shared, "own": [{"rows": list(rows), **differing} for rows, differing in self.own]}


def settings_of_rows(rows: Sequence[Row]) -> RowSettings:
    """What the rows that have cells share, and what differs beyond what stands at their left."""
    of_rows = [(row, settings_of(row.cells[0].recipe)) for row in rows if row.cells]
    texts: dict[str, set[str]] = {}
    for _, settings in of_rows:
        for name, text in settings.items():
            texts.setdefault(name, set()).update([text] if text else [])
    shared = {name: text for name, found in texts.items() if len(found) == 1 for text in found}
    if any(cell.anchors for row, _ in of_rows for cell in row.cells):
        shared["threshold of anchors"] = "Otsu"  # `anchors.mask_under_otsu`
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row, settings in of_rows:
        own = tuple((name, text) for name, text in settings.items() if text and name not in {*shared, *row.head})
        groups.setdefault(own, []).append(row)
    printed = [row for row, _ in of_rows if row.printed]
    named = [
        ((_PRINTED,) if len(group) > 1 and group == printed else _names(group), own) for own, group in groups.items()
    ]
    return RowSettings(shared, tuple((names, dict(own)) for names, own in named if own))


def settings_of(recipe: Recipe) -> dict[str, str]:
    """A recipe in words, by what it is of; empty where that does not come into play."""
    cues, use, training = recipe.cues, set(recipe.cues.use), recipe.training
    reads_color = bool(use & {"color", "contour"}) or ("location" in use and cues.location == "mean")
    scale = "" if cues.color_channels == "lesion" else f", scale {cues.color_scale}"
    dark = f", fading below lightness {cues.dark:g}" if cues.dark else ""
    location = "mean of the colour maps" if cues.location == "mean" else "fixed Gaussian"
    return {
        "losses": _losses(recipe.losses),
        "features of diffusion": _features(recipe.features) if recipe.losses.diffuses else "",
        "threshold": _threshold(recipe.masks),
        "cues": ", ".join(
            (*cues.use, *(f"{name} (own, weight {weight:g})" for name, weight in cues.own_weights.items()))
        ),
        "anchors": _anchors(recipe),
        "colour cue": f"{cues.color_channels}{scale}{dark}" if reads_color else "",
        "objectness cue": f"{cues.objectness_windows} windows, superpixels of k {cues.superpixel_cost:g}"
        if "objectness" in use
        else "",
        "location cue": f"{location}, scale {cues.location_scale}" if "location" in use else "",
        "size": f"{recipe.input.height_px}x{recipe.input.width_px}, {_AREAS[recipe.input.area]}"
        + _left_out(recipe.input),
        "network": _network(recipe.network),
        "training": f"{training.steps:,} steps of {training.pairs_per_step} {training.pairing} pairs, frames "
        f"{training.frames}, learning rate {training.learning_rate:g}, {training.schedule}{_extras(training)}"
        + (", true masks carried to the frames beside theirs" if recipe.anchors.labels == "carried" else ""),
    }


_AREAS = {"auto": "the endoscope's picture", "full": "whole pictures"}


def _left_out(pictures: InputRecipe) -> str:
    """What is looked for and left out."""
    outside = ", frames outside the body left out" if pictures.outside == "found" else ""
    return outside + (", burnt-in text left out" if pictures.text == "found" else "")


def _extras(training: TrainingRecipe) -> str:
    """What a training has besides pairs, steps and rate."""
    pasted = f", drawn instruments pasted into {training.pasted:g} of the pictures" if training.pasted else ""
    if training.label_steps:
        pasted += f", with labels {training.label_steps} steps more on labelled frames alone"
    return pasted + (f", weights averaged over steps at {training.averaging:g}" if training.averaging else "")


def _losses(terms: LossesRecipe) -> str:
    parts = [
        f"{terms.anchor_form} anchor loss (positive {terms.positive_weight:g}, negative {terms.negative_weight:g})",
        _diffusion("foreground", terms.foreground_weight, terms.foreground_margin),
        _diffusion("background", terms.background_weight, terms.background_margin),
    ]
    if not terms.diffuses:
        parts = [parts[0], "no diffusion"]
    elif terms.diffuse_to != "all":
        parts.append("diffusing to open pixels only")
    if terms.diffuses and terms.diffuse_in != "all":
        parts.append("no diffusion in clips where shape or contour sees nothing")
    if terms.label_weight != 1:
        parts.append(f"true masks weigh {terms.label_weight:g}")
    return ", ".join(parts)


def _diffusion(region: str, weight: float, margin: float) -> str:
    return f"{region} diffusion {weight:g} (margin {margin:g})" if weight else f"no {region} diffusion"


def _features(features: FeaturesRecipe) -> str:
    weights = f", weights {Path(features.weights).name}" if features.weights else ""
    length = ", each pixel's of length 1" if features.normalize_pixels else ""
    return f"{_EXTRACTORS[features.extractor]}{weights}{length}, {features.interpolation} interpolation"


def _threshold(masks: MasksRecipe) -> str:
    parts = [f"Otsu, {masks.otsu_range} range" if masks.threshold == "otsu" else f"{masks.threshold:g}"]
    if masks.height_px:
        parts.append(f"at {masks.height_px} rows")
    if masks.refinement != "none":
        every = f", its coefficients of every {masks.refinement_step} pixels" if masks.refinement_step > 1 else ""
        parts.append(f"after a {masks.refinement} filter of radius {masks.refinement_radius:g}{every}")
    if masks.smallest_blob:
        share = f"{100 * masks.smallest_blob:.2g} %"
        parts.append(f"{masks.blob_connectivity}-connected parts under {share} of the picture dropped")
    return ", ".join(parts)


def _anchors(recipe: Recipe) -> str:
    """How cues are multiplied."""
    cues, anchors = recipe.cues, recipe.anchors
    if anchors.source == "given":
        return "those that came with the data set"
    exponents = [f"{cue} {getattr(cues, f'{cue}_weight'):g}" for cue in cues.use if getattr(cues, f"{cue}_weight") != 1]
    parts = [f"products with exponents {', '.join(exponents)}" if exponents else "plain products"]
    if "contour" in cues.use and cues.contour_enough < 1:
        parts.append(f"contour whole from {cues.contour_enough:g}")
    if "motion" in cues.use:
        parts.append("motion as far as it agrees")
    if anchors.sharpness and set(cues.use) & {"color", "contour", "motion"}:
        parts.append(f"sharpened {anchors.sharpness:g} about the {anchors.threshold}'s Otsu threshold")
    if judged(recipe):
        parts.append(f"doubted below contour {anchors.least_contour:g}")
    if asks_shape(recipe):
        parts.append(f"shape left out of clips where it stays below {cues.least_shape:g}")
    if anchors.positive_power != 1:
        parts.append(f"positive anchor to the power {anchors.positive_power:g}")
    if anchors.smoothing > 1:
        factor = smoothing_factor(anchors.smoothing, recipe.input.height_px)
        parts.append(f"reduced {factor:g} times and enlarged ({anchors.smoothing} at {SMOOTHING_ROWS} rows)")
    return ", ".join(parts)


def _network(network: NetworkRecipe) -> str:
    if network.architecture != "unet":
        weights = "ImageNet weights" if not network.weights else f"weights {Path(network.weights).name}"
        return f"{network.architecture}, norm {network.normalization}, skips {network.skips}, {weights}"
    parts = [f"U-Net of {network.width} channels and {network.depth} halvings", f"norm {network.normalization}"]
    parts.append(f"{network.scaling} scaling")
    if network.block_px > 1:
        parts.append(f"blocks of {network.block_px} px")
    if network.dropout:
        parts.append(f"dropout {network.dropout:g}")
    if network.start != "chance":
        parts.append(f"started from the {network.start} network")
    if network.classes > 1:
        parts.append(f"{network.classes} classes")
    if network.mirror_px:
        parts.append(f"mirrored by {network.mirror_px} px")
    return ", ".join(parts)


def _names(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.name for row in rows))
