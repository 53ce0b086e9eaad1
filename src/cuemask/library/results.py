"""What a run left on disk, as arrays: read when they are asked for."""

from __future__ import annotations

import base64
import difflib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cuemask.errors import InputError
from cuemask.library.models import Model, load
from cuemask.library.settings import Place
from cuemask.media.mask_folders import mask_path
from cuemask.media.masks import read_mask
from cuemask.media.pictures import read_picture
from cuemask.notebook import table_html
from cuemask.recipe import Recipe, recipe_of_model
from cuemask.runs.confidences import FILE, Told, read_confidences
from cuemask.runs.record import read_record, run_of
from cuemask.runs.reporting import REPORT

__all__ = ["Clip", "Run"]

_SHOWN_CLIPS = 3
_SHOWN_PX = 480  # width of the pictures in notebooks


class Run:
    """A run of `segment`, `train`, `predict` or `anchors`, by its folder. It may be given wherever its folder may.

    Parameters
    ----------
    folder
        Of the run, or of one of its clips.

    Raises
    ------
    InputError
        If it holds no run.
    OutputError
        If its record is damaged.

    Examples
    --------
    >>> import cuemask
    >>> run = cuemask.Run("result")
    >>> run
    Run('result': segment, recipe fast, 12 frames of op, complete)
    >>> run.recipe.training.steps, run.losses[-1]["step"]
    (25, 25)
    """

    def __init__(self, folder: Place) -> None:
        self.folder = run_of(Path(folder))
        if read_record(self.folder / "run.json") is None:
            raise InputError(f"{folder}: holds no run.", "Make one first: cuemask segment VIDEO --out DIR")

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def record(self) -> dict[str, Any]:
        """What stands in `run.json` (docs/formats.md)."""
        return read_record(self.folder / "run.json") or {}

    @property
    def command(self) -> str:
        """`segment`, `train`, `predict` or `anchors`."""
        return str(self.record["command"])

    @property
    def is_complete(self) -> bool:
        """Whether it came to its end."""
        return self.record["status"] == "complete"

    @property
    def recipe(self) -> Recipe:
        """The recipe that it followed."""
        return recipe_of_model(self.record["recipe"])

    @property
    def losses(self) -> list[Mapping[str, float | int]]:
        """The mean of each term of the loss, weighted, for each pass of training; empty where nothing was learnt."""
        return self.record.get("losses", [])

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        """Its clips, in the order in which they were given."""
        return tuple(Clip(self.folder / entry["clip"]) for entry in self.record["inputs"])

    @property
    def model(self) -> Model:
        """The trained network as a `cuemask.Model`.

        Raises
        ------
        WeightsError
            If the run trained none.
        """
        return load(self.folder)

    @property
    def page(self) -> Path:
        """Where its report lies, if it was made: a file to open in a browser."""
        return self.folder / REPORT

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}: {self._summary()})"

    def _repr_html_(self) -> str:
        """What notebooks show: a line a clip, and the sheets of the first ones, reduced."""
        rows = [clip.row() for clip in self.clips]
        table = table_html(f"{self.folder}: {self._summary()}", Clip.HEAD, rows)
        return table + "".join(clip.picture_html() for clip in self.clips[:_SHOWN_CLIPS])

    def _summary(self) -> str:
        record, clips = self.record, self.clips
        frames = sum(len(clip.frames) for clip in clips)
        of = clips[0].name if len(clips) == 1 else f"{len(clips)} clips"
        told = [record["command"], f"recipe {record['recipe']['name']}", f"{frames} frames of {of}" if frames else of]
        return ", ".join([*told, "complete" if self.is_complete else "not complete"])


class Clip:
    """One clip of a run: what was found in it.

    Parameters
    ----------
    folder
        Of the clip, in that of the run.

    Examples
    --------
    >>> import cuemask
    >>> clip = cuemask.Run("result").clips[0]
    >>> clip.name, clip.frames[:2], clip.mask("000010").dtype
    ('op', ('000000', '000001'), dtype('bool'))
    >>> clip.confidence.shape, bool((clip.share <= 1).all())
    ((12,), True)
    """

    HEAD = ("clip", "frames", "mean confidence", "mean share covered", "empty masks")

    def __init__(self, folder: Place) -> None:
        self.folder = Path(folder)

    @property
    def name(self) -> str:
        """Unique in the run."""
        return self.folder.name

    @cached_property
    def _told(self) -> dict[str, Told]:
        table = self.folder / FILE
        return dict(read_confidences(table)) if table.is_file() else {}

    @property
    def frames(self) -> tuple[str, ...]:
        """Names of the frames with a mask, in the clip's order; empty after `train` and `anchors`."""
        return tuple(self._told)

    @property
    def confidence(self) -> Float32[np.ndarray, " N"]:
        """How far to trust each mask, 0 to 1, in the order of `frames` (`cuemask.inference.confidence`)."""
        return np.array([told.confidence for told in self._told.values()], np.float32)

    @property
    def share(self) -> Float32[np.ndarray, " N"]:
        """The share of each frame that its mask covers, 0 to 1."""
        return np.array([told.share for told in self._told.values()], np.float32)

    def mask(self, frame: str) -> Bool[np.ndarray, "H W"]:
        """The mask of a frame, at the source's own size; True where there is an instrument.

        Raises
        ------
        InputError
            If the clip has no frame of that name.
        PictureError
            If the file is gone or damaged.
        """
        return read_mask(mask_path(self.folder, self._known(frame))) > 0

    def masks(self) -> Iterator[tuple[str, Bool[np.ndarray, "H W"]]]:
        """Names and masks of all frames, one by one."""
        return ((frame, self.mask(frame)) for frame in self.frames)

    def probability(self, frame: str) -> Float32[np.ndarray, "H W"]:
        """The probability of an instrument, 0 to 1 in steps of 1/255, at the source's own size.

        Raises
        ------
        InputError
            If there is no frame of that name, or the run did not save probabilities.
        """
        file = self.folder / "probability" / f"{self._known(frame)}.png"
        if not file.parent.is_dir():
            raise InputError(f"{self.folder}: has no probabilities.", "Run again with save_probability=True.")
        return read_mask(file).astype(np.float32) / 255

    def row(self) -> list[object]:
        """The values of `HEAD`."""
        if not self._told:
            return [self.name, 0, "", "", ""]
        means = [f"{values.mean():.2f}" for values in (self.confidence, self.share)]
        return [self.name, len(self._told), *means, int((self.share == 0).sum())]

    def picture_html(self) -> str:
        """Its sheet, reduced, as an image that needs no file; nothing where there is none."""
        sheet = next((self.folder / name for name in _SHEETS if (self.folder / name).is_file()), None)
        if sheet is None:
            return ""
        rgb = read_picture(sheet)
        height = max(1, round(rgb.shape[0] * _SHOWN_PX / rgb.shape[1]))
        small = cv2.resize(rgb, (_SHOWN_PX, height), interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
        return f'<img alt="frames and masks" src="data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}">'

    def __repr__(self) -> str:
        return f"Clip({str(self.folder)!r}: {len(self.frames)} frames)"

    def _repr_html_(self) -> str:
        """What notebooks show: its figures and its sheet, reduced."""
        return table_html(str(self.folder), self.HEAD, [self.row()]) + self.picture_html()

    def _known(self, frame: str) -> str:
        """The name of a frame; an InputError if there is none of it."""
        if frame not in self._told:
            nearest = difflib.get_close_matches(frame, self.frames, n=1)
            hint = f"Did you mean {nearest[0]}? " if nearest else ""
            raise InputError(
                f"{self.folder}: has no mask of a frame {frame!r}.", f"{hint}`frames` names those that there are."
            )
        return frame


_SHEETS = ("sheet.png", "cues.png")
