"""What every data set is read to: recordings with frames, and truth where there is some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from cuemask.media.clips import ClipFiles

Kind = Literal["binary", "parts", "type", "instances"]
Split = Literal["train", "test"]


@runtime_checkable
class Truth(Protocol):
    """True masks of one recording, read when they are asked for."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the set tells of a pixel; `binary` is always among them."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the frames that have truth, in the recording's order."""
        ...

    def labels(self, name: str, kind: Kind = "binary") -> UInt8[np.ndarray, "H W"]:
        """The class of each pixel of one frame: 0 background, else a number of `Dataset.classes[kind]`.

        Of `instances` it is the number of the instrument, from 1, for which there are no names.

        Raises
        ------
        PictureError, VideoError
            If a file cannot be read.
        DatasetError
            If it holds a code that the set does not know, or has not the frame's size.
        """
        ...


@dataclass(frozen=True)
class GivenAnchors:
    """Anchors that come with a data set: 8-bit pictures, 255 is 1, by frame name, at the frames' own size."""

    positive: Mapping[str, Path]
    negative: Mapping[str, Path]


@dataclass(frozen=True)
class Recording:
    """One video of a data set, or one folder of pictures.

    Attributes
    ----------
    files
        Its name (unique in the set, fit for a folder's name) and its frames, as `open_clips` takes them.
    number
        What `--videos` calls it.
    split
        The part of the set that it is published in.
    truth
        None where the set publishes none.
    anchors
        Where the set comes with anchors.
    """

    files: ClipFiles
    number: str
    split: Split
    truth: Truth | None = None
    anchors: GivenAnchors | None = None

    @property
    def name(self) -> str:
        """Unique in the set."""
        return self.files.name


@dataclass(frozen=True)
class Dataset:
    """A data set on disk.

    Attributes
    ----------
    layout
        Which of the published layouts was found, in words.
    recordings
        In natural order, one at least.
    classes
        For each kind the names of the numbers in its label maps; 0 is background and not named, nor are `instances`.
    folds
        Names of the recordings held out in each fold of the usual cross-validation; empty where there is none.
    crop
        Top, left, height and width of the picture in the frame, in pixels, where the set prescribes it.
    oddities
        What is missing or strange without standing in the way, one sentence each, with the path.
    """

    name: str
    root: Path
    layout: str
    recordings: tuple[Recording, ...]
    classes: Mapping[Kind, Mapping[int, str]]
    folds: tuple[tuple[str, ...], ...] = ()
    crop: tuple[int, int, int, int] | None = None
    oddities: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class About:
    """What is said of a data set before one has it.

    Attributes
    ----------
    name
        What `--dataset` calls it.
    title
        What people call it.
    content
        How much of what it holds.
    terms
        Of use, in a few words.
    access
        Where to ask for it.
    layouts
        The layouts that are read, one line each.
    kinds
        What its truth tells.
    protocol
        Name of the rule (`evaluation.protocols`) by which figures on it are usually reported.
    read
        Look a folder over: lists files, reads no picture.
    """

    name: str
    title: str
    content: str
    terms: str
    access: str
    layouts: tuple[str, ...]
    kinds: tuple[Kind, ...]
    protocol: str
    read: Callable[[Path], Dataset]
