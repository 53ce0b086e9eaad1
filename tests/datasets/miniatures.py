"""Miniatures of the published layouts, their exact truth, and what readers must leave alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cuemask.phantom import PhantomFrame, PhantomScene
from cuemask.phantom.layouts import SMALL_SIZE, STEP, write_layout


def miniature(tmp_path: Path, name: str, below: str = ".", **told: int) -> Path:
    """Write a layout into `data`, or into a folder below it; return `data`."""
    write_layout(name, tmp_path / "data" / below, **told)
    return tmp_path / "data"


def drawn(recording: int, frame: int) -> PhantomFrame:
    """The phantom's frame behind frame `frame` of recording `recording`, both from 0."""
    return PhantomScene(recording, *SMALL_SIZE, leaving=False).frame(frame * STEP)


def true_parts(recording: int, frame: int) -> np.ndarray:
    """Its parts as the readers number them: 1 shaft, 2 wrist, 3 clasper."""
    return drawn(recording, frame).parts // np.uint8(10)


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    """Sizes and times of all that lies in a folder."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*")}
