"""Exported models, run by ONNX Runtime: no torch, the same masks."""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from cuemask.errors import InstallationError, WeightsError
from cuemask.inference.ours import Port, not_ours, recipe_in, refuse_other_ports
from cuemask.recipe import Recipe

INPUT, OUTPUT, CLASSES = "rgb", "probability", "classes"
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
# Whom a provider leaves what it cannot do; the processor is always last.
_FALLBACKS = {"tensorrt": ["cuda"]}
_PACKAGES = {"cuda": "onnxruntime-gpu", "tensorrt": "onnxruntime-gpu", "openvino": "onnxruntime-openvino"}
_EXPORT_ONE = "Export one: cuemask export onnx RUN --out model.onnx; then give that file."


@dataclass(frozen=True)
class OnnxModel:
    """A session of ONNX Runtime with the recipe that the model was trained and is to be used by."""

    session: Any
    recipe: Recipe
    device: str
    one_core: bool

    def working_probability(self, pictures: UInt8[np.ndarray, "N H W 3"]) -> Float32[np.ndarray, "N h w"]:
        """Instrument probability in [0, 1] at working size, of pictures of any size.

        Pictures of working size pass as they are; others are resized in the graph as OpenCV would.
        """
        return self.session.run([OUTPUT], {INPUT: pictures})[0]

    def working_classes(self, pictures: UInt8[np.ndarray, "N H W 3"]) -> Float32[np.ndarray, "N C h w"]:
        """As `prediction.ClassPredictor` has it, of pictures of any size."""
        return self.session.run([CLASSES], {INPUT: pictures})[0]


def load_onnx(path: Path, provider: str = "auto", *, one_core: bool = False) -> OnnxModel:
    """The model that `cuemask export onnx` wrote to `path`.

    Parameters
    ----------
    provider
        `auto` (CUDA where this ONNX Runtime has it, else the processor), `cpu`, `cuda`, `tensorrt` or `openvino`.
    one_core
        Keep each call on one core where the processor does the work: many frames at once go fastest as one a core,
        a single frame as all cores on one.

    Raises
    ------
    WeightsError
        If the file is absent, not ONNX or not ours, or gives no probabilities.
    InstallationError
        If ONNX Runtime, or the provider, is not installed or does not start.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file.", _EXPORT_ONE)
    ort = onnxruntime()
    providers = _chosen(ort, provider)
    one_core = one_core and providers[0] == "cpu"
    session = _session(ort, path, providers, threads=1 if one_core else 0)
    started = _name(session.get_providers()[0])
    if provider not in ("auto", started):
        raise InstallationError(
            f"provider {provider}: it is installed but did not start; ONNX Runtime would run on {started} instead.",
            f"Install the libraries that its message above names, or choose: --provider {started}",
        )
    model = OnnxModel(session, _recipe(session, path), f"onnxruntime {ort.__version__} {started}", one_core)
    _try_out(ort, model, path)
    return model


def onnxruntime() -> Any:
    """The library, its telemetry off: without the variable it writes a device's number under the home folder.

    Raises
    ------
    InstallationError
        If it is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise InstallationError(
            f"ONNX Runtime is not installed or does not load ({error}).", "Run: pip install 'cuemask[runtime]'"
        ) from error
    return ort


def _chosen(ort: Any, provider: str) -> list[str]:
    """The providers to try, in order."""
    built_in = ort.get_available_providers()
    available = [name for name, full in PROVIDERS.items() if full in built_in]
    if provider == "auto":
        return [name for name in ("cuda", "cpu") if name in available]
    if provider not in available:
        package = f"Install it: pip install {_PACKAGES[provider]}; or choose" if provider in _PACKAGES else "Choose"
        raise InstallationError(
            f"provider {provider}: this ONNX Runtime ({ort.__version__}) has {', '.join(available)}.",
            f"{package} one that is there: --provider {available[0]}",
        )
    names = [provider, *_FALLBACKS.get(provider, []), "cpu"]
    return [name for name in dict.fromkeys(names) if name in available]


def _session(ort: Any, path: Path, providers: list[str], threads: int) -> Any:
    if "cuda" in providers and hasattr(ort, "preload_dlls"):
        with redirect_stdout(None):  # it prints what it does not find; the session says what it lacks
            ort.preload_dlls()  # CUDA's libraries where pip has put them, which torch would have loaded
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads  # 0: all cores
    try:
        return ort.InferenceSession(path, options, providers=[PROVIDERS[name] for name in providers])
    except _errors(ort) as error:
        raise WeightsError(f"{path}: ONNX Runtime cannot open it ({_first_line(error)}).", _EXPORT_ONE) from error


def _recipe(session: Any, path: Path) -> Recipe:
    """The recipe of a graph of ours, once its metadata, input and output are found to be what export writes."""
    try:
        metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
        inputs, outputs = (
            [Port(port.name, port.type, port.shape) for port in ports]
            for ports in (session.get_inputs(), session.get_outputs())
        )
    except UnicodeDecodeError as error:
        raise not_ours(path, f"its names are no text: {error}", _EXPORT_ONE) from error
    recipe = recipe_in(metadata, path, _EXPORT_ONE)
    size = recipe.input
    refuse_other_ports(path, inputs, [Port(INPUT, "tensor(uint8)", (-1, -1, -1, 3))], _EXPORT_ONE)
    wanted = [Port(OUTPUT, "tensor(float)", (-1, size.height_px, size.width_px))]
    if recipe.network.classes > 1:
        wanted.append(Port(CLASSES, "tensor(float)", (-1, recipe.network.classes, size.height_px, size.width_px)))
    refuse_other_ports(path, outputs, wanted, _EXPORT_ONE)
    return recipe


def _try_out(ort: Any, model: OnnxModel, path: Path) -> None:
    """One black picture through the graph: what is damaged inside shows now, not in the first mask."""
    size = model.recipe.input
    shape = (1, size.height_px, size.width_px)
    try:
        p = model.working_probability(np.zeros((*shape, 3), np.uint8))
    except _errors(ort) as error:
        raise WeightsError(f"{path}: ONNX Runtime cannot run it ({_first_line(error)}).", _EXPORT_ONE) from error
    if p.shape != shape or not ((p >= 0) & (p <= 1)).all():  # NaN is neither
        what = f"{'x'.join(map(str, p.shape))} values from {p.min():.3g} to {p.max():.3g}"
        raise not_ours(path, f"it gives {what}, not {'x'.join(map(str, shape))} from 0 to 1", _EXPORT_ONE)


def _errors(ort: Any) -> tuple[type[Exception], ...]:
    """All that ONNX Runtime raises: its own, which have no class in common, and where it quotes damaged text."""
    own = vars(ort.capi.onnxruntime_pybind11_state).values()
    return (UnicodeError, *(kind for kind in own if isinstance(kind, type) and issubclass(kind, Exception)))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _name(full: str) -> str:
    """`cpu` for `CPUExecutionProvider`; names that we have no word for as they are."""
    return next((name for name, known in PROVIDERS.items() if known == full), full)
