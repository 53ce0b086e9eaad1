"""DICOM files as clips: videos and images of several frames one each, images of one frame a clip a series."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from cuemask.errors import InputError, PictureError
from cuemask.media.dicom import (
    ENDINGS,
    Instance,
    NoPictureError,
    damage_told,
    is_dicom,
    neutral_name,
    read_dataset,
    read_instance,
)
from cuemask.media.frames import frame_name
from cuemask.media.identity import cleaned, holds
from cuemask.media.names import alike, shown

log = logging.getLogger(__name__)

DIRECTORY = "DICOMDIR"


class DicomClip(NamedTuple):
    """Files of one clip, and what it is called.

    Attributes
    ----------
    given
        What was given, in words that tell nothing of the patient.
    kind
        "video"; "frames", of an image of several; "pictures", images of one frame each.
    place
        A path of which the last part is the clip's name, with folders that may come in front of it.
    frame_names
        Of "pictures".
    """

    given: str
    kind: Literal["video", "frames", "pictures"]
    paths: tuple[Path, ...]
    place: Path
    frame_names: tuple[str, ...] = ()


def dicom_in(folder: Path, entries: Sequence[Path]) -> list[Path]:
    """The DICOM files of a folder: those that its DICOMDIR names, else those in it.

    Raises
    ------
    PictureError
        If its DICOMDIR is damaged, or names a file that is not there.
    """
    directory = next((path for path in entries if path.name.upper() == DIRECTORY and is_dicom(path)), None)
    if directory is not None:
        return files_of_directory(directory)
    return [path for path in entries if not path.name.startswith(".") and path.is_file() and is_dicom(path)]


def files_of_directory(directory: Path) -> list[Path]:
    """The images and videos that a DICOMDIR names.

    Raises
    ------
    PictureError
        If it is damaged, names none, or names a file that is not there.
    """
    header = read_dataset(directory, None)
    with damage_told(directory, "its records cannot be read"):
        records = [record for record in header.DirectoryRecordSequence if record.DirectoryRecordType == "IMAGE"]
        named = [_parts(record.ReferencedFileID) for record in records if record.get("ReferencedFileID")]
    if any(part in ("..", "") or "/" in part or "\\" in part for parts in named for part in parts):
        raise PictureError(f"{directory}: names files outside of its own folder.", "Give the files themselves.")
    files = [directory.parent.joinpath(*parts) for parts in named]
    absent = [path for path in files if not path.is_file()]
    if absent or not files:
        what = f"{len(absent)} of {len(files)} files that it names are not there" if files else "it names no image"
        raise PictureError(f"{directory}: {what}.", "Copy the whole medium again, or give its folders of files.")
    return files


def dicom_clips(files: Sequence[Path], given: str, folder: Path | None = None) -> list[DicomClip]:
    """Clips of DICOM files; in a folder, what is no image is left out with a word.

    Parameters
    ----------
    given
        What was given: a folder, a pattern or a file.
    folder
        What images of one frame are named after; None: the folder that they lie in.

    Raises
    ------
    InstallationError
        If pydicom is missing.
    PictureError
        If a file is damaged, or none is an image.
    """
    instances = _readable(files, given)
    series: dict[str, list[Instance]] = {}
    for instance in instances:
        alone = instance.is_video or instance.frame_count > 1
        series.setdefault(instance.uid if alone else f"series {instance.series}", []).append(instance)
    of_one_frame = [key for key in series if key.startswith("series ")]
    return [
        _of_images(found, given, folder, is_only=len(of_one_frame) == 1)
        if key in of_one_frame
        else _of_many(found[0], given)
        for key, found in series.items()
    ]


def _readable(files: Sequence[Path], given: str) -> list[Instance]:
    found: list[Instance] = []
    others: list[NoPictureError] = []
    for path in files:
        try:
            found.append(read_instance(path))
        except NoPictureError as error:
            others.append(error)
    if not found:
        raise others[0]
    if others:
        kinds = Counter(error.kind for error in others)
        told = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
        log.warning("%s: DICOM files without pictures are left out: %s.", _said(given, found[0]), told)
    twice = [uid for uid, count in Counter(instance.uid for instance in found).items() if count > 1 and uid]
    if twice:
        same = [shown(instance.path) for instance in found if instance.uid == twice[0]]
        raise InputError(f"{' and '.join(same)}: the same DICOM instance twice.", "Give every instance once.")
    return found


def _of_many(instance: Instance, given: str) -> DicomClip:
    path = instance.path
    place = cleaned(path.resolve().parent / _stem(path), instance.identity, instance.neutral_name)
    kind = "video" if instance.is_video else "frames"
    return DicomClip(_said(given, instance), kind, (path,), place)


def _of_images(instances: list[Instance], given: str, folder: Path | None, *, is_only: bool) -> DicomClip:
    ordered = sorted(instances, key=lambda each: (each.number is None, each.number or 0, str(each.path)))
    first = ordered[0]
    named_after = (folder or first.path.parent).resolve()
    place = cleaned(named_after, first.identity, neutral_name(first.series))
    if not is_only:
        number = neutral_name(first.series) if first.series_number is None else f"series{first.series_number}"
        place = place.with_name(f"{place.name}_{number}")
    names = tuple(_stem(each.path) for each in ordered)
    tells = any(holds(name, each.identity) for name, each in zip(names, ordered, strict=True))
    if tells or len({alike(name) for name in names}) < len(names):
        names = tuple(frame_name(number) for number in range(len(names)))
    return DicomClip(_said(given, first), "pictures", tuple(each.path for each in ordered), place, names)


def _said(given: str, instance: Instance) -> str:
    return instance.neutral_name if holds(given, instance.identity) else given


def _stem(path: Path) -> str:
    """A file's name without its ending; many are UIDs, whose last number is no ending."""
    return path.stem if path.suffix.lower() in ENDINGS else path.name


def _parts(file_id: object) -> list[str]:
    return [file_id] if isinstance(file_id, str) else [str(part) for part in file_id]  # type: ignore[attr-defined]
