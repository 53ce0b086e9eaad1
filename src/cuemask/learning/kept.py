"""Features of every frame of a clip, computed once and kept on disk in half precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from cuemask.cues.clip import KeptClip
from cuemask.learning.features import Extractor
from cuemask.media.records import Records, RecordWriter
from cuemask.media.threads import in_threads
from cuemask.recipe import Recipe


@dataclass(frozen=True)
class TrainingClip:
    """What training reads of a clip; records by frame.

    Attributes
    ----------
    rgb
        uint8, (H, W, 3).
    anchors
        float16, (2, H, W): positive, negative.
    features
        float16, (D, h, w), on a grid that covers the whole picture.
    inside
        Float32, (H, W), 1 where the endoscope's picture is.
    """

    name: str
    rgb: Records
    anchors: Records
    features: Records
    inside: Float32[np.ndarray, "H W"]


def keep_for_training(
    kept: KeptClip, recipe: Recipe, extract: Extractor, folder: Path, indices: Iterable[int]
) -> TrainingClip:
    """Write anchors and features of every frame to `folder`, unless they are there from an earlier run.

    Parameters
    ----------
    indices
        0 to the number of frames - 1; a progress bar may be wrapped around it.

    Raises
    ------
    OutputError
        If `folder` cannot be written.
    """
    anchors_path, features_path = folder / "anchors.npy", folder / "features.npy"
    if not (anchors_path.is_file() and features_path.is_file()):
        _write(kept, recipe, extract, anchors_path, features_path, indices)
    shape = (recipe.input.height_px, recipe.input.width_px)
    inside = np.ones(shape, np.float32) if kept.inside is None else kept.inside.astype(np.float32)
    return TrainingClip(kept.clip.name, kept.rgb, Records(anchors_path), Records(features_path), inside)


def _write(
    kept: KeptClip,
    recipe: Recipe,
    extract: Extractor,
    anchors_path: Path,
    features_path: Path,
    indices: Iterable[int],
) -> None:
    def work(index: int) -> tuple[np.ndarray, np.ndarray]:
        features = extract(kept.rgb[index])
        # The largest half is 65,504; scaling a frame's features changes no cosine.
        features = features / max(float(np.abs(features).max()) / 1000, 1.0)
        return np.stack(kept.anchors(index, recipe)), features

    _, first = work(0)
    shape = (2, recipe.input.height_px, recipe.input.width_px)
    with (
        RecordWriter(features_path, first.shape, np.float16) as features_file,
        RecordWriter(anchors_path, shape, np.float16) as anchors_file,
    ):
        for anchors, features in in_threads(work, indices, threads=_threads(extract)):
            anchors_file.append(anchors)
            features_file.append(features)


def _threads(extract: Extractor) -> int:
    """One thread where torch uses all cores by itself."""
    return 2 if extract.weights is None else min(2, max(1, 4 // torch.get_num_threads()))
