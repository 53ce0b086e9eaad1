"""An exported model in 8-bit integers: a third of the size, and faster where the processor multiplies them well."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cuemask.inference.runtime import INPUT, onnxruntime
from cuemask.media.files import written_aside

# The resizing and the sigmoid stay in float32; so do transposed convolutions, which ONNX Runtime has no integers for.
_OPERATIONS = ["Conv", "MaxPool", "Concat", "Add", "Relu", "Resize"]


def write_int8(exported: Path, path: Path, pictures: Sequence[UInt8[np.ndarray, "h w 3"]]) -> None:
    """Quantise `exported` to `path`: QDQ, weights per channel, ranges from `pictures` at working size.

    The metadata is that of `exported`; the input and the output stay what they were.

    Raises
    ------
    InstallationError
        If ONNX Runtime is not installed.
    OutputError
        If the file cannot be written.
    """
    onnxruntime()
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as folder, written_aside(path) as aside, _only_errors():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(exported, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            aside,
            _reader(pictures),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_OPERATIONS,
            nodes_to_exclude=[_first_convolution(prepared)],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )


def _first_convolution(prepared: Path) -> str:
    """The node that stays in float32; so does the resizing, which lies in a branch, where no node is quantised.

    Sums of places are nothing for 8 bits. Ranges of what the first convolution gives are as wide as the colours of
    the pictures that they were measured on: in 8 bits, masks of another kind of operation agreed by 0.946 of IoU,
    with this one exact by 0.993 (default recipe; ranges from EndoVis 2017, masks of CholecSeg8k).
    """
    import onnx

    return next(node.name for node in onnx.load(prepared).graph.node if node.op_type == "Conv")


def _reader(pictures: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Any:
    """The pictures, one at a time, as ONNX Runtime asks for them: None at the end."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = ({INPUT: picture[None]} for picture in pictures)

        def get_next(self) -> Any:
            return next(self.feeds, None)

    return Reader()


@contextmanager
def _only_errors() -> Generator[None, None, None]:
    """No advice of the library's to itself on the root logger."""
    before = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(before)
