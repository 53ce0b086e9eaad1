"""How well instruments, tracks, parts and tips are told in true masks of drawn scenes, and what a frame costs.

    python -m benchmarks.grouping                      # scenes and seeds that nothing was chosen on
    python -m benchmarks.grouping crossing:12 round:17

A scene is drawn at 256 rows, every 4th frame (6 a second), 30 of them; each instrument's first tip counts.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import numpy as np

from cuemask.evaluation import instances, parts, tips, tracks
from cuemask.evaluation.overlaps import Overlaps, mask_overlaps
from cuemask.grouping.parts import Profiles, parts_of
from cuemask.grouping.tracks import Tracker
from cuemask.phantom import PhantomFrame, PhantomScene, named_scene

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


def look_at(scene: PhantomScene) -> tuple[dict[str, object], float]:
    """Figures of one scene, and seconds of the processor for each frame: instances and parts."""
    frames = [scene.frame(number) for number in range(0, FRAMES * EVERY, EVERY)]
    tracker, profiles = Tracker(), Profiles()
    inside = np.any([frame.rgb.max(axis=2) > 0 for frame in frames], axis=0) if scene.round_picture else None
    started = time.process_time()
    told = [tracker.push(frame.mask, inside, frame.rgb) for frame in frames]
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


def main() -> None:
    """Print a line for each scene."""
    for asked in sys.argv[1:] or HELD_OUT:
        name, _, seed = asked.partition(":")
        figures, seconds = look_at(named_scene(name, int(seed or 0), ROWS, COLUMNS))
        told = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
        print(f"{name}:{seed or 0}  {told}, {1000 * seconds:.0f} ms a frame", flush=True)


if __name__ == "__main__":
    main()
