"""What a table costs, said before anything is trained: networks, steps, and hours from a step timed here."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from cuemask.cues.clip import keep_clip
from cuemask.experiments.cells import Bench, inputs_of, kept_cell
from cuemask.experiments.plan import Cell
from cuemask.inference.model import chosen_device
from cuemask.inference.thresholds import finished_probability, full_mask
from cuemask.learning.backbones import ResNet18, VGG16Relu53, placed
from cuemask.learning.features import extractor
from cuemask.learning.pairs import View
from cuemask.learning.training import Batch, adam, moved, training_step, view_matrices
from cuemask.learning.unet import network
from cuemask.media.area import fixed_area
from cuemask.media.clips import Clip, open_clips
from cuemask.media.frames import Frame
from cuemask.media.threads import cores, in_threads
from cuemask.phantom.scene import PhantomScene
from cuemask.recipe import DEFAULT, Recipe

_SMALL_PX = 128 * 160  # of the pictures on which what is slow is timed
_QUICK_SECONDS = 3.0  # a step that seems to take less is timed whole
_LONG_HOURS = 1.0
_FEWER_STEPS = 300


def cost_lines(what: str, cells: Sequence[Cell], bench: Bench) -> Iterator[str]:
    """How many networks of how many steps, at once; then about how long here, once it is timed.

    Parameters
    ----------
    what
        The table or figure, for the text.

    Raises
    ------
    CuemaskError
        If a recording cannot be read, or the device is absent.
    """
    missing = [cell for cell in cells if kept_cell(cell, bench) is None]
    kept = f", {len(cells) - len(missing)} of them kept already" if len(missing) < len(cells) else ""
    yield f"{what}: {len(cells)} network{'s' * (len(cells) > 1)}{kept}; {_counted(missing)}"
    if not missing:
        return
    device = chosen_device(bench.device)
    hours = _hours(missing, bench, device)
    yield f"{what}: about {_duration(hours)} on this machine ({device}; a step and a frame timed just now)"
    if hours > _LONG_HOURS:
        recipes = [cell.recipe for cell in missing]
        sooner = ["a machine with a GPU (--device cuda)"] if device == "cpu" else []
        if max(recipe.training.steps for recipe in recipes) > _FEWER_STEPS:
            sooner.append(f"--set training.steps={_FEWER_STEPS}")
        sooner += ["--every 10"] if bench.selection.every == 1 else []
        sooner += ["--recipe default"] if any(recipe.name != DEFAULT.name for recipe in recipes) else []
        yield f"{what}: broken off, it goes on with the same command. Try it with --quick; sooner: {', '.join(sooner)}"


def step_seconds(recipe: Recipe, device: str) -> float:
    """Of one training step, on random pictures.

    First one pair of small pictures, taken times the number of pairs and of pixels: a step is nearly all convolutions.
    Where that says that a step is quick, the whole step is timed as well, as then it is not.
    """
    height, width, pairs = recipe.input.height_px, recipe.input.width_px, recipe.training.pairs_per_step
    net = placed(network(recipe.network), device).train()
    optimiser = adam(net, recipe)

    def timed(height: int, width: int, pairs: int) -> float:
        """The second of two, so that nothing is set up in it."""
        batch, seconds = moved(_random_batch(recipe, height, width, pairs), device), 0.0
        for _ in range(2):
            started = time.perf_counter()
            training_step(net, optimiser, batch, recipe)
            seconds = time.perf_counter() - started
        return seconds

    small = _small(height, width)
    seconds = timed(*small, 1) * pairs * height * width / (small[0] * small[1])
    return seconds if seconds > _QUICK_SECONDS else timed(height, width, pairs)


def frame_seconds(recipe: Recipe, height_px: int, width_px: int, device: str) -> float:
    """Of what is done once to each frame besides training: cues, both anchors, features, finishing the mask.

    Measured on drawn frames enlarged to the data set's size, one a core. Reading and writing are not counted.
    """
    scene = PhantomScene(0, recipe.input.height_px, recipe.input.width_px)
    drawn = (cv2.resize(scene.frame(t).rgb, (width_px, height_px)) for t in range(cores()))
    frames = [Frame(str(t), t, None, rgb) for t, rgb in enumerate(drawn)]
    clip = Clip("drawn", "drawn", (), "pictures", height_px, width_px, Fraction(1), len(frames))
    area = fixed_area(0, 0, height_px, width_px, height_px, width_px)
    flat = np.full((recipe.input.height_px, recipe.input.width_px), 0.5, np.float32)

    def masked(frame: Frame) -> None:
        p = finished_probability(flat, frame.rgb, area, recipe)
        full_mask(p, area, height_px, width_px, recipe.masks)

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as work:
        kept = keep_clip(clip, area, recipe, Path(work), 0, frames)
        kept.clipwide(recipe)
        for _ in in_threads(lambda index: kept.anchors(index, recipe), range(len(frames))):
            pass
    for _ in in_threads(masked, frames):
        pass
    seconds = (time.perf_counter() - started) / len(frames)
    return seconds + (_features_seconds(recipe, device) if recipe.losses.diffuses else 0.0)


def _hours(cells: Sequence[Cell], bench: Bench, device: str) -> float:
    """Of all cells; networks that differ little are timed once, by one that diffuses and has the most cues."""
    alike: dict[object, list[Cell]] = {}
    for cell in cells:
        r = cell.recipe
        size = (r.input.height_px, r.input.width_px, r.training.pairs_per_step, r.masks.height_px)
        alike.setdefault((size, r.network, r.features), []).append(cell)
    names = {name for cell in cells for name in (*cell.learn, *cell.score)}
    clips = {clip.name: clip for clip in open_clips(inputs_of(bench, tuple(names)), bench.selection)}
    size = bench.crop[2:] if bench.crop else max((clip.height_px, clip.width_px) for clip in clips.values())
    seconds = 0.0
    for group in alike.values():
        recipe = max((cell.recipe for cell in group), key=lambda recipe: (recipe.losses.diffuses, len(recipe.cues.use)))
        step, frame = step_seconds(recipe, device), frame_seconds(recipe, *size, device)
        forward = step / (6 * recipe.training.pairs_per_step)  # a third of a step, which is of two frames a pair
        for cell in group:
            frames = sum(clips[name].frame_count or 0 for name in {*cell.learn, *cell.score})
            passes = 2 if cell.anchors else 1  # anchors are scored after the network
            seconds += _steps(cell) * step + frames * (passes * frame + forward)
    return seconds / 3600


def _steps(cell: Cell) -> int:
    """All that a cell's network takes, those on labelled frames alone included."""
    training = cell.recipe.training
    return training.steps + (training.label_steps if cell.labels else 0)


def _features_seconds(recipe: Recipe, device: str) -> float:
    """Of one frame, by a network of the extractor's shape with weights drawn at random."""
    height, width = recipe.input.height_px, recipe.input.width_px
    if recipe.features.extractor in ("texture", "drawn"):
        extract = extractor(recipe.features, device)
        started = time.perf_counter()
        extract(np.zeros((height, width, 3), np.uint8))
        return (time.perf_counter() - started) / cores()
    net = VGG16Relu53() if recipe.features.extractor == "vgg16" else ResNet18(layers=3)
    small = _small(height, width)
    rgb = torch.rand(1, 3, *small, device=device)
    with torch.inference_mode():
        net = placed(net, device)
        started = time.perf_counter()
        net(rgb).cpu()
    return (time.perf_counter() - started) * height * width / (small[0] * small[1])


def _small(height: int, width: int) -> tuple[int, int]:
    """A size of the same shape and at most `_SMALL_PX` pixels."""
    shrink = max(1.0, (height * width / _SMALL_PX) ** 0.5)
    return round(height / shrink), round(width / shrink)


def _random_batch(recipe: Recipe, height: int, width: int, pairs: int) -> Batch:
    grid = (max(1, height // 16), max(1, width // 16))
    rows, columns = view_matrices([View(0.0, 0.0, 1.0, 1.0, False)] * pairs, (height, width), grid, recipe.features)
    one = torch.rand(2 * pairs, 1, height, width)
    features = torch.rand(2 * pairs, 256, *grid)
    rgb = torch.rand(2 * pairs, 3, height, width)
    inside = torch.ones_like(one)
    return Batch(rgb, one, 1 - one, inside, features, rows.repeat(2, 1, 1), columns.repeat(2, 1, 1))


def _counted(cells: Sequence[Cell]) -> str:
    """How many are to be trained, and how long each is."""
    if not cells:
        return "nothing to train"
    kinds = Counter(
        f"{r.training.steps:,} steps of {r.training.pairs_per_step} pairs at {r.input.height_px}x{r.input.width_px}"
        for r in (cell.recipe for cell in cells)
    )
    steps = sum(_steps(cell) for cell in cells)
    return f"to train: {', '.join(f'{count} of {kind}' for kind, count in kinds.items())}, {steps:,} steps in all"


def _duration(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    if hours >= 1:
        return f"{hours:.1f} hours" if hours < 10 else f"{hours:.0f} hours"
    return f"{max(1, round(60 * hours))} min"
