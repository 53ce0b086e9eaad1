"""`confidence.csv`: a line a frame, kept through interruptions."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.clip import resized
from cuemask.cues.shape import HEIGHT_PX, WIDTH_PX, shape_cue
from cuemask.inference.confidence import confidence
from cuemask.media.area import PictureArea
from cuemask.media.files import make_folder, output_errors, write_bytes, written_aside
from cuemask.recipe import Recipe

FILE = "confidence.csv"
_DOUBTFUL = 5  # frames to be named


class Told(NamedTuple):
    """What the table says of a frame."""

    confidence: float  # `inference.confidence.confidence`
    share: float  # of the frame's pixels that the mask covers


class Confidences:
    """Of the frames of one clip, told in their order. Each line is on disk at once, so that a resumed run has it.

    Parameters
    ----------
    work
        Folder of an unfinished run's files; the table grows there.
    resume
        Whether lines that an interrupted run left there count.
    """

    def __init__(self, work: Path, *, resume: bool) -> None:
        self._log = make_folder(work) / FILE
        self.before: dict[str, Told] = _lines(self._log) if resume else {}
        self._doubtful: list[tuple[float, str]] = []
        # Written anew: what comes next must not go on where an interrupted run left half a line.
        write_bytes(self._log, _table(self.before))

    def tell(self, frame: str, told: Told) -> None:
        """Keep what is known of a frame, unless it was told before.

        Raises
        ------
        OutputError
            If the disk takes no more.
        """
        self._doubtful = sorted([*self._doubtful, (told.confidence, frame)])[:_DOUBTFUL]
        if self.before.get(frame) == told:
            return
        with output_errors(self._log), self._log.open("a", encoding="utf-8", newline="") as file:
            file.write(_line(frame, told))

    def finish(self, path: Path) -> list[tuple[str, float]]:
        """Put the whole table at `path`. Its lines stay in the work folder too: the run may have other clips to go.

        Returns
        -------
        The frames that most deserve a look, with their confidence.
        """
        if self.before:  # a resumed run may have told a frame twice: as it was told last
            write_bytes(path, _table(_lines(self._log)))
        else:
            with written_aside(path) as aside:
                shutil.copyfile(self._log, aside)
        return [(frame, value) for value, frame in self._doubtful]


def told_of(
    p: Float32[np.ndarray, "h2 w2"],
    rgb: UInt8[np.ndarray, "H W 3"],
    mask: Bool[np.ndarray, "H W"],
    area: PictureArea,
    recipe: Recipe,
) -> Told:
    """What there is to tell of a frame whose endoscope's picture is `area`, to the four digits of the table.

    Shape has a say where the recipe uses it: another is not made for what was drawn.
    """
    seen = area.crop(rgb)
    shape = _shape(seen, area) if "shape" in recipe.cues.use else None
    sure = confidence(p, seen, area.crop(mask), area.inside, shape)
    return Told(round(sure, 4), round(float(mask.mean()), 4))


def _shape(seen: UInt8[np.ndarray, "h w 3"], area: PictureArea) -> Float32[np.ndarray, "160 224"]:
    small = resized(seen, WIDTH_PX, HEIGHT_PX)
    if area.inside is None:
        return shape_cue(small)
    inside = cv2.resize(area.inside.astype(np.uint8), (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_NEAREST)
    return shape_cue(small, inside > 0)


def _lines(log: Path) -> dict[str, Told]:
    """All whole lines; a run killed while writing leaves the last one short."""
    if not log.is_file():
        return {}
    whole = log.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
    told: dict[str, Told] = {}
    for row in list(csv.reader(io.StringIO(whole)))[1:]:
        if len(row) == 1 + len(Told._fields):
            told[row[0]] = Told(*(float(value) for value in row[1:]))
    return told


def _table(lines: Mapping[str, Told]) -> bytes:
    header = _row(["frame", *Told._fields])
    return (header + "".join(_line(frame, told) for frame, told in lines.items())).encode()


def _line(frame: str, told: Told) -> str:
    return _row([frame, *(f"{value:.4f}" for value in told)])


def _row(values: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
