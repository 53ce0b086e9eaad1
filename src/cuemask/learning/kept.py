"""Anchors and features of the frames that training meets, computed once and kept on disk in half precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from cuemask.cues.clip import KeptClip, working_mask
from cuemask.learning.features import Extractor
from cuemask.learning.supervision import Supervision
from cuemask.media.area import PictureArea
from cuemask.media.packed import PackedMask
from cuemask.media.records import Records, RecordWriter, SomeRecords
from cuemask.media.seals import is_sealed, seal
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
        float16, (2, H, W): positive, negative; with several classes (3, H, W), at last the class of each pixel.
    features
        float16, (D, h, w), on a grid that covers the whole picture; 0 in a clip that `losses.diffuse_in` leaves out,
        whose diffusion losses then are constants.
    inside
        (H, W), where the endoscope's picture is in any frame.
    area
        Tells where it is in each, of a clip whose picture changes.
    labelled
        Numbers of the frames whose anchors are true masks.
    count
        How many frames the clip has; None where `rgb` has all of them.
    """

    name: str
    rgb: Records | SomeRecords
    anchors: Records | SomeRecords
    features: Records | SomeRecords
    if TYPE_CHECKING:
        inside: PackedMask = PackedMask()
    else:
        inside: Bool[np.ndarray, "H W"] | None = PackedMask()
    labelled: frozenset[int] = frozenset()
    area: PictureArea | None = None
    count: int | None = None

    @property
    def length(self) -> int:
        """How many frames the clip has, those that are not kept too."""
        return len(self.rgb) if self.count is None else self.count

    def inside_of(self, index: int) -> Float32[np.ndarray, "H W"]:
        """1 where the endoscope's picture is in frame `index`."""
        inside = self.inside
        assert inside is not None
        own = inside if self.area is None else working_mask(self.area.shown(self.rgb[index]), *inside.shape)
        return np.ones(inside.shape, np.float32) if own is None else own.astype(np.float32)


FILES = ("anchors.npy", "features.npy")
SEAL = "features.seal"


def keep_for_training(
    kept: KeptClip,
    recipe: Recipe,
    extract: Extractor,
    folder: Path,
    indices: Iterable[int],
    frames: Int64[np.ndarray, " n"] | None = None,
    supervision: Supervision = Supervision(),  # noqa: B008 (a constant)
) -> TrainingClip:
    """Write anchors and features to `folder`, unless they are there from an earlier run.

    Parameters
    ----------
    indices
        The numbers in `frames`; a progress bar may be wrapped around them.
    frames
        The frames that training will read, ascending (`pairs.frames_met`); None for all.
    supervision
        What takes the place of computed anchors.

    Raises
    ------
    OutputError
        If `folder` cannot be written.
    InputError
        If a label cannot be read or does not fit its frame.
    """
    frames = np.arange(len(kept.names)) if frames is None else frames
    anchors_path, features_path = (folder / name for name in FILES)
    if not (is_sealed(folder, SEAL, FILES) and len(Records(anchors_path)) == len(frames)):
        _write(kept, recipe, extract, anchors_path, features_path, indices, supervision)
        seal(folder, SEAL, FILES)
    shape = (recipe.input.height_px, recipe.input.width_px)
    inside = np.ones(shape, bool) if kept.inside is None else kept.inside
    changing = kept.area if kept.area.outlines else None
    anchors, features = (SomeRecords(Records(path), frames) for path in (anchors_path, features_path))
    labelled = supervision.labelled(kept)
    return TrainingClip(kept.clip.name, kept.rgb, anchors, features, inside, labelled, changing, len(kept.names))


def maps_kept(recipe: Recipe) -> int:
    """How many maps beside the features are kept of a frame: both anchors and, with several classes, their codes."""
    return 2 if recipe.network.classes == 1 else 3


def remove_kept(folder: Path) -> None:
    """Remove what `keep_for_training` wrote: the trained network needs it no more."""
    for name in (*FILES, SEAL):
        (folder / name).unlink(missing_ok=True)


def _write(
    kept: KeptClip,
    recipe: Recipe,
    extract: Extractor,
    anchors_path: Path,
    features_path: Path,
    indices: Iterable[int],
    supervision: Supervision,
) -> None:
    def anchored(index: int) -> tuple[np.ndarray, np.ndarray]:
        maps = list(supervision.anchors(kept, index, recipe))
        if recipe.network.classes > 1:
            maps.append(supervision.class_codes(kept, index, recipe).astype(np.float32))
        return kept.rgb[index], np.stack(maps)

    def with_features(item: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        rgb, anchors = item
        features = np.zeros_like(first) if passed_over else extract(rgb)
        # The largest half is 65,504; scaling a frame's features changes no cosine.
        return anchors, features / max(float(np.abs(features).max()) / 1000, 1.0)

    is_known = True
    if len(supervision.labelled(kept)) < len(kept.names):
        clipwide = kept.clipwide(recipe)  # once, before the threads ask for it
        is_known = clipwide.shape_say > 0 and clipwide.evidence > 0
    first = extract(kept.rgb[int(kept.rgb.frames[0])])
    passed_over = recipe.losses.diffuse_in == "known" and not is_known
    shape = (maps_kept(recipe), recipe.input.height_px, recipe.input.width_px)
    with (
        RecordWriter(features_path, first.shape, np.float16) as features_file,
        RecordWriter(anchors_path, shape, np.float16) as anchors_file,
    ):
        for anchors, features in in_threads(with_features, in_threads(anchored, indices), _threads(extract)):
            anchors_file.append(anchors)
            features_file.append(features)


def _threads(extract: Extractor) -> int | None:
    """Few threads where torch uses all cores by itself."""
    return None if extract.weights is None else min(2, max(1, 4 // torch.get_num_threads()))
