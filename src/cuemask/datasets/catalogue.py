"""All data sets by name, and the videos of one that a user asks for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from cuemask.datasets import (
    cholecseg8k,
    endovis2015,
    endovis2017,
    endovis2018,
    folders,
    isic2016,
    kvasir,
    robustmis,
)
from cuemask.datasets.dataset import About, Dataset, Recording
from cuemask.errors import DatasetError

DATASETS: dict[str, About] = {
    about.name: about
    for about in (
        endovis2017.ABOUT,
        endovis2018.ABOUT,
        endovis2015.ABOUT,
        isic2016.ABOUT,
        cholecseg8k.ABOUT,
        robustmis.ABOUT,
        kvasir.ABOUT,
        folders.ABOUT,
    )
}
SHOWN = 20


def read_dataset(name: str, root: str | PathLike[str], videos: Sequence[str] = ()) -> Dataset:
    """Look a data set on disk over; lists files, reads no picture.

    Parameters
    ----------
    name
        One of `DATASETS`.
    root
        The folder it was unpacked to.
    videos
        Which recordings to keep, by number ("1"), name ("seq_2"), beginning of a name ("video01" for video01_00080
        and the like) or split ("train", "test"); all if empty.

    Raises
    ------
    DatasetError
        If there is no data set of that name, no such folder, no such data in it, or no such video.

    Examples
    --------
    >>> import cuemask
    >>> known = cuemask.read_dataset("folders", "set")
    >>> [recording.name for recording in known.recordings]
    ['set']
    """
    if name not in DATASETS:
        nearest = difflib.get_close_matches(name.lower(), DATASETS, n=1)
        known = f"Give one of: {', '.join(DATASETS)}."
        raise DatasetError(
            f"{name}: no data set of that name.", f"Did you mean {nearest[0]}? {known}" if nearest else known
        )
    dataset = DATASETS[name].read(Path(root))
    return replace(dataset, recordings=_chosen(dataset, videos)) if videos else dataset


def listing() -> str:
    """All data sets for a reader: what they hold, their layouts, terms of use, and where to ask for them."""
    blocks: list[str] = []
    for about in DATASETS.values():
        lines = [f"{about.name}  {about.title}: {about.content}"]
        lines += [f"  layout    {layout}" for layout in about.layouts]
        lines += [f"  truth     {', '.join(about.kinds)}; usual protocol {about.protocol}"]
        lines += [f"  terms     {about.terms}", f"  access    {about.access}"]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, "next: cuemask datasets check NAME ROOT"])


def _chosen(dataset: Dataset, videos: Sequence[str]) -> tuple[Recording, ...]:
    names = {video: _names_of(dataset, video) for video in videos}
    unknown = [video for video in names if not names[video]]
    if unknown:
        raise DatasetError(
            f"{dataset.root}: {dataset.name} there has no video {', '.join(unknown)}.", _what_there_is(dataset)
        )
    wanted = set[str]().union(*names.values())
    return tuple(recording for recording in dataset.recordings if recording.name in wanted)


def _names_of(dataset: Dataset, video: str) -> set[str]:
    """Names of the recordings called `video`; where none is, of those whose names begin with it."""
    called = {recording.name for recording in dataset.recordings if _is_called(recording, video)}
    return called or {recording.name for recording in dataset.recordings if recording.name.startswith(f"{video}_")}


def _is_called(recording: Recording, video: str) -> bool:
    if video.isdecimal() and recording.number.isdecimal():
        return int(video) == int(recording.number)
    return video in (recording.number, recording.name, recording.split)


def _what_there_is(dataset: Dataset) -> str:
    numbers = dict.fromkeys(recording.number for recording in dataset.recordings)
    names = dict.fromkeys(recording.name for recording in dataset.recordings)
    splits = dict.fromkeys(recording.split for recording in dataset.recordings)
    told = [f"the number of a video ({_listed(list(numbers))})"]
    if list(names) != list(numbers):
        told.append(f"its name ({_listed(list(names))})")
    return f"Give {', '.join(told)} or a split ({', '.join(splits)})."


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
