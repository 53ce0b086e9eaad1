"""The shape cue: what looks like an instrument to a small network that has seen drawn scenes alone.

The network (`cuemask.learning.school`) has seen no photograph, no real instrument and no annotation. Its weights lie
beside this module with the record of how they came about. OpenCV runs it; torch is not needed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Num, UInt8

from cuemask.cues.onnx_bytes import model, node
from cuemask.media.arrays import load_arrays

WEIGHTS = Path(__file__).with_name("shape.npz")
RECORD = WEIGHTS.with_suffix(".json")
HEIGHT_PX, WIDTH_PX = 160, 224  # what the network looks at
_BLOCK = 2  # side of the square of pixels that the network takes as one
_LEVELS = 4
_EPSILON = 1e-5  # of batch normalisation
_FAINT = 0.1  # shape above which pixels hang together
_RIM = 0.03  # from the picture's end, in heights

Weights = Mapping[str, Num[np.ndarray, "..."]]


def shape_cue(
    rgb: UInt8[np.ndarray, "H W 3"], inside: Bool[np.ndarray, "H W"] | None = None
) -> Float32[np.ndarray, "H W"]:
    """How surely each pixel belongs to something shaped like an instrument.

    The picture is resized to 160x224, the network's probability back again, bilinearly.

    Parameters
    ----------
    rgb
        One frame, 0 to 255, of any size.
    inside
        Where the endoscope's picture is; elsewhere the cue is 0.

    Returns
    -------
    Probability in [0, 1].

    Examples
    --------
    >>> import cuemask, numpy as np
    >>> rgb = np.full((60, 80, 3), (180, 60, 50), np.uint8)  # tissue
    >>> rgb[20:40, :50] = 150  # and a grey tool
    >>> cue = cuemask.cues.shape(rgb)
    >>> cue.shape, cue.dtype, bool(0 <= cue.min() <= cue.max() <= 1)
    ((60, 80), dtype('float32'), True)
    """
    height, width = rgb.shape[:2]
    shrinks = height >= HEIGHT_PX and width >= WIDTH_PX
    small = cv2.resize(rgb, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    p = cv2.resize(_seen(small.astype(np.uint8, copy=False)), (width, height), interpolation=cv2.INTER_LINEAR)
    p = np.clip(p, 0, 1).astype(np.float32, copy=False)
    return p if inside is None else np.where(inside, p, np.float32(0))


def entering(
    shape: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None = None
) -> Float32[np.ndarray, "H W"]:
    """The shape cue where it is part of something that comes in from the picture's rim, elsewhere 0.

    Something is a part of the picture (8-connected) where the cue is above 0.1; it comes in if it is within 3 % of the
    picture's height from where the picture ends. A hole or a patch of glare does not; the tip of an instrument whose
    shaft is hidden does not either, so single frames are not judged by this, only whole clips.

    Parameters
    ----------
    shape
        In [0, 1].
    inside
        Where the endoscope's picture is; None for everywhere.
    """
    height, width = shape.shape
    picture = np.ones((height, width), np.uint8) if inside is None else inside.astype(np.uint8)
    side = 2 * max(1, round(_RIM * height)) + 1
    core = cv2.erode(picture, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    count, parts = cv2.connectedComponents((shape > _FAINT).astype(np.uint8), connectivity=8)
    parts = np.asarray(parts, np.intp)
    comes_in = np.bincount(parts[(picture > core) & (shape > _FAINT)], minlength=count) > 0
    return np.where(np.take(comes_in, parts), shape, np.float32(0))


def shape_weights() -> Weights:
    """The network's weights by the names of `cuemask.learning.unet.UNet(16, 4, "batch", 2)`, float32."""
    weights = load_arrays(WEIGHTS)
    return {name: values.astype(np.float32) if values.ndim else values for name, values in weights.items()}


def shape_model(weights: Weights, height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> bytes:
    """The network as an ONNX model: blocks of 2 x 2 pixels of RGB in [-1, 1] in, their probabilities out.

    Batch normalisation is folded into the convolutions before it.
    """
    nodes: list[bytes] = []
    constants: dict[str, Float32[np.ndarray, ...]] = {}

    def convolved(source: str, layer: str, norm: str) -> str:
        constants[f"{layer}.w"], constants[f"{layer}.b"] = _folded(weights, layer, norm)
        nodes.append(node("Conv", [source, f"{layer}.w", f"{layer}.b"], layer, kernel_shape=(3, 3), pads=(1, 1, 1, 1)))
        nodes.append(node("Relu", [layer], f"{layer}.relu"))
        return f"{layer}.relu"

    def plain(operator: str, source: str, layer: str, side: int) -> str:
        constants[f"{layer}.w"], constants[f"{layer}.b"] = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
        inputs = [source, f"{layer}.w", f"{layer}.b"]
        nodes.append(node(operator, inputs, layer, kernel_shape=(side, side), strides=(side, side)))
        return layer

    x, skips = "blocks", []
    for level in range(_LEVELS + 1):
        if level:
            nodes.append(node("MaxPool", [x], f"pool.{level}", kernel_shape=(2, 2), strides=(2, 2)))
            x = f"pool.{level}"
        x = convolved(convolved(x, f"down.{level}.0", f"down.{level}.1"), f"down.{level}.3", f"down.{level}.4")
        skips.append(x)
    for level, skip in enumerate(skips[-2::-1]):
        risen = plain("ConvTranspose", x, f"rise.{level}", 2)
        nodes.append(node("Concat", [skip, risen], f"joined.{level}", axis=1))
        x = convolved(f"joined.{level}", f"up.{level}.0", f"up.{level}.1")
        x = convolved(x, f"up.{level}.3", f"up.{level}.4")
    nodes.append(node("Sigmoid", [plain("Conv", x, "head", 1)], "p"))
    rows, columns = height_px // _BLOCK, width_px // _BLOCK
    return model(nodes, constants, {"blocks": (1, 3 * _BLOCK**2, rows, columns)}, {"p": (1, _BLOCK**2, rows, columns)})


def _folded(
    weights: Weights, layer: str, norm: str
) -> tuple[Float32[np.ndarray, "o i 3 3"], Float32[np.ndarray, " o"]]:
    """A convolution without bias and the batch normalisation after it, as one convolution with bias."""
    gain = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + np.float32(_EPSILON))
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain
    kernel = weights[f"{layer}.weight"] * gain[:, None, None, None]
    return kernel.astype(np.float32), bias.astype(np.float32)


@lru_cache(maxsize=1)
def _shipped_model() -> Float32[np.ndarray, " n"] | UInt8[np.ndarray, " n"]:
    return np.frombuffer(shape_model(shape_weights()), np.uint8)


_of_thread = threading.local()  # OpenCV's networks hold what they compute: each thread has its own


def _seen(small: UInt8[np.ndarray, "160 224 3"]) -> Float32[np.ndarray, "160 224"]:
    """The network's probability for a picture of its own size."""
    if not hasattr(_of_thread, "network"):
        _of_thread.network = cv2.dnn.readNetFromONNX(_shipped_model())
    rows, columns = HEIGHT_PX // _BLOCK, WIDTH_PX // _BLOCK
    scaled = small.astype(np.float32) * np.float32(2 / 255) - 1
    blocks = scaled.reshape(rows, _BLOCK, columns, _BLOCK, 3).transpose(4, 1, 3, 0, 2)
    _of_thread.network.setInput(np.ascontiguousarray(blocks).reshape(1, 3 * _BLOCK**2, rows, columns))
    p = _of_thread.network.forward().reshape(_BLOCK, _BLOCK, rows, columns)
    return np.ascontiguousarray(p.transpose(2, 0, 3, 1)).reshape(HEIGHT_PX, WIDTH_PX)
