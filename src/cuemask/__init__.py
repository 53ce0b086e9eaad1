"""cuemask: instrument masks from surgical video, with nothing labelled.

>>> import cuemask
>>> run = cuemask.segment("op.mp4", out="result", recipe="fast", training={"steps": 25})
>>> run.clips[0].mask("000010").shape  # (H, W), True where there is an instrument
(96, 128)
>>> model = cuemask.load("result")
>>> [mask.shape for mask in model(frame.rgb for frame in cuemask.frames("op.mp4", every=6))]
[(96, 128), (96, 128)]
>>> print(cuemask.evaluate("result", "masks").table().splitlines()[0])
frames  12

Every command of the command line is a function of the same name with the same options. Names are imported when they are
asked for: `import cuemask` loads neither torch nor numpy.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as type checkers know it; `typing` itself would be most of the time of the import

# The room of that name is loaded now, so that the name is free for the function, whatever imports the room later.
importlib.import_module("cuemask.report")
del globals()["report"]

if TYPE_CHECKING:
    from cuemask import cues, errors, evaluation, phantom
    from cuemask.datasets.catalogue import read_dataset
    from cuemask.errors import CuemaskError
    from cuemask.evaluation.results import Evaluation
    from cuemask.learning import losses
    from cuemask.library.calls import anchors, evaluate, export_onnx, frames, predict, report, segment, train, verify
    from cuemask.library.models import Model, load
    from cuemask.library.results import Clip, Run
    from cuemask.recipe import Recipe, load_recipe

__version__ = "0.2.0"

__all__ = [
    "Clip",
    "CuemaskError",
    "Evaluation",
    "Model",
    "Recipe",
    "Run",
    "__version__",
    "anchors",
    "cues",
    "errors",
    "evaluate",
    "evaluation",
    "export_onnx",
    "frames",
    "load",
    "load_recipe",
    "losses",
    "phantom",
    "predict",
    "read_dataset",
    "report",
    "segment",
    "train",
    "verify",
]

_MODULES = {
    "cues": "cuemask.cues",
    "errors": "cuemask.errors",
    "evaluation": "cuemask.evaluation",
    "losses": "cuemask.learning.losses",
    "phantom": "cuemask.phantom",
}
_NAMES = {
    "cuemask.datasets.catalogue": ("read_dataset",),
    "cuemask.errors": ("CuemaskError",),
    "cuemask.evaluation.results": ("Evaluation",),
    "cuemask.library.calls": (
        *("anchors", "evaluate", "export_onnx", "frames", "predict", "report", "segment", "train", "verify"),
    ),
    "cuemask.library.models": ("Model", "load"),
    "cuemask.library.results": ("Clip", "Run"),
    "cuemask.recipe": ("Recipe", "load_recipe"),
}
_PLACES = {name: place for place, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    """What is asked for the first time (PEP 562)."""
    if name in _MODULES:
        found: object = importlib.import_module(_MODULES[name])
    elif name in _PLACES:
        found = getattr(importlib.import_module(_PLACES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
