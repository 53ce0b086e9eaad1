"""Burnt-in text and logos: how much of drawn ones is found, and what is found in vain in phantoms and real clips.

    python -m benchmarks.burnt_in

A name, a caption in colour, a clock whose digits change, a white caption that is half transparent, a logo in blue and
white and one in grey are drawn over phantoms and the real videos, which are then encoded anew.
Real frames: $CUEMASK_DATA.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from benchmarks.clips import PHANTOMS, real_cases
from benchmarks.machine import data_folder
from cuemask.media.clips import Clip, open_clips
from cuemask.media.overlay import OverlayWriter
from cuemask.media.text import Ranges, can_tell
from cuemask.recipe import DEFAULT
from cuemask.runs.options import Options, area_of

T = TypeVar("T")
RESULTS = Path(__file__).parent / "results" / "burnt_in.md"
FRAMES = 16  # of a clip that are drawn on: as many as are looked at
WHITE, GREEN = (255, 255, 255), (90, 235, 70)
WORDS = {"name": ("DOE JOHN 1965", WHITE), "caption": ("CAM 2 REC", GREEN), "clock": ("", WHITE)}
HALF = "half transparent"
LOGOS = {"blue logo": ((30, 110, 240), (250, 250, 250)), "grey logo": ((150, 150, 155), (60, 60, 62))}
KINDS = (*WORDS, HALF, *LOGOS)


def main() -> None:
    """Measure, and write the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    data = data_folder()
    rows = [f"| clip | {' | '.join(KINDS)} | of the picture besides |", "|---" * (len(KINDS) + 2) + "|"]
    with tempfile.TemporaryDirectory() as folder:
        for name, frames in moving(data):
            found, more = found_in(frames, Path(folder) / "clip.mp4")
            rows.append(f"| {name} | " + " | ".join(f"{found[key]:.0%}" for key in KINDS) + f" | {more:.2%} |")
    vain = ["| clip | boxes | judged |", "|---|---|---|"]
    for clip, name in real_clips(data):
        area, ranges = area_of(clip, Options(Path(), DEFAULT)), Ranges()
        for rgb in clip.sample():
            ranges.add(rgb)
        vain.append(f"| {name} | {len(area.text)} | {'yes' if can_tell(ranges, area) else 'no'} |")
    text = "\n\n".join(
        [
            "# Burnt-in text and logos",
            "`python -m benchmarks.burnt_in`. Of each line and logo, the share of its pixels that the boxes cover.",
            "\n".join(rows),
            "## Real clips as they are, without text over the picture: boxes found in vain",
            "\n".join(vain),
        ]
    )
    RESULTS.write_text(text + "\n", encoding="utf-8")
    print(text)


def moving(data: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Frames spread over clips, and what these are called."""
    for phantom in PHANTOMS:
        yield phantom.name, [_larger(phantom.scene.frame(t).rgb) for t in _spread(phantom.numbers)]
    for path in [*sorted((data / "autolaparo_clips").glob("*.mp4")), data / "endoscapes_clip"]:
        if path.exists():
            (clip,) = open_clips([path])
            taken = _spread(range(clip.frame_count or FRAMES))
            yield path.name, [frame.rgb for frame in clip.frames() if frame.index in taken]


def _spread(items: Sequence[T]) -> list[T]:
    return [items[k] for k in np.linspace(0, len(items) - 1, FRAMES).round().astype(int)]


def real_clips(data: Path) -> Iterator[tuple[Clip, str]]:
    """Every real clip."""
    inputs = [source.input for case in real_cases(data) for source in case.sources]
    inputs += [str(data / "endoscapes_clip"), *map(str, sorted((data / "autolaparo_clips").glob("*.mp4")))]
    for given in inputs:
        if Path(given).exists() or "*" in given:
            yield open_clips([given])[0], str(Path(given).relative_to(data)).removesuffix("/frames")


def found_in(frames: Sequence[np.ndarray], path: Path) -> tuple[dict[str, float], float]:
    """Of each line the share that is found, and the share of the picture that is taken without need."""
    height, width = frames[0].shape[:2]
    truth = {key: np.zeros((height, width), bool) for key in KINDS}
    with OverlayWriter(path, Fraction(25)) as video:
        for number, rgb in enumerate(frames):
            drawn = rgb.copy()
            for row, key in enumerate(WORDS):
                signs = _signs(key, number, row, height, width)
                truth[key] |= signs > 127
                drawn = _over(drawn, signs / 255, WORDS[key][1])
            signs = _written("ENDO VIEW", (0.5, 0.9), height, width)
            truth[HALF] |= signs > 127
            drawn = _over(drawn, 0.5 * signs / 255, WHITE)
            for column, (key, colors) in zip((0.15, 0.75), LOGOS.items(), strict=True):
                disc, ring = _logo(column, height, width)
                truth[key] |= disc > 0
                drawn = _over(_over(drawn, disc / 255, colors[0]), ring / 255, colors[1])
            video.write(drawn)
    (clip,) = open_clips([path])
    area, covered = area_of(clip, Options(path.parent, DEFAULT)), np.zeros((height, width), bool)
    for top, left, high, wide in area.text:
        covered[top : top + high, left : left + wide] = True
    near = cv2.dilate(np.any(list(truth.values()), axis=0).astype(np.uint8), np.ones((31, 61), np.uint8)) > 0
    return {key: float(covered[mask].mean()) for key, mask in truth.items()}, float((covered & ~near).mean())


def _signs(key: str, number: int, row: int, height: int, width: int) -> np.ndarray:
    """A line as it stands in a frame: 0 to 255 where its strokes are."""
    words = WORDS[key][0] or f"10:{42 + number // 8:02d}:{number * 7 % 60:02d}"
    return _written(words, (0.3, 0.2 + 0.25 * row), height, width)


def _over(rgb: np.ndarray, share: np.ndarray, color: Sequence[int]) -> np.ndarray:
    return (rgb * (1 - share[..., None]) + np.array(color) * share[..., None]).astype(np.uint8)


def _logo(column: float, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A disc and, on it, a ring: 0 to 255."""
    disc, ring = np.zeros((2, height, width), np.uint8)
    middle, radius = (round(column * width), round(0.5 * height)), round(0.05 * height)
    cv2.circle(disc, middle, radius, 255, -1, cv2.LINE_AA)
    cv2.circle(ring, middle, radius // 2, 255, max(1, radius // 5), cv2.LINE_AA)
    return disc, ring


def _written(words: str, where: tuple[float, float], height: int, width: int) -> np.ndarray:
    drawn = np.zeros((height, width), np.uint8)
    scale, weight = height / 520, max(1, round(height / 260))
    place = (round(where[0] * width), round(where[1] * height))
    cv2.putText(drawn, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, weight, cv2.LINE_AA)
    return drawn


def _larger(rgb: np.ndarray) -> np.ndarray:
    return cv2.resize(rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)


if __name__ == "__main__":
    main()
