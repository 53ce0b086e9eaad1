"""Small ONNX models like those that `cuemask export onnx` writes, and unlike them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 32, 40


def graph(
    metadata: Mapping[str, str],
    *,
    value: float = 0.25,
    names: tuple[str, str] = ("rgb", "probability"),
    input_type: int = TensorProto.UINT8,
    input_shape: Sequence[Any] = ("frames", "height", "width", 3),
    size: tuple[int, ...] = (HEIGHT, WIDTH),
    told: Sequence[Any] | None = None,
) -> bytes:
    """A model that gives `value` everywhere.

    Parameters
    ----------
    told
        Shape that the output is said to have; None for what it has.
    """
    rgb, probability = names
    constants = {"zero": np.array([0], np.int64), "size": np.array(size, np.int64)}
    fill = numpy_helper.from_array(np.array([value], np.float32))
    nodes = [
        helper.make_node("Shape", [rgb], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["frames"], axis=0),
        helper.make_node("Concat", ["frames", "size"], ["wanted"], axis=0),
        helper.make_node("ConstantOfShape", ["wanted"], [probability], value=fill),
    ]
    made = helper.make_graph(
        nodes,
        "ours",
        [helper.make_tensor_value_info(rgb, input_type, input_shape)],
        [helper.make_tensor_value_info(probability, TensorProto.FLOAT, told or ("frames", *size))],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.helper.set_model_props(model, dict(metadata))
    return model.SerializeToString()
