"""`cuemask export` of masks and `cuemask import`: between a run and the files of other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cuemask.errors import InputError
from cuemask.formats.coco import BEGINS as COCO
from cuemask.formats.coco import read_coco, write_coco, write_coco_video
from cuemask.formats.cvat import BEGINS as CVAT
from cuemask.formats.cvat import read_cvat, write_cvat
from cuemask.formats.davis import read_davis, write_davis
from cuemask.formats.frames import MaskFrame, ReadMask
from cuemask.formats.labelstudio import BEGINS as LABEL_STUDIO
from cuemask.formats.labelstudio import read_labelstudio, write_labelstudio
from cuemask.formats.voc import write_voc
from cuemask.formats.yolo import write_yolo
from cuemask.media.files import make_folder, written_aside
from cuemask.media.folders import own_file, whole_folder
from cuemask.media.mask_folders import masks_of
from cuemask.media.masks import read_mask, write_mask
from cuemask.media.names import alike, refuse_clip_name, refuse_frame_names
from cuemask.media.pictures import composed, is_picture
from cuemask.media.threads import in_threads
from cuemask.runs.options import Progress, silent
from cuemask.runs.record import read_record, run_of

CORRECTIONS = "corrections"
_READERS, _AHEAD = 2, 8

# One file, and how it begins where it is ours and may be replaced; or a folder.
_FILES: Mapping[str, tuple[Callable[..., list[str]], str]] = {
    "coco": (write_coco, COCO),
    "coco-video": (write_coco_video, COCO),
    "cvat": (write_cvat, CVAT),
    "labelstudio": (write_labelstudio, LABEL_STUDIO),
}
_FOLDERS: Mapping[str, Callable[..., list[str]]] = {"yolo": write_yolo, "davis": write_davis, "voc": write_voc}
_READ: Mapping[str, Callable[[Path], Iterator[ReadMask]]] = {
    "coco": read_coco,
    "cvat": read_cvat,
    "labelstudio": read_labelstudio,
    "davis": read_davis,
}


@dataclass(frozen=True)
class _Source:
    """The mask of one frame, where it lies."""

    clip: str
    name: str
    file: str
    number: int
    path: Path
    size: tuple[int, int] | None  # that a correction has to have


def export_masks(
    run: Path,
    kind: str,
    out: Path,
    *,
    corrections: bool = False,
    images: str = "",
    progress: Progress = silent,
) -> list[str]:
    """Write the masks of a run in the format of another program; memory does not grow with their number.

    Parameters
    ----------
    run
        The folder of a complete `segment` or `predict` run, or of one of its clips.
    kind
        `coco`, `coco-video`, `cvat` or `labelstudio`, which are one file; `yolo`, `davis` or `voc`, a folder.
    out
        Absent; a file may be an earlier export of the same kind, a folder may be empty.
    corrections
        Take `RUN/corrections/CLIP/FRAME.png` in the place of the run's own masks where there is one.
    images
        Of `labelstudio`: what stands before the frames' file names in their addresses.

    Returns
    -------
    What to tell: how many frames, and what the format could not hold.

    Raises
    ------
    InputError
        If `run` is no complete run with masks, a mask is gone, or a correction fits no frame.
    PictureError
        If a mask cannot be read.
    OutputError
        If `out` holds something else or cannot be written.
    """
    sources = _sources(run, corrections=corrections)
    frames = progress(f"export {kind}", _read(sources), len(sources))
    if kind in _FILES:
        write, begins = _FILES[kind]
        if kind == "labelstudio":
            write = partial(write, images=images)
        with own_file(out, partial(_begins, begins)), written_aside(out) as aside:
            lost = write(aside, frames)
    else:
        with whole_folder(out) as aside:
            lost = _FOLDERS[kind](aside, frames)
    corrected = sum(source.size is not None for source in sources)
    counted = f"{len(sources):,} frames" + (f", {corrected:,} of them corrected" if corrections else "")
    return [counted, *lost, str(out)]


def import_masks(kind: str, file: Path, out: Path, *, of_video: bool = False, progress: Progress = silent) -> list[str]:
    """Write the masks of another program's file as `OUT/FRAME.png` or `OUT/CLIP/FRAME.png`, for `--labels`.

    A frame that the file lists without a mask becomes an empty one. The last folder of a file's name is its clip.

    Parameters
    ----------
    kind
        `coco`, `cvat`, `labelstudio` or `davis`; the last is a folder.
    of_video
        Whether frames that are called frame_000012, as CVAT does it with videos, are 000012.

    Raises
    ------
    InputError
        If `file` is not of that format, a frame's name could not be one of ours, or two would be one.
    OutputError
        If `out` is neither absent nor empty, or cannot be written.
    """
    seen: dict[str, str] = {}
    empty = 0
    with whole_folder(out) as aside:
        for found in progress(f"import {kind}", _READ[kind](file), None):
            place = _label_place(found.file, str(file), of_video=of_video)
            known = alike(place.as_posix())
            if known in seen:
                raise InputError(
                    f"{file}: {seen[known]} and {found.file} would both be {place}.", "Rename one of them in the file."
                )
            seen[known] = found.file
            make_folder((aside / place).parent)
            write_mask(aside / place, found.mask)
            empty += not found.mask.any()
        if not seen:
            raise InputError(f"{file}: no frame in it.", "Export it anew from the program that wrote it.")
    return [f"{len(seen):,} frames, {empty:,} of them empty", str(out)]


def _label_place(file: str, source: str, *, of_video: bool) -> Path:
    """Where a mask lies among labels; what a file says never leads out of their folder."""
    *folders, name = composed(file).replace("\\", "/").split("/")
    stem = name if "." not in name.lstrip(".") else name.rpartition(".")[0]
    if of_video:
        stem = stem.removeprefix("frame_")
        if not stem.isdecimal():
            raise InputError(f"{source}: {file} is not called after its number.", "Leave --video out.")
    told = f"{source}, frame {file}"
    refuse_frame_names([stem], told)
    if not folders:
        return Path(f"{stem}.png")
    refuse_clip_name(folders[-1], told)
    return Path(folders[-1]) / f"{stem}.png"


def _begins(begins: str, file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(begins)) == begins.encode()


def _read(sources: list[_Source]) -> Iterator[MaskFrame]:
    with closing(in_threads(_mask_frame, sources, _READERS, _AHEAD)) as frames:
        yield from frames


def _mask_frame(source: _Source) -> MaskFrame:
    mask = read_mask(source.path) > 0
    if source.size is not None and mask.shape != source.size:
        raise InputError(
            f"{source.path}: {mask.shape[1]} by {mask.shape[0]} pixels; the frame has {source.size[1]} by "
            f"{source.size[0]}.",
            "Draw the correction at the frame's own size.",
        )
    return MaskFrame(source.clip, source.name, source.file, source.number, mask)


def _sources(run: Path, *, corrections: bool) -> list[_Source]:
    """All masks of a run in the order of its clips."""
    folder, (_, entries) = run_of(run), complete_clips(run)
    is_one = len(entries) == 1
    found: list[_Source] = []
    for entry in entries:
        clip = str(entry["clip"])
        masks = {composed(path.stem): path for path in masks_of(folder / clip)}
        if not masks:
            raise InputError(
                f"{folder / clip}: holds no masks.", f"Make them: cuemask predict {folder} INPUT --out DIR"
            )
        drawn = _corrections(folder / CORRECTIONS / clip, masks) if corrections else {}
        files = _files(str(entry.get("source", "")))
        is_numbered = is_one and files is None and all(name.isdecimal() for name in masks)
        for name, path in masks.items():
            file = (files or {}).get(name, f"{name}.png")
            found.append(
                _Source(
                    clip,
                    name,
                    file if is_one else f"{clip}/{file}",
                    int(name) if is_numbered else len(found),
                    drawn.get(name, path),
                    (int(entry["height_px"]), int(entry["width_px"])) if name in drawn else None,
                )
            )
    return found


def complete_clips(run: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The record of the complete run in `run`, or of that whose clip `run` is, and its entries of the clips meant.

    Raises
    ------
    InputError
        If there is no such run, or it is not complete.
    """
    folder = run_of(run)
    record = read_record(folder / "run.json")
    remedy = "Give the folder that cuemask segment or cuemask predict wrote."
    if record is None:
        raise InputError(f"{run}: holds no run (no run.json).", remedy)
    if record.get("status") != "complete":
        raise InputError(f"{folder}: the run is not complete.", "Go on with it: the same command with --resume.")
    entries = [entry for entry in record.get("inputs", []) if folder == run or entry.get("clip") == run.name]
    if not entries:
        raise InputError(f"{run}: is no clip of the run in {folder}.", remedy)
    return record, entries


def _corrections(folder: Path, masks: Mapping[str, Path]) -> dict[str, Path]:
    if not folder.parent.is_dir():
        raise InputError(f"{folder.parent}: absent; nothing was corrected.", "Leave --corrections out.")
    drawn = {composed(path.stem): path for path in folder.glob("*.png") if is_picture(path)}  # drafts are hidden
    unknown = sorted(drawn.keys() - masks.keys())
    if unknown:
        raise InputError(f"{drawn[unknown[0]]}: corrects no frame of the run.", "Name it after a frame, or remove it.")
    return drawn


def _files(source: str) -> dict[str, str] | None:
    """Of a clip of pictures that still lie where they lay: their files' names by the frames' names."""
    place = Path(source)
    folder = place if place.is_dir() else place.parent
    if not source or (place.is_file() and not is_picture(place)):
        return None
    try:
        pictures: Iterable[Path] = [path for path in folder.iterdir() if is_picture(path)]
    except OSError:
        return None
    return {composed(path.stem): path.name for path in pictures} or None
