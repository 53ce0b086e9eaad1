"""What each stage from a 1080p H.264 file to a mask file costs: processor time a frame, each in one thread.

    python -m benchmarks.frame_costs [--frames 60]

Processor time, unlike frames a second, hardly depends on what else the machine does. On C cores that are free for
it, no more than C frames are masked in the time that the stages take together. The network is that of `default` as it
starts, exported; a clip of AutoLaparo from the real frames.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import cv2
import torch

from benchmarks.machine import data_folder
from benchmarks.tables import Row, Table, keep
from cuemask.cues.clip import outside_of_clip, working_picture
from cuemask.inference.export import write_onnx
from cuemask.inference.model import Model
from cuemask.inference.prediction import Predictor, both_ways
from cuemask.inference.quantization import write_int8
from cuemask.inference.runtime import load_onnx
from cuemask.inference.thresholds import finished_probability, full_mask
from cuemask.learning.training import untrained_network
from cuemask.media.area import fixed_area
from cuemask.media.clips import open_clips
from cuemask.media.frames import Selection
from cuemask.media.masks import write_mask
from cuemask.media.memory import keep_freed_memory
from cuemask.media.overlay import STEADY, OverlayWriter, captioned
from cuemask.media.upright import upright_rgb
from cuemask.media.video import sample_video
from cuemask.recipe import load_recipe
from cuemask.runs.confidences import told_of
from cuemask.runs.options import Options, area_of

CLIP = "autolaparo_clips/up_1_2.mp4"
LOOKS = 5
OVERLAY = ("overlay: drawing", "overlay: encoding")
R = TypeVar("R")


def main() -> None:
    """Export, measure, keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60)
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command does
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    video = data_folder() / CLIP
    with tempfile.TemporaryDirectory() as folder:
        costs = measured(video, _models(video, Path(folder)), Path(folder), arguments.frames)
    rows = [Row(name, values) for name, values in costs.items()]
    medians = {name: statistics.median(values) for name, values in costs.items()}
    for kind in ("float32", "int8"):
        other = {"float32": "int8", "int8": "float32"}[kind]
        counted = {name: ms for name, ms in medians.items() if other not in name}
        alone = sum(ms for name, ms in counted.items() if name not in OVERLAY)
        rows.append(Row(f"all, {kind}", [alone], f"{2000 / alone:.0f} frames/s at most on two free cores"))
        drawn = sum(counted.values())
        rows.append(Row(f"all, {kind}, overlay.mp4 too", [drawn], f"{2000 / drawn:.0f} frames/s at most"))
    once = looked_over(video)
    rows += [Row(f"once: {name}", values, "ms a clip of 250 frames") for name, values in once.items()]
    keep(
        Table(
            key="frame_costs",
            title="What a frame of 1920 x 1080 costs",
            question="Processor time of each stage from an H.264 file to a mask file, each in one thread; network of "
            "`default` at 160 x 224, of the picture and of its mirror image.",
            command=f"python -m benchmarks.frame_costs --frames {arguments.frames}",
            unit="ms a frame",
            rows=rows,
        )
    )


def _models(video: Path, folder: Path) -> dict[str, Predictor]:
    """`default`'s network in ONNX Runtime, exact and in 8-bit integers."""
    recipe = load_recipe("default")
    write_onnx(Model(untrained_network(recipe).eval(), recipe, "cpu"), folder / "float32.onnx")
    frames = list(sample_video(video, Selection(), 8))
    area = fixed_area(0, 0, *frames[0].shape[:2], *frames[0].shape[:2])
    write_int8(folder / "float32.onnx", folder / "int8.onnx", [working_picture(rgb, area, recipe) for rgb in frames])
    return {kind: load_onnx(folder / f"{kind}.onnx", "cpu", one_core=True) for kind in ("float32", "int8")}


def looked_over(video: Path) -> dict[str, list[float]]:
    """Milliseconds of processor time for what is found out of a clip before its frames are masked."""
    options = Options(Path("unused"), load_recipe("default"))
    costs: dict[str, list[float]] = {}
    for _ in range(LOOKS):
        (clip,) = open_clips([video])
        started = time.process_time()
        area = area_of(clip, options)
        between = time.process_time()
        outside_of_clip(clip, area, options.recipe)
        costs.setdefault("picture and text", []).append(1000 * (between - started))
        costs.setdefault("what is outside the body", []).append(1000 * (time.process_time() - between))
    return costs


def measured(video: Path, models: dict[str, Predictor], folder: Path, count: int) -> dict[str, list[float]]:
    """Milliseconds of processor time of each stage, of each of `count` frames."""
    costs: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], R]) -> R:
        started = time.process_time()
        result = work()
        costs.setdefault(name, []).append(1000 * (time.process_time() - started))
        return result

    recipe = models["int8"].recipe
    with av.open(str(video)) as container, OverlayWriter(folder / "overlay.mp4", Fraction(25), encoder=STEADY) as drawn:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "SLICE", 1
        frames = container.decode(stream)
        for _ in itertools.repeat(None, count):
            frame = timed("decoding", lambda: next(frames))
            rgb = timed("colours", lambda f=frame: upright_rgb(f))
            height, width = rgb.shape[:2]
            area = fixed_area(0, 0, height, width, height, width)
            picture = timed("reducing", lambda x=rgb, a=area: working_picture(x, a, recipe))
            for kind, model in models.items():
                both = timed(f"network, {kind}", lambda m=model, x=picture: next(both_ways(m, x[None])))
            p = timed("refining", lambda b=both, x=rgb, a=area: finished_probability(b.p, x, a, recipe))
            mask = timed("mask", lambda q=p, a=area, h=height, w=width: full_mask(q, a, h, w, recipe.masks))
            timed("confidence", lambda b=both, m=mask, a=area: told_of(b.mirrored, m, a))
            timed("PNG", lambda m=mask: write_mask(folder / "mask.png", m))
            picture = timed(OVERLAY[0], lambda x=rgb, m=mask: captioned(x, m, "frame"))
            timed(OVERLAY[1], lambda x=picture: drawn.write(x))
    return costs


if __name__ == "__main__":
    main()
