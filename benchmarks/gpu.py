"""All that is to be measured on a GPU, prepared: CUDA tests, training steps, prediction, a whole video.

    make bench-gpu
    python -m benchmarks.gpu [--device cuda] [--small] [--out FILE.md]

Every stage is a process of its own with so many seconds: one that fails or takes longer costs its own rows, no others,
and what is not installed is skipped in words. All together take at most eight minutes. `--device cpu --small` goes the
whole way in about a minute, to see that the way is clear: its figures are of tiny networks and say nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.machine import facts
from cuemask.errors import InstallationError
from cuemask.inference.export import write_onnx
from cuemask.inference.model import FILE, Model, save_model
from cuemask.inference.prediction import Predictor
from cuemask.inference.runtime import PROVIDERS, load_onnx, onnxruntime
from cuemask.media.files import make_folder, write_bytes
from cuemask.phantom import PhantomScene
from cuemask.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[1]
STEP_AIM, PREDICTION_AIM = 6, 1500  # times the published step; frames a second of the model alone
TINY = ("input.height_px=64", "input.width_px=80", "network.width=4", "network.depth=2", "network.start=chance")
IN_A_ROW = 40
BATCHES = (1, 8, 32, 128)
_THREADS = {"decoding to RGB": "FFmpeg's threads", "masks at full size": "in one thread", "PNG": "in one thread"}


class Cell(NamedTuple):
    """A row: what was measured, its value in words, and what there is to say of it."""

    what: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Stage:
    """One process: its name, what its rows are about, how long it may take, and what it runs.

    Attributes
    ----------
    command
        Writes its rows as JSON to the file that is its last argument, which is added.
    """

    name: str
    seconds: float
    command: tuple[str, ...]


@dataclass(frozen=True)
class Size:
    """What is measured, and how often."""

    device: str
    small: bool

    @property
    def step(self) -> tuple[int, int, int]:
        """Height, width and pairs of a training step beside the published formulation."""
        return (64, 80, 2) if self.small else (512, 640, 6)

    @property
    def repeats(self) -> int:
        """Of a step, and of a batch."""
        return 2 if self.small else 10

    @property
    def paper_steps(self) -> int:
        """Of the recipe `paper`, the first ones not counted."""
        return 4 if self.small else 100

    def recipe(self, name: str) -> Recipe:
        """A named recipe; of a small run its network is tiny."""
        return load_recipe(name, TINY if self.small else ())


def main() -> int:
    """Run all stages and keep the table; or, told so, one of them."""
    arguments = _arguments()
    size = Size(arguments.device, arguments.small)
    if arguments.stage:
        write_bytes(arguments.answer, json.dumps([list(cell) for cell in STAGES[arguments.stage][1](size)]).encode())
        return 0
    if size.device == "cuda" and not _has_cuda():
        print("Error: torch finds no CUDA device.\nTry the way itself: python -m benchmarks.gpu --device cpu --small")
        return 2
    started = time.monotonic()
    found = dict(measured(stages(size)))
    text = table(found, size, time.monotonic() - started)
    print(text)
    write_bytes(make_folder(arguments.out.parent) / arguments.out.name, text.encode())
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="tiny networks and few repeats, to try the way")
    parser.add_argument("--out", type=Path, help="benchmarks/results/gpu.md; of a trial build/gpu.md")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    is_trial = arguments.small or arguments.device == "cpu"
    arguments.out = arguments.out or ROOT / ("build" if is_trial else "benchmarks/results") / "gpu.md"
    return arguments


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


# ---- stages as processes


def stages(size: Size) -> list[Stage]:
    """Every stage as a process of this module."""
    own = (sys.executable, "-m", "benchmarks.gpu", "--device", size.device, *(["--small"] if size.small else []))
    return [Stage(name, seconds, (*own, "--stage", name, "--answer")) for name, (seconds, _) in STAGES.items()]


def measured(some: Sequence[Stage]) -> Iterator[tuple[str, list[Cell]]]:
    """The rows of each stage, one after another; of one that fails, a row that says why."""
    for stage in some:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            answer = Path(folder) / "rows.json"
            why = _run(stage, answer)
            cells = [Cell(*row) for row in json.loads(answer.read_text())] if why is None else [Cell("", "failed", why)]
        print(f"{stage.name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        yield stage.name, cells


def _run(stage: Stage, answer: Path) -> str | None:
    """Run a stage to its end or its limit; what went wrong, or None."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*stage.command, str(answer)], cwd=ROOT, env=environment, stdout=said, stderr=said, start_new_session=True
        )
        try:
            code = process.wait(stage.seconds)
        except subprocess.TimeoutExpired:
            return f"not done after {stage.seconds:g} s, and ended"
        finally:
            _end(process)
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    if code != 0:
        return f"exit code {code}: {lines[-1] if lines else 'without a word'}"
    return None if answer.is_file() else "ended without rows"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a stage and what it has started, whether or not it has ended itself."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def table(found: dict[str, list[Cell]], size: Size, seconds: float) -> str:
    """The whole outcome as Markdown."""
    trial = " A trial: tiny networks, whose figures say nothing." if size.small else ""
    command = "make bench-gpu"
    if size.device != "cuda" or size.small:
        command = f"python -m benchmarks.gpu --device {size.device}" + " --small" * size.small
    lines = [
        f"# Measured on {_device_name(size.device)}",
        "",
        f"`{command}`, {seconds:.0f} s.{trial} Medians; aims: {STEP_AIM} times the pairs per second of the published "
        f"step, {PREDICTION_AIM:,} frames a second of the model alone.",
        "",
        "| stage | what | value | |",
        "|---|---|---|---|",
    ]
    for name, cells in found.items():
        lines += [f"| {name} | {' | '.join(_cell(text) for text in cell)} |" for cell in cells]
    return "\n".join([*lines, "", f"*{_told()}*", ""])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _device_name(device: str) -> str:
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    return f"the processor ({facts().get('processor', platform.machine())})"


def _told() -> str:
    return ", ".join(f"{key} {value}" for key, value in facts().items())


# ---- what they measure


def cuda_tests(size: Size) -> list[Cell]:
    """The tests that need a CUDA device; without one they skip."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n0",
        "-p",
        "no:cacheprovider",
        "-m",
        "cuda",
        "tests/test_cuda.py",
    ]
    environment = os.environ | ({"CUEMASK_CUDA": "1"} if size.device == "cuda" else {})
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    lines = done.stdout.strip().splitlines()
    verdict = next((line.strip("= ") for line in reversed(lines) if " in " in line), f"exit code {done.returncode}")
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return [Cell("pytest -m cuda", "none failed" if done.returncode == 0 else "FAILED", "; ".join([verdict, *failed]))]


def training_step(size: Size) -> list[Cell]:
    """Our step beside the published formulation, and its parts one by one."""
    import torch

    from benchmarks.published import random_vgg16
    from benchmarks.tables import alternated
    from benchmarks.training_step import Case, agreement, contestants, phantom_clip

    height_px, width_px, pairs = size.step
    with tempfile.TemporaryDirectory() as folder:
        case = Case(height_px, width_px, pairs, Path(folder), size.device)
        torch.manual_seed(0)
        vgg = random_vgg16()
        torch.save(vgg.state_dict(), case.folder / "vgg16.pth")
        clip, default_clip = (phantom_clip(case, case.recipe(name)) for name in ("released", "default"))
        same = agreement(case, clip, vgg)[0]
        runs = contestants(case, clip, default_clip, vgg, compiled=False)
        seconds = alternated(runs, size.repeats, warm=3)
        for name in [name for name in runs if name == "as published" or "ours" in name]:
            seconds[f"{name}, {IN_A_ROW} in a row"] = in_a_row(runs[name], 2 if size.small else IN_A_ROW)
    first = statistics.median(seconds["as published"])
    cells = [Cell(f"{height_px}x{width_px}, {pairs} pairs", "the outputs agree", same)]
    for name, values in seconds.items():
        spread = f"{1000 * min(values):.4g} to {1000 * max(values):.4g} ms"
        ratio = first / statistics.median(values)
        note = f"{pairs / statistics.median(values):.3g} pairs/s, {ratio:.1f} times published; {spread}"
        cells.append(Cell(name, f"{1000 * statistics.median(values):.4g} ms a step", note))
    return cells


def in_a_row(run: Callable[[], object], count: int) -> list[float]:
    """Seconds a step of many without a pause, in which the making of batches has no time to itself."""
    with _timed() as took:
        for _ in range(count):
            run()
    return [took[0] / count]


def paper_steps(size: Size) -> list[Cell]:
    """The recipe `paper` at its own size: seconds a step, of so many in a row."""
    import torch

    from benchmarks.published import random_vgg16
    from benchmarks.training_step import Case, fresh_network, loader, phantom_clip, settled
    from cuemask.learning.training import adam, moved
    from cuemask.learning.training import training_step as step

    own = load_recipe("paper")
    pairs, steps = own.training.pairs_per_step, size.paper_steps
    with tempfile.TemporaryDirectory() as folder:
        height_px, width_px = (64, 80) if size.small else (own.input.height_px, own.input.width_px)
        case = Case(height_px, width_px, pairs, Path(folder), size.device)
        torch.save(random_vgg16().state_dict(), case.folder / "vgg16.pth")
        recipe = case.recipe("paper", *(TINY if size.small else ()))
        clip = phantom_clip(case, recipe)
        net, source = fresh_network(case, recipe), loader(case, clip, recipe)
        optimiser, seconds = adam(net, recipe), list[float]()
        for _ in range(steps):
            started = time.perf_counter()
            step(net, optimiser, moved(next(source), case.device), recipe)
            settled(case)
            seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds[min(5, steps - 1) :])
    whole = f"{own.training.steps:,} steps of a network would take {own.training.steps * median / 3600:.2g} h"
    note = f"{steps} steps of {pairs} pairs at {height_px}x{width_px}, all {sum(seconds):.3g} s; {whole}"
    return [Cell("paper", f"{median:.4g} s a step", note)]


def torch_prediction(size: Size) -> list[Cell]:
    """The networks alone in torch, copies to the device and back included."""
    cells = list[Cell]()
    for name in ("default", "paper"):
        model = _fresh(size, name)
        cells += _rates(f"{name}, torch", model, size)
    return cells


def cuda_prediction(size: Size) -> list[Cell]:
    """`default`'s network alone in ONNX Runtime."""
    return _exported(size, "cuda" if size.device == "cuda" else "cpu")


def tensorrt_prediction(size: Size) -> list[Cell]:
    """The same in TensorRT."""
    return _exported(size, "tensorrt")


def whole_video(size: Size) -> list[Cell]:
    """A 1080p H.264 file: decoding alone, `predict` end to end, and what its parts cost a frame on the processor."""
    from cuemask.inference.thresholds import finished_probability, full_mask
    from cuemask.media.area import fixed_area
    from cuemask.media.frames import Selection
    from cuemask.media.masks import write_mask
    from cuemask.media.video import video_frames
    from cuemask.runs.options import Options
    from cuemask.runs.predicting import predict

    frames = 12 if size.small else 300
    cells = list[Cell]()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        video, model = place / "video.mp4", _fresh(size, "default")
        _write_video(video, frames)
        save_model(model.network, model.recipe, make_folder(place / "run") / FILE)
        models = {"torch": place / "run"}
        if PROVIDERS["cuda"] in onnxruntime().get_available_providers():
            models["ONNX Runtime"] = place / "model.onnx"
            write_onnx(_fresh(replace(size, device="cpu"), "default"), models["ONNX Runtime"])
        for name, file in models.items():
            with _timed() as whole:
                out = place / name / "out"
                predict(file, [video], Options(out=out, overlay=False, report=False, device=size.device))
            rate = f"{frames / whole[0]:.4g} frames/s"
            cells.append(Cell(f"default, {frames} frames of 1920x1080", rate, f"file to PNG masks, {name}"))
        with _timed() as decoding:
            some = [frame.rgb for frame in video_frames(video, Selection()) if frame.index < 8]
        height, width = some[0].shape[:2]
        area = fixed_area(0, 0, height, width, height, width)
        p = _soft(model.recipe)
        with _timed() as finishing:
            ready = [finished_probability(p, rgb, area, model.recipe) for rgb in some]
            masks = [full_mask(one, area, height, width, model.recipe.masks) for one in ready]
        with _timed() as writing:
            for mask in masks:
                write_mask(place / "mask.png", mask)
        each = {"decoding to RGB": decoding[0] / frames, "masks at full size": finishing[0] / len(some)}
        each["PNG"] = writing[0] / len(some)
        cells += [Cell(what, f"{1000 * seconds:.3g} ms a frame", _THREADS[what]) for what, seconds in each.items()]
        if size.device == "cuda":
            cells.append(_decoded_there(video, frames))
    return cells


def _decoded_there(video: Path, frames: int) -> Cell:
    """The video decoded by the device."""
    from cuemask.errors import VideoError
    from cuemask.media.frames import Selection
    from cuemask.media.hardware import decoding_with
    from cuemask.media.video import video_frames

    try:
        with _timed() as took, decoding_with("cuda"):
            for _ in video_frames(video, Selection()):
                pass
    except VideoError as error:
        return Cell("decoding on the device", "skipped", str(error))
    return Cell("decoding on the device", f"{1000 * took[0] / frames:.3g} ms a frame", "to RGB on the processor")


def many_videos(size: Size) -> list[Cell]:
    """Several 1080p files as a study on four processes that share the device, from the command on."""
    frames, videos = (6, 2) if size.small else (300, 16)
    with tempfile.TemporaryDirectory() as folder:
        place, model = Path(folder), _fresh(size, "default")
        _write_video(place / "video.mp4", frames)
        for number in range(videos):
            make_folder(place / "videos" / str(number))
            os.link(place / "video.mp4", place / "videos" / str(number) / "video.mp4")
        save_model(model.network, model.recipe, make_folder(place / "run") / FILE)
        command = [sys.executable, "-m", "cuemask", "batch", place / "videos", "--model", place / "run"]
        options = ["--out", place / "study", "--on", "local:4", "--no-overlay", "--no-report", "--device", size.device]
        with _timed() as took:
            done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return [Cell("study", "failed", done.stderr.strip().splitlines()[-1])]
    rate = f"{frames * videos / took[0]:.4g} frames/s"
    return [Cell(f"{videos} videos of {frames} frames", rate, f"file to PNG masks, all {took[0]:.3g} s of the command")]


STAGES: dict[str, tuple[float, Callable[[Size], list[Cell]]]] = {
    "CUDA tests": (70, cuda_tests),
    "training step": (70, training_step),
    "paper": (50, paper_steps),
    "torch": (40, torch_prediction),
    "ONNX Runtime": (40, cuda_prediction),
    "TensorRT": (50, tensorrt_prediction),
    "whole video": (45, whole_video),
    "many videos": (90, many_videos),
}


def _fresh(size: Size, name: str) -> Model:
    """An untrained network of a named recipe on the device."""
    import torch

    from cuemask.learning.backbones import placed
    from cuemask.learning.unet import network

    recipe = size.recipe(name)
    torch.manual_seed(0)
    return Model(placed(network(recipe.network).eval(), size.device), recipe, size.device)


def _exported(size: Size, provider: str) -> list[Cell]:
    built_in = onnxruntime().get_available_providers()
    if PROVIDERS[provider] not in built_in:
        remedy = "pip install onnxruntime-gpu"
        return [Cell(f"default, {provider}", "skipped", f"this ONNX Runtime has {', '.join(built_in)}: {remedy}")]
    with tempfile.TemporaryDirectory() as folder:
        model = _fresh(replace(size, device="cpu"), "default")
        try:
            write_onnx(model, Path(folder) / "model.onnx")
            exported = load_onnx(Path(folder) / "model.onnx", provider)
        except InstallationError as error:
            return [Cell(f"default, {provider}", "skipped", str(error))]
        return _rates(f"default, {exported.device}", exported, size)


def _rates(name: str, model: Predictor, size: Size) -> list[Cell]:
    """Frames a second at each number of frames at once; one by one, and the most."""
    wanted = model.recipe.input
    rng, rates = np.random.default_rng(0), dict[int, float]()
    for count in BATCHES[:2] if size.small else BATCHES:
        pictures = rng.integers(0, 256, (count, wanted.height_px, wanted.width_px, 3), np.uint8)
        for _ in range(3):
            model.working_probability(pictures)
        seconds = list[float]()
        for _ in range(size.repeats):
            with _timed() as took:
                model.working_probability(pictures)
            seconds.append(took[0])
        rates[count] = count / statistics.median(seconds)
    best = max(rates, key=lambda count: rates[count])
    shape = f"{wanted.height_px}x{wanted.width_px}"
    return [
        Cell(f"{name}, one by one", f"{rates[1]:.4g} frames/s", f"{shape}, {1000 / rates[1]:.3g} ms a frame"),
        Cell(f"{name}, {best} at once", f"{rates[best]:.4g} frames/s", f"the most of {', '.join(map(str, rates))}"),
    ]


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Give a list that holds the seconds once the block is done."""
    took, started = list[float](), time.perf_counter()
    yield took
    took.append(time.perf_counter() - started)


def _soft(recipe: Recipe) -> np.ndarray:
    """A probability at working size with one soft disc."""
    y, x = np.mgrid[: recipe.input.height_px, : recipe.input.width_px]
    away = np.hypot(y - recipe.input.height_px / 2, x - recipe.input.width_px / 2)
    return (1 / (1 + np.exp((away - recipe.input.height_px / 4) / 4))).astype(np.float32)


def _write_video(path: Path, frames: int) -> None:
    """A drawn 1080p clip that moves, by H.264."""
    from cuemask.media.overlay import OverlayWriter

    scene = PhantomScene(seed=1, height_px=540, width_px=960)
    drawn = [cv2.resize(scene.frame(5 * t).rgb, (1920, 1080)) for t in range(4)]
    with OverlayWriter(path, Fraction(25)) as video:
        for number in range(frames):
            video.write(np.ascontiguousarray(np.roll(drawn[number // 25 % 4], 3 * (number % 25), axis=1)))


if __name__ == "__main__":
    sys.exit(main())
