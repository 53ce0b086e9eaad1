"""From a 1080p H.264 file to mask files, end to end: torch, ONNX Runtime, 8-bit integers, full and small network.

    python -m benchmarks.inference [--frames 120] [--repeats 5] [--provider cpu] [--steps N]

The small network is that of the recipe `default`, which sees blocks of 2 x 2 pixels; the full one is a U-Net on single
pixels with a level more, so that both see as far, all else being equal. Both are trained on the real EndoVis clips
together, without a label, and exported; 8-bit ranges are measured on the clips themselves. What each then costs in IoU
is told against the true masks, and whether ONNX Runtime's masks are torch's, before any speed is.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.clips import Case, Key, endovis_together, masks_of_run, real_cases, true_masks
from benchmarks.machine import data_folder
from benchmarks.tables import Row, Table, alternated, keep
from cuemask.evaluation.metrics import Counts, iou
from cuemask.inference.live import live_mask
from cuemask.inference.model import FILE, load_model, save_model
from cuemask.inference.runtime import load_onnx
from cuemask.media.area import picture_area
from cuemask.media.frames import Selection
from cuemask.media.memory import keep_freed_memory
from cuemask.media.overlay import OverlayWriter
from cuemask.media.video import video_frames
from cuemask.recipe import load_recipe
from cuemask.runs.exporting import export_onnx
from cuemask.runs.learning import train
from cuemask.runs.options import Options
from cuemask.runs.predicting import predict

HEIGHT, WIDTH = 1080, 1920
AIM_FPS, AIM_DRAWN_FPS, AIM_IOU, AIM_AGREEMENT = 60, 40, 0.005, 0.999
# By their names here, the settings beside the recipe `default`.
NETWORKS = {"full": ("network.start=chance", "network.block_px=1"), "default": ()}
LATENCY_REPEATS = 100

Contestant = tuple[str, str]  # network and what runs it


def main() -> None:
    """Train, export, score, and only then time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--provider", default="cpu", help="of ONNX Runtime: cpu, cuda, tensorrt, openvino")
    parser.add_argument("--steps", type=int, help="of training, instead of the recipe's")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command does
    case = endovis_together(real_cases(data_folder()))
    truth = true_masks(case)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        models = {name: _models(name, case, work, arguments.steps) for name in NETWORKS}
        exact = {name: _masks(models[name]["torch float32"], case, work / name, "cpu") for name in NETWORKS}
        scores, agreements = {}, {}
        for network, kind in itertools.product(NETWORKS, ("torch", "float32", "int8")):
            masks = _masks(models[network][kind], case, work / f"{network}-{kind}", arguments.provider)
            scores[network, kind] = _mean_iou(masks, truth)
            agreements[network, kind] = _mean_iou(masks, exact[network])
        video = work / "video.mp4"
        _write_video(video, case, arguments.frames)
        runs = {
            f"{network}, {kind}{', overlay.mp4 too' if drawn else ''}": (models[network][kind], drawn)
            for network, kind, drawn in [
                *((n, k, False) for n in NETWORKS for k in ("torch", "float32", "int8")),
                ("default", "int8", True),
            ]
        }
        seconds = alternated(
            {
                name: _run(model, video, work / "out", arguments.provider, drawn)
                for name, (model, drawn) in runs.items()
            },
            arguments.repeats,
        )
        exported = {(n, k): models[n][k] for n in NETWORKS for k in ("float32", "int8")}
        latencies = _latencies(exported, video, arguments.provider)
    fps = {name: [arguments.frames / s for s in values] for name, values in seconds.items()}
    rows = []
    for name, values in fps.items():
        network, kind = name.split(", ")[:2]
        note = f"IoU {scores[network, kind]:.4f}; {agreements[network, kind]:.4f} with torch's float32 masks"
        rows.append(Row(name, values, note))
    keep(_table(rows, fps, scores, agreements, arguments, len(truth)))
    keep(_latency_table(latencies, arguments.provider))


def _models(name: str, case: Case, work: Path, steps: int | None) -> dict[str, Path]:
    """Train the network of that name; the run, the run in float32, and both exports."""
    recipe = load_recipe("default", [*NETWORKS[name], *([f"training.steps={steps}"] if steps else [])])
    run = train(case.inputs, Options(out=work / f"{name}-run", recipe=recipe))
    float32 = work / f"{name}-run-float32"
    # The same weights, told to compute in float32: bfloat16, torch's default here, moves a few pixels.
    _with_precision(run, float32)
    files = {kind: work / f"{name}-{kind}.onnx" for kind in ("float32", "int8")}
    export_onnx(run, files["float32"])
    export_onnx(run, files["int8"], case.inputs)
    return {"torch": run, "torch float32": float32, **files}


def _with_precision(run: Path, out: Path) -> None:
    model = load_model(run)
    out.mkdir()
    recipe = replace(model.recipe, training=replace(model.recipe.training, precision="float32"))
    save_model(model.network, recipe, out / FILE)


def _masks(model: Path, case: Case, out: Path, provider: str) -> dict[Key, np.ndarray]:
    """Masks of the frames that have true ones."""
    where = {"provider": provider} if model.suffix == ".onnx" else {}
    predict(model, case.inputs, Options(out=out, overlay=False, report=False, **where))
    return masks_of_run(case, out)


def _mean_iou(masks: dict[Key, np.ndarray], truth: dict[Key, np.ndarray]) -> float:
    return float(np.mean([iou(Counts.of(masks[key], truth[key])) for key in truth]))


def _write_video(path: Path, case: Case, frames: int) -> None:
    """A 1080p H.264 video that moves, with sensor noise, from the pictures of the first clip of `case`."""
    rng = np.random.default_rng(0)
    with OverlayWriter(path, Fraction(25)) as video:
        for rgb in itertools.islice(_moving(case, rng), frames):
            video.write(rgb)


def _moving(case: Case, rng: np.random.Generator) -> Iterator[np.ndarray]:
    pictures = [cv2.imread(str(path))[..., ::-1] for path in sorted(Path(case.inputs[0]).glob("*.png"))]
    for number in itertools.count():
        shown = cv2.resize(pictures[number // 12 % len(pictures)], (WIDTH, HEIGHT))
        step = number % 12
        shown = cv2.warpAffine(shown, np.float32([[1, 0, 3 * step], [0, 1, 2 * step]]), (WIDTH, HEIGHT))
        noise = rng.integers(-3, 4, (HEIGHT, WIDTH, 1)) * (shown > 8)
        yield np.clip(shown + noise, 0, 255).astype(np.uint8)


def _run(model: Path, video: Path, out: Path, provider: str, drawn: bool) -> Callable[[], None]:
    where = {"provider": provider} if model.suffix == ".onnx" else {}

    def run() -> None:
        shutil.rmtree(out, ignore_errors=True)
        predict(model, [video], Options(out=out, overlay=drawn, report=False, **where))

    return run


def _latencies(models: dict[Contestant, Path], video: Path, provider: str) -> dict[str, list[float]]:
    """Milliseconds from a decoded 1080p frame to its mask, one frame at a time, all cores on it, as `live` does."""
    frames = [frame.rgb for frame in itertools.islice(video_frames(video, Selection()), 20)]
    area = picture_area(frames)
    opened = {f"{network}, {kind}": load_onnx(path, provider) for (network, kind), path in models.items()}
    runs = {name: partial(live_mask, model, frames[-1], area) for name, model in opened.items()}
    return {name: [1000 * s for s in values] for name, values in alternated(runs, LATENCY_REPEATS).items()}


def _latency_table(latencies: dict[str, list[float]], provider: str) -> Table:
    tails = ", ".join(f"{name} {np.quantile(values, 0.99):.0f} ms" for name, values in latencies.items())
    return Table(
        key=f"latency-{provider}",
        title=f"Latency of one 1080p frame, provider {provider}",
        question="From a decoded frame of 1920 x 1080 to its mask at that size: resizing, network, refinement, "
        "threshold, blobs; one frame at a time on all cores.",
        command="python -m benchmarks.inference" + (f" --provider {provider}" if provider != "cpu" else ""),
        unit="ms a frame",
        rows=[Row(name, values) for name, values in latencies.items()],
        findings=[f"99th percentile of {LATENCY_REPEATS}: {tails}."],
    )


def _table(
    rows: list[Row],
    fps: dict[str, list[float]],
    scores: dict[Contestant, float],
    agreements: dict[Contestant, float],
    arguments: argparse.Namespace,
    count: int,
) -> Table:
    medians = {name: statistics.median(values) for name, values in fps.items()}
    lost = {key: scores["full", "float32"] - value for key, value in scores.items()}
    within = {k: medians[f"default, {k}"] for k in ("float32", "int8") if lost["default", k] <= AIM_IOU}
    best = max(within, key=lambda kind: within[kind], default=None)
    reached = "default loses more" if best is None else f"default {best} {within[best]:.1f}"
    findings = [
        f"IoU: mean over {count} frames of the EndoVis clips in `../shared/data`, trained on them together without a "
        f"label, seed 0. Lost against the full network in float32: "
        + ", ".join(f"{n} {k} {lost[n, k]:+.4f}" for n, k in scores if (n, k) != ("full", "float32"))
        + ".",
        f"Masks of ONNX Runtime in float32 against torch's: IoU {agreements['full', 'float32']:.5f} (full), "
        f"{agreements['default', 'float32']:.5f} (default); aim {AIM_AGREEMENT}.",
        f"Aim {AIM_FPS} frames a second, {AIM_DRAWN_FPS} with overlay.mp4, with at most {AIM_IOU} IoU lost: {reached}, "
        f"full float32 {medians['full, float32']:.1f}, full int8 {medians['full, int8']:.1f}.",
        f"Each run of {arguments.frames} frames counts opening the model, finding the picture's area, reading, "
        "network, masks at 1920 x 1080 as PNG, sheet and record.",
    ]
    if arguments.provider == "cpu":
        findings.append("On a GPU: not measured.")
    return Table(
        key=f"inference-{arguments.provider}",
        title=f"From a 1080p H.264 file to mask files, provider {arguments.provider}",
        question="`predict` end to end: the network of `default`, on blocks of 2 x 2 pixels, and the full one, on "
        "single pixels (network.block_px=1), by torch and by ONNX Runtime in float32 and in 8-bit "
        "integers.",
        command=f"python -m benchmarks.inference --frames {arguments.frames} --repeats {arguments.repeats}"
        + (f" --provider {arguments.provider}" if arguments.provider != "cpu" else ""),
        unit="frames/s",
        rows=rows,
        findings=findings,
    )


if __name__ == "__main__":
    main()
