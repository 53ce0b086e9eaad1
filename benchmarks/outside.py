"""Frames filmed outside the body: what is found of drawn ones, and what is found in vain in phantoms and real clips.

    python -m benchmarks.outside

Of each phantom and each real clip of eight frames or more, a fifth as many pictures of one kind are put among its
frames, so that what the frames are held against has seen them too. Real frames: $CUEMASK_DATA.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.clips import PHANTOMS, real_cases
from benchmarks.machine import data_folder
from benchmarks.outside_drawn import HARD, KINDS, drawn
from cuemask.cues.clip import working_inside, working_picture
from cuemask.cues.outside import FEWEST, SAMPLED, Outside, outside_of
from cuemask.media.area import picture_area
from cuemask.media.clips import open_clips
from cuemask.recipe import DEFAULT

RESULTS = Path(__file__).parent / "results" / "outside.md"
MOST_FRAMES = 50  # of a clip, among which drawn pictures are put


@dataclass(frozen=True)
class Pictures:
    """A clip at working size: all frames from within, and where the endoscope's picture is."""

    name: str
    frames: list[np.ndarray]
    inside: np.ndarray | None

    def some(self, count: int) -> list[np.ndarray]:
        """Frames spread over the clip."""
        return [self.frames[i] for i in np.unique(np.linspace(0, len(self.frames) - 1, count).astype(int))]


@dataclass
class Count:
    """Of so many pictures, so many were found to be outside."""

    found: int = 0
    of: int = 0

    def add(self, judge: Outside, pictures: Sequence[np.ndarray], inside: np.ndarray | None) -> None:
        """Judge pictures."""
        self.found += sum(judge.holds(rgb, inside) for rgb in pictures)
        self.of += len(pictures)

    def __str__(self) -> str:
        return f"{self.found:,} of {self.of:,}"


def main() -> None:
    """Measure, and write the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    phantoms, real = list(drawn_clips()), list(real_clips(data_folder()))
    judged = [clip for clip in real if len(clip.frames) >= FEWEST]
    text = "\n\n".join(
        [
            "# Frames filmed outside the body",
            "`python -m benchmarks.outside`, thresholds of `cuemask.cues.outside`. What is drawn is in "
            "`benchmarks/outside_drawn.py`: some towels are stained with blood, some screens show the operation, and "
            "through the trocar's end tissue shows.",
            f"## Drawn pictures among {len(phantoms)} phantoms and {len(judged)} real clips",
            found_of_kinds(phantoms, judged),
            "## Frames from within, found in vain",
            found_in_vain(phantoms, real),
            "## Hard pictures from within, made of the same frames, found in vain",
            found_of_hard(phantoms, judged),
        ]
    )
    RESULTS.write_text(text + "\n", encoding="utf-8")
    print(text)


def drawn_clips() -> Iterator[Pictures]:
    """The phantoms of the other benchmarks."""
    for phantom in PHANTOMS:
        frames = [phantom.scene.frame(t).rgb for t in phantom.numbers]
        area = picture_area(frames)
        yield Pictures(
            phantom.name, [working_picture(rgb, area, DEFAULT) for rgb in frames], working_inside(area, DEFAULT)
        )


def real_clips(data: Path) -> Iterator[Pictures]:
    """Every real clip from within the body."""
    inputs = [source.input for case in real_cases(data) for source in case.sources]
    inputs += [str(data / "endoscapes_clip"), *map(str, sorted((data / "autolaparo_clips").glob("*.mp4")))]
    for given in inputs:
        if not Path(given).exists() and "*" not in given:
            continue
        (clip,) = open_clips([given])
        area = picture_area(clip)
        frames = [working_picture(frame.rgb, area, DEFAULT) for frame in clip.frames()]
        name = str(Path(given).relative_to(data)).removesuffix("/frames").removesuffix("/*_endo.png")
        yield Pictures(name, frames, working_inside(area, DEFAULT))


def found_of_kinds(phantoms: Sequence[Pictures], real: Sequence[Pictures]) -> str:
    """Precision and recall by kind."""
    rows = [
        "| kind | found in phantoms | in real clips | in vain beside them | recall | precision |",
        "|---|" + "---|" * 5,
    ]
    for kind in KINDS:
        in_phantoms, in_real, vain = Count(), Count(), Count()
        for count, clips in ((in_phantoms, phantoms), (in_real, real)):
            for number, clip in enumerate(clips):
                frames = clip.some(MOST_FRAMES)
                strange = [outside_picture(kind, number, k, frames[0], clip) for k in range(max(2, len(frames) // 5))]
                judge = judge_of([*frames, *strange], clip.inside)
                count.add(judge, strange, clip.inside)
                vain.add(judge, frames, clip.inside)
        found, of = in_phantoms.found + in_real.found, in_phantoms.of + in_real.of
        precision = f"{found / (found + vain.found):.2f}" if found else "-"
        rows.append(f"| {kind} | {in_phantoms} | {in_real} | {vain} | {found / of:.2f} | {precision} |")
    return "\n".join(rows)


def outside_picture(kind: str, seed: int, number: int, tissue: np.ndarray, clip: Pictures) -> np.ndarray:
    """A drawn picture, black where the endoscope shows none; every other one is of another make."""
    rgb = drawn(kind, 2 * seed + number % 2, 0.02 * number, tissue)
    return rgb if clip.inside is None else rgb * clip.inside[..., None]


def found_in_vain(phantoms: Sequence[Pictures], real: Sequence[Pictures]) -> str:
    """False alarms by clip."""
    rows = ["| clip | frames | found | judged |", "|---|---|---|---|"]
    total = Count()
    for clip in [*phantoms, *real]:
        judge, count = judge_of(clip.frames, clip.inside), Count()
        count.add(judge, clip.frames, clip.inside)
        total.add(judge, clip.frames, clip.inside)
        rows.append(f"| {clip.name} | {count.of} | {count.found} | {'yes' if judge.least else 'no'} |")
    return "\n".join([*rows, f"| all | {total.of:,} | {total.found} | |"])


def found_of_hard(phantoms: Sequence[Pictures], real: Sequence[Pictures]) -> str:
    """False alarms by kind of difficulty."""
    rows = ["| made | phantoms | real clips |", "|---|---|---|"]
    for name, change in HARD.items():
        counts = [_changed(clips, change) for clips in (phantoms, real)]
        rows.append(f"| {name} | {counts[0]} | {counts[1]} |")
    return "\n".join(rows)


def _changed(clips: Sequence[Pictures], change: Callable[[np.ndarray], np.ndarray]) -> Count:
    count = Count()
    for clip in clips:
        hard = [change(rgb) for rgb in clip.some(MOST_FRAMES)]
        if clip.inside is not None:
            hard = [rgb * clip.inside[..., None] for rgb in hard]
        count.add(judge_of(clip.frames, clip.inside), hard, clip.inside)
    return count


def judge_of(frames: Sequence[np.ndarray], inside: np.ndarray | None) -> Outside:
    """Learnt from frames spread over the clip, as a run does."""
    places = np.unique(np.linspace(0, len(frames) - 1, SAMPLED).astype(int))
    return outside_of([frames[place] for place in places], inside)


if __name__ == "__main__":
    main()
