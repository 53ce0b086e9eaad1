"""How well instruments, tracks, parts and tips are told in true masks of drawn scenes, and what a frame costs.

    python -m benchmarks.grouping                      # scenes and seeds that nothing was chosen on
    python -m benchmarks.grouping crossing:12 round:17
    python -m benchmarks.grouping predicted usual:61   # in the masks that the network `drawn` finds
    python -m benchmarks.grouping real                 # real frames with their true masks, $CUEMASK_DATA

A scene is drawn at 256 rows, every 4th frame (6 a second), 30 of them; each instrument's first tip counts. Of real
frames the parts of EndoVis 2017 and 2018 and the instances of CholecInstanceSeg are known.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from benchmarks.machine import data_folder
from cuemask.evaluation import instances, parts, tips, tracks
from cuemask.evaluation.overlaps import Overlaps, mask_overlaps
from cuemask.grouping.instrument import Instrument
from cuemask.grouping.labels import Labels
from cuemask.grouping.parts import Profiles, parts_of
from cuemask.grouping.tracks import Tracker
from cuemask.grouping.whole_frames import Reduced, WholeFrames, at_full_size
from cuemask.inference.live import live_mask
from cuemask.inference.prediction import Predictor
from cuemask.media.area import PictureArea, fixed_area
from cuemask.phantom import PhantomFrame, PhantomScene, named_scene
from cuemask.runs.models import open_model

HELD_OUT = ("usual:31", "crossing:32", "touching:33", "leaving:34", "twins:35", "four:36", "round:37")
ROWS, COLUMNS, FRAMES, EVERY = 256, 320, 30, 4


@dataclass
class Looked:
    """What is counted of a scene's frames."""

    overlaps: list[Overlaps] = field(default_factory=list)
    instances: list[instances.FoundInstances] = field(default_factory=list)
    parts: list[parts.FoundParts] = field(default_factory=list)
    tips: list[tips.FoundTips] = field(default_factory=list)

    def figures(self) -> dict[str, object]:
        """The figures that the documentation tells of."""
        told = instances.instance_figures(self.instances) | tracks.track_figures([self.overlaps])
        told |= parts.part_figures(self.parts) | tips.tip_figures(self.tips)
        names = ("ap50", "hota", "idf1", "mean_iou", "part_pq", "instruments_within", "frames_within")
        return {name: told[name] for name in names}


def look_at(scene: PhantomScene, model: Predictor | None = None) -> tuple[dict[str, object], float]:
    """Figures of one scene, and seconds of the processor for each frame: instances and parts.

    Parameters
    ----------
    model
        Whose masks are told apart; None takes the true ones.
    """
    frames = [scene.frame(number) for number in range(0, FRAMES * EVERY, EVERY)]
    tracker, profiles = Tracker(), Profiles()
    inside = np.any([frame.rgb.max(axis=2) > 0 for frame in frames], axis=0) if scene.round_picture else None
    masks = [frame.mask for frame in frames]
    if model is not None:
        area = fixed_area(0, 0, ROWS, COLUMNS, ROWS, COLUMNS)
        masks = [live_mask(model, frame.rgb, area).mask for frame in frames]
    started = time.process_time()
    told = [tracker.push(mask, inside, frame.rgb) for mask, frame in zip(masks, frames, strict=True)]
    for (labels, found), frame in zip(told, frames, strict=True):
        profiles.add(labels, found, frame.rgb)
    ends = profiles.ends()
    codes = [parts_of(labels, found, ends) for labels, found in told]
    seconds = (time.process_time() - started) / len(frames)
    looked = Looked()
    for frame, (labels, found), own in zip(frames, told, codes, strict=True):
        places = np.array([one.tips[0] for one in found if one.tips]).reshape(-1, 2) + 0.5
        confidences = {one.number: one.confidence for one in found}
        _count(looked, frame, labels, own, places, confidences)
    return looked.figures(), seconds


def _count(
    looked: Looked,
    frame: PhantomFrame,
    labels: np.ndarray,
    codes: np.ndarray,
    places: np.ndarray,
    confidences: dict[int, float],
) -> None:
    true = frame.instances.astype(np.uint16)
    overlaps = mask_overlaps(labels, true)
    looked.overlaps.append(overlaps)
    sure = np.array([confidences.get(number, 1.0) for number in overlaps.predicted.tolist()])
    looked.instances.append(instances.FoundInstances(overlaps, sure))
    looked.parts.append(parts.found_parts(codes, frame.parts, (labels, true)))
    ends = np.array([(tip.x_px, tip.y_px) for tip in frame.tips]).reshape(-1, 2)
    owners = np.array([tip.instance for tip in frame.tips], np.int64)
    looked.tips.append(tips.found_tips(places, ends, owners, (ROWS, COLUMNS)))


@dataclass(frozen=True)
class RealClip:
    """Real frames whose truth has parts or instances: the folder of these, and which codes are 10, 20 and 30."""

    name: str
    truth: str
    codes: tuple[int, int, int] | None = None
    crop: tuple[int, int, int, int] | None = None  # top, left, height and width of the endoscope's picture


REAL_PARTS = (
    RealClip("endovis17_dataset4", "masks", crop=(28, 320, 1024, 1280)),
    RealClip("endovis18_sequence", "parts", codes=(80, 240, 160)),
)
REAL_INSTANCES = RealClip("cholecinstanceseg_vid03", "instances")


def look_at_real(clip: RealClip) -> tuple[dict[str, object], float]:
    """Figures of a real clip's true masks told apart, and seconds of the processor for each frame."""
    folder = data_folder() / clip.name
    whole, profiles = WholeFrames(), Profiles()
    pushed: list[tuple[Reduced, np.ndarray, PictureArea]] = []
    seconds = 0.0
    for path in sorted((folder / "frames").glob("*.png")):
        rgb, codes = cv2.imread(str(path))[..., ::-1].copy(), cv2.imread(str(folder / clip.truth / path.name), -1)
        area = fixed_area(*(clip.crop or (0, 0, *codes.shape)), *codes.shape)
        started = time.process_time()
        told = whole.push(codes > 0, rgb, area)
        profiles.add(told.labels, told.found, told.rgb)
        seconds += time.process_time() - started
        pushed.append((told, _as_ours(codes, clip.codes), area))
    ends = profiles.ends()
    of_parts: list[parts.FoundParts] = []
    of_instances: list[instances.FoundInstances] = []
    numbers: set[int] = set()
    for told, codes, area in pushed:
        labels, found = at_full_size(told, codes > 0, area)
        numbers |= {one.number for one in found}
        of_parts.append(parts.found_parts(parts_of(labels, found, ends), codes, None))
        of_instances.append(_real_instances(labels, found, codes))
    if clip is REAL_INSTANCES:
        told_of = instances.instance_figures(of_instances)
        names = ("ap50", "ap", "pq")
    else:
        told_of = parts.part_figures(of_parts)
        names = ("iou_shaft", "iou_wrist", "iou_clasper", "mean_iou")
    return {name: told_of[name] for name in names} | {"numbers": float(len(numbers))}, seconds / len(pushed)


def _as_ours(codes: np.ndarray, theirs: tuple[int, int, int] | None) -> np.ndarray:
    return codes if theirs is None else np.select([codes == code for code in theirs], parts.PARTS, 0)


def _real_instances(labels: Labels, found: list[Instrument], true: np.ndarray) -> instances.FoundInstances:
    overlaps = mask_overlaps(labels, true)
    confidences = {one.number: one.confidence for one in found}
    sure = np.array([confidences.get(number, 1.0) for number in overlaps.predicted.tolist()])
    return instances.FoundInstances(overlaps, sure)


def _print(name: str, figures: dict[str, object], seconds: float) -> None:
    told = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
    print(f"{name}  {told}, {1000 * seconds:.0f} ms a frame", flush=True)


def main() -> None:
    """Print a line for each scene, or for each real clip."""
    if sys.argv[1:] == ["real"]:
        for clip in (*REAL_PARTS, REAL_INSTANCES):
            _print(clip.name, *look_at_real(clip))
        return
    is_predicted = sys.argv[1:2] == ["predicted"]
    model = open_model(Path("drawn"), "auto", "auto")[0] if is_predicted else None
    for asked in sys.argv[1 + is_predicted :] or HELD_OUT:
        name, _, seed = asked.partition(":")
        figures, seconds = look_at(named_scene(name, int(seed or 0), ROWS, COLUMNS), model)
        _print(f"{name}:{seed or 0}", figures, seconds)


if __name__ == "__main__":
    main()
