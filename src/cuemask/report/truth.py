"""What `cuemask evaluate` found, where somebody put its table into the run."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cuemask.evaluation.frames import FigureName
from cuemask.evaluation.results import LABELS, figured
from cuemask.evaluation.tables import is_table_of

_COLUMNS = ("video", "frame", "iou", "dice")
_FIGURES: tuple[FigureName, ...] = tuple(LABELS)


@dataclass(frozen=True)
class Truth:
    """One table of figures.

    Attributes
    ----------
    file
        Where it was found, below the run.
    clip
        The clip whose folder it lies in; empty in the run's own.
    rule
        How its frames were pooled.
    frames
        How many count.
    means
        Of each figure: IoU, Dice and NSD 0 to 1, HD95 in pixels.
    iou
        Of each frame that counts, by clip and name.
    """

    file: str
    clip: str
    rule: str
    frames: int
    means: Mapping[FigureName, float]
    iou: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])

    def words(self) -> list[str]:
        """A row of a table: file, frames, and the figures as people read them, `-` where there is none."""
        told = [figured(name, self.means[name]) if name in self.means else "-" for name in _FIGURES]
        return [self.file, f"{self.frames:,}", *told]


HEAD = [
    "file",
    "frames",
    *(f"{label}, px" if name == "hd95_px" else f"{label}, 0 to 1" for name, label in LABELS.items()),
]


def truths_in(run: Path, clips: list[str]) -> list[Truth]:
    """Tables that `cuemask evaluate --csv` or `--json` wrote and that lie in the run's or a clip's folder."""
    return list(_found(run, clips))


def _found(run: Path, clips: list[str]) -> Iterator[Truth]:
    only = clips[0] if len(clips) == 1 else ""
    for clip in ("", *clips):
        folder = run / clip
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            read = {".csv": _of_csv, ".json": _of_json}.get(path.suffix.lower())
            if read is None or not path.is_file():
                continue
            try:
                truth = read(path, str(path.relative_to(run)), clip or only)
            except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, csv.Error):
                continue  # another file, or one that is damaged: no figures
            if truth is not None:
                yield truth


def _of_csv(path: Path, name: str, clip: str) -> Truth | None:
    if not is_table_of(path, _COLUMNS):
        return None
    sums: dict[FigureName, float] = dict.fromkeys(_FIGURES, 0.0)
    count, iou = 0, dict[tuple[str, str], float]()
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        known: list[FigureName] = [figure for figure in _FIGURES if figure in (rows.fieldnames or ())]
        for row in rows:
            if row.get("counted", "1") != "1":
                continue
            count += 1
            iou[row["video"] or clip, row["frame"]] = float(row["iou"])
            for figure in known:
                sums[figure] += float(row[figure])
    if not count:
        return None
    means: dict[FigureName, float] = {figure: sums[figure] / count for figure in known}
    return Truth(name, clip, "mean over the frames that count", count, means, iou)


def _of_json(path: Path, name: str, clip: str) -> Truth | None:
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict) or not {"protocol_name", "frame_count", "iou", "frames"} <= values.keys():
        return None
    found = cast("dict[str, Any]", values)
    means: dict[FigureName, float] = {figure: float(found[figure]["mean"]) for figure in _FIGURES if figure in found}
    iou = {_split(row["name"], clip): float(row["iou"]) for row in found["frames"]}
    rule = f"{found['protocol_name']}: {found['protocol']}"
    return Truth(name, clip, rule, int(found["frame_count"]), means, iou)


def _split(name: str, clip: str) -> tuple[str, str]:
    video, _, frame = name.rpartition("/")
    return video or clip, frame
