"""The command line: one command, one library call. Imports wait until a command runs, so that help is instant."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from cuemask import __version__
from cuemask.ending import Group
from cuemask.helping import Sections

if TYPE_CHECKING:
    from cuemask.cues.own import OwnCue
    from cuemask.datasets.dataset import Dataset
    from cuemask.evaluation.grouped import What as Grouped
    from cuemask.evaluation.results import Evaluation
    from cuemask.evaluation.surfaces import Tolerance
    from cuemask.evaluation.tables import Row
    from cuemask.experiments.benchmark import What
    from cuemask.media.clips import ClipFiles
    from cuemask.runs.options import Label, Options

F = TypeVar("F", bound=Callable[..., Any])

_CROP = "top,left,height,width"
_BAR_SECONDS = 1.0  # that the first item may take before the bar says what is under way


class _Path(click.Path):
    """A path that can be one: not the empty word, which would mean the present folder, nor a name that is too long."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what cannot be a path, before anything is done."""
        if not value:
            self.fail("an empty path. Give a name, or . for the present folder.", param, ctx)
        try:
            os.lstat(value)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                self.fail(f"{value}: the name is too long. Give one of at most 255 bytes.", param, ctx)
        return super().convert(value, param, ctx)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cuemask")
def main() -> None:
    """Instrument masks from surgical video, with nothing labelled.

    Start with: cuemask segment VIDEO --out DIR
    """
    import logging

    from cuemask.media.memory import keep_freed_memory

    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    keep_freed_memory()


def _crop(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    del context, parameter
    if value is None:
        return None
    try:
        numbers = tuple(int(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise click.BadParameter(f"{value!r} is not {_CROP}, four whole numbers such as 28,320,1024,1280")
    return numbers


def _completing(what: Literal["recipes", "datasets", "protocols"]) -> Callable[..., list[str]]:
    """Names for the shell's completion."""

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
        del context, parameter
        if what == "recipes":
            from cuemask.recipe import NAMED as NAMES
        elif what == "datasets":
            from cuemask.datasets.catalogue import DATASETS as NAMES
        else:
            from cuemask.evaluation.protocols import PROTOCOLS as NAMES
        return [name for name in NAMES if name.startswith(begun)]

    return complete


def _codes(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    del context, parameter
    if value is None:
        return None
    try:
        return [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of whole numbers such as 10,20,30") from None


def _tolerance(context: click.Context, parameter: click.Parameter, value: str | None) -> Tolerance | None:
    del context, parameter
    if value is None:
        return None
    from cuemask.evaluation.surfaces import Tolerance

    try:
        return Tolerance(float(value[:-1]) / 100, "diagonal") if value.endswith("%") else Tolerance(float(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither pixels, such as 5, nor of the diagonal, such as 1%") from None


def _largest(context: click.Context, parameter: click.Parameter, value: float | None) -> None:
    del context, parameter
    from cuemask.media.headers import LARGEST_MEGAPIXELS, allow_pictures_up_to

    allow_pictures_up_to(LARGEST_MEGAPIXELS if value is None else value)


_reads_pictures = click.option(
    "--largest-picture",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MEGAPIXELS",
    callback=_largest,
    expose_value=False,
    help="Refuse pictures whose headers claim more [64].",
)


def _inputs(command: F) -> F:
    """Inputs, or a data set in their place."""
    command = _reads_pictures(_of_dataset(command))
    return click.argument("inputs", nargs=-1, metavar="INPUT...")(command)


def _of_dataset(command: F) -> F:
    """Options that name a published data set, and some of its videos."""
    for option in reversed(
        [
            click.option(
                "--dataset",
                metavar="NAME",
                shell_complete=_completing("datasets"),
                help="A published data set; `cuemask datasets` lists them.",
            ),
            click.option("--data", type=_Path(path_type=Path), metavar="ROOT", help="Where --dataset lies."),
            click.option("--videos", metavar="1,3", callback=_listed, help="Of --dataset, only these videos."),
        ]
    ):
        command = option(command)
    return command


def _listed(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    del context, parameter
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


def _labels(context: click.Context, parameter: click.Parameter, value: str | None) -> int | Path | None:
    if value is None or not value.isdecimal():
        return None if value is None else _Path(path_type=Path).convert(value, parameter, context)
    if int(value) > 100:
        raise click.BadParameter(f"{value} is more than 100 %")
    return int(value)


def _own_cues(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[OwnCue, ...]:
    del context, parameter
    if not value:
        return ()
    from cuemask.runs.own_cues import cue_of

    return tuple(cue_of(text) for text in value)


def _common(command: F) -> F:
    """Options that every run has."""
    command = click.option("--resume", is_flag=True, help="Go on with the run in --out.")(command)
    return _common_to_all(command)


def _common_to_all(command: F) -> F:
    """Options of every run, of one video or of a study."""
    for option in reversed(
        [
            click.option("--out", required=True, type=_Path(path_type=Path), help="Folder of the results."),
            click.option("--crop", metavar=_CROP, callback=_crop, help="The picture in the frame, in pixels [found]."),
            click.option("--stereo", type=click.Choice(["left", "right"]), help="Of frames with both eyes, take one."),
            click.option("--every", type=int, default=1, metavar="N", help="Take every N-th frame."),
            click.option("--fps", type=float, metavar="R", help="Take R frames a second."),
            click.option("--start", type=float, default=0.0, metavar="S", help="Begin at S seconds."),
            click.option("--end", type=float, metavar="S", help="End before S seconds."),
            click.option(
                "--seed",
                type=click.IntRange(min=0),
                default=0,
                show_default=True,
                metavar="N",
                help="Another draw of chance: same seed, same masks.",
            ),
            click.option("--quiet", is_flag=True, help="No progress, no closing lines."),
        ]
    ):
        command = option(command)
    return command


def _follows(usual: str) -> Callable[[F], F]:
    """Options of what follows a recipe, and the one it follows unless told."""

    def decorated(command: F) -> F:
        command = click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="Set one field.")(
            command
        )
        return click.option(
            "--recipe",
            default=usual,
            show_default=True,
            metavar="NAME|FILE.toml",
            shell_complete=_completing("recipes"),
            help="How it learns: default, fast, paper, released, isic, lesion (`cuemask recipes`), or a file.",
        )(command)

    return decorated


_learned = _follows("default")
_supervised = click.option(
    "--labels",
    metavar="0|50|100|DIR|FILE",
    callback=_labels,
    help="True masks in the place of anchors: on that percentage of --dataset's frames, from a folder or film of "
    "masks, or on the frames that a text file names [0].",
)
_classes = click.option(
    "--classes",
    type=_Path(path_type=Path),
    metavar="FILE",
    help="The classes.toml of `cuemask classes`: learn to tell these kinds of instruments apart [one kind].",
)
_cues = click.option(
    "--cue",
    "cues",
    multiple=True,
    metavar="NAME=FOLDER[:WEIGHT]",
    callback=_own_cues,
    help="A cue of your own: a map of each frame, 8-bit picture or .npy from 0 to 1, called after it.",
)
_device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the network runs; auto: the GPU if torch sees one.",
)
_provider = click.option(
    "--provider",
    type=click.Choice(["auto", "cpu", "cuda", "tensorrt", "openvino"]),
    default="auto",
    show_default=True,
    help="What ONNX Runtime runs MODEL.onnx with; auto: as --device says.",
)
_decoder = click.option(
    "--decoder",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="What decodes video; auto: the processor; cuda: the GPU, as far as it knows the codec.",
)
_masks = click.option(
    "--masks",
    type=click.Choice(["pictures", "video"]),
    default="pictures",
    show_default=True,
    help="A PNG a frame, or masks.mov, one file a clip: lossless, found by frame.",
)
_probability = click.option("--save-probability", is_flag=True, help="Also write 8-bit probability maps.")
_overlay = click.option(
    "--overlay/--no-overlay", default=True, help="Make overlay.mp4 [yes]; without it runs are faster."
)
_overlay_style = click.option(
    "--overlay-style",
    type=click.Choice(["outline", "fill", "side-by-side"]),
    default="fill",
    show_default=True,
    help="How overlay.mp4 shows masks; fill: outline and a light tint.",
)
_blank_outside = click.option(
    "--blank-outside",
    is_flag=True,
    help="Blank frames that look filmed outside the body in overlay, sheet and report. Some are missed, and masks, "
    "models and sources are as before: no de-identification to rely on.",
)
_blank_text = click.option(
    "--blank-text",
    is_flag=True,
    help="Blank text that is found over the picture, and all around the picture, in overlay, sheet and report. Some is "
    "missed: no de-identification to rely on.",
)
_instances = click.option(
    "--instances", is_flag=True, help="Also tell instruments apart, as `cuemask group` does: instances, tracks.csv."
)
_parts = click.option("--parts", is_flag=True, help="Also shaft, wrist and clasper of each: parts, codes 10, 20, 30.")
_report = click.option("--report/--no-report", default=True, help="Make report.html at the end [yes].")


@main.command()
@_inputs
@_common
@_learned
@_cues
@_supervised
@_classes
@_device
@_decoder
@_masks
@_probability
@_overlay
@_overlay_style
@_instances
@_parts
@_report
@_blank_outside
@_blank_text
def segment(inputs: tuple[str, ...], quiet: bool, **flags: Any) -> None:
    """Learn from unlabelled video and mask the instruments in it.

    INPUT: video files, folders of pictures or quoted patterns; several are one training set.
    """
    from cuemask.runs.learning import segment as run

    quiet = quiet or _helps()
    out = run(*_job(inputs, quiet, **flags))
    files = ("overlay.mp4", "sheet.png", "cues.png", "masks", "masks.mov", "tracks.csv", "confidence.csv")
    _name_results(out, quiet, *files)


@main.command()
@_inputs
@_common
@_learned
@_cues
@_supervised
@_classes
@_device
@_decoder
@_report
def train(inputs: tuple[str, ...], quiet: bool, **flags: Any) -> None:
    """Learn from unlabelled video; --out becomes a RUN for `cuemask predict`."""
    from cuemask.runs.learning import train as run

    quiet = quiet or _helps()
    out = run(*_job(inputs, quiet, **flags))
    _name_results(out, quiet, "cues.png")
    if not quiet:
        click.echo(f"next: cuemask predict {out} INPUT --out DIR")


@main.command()
@click.argument("run", type=_Path(path_type=Path), metavar="RUN|MODEL.onnx|drawn")
@_inputs
@_common
@_device
@_provider
@_decoder
@_masks
@_probability
@_overlay
@_overlay_style
@_instances
@_parts
@_report
@_blank_outside
@_blank_text
def predict(run: Path, inputs: tuple[str, ...], quiet: bool, **flags: Any) -> None:
    """Mask the instruments in new video with a model trained or exported before, or with none.

    RUN: the folder of `cuemask train` or `segment`. MODEL.onnx: what `cuemask export onnx` wrote; no torch is loaded.
    drawn: the network that comes with cuemask and has seen drawn scenes only; masks at once, for a first look.
    """
    from cuemask.runs.predicting import predict as run_prediction

    out = run_prediction(run, *_job(inputs, quiet, **flags))
    _name_results(out, quiet, "overlay.mp4", "sheet.png", "masks", "masks.mov", "tracks.csv", "confidence.csv")


@main.command()
@click.argument("source")
@click.option(
    "--model",
    required=True,
    type=_Path(path_type=Path),
    metavar="RUN|MODEL.onnx|drawn",
    help="As in `cuemask predict`.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the page is served.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--no-page", is_flag=True, help="Serve no page.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--mask-video",
    type=_Path(path_type=Path, dir_okay=False),
    metavar="FILE.mp4",
    help="Write the masks as video, at the frames' own times.",
)
@click.option(
    "--figures",
    type=_Path(path_type=Path, dir_okay=False),
    metavar="FILE.json",
    help="Write the closing figures as JSON.",
)
@click.option("--crop", metavar=_CROP, callback=_crop, help="The picture in the frame, in pixels [found].")
@click.option("--loop", is_flag=True, help="Play a file again and again.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S", help="End after S seconds.")
@click.option(
    "--stall",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    metavar="S",
    help="Count a source as stalled, and open it again, after S seconds without a frame.",
)
@click.option(
    "--give-up",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="End after S seconds without a frame [never].",
)
@click.option(
    "--stay/--no-stay",
    default=None,
    help="Leave the page up when a file has ended, until Ctrl-C [yes in a terminal, no in a script].",
)
@click.option("--instances", is_flag=True, help="Tell instruments apart and show their numbers.")
@_device
@_provider
@_decoder
@click.option("--quiet", is_flag=True, help="No progress, no closing lines.")
def live(
    source: str,
    model: Path,
    no_page: bool,
    port: int,
    open_browser: bool,
    stall: float,
    give_up: float | None,
    stay: bool | None,
    quiet: bool,
    **flags: Any,
) -> None:
    """Mask a live source and show it in a browser page; Ctrl-C ends it.

    SOURCE: a camera's number, an address (rtsp://, http://, udp:// ...), a video file, which plays at its own speed, a
    named pipe, or - for standard input.

    It never falls behind: frames that come while the network is busy are dropped and counted. Latency is from a
    frame's being decoded to its mask being ready. A source that stalls or ends is opened again.

    Needs: pip install 'cuemask[runtime]'
    """
    from cuemask.runs.living import LiveFigures, LiveOptions, problem
    from cuemask.runs.living import live as run

    stays = sys.stdin.isatty() if stay is None else stay
    options = LiveOptions(
        port=None if no_page else port, stall_seconds=stall, give_up_seconds=give_up, stay=stays, **flags
    )
    is_shown = not quiet and sys.stderr.isatty()
    page: list[str] = []

    def told(figures: LiveFigures) -> None:
        if figures.page is not None and figures.state != "opening" and not page:
            page.append(figures.page)
            if not quiet:
                click.echo(f"page: {figures.page}")
            if open_browser:
                click.launch(figures.page)
        if figures.ended is not None:
            close(figures)
            if not quiet:
                click.echo(f"the page stays: {figures.page} (Ctrl-C ends it)")
        elif is_shown:
            click.echo(f"\r\033[K{figures.line()}", nl=False, err=True)

    closed: list[LiveFigures] = []

    def close(figures: LiveFigures) -> None:
        closed.append(figures)
        if is_shown:
            click.echo(err=True)
        if not quiet:
            click.echo("\n".join(figures.lines()))

    figures = run(source, model, options, told=told)
    if not closed:
        close(figures)
    error = problem(figures, options)
    if error is not None:
        raise error


@main.group(cls=Sections)
def export() -> None:
    """Write a trained model, or what it found, in the formats of other programs."""


@export.command("onnx")
@click.argument("run", type=_Path(path_type=Path))
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@click.option("--out", required=True, type=_Path(path_type=Path, dir_okay=False), metavar="FILE.onnx")
@click.option("--int8", is_flag=True, help="Quantise to 8-bit integers, with ranges measured on INPUT.")
@click.option("--crop", metavar=_CROP, callback=_crop, help="The picture in the frames of INPUT, in pixels [found].")
@_reads_pictures
@click.option("--quiet", is_flag=True, help="No closing lines.")
def export_onnx(
    run: Path, inputs: tuple[str, ...], out: Path, int8: bool, crop: tuple[int, int, int, int] | None, quiet: bool
) -> None:
    """Export RUN's network with resizing and normalisation to one ONNX file for `cuemask predict` or your program.

    Needs: pip install 'cuemask[export]'
    """
    if int8 != bool(inputs):
        raise click.UsageError(
            "--int8 needs INPUT to measure ranges on: cuemask export onnx RUN --out FILE.onnx --int8 INPUT..."
            if int8
            else "INPUT is for --int8 only."
        )
    from cuemask.runs.exporting import export_onnx as run_export

    exported = run_export(run, out, inputs, crop=crop)
    if not quiet:
        click.echo("\n".join(exported.lines()))


@export.command("dicom-seg")
@click.argument("run", type=_Path(path_type=Path))
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@click.option("--out", required=True, type=_Path(path_type=Path), metavar="DIR", help="Gets a file for each clip.")
@_reads_pictures
@click.option("--quiet", is_flag=True, help="No closing lines.")
def export_dicom_seg(run: Path, inputs: tuple[str, ...], out: Path, quiet: bool) -> None:
    """Write RUN's masks as DICOM segmentations of the DICOM images or videos that it read.

    INPUT: these files, where they have been moved. What is written names the patient, as DICOM demands.

    Needs: pip install 'cuemask[dicom]'
    """
    from cuemask.runs.dicom_seg import export_dicom_seg as run_export

    files = run_export(run, out, inputs)
    if not quiet:
        click.echo("\n".join(str(file) for file in files))


def _export_masks(kind: str, place: str, words: str) -> None:
    """Add `cuemask export KIND`: the masks of a run in a format of other programs."""

    @export.command(kind, help=words, short_help=words)
    @click.argument("run", type=_Path(path_type=Path))
    @click.option("--out", required=True, type=_Path(path_type=Path), metavar=place)
    @click.option("--corrections", is_flag=True, help="Take RUN/corrections/CLIP/FRAME.png where there is one.")
    @_reads_pictures
    @click.option("--quiet", is_flag=True, help="No progress, no closing lines.")
    def command(run: Path, quiet: bool, **flags: Any) -> None:
        from cuemask.runs.formats import export_masks
        from cuemask.runs.options import silent

        lines = export_masks(run, kind, progress=silent if quiet else _progress, **flags)
        if not quiet:
            click.echo("\n".join(lines))

    if kind == "labelstudio":
        told = "What stands before the frames' file names in their addresses [nothing]."
        click.option("--images", default="", metavar="URL", help=told)(command)


for _format in (
    ("coco", "FILE.json", "Masks of RUN as COCO: compressed RLE, an annotation a frame."),
    ("coco-video", "FILE.json", "Masks of RUN as COCO of whole videos, in the layout of YouTube-VIS."),
    ("cvat", "FILE.xml", "Masks of RUN as CVAT for images 1.1."),
    ("labelstudio", "FILE.json", "Masks of RUN as Label Studio's predictions, for its brush."),
    ("yolo", "DIR", "Outlines of RUN's masks as YOLO's polygons, without holes."),
    ("davis", "DIR", "Masks of RUN as DAVIS's pictures of indices."),
    ("voc", "DIR", "Masks of RUN as PASCAL VOC's pictures of indices (CVAT: Segmentation mask 1.1)."),
):
    _export_masks(*_format)


@main.command("import")
@click.argument("kind", type=click.Choice(["coco", "cvat", "labelstudio", "davis"]))
@click.argument("file", type=_Path(path_type=Path))
@click.option("--out", required=True, type=_Path(path_type=Path), metavar="LABELS", help="A folder for --labels.")
@click.option("--video", "of_video", is_flag=True, help="Frames called frame_000012, as CVAT has it, are 000012.")
@_reads_pictures
@click.option("--quiet", is_flag=True, help="No progress, no closing lines.")
def import_(kind: str, file: Path, out: Path, of_video: bool, quiet: bool) -> None:
    """Masks that people drew in other programs, as a folder of masks for `--labels`.

    FILE: what the program exported: COCO's or Label Studio's JSON, the XML of CVAT for images 1.1, a folder of DAVIS.
    All its labels count as instrument. A frame that it lists without a mask is one without instruments.
    """
    from cuemask.runs.formats import import_masks
    from cuemask.runs.options import silent

    lines = import_masks(kind, file, out, of_video=of_video, progress=silent if quiet else _progress)
    if not quiet:
        click.echo("\n".join(lines))


@main.command()
@_inputs
@_common
@_learned
@_cues
def anchors(inputs: tuple[str, ...], quiet: bool, **flags: Any) -> None:
    """Write the cue maps and both anchors as pictures; no training."""
    from cuemask.runs.cueing import anchors as run

    out = run(*_job(inputs, quiet, **flags))
    _name_results(out, quiet, "cues.png")


@main.command()
@click.argument("run", type=_Path(path_type=Path))
@click.option("--blank-outside", is_flag=True, help="Blank the frames that the run found filmed outside the body.")
@click.option("--blank-text", is_flag=True, help="Blank the text that the run found over the picture.")
@click.option("--quiet", is_flag=True, help="No closing line.")
def report(run: Path, blank_outside: bool, blank_text: bool, quiet: bool) -> None:
    """Write RUN/report.html, the page of a run in one file: again, or with figures that `evaluate` put into RUN.

    It tells of confidence over time, shows the frames to look at, and what was done with what. It loads nothing.
    """
    from cuemask.runs.reporting import report as run_report

    page = run_report(run, blanks_outside=blank_outside, blanks_text=blank_text)
    if not quiet:
        click.echo(page)


@main.command()
@click.argument("run", type=_Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
def verify(run: Path, as_json: bool, quiet: bool) -> None:
    """Tell which files of RUN are not as it wrote them: changed, missing or added.

    Exits 0 where all are, 1 where any differs, 2 where nobody can tell. What `review` and `evaluate` put into RUN and
    the page of `report` do not count.
    """
    from cuemask.runs.verifying import verify as run_verification

    found = run_verification(run)
    if not quiet:
        click.echo(json.dumps(found.as_json(), indent=2) if as_json else found.table())
    if not found.holds:
        sys.exit(1)


@main.command()
@click.argument("run", type=_Path(path_type=Path))
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@_parts
@_overlay
@_overlay_style
@_blank_outside
@_blank_text
@_of_dataset
@_reads_pictures
@click.option("--resume", is_flag=True, help="Leave clips alone whose instruments are told apart already.")
@click.option("--quiet", is_flag=True, help="No progress, no closing lines.")
def group(
    run: Path,
    inputs: tuple[str, ...],
    quiet: bool,
    dataset: str | None,
    data: Path | None,
    videos: tuple[str, ...],
    **flags: Any,
) -> None:
    """Tell the instruments in RUN's masks apart: numbers that hold through each clip, tracks.csv, parts.

    INPUT: what the run read, in the same order, where that has been moved since: colour and motion are taken from it.
    Of a run of a data set: --dataset NAME --data ROOT.
    """
    from cuemask.runs.grouping import GroupOptions
    from cuemask.runs.grouping import group as run_group
    from cuemask.runs.options import silent

    sources = _moved(inputs, _dataset(dataset, data, videos))
    lines = run_group(run, sources, GroupOptions(progress=silent if quiet else _progress, **flags))
    if not quiet:
        click.echo("\n".join(lines))


@main.command()
@click.argument("run", type=_Path(path_type=Path))
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@click.option("--annotator", default="", metavar="NAME", help="Who reviews, for reviews.csv [your name here].")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the page is served.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 takes a free one.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@_reads_pictures
@click.option("--quiet", is_flag=True, help="Only the page's address.")
def review(run: Path, inputs: tuple[str, ...], open_browser: bool, quiet: bool, **flags: Any) -> None:
    """Look through RUN's masks in the browser, correct some, and have the network learn again from that.

    What RUN holds stays as it is: masks go to RUN/corrections/CLIP/FRAME.png, a folder for --labels, decisions to
    RUN/corrections/reviews.csv. INPUT: what RUN read, where it has been moved. Ctrl-C ends it.

    Needs: pip install 'cuemask[runtime]'
    """
    from cuemask.runs.reviewing import review as run_review

    def told(address: str) -> None:
        click.echo(address if quiet else f"page: {address}")
        sys.stdout.flush()
        if open_browser:
            click.launch(address)

    lines = run_review(run, inputs, told=told, **flags)
    if not quiet:
        click.echo("\n".join(lines))


@main.command()
@click.argument("run", type=_Path(path_type=Path))
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@click.option("--classes", "count", type=int, metavar="K", help="How many groups [as the silhouette says].")
@_of_dataset
@_reads_pictures
@click.option("--quiet", is_flag=True, help="No progress, no closing lines.")
def classes(
    run: Path,
    inputs: tuple[str, ...],
    count: int | None,
    quiet: bool,
    dataset: str | None,
    data: Path | None,
    videos: tuple[str, ...],
) -> None:
    """Group RUN's instruments by what they look like: RUN/classes.png shows the groups, RUN/classes.toml names them.

    Write a name for each group into classes.toml, and merge groups of one kind; a second call keeps what you wrote.
    Then: cuemask segment INPUT --classes RUN/classes.toml --out DIR

    RUN: a run whose instruments `cuemask group RUN` told apart. INPUT: what RUN read, where it has been moved.
    Of a run of a data set: --dataset NAME --data ROOT.
    """
    from cuemask.runs.classifying import classify
    from cuemask.runs.options import silent

    sources = _moved(inputs, _dataset(dataset, data, videos))
    found = classify(run, sources, count=count, progress=silent if quiet else _progress)
    if not quiet:
        click.echo("\n".join([*found.lines, str(found.sheet), str(found.file)]))


@main.command()
@click.argument("predicted", type=_Path(path_type=Path))
@click.argument("truth", type=_Path(path_type=Path), required=False)
@click.option("--positive", metavar="CODES", callback=_codes, help="Codes in TRUTH that are instrument [all above 0].")
@click.option("--ignore", metavar="CODES", callback=_codes, help="Codes in TRUTH whose pixels do not count [none].")
@click.option("--truth-name", metavar="NAME", help="What files in TRUTH are called, as '{frame}_mask' [{frame}].")
@_of_dataset
@_reads_pictures
@click.option("--only-truth", is_flag=True, help="Count only frames that TRUTH holds.")
@click.option("--only-predicted", is_flag=True, help="Count only frames that PREDICTED holds.")
@click.option(
    "--protocol",
    metavar="NAME",
    shell_complete=_completing("protocols"),
    help="endovis2017, with-truth, skip-both-empty, per-video, global or isic2016 [what is usual for the data set].",
)
@click.option("--surface", is_flag=True, help="Also NSD and HD95, how far outlines are off.")
@click.option("--tolerance", metavar="PX|N%", help="Of NSD, in pixels or of the diagonal [1%].", callback=_tolerance)
@click.option("--instances", "what", flag_value="instances", help="Instruments instead: AP, AP50, PQ.")
@click.option("--tracks", "what", flag_value="tracks", help="Whether they keep their numbers: HOTA, DetA, AssA, IDF1.")
@click.option("--parts", "what", flag_value="parts", help="Shaft, wrist and clasper: IoU, PartPQ.")
@click.option("--classes", "what", flag_value="classes", help="Kinds: challenge IoU, IoU, mcIoU, purity.")
@click.option("--tips", "what", flag_value="tips", help="How far tips are off.")
@click.option("--boxes", is_flag=True, help="Of --instances and --tracks, by boxes instead of masks.")
@click.option("--against", type=_Path(path_type=Path), metavar="OTHER", help="Compare with another PREDICTED.")
@click.option("--draw", type=click.Choice(["frames", "videos"]), help="What --against draws [frames].")
@click.option("--csv", "csv", type=_Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write all frames.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    predicted: Path,
    what: Grouped | None,
    boxes: bool,
    against: Path | None,
    draw: Literal["frames", "videos"] | None,
    csv: Path | None,
    **flags: Any,
) -> None:
    """IoU and Dice of a folder of masks against true masks of the same names.

    PREDICTED: masks, a run, or a clip of one. TRUTH: masks of the same names; or, with --dataset, the data set's
    own. --against OTHER tells by how much PREDICTED is better than OTHER, with a bootstrap interval. Of a run, the
    figures are kept in it as evaluation.json, which its report shows.

    --instances, --tracks, --parts, --classes and --tips look at what lies beside the masks, CLIP/instances,
    CLIP/parts, CLIP/classes and CLIP/tracks.csv, on both sides.
    """
    if what is not None:
        _evaluate_grouped(what, predicted, boxes, csv, against=against, draw=draw, **flags)
        return
    if boxes:
        raise click.UsageError("--boxes is of --instances and --tracks.")
    from dataclasses import asdict

    from cuemask.evaluation.bootstrap import all_differences, difference_lines
    from cuemask.evaluation.tables import json_of
    from cuemask.runs.judging import keep_figures

    as_json = flags.pop("as_json")
    judged = _judge(**flags)
    result = judged(predicted)
    keep_figures(predicted, result)
    differences = {} if against is None else all_differences(result, judged(against), unit=draw)
    if csv is not None:
        _write_frames(csv, result.frame_rows())
    if as_json:
        told = {name: asdict(difference) for name, difference in differences.items()}
        click.echo(json_of(result.as_json() | ({"difference": told} if differences else {})))
        return
    click.echo(result.table())
    if differences:
        click.echo("\n".join(["", *difference_lines(str(against), differences)]))


def _write_frames(csv: Path, rows: list[Row]) -> None:
    from cuemask.evaluation.tables import is_table_of, write_rows
    from cuemask.media.folders import refuse_foreign_file

    refuse_foreign_file(csv, lambda file: is_table_of(file, list(rows[0])[:4]))
    write_rows(csv, rows)


def _evaluate_grouped(
    what: Grouped,
    predicted: Path,
    boxes: bool,
    csv: Path | None,
    *,
    truth: Path | None,
    as_json: bool,
    truth_name: str | None,
    only_truth: bool,
    only_predicted: bool,
    dataset: str | None,
    data: Path | None,
    videos: tuple[str, ...],
    **others: Any,
) -> None:
    """Figures of instruments, tracks, parts, classes or tips."""
    from cuemask.evaluation.grouped import evaluate_grouped
    from cuemask.evaluation.grouped_sets import evaluate_grouped_dataset
    from cuemask.evaluation.pairing import FRAME
    from cuemask.evaluation.tables import json_of

    strange = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    if strange:
        raise click.UsageError(f"{', '.join(strange)}: not with --{what}.")
    if boxes and what not in ("instances", "tracks"):
        raise click.UsageError("--boxes is of --instances and --tracks.")
    if truth is not None and dataset is not None:
        raise click.UsageError("Give TRUTH or --dataset, not both.")
    if truth is None and dataset is None:
        raise click.UsageError(f"--{what} needs TRUTH, a folder with true {what} in it, or --dataset NAME --data ROOT.")
    if (dataset is None) != (data is None) or (videos and dataset is None):
        raise click.UsageError("--dataset NAME, --data ROOT: one needs the other; --videos is for them.")
    if truth is not None:
        result = evaluate_grouped(
            what,
            predicted,
            truth,
            boxes=boxes,
            truth_name=FRAME if truth_name is None else truth_name,
            only_truth=only_truth,
            only_predicted=only_predicted,
        )
    else:
        from cuemask.datasets.catalogue import read_dataset

        if truth_name is not None or only_truth:
            raise click.UsageError("--truth-name and --only-truth are for TRUTH.")
        assert dataset is not None
        assert data is not None
        found = read_dataset(dataset, data, videos)
        result = evaluate_grouped_dataset(what, predicted, found, boxes=boxes, only_predicted=only_predicted)
    if csv is not None:
        _write_frames(csv, result.frame_rows())
    click.echo(json_of(result.as_json()) if as_json else result.table())


def _judge(
    *,
    truth: Path | None,
    positive: list[int] | None,
    ignore: list[int] | None,
    truth_name: str | None,
    only_truth: bool,
    dataset: str | None,
    data: Path | None,
    videos: tuple[str, ...],
    only_predicted: bool,
    protocol: str | None,
    surface: bool,
    tolerance: Tolerance | None,
) -> Callable[[Path], Evaluation]:
    """What evaluates a folder as the options say, once they are found to fit together."""
    from cuemask.evaluation.folders import evaluate_folders
    from cuemask.evaluation.pairing import FRAME
    from cuemask.evaluation.protocols import DEFAULT
    from cuemask.evaluation.sets import evaluate_dataset
    from cuemask.evaluation.surfaces import TOLERANCE

    if tolerance is not None and not surface:
        raise click.UsageError("--tolerance is of --surface: give both.")
    rule: dict[str, Any] = {"surface": surface, "tolerance": tolerance or TOLERANCE}
    if dataset is None:
        if truth is None:
            raise click.UsageError("Give TRUTH, a folder of true masks, or --dataset NAME --data ROOT.")
        if data is not None or videos:
            raise click.UsageError("--data and --videos are for --dataset NAME.")
        rule |= {"ignore": ignore or (), "only_truth": only_truth, "only_predicted": only_predicted}
        rule |= {"truth_name": FRAME if truth_name is None else truth_name, "protocol": protocol or DEFAULT}
        return partial(evaluate_folders, truth=truth, positive=positive, **rule)
    if truth is not None:
        raise click.UsageError("Give TRUTH or --dataset, not both.")
    if data is None:
        raise click.UsageError("--dataset needs to know where it lies: --data ROOT.")
    if positive is not None or ignore is not None:
        raise click.UsageError("--positive and --ignore are for TRUTH; a data set knows its own codes.")
    if truth_name is not None or only_truth:
        raise click.UsageError(
            "--truth-name and --only-truth are for TRUTH; of a data set only frames with truth count, by its own names."
        )
    from cuemask.datasets.catalogue import DATASETS, read_dataset

    found = read_dataset(dataset, data, videos)
    rule["protocol"] = protocol or DATASETS[dataset].protocol
    bar = partial(_progress, "evaluate") if sys.stderr.isatty() else None
    return partial(evaluate_dataset, dataset=found, only_predicted=only_predicted, progress=bar, **rule)


@main.group(cls=Sections, invoke_without_command=True)
@click.pass_context
def datasets(context: click.Context) -> None:
    """List the published data sets that --dataset knows, with their terms and where to ask for them."""
    if context.invoked_subcommand is None:
        from cuemask.datasets.catalogue import listing

        click.echo(listing())


@datasets.command("check")
@click.argument("name", shell_complete=_completing("datasets"))
@click.argument("root", type=_Path(path_type=Path))
@click.option("--videos", metavar="1,3", callback=_listed, help="Only these videos.")
@_reads_pictures
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def datasets_check(name: str, root: Path, videos: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Read the data set NAME in ROOT from end to end: counts, sizes, codes found, frames without truth, problems.

    Exits 2 where a file cannot be used.
    """
    from cuemask.datasets.catalogue import read_dataset
    from cuemask.datasets.survey import survey

    def bar(items: Iterable[Any]) -> Iterable[Any]:
        sources = list(items)
        return sources if quiet else _progress(name, sources, len(sources))

    found = survey(read_dataset(name, root, videos), bar)
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else found.table())
    if found.problems:
        sys.exit(2)


@main.command()
@click.option("--out", required=True, type=_Path(path_type=Path), help="Folder of the results.")
@click.option("--frames", type=int, metavar="N", help="[40; with --layout 4 of each recording]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--scene", metavar="NAME", help="What is hard in it: crossing, touching, leaving, twins, four, round.")
@click.option("--layout", metavar="NAME", help="Write a miniature in the layout of a published data set instead.")
@click.option("--recordings", type=click.IntRange(min=1), metavar="N", help="Of --layout [2].")
@click.option("--full-size", is_flag=True, help="Write --layout at the size that the set is published at.")
@click.option("--quiet", is_flag=True)
def phantom(
    out: Path,
    frames: int | None,
    seed: int,
    scene: str | None,
    layout: str | None,
    recordings: int | None,
    full_size: bool,
    quiet: bool,
) -> None:
    """Write a synthetic clip with exact truth: video, frames, masks, parts, instances, classes and tips.

    Or a miniature of a data set.

    Layouts: endovis2017, endovis2017-test, endovis2017-cropped, endovis2017-authors, endovis2018, endovis2015,
    isic2016, cholecseg8k, robustmis, kvasir, folders.
    """
    if layout is not None and scene is not None:
        raise click.UsageError("Give --scene or --layout, not both.")
    if layout is not None:
        from cuemask.phantom.layouts import write_layout

        write_layout(layout, out, recordings=recordings or 2, frames=frames or 4, seed=seed, full_size=full_size)
        if not quiet:
            click.echo(f"{layout}: {out}\nnext: cuemask datasets check {layout.partition('-')[0]} {out}")
        return
    if recordings is not None or full_size:
        raise click.UsageError("--recordings and --full-size are for --layout NAME.")
    from cuemask.phantom import named_scene, write_phantom

    files = write_phantom(
        out,
        frames or 40,
        named_scene(scene or "usual", seed),
        lambda numbers, total: numbers if quiet else _progress("phantom", numbers, total),
    )
    if not quiet:
        click.echo(f"video: {files.video}\nmasks: {files.masks}")


@main.command()
@click.argument("listing", type=_Path(path_type=Path), metavar="MANIFEST|FOLDER")
@_common_to_all
@click.option(
    "--on",
    default="local",
    show_default=True,
    metavar="ENGINE",
    help="local:4 (processes here), dask://HOST:8786, slurm, or slurm:partition=gpu,cpus_per_task=4,mem=16GB.",
)
@click.option(
    "--learners",
    type=click.IntRange(1),
    metavar="N",
    help="Processes of one machine that learn the one network together.  [default: one for each GPU there]",
)
@click.option("--each", is_flag=True, help="Every video learns a network of its own, as `cuemask segment` does.")
@click.option(
    "--model",
    type=_Path(path_type=Path),
    metavar="RUN|MODEL.onnx|drawn",
    help="Learn nothing; as in `cuemask predict`.",
)
@_learned
@_device
@_provider
@_decoder
@_masks
@_probability
@_overlay
@_overlay_style
@_instances
@_parts
@_report
@_blank_outside
@_blank_text
@_reads_pictures
def batch(
    listing: Path, on: str, each: bool, model: Path | None, learners: int | None, quiet: bool, **flags: Any
) -> None:
    """Mask the instruments in many videos, on processes of this machine, a Dask cluster or SLURM.

    MANIFEST: a text file, a line a video or folder of pictures: its path, or a name, a tab and its path. FOLDER: all in
    it and below it.

    One network is learnt on all, unless --each or --model says otherwise; then each video is a unit of work. The same
    command goes on, and tries again what failed; `cuemask status` tells how far it is. Exits 2 where a video failed.
    """
    from cuemask.studies.batch import batch as run

    study = run(listing, _options(quiet, dataset=None, **flags), on=on, each=each, model=model, learners=learners)
    for row in study.failed:
        click.echo(f"failed  {row.name}: {row.error}", err=True)
    if not quiet:
        done = len(study.rows) - len(study.failed)
        click.echo(f"{done} of {len(study.rows)} videos done: {study.folder / 'videos'}\n{study.folder / 'status.csv'}")
    if study.failed:
        sys.exit(2)


@main.command("status")
@click.argument("study", type=_Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Again every two seconds, until nobody works on it.")
def status_(study: Path, watch: bool) -> None:
    """Tell how far STUDY, the --out of `cuemask batch`, is: done, running, failed with the error's words, time left."""
    import time

    from cuemask.studies.status import status

    while True:
        found = status(study)
        if watch and sys.stdout.isatty():
            click.clear()
        click.echo("\n".join(found.lines()))
        if not watch or found.is_over:
            return
        time.sleep(2)


@main.command()
@click.argument(
    "what",
    type=click.Choice(["table1", "table2", "table3", "table4", "figure2", "instances", "parts", "classes"]),
)
@click.option("--data", required=True, type=_Path(path_type=Path), metavar="ROOT", help="Where the data set lies.")
@click.option("--out", required=True, type=_Path(path_type=Path), help="Folder of the results.")
@click.option("--dataset", metavar="NAME", help="Another data set than the paper's [endovis2017; table4: isic2016].")
@click.option("--videos", metavar="1,3", callback=_listed, help="Only these videos.")
@click.option("--folds", type=_Path(path_type=Path, dir_okay=False), metavar="FILE", help="A line a fold: 1,3")
@_follows("paper")
@click.option("--protocol", metavar="NAME", help="As in `cuemask evaluate` [what is usual for the data set].")
@_reads_pictures
@click.option("--every", type=int, default=1, metavar="N", help="Take every N-th frame.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_device
@click.option("--quick", "is_quick", is_flag=True, help="Try it out in seconds: the figures mean nothing.")
@click.option("--quiet", is_flag=True, help="No progress, no closing lines.")
def benchmark(what: What, out: Path, quiet: bool, **flags: Any) -> None:
    """Make a table or figure of the paper: our figures beside those printed there, and the difference.

    Or a table of instances, parts or classes: how well instruments are told apart in the networks' masks.

    What it costs is said first: with the paper's recipe a network takes days on a processor. Broken off, the same
    command goes on. Tables that share an --out share the networks that they have in common, and no others.
    """
    from cuemask.experiments.benchmark import BenchmarkOptions
    from cuemask.experiments.benchmark import benchmark as run
    from cuemask.recipe import load_recipe
    from cuemask.runs.options import silent, unsaid

    recipe = load_recipe(flags.pop("recipe"), flags.pop("settings"))
    progress, say = (silent, unsaid) if quiet else (_progress, partial(click.echo, err=True))
    files = run(what, BenchmarkOptions(out=out, recipe=recipe, progress=progress, say=say, **flags))
    if not quiet:
        if files[0].suffix == ".md":
            click.echo(files[0].read_text(encoding="utf-8"))
        click.echo("\n".join(str(file) for file in files))


def _job(
    inputs: tuple[str, ...],
    quiet: bool,
    dataset: str | None,
    data: Path | None,
    videos: tuple[str, ...],
    **flags: Any,
) -> tuple[Sequence[str | Path | ClipFiles], Options]:
    """What a run works on, named or a data set, and its options."""
    chosen = _dataset(dataset, data, videos)
    if (chosen is None) == (not inputs):
        raise click.UsageError("Give INPUT, or --dataset NAME --data ROOT, and not both.")
    options = _options(quiet, dataset=chosen, **flags)
    return inputs if chosen is None else [recording.files for recording in chosen.recordings], options


def _moved(inputs: tuple[str, ...], dataset: Dataset | None) -> Sequence[str | ClipFiles]:
    """What a run read, where it lies now: files, or a data set's recordings."""
    if dataset is None:
        return inputs
    if inputs:
        raise click.UsageError("Give INPUT, or --dataset NAME --data ROOT, and not both.")
    return [recording.files for recording in dataset.recordings]


def _dataset(name: str | None, root: Path | None, videos: tuple[str, ...]) -> Dataset | None:
    if name is None or root is None:
        if name or root or videos:
            raise click.UsageError("A data set takes both: --dataset NAME --data ROOT.")
        return None
    from cuemask.datasets.catalogue import read_dataset

    return read_dataset(name, root, videos)


def _options(
    quiet: bool,
    *,
    dataset: Dataset | None,
    out: Path,
    crop: tuple[int, int, int, int] | None,
    stereo: Literal["left", "right"] | None,
    every: int,
    fps: float | None,
    start: float,
    end: float | None,
    seed: int,
    resume: bool = False,
    recipe: str = "default",
    settings: tuple[str, ...] = (),
    device: str = "auto",
    provider: str = "auto",
    decoder: Literal["auto", "cpu", "cuda"] = "auto",
    masks: Literal["pictures", "video"] = "pictures",
    save_probability: bool = False,
    overlay: bool = True,
    overlay_style: Literal["outline", "fill", "side-by-side"] = "fill",
    report: bool = True,
    instances: bool = False,
    parts: bool = False,
    blank_outside: bool = False,
    blank_text: bool = False,
    labels: int | Path | None = None,
    classes: Path | None = None,
    cues: tuple[OwnCue, ...] = (),
) -> Options:
    from cuemask.media.frames import Selection
    from cuemask.recipe import load_recipe
    from cuemask.runs.options import Options, silent, unsaid

    return Options(
        out=out,
        recipe=load_recipe(recipe, settings),
        selection=Selection(every, fps, start, end),
        crop=dataset.crop if dataset and crop is None else crop,
        stereo=stereo,
        device=device,
        provider=provider,
        decoder=decoder,
        seed=seed,
        resume=resume,
        masks=masks,
        save_probability=save_probability,
        overlay=overlay,
        overlay_style=overlay_style,
        report=report,
        instances=instances or parts,
        parts=parts,
        blank_outside=blank_outside,
        blank_text=blank_text,
        dataset=dataset,
        labels=labels,
        classes=classes,
        cues=cues,
        progress=silent if quiet else _progress,
        say=unsaid if quiet else partial(click.echo, err=True),
    )


@main.command()
@click.argument("name", required=False, shell_complete=_completing("recipes"))
@click.option(
    "--diff", metavar="OTHER", shell_complete=_completing("recipes"), help="Only where it differs from OTHER."
)
def recipes(name: str | None, diff: str | None) -> None:
    """List the named recipes, print one as TOML, or tell where two differ.

    NAME, OTHER: default, fast, paper, released, isic, lesion or a TOML file. What is printed can be kept as a file,
    changed and given to --recipe.
    """
    from cuemask.recipe import MEANT_FOR, differences, load_recipe, recipe_as_mapping, recipe_as_toml

    if diff is not None:
        one, other = (recipe_as_mapping(load_recipe(which)) for which in (name or "default", diff))
        rows = [("", name or "default", diff), *differences(one, other)]
        wide = [max(len(row[column]) for row in rows) for column in range(2)]
        for row in rows:
            click.echo(f"{row[0]:{wide[0]}}  {row[1]:{wide[1]}}  {row[2]}")
    elif name is not None:
        click.echo(recipe_as_toml(load_recipe(name)), nl=False)
    else:
        for each, words in MEANT_FOR.items():
            click.echo(f"{each:10} {words}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Tell what a bug report should say of this machine, and what is missing on it.

    Versions, processors, bfloat16, OpenCV's contrib modules, video codecs, ONNX Runtime's providers, CUDA, disk.
    Nothing is sent anywhere.
    """
    import dataclasses

    from cuemask.runs.doctor import doctor as look
    from cuemask.runs.doctor import table

    found = look()
    click.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2) if as_json else table(found))


def _progress(label: Label, items: Iterable[Any], total: int | None) -> Iterator[Any]:
    """A bar with count, speed and time left on standard error; for another program lines of JSON.

    It is there with the first item, or, where that takes longer, after a second: nothing to be done has none.
    """
    if os.environ.get("CUEMASK_PROGRESS") == "lines":
        yield from _progress_lines(label, items, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from cuemask.runs.options import label_at

    columns = (
        TextColumn("{task.description:28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("spent"),
        TimeElapsedColumn(),
    )
    first = items[0] if isinstance(items, range) and len(items) else 0
    bars = Progress(*columns, console=Console(stderr=True))
    task = bars.add_task(label_at(label, first), total=total, completed=first)
    waiting = Timer(_BAR_SECONDS, bars.start)
    waiting.daemon = True
    waiting.start()
    try:
        for count, item in enumerate(items, first + 1):
            if count == first + 1:
                waiting.cancel()
                bars.start()
            yield item
            bars.update(task, completed=count, description=label_at(label, count))
        bars.update(task, total=bars.tasks[0].completed)  # a header's count is only an estimate
    finally:
        waiting.cancel()
        waiting.join()
        if bars.live.is_started:
            bars.stop()


def _progress_lines(label: Label, items: Iterable[Any], total: int | None) -> Iterator[Any]:
    import time

    from cuemask.runs.options import label_at

    last = 0.0
    first = items[0] if isinstance(items, range) and len(items) else 0
    for count, item in enumerate(items, first + 1):
        yield item
        if time.monotonic() - last >= 0.3 or count == total:
            last = time.monotonic()
            line = {"progress": label_at(label, count), "count": count, "total": total}
            click.echo(json.dumps(line), err=True)


def _helps() -> bool:
    """Whether torchrun started this process beside the first one, which alone has something to tell."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK", "0") != "0"


def _name_results(out: Path, quiet: bool, *names: str) -> None:
    """Closing lines: what to open."""
    if quiet:
        return
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    for entry in record["inputs"]:
        for name in names:
            if (out / entry["clip"] / name).exists():
                click.echo(out / entry["clip"] / name)
    for name in ("report.html", "model.safetensors", "losses.png", "run.json"):
        if (out / name).is_file():
            click.echo(out / name)
