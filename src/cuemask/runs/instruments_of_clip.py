"""The instruments of one clip of a run: `instances/`, `parts/`, `tracks.csv`, and the overlay that shows them."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16

from cuemask.errors import InputError
from cuemask.grouping.instrument import Instrument
from cuemask.grouping.parts import Ends, Profiles, parts_of
from cuemask.grouping.whole_frames import Reduced, WholeFrames, at_full_size, boxes_of
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip
from cuemask.media.files import make_folder, written_aside
from cuemask.media.frames import Frame
from cuemask.media.mask_films import has_mask
from cuemask.media.mask_folders import masks_of, place_of_masks
from cuemask.media.masks import read_mask, read_numbers, write_codes, write_numbers
from cuemask.media.numbers import with_numbers
from cuemask.media.overlay import STEADY, OverlayWriter, Style, blanked, with_strip
from cuemask.media.text import text_blanked
from cuemask.media.threads import in_threads
from cuemask.report.words import clock
from cuemask.runs.instruments import HEADER, INSTANCES, PARTS, TABLE, read_tracks, row_of
from cuemask.runs.options import Progress, silent
from cuemask.runs.shown import OUTSIDE


@dataclass(frozen=True)
class GroupOptions:
    """What a grouping is to make; the command line's flags of the same names.

    Attributes
    ----------
    parts
        Whether parts are told too.
    overlay
        Whether `overlay.mp4` is drawn anew, with boxes and numbers.
    overlay_style
        How it shows instruments.
    blank_outside, blank_text
        As in `Options`; what the run was told to blank stays blanked.
    resume
        Leave clips alone whose grouping is complete.
    progress
        As in `Options`.
    """

    parts: bool = False
    overlay: bool = True
    overlay_style: Style = "fill"
    blank_outside: bool = False
    blank_text: bool = False
    resume: bool = False
    progress: Progress = silent


def outside_of(record: Mapping[str, Any], clip: str) -> list[tuple[int, int]]:
    """Numbers in the source of the first and last frames of what a run found filmed outside the body."""
    stretches = record.get("outside", {}).get(clip, [])
    return [(int(one["first_number"]), int(one["last_number"])) for one in stretches]


def group_clip(
    out: Path, clip: Clip, area: PictureArea, options: GroupOptions, outside: Sequence[tuple[int, int]] = ()
) -> str:
    """Group the masks of one clip of the run in `out`, which this process has taken; a closing line."""
    folder = out / clip.name
    if options.resume and is_grouped(folder, parts=options.parts):
        return _line(folder)
    (folder / TABLE).unlink(missing_ok=True)  # written last: until then the grouping is not complete
    make_folder(folder / INSTANCES)
    profiles = Profiles()
    draws = options.overlay and not clip.sizes_vary
    frames = options.progress(f"{clip.name}: instruments", clip.frames(), clip.frame_count)
    with (
        written_aside(folder / TABLE) as aside,
        aside.open("w", encoding="utf-8", newline="") as table,
        OverlayWriter(folder / "overlay.mp4", clip.frame_rate, clip.pixel_aspect, STEADY)
        if draws
        else nullcontext() as video,
    ):
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(HEADER)
        tracked = _tracked(folder, frames, area, profiles if options.parts else None)
        finish = _Finish(folder, clip, area, options, outside, draws=draws)
        with closing(in_threads(finish, tracked)) as finished:
            for name, place, found, drawn in finished:
                rows.writerows(row_of(name, one) for one in found)
                if video is not None and drawn is not None:
                    video.write(drawn, place)
        table.flush()
        if options.parts:
            _write_parts(folder, aside, profiles.ends(), options.progress)
    return _line(folder)


def is_grouped(folder: Path, *, parts: bool) -> bool:
    """Whether all that grouping makes of a clip is there."""
    names = {path.name for path in masks_of(folder)}
    kinds = (INSTANCES, PARTS) if parts else (INSTANCES,)
    return (folder / TABLE).is_file() and all(
        names <= {path.name for path in (folder / kind).glob("*.png")} for kind in kinds
    )


def _line(folder: Path) -> str:
    frames: dict[int, int] = {}
    for _, found in read_tracks(folder / TABLE):
        for one in found:
            frames[one.number] = frames.get(one.number, 0) + 1
    told = ", ".join(f"{number} in {count:,} frames" for number, count in sorted(frames.items())[:8])
    more = f" and {len(frames) - 8} more" if len(frames) > 8 else ""
    return f"{folder.name}: {len(frames)} instruments" + (f" ({told}{more})" if told else "")


class _Tracked(NamedTuple):
    frame: Frame
    mask: np.ndarray
    told: Reduced
    area: PictureArea


def _tracked(
    folder: Path, frames: Iterator[Frame], area: PictureArea, profiles: Profiles | None
) -> Generator[_Tracked, None, None]:
    """Instruments of each frame with their numbers, of the endoscope's picture, reduced."""
    whole, masks = WholeFrames(), place_of_masks(folder)
    for frame in frames:
        path = masks / f"{frame.name}.png"
        if not has_mask(path):
            raise InputError(f"{path}: gone.", "Make it again: the command that made the run, with --resume.")
        mask, own = read_mask(path) > 0, area.of(frame.rgb.shape[0], frame.rgb.shape[1])
        if mask.shape != frame.rgb.shape[:2]:
            raise InputError(
                f"{path}: {mask.shape[1]} by {mask.shape[0]} pixels; its frame has {frame.rgb.shape[1]} by "
                f"{frame.rgb.shape[0]}.",
                "Give the frames that were segmented.",
            )
        told = whole.push(mask, frame.rgb, own)
        if profiles is not None:
            profiles.add(told.labels, told.found, told.rgb)
        yield _Tracked(frame, mask, told, own)


class _Finish:
    """Writes the label map of a frame at its own size, and draws it; called in several threads."""

    def __init__(
        self,
        folder: Path,
        clip: Clip,
        area: PictureArea,
        options: GroupOptions,
        outside: Sequence[tuple[int, int]],
        *,
        draws: bool,
    ) -> None:
        self._folder, self._clip, self._area, self._options = folder, clip, area, options
        self._outside, self._draws = outside, draws

    def __call__(self, one: _Tracked) -> tuple[str, int, list[Instrument], UInt8[np.ndarray, "H W 3"] | None]:
        """Name, place in the clip, instruments in the frame's pixels, and the drawn frame."""
        labels, found = at_full_size(one.told, one.mask, one.area)
        write_numbers(self._folder / INSTANCES / f"{one.frame.name}.png", labels)
        return one.frame.name, one.frame.place, found, self._drawn(one.frame, labels, found) if self._draws else None

    def _drawn(
        self, frame: Frame, labels: UInt16[np.ndarray, "H W"], found: Sequence[Instrument]
    ) -> UInt8[np.ndarray, "H2 W2 3"]:
        is_outside = any(first <= frame.index <= last for first, last in self._outside)
        rgb = frame.rgb
        if is_outside and self._options.blank_outside:
            rgb = blanked(rgb, OUTSIDE)
        elif self._options.blank_text:
            rgb = text_blanked(rgb, self._area)
        time = "" if frame.time_seconds is None else f"   {clock(frame.time_seconds)}"
        numbers = ", ".join(str(one.number) for one in found) or "none"
        text = f"{self._clip.name}   {frame.name}{time}   {OUTSIDE if is_outside else f'instruments: {numbers}'}"
        return with_strip(with_numbers(rgb, labels, boxes_of(found), self._options.overlay_style), text)


def _write_parts(folder: Path, table: Path, ends: Mapping[int, Ends], progress: Progress) -> None:
    """Parts of each frame, in a second pass: what they are is agreed over the whole track."""
    make_folder(folder / PARTS)
    paths = masks_of(folder)
    rows = read_tracks(table)
    current = next(rows, None)

    def jobs() -> Iterator[tuple[Path, list[Instrument]]]:
        nonlocal current
        for path in paths:
            found: list[Instrument] = []
            if current is not None and current[0] == path.stem:
                found = current[1]
                current = next(rows, None)
            yield folder / INSTANCES / path.name, found

    def write(job: tuple[Path, list[Instrument]]) -> None:
        path, found = job
        write_codes(folder / PARTS / path.name, parts_of(read_numbers(path), found, ends))

    with closing(in_threads(write, progress(f"{folder.name}: parts", jobs(), len(paths)))) as done:
        for _ in done:
            pass
