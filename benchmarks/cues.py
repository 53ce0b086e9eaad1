"""Cues and anchors: frames per second, and objectness beside literal loops and OpenCV's proposers.

    python -m benchmarks.cues [--repeats 5] [--frames 120]

Pictures are 640 x 512: the real EndoVis frames where they are (`../shared/data` or $CUEMASK_DATA), else synthetic
ones. Cues and anchors go through the library's own path, with its threads and its files. The loops of
tests/cues/objectness_reference.py look at the windows that ours looks at.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from tests.cues import objectness_reference

from benchmarks.tables import Row, Table, alternated, keep
from cuemask.cues.clip import KeptClip, frame_color, keep_clip
from cuemask.cues.contour import contour_cue
from cuemask.cues.shape import shape_cue
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip, open_clips
from cuemask.media.frames import Frame
from cuemask.media.threads import in_threads
from cuemask.phantom import PhantomScene
from cuemask.recipe import Recipe, load_recipe

objectness = import_module("cuemask.cues.objectness")  # the name in `cuemask.cues` is the function

SHARED = Path(__file__).parents[2] / "shared" / "data"
WIDTH_PX, HEIGHT_PX = 640, 512
WORKING = (160, 128)
AS_IT_WORKS = "default, at its own 160 x 224"
SHORT = "default, a clip of 24 frames"  # as many as are looked over first: nothing is shared out there
LOOP_WINDOWS = 1000
FULL = {"working_height_px": HEIGHT_PX, "candidates": 100_000}
BORDERED = (slice(28, 1052), slice(320, 1600))  # where the picture lies in EndoVis 2017 frames


@dataclass(frozen=True)
class Pictures:
    """Pictures of 640 x 512, where they are from, and heat maps of the original measure for some of them."""

    source: str
    rgb: list[np.ndarray]
    reference: dict[int, np.ndarray]


def main() -> None:
    """Keep two tables: cues and anchors, and objectness by itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, default=120, help="length of the clip made of the pictures")
    arguments = parser.parse_args()
    found = pictures()
    keep(whole_path(found, arguments.repeats, arguments.frames))
    keep(objectness_alone(found, arguments.repeats))


# ---- what is looked at


def pictures() -> Pictures:
    """Real frames where there are any, else synthetic ones."""
    data = Path(os.environ.get("CUEMASK_DATA", SHARED))
    bordered = sorted((data / "endovis17_dataset4" / "frames").glob("*.png"))
    whole = sorted((data / "endovis18_sequence" / "frames").glob("*.png"))
    if not (bordered or whole):
        scene = PhantomScene(seed=1, height_px=HEIGHT_PX, width_px=WIDTH_PX)
        return Pictures(f"8 synthetic frames ({data} is absent)", [scene.frame(5 * t).rgb for t in range(8)], {})
    rgb = [reduced(cv2.imread(str(file))[BORDERED]) for file in bordered]
    rgb += [reduced(cv2.imread(str(file))) for file in whole]
    source = f"{len(bordered)} frames of endovis17_dataset4 and {len(whole)} of endovis18_sequence"
    return Pictures(source, rgb, references(data, bordered, whole))


def reduced(bgr: np.ndarray) -> np.ndarray:
    """RGB of 640 x 512, by area."""
    return np.ascontiguousarray(cv2.resize(bgr, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)[..., ::-1])


def references(data: Path, bordered: Sequence[Path], whole: Sequence[Path]) -> dict[int, np.ndarray]:
    """Heat maps by an independent port of the original measure, by the number of the picture."""
    found: dict[int, np.ndarray] = {}
    for offset, files, name in ((0, bordered, "endovis17"), (len(bordered), whole, "endovis18")):
        for map_file in sorted((data / "objectness_reference").glob(f"*{name}*.png")):
            numbers = [k for k, file in enumerate(files) if file.stem in map_file.stem]
            heat = cv2.imread(str(map_file), cv2.IMREAD_GRAYSCALE)
            found |= {offset + k: heat.astype(np.float32) / 255 for k in numbers}
    return found


# ---- the whole path


def whole_path(found: Pictures, repeats: int, frames: int) -> Table:
    """Frames per second from pictures to anchors."""
    looped = list(itertools.islice(itertools.cycle(found.rgb), frames))
    stream = [Frame(f"{k:04d}", k, None, rgb) for k, rgb in enumerate(looped)]
    with tempfile.TemporaryDirectory() as folder:
        clip = clip_of(found.rgb[:2], Path(folder))
        runs: dict[str, Callable[[], object]] = {}
        length: dict[str, int] = {}
        for name, settings in {
            "default": (),
            "paper": (),
            "released": (),
            "default, colour and location alone": ("cues.use=color,location",),
            AS_IT_WORKS: (),
            SHORT: (),
        }.items():
            size = () if name == AS_IT_WORKS else (f"input.height_px={HEIGHT_PX}", f"input.width_px={WIDTH_PX}")
            recipe = load_recipe(name.split(",")[0], [*size, *settings])
            length[name] = min(24, frames) if name == SHORT else frames
            runs[name] = lambda r=recipe, n=length[name]: anchored(clip, stream[:n], r, Path(folder))
        seconds = alternated(runs, repeats)
    rates = {name: [length[name] / value for value in values] for name, values in seconds.items()}
    least = min(median(rates[name]) for name in ("default", "paper", "released"))
    return Table(
        key="cues",
        title="Cues and anchors",
        question=(
            "Frames per second from 640 x 512 pictures to both anchors, all cues of the recipe, all cores: "
            f"{found.source}, repeated to {frames} frames. The real path with its files: cues in a first pass, the "
            "location map of the clip, anchors in a second. `default` looks 24 frames of a clip over beforehand."
        ),
        command="python -m benchmarks.cues",
        unit="frames per second",
        rows=[Row(name, values) for name, values in rates.items()],
        findings=[
            f"Slowest recipe: {least:.1f} frames per second; default's {median(rates['default']):.1f} (aim on 2 cores: "
            f"15), and {median(rates[AS_IT_WORKS]):.1f} as it works (aim: 25).",
            same_as_one_by_one(found),
            stages(found.rgb[0]),
        ],
    )


def clip_of(rgb: Sequence[np.ndarray], folder: Path) -> Clip:
    """A clip that is open; its frames come from memory."""
    (folder / "pictures").mkdir()
    for k, picture in enumerate(rgb):
        cv2.imwrite(str(folder / "pictures" / f"{k}.png"), picture[..., ::-1])
    return open_clips([folder / "pictures"])[0]


def anchored(clip: Clip, stream: Sequence[Frame], recipe: Recipe, folder: Path) -> tuple[KeptClip, list[np.ndarray]]:
    """Cues of all frames, kept; then the anchors of all frames."""
    area = PictureArea(0, 0, HEIGHT_PX, WIDTH_PX, None)
    kept = keep_clip(clip, area, recipe, folder, 0, stream)
    both = [np.stack(a) for a in in_threads(lambda k: kept.anchors(k, recipe), range(len(stream)))]
    return kept, both


def same_as_one_by_one(found: Pictures) -> str:
    """The threads' anchors against the cues' plain functions, one frame after another."""
    recipe = load_recipe("paper", [f"input.height_px={HEIGHT_PX}", f"input.width_px={WIDTH_PX}"])
    stream = [Frame(f"{k:04d}", k, None, rgb) for k, rgb in enumerate(found.rgb)]
    with tempfile.TemporaryDirectory() as folder:
        _, threaded = anchored(clip_of(found.rgb[:2], Path(folder)), stream, recipe, Path(folder))
    color = [frame_color(rgb, None, recipe) for rgb in found.rgb]
    location = np.mean(color, axis=0)
    largest = 0.0
    for own, rgb, both in zip(color, found.rgb, threaded, strict=True):
        heat = objectness.objectness_cue(rgb, superpixel_cost=recipe.cues.superpixel_cost)
        plain = np.stack([own * heat * location, (1 - own) * (1 - heat) * (1 - location)])
        largest = max(largest, float(np.abs(plain - both).max()))
    return (
        "Anchors of the whole path against the cues' functions called one by one (paper): largest difference "
        f"{largest:.1e}."
    )


def stages(rgb: np.ndarray) -> str:
    """Milliseconds of each part, alone."""
    small = cv2.resize(rgb, WORKING, interpolation=cv2.INTER_AREA)
    windows, saliency = objectness.candidate_windows(small, 5_000)
    segments = objectness.superpixels(small)
    default, paper = load_recipe("default"), load_recipe("paper")
    color = frame_color(rgb, None, default)
    parts: dict[str, Callable[[], object]] = {
        "colour of default": lambda: frame_color(rgb, None, default),
        "colour of paper": lambda: frame_color(rgb, None, paper),
        "contour": lambda: contour_cue(color),
        "shape": lambda: shape_cue(rgb),
        "objectness": lambda: objectness.objectness_cue(rgb),
        "of which drawing candidates": lambda: objectness.candidate_windows(small, 5_000),
        "contrast": lambda: objectness.contrast_scores(objectness.quantized_lab(small), windows),
        "superpixels": lambda: objectness.superpixels(small),
        "straddling": lambda: objectness.straddling_scores(segments, windows),
        "suppression": lambda: objectness.suppress_overlaps(windows, saliency, 1000),
    }
    times = alternated(parts, 5)
    return "One frame, part by part, ms: " + ", ".join(f"{k} {1000 * median(v):.1f}" for k, v in times.items()) + "."


# ---- objectness beside others


def objectness_alone(found: Pictures, repeats: int) -> Table:
    """Milliseconds a picture of each way to a heat map of objects, and how far the maps agree."""
    rgb = found.rgb[0]
    runs = contestants(rgb)
    maps = {name: run() for name, run in runs.items()}
    loops, equal = f"literal loops, {LOOP_WINDOWS:,} candidates", f"ours, {LOOP_WINDOWS:,} candidates"
    same = correlation(maps[loops], maps[equal])
    if same < 0.99:
        raise SystemExit(f"ours and the loops differ at equal windows (r = {same:.4f}): no speed is told")
    seconds = alternated(runs, repeats, warm=0)  # the maps above were the warming up
    full = maps["ours, full size, 100,000 candidates"]
    rows = [
        Row(name, [1000 * value for value in values], f"r = {correlation(maps[name], full):.3f} with full size")
        for name, values in seconds.items()
    ]
    ratio = median(seconds[loops]) / median(seconds[equal])
    search = median(seconds["Selective Search fast"]) / median(seconds["ours, default"])
    boxes = median(seconds["EdgeBoxes on our edge map"]) / median(seconds["ours, default"])
    return Table(
        key="objectness",
        title="Objectness by itself",
        question=(
            "A heat map of one 640 x 512 picture: ours at its working height of 128 px and at full size, literal loops "
            "at the same windows, and OpenCV's proposers that need no file of weights, their first 1,000 boxes summed."
        ),
        command="python -m benchmarks.cues",
        unit="ms a picture",
        rows=rows,
        findings=[
            f"Loops and ours at equal windows: r = {same:.5f} (aim: 0.99), largest difference of the maps "
            f"{np.abs(maps[loops] - maps[equal]).max():.1e}; ours is {ratio:.0f} times as fast (aim: 100). Candidates, "
            "colour bins and superpixels come from the same functions in both, which is in the loops' favour.",
            f"Selective Search fast takes {search:.1f} times as long as ours, EdgeBoxes {boxes:.1f} times.",
            full_size(found),
            original_measure(found, runs),
        ],
    )


def contestants(rgb: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """What runs, by name; each gives a heat map."""
    small = cv2.resize(rgb, WORKING, interpolation=cv2.INTER_AREA)

    def equal() -> np.ndarray:
        windows, p = objectness.objectness_windows(small, candidates=LOOP_WINDOWS)
        return objectness.heat_map(windows, p, *small.shape[:2])

    def loops() -> np.ndarray:
        windows, saliency = objectness.candidate_windows(small, LOOP_WINDOWS)
        bins, segments = objectness.quantized_lab(small), objectness.superpixels(small)
        return objectness_reference.objectness_map(windows, saliency, bins, segments, 1000)

    return {
        "ours, default": lambda: objectness.objectness_cue(rgb),
        "ours, default, 100,000 candidates": lambda: objectness.objectness_cue(rgb, candidates=100_000),
        "ours, full size, 100,000 candidates": lambda: objectness.objectness_cue(rgb, **FULL),
        f"ours, {LOOP_WINDOWS:,} candidates": equal,
        f"literal loops, {LOOP_WINDOWS:,} candidates": loops,
        "Selective Search fast": lambda: selective_search_map(rgb),
        "Selective Search fast, 160 x 128": lambda: selective_search_map(small),
        "EdgeBoxes on our edge map": lambda: edge_boxes_map(rgb),
        "EdgeBoxes on our edge map, 160 x 128": lambda: edge_boxes_map(small),
    }


def selective_search_map(rgb: np.ndarray) -> np.ndarray:
    """How many of Selective Search's first 1,000 boxes cover each pixel; it gives likely ones first, unscored."""
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(rgb[..., ::-1]))
    search.switchToSelectiveSearchFast()
    boxes = search.process()[:1000]
    return boxes_map(boxes, np.ones(len(boxes)), rgb)


def edge_boxes_map(rgb: np.ndarray) -> np.ndarray:
    """EdgeBoxes on gradients instead of its learned edges, its 1,000 best boxes summed by score."""
    gray = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), np.sqrt(2)).astype(np.float32)
    dx, dy = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    strength = np.where(objectness.edge_map(rgb), np.hypot(dx, dy), np.float32(0))
    proposer = cv2.ximgproc.createEdgeBoxes()
    proposer.setMaxBoxes(1000)
    along = np.mod(np.arctan2(dy, dx), np.pi).astype(np.float32)
    boxes, scores = proposer.getBoundingBoxes(strength / max(float(strength.max()), 1e-6), along)
    return boxes_map(np.asarray(boxes), np.asarray(scores).ravel(), rgb)


def boxes_map(boxes: np.ndarray, scores: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """The heat map of boxes (left, top, width, height)."""
    left, top, width, height = boxes.reshape(-1, 4).T.astype(np.int64)
    windows = np.stack([top, left, top + height, left + width], axis=1)
    windows = np.clip(windows, 0, np.tile(rgb.shape[:2], 2))
    return objectness.heat_map(windows, scores, *rgb.shape[:2])


def full_size(found: Pictures) -> str:
    """The default against full size with 100,000 candidates, on every picture."""
    r = [correlation(objectness.objectness_cue(p), objectness.objectness_cue(p, **FULL)) for p in found.rgb]
    return (
        f"The default against full size with 100,000 candidates, {found.source}: r at least {min(r):.3f}, "
        f"median {median(r):.3f} (aim: 0.95)."
    )


def original_measure(found: Pictures, runs: dict[str, Callable[[], np.ndarray]]) -> str:
    """Agreement with heat maps by an independent port of the original measure."""
    if not found.reference:
        return "Against the original measure: no heat maps of it here, not compared."
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "ours": objectness.objectness_cue,
        "Selective Search": selective_search_map,
        "EdgeBoxes": edge_boxes_map,
    }
    told = [
        f"{name} " + " and ".join(f"{correlation(way(found.rgb[k]), heat):.3f}" for k, heat in found.reference.items())
        for name, way in ways.items()
    ]
    return f"Against the original measure's heat maps of {len(found.reference)} frames: r = {', '.join(told)}."


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, of two maps brought to 640 x 512."""
    size = (WIDTH_PX, HEIGHT_PX)
    return float(np.corrcoef(cv2.resize(a, size).ravel(), cv2.resize(b, size).ravel())[0, 1])


if __name__ == "__main__":
    main()
