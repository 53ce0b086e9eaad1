"""`cuemask report`: the page of a run, made of what the run left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from cuemask import __version__
from cuemask.errors import InputError
from cuemask.grouping.classes import FILE as CLASSES
from cuemask.grouping.classes import read_classes
from cuemask.media.files import write_bytes
from cuemask.recipe import NAMED, differences, recipe_as_mapping
from cuemask.report.charts import Bin, loss_chart
from cuemask.report.page import ClipSummary, Look, chart_of, clip_section, page, section, table
from cuemask.report.stretches import Stretches, evenly
from cuemask.report.truth import HEAD, Truth, truths_in
from cuemask.report.words import clock, counted, duration, percent
from cuemask.runs.confidences import FILE as CONFIDENCES
from cuemask.runs.confidences import read_confidences
from cuemask.runs.coverage import coverage_chart_of
from cuemask.runs.instruments import TABLE as TRACKS
from cuemask.runs.instruments import read_tracks
from cuemask.runs.options import Options
from cuemask.runs.outside import outside_rows
from cuemask.runs.provenance import OF_NOTE
from cuemask.runs.record import read_record, run_of
from cuemask.runs.shown import ShownFrame, picture_of, read_shown
from cuemask.runs.work import run_folder

REPORT = "report.html"
LARGEST_BYTES = 5_000_000
_FOR_CLIPS = 4_500_000
_MOST_SECTIONS = 200
_MOST_ROWS = 2000
_COLUMNS = 400  # of a timeline, at most
_CLOSED_FRAMES, _MOST_INSTRUMENTS = 3, 24


@dataclass(frozen=True)
class _Size:
    """How much of a clip is shown, so that all clips fit into the page."""

    looks: int
    look_px: int
    strip: int
    strip_px: int


_SIZES = (
    _Size(8, 800, 24, 260),
    _Size(8, 640, 24, 200),
    _Size(6, 560, 16, 160),
    _Size(4, 480, 12, 120),
    _Size(3, 360, 0, 0),
    _Size(1, 280, 0, 0),
    _Size(0, 0, 0, 0),
)


@dataclass(frozen=True)
class Blanks:
    """What is blanked in the page's pictures.

    Attributes
    ----------
    outside
        Frames that the run found to be filmed outside the body.
    text
        Of each clip, top, left, height and width in the frame of what the run found to be text.
    """

    outside: bool = False
    text: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict[str, Sequence[Sequence[int]]])


def report(run: Path, *, blanks_outside: bool = False, blanks_text: bool = False) -> Path:
    """Write `report.html` of a run, also of one that was interrupted: a page in one file that loads nothing.

    Parameters
    ----------
    run
        The folder of a `segment`, `predict` or `train` run, or of one of its clips.
    blanks_outside
        Whether frames that the run found to be filmed outside the body are blanked on the page.
    blanks_text
        Whether text that the run found over the picture is.

    Returns
    -------
    The page.

    Raises
    ------
    InputError
        If `run` holds no such run, or one that did not look for what is to be blanked.
    OutputError
        If its record is damaged, another process works in it, or the page cannot be written.
    """
    folder = run_of(run)
    record = read_record(folder / "run.json")
    if record is None or record.get("command") not in ("segment", "predict", "train"):
        raise InputError(
            f"{run}: holds no run of segment, predict or train.", "Make one first: cuemask segment VIDEO --out DIR"
        )
    for name, is_wanted in {"outside": blanks_outside, "text": blanks_text}.items():
        if is_wanted and record.get("recipe", {}).get("input", {}).get(name) != "found":
            raise InputError(
                f"{run}: that run did not look for what --blank-{name} blanks.",
                f"Make it anew with --blank-{name}, in a folder of its own.",
            )
    with run_folder(folder):
        return write_report(folder, blanks_outside=blanks_outside, blanks_text=blanks_text)


def reported_again(options: Options) -> None:
    """Make the page of a complete run where it is gone."""
    if options.report and not (options.out / REPORT).is_file():
        write_report(options.out, blanks_outside=options.blank_outside, blanks_text=options.blank_text)


def write_report(out: Path, *, blanks_outside: bool = False, blanks_text: bool = False) -> Path:
    """Write the page of the run in `out`, which this process has taken.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    record = read_record(out / "run.json") or {}
    clips = _summaries(out, record)
    names = [str(entry["clip"]) for entry in record.get("inputs", [])]
    truths = truths_in(out, names)
    shown = sorted(sorted(clips, key=lambda clip: clip.confidence)[:_MOST_SECTIONS], key=clips.index)
    blanks = Blanks(blanks_outside, record.get("text", {}) if blanks_text else {})
    sections = _sections(out, shown, truths, blanks)
    parts = {
        "nav": _nav(clips, shown),
        "clips": "\n".join(sections),
        "figures": _figures(truths, coverage_chart_of(truths, out, names)),
        "learning": _learning(record),
        "made": _made(record),
    }
    title = f"Instrument masks: {out.absolute().name}"
    text = page(title, _summary(record, clips), parts, f"Written by cuemask {__version__}; {record.get('started', '')}")
    write_bytes(out / REPORT, text.encode(errors="replace"))
    return out / REPORT


def _summaries(out: Path, record: Mapping[str, Any]) -> list[ClipSummary]:
    """What the tables of confidences tell, a clip at a time and a line at a time."""
    found: list[ClipSummary] = []
    for entry in record.get("inputs", []):
        name, source = str(entry["clip"]), Path(str(entry.get("source", ""))).name
        total = _binned(out / name / CONFIDENCES, 2)
        if total:
            whole = [sum(values) for values in zip(*((b.frames, b.confidence, b.share) for b, _ in total), strict=True)]
            count = int(whole[0])
            empty = sum(empties for _, empties in total)
            found.append(ClipSummary(name, source, count, empty, whole[1] / count, whole[2] / count))
    return found


def _binned(path: Path, most: int) -> list[tuple[Bin, int]]:
    """The table of a clip in at most so many columns, each with its number of empty masks."""
    bins = Stretches[tuple[Bin, int]](most, lambda one, other: (one[0].merged(other[0]), one[1] + other[1]))
    for _, told in read_confidences(path) if path.is_file() else ():
        bins.add((Bin(1, told.confidence, told.confidence, told.share, told.share), int(told.share == 0)))
    return bins.items


def _sections(out: Path, clips: Sequence[ClipSummary], truths: Sequence[Truth], blanks: Blanks) -> Iterator[str]:
    iou = {key: value for truth in truths for key, value in truth.iou.items()}
    room = _FOR_CLIPS // max(len(clips), 1)
    for clip in clips:
        yield _section(out, clip, iou, room, blanks)


def _section(out: Path, clip: ClipSummary, iou: Mapping[tuple[str, str], float], room: int, blanks: Blanks) -> str:
    """A clip's part of the page, with as many and as large pictures as fit into `room` bytes."""
    folder = out / clip.name
    bins = [one for one, _ in _binned(folder / CONFIDENCES, _COLUMNS if room > 50_000 else 100)]
    shown = read_shown(folder)
    look = partial(_look, folder, clip, iou, blanks)
    present = _present(folder)
    told = ""
    for size in _SIZES:
        looks = sorted((one for one in shown if 0 < one.look <= size.looks), key=lambda one: one.number)
        spread = [one for one in shown if one.in_strip]
        strip = [spread[index] for index in evenly(size.strip, len(spread))]
        told = clip_section(
            _place(clip.name),
            clip,
            bins,
            [look(one, size.look_px) for one in looks],
            [look(one, size.strip_px, in_strip=True) for one in strip],
            _ends(shown, clip.frames),
            present,
        )
        if len(told.encode(errors="replace")) <= room:
            break
    return told


def _present(folder: Path) -> dict[str, list[tuple[int, int]]]:
    """Stretches of frames in which each instrument is seen, by number and class; gaps too short to draw are closed."""
    if not (folder / TRACKS).is_file() or not (folder / CONFIDENCES).is_file():
        return {}
    tracks = read_tracks(folder / TRACKS)
    frame = next(tracks, None)
    found: dict[int, list[tuple[int, int]]] = {}
    for place, (name, _) in enumerate(read_confidences(folder / CONFIDENCES)):
        if frame is None or frame[0] != name:
            continue
        for one in frame[1]:
            stretches = found.setdefault(one.number, [])
            if stretches and place - stretches[-1][1] <= _CLOSED_FRAMES:
                stretches[-1] = (stretches[-1][0], place)
            elif len(stretches) < _COLUMNS:
                stretches.append((place, place))
        frame = next(tracks, None)
    names = _class_names(folder)
    return {f"{n} {names.get(n, '')}".strip(): found[n] for n in sorted(found)[:_MOST_INSTRUMENTS]}


def _class_names(folder: Path) -> dict[int, str]:
    """The names that `classes.toml` of the run gives to the clip's instruments; none where there is no such file."""
    path = folder.parent / CLASSES
    if not path.is_file():
        return {}
    try:
        classes = read_classes(path)
    except InputError:  # the user may be writing it; whoever uses the file is told
        return {}
    own = {number: code for (clip, number), code in classes.codes.items() if clip == folder.name and code}
    return {number: classes.names[code - 1] for number, code in own.items()}


def _look(
    folder: Path,
    clip: ClipSummary,
    iou: Mapping[tuple[str, str], float],
    blanks: Blanks,
    shown: ShownFrame,
    widest_px: int,
    *,
    in_strip: bool = False,
) -> Look:
    picture = picture_of(folder, shown, widest_px, blanks_outside=blanks.outside, text=blanks.text.get(clip.name, ()))
    return Look(
        name=shown.frame,
        number=shown.number,
        seconds=shown.seconds,
        confidence=shown.confidence,
        share=shown.share,
        rank=0 if in_strip else shown.look,
        plain=b"" if in_strip and picture.outlined else picture.plain,
        outlined=picture.outlined,
        height_px=picture.height_px,
        width_px=picture.width_px,
        iou=iou.get((clip.name, shown.frame)),
    )


def _ends(shown: Sequence[ShownFrame], frames: int) -> tuple[str, str]:
    """What stands below the timeline: the numbers of its frames and, where frames have times, these."""
    last = f"frame {frames} of {frames}"
    timed = [(one.number, one.seconds) for one in shown if one.seconds is not None]
    if len(timed) < 2 or timed[0][0] == timed[-1][0]:
        return "first frame", last
    (first_number, first), (number, seconds) = timed[0], timed[-1]
    pace = (seconds - first) / (number - first_number)
    return clock(first - pace * first_number), f"{clock(seconds + pace * (frames - 1 - number))} ({last})"


def _place(clip: str) -> str:
    """An id that any clip's name can be made to; unique as the name is."""
    return "clip-" + "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in clip)


def _nav(clips: Sequence[ClipSummary], shown: Sequence[ClipSummary]) -> str:
    if len(clips) < 2:
        return ""
    names = {clip.name for clip in shown}
    rows = [
        [
            _place(clip.name) if clip.name in names else "",
            clip.name,
            f"{clip.frames:,}",
            f"{clip.confidence:.2f}",
            percent(clip.share),
            f"{clip.empty:,}",
        ]
        for clip in clips[:_MOST_ROWS]
    ]
    left = len(clips) - len(rows)
    caption = "The clips" + (f" ({counted(left, 'more clip')} not listed)" if left else "")
    if len(shown) < len(clips):
        caption += f"; of {len(clips):,}, the {len(shown)} with the lowest mean confidence are shown below"
    head = ["clip", "frames", "mean confidence", "mean share covered", "empty masks"]
    return f'<nav aria-label="Clips"><div class="wide">{table(caption, head, rows, 4, links=True)}</div></nav>'


def _summary(record: Mapping[str, Any], clips: Sequence[ClipSummary]) -> str:
    took = sum(record.get("seconds", {}).values())
    frames = sum(clip.frames for clip in clips)
    words = [f"cuemask {record.get('command')}", f"recipe {record.get('recipe', {}).get('name', 'unknown')}"]
    if clips:
        words.append(f"{counted(frames, 'frame')} of {counted(len(clips), 'clip')}")
    words += [str(record.get("device", "")), duration(float(took))]
    unfinished = "" if record.get("status") == "complete" else " This run is not complete: --resume goes on with it."
    return ", ".join(word for word in words if word) + "." + unfinished


def _figures(truths: Sequence[Truth], coverage: str) -> str:
    if not truths:
        return ""
    rules = "".join(f"<li>{escape(f'{truth.file}: {truth.rule}')}</li>" for truth in truths)
    told = table("What cuemask evaluate found", HEAD, [truth.words() for truth in truths], len(HEAD) - 1)
    wide = f'<div class="wide">{told}</div>'
    return section("figures", "Figures against truth", wide, f"<ul>{rules}</ul>", coverage)


def _learning(record: Mapping[str, Any]) -> str:
    losses = record.get("losses") or []
    title = f"The terms of the loss that are in use, means over {counted(len(losses), 'part')} of the training"
    return section("learning", "Learning curve", chart_of(loss_chart(losses, title), title)) if losses else ""


def _made(record: Mapping[str, Any]) -> str:
    recipe = record.get("recipe", {})
    base, changes = _changes(recipe)
    facts = {
        "command": f"cuemask {record.get('command')}",
        "recipe": f"{recipe.get('name', 'unknown')}" + ("" if changes else f", as {base} is"),
        "started": str(record.get("started", "")),
        "cuemask": str(record.get("cuemask", "")),
        "device": str(record.get("device", "")),
        "seed": str(record.get("seed", "")),
        "labels": _labels(record),
        "model": str(record.get("model_sha256", "")),
        "machine": ", ".join(str(value) for value in record.get("machine", {}).values()),
    }
    facts |= {name: str(version) for name, version in record.get("versions", {}).items() if name in OF_NOTE}
    facts |= {f"time of {stage}": duration(float(seconds)) for stage, seconds in record.get("seconds", {}).items()}
    differing = table(f"What differs from the recipe {base}", ["field", base, "here"], changes) if changes else ""
    gaps = {
        title: [[clip, ", ".join(map(str, names))[:500]] for clip, names in record.get(key, {}).items()]
        for key, title in (
            ("lost", "Frames that could not be decoded"),
            ("damaged", "Frames that may be wrong: damaged, or made from damaged or lost ones"),
        )
    }
    outside = outside_rows(record.get("outside"))[:_MOST_ROWS]
    title = "Frames that look filmed outside the body: left out of learning, masked empty"
    return section(
        "made",
        "What was done, and with what",
        table("The run", ["", ""], [[name, value] for name, value in facts.items() if value]),
        f'<div class="wide">{differing}</div>' if differing else "",
        *(table(title, ["clip", "frames"], rows) for title, rows in gaps.items() if rows),
        f'<div class="wide">{table(title, ["clip", "frames", "number", "time"], outside)}</div>' if outside else "",
    )


def _labels(record: Mapping[str, Any]) -> str:
    """What was given, without its folder, of how many frames, and how many training met."""
    labels, met = record.get("labels"), record.get("labels_met")
    if not isinstance(labels, dict):
        return ""
    told = f"{Path(str(labels.get('given', ''))).name}, {counted(sum(labels.get('frames', {}).values()), 'frame')}"
    return told + (f", {sum(met.values()):,} of them met in training" if isinstance(met, dict) else "")


def _changes(recipe: Mapping[str, Any]) -> tuple[str, list[list[str]]]:
    """The named recipe that differs least (the run's own name first), and where it differs."""
    found = {name: differences(recipe_as_mapping(one), recipe) for name, one in NAMED.items()}
    own = str(recipe.get("name"))
    base = own if own in NAMED else min(found, key=lambda name: len(found[name]))
    return base, [list(row) for row in found[base]]
