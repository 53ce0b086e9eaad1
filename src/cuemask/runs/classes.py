"""`--classes`: which kinds of instruments a network learns to tell apart, and what tells of them in which frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cuemask.errors import InputError
from cuemask.grouping.classes import FILE, Classes, read_classes
from cuemask.learning.supervision import Labels
from cuemask.media.clips import Clip
from cuemask.media.files import sha256
from cuemask.media.mask_folders import holds_masks
from cuemask.media.masks import read_numbers
from cuemask.recipe import MOST_CLASSES
from cuemask.runs.instruments import INSTANCES
from cuemask.runs.options import Options

INSTRUMENT = 255  # in labels: an instrument of a class that is not told
ClassReader = Callable[[str], UInt8[np.ndarray, "H W"] | None]


def with_classes(options: Options) -> Options:
    """Options whose recipe has the classes of `--classes`, if there is one.

    Raises
    ------
    InputError
        If the file cannot be read, tells one class only or too many, or the recipe has other classes.
    """
    if options.classes is None:
        return options
    path = classes_file(options.classes)
    names, network = read_classes(path).names, options.recipe.network
    if not 2 <= len(names) <= MOST_CLASSES:
        why = "one class, which is what every mask tells" if len(names) < 2 else f"{len(names)} classes"
        raise InputError(
            f"{path}: tells {why}.", f"Leave --classes out, or tell 2 to {MOST_CLASSES} classes: cuemask classes RUN"
        )
    if network.classes not in (1, len(names)) or (network.class_names and network.class_names != names):
        raise InputError(
            f"{path}: tells {', '.join(names)}; the recipe has other classes (network.classes = {network.classes}).",
            "Leave network.classes and network.class_names out of the recipe.",
        )
    network = replace(network, classes=len(names), class_names=names)
    return replace(options, recipe=replace(options.recipe, network=network))


def classes_file(given: Path) -> Path:
    """The `classes.toml` that is meant: itself, or that of a run."""
    return given / FILE if given.is_dir() else given


def told_of_classes(options: Options) -> dict[str, Any]:
    """What a run's record says of `--classes`: nothing where there is none."""
    if options.classes is None:
        return {}
    path = classes_file(options.classes)
    return {"classes": {"given": str(options.classes), "sha256": sha256(path)}}


def class_readers(clips: Sequence[Clip], labels: Sequence[Labels], options: Options) -> Sequence[ClassReader | None]:
    """What gives the classes in the frames of each clip: labels that tell them, else the instances of `--classes`.

    Raises
    ------
    InputError
        If nothing tells classes, none of the clips is one of those that `--classes` tells of, or labels hold codes of
        no class.
    """
    if options.recipe.network.classes == 1:
        return [None] * len(clips)
    if options.classes is None and not any(of_clip.names and of_clip.codes is not None for of_clip in labels):
        raise InputError(
            f"network.classes = {options.recipe.network.classes}: nothing tells which instrument is of which class.",
            "Give --classes RUN/classes.toml, or --labels whose masks have the codes of classes.",
        )
    _refuse_codes(clips, labels, options)
    if options.classes is None:
        return [_reader(of_clip, None) for of_clip in labels]
    path = classes_file(options.classes)
    classes = read_classes(path)
    known = {clip for clip, _ in classes.codes}
    if not known & {clip.name for clip in clips}:
        raise InputError(
            f"{path}: tells of {', '.join(sorted(known))}; none of them is among the clips "
            f"{', '.join(clip.name for clip in clips)}.",
            "Give inputs that the run read which the classes were found in.",
        )
    return [
        _reader(of_clip, _instances(path.parent / clip.name / INSTANCES, clip.name, classes))
        for clip, of_clip in zip(clips, labels, strict=True)
    ]


def _reader(labels: Labels, instances: ClassReader | None) -> ClassReader | None:
    codes = labels.codes
    if codes is None:
        return instances

    def read(name: str) -> UInt8[np.ndarray, "H W"] | None:
        found = None if instances is None else instances(name)
        if name not in labels.names:
            return found
        told = codes(name)
        untold = np.uint8(0) if found is None or found.shape != told.shape else found
        return np.where(told == INSTRUMENT, untold, told)

    return read


def _instances(folder: Path, clip: str, classes: Classes) -> ClassReader | None:
    """The classes of a clip's instances, by frame; None of a clip that they do not tell of."""
    if not folder.is_dir():
        return None
    own: Mapping[int, int] = {number: code for (name, number), code in classes.codes.items() if name == clip}
    table = np.zeros(1 << 16, np.uint8)
    table[list(own)] = list(own.values())

    def read(name: str) -> UInt8[np.ndarray, "H W"] | None:
        path = folder / f"{name}.png"
        return table[read_numbers(path)] if path.is_file() else None

    return read


def _refuse_codes(clips: Sequence[Clip], labels: Sequence[Labels], options: Options) -> None:
    """Refuse labels that tell other classes than the network's; of a data set, by what it says that it tells."""
    most = options.recipe.network.classes
    if not isinstance(options.labels, Path) or not holds_masks(options.labels):
        types = options.dataset.classes.get("type", {}) if options.dataset is not None and options.labels else {}
        if max(types, default=0) > most:
            raise InputError(
                f"--labels {options.labels}: the data set tells {max(types)} classes, the network {most}.",
                f"Give it as many: --set network.classes={max(types)}",
            )
        return
    for clip, of_clip in zip(clips, labels, strict=True):
        if of_clip.codes is None:
            continue
        for name in sorted(of_clip.names):
            codes = of_clip.codes(name)
            wrong = np.unique(codes[(codes > most) & (codes != INSTRUMENT)])
            if len(wrong):
                raise InputError(
                    f"--labels {options.labels}: the label of {clip.name}, {name}, has the code {wrong[0]}; there are "
                    f"{most} classes.",
                    f"Use the codes 1 to {most}, 0 for background and {INSTRUMENT} for an instrument of no class; or "
                    f"--set network.classes={wrong[0]}",
                )
