"""Schooling: a small network learns the shapes of instruments from drawn scenes alone.

    python -m cuemask.learning.school --out src/cuemask/cues/shape.npz

No photograph, no real instrument and no annotation goes in.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import json
import logging
import math
import pickle
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from cuemask import __version__
from cuemask.errors import CuemaskError, OutputError, TrainingError, WeightsError
from cuemask.learning.averaging import move_average
from cuemask.learning.pool import Pool, draw_pool
from cuemask.learning.training import has_bfloat16
from cuemask.learning.unet import UNet
from cuemask.media.arrays import load_arrays
from cuemask.media.files import make_folder, write_bytes, written_aside
from cuemask.phantom.fields import Shape
from cuemask.phantom.school import draw_scene

log = logging.getLogger(__name__)

HELD_OUT_SEED = 1_000_000  # held-out scenes are numbered from here
PIECES = "pieces"  # folder of drawn pieces within the lessons' folder
READ_EVERY = 100  # steps from one reading of the losses to the next


@dataclass(frozen=True)
class Lessons:
    """What a network is taught, and how.

    Attributes
    ----------
    pictures
        How many tissues are drawn; there are twice as many instruments.
    steps, batch
        Steps of the optimiser, pictures a step.
    small
        Share of the steps, the first ones, on pictures of `small_px`: less than half the work.
    small_px, picture_px
        Height and width of those pictures, and of all others.
    learning_rate
        Of AdamW, at its highest; it falls to 0 along half a cosine.
    averaging
        Share of the running average of weights that each step leaves as it is.
    held_out
        Drawn scenes, not learnt from, on which the end result is measured.
    start
        SHA-256 of the weights that these lessons go on from; empty for an untaught network.
    """

    pictures: int = 1600
    steps: int = 5600
    batch: int = 8
    small: float = 0.72
    small_px: Shape = (128, 160)
    picture_px: Shape = (160, 224)
    learning_rate: float = 2e-3
    averaging: float = 0.998
    held_out: int = 200
    seed: int = 0
    start: str = ""


def school_network() -> UNet:
    """The network that goes to school, untaught."""
    return UNet(width=16, depth=4, normalization="batch", block_px=2)


def school_loss(logits: Float[Tensor, "B 1 H W"], mask: Float[Tensor, "B 1 H W"]) -> Float[Tensor, ""]:
    """Cross-entropy plus Dice; Dice picture by picture, so that small instruments count as much as large ones.

    A five-hundredth of the picture is added to both halves of Dice: on pictures without instruments it then asks for
    nothing but few pixels.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, mask)
    p = torch.sigmoid(logits)
    spare = 0.002 * mask[0].numel()
    both = (p * mask).sum((1, 2, 3))
    either = p.sum((1, 2, 3)) + mask.sum((1, 2, 3))
    return entropy + (1 - (2 * both + spare) / (either + spare)).mean()


def teach(
    lessons: Lessons,
    folder: Path,
    start: UNet | None = None,
    checkpoint_seconds: float = 120.0,
    device: str = "cpu",
    workers: int = 0,
) -> tuple[UNet, dict[str, Any]]:
    """Teach a network; goes on where an earlier call with the same `folder` was broken off.

    Parameters
    ----------
    folder
        Where drawn pieces and the checkpoint are kept.
    start
        The network that `lessons.start` stands for, taught in earlier lessons.
    device
        Where the network works: `cpu`, `cuda`, `cuda:1`.
    workers
        Processes that draw pieces, and put pictures together while the network works; 0 does all in this one. What
        is drawn does not depend on it.

    Returns
    -------
    The running average of the network over the last steps, and the record: versions, lessons, seconds, losses.

    Raises
    ------
    TrainingError
        If the loss is no longer a number.
    WeightsError
        If the checkpoint in `folder` is of other lessons.
    OutputError
        If `folder` cannot be written.
    """
    started = time.monotonic()
    draw_pool(folder / PIECES, lessons.pictures, lessons.seed, lessons.picture_px, workers)
    drawing_seconds = time.monotonic() - started
    torch.manual_seed(lessons.seed)
    net = (school_network() if start is None else copy.deepcopy(start)).to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimiser = torch.optim.AdamW(net.train().parameters(), lessons.learning_rate, fused=True)
    pupil = _Pupil(net, copy.deepcopy(net), optimiser)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.is_file():
        _restore(checkpoint, pupil, lessons)
    started, saved = time.monotonic() - pupil.seconds, time.monotonic()
    remaining = range(pupil.step, lessons.steps)
    losses: list[Tensor] = []
    for step, batch in zip(remaining, batches(folder, lessons, remaining, workers), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = lessons.learning_rate * 0.5 * (1 + math.cos(math.pi * step / lessons.steps))
        losses.append(_step(pupil, batch, lessons))
        pupil.step = step + 1
        due = step + 1 == lessons.steps or time.monotonic() - saved > checkpoint_seconds
        if len(losses) < READ_EVERY and not due:
            continue
        pupil.losses += _read(losses)
        pupil.seconds, losses = time.monotonic() - started, []
        log.info(
            "step %d of %d: loss %.4f, %.0f s",
            pupil.step,
            lessons.steps,
            np.mean(pupil.losses[-READ_EVERY:]),
            pupil.seconds,
        )
        if due:
            _save(checkpoint, pupil, lessons)
            saved = time.monotonic()
    average = pupil.average.cpu().eval()
    return average, _record(lessons, pupil, drawing_seconds, held_out(average, lessons.held_out, lessons.picture_px))


@dataclass
class _Pupil:
    """All that a checkpoint keeps."""

    net: UNet
    average: UNet
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Pictures in [0, 1], B 3 H W, and masks, B 1 H W: those of any step, whoever asks.

    Each process that it is handed to opens the pieces in `folder` anew, so that none of them travels.
    """

    def __init__(self, folder: Path, lessons: Lessons) -> None:
        self.folder, self.lessons = folder, lessons
        self._pool: Pool | None = None

    def __getitem__(self, step: int) -> tuple[Float[Tensor, "B 3 H W"], Float[Tensor, "B 1 H W"]]:
        """The pictures and masks of one step."""
        lessons = self.lessons
        if self._pool is None:
            self._pool = draw_pool(self.folder / PIECES, lessons.pictures, lessons.seed, lessons.picture_px)
        size = lessons.small_px if step < lessons.small * lessons.steps else lessons.picture_px
        rng = np.random.default_rng([lessons.seed, 20, step])
        scenes = [self._pool.scene(rng, *size) for _ in range(lessons.batch)]
        rgb = torch.from_numpy(np.stack([scene.rgb for scene in scenes])).permute(0, 3, 1, 2)  # channels last
        mask = torch.from_numpy(np.stack([scene.mask for scene in scenes]))[:, None]
        return rgb.float() / 255, mask.float()


def batches(folder: Path, lessons: Lessons, steps: Sequence[int], workers: int) -> Iterable[Sequence[Tensor]]:
    """The batches of `steps`, in their order, the next ones made by other processes while the network works."""
    return DataLoader(
        Batches(folder, lessons),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=torch.cuda.is_available(),
    )


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


@torch.inference_mode()
def held_out(net: nn.Module, scenes: int, picture_px: Shape) -> dict[str, float]:
    """Loss and IoU (over scenes with instruments) on drawn scenes that no lesson holds."""
    losses: list[float] = []
    overlaps: list[float] = []
    for n in range(scenes):
        scene = draw_scene(HELD_OUT_SEED + n, *picture_px)
        rgb = torch.from_numpy(scene.rgb).permute(2, 0, 1)[None].float() / 255
        mask = torch.from_numpy(scene.mask)[None, None]
        logits = net(rgb)
        losses.append(float(school_loss(logits, mask.float())))
        if scene.mask.any():
            found = logits > 0
            overlaps.append(float((found & mask).sum() / (found | mask).sum()))
    return {"loss": float(np.mean(losses)), "iou": float(np.mean(overlaps)), "scenes": scenes} if losses else {}


def _step(pupil: _Pupil, batch: Sequence[Tensor], lessons: Lessons) -> Float[Tensor, ""]:
    """One step; its loss, still on the device."""
    device = next(pupil.net.parameters()).device
    rgb, mask = (tensor.to(device, non_blocking=True) for tensor in batch)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device.type)):
        logits = pupil.net(rgb)
    loss = school_loss(logits.float(), mask)
    pupil.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    pupil.optimiser.step()
    move_average(pupil.average, pupil.net, lessons.averaging, pupil.step)
    return loss.detach()


def _read(losses: Sequence[Tensor]) -> list[float]:
    read = torch.stack(list(losses)).tolist()
    if not np.isfinite(read).all():
        raise TrainingError("the loss is no longer a number: learning diverged.", "Lower the learning rate.")
    return read


def _save(path: Path, pupil: _Pupil, lessons: Lessons) -> None:
    state = {
        "lessons": asdict(lessons),
        "net": pupil.net.state_dict(),
        "average": pupil.average.state_dict(),
        "optimiser": pupil.optimiser.state_dict(),
        "step": pupil.step,
        "seconds": pupil.seconds,
        "losses": pupil.losses,
    }
    with written_aside(path) as aside:
        torch.save(state, aside)


def _restore(path: Path, pupil: _Pupil, lessons: Lessons) -> None:
    try:
        state = torch.load(path, "cpu", weights_only=True)
        if state["lessons"] != asdict(lessons):
            raise WeightsError(f"{path}: holds other lessons: {state['lessons']}.", f"Start anew: rm {path}")
        pupil.net.load_state_dict(state["net"])
        pupil.average.load_state_dict(state["average"])
        pupil.optimiser.load_state_dict(state["optimiser"])
        pupil.step, pupil.seconds, pupil.losses = state["step"], state["seconds"], state["losses"]
    except (pickle.UnpicklingError, RuntimeError, KeyError, EOFError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"{path}: not a checkpoint of these lessons ({reason}).", f"Start anew: rm {path}"
        ) from error


def _record(lessons: Lessons, pupil: _Pupil, drawing_seconds: float, measured: dict[str, float]) -> dict[str, Any]:
    every = max(1, len(pupil.losses) // 20)
    return {
        "cuemask": __version__,
        "torch": torch.__version__.split("+")[0],
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "lessons": asdict(lessons),
        "drawing_seconds": round(drawing_seconds, 1),
        "seconds": round(pupil.seconds, 1),
        "losses": [round(float(np.mean(pupil.losses[n : n + every])), 4) for n in range(0, len(pupil.losses), every)],
        "held_out": measured,
    }


def school_weights(net: nn.Module) -> bytes:
    """The network's state as NumPy's archive: kernels in half precision, all else as it is."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in net.state_dict().items()}
    halved = {name: array.astype(np.float16) if array.ndim > 1 else array for name, array in arrays.items()}
    file = io.BytesIO()
    np.savez(file, **halved)
    return file.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Teach a network and write its weights, and the record beside them."""
    usual = Lessons()
    parser = argparse.ArgumentParser(prog="python -m cuemask.learning.school", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="weights to write (.npz); the record goes beside them")
    parser.add_argument("--pictures", type=int, default=usual.pictures, help="tissues drawn; twice as many instruments")
    parser.add_argument("--steps", type=int, default=usual.steps)
    parser.add_argument("--batch", type=int, default=usual.batch, help="pictures a step")
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--learning-rate", type=float, default=usual.learning_rate)
    parser.add_argument("--start", type=Path, help="weights of earlier lessons to go on from (.npz)")
    parser.add_argument("--held-out", type=int, default=usual.held_out, help="other drawn scenes to measure on")
    parser.add_argument("--device", default="cpu", help="where the network works: cpu, cuda, cuda:1")
    parser.add_argument("--workers", type=int, default=1, help="processes that put pictures together meanwhile")
    parser.add_argument("--resume", action="store_true", help="go on where an earlier call was broken off")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lessons = Lessons(
        pictures=options.pictures,
        steps=options.steps,
        batch=options.batch,
        seed=options.seed,
        learning_rate=options.learning_rate,
        held_out=options.held_out,
    )
    try:
        _school(options.out, lessons, options.start, options.device, options.workers, resume=options.resume)
    except CuemaskError as error:
        log.error("%s", error)
        return 2
    return 0


def _school(out: Path, lessons: Lessons, start: Path | None, device: str, workers: int, *, resume: bool) -> None:
    folder = out.with_suffix(".lessons")
    if folder.exists() and not resume:
        raise OutputError(f"{folder}: holds earlier lessons.", "Go on with --resume, or remove the folder.")
    make_folder(out.parent)
    earlier = None if start is None else _taught(start)
    if start is not None:
        lessons = replace(lessons, start=hashlib.sha256(start.read_bytes()).hexdigest())
    net, record = teach(lessons, folder, earlier, device=device, workers=workers)
    if start is not None and start.with_suffix(".json").is_file():
        record["earlier"] = json.loads(start.with_suffix(".json").read_text(encoding="utf-8"))
    data = school_weights(net)
    record["sha256"] = hashlib.sha256(data).hexdigest()
    write_bytes(out, data)
    write_bytes(out.with_suffix(".json"), (json.dumps(record, indent=2) + "\n").encode())


def _taught(path: Path) -> UNet:
    """The network whose weights `school_weights` wrote."""
    net = school_network()
    try:
        net.load_state_dict({name: torch.from_numpy(values) for name, values in load_arrays(path).items()})
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"{path}: no weights of a schooled network ({reason}).", "Give --start another file."
        ) from error
    return net


if __name__ == "__main__":
    sys.exit(main())
