"""`cuemask classes`: the tracks of a run's clips, grouped by what they look like, for the user to name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from cuemask.errors import InputError, OutputError
from cuemask.grouping.appearance import appearance, reduced, weighted
from cuemask.grouping.classes import FILE, SHEET, Group, Track, as_toml, read_groups, with_names_of
from cuemask.grouping.groups import grouped, nearest_group
from cuemask.media.clips import Clip, ClipFiles
from cuemask.media.crops import CROP_PX, outlined_crop
from cuemask.media.files import write_bytes
from cuemask.media.masks import read_numbers, write_rgb
from cuemask.report.sheet import Cell, contact_sheet
from cuemask.runs.formats import complete_clips
from cuemask.runs.instruments import INSTANCES, TABLE, read_tracks
from cuemask.runs.options import Progress, silent
from cuemask.runs.record import run_of
from cuemask.runs.sources import clips_of, sources_of
from cuemask.runs.work import run_folder

_LOOKS = 40  # frames, at most, in which a track is looked at
_WHOLE = 0.4  # of the area that a track mostly has at its largest: below, most of it is hidden or outside
_BESIDE = 0.02  # of the picture's height: nearer to another instrument, a part of one may be taken for the other's
_LEAST_LOOKS = 3  # of a track that has a say in what the groups are
_SHOWN = 6  # exemplars of a group


class _Row(NamedTuple):
    """One instrument in one frame."""

    frame: str
    area_px: int
    direction: tuple[float, float] | None


@dataclass
class _Seen:
    """A track, as far as it was looked at: where no other instrument was near, and where one was."""

    alone: list[Float[np.ndarray, " F"]] = field(default_factory=list)
    beside: list[Float[np.ndarray, " F"]] = field(default_factory=list)
    crops: dict[str, UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=dict)
    frames: int = 0

    @property
    def looks(self) -> list[Float[np.ndarray, " F"]]:
        """Those by itself, if there are some."""
        return self.alone if len(self.alone) >= _LEAST_LOOKS else self.alone + self.beside


@dataclass(frozen=True)
class Classified:
    """What `classify` wrote: the file to name groups in, the sheet that shows them, and lines that tell of it."""

    file: Path
    sheet: Path
    lines: list[str]


def classify(
    run: Path,
    inputs: Sequence[str | Path | ClipFiles] = (),
    *,
    count: int | None = None,
    progress: Progress = silent,
) -> Classified:
    """Group the instruments of a run by what they look like; write `run/classes.toml` and `run/classes.png`.

    Names and merges that the user wrote into an earlier `classes.toml` are kept where the groups are the same.

    Parameters
    ----------
    run
        The folder of a complete `segment` or `predict` run, with `instances/` and `tracks.csv` of each clip.
    inputs
        What the run read, in its order, where that has been moved since.
    count
        How many groups; None lets the silhouette decide (`grouping.groups.grouped`).

    Raises
    ------
    InputError
        If `run` is no such run or without instances, what it read is not where it was, no instrument is large enough
        to be told, or there are fewer tracks than groups are wanted.
    OutputError
        If the user named other groups in `classes.toml`, or the run cannot be written.
    """
    folder = run_of(run)
    _, entries = complete_clips(folder)
    tables = {str(entry["clip"]): _table(folder, str(entry["clip"])) for entry in entries}
    clips = clips_of(folder, entries, inputs or sources_of(folder, entries, (), "classes"), "classes")
    with run_folder(folder):
        before = read_groups(folder / FILE) if (folder / FILE).is_file() else []
        seen: dict[Track, _Seen] = {}
        for clip, entry in zip(clips, entries, strict=True):
            name = str(entry["clip"])
            seen |= _looked_at(clip, name, tables[name], folder / name / INSTANCES, progress)
        groups, silhouettes = _grouped(seen, count, folder)
        told = with_names_of(groups, before)
        if told is None:
            raise OutputError(
                f"{folder / FILE}: names or merges groups that are others now.",
                f"Keep a copy and begin anew: mv {folder / FILE} {folder / 'classes-before.toml'}",
            )
        write_rgb(folder / SHEET, _sheet(told, seen))
        write_bytes(folder / FILE, as_toml(told).encode())
    return Classified(folder / FILE, folder / SHEET, _lines(told, silhouettes, count))


def _table(folder: Path, clip: str) -> dict[int, list[_Row]]:
    """The rows of a clip's tracks."""
    path = folder / clip / TABLE
    if not path.is_file() or not (folder / clip / INSTANCES).is_dir():
        missing = TABLE if not path.is_file() else INSTANCES
        raise InputError(
            f"{folder / clip}: has no {missing}; nobody has told its instruments apart.",
            f"Run first: cuemask group {folder}",
        )
    rows: dict[int, list[_Row]] = {}
    for frame, found in read_tracks(path):
        for one in found:
            rows.setdefault(one.number, []).append(_Row(frame, one.area_px, _known(one.shaft.direction)))
    return rows


def _known(direction: tuple[float, float]) -> tuple[float, float] | None:
    return direction if all(map(math.isfinite, direction)) and any(direction) else None


def _looked_at(
    clip: Clip, name: str, tracks: Mapping[int, Sequence[_Row]], instances: Path, progress: Progress
) -> dict[Track, _Seen]:
    """What each of a clip's tracks looks like, in frames spread over those that show most of it."""
    seen = {(name, number): _Seen(frames=len(rows)) for number, rows in tracks.items()}
    wanted: dict[str, list[tuple[int, _Row, bool]]] = {}
    for number, rows in tracks.items():
        chosen = _spread([row for row in rows if row.area_px >= _WHOLE * _largest(rows)], _LOOKS)
        shown = {row.frame for row in _spread(chosen, _SHOWN)}
        for row in chosen:
            wanted.setdefault(row.frame, []).append((number, row, row.frame in shown))
    left = len(wanted)
    with closing(clip.frames()) as frames:
        for frame in progress(f"{name}: looks", frames, clip.frame_count):
            if not left:
                break
            if frame.name not in wanted:
                continue
            left -= 1
            numbers = read_numbers(instances / f"{frame.name}.png")
            if numbers.shape != frame.rgb.shape[:2]:
                raise InputError(
                    f"{instances / frame.name}.png: {numbers.shape[1]}x{numbers.shape[0]} pixels, its frame "
                    f"{frame.rgb.shape[1]}x{frame.rgb.shape[0]}.",
                    f"Make it again: cuemask group {instances.parent.parent}",
                )
            rgb, small = reduced(frame.rgb, numbers)
            for number, row, is_shown in wanted[frame.name]:
                own = small == number
                look = appearance(rgb, own, row.direction)
                if look is not None:
                    track = seen[name, number]
                    (track.beside if _is_beside(small, own) else track.alone).append(look)
                    if is_shown:
                        track.crops[frame.name] = outlined_crop(rgb, own)
    return seen


def _is_beside(numbers: np.ndarray, own: Bool[np.ndarray, "H W"]) -> bool:
    """Whether another instrument is near."""
    side = 2 * math.ceil(_BESIDE * own.shape[0]) + 1
    near = cv2.dilate(own.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return bool((near & ~own & (numbers > 0)).any())


def _largest(rows: Sequence[_Row]) -> float:
    return float(np.quantile([row.area_px for row in rows], 0.9))


def _spread(rows: Sequence[_Row], most: int) -> list[_Row]:
    """At most so many rows, evenly spread."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)) if rows else []
    return [rows[place] for place in places]


def _grouped(seen: Mapping[Track, _Seen], count: int | None, folder: Path) -> tuple[list[Group], dict[int, float]]:
    """Groups of tracks.

    Those that were seldom by themselves have no say in what the groups are, and go to the one that is nearest: where
    instruments touch, a part of one may be taken for the other's.
    """
    tracks = [track for track, one in seen.items() if one.looks]
    if not tracks:
        raise InputError(
            f"{folder}: no instrument in it is large enough to tell what it looks like.",
            "Give a run with instruments in its masks.",
        )
    points = weighted(np.stack([np.median(np.stack(seen[track].looks), 0) for track in tracks]))
    has_say = np.array([len(seen[track].alone) >= _LEAST_LOOKS for track in tracks])
    has_say = has_say if has_say.sum() >= max(3, count or 0) else np.ones_like(has_say)
    found = grouped(points[has_say], count)
    labels = np.empty(len(tracks), np.int64)
    labels[has_say] = found.labels
    if not has_say.all():
        labels[~has_say] = nearest_group(points[~has_say], points[has_say], found.labels)
    groups: list[Group] = []
    for number in range(int(labels.max()) + 1):
        own = [track for track, label in zip(tracks, labels, strict=True) if label == number]
        groups.append(
            Group(number + 1, tuple(own), sum(seen[track].frames for track in own), tuple(_exemplars(own, seen)))
        )
    return groups, found.silhouettes


def _exemplars(tracks: Sequence[Track], seen: Mapping[Track, _Seen]) -> list[str]:
    """Frames of a group for its sheet: of each track one, the longest first, then of each another one."""
    longest = sorted(tracks, key=lambda track: -seen[track].frames)
    places = [(turn, track, frame) for track in longest for turn, frame in enumerate(_middle_out(seen[track].crops))]
    return [f"{clip}/{frame}:{number}" for _, (clip, number), frame in sorted(places, key=lambda one: one[0])[:_SHOWN]]


def _middle_out(frames: Iterable[str]) -> list[str]:
    """The frame in the middle first, then those ever farther from it."""
    names = list(frames)
    return sorted(names, key=lambda name: abs(names.index(name) - (len(names) - 1) / 2))


def _sheet(groups: Sequence[Group], seen: Mapping[Track, _Seen]) -> UInt8[np.ndarray, "H W 3"]:
    """A row for each group."""
    empty = np.full((*CROP_PX, 3), 24, np.uint8)
    rows: list[tuple[str, list[Cell]]] = []
    for group in groups:
        pictures = [_picture(text, seen) for text in group.exemplars]
        pictures += [empty] * (_SHOWN - len(pictures))
        told = f"{group.number} {group.name}".strip() + f": {len(group.tracks)} tracks"
        rows.append((told, [Cell("group" if n == 0 else "", picture) for n, picture in enumerate(pictures)]))
    return contact_sheet(rows)


def _picture(exemplar: str, seen: Mapping[Track, _Seen]) -> UInt8[np.ndarray, "h w 3"]:
    place, _, number = exemplar.rpartition(":")
    clip, _, frame = place.rpartition("/")
    return seen[clip, int(number)].crops[frame]


def _lines(groups: Sequence[Group], silhouettes: Mapping[int, float], count: int | None) -> list[str]:
    lines = [
        f"group {group.number}{f' ({group.name})' if group.name else ''}: {len(group.tracks)} tracks, "
        f"{group.frames:,} times seen"
        for group in groups
    ]
    if count is None and silhouettes:
        told = ", ".join(f"{k}: {value:.2f}" for k, value in silhouettes.items())
        lines.append(f"silhouettes by number of groups: {told}")
    return lines
