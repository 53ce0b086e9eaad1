"""The training loop: pairs of frames in, a segmentation network out (paper, section 2)."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cuemask.cues.shape import WEIGHTS, shape_weights
from cuemask.errors import TrainingError, WeightsError
from cuemask.learning.averaging import move_average
from cuemask.learning.backbones import ResNet18, folded, placed
from cuemask.learning.classes import (
    class_anchor_loss,
    class_anchors,
    class_diffusion,
    class_regions,
    class_shares,
    for_classes,
)
from cuemask.learning.kept import TrainingClip
from cuemask.learning.losses import Regions, anchor_loss, diffusion_loss, region_means
from cuemask.learning.pairs import Pair, Schedule, View, jitter, random_view, schedule, seen, step_pairs
from cuemask.learning.pasting import Pieces, draw_pieces, pasted_at_random
from cuemask.learning.resampling import carry_down, interpolation_matrix
from cuemask.learning.together import ALONE, World, shared
from cuemask.learning.unet import ResNet18UNet, network
from cuemask.learning.weights import RESNET18, digest_of, load_into, read_state, unpickled, weights_file
from cuemask.media.files import written_aside
from cuemask.media.threads import cores, in_threads
from cuemask.recipe import FeaturesRecipe, LossesRecipe, Recipe

HEAD_PACE = 30
_MOST_MAKERS = 12  # threads that make batches for a GPU

_log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """P pairs as 2 P frames: all first frames, then all second ones."""

    rgb: Float[Tensor, "N 3 H W"]  # [0, 1]
    positive: Float[Tensor, "N A H W"]  # A = 1, or C + 1: of each class, and of instruments of a class not known
    negative: Float[Tensor, "N 1 H W"]
    inside: Float[Tensor, "N 1 H W"]  # 1 where the endoscope's picture is and nothing is pasted
    features: Float[Tensor, "N D h w"]  # of the whole, uncropped frame
    rows: Float[Tensor, "N H h"]  # from feature grid to this crop, along each axis
    columns: Float[Tensor, "N W w"]


class Losses(NamedTuple):
    """The terms of equation 5, weighted, averaged over pairs; `total` is their sum."""

    total: Float[Tensor, ""]
    anchor: Float[Tensor, ""]
    foreground: Float[Tensor, ""]
    background: Float[Tensor, ""]


@dataclass
class Progress:
    """Where training stands; what a checkpoint keeps besides network and optimiser."""

    step: int = 0
    seconds: float = 0.0
    epochs: list[dict[str, float | int]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)  # of the epoch under way
    count: int = 0


def train(
    clips: Sequence[TrainingClip],
    recipe: Recipe,
    checkpoint: Path,
    *,
    device: str = "cpu",
    seed: int = 0,
    own: nn.Module | None = None,
    steps: Callable[[Iterable[int], int], Iterable[int]] = lambda numbers, _: numbers,
    world: World = ALONE,
) -> tuple[nn.Module, Progress]:
    """Train the recipe's network on all adjacent pairs of `clips`.

    If `checkpoint` exists, training goes on from it; the result is that of an unbroken run. One that is damaged is
    named in a warning, and training begins anew.

    Parameters
    ----------
    checkpoint
        Written every `training.checkpoint_seconds` and at the end.
    own
        A network of one's own in the place of the recipe's; it is copied, and stays as it is.
    steps
        Wraps the step numbers yet to come, given with their total: a progress bar.
    world
        This process and those that learn the same with it; the first writes checkpoints, which all read.

    Raises
    ------
    TrainingError
        If no clip has two frames, or the loss is no longer a number.
    WeightsError
        If pretrained weights are wanted and absent.
    """
    order = schedule([c.length for c in clips], recipe.training, seed, [c.labelled for c in clips])
    if not order.pairs:
        raise TrainingError(
            f"{', '.join(clip.name for clip in clips)}: one frame only, so there is no pair of frames to learn from.",
            "Give at least two frames, or use a trained model: cuemask predict RUN INPUT --out DIR",
        )
    net, average, optimiser = _begun(recipe, device, seed, own, world)
    progress = Progress()
    if checkpoint.is_file():
        try:
            progress = _restored(checkpoint, net, optimiser, average)
        except WeightsError as error:
            _log.warning("%s Training begins anew.", error.what)
            net, average, optimiser = _begun(recipe, device, seed, own, world)  # some of it may have been read
    world.wait()  # all have read it before it is written again
    epoch_steps = math.ceil(len(order.pairs) / recipe.training.pairs_per_step)
    alone = _undiffused(recipe)  # where all pixels are known there is nothing to diffuse to
    started, saved = time.monotonic() - progress.seconds, time.monotonic()
    remaining = range(progress.step, order.all_steps)
    made = batches(clips, order, recipe, remaining, world, device)
    for step, batch in zip(steps(remaining, order.all_steps), made, strict=True):
        if recipe.network.dropout or own is not None:
            torch.manual_seed(int(np.random.default_rng([seed, 2, step]).integers(2**63)))  # as in an unbroken run
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step) * group.get("pace", 1)
        losses = training_step(net, optimiser, moved(batch, device), recipe if step < order.steps else alone, world)
        if average is not None:
            move_average(average, net, recipe.training.averaging, step)
        _note(progress, losses, step, epoch_steps, last=step + 1 == order.all_steps)
        progress.seconds = time.monotonic() - started
        if world.rank == 0 and time.monotonic() - saved > recipe.training.checkpoint_seconds:
            _save(checkpoint, net, optimiser, progress, average)
            saved = time.monotonic()
    if remaining and world.rank == 0:
        _save(checkpoint, net, optimiser, progress, average)
    return (net if average is None else average).eval(), progress


def _begun(
    recipe: Recipe, device: str, seed: int, own: nn.Module | None, world: World
) -> tuple[nn.Module, nn.Module | None, torch.optim.Optimizer]:
    """Network, running average and optimiser before the first step."""
    if own is not None and world.size > 1:
        raise TrainingError("a network of one's own is learnt in one process only.", "Run it without torchrun.")
    torch.manual_seed(seed)
    net = untrained_network(recipe) if own is None else copy.deepcopy(own)
    net = shared(placed(net, device).train(), recipe, world)
    return net, copy.deepcopy(net) if recipe.training.averaging else None, adam(net, recipe)


def _undiffused(recipe: Recipe) -> Recipe:
    return replace(recipe, losses=replace(recipe.losses, foreground_weight=0.0, background_weight=0.0))


def adam(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Adam over all parameters of `net`, each updated in one pass over memory instead of eight.

    With several classes the head, in which all of them begin as one, learns `HEAD_PACE` times as fast.
    """
    rate = recipe.training.learning_rate
    if recipe.network.classes == 1:
        return torch.optim.Adam(net.parameters(), lr=rate, fused=True)
    head = [value for name, value in net.named_parameters() if name.startswith("head.")]
    others = [value for name, value in net.named_parameters() if not name.startswith("head.")]
    return torch.optim.Adam([{"params": others}, {"params": head, "pace": HEAD_PACE}], lr=rate, fused=True)


def training_step(
    net: nn.Module, optimiser: torch.optim.Optimizer, batch: Batch, recipe: Recipe, world: World = ALONE
) -> Losses:
    """One step of the optimiser on one batch, or on the batches of all processes as if they were one.

    Raises
    ------
    TrainingError
        If the loss is no longer a number.
    """
    return checked(unchecked_step(net, optimiser, batch, recipe, world), recipe)


def checked(losses: Losses, recipe: Recipe) -> Losses:
    """The losses of a step, if they are numbers.

    Raises
    ------
    TrainingError
        If not.
    """
    # Looked at last: asking a GPU for a number waits for all it was given before.
    if not torch.isfinite(losses.total):
        raise TrainingError(
            "the training loss is no longer a number: learning diverged.",
            f"Lower the learning rate: --set training.learning_rate={recipe.training.learning_rate / 5:g}",
        )
    return losses


def unchecked_step(
    net: nn.Module, optimiser: torch.optim.Optimizer, batch: Batch, recipe: Recipe, world: World = ALONE
) -> Losses:
    """As `training_step`, without a look at what the losses are."""
    with autocast(recipe, batch.rgb.device.type):
        logits = pair_logits(net, batch.rgb, recipe)  # N K H W
    losses = full_loss(logits.float(), batch, recipe)
    optimiser.zero_grad(set_to_none=True)
    if world.size > 1:  # every term is a mean over pairs, of which this process has its share
        share = len(batch.rgb) / (2 * recipe.training.pairs_per_step)
        losses = Losses(*(share * term for term in losses))
    losses.total.backward()
    world.sum_gradients(net)
    optimiser.step()
    if world.size > 1:
        losses = Losses(*world.sum(torch.stack(losses).detach()))
    return losses


def pair_logits(net: nn.Module, rgb: Float[Tensor, "N 3 H W"], recipe: Recipe) -> Float[Tensor, "N K H W"]:
    """Logits of a batch's pictures, as `training.frames` has the network see them."""
    if recipe.training.frames == "together":
        return net(rgb)
    return torch.cat([net(half) for half in rgb.chunk(2)])


def full_loss(logits: Float[Tensor, "N K H W"], batch: Batch, recipe: Recipe) -> Losses:
    """Equation 5, averaged over the pairs of the batch: anchor losses of both frames and two diffusion losses.

    Pixels outside the endoscope's picture count neither as instrument nor as background. With several classes
    (K = C + 1) equations 1, 3 and 4 are of each class, as `learning.classes` has them.
    """
    terms = recipe.losses
    if recipe.network.classes > 1:
        return _class_losses(logits, batch, terms)
    anchor = 2 * anchor_loss(  # the mean over 2 P frames, twice: both frames of a pair are summed
        logits,
        batch.positive,
        batch.negative,
        form=terms.anchor_form,
        positive_weight=terms.positive_weight,
        negative_weight=terms.negative_weight,
    )
    foreground, background = (torch.zeros((), device=logits.device) for _ in range(2))
    if terms.diffuses:
        p = torch.sigmoid(logits)
        if terms.diffuse_to == "open":
            fixed = p.detach()
            p = fixed + (1 - batch.positive - batch.negative).clamp(0, 1) * (p - fixed)
        now, then = _regions(p, batch)
        foreground, background = _diffusion(now, then, terms)
    return Losses(anchor + foreground + background, anchor, foreground, background)


def _class_losses(logits: Float[Tensor, "N K H W"], batch: Batch, terms: LossesRecipe) -> Losses:
    anchor = 2 * class_anchor_loss(
        logits,
        batch.positive,
        batch.negative,
        form=terms.anchor_form,
        positive_weight=terms.positive_weight,
        negative_weight=terms.negative_weight,
    )
    foreground, background = (torch.zeros((), device=logits.device) for _ in range(2))
    if terms.diffuses:
        p = class_regions(logits)
        if terms.diffuse_to == "open":
            fixed, known = p.detach(), batch.positive.sum(1, keepdim=True) + batch.negative
            p = fixed + (1 - known).clamp(0, 1) * (p - fixed)
        regions = [_regions(p[:, r : r + 1], batch) for r in range(p.shape[1])]
        shares = class_shares(batch.positive)
        foreground = terms.foreground_weight * class_diffusion(
            regions, shares, of="foreground", margin=terms.foreground_margin
        )
        background = terms.background_weight * class_diffusion(
            regions, shares, of="background", margin=terms.background_margin
        )
    return Losses(anchor + foreground + background, anchor, foreground, background)


def learning_rate(recipe: Recipe, step: int) -> float:
    """The learning rate of step `step`, from 0: constant, or half a cosine from full to zero.

    The steps on labelled frames alone that follow have a half-cosine of their own.
    """
    settings, steps = recipe.training, recipe.training.steps
    if settings.schedule == "constant":
        return settings.learning_rate
    if step >= steps:
        step, steps = step - steps, settings.label_steps
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))


def untrained_network(recipe: Recipe) -> nn.Module:
    """The recipe's network; a ResNet-18 encoder starts from ImageNet weights unless told `random`.

    A U-Net whose `network.start` is `drawn` starts as the network behind the shape cue.

    Raises
    ------
    WeightsError
        If the encoder's weights cannot be had.
    """
    net = network(recipe.network)
    if recipe.network.start == "drawn":
        state = {name: torch.from_numpy(values) for name, values in shape_weights().items()}
        load_into(net, for_classes(state, recipe.network.classes), WEIGHTS)
    if isinstance(net, ResNet18UNet) and recipe.network.weights != "random":
        path = encoder_weights(recipe)
        missing = load_into(net.encoder, _encoder_state(net.encoder, path), path, may_lack="layer4.")
        if missing and not recipe.network.weights:
            raise WeightsError(f"{path}: has no layer4.", "Give a whole ResNet-18: --set network.weights=FILE")
    return net


def _encoder_state(encoder: ResNet18, path: Path) -> dict[str, Tensor]:
    state = read_state(path)
    if encoder.normalization == "none":
        return folded(state)
    if not any(name.endswith("running_var") for name in state):
        raise WeightsError(
            f"{path}: its batch norms are folded into the convolutions, and the recipe trains on them.",
            "Give a file with batch norms, or train without: --set network.normalization=none",
        )
    return state


def encoder_weights(recipe: Recipe) -> Path:
    """The file that the ResNet-18 encoder starts from.

    Raises
    ------
    WeightsError
        If there is none.
    """
    instead = "start from chance: --set network.weights=random"
    return weights_file(recipe.network.weights, RESNET18, setting="network.weights", instead=instead)


def autocast(recipe: Recipe, device: str) -> AbstractContextManager[Any]:
    """bfloat16 where the recipe and the processor have it, else nothing."""
    wanted = recipe.training.precision
    use = wanted == "bfloat16" or (wanted == "auto" and has_bfloat16(device))
    return torch.autocast(device, torch.bfloat16, enabled=use)


def has_bfloat16(device: str) -> bool:
    """Whether the processor multiplies bfloat16 faster than float32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpu = torch.cpu
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(cpu, name)() for name in names if hasattr(cpu, name))


def moved(batch: Batch, device: str) -> Batch:
    """The batch on `device`, pictures channels-last, all of it in float32."""
    tensors = [tensor.to(device, non_blocking=True).float() for tensor in batch]
    tensors[0] = tensors[0].contiguous(memory_format=torch.channels_last)
    return Batch(*tensors)


def make_batch(
    clips: Sequence[TrainingClip],
    pairs: Sequence[Pair],
    recipe: Recipe,
    rng: np.random.Generator,
    pieces: Pieces = Pieces(),  # noqa: B008 (a constant)
    places: Sequence[int] | None = None,
) -> Batch:
    """Read, cut and colour the frames of `pairs`; both frames of a pair share crop and flip, not colour.

    Into `training.pasted` of the frames some of `pieces` are pasted. Their pixels' anchors are their truth, and the
    diffusion losses, whose features are those of the frame as it was, pass over them.

    With `places` the batch is that of these pairs alone, each as it is among all.
    """
    views = [random_view(recipe.training, rng) for _ in pairs]
    frames = [(p.clip, p.first, v) for p, v in zip(pairs, views, strict=True)]
    frames += [(p.clip, p.second, v) for p, v in zip(pairs, views, strict=True)]
    own = set(range(len(pairs)) if places is None else places)
    rgb, anchors, inside, features = [], [], [], []
    for number, (clip, index, view) in enumerate(frames):
        if number % len(pairs) not in own:
            _draw_past(recipe, rng, pieces)
            continue
        source = clips[clip]
        picture = jitter(seen(source.rgb[index], view), recipe.training, rng)
        maps = class_anchors(source.anchors[index].astype(np.float32), recipe.network.classes)  # A + 1, H, W
        both = seen(maps.transpose(1, 2, 0), view)
        within = seen(source.inside_of(index), view)
        if pieces.instruments and rng.random() < recipe.training.pasted:
            picture, instrument, other = pasted_at_random(picture, pieces, rng)
            clear = 1 - np.maximum(instrument, other)
            known = np.zeros_like(both)
            known[..., -2], known[..., -1] = instrument, other
            both = both * clear[..., None] + known * within[..., None]
            within = within * clear
        rgb.append(picture)
        anchors.append(both)
        inside.append(within)
        features.append(source.features[index])
    height, width = inside[0].shape
    views = [view for number, view in enumerate(views) if number in own]
    rows, columns = view_matrices(views, (height, width), features[0].shape[1:], recipe.features)
    pictures = torch.from_numpy(np.stack(rgb)).permute(0, 3, 1, 2)
    *positive, negative = torch.from_numpy(np.stack(anchors)).unsqueeze(1).unbind(-1)
    return Batch(
        pictures,
        positive[0] if len(positive) == 1 else torch.cat(positive, 1),
        negative,
        torch.from_numpy(np.stack(inside))[:, None],
        torch.from_numpy(np.stack(features)),
        rows.repeat(2, 1, 1),
        columns.repeat(2, 1, 1),
    )


def _draw_past(recipe: Recipe, rng: np.random.Generator, pieces: Pieces) -> None:
    """Draw what a frame of another process's would have drawn."""
    jitter(np.zeros((1, 1, 3), np.uint8), recipe.training, rng)
    if pieces.instruments and rng.random() < recipe.training.pasted:
        pasted_at_random(np.zeros((recipe.input.height_px, recipe.input.width_px, 3), np.float32), pieces, rng)


def _regions(p: Tensor, batch: Batch) -> tuple[Regions, Regions]:
    inside = batch.inside[:, 0]
    p_grid = carry_down(p[:, 0] * inside, batch.rows, batch.columns)  # N h w
    whole = carry_down(inside, batch.rows, batch.columns)
    means = region_means(p_grid, whole, batch.features)
    half = len(p) // 2
    return (
        Regions(means.foreground[:half], means.background[:half]),
        Regions(means.foreground[half:], means.background[half:]),
    )


def _diffusion(now: Regions, then: Regions, terms: LossesRecipe) -> tuple[Tensor, Tensor]:
    foreground = diffusion_loss(now, then, of="foreground", margin=terms.foreground_margin)
    background = diffusion_loss(now, then, of="background", margin=terms.background_margin)
    return terms.foreground_weight * foreground, terms.background_weight * background


def view_matrices(
    views: Sequence[View], size: tuple[int, int], grid: Sequence[int], recipe: FeaturesRecipe
) -> tuple[Float[Tensor, "N H h"], Float[Tensor, "N W w"]]:
    """For each view the two matrices U that interpolate features from their grid to the crop's pixels."""
    rows = [_axis(size[0], grid[0], v.top, v.height, flip=False, recipe=recipe) for v in views]
    columns = [_axis(size[1], grid[1], v.left, v.width, flip=v.flip, recipe=recipe) for v in views]
    return torch.stack(rows), torch.stack(columns)


def _axis(
    pixels: int, cells: int, start: float, extent: float, *, flip: bool, recipe: FeaturesRecipe
) -> Float[Tensor, "n_pixels n_cells"]:
    if recipe.interpolation == "linear":
        return interpolation_matrix(pixels, cells, start=start, extent=extent, flip=flip)
    # As published, features and probability meet at half the size, both carried there bicubically.
    half = max(1, pixels // 2)
    features = interpolation_matrix(
        half, cells, start=start, extent=extent, flip=flip, kernel="cubic", align_corners=True
    )
    return _halving(pixels).T @ features


@lru_cache(maxsize=8)
def _halving(pixels: int) -> Float[Tensor, "half_pixels n_pixels"]:
    return interpolation_matrix(max(1, pixels // 2), pixels, kernel="cubic", align_corners=True)


def batches(
    clips: Sequence[TrainingClip],
    order: Schedule,
    recipe: Recipe,
    steps: Sequence[int],
    world: World = ALONE,
    device: str = "cpu",
) -> Iterator[Batch]:
    """Batches in order, the next ones made in threads while the network works on the present one.

    With other processes, of each batch this one's share. On the processor, which has the network to work on, one thread
    keeps up; a GPU takes a step of 6 pairs of 512 x 640 in a third of the time that a thread needs to make its batch.
    """
    pieces = Pieces()
    if recipe.training.pasted > 0:
        pieces = draw_pieces(recipe.input.height_px, recipe.input.width_px, order.seed)

    def batch(step: int) -> Batch:
        chosen = step_pairs(order, step)
        rng = np.random.default_rng([order.seed, 1, step])
        made = make_batch(clips, chosen, recipe, rng, pieces, world.places(len(chosen)))
        return made if device == "cpu" else Batch(*(tensor.pin_memory() for tensor in made))

    threads = 1 if device == "cpu" else max(1, min(_MOST_MAKERS, cores() // world.beside - 1))
    return in_threads(batch, steps, threads, ahead=threads + 1)


def _note(progress: Progress, losses: Losses, step: int, epoch_steps: int, *, last: bool) -> None:
    """Add a step's losses to the present epoch; close the epoch at its last step."""
    values = torch.stack(losses).detach().tolist()  # one transfer, not four
    for name, value in zip(Losses._fields, values, strict=True):
        progress.sums[name] = progress.sums.get(name, 0.0) + value
    progress.count += 1
    progress.step = step + 1
    if progress.step % epoch_steps == 0 or last:
        means = {name: total / progress.count for name, total in progress.sums.items()}
        progress.epochs.append({"step": progress.step, **means})
        progress.sums, progress.count = {}, 0


def _save(
    path: Path, net: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress, average: nn.Module | None
) -> None:
    state: dict[str, Any] = {
        "network": net.state_dict(),
        "optimiser": optimiser.state_dict(),
        "progress": vars(progress),
    }
    if average is not None:
        state["average"] = average.state_dict()
    state["digest"] = digest_of(state)
    with written_aside(path) as aside, aside.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # what torch says of a full disk hides what the system said
            raise error.__context__ if isinstance(error.__context__, OSError) else error  # noqa: B904


def _restored(path: Path, net: nn.Module, optimiser: torch.optim.Optimizer, average: nn.Module | None) -> Progress:
    remedy = f"Start anew: rm {path}"
    state = unpickled(path, remedy)
    try:
        if state.pop("digest") != digest_of(state):
            raise ValueError("it has changed since it was written")
        net.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        if average is not None:
            average.load_state_dict(state["average"])
        return Progress(**state["progress"])
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:  # another shape of any of these
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path}: not a checkpoint of this run ({reason}).", remedy) from error
