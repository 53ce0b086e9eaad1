"""Trained models, whatever runs them. Of this module, only a model of torch's reaches torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cuemask.cues.shape import WEIGHTS
from cuemask.errors import CuemaskError
from cuemask.inference.drawn import DRAWN, DrawnModel
from cuemask.inference.prediction import Predictor
from cuemask.inference.runtime import load_onnx
from cuemask.runs.record import run_of


def model_file(run: Path) -> Path:
    """The file of the model that is meant, as of `open_model`; whether it is whole shows when it is opened."""
    if run == Path(DRAWN) and not run.exists():
        return WEIGHTS
    if not run.is_dir():
        return run
    from cuemask.inference.model import FILE

    return run_of(run) / FILE


def open_model(
    run: Path, device: str, provider: str, *, one_core: bool = False, network: Any = None
) -> tuple[Predictor, Path]:
    """The model and its file. Importing torch waits until a model of torch's is given.

    Parameters
    ----------
    run
        The folder of a `train` or `segment` run or of one of its clips, its `model.safetensors`, or a `.onnx` file that
        `cuemask export onnx` wrote, which runs without torch; or, unless something of that name is there, the word
        `drawn`: the network that has learnt from drawn scenes alone, without torch too.
    device, provider
        As in `Options`.
    one_core
        As in `load_model` and `load_onnx`.
    network
        The network of one's own that learnt (a `torch.nn.Module`), where it was none of ours.

    Raises
    ------
    CuemaskError
        If the model cannot be read, or what is to run it is absent.
    """
    if network is not None and (run.suffix.lower() == ".onnx" or (run == Path(DRAWN) and not run.exists())):
        raise CuemaskError(f"{run}: holds its network; none is to be given.", "Leave network out.")
    if run == Path(DRAWN) and not run.exists():
        if provider != "auto":
            raise CuemaskError(
                f"{run}: --provider {provider} is for exported models; OpenCV runs this one.", "Leave --provider out."
            )
        return DrawnModel(), WEIGHTS
    if run.suffix.lower() == ".onnx":
        return load_onnx(run, device if provider == "auto" else provider, one_core=one_core), run
    if provider != "auto":
        raise CuemaskError(
            f"{run}: --provider {provider} is for exported models; this one runs in torch.",
            f"Export it: cuemask export onnx {run} --out model.onnx; or choose with --device.",
        )
    from cuemask.inference.model import chosen_device, load_model

    file = model_file(run)
    return load_model(file, chosen_device(device), network, one_core=one_core), file
