"""The page of a run, in one file that loads nothing: every word that came from outside is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from cuemask.evaluation.results import figured
from cuemask.report.charts import Bin, Mark, presence_chart, timeline
from cuemask.report.words import clock, counted, percent

_PRESENT = "When each instrument is in the picture, by its number"


@dataclass(frozen=True)
class Look:
    """A frame of the page.

    Attributes
    ----------
    name
        Of the frame.
    number
        Its place among the clip's frames, from 0.
    seconds
        Its time; None of pictures.
    confidence, share
        0 to 1.
    rank
        Among the frames to look at, from 1; 0 in the strip.
    plain, outlined
        JPEG of the frame, and of the same with the mask's outline; empty where there is none.
    height_px, width_px
        Of both.
    iou
        Against truth, 0 to 1, where that is known.
    """

    name: str
    number: int
    seconds: float | None
    confidence: float
    share: float
    rank: int
    plain: bytes
    outlined: bytes
    height_px: int
    width_px: int
    iou: float | None = None

    @property
    def told(self) -> str:
        """Its name and time in words."""
        name = f"frame {self.name}" if self.name[:1].isdecimal() else self.name
        return name + ("" if self.seconds is None else f" at {clock(self.seconds)}")


@dataclass(frozen=True)
class ClipSummary:
    """A clip as a whole.

    Attributes
    ----------
    name, source
        What its results are called, and the file or folder that it came from.
    frames, empty
        How many frames have a mask, and how many of these masks cover nothing.
    confidence, share
        Means over the frames, 0 to 1.
    """

    name: str
    source: str
    frames: int
    empty: int
    confidence: float
    share: float


def clip_section(
    place: str,
    clip: ClipSummary,
    bins: Sequence[Bin],
    looks: Sequence[Look],
    strip: Sequence[Look],
    ends: tuple[str, str],
    present: Mapping[str, Sequence[tuple[int, int]]],
) -> str:
    """The part of the page that tells of one clip.

    Parameters
    ----------
    place
        Its id in the page.
    looks, strip
        The frames to look at, in the clip's order, and those spread over it.
    ends
        What the timeline writes below its ends.
    present
        Of a clip whose instruments were told apart: for each the stretches of frames in which it is seen.
    """
    marks = [Mark(o.number, o.confidence, str(o.rank), _id(place, o), _sentence(o)) for o in looks]
    title = f"Confidence, and the share of the frame that the mask covers, over the {counted(clip.frames, 'frame')}"
    chart = timeline(bins, marks, ends, f"{title} of {clip.name}") if bins else ""
    return "\n".join(
        part
        for part in (
            f'<section aria-labelledby="{place}">\n<h2 id="{place}">{escape(clip.name)}</h2>',
            f'<p class="quiet">from {escape(clip.source)}</p>',
            _list_of_figures(clip),
            _scrolled(chart, title) if chart else "",
            chart_of(presence_chart(present, clip.frames, ends, f"{_PRESENT} of {clip.name}"), _PRESENT),
            _looks(place, looks) if looks else "",
            _strip(strip) if strip else "",
            "</section>",
        )
        if part
    )


def page(title: str, summary: str, parts: Mapping[str, str], footer: str) -> str:
    """The whole page.

    Parameters
    ----------
    title, summary, footer
        Plain text.
    parts
        HTML of `nav`, `clips`, `figures`, `learning` and `made`.
    """
    folder = files("cuemask.report")
    template = Template((folder / "report.html").read_text(encoding="utf-8"))
    css = (folder / "report.css").read_text(encoding="utf-8").rstrip()
    return template.substitute(parts, title=escape(title), summary=escape(summary), footer=escape(footer), css=css)


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0, links: bool = False
) -> str:
    """A table of plain text, its last `numbers` columns to the right.

    Parameters
    ----------
    links
        Whether the first of a row's words is an id of this page, to which the second leads.
    """
    width = len(head) - numbers
    lines = [f"<table><caption>{escape(caption)}</caption>"]
    if any(head):
        cells = (f'<th scope="col"{_number(k >= width)}>{escape(word)}</th>' for k, word in enumerate(head))
        lines.append(f"<thead><tr>{''.join(cells)}</tr></thead>")
    lines.append("<tbody>")
    for row in rows:
        target, words = (row[0], row[1:]) if links else ("", row)
        first = f'<a href="#{escape(target)}">{escape(words[0])}</a>' if target else escape(words[0])
        cells = (f"<td{_number(k >= width)}>{escape(word)}</td>" for k, word in enumerate(words[1:], 1))
        lines.append(f'<tr><th scope="row">{first}</th>{"".join(cells)}</tr>')
    return "\n".join([*lines, "</tbody></table>"])


def section(place: str, title: str, *parts: str) -> str:
    """A part of the page under its own heading; nothing where it has no parts."""
    told = "\n".join(part for part in parts if part)
    return (
        f'<section aria-labelledby="{place}">\n<h2 id="{place}">{escape(title)}</h2>\n{told}\n</section>'
        if told
        else ""
    )


def chart_of(svg: str, caption: str) -> str:
    """A chart with its caption; nothing without a chart."""
    return _scrolled(svg, caption) if svg else ""


def _number(is_number: bool) -> str:
    return ' class="n"' if is_number else ""


def _list_of_figures(clip: ClipSummary) -> str:
    told = {
        "frames": f"{clip.frames:,}",
        "mean confidence": f"{clip.confidence:.2f}",
        "mean share covered": percent(clip.share),
        "frames with an empty mask": f"{clip.empty:,}",
    }
    items = (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in told.items())
    return f'<dl class="figures">{"".join(items)}</dl>'


def _scrolled(svg: str, caption: str) -> str:
    region = f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">\n{svg}\n</div>'
    return f"<figure>{region}\n<figcaption>{escape(caption)}.</figcaption></figure>"


def _looks(place: str, looks: Sequence[Look]) -> str:
    figures = "\n".join(_look(place, look) for look in looks)
    words = (
        "The least sure frames, chosen apart in time, in the clip's order; 1 is the least sure of all. "
        "Confidence orders frames roughly: a sure frame may be wrong, and in some clips it ranks nothing."
    )
    return f'<h3>Frames to look at</h3>\n<p class="quiet">{words}</p>\n<div class="looks">\n{figures}\n</div>'


def _look(place: str, look: Look) -> str:
    pictures = _img(look.plain, look, f"{look.told}, as it was taken")
    if look.outlined:
        pictures += _img(look.outlined, look, f"{look.told}, outline of the mask, which covers {percent(look.share)}")
    return (
        f'<figure id="{_id(place, look)}" tabindex="-1"><div class="pair">{pictures}</div>'
        f"<figcaption><b>{look.rank}. {escape(look.told)}</b>: {_figures(look)}</figcaption></figure>"
    )


def _strip(strip: Sequence[Look]) -> str:
    items = "\n".join(
        f"<li>{_img(look.outlined or look.plain, look, f'{look.told}, with the outline of its mask')}"
        f"{escape(look.name if look.seconds is None else clock(look.seconds))}</li>"
        for look in strip
    )
    return f'<h3>The whole clip</h3>\n<ol class="strip">\n{items}\n</ol>'


def _img(jpeg: bytes, look: Look, alt: str) -> str:
    data = base64.b64encode(jpeg).decode()
    size = f'width="{look.width_px}" height="{look.height_px}"'
    return f'<img {size} alt="{escape(alt)}" src="data:image/jpeg;base64,{data}">'


def _figures(look: Look) -> str:
    told = f"confidence {look.confidence:.2f}, {percent(look.share)} covered"
    return told + ("" if look.iou is None else f", IoU {figured('iou', look.iou)}")


def _sentence(look: Look) -> str:
    return f"{look.rank}. {look.told}, {_figures(look)}"


def _id(place: str, look: Look) -> str:
    return f"{place}-frame{look.number}"
