"""Clips with true masks: the real ones of the data folder, and phantoms that each show one difficulty.

Truth is read only to score a run that has ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from cuemask.media.clips import open_clips
from cuemask.media.files import make_folder, write_bytes
from cuemask.media.mask_folders import mask_path
from cuemask.media.masks import read_mask, write_mask, write_rgb
from cuemask.phantom.scene import PhantomScene

TOGETHER = "endovis_together"
PHANTOM = "phantom_"  # begins the names of the phantoms
FROM_OTHERS = "_from_others"  # ends the names of cases whose network learnt from all other groups
ENDOSCAPES, ENDOSCAPES_HALF = "endoscapes_seg50", "endoscapes_seg50_half"
# Groups of data, each with one voice; the phantoms are one more.
GROUPS = {
    TOGETHER: "EndoVis",
    "cholecseg8k_clip": "CholecSeg8k",
    ENDOSCAPES: "Endoscapes",
    "segcol_sequence": "SegCol",
    "cholecinstanceseg_vid03": "CholecInstanceSeg",
}

Key = tuple[str, str]  # clip, as its run names it, and frame


@dataclass(frozen=True)
class Source:
    """A clip: what to open, and which files hold which frame's instruments.

    Attributes
    ----------
    input
        As `segment` takes it.
    truth
        Names of the frames with truth, each with the pictures that mark its instruments.
    codes
        What marks an instrument in them; None for everything above 0.
    """

    input: str
    truth: tuple[tuple[str, tuple[str, ...]], ...]
    codes: tuple[int, ...] | None = None

    def masks(self) -> dict[str, np.ndarray]:
        """Where the instruments are, boolean (H, W), by frame name."""
        found: dict[str, np.ndarray] = {}
        for name, files in self.truth:
            parts = [cv2.imread(file, cv2.IMREAD_GRAYSCALE) for file in files]
            found[name] = np.any([np.isin(p, self.codes) if self.codes else p > 0 for p in parts], axis=0)
        return found


@dataclass(frozen=True)
class Case:
    """What one run learns from and is scored on: a clip, or several together.

    Attributes
    ----------
    sources
        What is scored.
    lessons
        What is learnt from; empty for the sources themselves (single stage).
    """

    name: str
    sources: tuple[Source, ...]
    lessons: tuple[Source, ...] = ()

    @property
    def inputs(self) -> list[str]:
        """What `segment` is given."""
        return [source.input for source in self.sources]


def true_masks(case: Case) -> dict[Key, np.ndarray]:
    """Instrument masks by clip and frame."""
    clips = zip(open_clips(case.inputs), case.sources, strict=True)
    return {(clip.name, frame): mask for clip, source in clips for frame, mask in source.masks().items()}


def masks_of_run(case: Case, run: Path) -> dict[Key, np.ndarray]:
    """The masks that a run wrote of the frames that have true ones."""
    clips = zip(open_clips(case.inputs), case.sources, strict=True)
    keys = [(clip.name, frame) for clip, source in clips for frame, _ in source.truth]
    return {(clip, frame): read_mask(mask_path(run / clip, frame)) > 0 for clip, frame in keys}


def real_cases(data: Path) -> list[Case]:
    """The clips of `data` that have masks and can be learnt from, each alone."""
    found = [
        _folder(data, "endovis17_dataset4", "frames", "masks"),
        _single(data),
        _folder(data, "endovis18_sequence", "frames", "binary"),
        _beside(data),
        _folder(data, "segcol_sequence", "frames", "segmentation", (127, 129)),
        _operations(data),
        _folder(data, "cholecinstanceseg_vid03", "frames", "masks"),
    ]
    return [case for case in found if case is not None]


def train_test_cases(singles: Iterable[Case]) -> list[Case]:
    """Each group segmented by a network that learnt from all other groups; and half of Endoscapes' operations from the
    other half.

    Parameters
    ----------
    singles
        The single-stage cases.
    """
    groups = [case for case in singles if case.name in GROUPS]
    found: list[Case] = []
    for case in groups:
        others = tuple(source for other in groups if other is not case for source in other.sources)
        if others:
            found.append(Case(case.name + FROM_OTHERS, case.sources, others))
    found += [
        Case(ENDOSCAPES_HALF, case.sources[1::2], case.sources[::2])
        for case in groups
        if case.name == ENDOSCAPES and len(case.sources) > 1
    ]
    return found


def endovis_together(cases: Iterable[Case]) -> Case:
    """The EndoVis clips among `cases` as one training set."""
    chosen = [case for case in cases if case.name.startswith("endovis")]
    return Case(TOGETHER, tuple(source for case in chosen for source in case.sources))


@dataclass(frozen=True)
class Phantom:
    """A drawn clip: `frames` frames from `first` on, 5 a second.

    Nothing leaves but in `phantom_leaving`, so that each clip shows its own difficulty only.
    """

    name: str
    scene: PhantomScene
    first: int = 0
    frames: int = 16
    every: int = 5

    @property
    def numbers(self) -> range:
        """The scene's frames that are drawn."""
        return range(self.first, self.first + self.frames * self.every, self.every)


def _scene(seed: int, **differences: object) -> PhantomScene:
    return PhantomScene(**{"seed": seed, "height_px": 256, "width_px": 320, "leaving": False, **differences})


PHANTOMS = (
    Phantom("phantom_smoke", _scene(101, smoke=0.8)),
    Phantom("phantom_blood", _scene(102, blood=0.35)),
    Phantom("phantom_dark_organ", _scene(103, dark_organ=0.5)),
    Phantom("phantom_pale_fat", _scene(104, pale_fat=0.5)),
    Phantom("phantom_glare", _scene(105, glare=1.0)),
    Phantom("phantom_round_thin", _scene(106, round_picture=True, tools=1, tool_width=0.05)),
    Phantom("phantom_thick", _scene(107, tool_width=0.3, camera_motion=2.0)),
    Phantom("phantom_leaving", _scene(108, tools=1, leaving=True), first=125),
    Phantom("phantom_no_tool", _scene(109, tools=0)),
)


def phantom_case(phantom: Phantom, folder: Path) -> Case:
    """Draw a phantom's frames and masks into `folder`, unless they lie there."""
    frames, masks, description = folder / "frames", folder / "masks", folder / "scene.json"
    numbers = list(phantom.numbers)
    told = json.dumps({**asdict(phantom.scene), "frames": numbers}, indent=2) + "\n"
    if not description.is_file() or description.read_text() != told:
        description.unlink(missing_ok=True)
        for place in (make_folder(frames), make_folder(masks)):
            for old in place.glob("*.png"):
                old.unlink()
        for t in numbers:
            drawn = phantom.scene.frame(t)
            write_rgb(frames / f"{t:06}.png", drawn.rgb)
            write_mask(masks / f"{t:06}.png", drawn.mask)
        write_bytes(description, told.encode())  # last: where it stands, all pictures do
    truth = tuple((f"{t:06}", (str(masks / f"{t:06}.png"),)) for t in numbers)
    return Case(phantom.name, (Source(str(frames), truth),))


def _folder(data: Path, name: str, frames: str, masks: str, codes: tuple[int, ...] | None = None) -> Case | None:
    folder = data / name
    if not folder.is_dir():
        return None
    truth = tuple((p.stem, (str(p),)) for p in sorted((folder / masks).glob("*.png")))
    return Case(name, (Source(str(folder / frames), truth, codes),))


def _operations(data: Path) -> Case | None:
    """All operations of Endoscapes as one case."""
    folder = data / ENDOSCAPES
    if not folder.is_dir():
        return None
    operations = [
        _folder(folder, place.name, "frames", "masks") for place in sorted(folder.iterdir()) if place.is_dir()
    ]
    return Case(ENDOSCAPES, tuple(source for case in operations if case is not None for source in case.sources))


def _single(data: Path) -> Case | None:
    folder = data / "endovis17_dataset3_clip"
    if not folder.is_dir():
        return None
    files = tuple(str(p) for p in sorted((folder / "masks").glob("frame006_*.png")))
    return Case(folder.name, (Source(str(folder / "clip.mp4"), (("000006", files),)),))


def _beside(data: Path) -> Case | None:
    folder = data / "cholecseg8k_clip"
    if not folder.is_dir():
        return None
    ending = "_watershed_mask"
    truth = tuple((p.stem.removesuffix(ending), (str(p),)) for p in sorted(folder.glob(f"*{ending}.png")))
    return Case(folder.name, (Source(str(folder / "*_endo.png"), truth, (31, 32)),))
