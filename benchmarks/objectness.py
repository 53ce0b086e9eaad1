"""Objectness, side by side: ours, ours at full size, literal loops, OpenCV's Selective Search.

Run from the repository's root::

    python -m benchmarks.objectness [--repeats 7] [--threads 1]

The contestants run in alternation, so that a slow minute of the machine hits all of them. The loops are timed
at few windows, and so are we beside them: same drawn windows, same cues.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from tests.cues import objectness_reference

from cuemask.cues import objectness

SHARED = Path(__file__).parents[2] / "shared" / "data"
LOOP_WINDOWS = 200
WORKING = (160, 128)


def picture() -> tuple[str, np.ndarray]:
    """A real frame at 640 x 512 where there is one, else a drawn scene of that size."""
    folder = Path(os.environ.get("CUEMASK_DATA", SHARED)) / "endovis17_dataset4" / "frames"
    bgr = cv2.imread(str(folder / "frame000.png")) if (folder / "frame000.png").is_file() else None
    if bgr is None:
        return "synthetic scene, 640 x 512", synthetic_scene()
    small = cv2.resize(bgr[28:1052, 320:1600], (640, 512), interpolation=cv2.INTER_AREA)
    return "endovis17_dataset4 frame000, cropped, 640 x 512", np.ascontiguousarray(small[..., ::-1])


def synthetic_scene(seed: int = 0) -> np.ndarray:
    """Grey bars on red texture."""
    rng = np.random.default_rng(seed)
    texture = sum(
        cv2.resize(rng.normal(0, 1, (4 * n, 5 * n, 3)), (640, 512), interpolation=cv2.INTER_CUBIC) * 40 / n
        for n in (2, 4, 8, 16, 32)
    )
    rgb = np.clip(np.array([165, 75, 70]) + texture, 0, 255).astype(np.uint8)
    for start, stop, width in (((640, 150), (330, 110), 60), ((0, 350), (190, 290), 50)):
        cv2.line(rgb, start, stop, (90, 90, 95), width)
        cv2.line(rgb, start, stop, (150, 150, 155), width // 3)
    return rgb


def selective_search(rgb: np.ndarray) -> np.ndarray:
    """Selective Search, fast mode: windows (top, left, bottom, right), likely ones first, without scores."""
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(rgb[..., ::-1]))
    search.switchToSelectiveSearchFast()
    left, top, width, height = search.process().T
    return np.stack([top, left, top + height, left + width], axis=1).astype(np.int64)


def selective_search_map(rgb: np.ndarray) -> np.ndarray:
    """How many of its first 1,000 windows cover each pixel."""
    windows = selective_search(rgb)[:1000]
    return objectness.heat_map(windows, np.ones(len(windows)), *rgb.shape[:2])


def contestants(rgb: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """What runs, by the name it is printed under; each gives a heat map."""
    full = rgb.shape[0]
    small = cv2.resize(rgb, WORKING, interpolation=cv2.INTER_AREA)

    def loops() -> np.ndarray:
        windows, saliency = objectness.candidate_windows(small, LOOP_WINDOWS)
        bins, segments = objectness.quantized_lab(small), objectness.superpixels(small)
        return objectness_reference.objectness_map(windows, saliency, bins, segments, 1000)

    few = f"{LOOP_WINDOWS} candidates"
    return {
        "ours, default": lambda: objectness.objectness_cue(rgb),
        "ours, default, all four cues": lambda: objectness.objectness_cue(
            rgb, cues=("saliency", "contrast", "edges", "straddling")
        ),
        "ours, default, 100,000 candidates": lambda: objectness.objectness_cue(rgb, candidates=100_000),
        "ours, full size": lambda: objectness.objectness_cue(rgb, working_height_px=full),
        "ours, full size, 100,000 candidates": lambda: objectness.objectness_cue(
            rgb, working_height_px=full, candidates=100_000
        ),
        f"ours, {few}": lambda: objectness.objectness_cue(rgb, candidates=LOOP_WINDOWS),
        f"literal loops, {few}": loops,
        "Selective Search fast, 160 x 128": lambda: selective_search_map(small),
        "Selective Search fast, full size": lambda: selective_search_map(rgb),
    }


def stages(rgb: np.ndarray) -> dict[str, Callable[[], object]]:
    """The default's steps at its working size."""
    small = cv2.resize(rgb, WORKING, interpolation=cv2.INTER_AREA)
    windows, saliency = objectness.candidate_windows(small, 10_000)
    bins, segments = objectness.quantized_lab(small), objectness.superpixels(small)
    found, p = objectness.objectness_windows(small)
    return {
        "draw candidates by saliency": lambda: objectness.candidate_windows(small, 10_000),
        "colour contrast": lambda: objectness.contrast_scores(objectness.quantized_lab(small), windows),
        "edge density (not in the default)": lambda: objectness.edge_scores(objectness.edge_map(small), windows),
        "superpixels": lambda: objectness.superpixels(small),
        "straddling": lambda: objectness.straddling_scores(segments, windows),
        "suppress overlaps (by saliency)": lambda: objectness.suppress_overlaps(windows, saliency, 1000),
        "heat map": lambda: objectness.heat_map(found, p, *bins.shape),
    }


Times = dict[str, list[tuple[float, float]]]


def timed(runs: dict[str, Callable[[], object]], repeats: int) -> tuple[Times, dict[str, object]]:
    """Wall and processor milliseconds of each run, in alternation, after one run to warm up; its results."""
    results = {name: run() for name, run in runs.items()}
    times: Times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            wall, busy = time.perf_counter(), time.process_time()
            run()
            times[name].append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - busy)))
    return times, results


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, of two maps brought to 640 x 512."""
    size = (640, 512)
    return float(np.corrcoef(cv2.resize(a, size).ravel(), cv2.resize(b, size).ravel())[0, 1])


def print_times(times: Times, notes: dict[str, str]) -> None:
    """A row each: median, least and greatest wall time, median processor time."""
    print(f"{'milliseconds':38s}{'median':>9s}{'min':>9s}{'max':>9s}{'processor':>11s}")
    for name, values in times.items():
        wall, busy = zip(*values, strict=True)
        row = f"{name:38s}{statistics.median(wall):9.1f}{min(wall):9.1f}{max(wall):9.1f}"
        print(f"{row}{statistics.median(busy):11.1f}   {notes.get(name, '')}".rstrip())
    print()


def processor() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    """Print who runs where, then both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    name, rgb = picture()
    print(f"{name}\n{processor()}, {os.cpu_count()} processors, {arguments.threads} OpenCV thread(s)")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, OpenCV {cv2.__version__}")
    print(f"{arguments.repeats} repeats in alternation after one to warm up\n")
    times, maps = timed(contestants(rgb), arguments.repeats)
    full = maps["ours, full size, 100,000 candidates"]
    notes = {key: f"r = {correlation(heat, full):.3f} with full size, 100,000" for key, heat in maps.items()}
    few = f"{LOOP_WINDOWS} candidates"
    same = correlation(maps[f"literal loops, {few}"], maps[f"ours, {few}"])
    notes[f"literal loops, {few}"] = f"r = {same:.5f} with ours at the same windows"
    print_times(times, notes)
    print_times(timed(stages(rgb), arguments.repeats)[0], {})


if __name__ == "__main__":
    main()
