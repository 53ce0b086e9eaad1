"""`classes.toml`: which tracks look alike, and what the user calls them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from cuemask import __version__
from cuemask.errors import InputError

FILE = "classes.toml"
SHEET = "classes.png"
MOST_CLASSES = 64
Track = tuple[str, int]  # clip, and the instrument's number in it
_HEAD = f"""\
# Instruments that look alike, as `cuemask classes` found them; {SHEET} beside this file shows some of each group.
# Give each group a name:            name = "grasper"
# Groups of one kind become one:     merge = 2      (the number of the other group; 0: no instrument at all)
# Then: cuemask segment INPUT --classes {FILE} --out DIR
"""


@dataclass(frozen=True)
class Group:
    """Tracks that look alike.

    Attributes
    ----------
    number
        From 1.
    tracks
        Which they are.
    frames
        In how many frames they were found, all together.
    exemplars
        What the sheet shows: `clip/frame:instrument` each.
    name
        What the user calls it; "" for none.
    merge
        The group that it is a part of, 0 for what is no instrument; None where it is one of its own.
    """

    number: int
    tracks: tuple[Track, ...]
    frames: int = 0
    exemplars: tuple[str, ...] = ()
    name: str = ""
    merge: int | None = None


@dataclass(frozen=True)
class Classes:
    """Classes of instruments: what they are called, and which track is of which.

    Attributes
    ----------
    names
        In the order of their codes, which begin at 1.
    codes
        The code of each track; 0 of one that is no instrument.
    """

    names: tuple[str, ...]
    codes: Mapping[Track, int]


def classes_of(groups: Sequence[Group], place: str = FILE) -> Classes:
    """Groups that are merged are one class; codes follow the numbers of the groups that are left.

    Parameters
    ----------
    place
        Where the groups stand, for messages.

    Raises
    ------
    InputError
        If a group is merged with one that is not there, or in a circle; two classes have one name; or none is left.
    """
    by_number = {group.number: group for group in groups}
    roots = {group.number: _root(group, by_number, place) for group in groups}
    kept = sorted({root for root in roots.values() if root})
    if not kept:
        raise InputError(f"{place}: no group is an instrument.", "Take `merge = 0` away from one at least.")
    names = tuple(by_number[number].name.strip() or f"group {number}" for number in kept)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{place}: two classes are called {twice!r}.", "Merge them (merge = NUMBER) or rename one.")
    codes = {0: 0} | {number: code for code, number in enumerate(kept, 1)}
    return Classes(names, {track: codes[roots[group.number]] for group in groups for track in group.tracks})


def read_groups(path: Path) -> list[Group]:
    """The groups of a `classes.toml`.

    Raises
    ------
    InputError
        If it cannot be read or is not one.
    """
    remedy = "Correct the file at the place named, or make it again: cuemask classes RUN"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        groups = [_group(entry) for entry in cast("list[dict[str, Any]]", values["group"])]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: no table of classes ({error!r:.120}).", remedy) from error
    numbers = [group.number for group in groups]
    if not groups or len(set(numbers)) < len(numbers) or min(numbers) < 1:
        raise InputError(f"{path}: groups need numbers from 1, each once; these have {numbers}.", remedy)
    tracks = [track for group in groups for track in group.tracks]
    twice = (
        next((track for track in tracks if tracks.count(track) > 1), None) if len(set(tracks)) < len(tracks) else None
    )
    if twice is not None:
        raise InputError(f"{path}: {_written(twice)} is in two groups.", remedy)
    return groups


def read_classes(path: Path) -> Classes:
    """The classes that a `classes.toml` tells.

    Raises
    ------
    InputError
        As `read_groups` and `classes_of`.
    """
    return classes_of(read_groups(path), str(path))


def as_toml(groups: Sequence[Group]) -> str:
    """Groups as the text of a `classes.toml`, which `read_groups` reads back."""
    import tomli_w

    entries: list[dict[str, Any]] = []
    for group in groups:
        entry: dict[str, Any] = {"number": group.number, "name": group.name}
        if group.merge is not None:
            entry["merge"] = group.merge
        entry |= {"frames": group.frames, "exemplars": list(group.exemplars)}
        entries.append(entry | {"tracks": [_written(track) for track in group.tracks]})
    return _HEAD + "\n" + tomli_w.dumps({"cuemask": __version__, "group": entries})


def names_of(groups: Sequence[Group]) -> dict[int, str | None]:
    """What each group counts as: the name of the one that it is a part of, None for what is no instrument.

    Raises
    ------
    InputError
        If a merge leads nowhere.
    """
    by_number = {group.number: group for group in groups}
    roots = {group.number: _root(group, by_number, FILE) for group in groups}
    shared = {root for number, root in roots.items() if root not in (0, number)}
    names = {root: by_number[root].name or (f"group {root}" if root in shared else "") for root in by_number}
    return {number: names[root] if root else None for number, root in roots.items()}


def with_names(groups: Sequence[Group], names: Mapping[int, str | None]) -> list[Group]:
    """Groups as `names_of` would tell them so: those of one name are merged into the first, None is no instrument."""
    first: dict[str, int] = {}
    named: list[Group] = []
    for group in groups:
        name = names.get(group.number, "")
        if name is None:
            named.append(replace(group, merge=0))
        elif name and first.setdefault(name, group.number) != group.number:
            named.append(replace(group, name="", merge=first[name]))
        else:
            named.append(replace(group, name=name, merge=None))
    return named


def with_names_of(groups: Sequence[Group], before: Sequence[Group]) -> list[Group] | None:
    """Groups with what the user wrote into earlier ones; None where these are other groups and something was written.

    They are the same where the same tracks stand together, whatever their numbers.
    """
    if not any(group.name or group.merge is not None for group in before):
        return list(groups)
    now = {frozenset(group.tracks): group for group in groups}
    if set(now) != {frozenset(group.tracks) for group in before}:
        return None
    number = {old.number: now[frozenset(old.tracks)].number for old in before} | {0: 0}
    told = {number[old.number]: old for old in before}
    if not all(old.merge is None or old.merge in number for old in before):
        return None
    return [
        replace(
            group,
            name=told[group.number].name,
            merge=None if (merge := told[group.number].merge) is None else number[merge],
        )
        for group in groups
    ]


def _root(group: Group, by_number: Mapping[int, Group], place: str) -> int:
    """The group that it is a part of in the end; 0 of what is no instrument."""
    seen = [group.number]
    while group.merge is not None:
        if group.merge == 0:
            return 0
        if group.merge not in by_number or group.merge in seen:
            why = "is not there" if group.merge not in by_number else "leads back to itself"
            raise InputError(
                f"{place}: group {group.number} has merge = {group.merge}, which {why}.",
                f"Give another number: {', '.join(map(str, sorted(by_number)))}, or 0 for what is no instrument.",
            )
        group = by_number[group.merge]
        seen.append(group.number)
    return group.number


def _group(entry: Mapping[str, Any]) -> Group:
    merge = entry.get("merge")
    if not isinstance(entry.get("name", ""), str) or isinstance(merge, (str, float, bool)):
        raise ValueError(f"a name is a text and merge a number: {dict(entry)!r:.80}")
    return Group(
        number=int(entry["number"]),
        tracks=tuple(_read(text) for text in entry["tracks"]),
        frames=int(entry.get("frames", 0)),
        exemplars=tuple(str(text) for text in entry.get("exemplars", ())),
        name=str(entry.get("name", "")),
        merge=None if merge is None else int(merge),
    )


def _written(track: Track) -> str:
    return f"{track[0]}:{track[1]}"


def _read(text: object) -> Track:
    clip, colon, number = str(text).rpartition(":")
    if not colon or not number.isdecimal():
        raise ValueError(f"{text!r} is no track: CLIP:NUMBER")
    return clip, int(number)
