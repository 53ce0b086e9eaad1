"""`cuemask export dicom-seg`: the masks of a run as DICOM segmentations of the files that it read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cuemask.errors import CuemaskError, InputError
from cuemask.exports.dicom_seg import SourceFrame, is_ours, write_segmentation
from cuemask.media.clips import Clip, open_clips
from cuemask.media.decoding import OpenVideo
from cuemask.media.dicom import is_dicom, read_instance
from cuemask.media.folders import own_file
from cuemask.media.frames import Selection
from cuemask.media.mask_folders import masks_of
from cuemask.media.masks import read_mask
from cuemask.media.names import shown
from cuemask.runs.record import read_record, run_of


def export_dicom_seg(run: Path, out: Path, inputs: Sequence[str | Path] = ()) -> list[Path]:
    """Write the masks of each clip of `run` as one DICOM segmentation, `out/<clip>.dcm`.

    Images of one frame and of several can be referenced, and so can videos: to DICOM these are images of several
    frames. What cannot is a frame that the video's header does not know of, or a picture of another size than it says.

    Parameters
    ----------
    run
        The folder of a `segment` or `predict` run, or of one of its clips.
    inputs
        The DICOM files that it read, where they are not any more where they were; they are known by their content.

    Returns
    -------
    The files.

    Raises
    ------
    CuemaskError
        If the run has no masks, its sources are gone, were changed or are no DICOM, or a file cannot be written.
    """
    folder = run_of(run)
    record = read_record(folder / "run.json")
    if record is None or not record.get("inputs"):
        raise InputError(f"{run}: no run.json that tells what was segmented.", "Give the --out of segment or predict.")
    entries: list[Mapping[str, Any]] = [e for e in record["inputs"] if folder == run or e["clip"] == run.name]
    if not entries:
        raise InputError(f"{run}: is no clip of the run in {folder}.", "Give the run's folder, or one of its clips'.")
    clips = _clips(entries, inputs)
    files: list[Path] = []
    for entry in entries:
        file = out / f"{entry['clip']}.dcm"
        masks = masks_of(folder / entry["clip"])
        if not masks:
            raise InputError(f"{folder / entry['clip']}: no masks in it.", "Give the --out of segment or predict.")
        frames = _frames(clips[entry["sha256"]], [path.stem for path in masks])
        with own_file(file, is_ours):
            write_segmentation(file, frames, (read_mask(path) > 0 for path in masks))
        files.append(file)
    return files


def _clips(entries: Sequence[Mapping[str, Any]], inputs: Sequence[str | Path]) -> dict[str, Clip]:
    """The clips of a run by the hash of their content."""
    sources = inputs or list(dict.fromkeys(entry["source"] for entry in entries))
    remedy = "Give the files that were segmented: cuemask export dicom-seg RUN FILE_OR_FOLDER --out DIR"
    try:
        opened = open_clips(sources, Selection(**entries[0]["selection"]))
    except CuemaskError as error:
        if inputs:
            raise
        raise InputError(f"What the run read cannot be read now. {error.what}", remedy) from error
    found = {clip.sha256(): clip for clip in opened}
    for entry in entries:
        if entry["sha256"] not in found:
            raise InputError(f"{entry['clip']}: its source is not given, or not the same as it was.", remedy)
        if not is_dicom(found[entry["sha256"]].paths[0]):
            raise InputError(
                f"{entry['clip']}: its source is no DICOM, and a segmentation has to reference DICOM images.",
                "Segment the DICOM files themselves; the run itself holds the masks as PNG or film.",
            )
    return found


def _frames(clip: Clip, names: Sequence[str]) -> list[SourceFrame]:
    """What the masks called `names` are of."""
    if clip.kind == "pictures":
        paths = dict(zip(clip.frame_names, clip.paths, strict=True))
        return [SourceFrame(paths[name], None) for name in names]
    path = clip.paths[0]
    if clip.kind == "video":
        _refuse_unknown_frames(path)
    return [SourceFrame(path, int(name) + 1) for name in names]


def _refuse_unknown_frames(path: Path) -> None:
    """Numbers of frames mean something only where header and stream count the same."""
    said = read_instance(path).frame_count
    with OpenVideo(path) as video:
        held = sum(1 for _ in video.from_first())
    if said != held:
        raise InputError(
            f"{shown(path)}: its header says {said} frames and its stream holds {held}; a segmentation references "
            "frames by their numbers, which have to exist.",
            "Have the header's Number of Frames put right, then segment and export again.",
        )
