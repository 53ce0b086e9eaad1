"""Figure 2 of the paper: successes and failures, from input over cues and anchors to mask; and the same as a video."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from cuemask.cues.clip import KeptClip, keep_clip
from cuemask.datasets.dataset import Recording
from cuemask.evaluation.frames import FrameScore
from cuemask.experiments.cells import Bench, masks_folder, options_of, run_cell
from cuemask.experiments.plan import Cell
from cuemask.experiments.published import NETWORK
from cuemask.media.clips import open_clips
from cuemask.media.files import make_folder
from cuemask.media.masks import read_mask, write_rgb
from cuemask.media.overlay import OverlayWriter, overlay
from cuemask.media.threads import in_threads
from cuemask.report.sheet import Cell as Picture
from cuemask.report.sheet import contact_sheet
from cuemask.runs.cueing import cue_cells
from cuemask.runs.options import area_of

SUCCESSES, FAILURES = 2, 3  # as many as the paper shows
VIDEO_RATE = Fraction(4)  # frames a second: slow enough to look from picture to picture


def figure2(cell: Cell, bench: Bench) -> list[Path]:
    """The qualitative sheet and the side-by-side video of a single-stage run, which is made if it is not there.

    The paper picked its frames by eye. Here they are the frames of the highest and of the lowest IoU, each of another
    recording as far as there are enough.

    Returns
    -------
    `out/figure2.png` and `out/figure2.mp4`.

    Raises
    ------
    CuemaskError
        As the cell's run.
    """
    make_folder(bench.out)
    frames = run_cell(cell, bench).frames[NETWORK]
    chosen = chosen_frames(frames)
    files = [bench.out / "figure2.png", bench.out / "figure2.mp4"]
    rows: dict[tuple[str, str], tuple[str, list[Picture]]] = {}
    with OverlayWriter(files[1], VIDEO_RATE) as video:
        for recording in bench.dataset.recordings:
            if recording.name not in cell.score:
                continue
            for shown in _shown(
                recording, cell, bench, {frame.frame for frame in chosen if frame.video == recording.name}
            ):
                video.write(contact_sheet([(f"{recording.name}/{shown.name}", shown.cells)]))
                if shown.true is not None:
                    rows[recording.name, shown.name] = ("", [*shown.cells, Picture("ground truth", shown.true)])
    titled = [
        (f"IoU {frame.iou:.2f} {frame.video}/{frame.frame}", rows[frame.video, frame.frame][1]) for frame in chosen
    ]
    write_rgb(files[0], contact_sheet(titled))
    return files


def chosen_frames(frames: tuple[FrameScore, ...]) -> list[FrameScore]:
    """The best and then the worst frames among those with a true instrument, from as many recordings as can be."""
    with_truth = [frame for frame in frames if frame.counts.truth > 0]
    ranked = sorted(with_truth or list(frames), key=lambda frame: -frame.iou)
    successes = _spread(ranked, min(SUCCESSES, len(ranked)))
    others = [frame for frame in reversed(ranked) if frame not in successes]
    return successes + _spread(others, min(FAILURES, len(others)))


@dataclass(frozen=True)
class _Shown:
    """One frame's pictures; `true` only for those on the sheet."""

    name: str
    cells: list[Picture]
    true: UInt8[np.ndarray, "h w 3"] | None


def _shown(recording: Recording, cell: Cell, bench: Bench, on_sheet: set[str]) -> Iterator[_Shown]:
    (clip,) = open_clips([recording.files], bench.selection)
    options, folder = options_of(cell, bench, bench.out), masks_folder(cell, bench) / recording.name / "masks"
    truth = recording.truth
    assert truth is not None
    with tempfile.TemporaryDirectory() as work:
        frames = bench.progress(f"{clip.name}: cues", clip.frames(), clip.frame_count)
        kept = keep_clip(clip, area_of(clip, options), cell.recipe, Path(work), bench.seed, frames)
        kept.clipwide(cell.recipe)  # once, before the threads ask for it
        true = {name: truth.labels(name) > 0 for name in kept.names if name in on_sheet}

        def shown(index: int) -> _Shown:
            name, rgb = kept.names[index], kept.rgb[index]
            mask = read_mask(folder / f"{name}.png") > 0
            cells = [*cue_cells(kept, index, options), Picture("mask", overlay(rgb, _small(mask, kept)))]
            return _Shown(name, cells, overlay(rgb, _small(true[name], kept)) if name in true else None)

        indices = range(len(kept.names))
        yield from bench.progress(f"{clip.name}: pictures", in_threads(shown, indices), len(indices))


def _small(mask: Bool[np.ndarray, "H W"], kept: KeptClip) -> Bool[np.ndarray, "h w"]:
    """A mask at working size."""
    size = kept.location.shape[::-1]
    inside = kept.area.of(*mask.shape).crop(mask)
    return cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def _spread(ranked: list[FrameScore], count: int) -> list[FrameScore]:
    """The first `count`, each of another video while there are any that have none yet."""
    chosen: list[FrameScore] = []
    while len(chosen) < count:
        taken = {frame.video for frame in chosen}
        left = [frame for frame in ranked if frame not in chosen]
        chosen.append(next((frame for frame in left if frame.video not in taken), left[0]))
    return chosen
