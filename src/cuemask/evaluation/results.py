"""What an evaluation found: figures by a protocol, and every frame's score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from cuemask.evaluation.frames import OF_COUNTS, FigureName, FrameScore
from cuemask.evaluation.protocols import DEFAULT, Figure, Pooled, pooled, protocol_named
from cuemask.evaluation.surfaces import SURFACE_RULE, Tolerance
from cuemask.evaluation.tables import Row
from cuemask.notebook import facts_html

LOWEST_SHOWN = 5
LABELS: Mapping[FigureName, str] = {"iou": "IoU", "dice": "Dice", "nsd": "NSD", "hd95_px": "HD95"}
UNITS = "0 to 1; HD95 in pixels"


@dataclass(frozen=True)
class Evaluation:
    """Figures of predictions.

    Attributes
    ----------
    frames
        Every frame that was compared, in natural order; at least one that the protocol counts.
    protocol_name
        By which of `protocols.PROTOCOLS` they are pooled. The default is the rule of the winners of EndoVis 2017:
        every frame counts once, an empty prediction of an empty truth scores 1, and the deviation is the population's.
    tolerance
        Of the surface figures, where there are any.
    without_truth
        How many predicted frames have no truth, and are not counted.
    unpredicted
        How many frames with truth have no prediction, and by request are not counted.
    ignored
        How many frames have no pixel that counts, and are not counted.

    Raises
    ------
    EvaluationError
        If there is no such protocol, or it counts none of the frames.

    Examples
    --------
    >>> import cuemask
    >>> found = cuemask.evaluate("result", "masks")
    >>> 0 <= found.iou_mean <= found.dice_mean <= 1, found.frames[0].name
    (True, '000000')
    """

    frames: tuple[FrameScore, ...]
    protocol_name: str = DEFAULT
    tolerance: Tolerance | None = None
    without_truth: int = 0
    unpredicted: int = 0
    ignored: int = 0

    def __post_init__(self) -> None:
        _ = self.pooled  # no figures, no evaluation

    @property
    def protocol(self) -> str:
        """The rule by which they were pooled, in a sentence that goes with the figures."""
        return protocol_named(self.protocol_name).rule

    @cached_property
    def pooled(self) -> Pooled:
        """The frames that count, and their figures."""
        return pooled(protocol_named(self.protocol_name), self.frames)

    def figure(self, name: FigureName) -> Figure:
        """One of the protocol's figures; those of surfaces only with a `tolerance`."""
        return self.pooled.figures[name]

    @property
    def iou_mean(self) -> float:
        """Mean intersection over union, 0 to 1."""
        return self.figure("iou").mean

    @property
    def iou_deviation(self) -> float | None:
        """Population standard deviation of the intersection over union; None where the protocol has none."""
        return self.figure("iou").deviation

    @property
    def dice_mean(self) -> float:
        """Mean Dice coefficient, 0 to 1."""
        return self.figure("dice").mean

    @property
    def dice_deviation(self) -> float | None:
        """Population standard deviation of the Dice coefficient; None where the protocol has none."""
        return self.figure("dice").deviation

    def __repr__(self) -> str:
        figures = ", ".join(f"{LABELS.get(name, name)} {told}" for name, told in self._spreads().items())
        return f"Evaluation({figures}; {len(self.pooled.frames)} frames, protocol {self.protocol_name})"

    def _repr_html_(self) -> str:
        """What notebooks show: the figures and the rule."""
        figures = {LABELS.get(name, name): told for name, told in self._spreads().items()}
        return facts_html(
            f"{len(self.pooled.frames)} frames (figures from {UNITS})", figures | {"protocol": self.protocol}
        )

    def _spreads(self) -> dict[FigureName, str]:
        return {name: _spread(name, figure) for name, figure in self.pooled.figures.items()}

    def table(self) -> str:
        """The figures, 0 to 1 and HD95 in pixels, and the frames that score lowest, as lines of text."""
        figures = {LABELS.get(name, name): told for name, told in self._spreads().items()}
        counted = {"frames": str(len(self.pooled.frames)), **figures}
        width = max(len(label) for label in counted)
        lines = [f"{label:<{width}}  {told}" for label, told in counted.items()]
        lines.append(f"(figures from {UNITS})" if self.tolerance is not None else "(figures from 0 to 1)")
        lines.append(f"({self.protocol})")
        if self.tolerance is not None:
            lines.append(f"(surfaces: NSD within {self.tolerance}; {SURFACE_RULE})")
        return "\n".join([*lines, *self._left_out(), *self._video_lines(), "", *self._lowest_lines()])

    def as_json(self) -> dict[str, Any]:
        """The same as plain values, 0 to 1 and pixels, with every frame."""
        told: dict[str, Any] = {
            "protocol_name": self.protocol_name,
            "protocol": self.protocol,
            "unit": UNITS,
            "frame_count": len(self.pooled.frames),
            "left_out": len(self.frames) - len(self.pooled.frames),
            "without_truth": self.without_truth,
            "unpredicted": self.unpredicted,
            "ignored": self.ignored,
        }
        if self.tolerance is not None:
            told["tolerance"] = {"value": self.tolerance.value, "unit": self.tolerance.unit}
        for name, figure in self.pooled.figures.items():
            told[name] = {"mean": figure.mean, "deviation": figure.deviation}
        if self.pooled.videos:
            told["videos"] = [{"name": video, **means} for video, means in self.pooled.videos.items()]
        told["frames"] = [
            {"name": frame.name} | {name: frame.figure(name) for name in self.pooled.figures} for frame in self.frames
        ]
        return told

    def frame_rows(self) -> list[Row]:
        """A row a frame: its figures, its pixels, and whether the protocol counts it (1 or 0)."""
        counts = protocol_named(self.protocol_name).counts
        return [self._frame_row(frame, int(counts(frame))) for frame in self.frames]

    def summary_row(self, run: str) -> Row:
        """Everything in one row, named `run`: rows of one protocol make a table."""
        row: dict[str, str | int | float | None] = {
            "run": run,
            "protocol": self.protocol_name,
            "frames": len(self.pooled.frames),
            "left_out": len(self.frames) - len(self.pooled.frames),
        }
        for name, figure in self.pooled.figures.items():
            row |= {f"{name}_mean": figure.mean, f"{name}_deviation": figure.deviation}
        return row

    def _frame_row(self, frame: FrameScore, counted: int) -> Row:
        row: dict[str, str | int | float | None] = {"video": frame.video, "frame": frame.frame}
        row |= {name: of_counts(frame.counts).item() for name, of_counts in OF_COUNTS.items()}
        if frame.surface is not None:
            row |= {"nsd": frame.surface.nsd, "hd95_px": frame.surface.hd95_px}
        return row | {
            "intersection_px": int(frame.counts.intersection),
            "predicted_px": int(frame.counts.predicted),
            "truth_px": int(frame.counts.truth),
            "total_px": int(frame.counts.total),
            "counted": counted,
        }

    def _left_out(self) -> list[str]:
        left_out = len(self.frames) - len(self.pooled.frames)
        told = {
            f"frames left out, {protocol_named(self.protocol_name).left_out}": left_out,
            "predicted frames without truth, not counted": self.without_truth,
            "frames with truth but without prediction, not counted": self.unpredicted,
            "frames of ignored codes only, not counted": self.ignored,
        }
        return [f"{count} {what}" for what, count in told.items() if count]

    def _video_lines(self) -> list[str]:
        rows = [(video, means) for video, means in self.pooled.videos.items()]
        return ["", *_frame_lines("video", rows)] if rows else []

    def _lowest_lines(self) -> list[str]:
        lowest = sorted(self.pooled.frames, key=lambda frame: frame.iou)[:LOWEST_SHOWN]
        names = self.pooled.figures
        return _frame_lines("lowest", [(frame.name, {name: frame.figure(name) for name in names}) for frame in lowest])


def _frame_lines(title: str, rows: list[tuple[str, Mapping[FigureName, float]]]) -> list[str]:
    """A line a row under one of titles: 0 to 1, HD95 in pixels."""
    width = max(len(name) for name in (title, *(name for name, _ in rows)))
    labels = {name: LABELS.get(name, name) for name in rows[0][1]}
    spaces = {name: max(6, len(label)) for name, label in labels.items()}
    lines = [title.ljust(width) + "".join(f"  {label:>{spaces[name]}}" for name, label in labels.items())]
    for row, values in rows:
        told = (f"  {figured(name, value):>{spaces[name]}}" for name, value in values.items())
        lines.append(row.ljust(width) + "".join(told))
    return lines


def _spread(name: FigureName, figure: Figure) -> str:
    told = figured(name, figure.mean)
    told += "" if figure.deviation is None else f" +- {figured(name, figure.deviation)}"
    return f"{told} px" if name == "hd95_px" else told


def figured(name: FigureName, value: float, sign: Literal["", "+"] = "") -> str:
    """A figure as text has it everywhere: 0 to 1 with 4 digits after the point, `hd95_px` in pixels with 2."""
    return f"{value:{sign}.{2 if name == 'hd95_px' else 4}f}"
