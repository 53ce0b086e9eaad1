"""A training step: ours against the formulation as published, and what each difference between them saves.

    python -m benchmarks.training_step [--size 512x640] [--pairs 6] [--device cuda] [--compile] [--repeats 5]

Same network (the ResNet-18 U-Net of the published code), same weights, same pictures: a synthetic clip that goes
through the library's own cues, anchors, kept features and batches. VGG16 and the encoder have random weights, which
cost what trained ones cost. Every contestant takes its batches from the library's loader, so that reading is paid
for in all of them. Views are whole frames, where ours and the published step are the same function.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.published import cell_features, published_logits, published_loss, published_step, random_vgg16
from benchmarks.recorded import Steps, ready
from benchmarks.tables import Row, Table, alternated, keep
from cuemask.cues.clip import keep_clip
from cuemask.learning.backbones import placed
from cuemask.learning.features import extractor
from cuemask.learning.kept import TrainingClip, keep_for_training
from cuemask.learning.pairs import schedule, step_pairs
from cuemask.learning.training import (
    Batch,
    adam,
    autocast,
    batches,
    full_loss,
    has_bfloat16,
    make_batch,
    moved,
    training_step,
    untrained_network,
)
from cuemask.media.area import picture_area
from cuemask.media.clips import open_clips
from cuemask.phantom import PhantomScene
from cuemask.recipe import Recipe, load_recipe

WHOLE = ("training.crop_smallest=1.0", "training.flip=false")
STILL = ("training.brightness=0.0", "training.contrast=0.0", "training.saturation=0.0", "training.hue=0.0")
PROFILED_STEPS = 5
AIMS = {"cpu": 8, "cuda": 6}


@dataclass(frozen=True)
class Case:
    """A size of pictures and batches, and the clip that is learnt from."""

    height_px: int
    width_px: int
    pairs: int
    folder: Path
    device: str

    def recipe(self, name: str = "released", *settings: str) -> Recipe:
        """A named recipe at this size, without any file of weights from elsewhere."""
        size = (f"input.height_px={self.height_px}", f"input.width_px={self.width_px}")
        own = (f"training.pairs_per_step={self.pairs}", "network.weights=random")
        features = (f"features.weights={self.folder / 'vgg16.pth'}",) if name != "default" else ()
        return load_recipe(name, [*size, *own, *features, *settings])


def main() -> None:
    """Check that the losses and gradients agree, measure, profile, keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256x320", help="height x width; 512x640 is the published one")
    parser.add_argument("--pairs", type=int, help="2 at 256x320, else 6")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--compile", action="store_true", help="a row with torch.compile; always on cuda")
    arguments = parser.parse_args()
    height_px, width_px = map(int, arguments.size.split("x"))
    pairs = arguments.pairs or (2 if arguments.size == "256x320" else 6)
    with tempfile.TemporaryDirectory() as folder:
        case = Case(height_px, width_px, pairs, Path(folder), arguments.device)
        compiled = arguments.compile or arguments.device == "cuda"
        options = f" --device {case.device}" * (case.device != "cpu") + " --compile" * arguments.compile
        keep(measured(case, arguments.repeats, compiled, options))


def measured(case: Case, repeats: int, compiled: bool, options: str) -> Table:
    """The whole benchmark of one size."""
    torch.manual_seed(0)
    vgg = random_vgg16()
    torch.save(vgg.state_dict(), case.folder / "vgg16.pth")
    clip, default_clip = (phantom_clip(case, case.recipe(name)) for name in ("released", "default"))
    findings = agreement(case, clip, vgg)
    runs = contestants(case, clip, default_clip, vgg, compiled)
    rows = rows_of(alternated(runs, repeats), case.pairs)
    findings += speed(rows, case)
    findings += shares("released", case, case.recipe("released", *WHOLE), clip)
    findings += shares("default", case, case.recipe("default", *WHOLE), default_clip)
    return Table(
        key=f"training_step {case.height_px}x{case.width_px} {case.device}",
        title=f"Training step, {case.height_px}x{case.width_px}, {case.pairs} pairs, {case.device}",
        question=(
            "One step (forward, losses, backward, Adam, and the making of one batch in a thread) of the ResNet-18 "
            "U-Net: the formulation as published, then with one difference after another, down to ours."
        ),
        command=f"python -m benchmarks.training_step --size {case.height_px}x{case.width_px}{options}",
        unit="seconds a step",
        rows=rows,
        findings=findings,
    )


# ---- what is learnt from


def phantom_clip(case: Case, recipe: Recipe) -> TrainingClip:
    """A synthetic clip with its cues, anchors and features on disk, by the library's own way."""
    pictures, work = case.folder / "pictures", case.folder / recipe.name
    work.mkdir()
    pictures.mkdir(exist_ok=True)
    scene = PhantomScene(seed=1, height_px=case.height_px, width_px=case.width_px)
    for t in range(case.pairs + 2):
        cv2.imwrite(str(pictures / f"{t}.png"), scene.frame(5 * t).rgb[..., ::-1])
    (clip,) = open_clips([pictures])
    kept = keep_clip(clip, picture_area(clip), recipe, work, 0, clip.frames())
    return keep_for_training(kept, recipe, extractor(recipe.features), work, range(len(kept.names)))


def loader(case: Case, clip: TrainingClip, recipe: Recipe) -> Iterator[Batch]:
    """The library's batches, without an end."""
    order = schedule([clip.length], recipe.training, 0)
    return batches([clip], order, recipe, range(10**6), device=case.device)


def one_batch(case: Case, clip: TrainingClip, recipe: Recipe) -> Batch:
    """The first batch, on the device."""
    sized = replace(recipe.training, pairs_per_step=case.pairs)
    pairs = step_pairs(schedule([clip.length], sized, 0), 0)
    return moved(make_batch([clip], pairs, recipe, np.random.default_rng(0)), case.device)


def fresh_network(case: Case, recipe: Recipe, memory: Literal["first", "last"] = "last") -> nn.Module:
    """The recipe's network, always with the same weights; channels first or last."""
    torch.manual_seed(0)
    net = untrained_network(recipe).train()
    return placed(net, case.device) if memory == "last" else net.to(case.device)


# ---- the outputs agree


def agreement(case: Case, clip: TrainingClip, vgg: nn.Module) -> list[str]:
    """Loss and gradients of ours against the published ones, first where they are the same function."""
    vgg = vgg.to(case.device)
    equal = case.recipe("released", *WHOLE, *STILL, "training.precision=float32")
    batch = one_batch(case, clip, equal)
    exact = batch._replace(features=cell_features(vgg, batch.rgb))
    theirs = loss_and_gradients(case, equal, lambda net: published(net, exact, vgg))
    found: list[str] = []
    for name, given, recipe in (
        ("float32, features in float32", exact, equal),
        ("float32, features kept in half precision", batch, equal),
        ("bfloat16 as well", batch, replace(equal, training=replace(equal.training, precision="bfloat16"))),
    ):
        ours = loss_and_gradients(case, recipe, lambda net, b=given, r=recipe: in_precision(net, b, r))
        found.append(f"Same whole frames, {name}: {difference(ours, theirs)}.")
    augmented = case.recipe("released", "training.precision=float32")
    batch = one_batch(case, clip, augmented)
    theirs = loss_and_gradients(case, augmented, lambda net: published(net, batch, vgg))
    ours = loss_and_gradients(case, augmented, lambda net: in_precision(net, batch, augmented))
    found.append(
        "Crops, flips and jitter, where we take kept features of the whole unjittered frame and the published "
        f"step runs VGG16 on the augmented one: {difference(ours, theirs)}. That is not rounding; it is the stated "
        "deviation (docs/deviations.md), here with random weights."
    )
    return found


def published(net: nn.Module, batch: Batch, vgg: nn.Module) -> Tensor:
    """The published loss of a batch."""
    return published_loss(net(batch.rgb), batch.positive, batch.negative, cell_features(vgg, batch.rgb))


def in_precision(net: nn.Module, batch: Batch, recipe: Recipe) -> Tensor:
    """Our loss of a batch, as `training_step` computes it."""
    with autocast(recipe, batch.rgb.device.type):
        logits = net(batch.rgb)
    return full_loss(logits.float(), batch, recipe).total


def loss_and_gradients(
    case: Case, recipe: Recipe, loss: Callable[[nn.Module], Tensor]
) -> tuple[float, dict[str, Tensor]]:
    """The loss of the fresh network and its gradient with respect to each parameter that gets one."""
    net = fresh_network(case, recipe)
    value = loss(net)
    value.backward()
    return float(value.detach()), {n: p.grad for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}


def difference(ours: tuple[float, dict[str, Tensor]], theirs: tuple[float, dict[str, Tensor]]) -> str:
    """The relative difference of the losses, and of all gradients as one vector."""
    loss = abs(ours[0] - theirs[0]) / abs(theirs[0])
    squares = [float((ours[1][n] - g).square().sum()) for n, g in theirs[1].items()]
    lengths = [float(g.square().sum()) for g in theirs[1].values()]
    gradient = (sum(squares) / sum(lengths)) ** 0.5
    return f"losses {ours[0]:.6f} and {theirs[0]:.6f}, relative difference {loss:.1e}, of the gradients {gradient:.1e}"


# ---- speed


def contestants(
    case: Case, clip: TrainingClip, default_clip: TrainingClip, vgg: nn.Module, compiled: bool
) -> dict[str, Callable[[], object]]:
    """One step each, in the order in which the differences add up."""
    plain = case.recipe("released", *WHOLE, "training.precision=float32")
    ours = case.recipe("released", *WHOLE)
    vgg = vgg.to(case.device)
    runs: dict[str, Callable[[], object]] = {
        "as published": by_their_loss(case, clip, plain, vgg),
        "+ features kept on disk": by_their_loss(case, clip, plain, None),
        "+ transposed interpolation, enlarged after convolving": by_our_loss(
            case, clip, plain, memory="first", fused=False
        ),
        "+ channels last": by_our_loss(case, clip, plain, fused=False),
    }
    if has_bfloat16(case.device):
        runs["+ bfloat16"] = by_our_loss(case, clip, ours, fused=False)
    runs["ours: + fused Adam"] = by_our_loss(case, clip, ours)
    if case.device == "cuda":
        runs["ours: + recorded, sent ahead"] = by_our_loss(case, clip, ours, recorded=True)
    if compiled:
        runs["ours, torch.compile"] = by_our_loss(case, clip, ours, compiled=True)
    default = case.recipe("default", *WHOLE)
    runs["default recipe (U-Net of 16)"] = by_our_loss(case, default_clip, default)
    if case.device == "cuda":
        runs["default, recorded, sent ahead"] = by_our_loss(case, default_clip, default, recorded=True)
    return runs


def by_their_loss(case: Case, clip: TrainingClip, recipe: Recipe, vgg: nn.Module | None) -> Callable[[], object]:
    """The published step; without a feature network it takes the kept features, of whole frames as they are."""
    net, source = fresh_network(case, recipe, "first"), loader(case, clip, recipe)
    optimiser = torch.optim.Adam(net.parameters(), lr=recipe.training.learning_rate)
    weights: dict[str, torch.Tensor] = net.state_dict(keep_vars=True)

    def step() -> None:
        batch = moved(next(source), case.device)
        rgb = batch.rgb.contiguous()
        features = batch.features if vgg is None else cell_features(vgg, rgb)
        published_step(
            lambda rgb: published_logits(weights, rgb, trains=True),
            optimiser,
            rgb,
            batch.positive,
            batch.negative,
            features,
        )
        settled(case)

    return step


def by_our_loss(
    case: Case,
    clip: TrainingClip,
    recipe: Recipe,
    *,
    memory: Literal["first", "last"] = "last",
    fused: bool = True,
    compiled: bool = False,
    recorded: bool = False,
) -> Callable[[], object]:
    """Our step, with or without what makes it fast."""
    net, source = fresh_network(case, recipe, memory), loader(case, clip, recipe)
    if recorded:
        take, sent = Steps(net, recipe), ready(source)
        return lambda: take(next(sent))
    optimiser = adam(net, recipe) if fused else torch.optim.Adam(net.parameters(), lr=recipe.training.learning_rate)
    used: nn.Module = torch.compile(net) if compiled else net  # type: ignore[assignment]

    def step() -> None:
        batch = moved(next(source), case.device)
        if memory == "first":
            batch = batch._replace(rgb=batch.rgb.contiguous())
        training_step(used, optimiser, batch, recipe)
        settled(case)

    return step


def settled(case: Case) -> None:
    """Wait until the device has done what it was given."""
    if case.device == "cuda":
        torch.cuda.synchronize()


def rows_of(seconds: dict[str, list[float]], pairs: int) -> list[Row]:
    """Rows with pairs a second and the ratio to the published step beside them."""
    first = median(seconds["as published"])
    return [
        Row(name, values, f"{pairs / median(values):.3g} pairs/s, {first / median(values):.1f} x published")
        for name, values in seconds.items()
    ]


def speed(rows: list[Row], case: Case) -> list[str]:
    """Ours against the aim."""
    times = {row.name: median(row.values) for row in rows}
    ratio, aim = times["as published"] / times["ours: + fused Adam"], AIMS[case.device]
    found = [f"Ours makes {ratio:.1f} times the pairs per second of the published step (aim: {aim})."]
    if case.device == "cpu":
        found.append(
            "On a GPU (aim: 6): gpu.md; `--device cuda` measures, with rows for torch.compile and for recorded steps."
        )
    return found


# ---- what the step is made of


def shares(name: str, case: Case, recipe: Recipe, clip: TrainingClip) -> list[str]:
    """How much of our step is convolutions, how much is waiting for batches, and how near the floor it is."""
    net, source = fresh_network(case, recipe), loader(case, clip, recipe)
    optimiser = adam(net, recipe)
    for _ in range(2):
        training_step(net, optimiser, moved(next(source), case.device), recipe)
    waited = 0.0
    settled(case)
    started = time.perf_counter()
    for _ in range(PROFILED_STEPS):
        asked = time.perf_counter()
        batch = next(source)
        waited += time.perf_counter() - asked
        training_step(net, optimiser, moved(batch, case.device), recipe)
    settled(case)
    whole = time.perf_counter() - started
    convolutions, rest = profiled(case, net, optimiser, [moved(next(source), case.device)] * PROFILED_STEPS, recipe)
    share = convolutions / (convolutions + sum(rest.values()))
    largest = sorted(rest.items(), key=lambda item: -item[1])[:6]
    others = ", ".join(f"{op} {value / (convolutions + sum(rest.values())):.1%}" for op, value in largest)
    gigaflop, rate = flops(net, batch, case) / 1e9, matmul_rate(case)
    floor = gigaflop * 1e9 / rate
    return [
        f"{name}, network's convolutions: {share:.0%} of the step (aim: 85 %); then {others}.",
        f"{name}, waiting for batches: {1000 * waited / PROFILED_STEPS:.1f} ms of {1000 * whole / PROFILED_STEPS:.0f} "
        f"ms a step ({waited / whole:.1%}).",
        f"{name}, floor: {gigaflop:.0f} GFLOP of convolutions a step take {floor:.3f} s at the {rate / 1e9:.0f} "
        f"GFLOP/s of a large matrix product here; the step takes {whole / PROFILED_STEPS / floor:.1f} times that.",
    ]


def profiled(
    case: Case, net: nn.Module, optimiser: torch.optim.Optimizer, given: list[Batch], recipe: Recipe
) -> tuple[float, dict[str, float]]:
    """Seconds in convolutions, forward and backward, and in each other operation."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (case.device == "cuda")
    with profile(activities=activities) as trace:
        for batch in given:
            training_step(net, optimiser, batch, recipe)
        settled(case)
    convolutions, rest = 0.0, dict[str, float]()
    for event in trace.key_averages():
        own = (event.self_device_time_total if case.device == "cuda" else event.self_cpu_time_total) / 1e6
        if "convolution" in event.key and "::" in event.key and "autograd" not in event.key:
            convolutions += own
        elif case.device == "cpu" or event.key.startswith("aten::"):
            name = event.key.removeprefix("aten::") if event.key.startswith("aten::") else "the rest"
            rest[name] = rest.get(name, 0.0) + own
    return convolutions, rest


def flops(net: nn.Module, batch: Batch, case: Case) -> float:
    """Floating-point operations of the network's convolutions, forward and backward; two a multiplication."""
    with FlopCounterMode(display=False) as counter:
        net(moved(batch, case.device).rgb).sum().backward()
    return float(counter.get_total_flops())


def matmul_rate(case: Case) -> float:
    """Floating-point operations a second of a large matrix product, in the precision of the step."""
    side = 2048 if case.device == "cpu" else 8192
    kind = torch.bfloat16 if has_bfloat16(case.device) else torch.float32
    a = torch.randn(side, side, device=case.device).to(kind)
    times: list[float] = []
    for _ in range(8):
        settled(case)
        started = time.perf_counter()
        _ = a @ a
        settled(case)
        times.append(time.perf_counter() - started)
    return 2 * side**3 / median(times[2:])


if __name__ == "__main__":
    main()
