"""A trained network as one ONNX file: 8-bit frames of any size in, probability at working size out."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cuemask import __version__
from cuemask.cues.clip import HALVED_ABOVE
from cuemask.errors import InstallationError, WeightsError
from cuemask.inference.model import Model
from cuemask.inference.passing import passing_working_size
from cuemask.inference.runtime import CLASSES, INPUT, OUTPUT, load_onnx
from cuemask.learning.backbones import without_norms
from cuemask.learning.unet import ResNet18UNet, UNet
from cuemask.media.files import written_aside
from cuemask.recipe import Recipe, recipe_as_mapping

OPSET = 18
LARGEST_DIFFERENCE = 1e-3  # of a probability, between torch and the exported file


class Deployed(nn.Module):
    """Resizing, network and sigmoid, or softmax over several classes, in one: the graph that is exported.

    Parameters
    ----------
    net
        Takes RGB in [0, 1] at working size and gives logits; what more it wants of its input it does itself.
    """

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.net = net
        self.height_px, self.width_px = recipe.input.height_px, recipe.input.width_px
        self.has_classes = recipe.network.classes > 1

    def forward(self, rgb: UInt8[Tensor, "N H W 3"]) -> tuple[Tensor, ...]:
        """What `output_names` says, in [0, 1] at working size: (N, h, w) and, of several classes, (N, C, h, w)."""
        pictures = resized(rgb, self.height_px, self.width_px)
        logits = self.net(pictures / 255)
        if not self.has_classes:
            return (torch.sigmoid(logits)[:, 0],)
        p = torch.softmax(logits, 1)
        return 1 - p[:, 0], p[:, 1:]


def resized(rgb: UInt8[Tensor, "N H W 3"], height_px: int, width_px: int) -> Float[Tensor, "N 3 h w"]:
    """Pictures resized as `cues.clip.working_picture` does with OpenCV, in whole levels of 0 to 255.

    By area where both sides shrink, of 2 x 2 pixels first where they shrink much, else linear. All are products with
    one matrix an axis, whose entries follow from the sizes alone, so that the graph is right for every size; ONNX's
    own Resize has no mean over areas.
    """
    n, height, width = rgb.shape[:3]
    tall, wide = torch.full((), height, dtype=torch.float32), torch.full((), width, dtype=torch.float32)
    shrinks = (tall >= height_px) & (wide >= width_px)
    is_much = (tall > HALVED_ABOVE * height_px) & (wide > HALVED_ABOVE * width_px)
    cell = torch.where(is_much & (tall % 2 == 0) & (wide % 2 == 0), 2.0, 1.0)
    rows = _resizing(torch.arange(height), tall, height_px, shrinks, cell)
    columns = _resizing(torch.arange(width), wide, width_px, shrinks, cell)
    x = rows @ rgb.reshape(n, height, width * 3).float()  # N h W*3
    x = x.reshape(n, height_px, width, 3).permute(0, 3, 1, 2) @ columns.T  # N 3 h w
    return x.round()


def _resizing(
    place: Tensor, size: Float[Tensor, ""], wanted: int, shrinks: Tensor, cell: Float[Tensor, ""]
) -> Float[Tensor, "wanted size"]:
    """Row i: the share of each input pixel in output pixel i; by area, `cell` neighbours have equal shares."""
    j, i = place.float()[None], torch.arange(wanted, dtype=torch.float32)[:, None]
    first, length = torch.floor(j / cell) * cell, size / wanted
    covered = torch.minimum((i + 1) * length, first + cell) - torch.maximum(i * length, first)
    area = covered.clamp(min=0) / (cell * length)
    centre = torch.minimum(((i + 0.5) * size / wanted - 0.5).clamp(min=0), size - 1)
    linear = (1 - (centre - j).abs()).clamp(min=0)
    return torch.where(shrinks, area, linear)


def write_onnx(model: Model, path: Path) -> float:
    """Export `model` to `path`, and run it there against torch.

    Returns
    -------
    The largest difference of a probability between the two.

    Raises
    ------
    InstallationError
        If onnx, onnxscript or ONNX Runtime is not installed.
    WeightsError
        If the difference is above `LARGEST_DIFFERENCE`.
    OutputError
        If the file cannot be written.
    """
    net = copy.deepcopy(model.network).cpu().eval()
    proto = _proto(Deployed(_on_pixels(_without_norms(net)), model.recipe), model.recipe)
    with written_aside(path) as aside:
        aside.write_bytes(proto.SerializeToString())
        difference = difference_to_torch(Deployed(net, model.recipe), aside)
        if not difference <= LARGEST_DIFFERENCE:
            raise WeightsError(
                f"{path}: the exported model differs from torch's by {difference:.2g} in probability.",
                "Please report this with the versions of torch, onnxscript and onnxruntime; use predict RUN meanwhile.",
            )
    return difference


def _proto(deployed: Deployed, recipe: Recipe) -> Any:
    try:
        import onnx
        import onnxscript as _  # noqa: F401 - torch's exporter needs it and says so less plainly
    except ImportError as error:
        raise InstallationError(
            f"exporting needs onnx and onnxscript ({error}).", "Run: pip install 'cuemask[export]'"
        ) from error
    size = {axis: torch.export.Dim(name, min=2) for axis, name in ((1, "height"), (2, "width"))}
    example = torch.zeros(2, deployed.height_px + 7, deployed.width_px + 5, 3, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it would tell that torchvision is absent
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns about its own deprecated parts
        program = torch.onnx.export(
            deployed,
            (example,),
            input_names=[INPUT],
            output_names=output_names(recipe),
            dynamic_shapes=({0: torch.export.Dim("frames"), **size},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = passing_working_size(program.model_proto, deployed.height_px, deployed.width_px)
    onnx.helper.set_model_props(proto, _metadata(recipe))
    return proto


def output_names(recipe: Recipe) -> list[str]:
    """`probability` of an instrument and, of several classes, `classes`: that of each."""
    return [OUTPUT] if recipe.network.classes == 1 else [OUTPUT, CLASSES]


def _metadata(recipe: Recipe) -> dict[str, str]:
    names = recipe.network.class_names
    of_classes = {"classes": f"{CLASSES}: float32 in [0, 1] at working size (frames, classes, height, width)"}
    of_classes |= {"class_names": json.dumps(names)} if names else {}
    return (of_classes if recipe.network.classes > 1 else {}) | {
        "cuemask": __version__,
        "recipe": json.dumps(recipe_as_mapping(recipe)),
        "input": f"{INPUT}: uint8 RGB of the endoscope's picture, any size (frames, height, width, 3)",
        "output": f"{OUTPUT}: float32 in [0, 1] at working size (frames, height, width)",
    }


def _without_norms(net: nn.Module) -> nn.Module:
    """A copy in which each batch norm is folded into the convolution before it; of a network of one's own as it is."""
    net = copy.deepcopy(net)
    if not isinstance(net, (UNet, ResNet18UNet)):  # whose convolutions may be used in other places, too
        return net
    if isinstance(net, ResNet18UNet):
        net.encoder = without_norms(net.encoder)
    for sequence in [m for m in net.modules() if isinstance(m, nn.Sequential)]:
        for index, layer in enumerate(sequence):
            before = sequence[index - 1]
            if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
                sequence[index - 1] = fuse_conv_bn_eval(before, layer)
                sequence[index] = nn.Identity()
    return net


def _on_pixels(net: nn.Module) -> nn.Module:
    """The same function, with blocks of pixels met by the first convolution's steps and not by moving the pixels.

    Before it, what is moved is more than what is computed: together they take twice the time of this one.
    """
    if not isinstance(net, UNet) or net.block_px == 1:
        return net
    side, first = net.block_px, net.down.get_submodule("0.0")
    assert isinstance(first, nn.Conv2d)
    weight = first.weight.unflatten(1, (3, side, side)).permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)
    on_pixels = nn.Conv2d(3, len(weight), weight.shape[2], side, side, bias=first.bias is not None)
    on_pixels.weight, on_pixels.bias = nn.Parameter(weight), first.bias
    net.down[0][0] = on_pixels  # pyright: ignore[reportIndexIssue]
    net.unshuffle = nn.Identity()
    return net


@torch.inference_mode()
def difference_to_torch(deployed: Deployed, file: Path) -> float:
    """The largest difference of a probability between torch and `file`, in float32 on the processor.

    Noise at working size, and the same noise with every pixel repeated, which resizes to what it was.
    """
    shape = (2, deployed.height_px, deployed.width_px, 3)
    rgb = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    expected = [output.numpy() for output in deployed(torch.from_numpy(rgb))]
    exported = load_onnx(file, "cpu")
    asked = [exported.working_probability, exported.working_classes][: len(expected)]
    seen = [(rgb, slice(None)), (rgb[:1].repeat(2, 1).repeat(2, 2), slice(1)), (rgb[1:].repeat(3, 1), slice(1, 2))]
    return max(
        float(np.abs(ask(pictures) - p[which]).max())
        for pictures, which in seen
        for ask, p in zip(asked, expected, strict=True)
    )
