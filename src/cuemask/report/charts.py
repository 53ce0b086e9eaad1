"""Charts as SVG that stands in a page: plain, no script, readable in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import NamedTuple

_WIDTH, _LEFT, _RIGHT = 720, 44, 708
_CONFIDENCE, _SHARE = (22, 112), (140, 210)  # top and bottom of the two panels
_TARGET = (
    16  # radius of what a finger may press at a mark: 24 px across where the page is narrowest, 544 px for `_WIDTH`
)


class Bin(NamedTuple):
    """Neighbouring frames of a clip, taken together."""

    frames: int
    confidence: float  # sum over the frames
    least: float  # lowest confidence
    share: float  # sum over the frames
    most: float  # highest share

    def merged(self, later: Bin) -> Bin:
        """Both together."""
        return Bin(
            self.frames + later.frames,
            self.confidence + later.confidence,
            min(self.least, later.least),
            self.share + later.share,
            max(self.most, later.most),
        )


class Mark(NamedTuple):
    """A frame marked on the timeline."""

    number: int
    confidence: float
    label: str  # what is written at it
    target: str  # id of what it leads to
    told: str  # what it is, in words


def timeline(bins: Sequence[Bin], marks: Sequence[Mark], ends: tuple[str, str], title: str) -> str:
    """Confidence and share covered over a clip, and the marked frames, as links.

    Parameters
    ----------
    ends
        What is written below the first and the last frame.
    title
        What the chart shows, in words.
    """
    total = sum(one.frames for one in bins)
    steps, before = list[tuple[float, Bin]](), 0
    for one in bins:
        steps.append((_across(before + (one.frames - 1) / 2, total), one))
        before += one.frames
    means = [(x, _up(one.confidence / one.frames, 1.0, _CONFIDENCE)) for x, one in steps]
    highest = _ceiling(max((one.most for one in bins), default=0.0))
    parts = [
        _panel(_CONFIDENCE, "confidence", "1", "0"),
        _panel(_SHARE, "share of the frame covered", f"{100 * highest:g} %", "0 %"),
        _band([(x, _up(one.least, 1.0, _CONFIDENCE), y) for (x, one), (_, y) in zip(steps, means, strict=True)]),
        _line(means, "confidence"),
        _area([(x, _up(one.share / one.frames, highest, _SHARE)) for x, one in steps], _SHARE[1]),
        _line([(x, _up(one.share / one.frames, highest, _SHARE)) for x, one in steps], "share"),
        f'<text x="{_LEFT}" y="228">{escape(ends[0])}</text>',
        f'<text x="{_RIGHT}" y="228" text-anchor="end">{escape(ends[1])}</text>',
        *(_mark(mark, _across(mark.number, total)) for mark in marks),
    ]
    return _svg(234, title, parts)


def terms_in_use(epochs: Sequence[Mapping[str, float | int]]) -> list[str]:
    """Names of the loss's terms that are not zero throughout; the sum only where it is one of several."""
    used = [name for name in (epochs[0] if epochs else {}) if name != "step" and any(row[name] for row in epochs)]
    terms = [name for name in used if name != "total"]
    return used if len(terms) != 1 else terms


def presence_chart(
    present: Mapping[str, Sequence[tuple[int, int]]], total: int, ends: tuple[str, str], title: str
) -> str:
    """When each instrument is in the picture: a row each, with a bar for each stretch; nothing where there is none.

    Parameters
    ----------
    present
        For each instrument, by its number and, after a space, the name of its class where it has one, the first and
        last frame, from 0, of each of its stretches.
    total
        The clip's frames.
    ends
        What is written below the first and the last frame.
    """
    if not present:
        return ""
    parts: list[str] = []
    wide = (_RIGHT - _LEFT) / max(total, 1)
    for row, (instrument, stretches) in enumerate(present.items()):
        top, (number, _, name) = 10 + 20 * row, instrument.partition(" ")
        parts.append(f'<rect class="panel" x="{_LEFT}" y="{top}" width="{_RIGHT - _LEFT}" height="14"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{top + 11}" text-anchor="end">{number}</text>')
        for first, last in stretches:
            x, width = _LEFT + wide * first, max(0.5, wide * (last - first + 1))
            parts.append(f'<rect class="band" x="{x:.1f}" y="{top + 2}" width="{width:.1f}" height="10"/>')
        parts += [f'<text x="{_LEFT + 4}" y="{top + 11}">{escape(name)}</text>'] if name else []
    floor = 10 + 20 * len(present)
    parts.append(f'<text x="{_LEFT}" y="{floor + 14}">{escape(ends[0])}</text>')
    parts.append(f'<text x="{_RIGHT}" y="{floor + 14}" text-anchor="end">{escape(ends[1])}</text>')
    return _svg(floor + 20, title, parts)


def loss_chart(epochs: Sequence[Mapping[str, float | int]], title: str) -> str:
    """The terms of the loss that are in use, over the steps; nothing where there are none."""
    names = terms_in_use(epochs)
    if not names:
        return ""
    last, panel = epochs[-1]["step"], (12, 190)
    highest = max(float(row[name]) for row in epochs for name in names) or 1.0
    lowest = min(0.0, min(float(row[name]) for row in epochs for name in names))
    parts = [_panel(panel, "", f"{highest:.3g}", f"{lowest:.3g}")]
    for number, name in enumerate(names):
        # A curve of one point would be none: the first stretch begins at step 0 with its own mean.
        rows = [(0, float(epochs[0][name])), *((row["step"], float(row[name])) for row in epochs)]
        wide = (_RIGHT - _LEFT) / last
        points = [(_LEFT + wide * step, _up(value - lowest, highest - lowest, panel)) for step, value in rows]
        parts.append(_line(points, f"term{number % 4}"))
        x = _LEFT + 160 * number
        parts.append(f'<line class="term{number % 4}" x1="{x}" x2="{x + 26}" y1="222" y2="222"/>')
        parts.append(f'<text x="{x + 32}" y="226">{escape(name)}</text>')
    parts.append(f'<text x="{_LEFT}" y="206">step 0</text>')
    parts.append(f'<text x="{_RIGHT}" y="206" text-anchor="end">step {last}</text>')
    return _svg(234, title, parts)


def coverage_chart(kept: Sequence[float], iou: Sequence[float], title: str) -> str:
    """Mean IoU of the frames that are kept when the least sure are left out, from all of them on.

    Parameters
    ----------
    kept
        Shares of the frames, from 1 down.
    """
    panel = (22, 160)
    points = [
        (_RIGHT - (_RIGHT - _LEFT) * share, _up(value, 1.0, panel)) for share, value in zip(kept, iou, strict=True)
    ]
    parts = [
        _panel(panel, "mean IoU of the frames kept", "1", "0"),
        _line(points, "confidence"),
        f'<text x="{_LEFT}" y="178">all frames</text>',
        f'<text x="{(_LEFT + _RIGHT) / 2:g}" y="178" text-anchor="middle">the surer half</text>',
        f'<text x="{_RIGHT}" y="178" text-anchor="end">the surest</text>',
    ]
    return _svg(184, title, parts)


def _svg(height: int, title: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH} {height}" role="group" aria-label="{escape(title)}">'
    style = (files("cuemask.report") / "chart.css").read_text(encoding="utf-8")
    return "\n".join([head, f"<style>\n{style}</style>", *(part for part in parts if part), "</svg>"])


def _across(number: float | int, total: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (number + 0.5) / max(total, 1)


def _up(value: float, highest: float, panel: tuple[int, int]) -> float:
    top, bottom = panel
    return bottom - (bottom - top) * min(max(value / (highest or 1.0), 0.0), 1.0)


def _ceiling(value: float) -> float:
    """The next round share above the highest one."""
    return next((top for top in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if value <= top), 1.0)


def _panel(panel: tuple[int, int], title: str, above: str, below: str) -> str:
    top, bottom = panel
    return (
        f'<rect class="panel" x="{_LEFT}" y="{top}" width="{_RIGHT - _LEFT}" height="{bottom - top}"/>'
        f'<text x="{_LEFT}" y="{top - 6}">{escape(title)}</text>'
        f'<text x="{_LEFT - 5}" y="{top + 10}" text-anchor="end">{escape(above)}</text>'
        f'<text x="{_LEFT - 5}" y="{bottom}" text-anchor="end">{escape(below)}</text>'
    )


def _line(points: Sequence[tuple[float, float]], kind: str) -> str:
    return f'<polyline class="{kind}" points="{_told(points)}"/>'


def _area(points: Sequence[tuple[float, float]], floor: int) -> str:
    if not points:
        return ""
    return f'<polygon class="area" points="{_told([(points[0][0], floor), *points, (points[-1][0], floor)])}"/>'


def _band(points: Sequence[tuple[float, float, float]]) -> str:
    """Between the lowest value and the mean; nothing where each bin is one frame."""
    if all(low == high for _, low, high in points):
        return ""
    there, back = [(x, low) for x, low, _ in points], [(x, high) for x, _, high in reversed(points)]
    return f'<polygon class="band" points="{_told([*there, *back])}"/>'


def _mark(mark: Mark, x: float) -> str:
    y = _up(mark.confidence, 1.0, _CONFIDENCE)
    # A label stays within its panel, above the point where there is room.
    above = y - 10 if y - 24 > _CONFIDENCE[0] else y + 20
    return (
        f'<a href="#{escape(mark.target)}" aria-label="{escape(mark.told)}"><title>{escape(mark.told)}</title>'
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_CONFIDENCE[0]}" y2="{_SHARE[1]}"/>'
        f'<circle class="target" cx="{x:.1f}" cy="{y:.1f}" r="{_TARGET}"/>'
        f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        f'<text class="mark" x="{x:.1f}" y="{above:.1f}" text-anchor="middle">{escape(mark.label)}</text></a>'
    )


def _told(points: Sequence[tuple[float, float | int]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
