"""A data set in memory, and a run over it on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cuemask.datasets.dataset import Dataset, Kind, Recording
from cuemask.media.clips import ClipFiles
from cuemask.media.masks import write_mask

SHAFT, OTHER = 1, 2


@dataclass
class MemoryTruth:
    labels_of: Mapping[str, np.ndarray]
    kinds: tuple[Kind, ...] = ("binary", "type")
    held: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.labels_of)

    def labels(self, name: str, kind: Kind = "binary") -> np.ndarray:
        found = self.labels_of[name]
        return np.where(found == OTHER, 0, found).astype(np.uint8) if kind == "binary" else found


def columns(*codes: int) -> np.ndarray:
    return np.tile(np.array(codes, np.uint8), (6, 1))


def recording(name: str, truth: Mapping[str, np.ndarray] | None) -> Recording:
    files = ClipFiles(name, (Path(f"{name}.mp4"),))
    return Recording(files, name, "test", None if truth is None else MemoryTruth(truth))


def dataset(*recordings: Recording) -> Dataset:
    return Dataset("memory", Path("root"), "in memory", recordings, {"binary": {1: "instrument"}})


def predict(out: Path, name: str, frames: Mapping[str, np.ndarray]) -> None:
    folder = out / name / "masks"
    folder.mkdir(parents=True, exist_ok=True)
    for frame, codes in frames.items():
        write_mask(folder / f"{frame}.png", codes > 0)
