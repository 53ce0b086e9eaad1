"""The commands as calls: the same names, the same options, plain arguments; what they make comes back as `Run`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

from cuemask.datasets.dataset import Dataset
from cuemask.errors import EvaluationError
from cuemask.evaluation.folders import FRAME, evaluate_folders
from cuemask.evaluation.protocols import DEFAULT
from cuemask.evaluation.results import Evaluation
from cuemask.evaluation.sets import evaluate_dataset
from cuemask.evaluation.surfaces import TOLERANCE, Tolerance
from cuemask.library.results import Run
from cuemask.library.settings import (
    AnchorsSettings,
    Inputs,
    Place,
    PredictSettings,
    SegmentSettings,
    TrainSettings,
    listed_inputs,
    options_of,
)
from cuemask.media.clips import ClipFiles, open_clips
from cuemask.media.frames import Frame, Selection
from cuemask.recipe import Recipe
from cuemask.runs.verifying import Verification
from cuemask.runs.verifying import verify as verify_run

if TYPE_CHECKING:
    from torch import nn

    from cuemask.runs.exporting import Exported

__all__ = ["anchors", "evaluate", "export_onnx", "frames", "predict", "report", "segment", "train", "verify"]


def segment(
    inputs: Inputs,
    *,
    out: Place,
    recipe: str | PathLike[str] | Recipe = "default",
    **settings: Unpack[SegmentSettings],
) -> Run:
    """Learn from unlabelled video and mask the instruments in it: the paper's single-stage setting.

    Parameters
    ----------
    inputs
        A video, a folder of pictures, a pattern or a data set (`read_dataset`), or several; they are one training set.
    out
        Folder of the results: absent, empty, or with `resume=True` that of the same run.
    recipe
        `default`, `fast`, `paper`, `released`, `isic`, `lesion`, a TOML file or a `Recipe`.
    settings
        Fields of the recipe, a mapping a section (`training={"steps": 25}`) or `set=["training.steps=25"]`, and the
        command's options: `every`, `fps`, `start`, `end` (seconds), `crop` (top, left, height, width in pixels; else
        found), `stereo` ("left", "right"), `seed`, `resume`, `device` ("auto", "cpu", "cuda"), `labels` (percent, or a
        folder or film of true masks), `masks` ("pictures", or "video": one file a clip), `save_probability`, `overlay`,
        `overlay_style`, `report`, `blank_outside`, `blank_text`;
        `progress` and `say` as in `cuemask.runs.options.Options`. Beside fields of the recipe `cues` takes cues of your
        own (docs/howto/cues.md): a function from a picture, (H, W, 3) uint8, to a map, (H, W) in [0, 1], or a folder of
        maps; with a weight in the products, `cues={"sam": (function, 0.5)}`, else it is 1. `network` takes a
        `torch.nn.Module` in the place of its section (docs/howto/network.md): RGB in [0, 1], (N, 3, H, W), to logits,
        (N, 1, H, W); it is copied. Nobody else can make it again: give it to `predict` and `load`, too.

    Returns
    -------
    The run; the same files as of `cuemask segment`.

    Raises
    ------
    RecipeError
        If a setting is unknown or a value does not fit.
    CuemaskError
        If an input cannot be read, there is nothing to learn from, or `out` cannot be written.

    References
    ----------
    Liu et al.: Unsupervised Surgical Instrument Segmentation via Anchor Generation and Semantic Diffusion. MICCAI 2020.

    Examples
    --------
    >>> import cuemask
    >>> run = cuemask.segment("op.mp4", out="again", every=6, training={"steps": 1}, overlay=False, report=False)
    >>> run.clips[0].mask("000006").shape
    (96, 128)
    """
    from cuemask.runs.learning import segment as run

    return Run(run(*options_of("segment", SegmentSettings, inputs, out, recipe, settings)))


def train(
    inputs: Inputs,
    *,
    out: Place,
    recipe: str | PathLike[str] | Recipe = "default",
    **settings: Unpack[TrainSettings],
) -> Run:
    """Learn from unlabelled video, for `predict` or `load` on other video: the paper's train-test setting.

    Parameters
    ----------
    inputs, out, recipe, settings
        As of `segment`, without what concerns masks.

    Returns
    -------
    The run, whose clips have no masks.

    Raises
    ------
    CuemaskError
        As `segment`.

    Examples
    --------
    >>> import cuemask
    >>> run = cuemask.train("op.mp4", out="learnt", recipe="fast", set=["training.steps=1"], every=6, report=False)
    >>> run.model.recipe
    Recipe(fast: training.steps=1)
    """
    from cuemask.runs.learning import train as run

    return Run(run(*options_of("train", TrainSettings, inputs, out, recipe, settings)))


def predict(run: Place, inputs: Inputs, *, out: Place, **settings: Unpack[PredictSettings]) -> Run:
    """Mask the instruments in new video with a model trained or exported before.

    Parameters
    ----------
    run
        A run, its folder or its `model.safetensors`, a `.onnx` file, or "drawn": the network that comes with cuemask.
    inputs, out
        As of `segment`.
    settings
        As of `segment`, without what concerns learning; `provider` is what ONNX Runtime runs with, `network` the module
        that learnt, where it was one of your own. `decoder="cuda"` decodes on a GPU.

    Returns
    -------
    The run with the masks.

    Raises
    ------
    CuemaskError
        If the model or an input cannot be read, or `out` cannot be written.

    Examples
    --------
    >>> import cuemask
    >>> run = cuemask.predict("drawn", "op.mp4", out="look", overlay=False, report=False)
    >>> run.clips[0].confidence.shape
    (12,)
    """
    from cuemask.runs.predicting import predict as run_prediction

    return Run(run_prediction(Path(run), *options_of("predict", PredictSettings, inputs, out, "default", settings)))


def anchors(
    inputs: Inputs,
    *,
    out: Place,
    recipe: str | PathLike[str] | Recipe = "default",
    **settings: Unpack[AnchorsSettings],
) -> Run:
    """Write the cue maps and both anchors of every frame as pictures (paper, section 2.1); no training.

    Parameters
    ----------
    inputs, out, recipe, settings
        As of `segment`, without what concerns learning and masks.

    Returns
    -------
    The run, whose clips have maps and no masks.

    Raises
    ------
    CuemaskError
        If an input cannot be read or `out` cannot be written.

    Examples
    --------
    >>> import cuemask
    >>> run = cuemask.anchors("op.mp4", out="cues", every=6)
    >>> sorted(path.name for path in (run.folder / "op" / "positive").iterdir())
    ['000000.png', '000006.png']
    """
    from cuemask.runs.cueing import anchors as run

    return Run(run(*options_of("anchors", AnchorsSettings, inputs, out, recipe, settings)))


def evaluate(
    predicted: Place,
    truth: Place | Dataset,
    *,
    positive: Collection[int] | None = None,
    ignore: Collection[int] = (),
    truth_name: str = FRAME,
    only_truth: bool = False,
    only_predicted: bool = False,
    protocol: str | None = None,
    surface: bool = False,
    tolerance: Tolerance = TOLERANCE,
) -> Evaluation:
    """IoU and Dice of masks against true masks of the same names; of a run the figures are kept in it.

    Parameters
    ----------
    predicted
        A run, one of its clips, or a folder or film of masks, instrument where above 0.
    truth
        A folder of true masks, or a data set (`read_dataset`), whose own truth is taken.
    positive, ignore, truth_name, only_truth, only_predicted, surface, tolerance
        As of `cuemask.evaluation.evaluate_folders`; of a data set only the last three.
    protocol
        One of `cuemask.evaluation.PROTOCOLS`; None takes what is usual for the data set, `endovis2017` of folders.

    Returns
    -------
    Figures from 0 to 1, HD95 in pixels, and every frame's score.

    Raises
    ------
    EvaluationError
        If names or sizes do not match, or options do not fit together.
    PictureError
        If a mask cannot be read.

    Examples
    --------
    >>> import cuemask
    >>> found = cuemask.evaluate("result", "masks")
    >>> 0 <= found.iou_mean <= 1, len(found.frames)
    (True, 12)
    """
    from cuemask.runs.judging import keep_figures

    masks = Path(predicted)
    if isinstance(truth, Dataset):
        if positive is not None or ignore or truth_name != FRAME or only_truth:
            raise EvaluationError(
                "positive, ignore, truth_name and only_truth are for a folder of true masks.",
                "Leave them out: a data set knows its own codes and names.",
            )
        from cuemask.datasets.catalogue import DATASETS

        rule = protocol or DATASETS[truth.name].protocol
        found = evaluate_dataset(
            masks, truth, protocol=rule, surface=surface, tolerance=tolerance, only_predicted=only_predicted
        )
    else:
        found = evaluate_folders(
            masks,
            Path(truth),
            positive,
            ignore=ignore,
            truth_name=truth_name,
            only_truth=only_truth,
            only_predicted=only_predicted,
            protocol=protocol or DEFAULT,
            surface=surface,
            tolerance=tolerance,
        )
    keep_figures(masks, found)
    return found


def report(run: Place, *, blank_outside: bool = False, blank_text: bool = False) -> Path:
    """Write the page of a run again: one file that loads nothing.

    Parameters
    ----------
    run
        A run of `segment`, `predict` or `train`, or its folder.
    blank_outside
        Whether frames that the run found to be filmed outside the body are blanked.
    blank_text
        Whether text that the run found over the picture is.

    Returns
    -------
    The page, `report.html` in the run.

    Raises
    ------
    InputError
        If there is no such run.
    OutputError
        If the page cannot be written.

    Examples
    --------
    >>> import cuemask
    >>> cuemask.report("result").name
    'report.html'
    """
    from cuemask.runs.reporting import report as run_report

    return run_report(Path(run), blanks_outside=blank_outside, blanks_text=blank_text)


def verify(run: Place) -> Verification:
    """Whether the files of a run still are those that it wrote, by size and SHA-256.

    Parameters
    ----------
    run
        A complete run, or its folder.

    Returns
    -------
    Which files were `changed`, are `missing` or were `added`. What reviews, evaluations and reports add does not count.

    Raises
    ------
    InputError
        If there is no such run, or it kept no manifest.

    Examples
    --------
    >>> import cuemask
    >>> cuemask.verify("result").holds
    True
    """
    return verify_run(Path(run))


def export_onnx(
    run: Place,
    *,
    out: Place,
    inputs: Inputs = (),
    crop: tuple[int, int, int, int] | None = None,
    network: Callable[..., Any] | None = None,
) -> Exported:
    """Write a trained model as one ONNX file, for `predict`, `load` or a program of your own, and run it against torch.

    Parameters
    ----------
    run
        A run, its folder or its `model.safetensors`.
    out
        The file, ending in `.onnx`.
    inputs
        Videos, folders or patterns; with them the network is quantised to 8-bit integers, ranges measured on these.
    crop
        Top, left, height and width of the picture in the frames of `inputs`, in pixels; None finds it.
    network
        The module that learnt, where it was one of your own.

    Returns
    -------
    What it came to: `file`, the largest `difference` of a probability to torch, and of 8 bits the `agreement` of masks.

    Raises
    ------
    CuemaskError
        If a library is missing, the model or an input cannot be read, `out` cannot be written, or the exported
        model does not agree with torch.

    Examples
    --------
    >>> import cuemask
    >>> cuemask.export_onnx("result", out="model.onnx").difference < 1e-3
    True
    """
    from cuemask.runs.exporting import export_onnx as run_export

    given = [one for one in listed_inputs(inputs) if not isinstance(one, ClipFiles)]
    return run_export(Path(run), Path(out), given, crop=crop, network=cast("nn.Module | None", network))


def frames(
    source: Place, *, every: int = 1, fps: float | None = None, start: float = 0.0, end: float | None = None
) -> Iterator[Frame]:
    """The frames of a video, folder or pattern, one by one, memory flat.

    Parameters
    ----------
    source
        A clip; where a pattern or a folder of DICOM files gives several, one after another.
    every, fps, start, end
        Which frames are taken; `start` and `end` in seconds.

    Yields
    ------
    Frames with their `name`, `time_seconds` (None of pictures) and `rgb`, (H, W, 3) uint8.

    Raises
    ------
    InputError
        If it cannot be read.

    Examples
    --------
    >>> import cuemask
    >>> model = cuemask.load("result")
    >>> masks = model(frame.rgb for frame in cuemask.frames("op.mp4"))
    >>> next(masks).shape
    (96, 128)
    """
    for clip in open_clips([Path(source)], Selection(every, fps, start, end)):
        yield from clip.frames()
