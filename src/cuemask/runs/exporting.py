"""`cuemask export`: a trained model in the formats of other programs."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import UInt8
from torch import nn

from cuemask.cues.clip import working_picture
from cuemask.errors import OutputError, WeightsError
from cuemask.evaluation.metrics import Counts, iou
from cuemask.inference.export import OPSET, write_onnx
from cuemask.inference.model import Model, load_model
from cuemask.inference.prediction import Predictor
from cuemask.inference.quantization import write_int8
from cuemask.inference.runtime import load_onnx
from cuemask.inference.thresholds import finished_probability, full_mask
from cuemask.media.area import PictureArea
from cuemask.media.clips import Clip, open_clips
from cuemask.media.folders import own_file
from cuemask.runs.options import Options, area_of
from cuemask.runs.record import run_of

_FRAMES = 16  # of each clip, about, on which ranges are measured


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Attributes
    ----------
    difference
        Largest difference of a probability between torch and the float32 graph.
    agreement
        Mean IoU of the masks of the 8-bit model with those of the float32 one, on the `frames` that the ranges
        were measured on; None without 8 bits.
    """

    file: Path
    difference: float
    agreement: float | None = None
    frames: int = 0

    def lines(self) -> list[str]:
        """Closing lines for the terminal."""
        lines = [f"largest difference to torch: {self.difference:.1e} of probability (opset {OPSET})"]
        if self.agreement is not None:
            lines.append(
                f"masks of the 8-bit model against float32: mean IoU {self.agreement:.4f}, {self.frames} frames"
            )
        return [*lines, str(self.file)]


def export_onnx(
    run: Path,
    out: Path,
    calibrate_on: Sequence[str | Path] = (),
    *,
    crop: tuple[int, int, int, int] | None = None,
    network: nn.Module | None = None,
) -> Exported:
    """Write the trained model of `run` as one ONNX file, and run that file against torch.

    The graph takes uint8 RGB frames (N, H, W, 3) of the endoscope's picture at any size and gives float32
    probability (N, h, w) at the recipe's working size.

    Parameters
    ----------
    run
        The folder of a `train` or `segment` run or of one of its clips, or its `model.safetensors`.
    out
        The file, ending in `.onnx`; a model of ours that stands there is replaced.
    calibrate_on
        Videos, folders or patterns; with them the network is quantised to 8-bit integers, its ranges those of
        about 16 frames of each.
    crop
        Top, left, height and width of the picture in these frames; None finds it.
    network
        The network of one's own that learnt, where it was none of ours.

    Raises
    ------
    CuemaskError
        If a library is missing, the model or an input cannot be read, `out` cannot be written, or the exported
        model does not agree with torch.
    """
    if out.suffix.lower() != ".onnx":
        raise OutputError(f"{out}: does not end in .onnx, by which predict tells it.", f"Try: --out {out}.onnx")
    model = load_model(run_of(run) if run.is_dir() else run, own=network)
    options = Options(out=out, recipe=model.recipe, crop=crop)
    clips = [(clip, area_of(clip, options)) for clip in open_clips(calibrate_on)] if calibrate_on else []
    with own_file(out, _is_own):
        return _written(model, out, clips)


def _is_own(file: Path) -> bool:
    try:
        load_onnx(file, "cpu")
    except WeightsError:
        return False
    return True


def _written(model: Model, out: Path, clips: Sequence[tuple[Clip, PictureArea]]) -> Exported:
    if not clips:
        return Exported(out, write_onnx(model, out))
    with TemporaryDirectory() as folder:
        exact = Path(folder) / "float32.onnx"
        difference = write_onnx(model, exact)
        float32 = load_onnx(exact, "cpu")
        pictures = [working_picture(rgb, area, model.recipe) for rgb, area in _frames(clips)]
        write_int8(exact, out, pictures)
        agreements = _agreements(float32, load_onnx(out, "cpu"), clips)
    return Exported(out, difference, float(np.mean(agreements)), len(agreements))


def _frames(clips: Sequence[tuple[Clip, PictureArea]]) -> Generator[tuple[UInt8[np.ndarray, "H W 3"], PictureArea]]:
    """Frames spread over the clips, each with where its picture lies."""
    for clip, area in clips:
        for rgb in clip.sample(_FRAMES):
            yield rgb, area.shown(area.crop(rgb))


def _agreements(one: Predictor, other: Predictor, clips: Sequence[tuple[Clip, PictureArea]]) -> list[float]:
    """IoU of two models' masks, frame by frame; 1 where both are empty."""
    found: list[float] = []
    for rgb, area in _frames(clips):
        a, b = (_mask(model, rgb, area) for model in (one, other))
        found.append(float(iou(Counts.of(a, b))))
    return found


def _mask(model: Predictor, rgb: UInt8[np.ndarray, "H W 3"], area: PictureArea) -> np.ndarray:
    working = model.working_probability(working_picture(rgb, area, model.recipe)[None])[0]
    p = finished_probability(working, rgb, area, model.recipe)
    height, width = rgb.shape[:2]
    return full_mask(p, area, height, width, model.recipe.masks)
