"""DICOM segmentations: masks as an instance that references the frames that they are of.

References: DICOM PS3.3, A.51 (Segmentation IOD) and C.7.6.16.2.6 (Derivation Image). Endoscopic images and videos have
no frame of reference; each pixel of the segmentation then has to be one of a referenced image (A.51.5.1).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from cuemask import __version__
from cuemask.errors import InputError, InstallationError, OutputError
from cuemask.media.dicom import damage_told, pydicom_of, read_dataset
from cuemask.media.files import written_aside
from cuemask.media.names import shown

MAKER = "cuemask"
_MOST_BYTES = (1 << 32) - 2  # of the value of one element
_OF_ONE_FRAME = "1.2.840.10008.5.1.4.1.1.77.1.1"  # VL Endoscopic Image Storage
_TEMPORAL_POSITION, _FRAME_CONTENT = 0x00209128, 0x00209111
# What a segmentation has to repeat of its source, be it empty.
_REPEATED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
)


class SourceFrame(NamedTuple):
    """What one mask is of: an instance's file and, of one with several frames, the frame's number from 1."""

    path: Path
    number: int | None


def write_segmentation(file: Path, frames: Sequence[SourceFrame], masks: Iterable[Bool[np.ndarray, "H W"]]) -> None:
    """Write the masks of one clip as one DICOM segmentation, in the order of its frames.

    The segmentation names patient and study as its source does, as it has to.

    Parameters
    ----------
    frames
        What each mask is of: at least one, all of one series.
    masks
        As many, each of the size that its source's header says.

    Raises
    ------
    InstallationError
        If highdicom is missing.
    InputError
        If a mask is of another size than its source.
    OutputError
        If it would be larger than DICOM allows, or cannot be written.
    """
    headers = {path: _header(path) for path in dict.fromkeys(frame.path for frame in frames)}
    first = headers[frames[0].path]
    size = len(frames) * int(first.Rows) * int(first.Columns) // 8
    if size > _MOST_BYTES:
        raise OutputError(
            f"{file}: {len(frames)} masks of {first.Columns}x{first.Rows} pixels are {size:,} bytes, more than the "
            f"{_MOST_BYTES:,} that DICOM allows.",
            "Make a run of fewer frames: --every N, or --start and --end.",
        )
    with damage_told(frames[0].path, "its header does not tell what a segmentation has to repeat"):
        segmentation = _of_one_frame(first)
        _reference(segmentation, frames, headers)
    segmentation.PixelData = _packed(frames, masks, headers)
    with written_aside(file) as aside:
        segmentation.save_as(aside)


def is_ours(file: Path) -> bool:
    """Whether a file is a segmentation that `write_segmentation` wrote."""
    try:
        with file.open("rb") as opened:
            header = read_dataset(file, opened)
    except InputError:
        return False
    return header.get("Modality") == "SEG" and header.get("Manufacturer") == MAKER


def _header(path: Path) -> Any:
    with path.open("rb") as file:
        header = read_dataset(path, file)
    for keyword in _REPEATED:
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def _of_one_frame(header: Any) -> Any:
    """A segmentation of the source as if it had one frame: highdicom makes no other without a frame of reference."""
    pydicom_of(Path(MAKER))
    try:
        import highdicom
        from pydicom.sr.codedict import codes
    except ModuleNotFoundError as error:
        raise InstallationError(
            "Segmentations are written by highdicom, which is not installed.", "Run: pip install 'cuemask[dicom]'"
        ) from error
    source = copy.deepcopy(header)
    source.SOPClassUID = _OF_ONE_FRAME
    for keyword in ("NumberOfFrames", "FrameOfReferenceUID"):
        if keyword in source:
            delattr(source, keyword)
    learnt = highdicom.AlgorithmIdentificationSequence(MAKER, codes.DCM.ArtificialIntelligence, __version__)
    segment = highdicom.seg.SegmentDescription(
        1,
        "instrument",
        codes.SCT.PhysicalObject,
        codes.SCT.InstrumentDevice,
        highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        learnt,
    )
    segmentation = highdicom.seg.Segmentation(
        [source],
        np.zeros((1, int(header.Rows), int(header.Columns)), np.uint8),
        highdicom.seg.SegmentationTypeValues.BINARY,
        [segment],
        series_instance_uid=highdicom.UID(),
        series_number=int(header.get("SeriesNumber") or 0) + 1000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=__version__,
        device_serial_number="0",
        content_label="INSTRUMENTS",
        omit_empty_frames=False,
    )
    # Asked of every image without a place in the patient; it may be empty, as it is in most sources of this kind.
    segmentation.PatientOrientation = header.get("PatientOrientation") or ""
    return segmentation


def _reference(segmentation: Any, frames: Sequence[SourceFrame], headers: dict[Path, Any]) -> None:
    """Have the frames of a segmentation of one say what they are of, and that they follow each other in time."""
    only = segmentation.PerFrameFunctionalGroupsSequence[0]
    index = copy.deepcopy(segmentation.DimensionIndexSequence[0])
    index.DimensionIndexPointer, index.FunctionalGroupPointer = _TEMPORAL_POSITION, _FRAME_CONTENT
    index.DimensionDescriptionLabel = "Temporal Position Index"
    segmentation.DimensionIndexSequence.append(index)
    items: list[Any] = []
    for place, frame in enumerate(frames, 1):
        item = copy.deepcopy(only)
        item.FrameContentSequence[0].TemporalPositionIndex = place
        item.FrameContentSequence[0].DimensionIndexValues = [1, place]
        source = item.DerivationImageSequence[0].SourceImageSequence[0]
        _name(source, headers[frame.path])
        if frame.number is not None:
            source.ReferencedFrameNumber = frame.number
        items.append(item)
    segmentation.PerFrameFunctionalGroupsSequence = items
    segmentation.NumberOfFrames = len(items)
    series = segmentation.ReferencedSeriesSequence[0]
    series.ReferencedInstanceSequence = [
        _named(series.ReferencedInstanceSequence[0], header) for header in headers.values()
    ]
    if "SourceImageSequence" in segmentation:
        segmentation.SourceImageSequence = [
            _named(segmentation.SourceImageSequence[0], header) for header in headers.values()
        ]


def _named(item: Any, header: Any) -> Any:
    other = copy.deepcopy(item)
    _name(other, header)
    return other


def _name(item: Any, header: Any) -> None:
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID


def _packed(frames: Sequence[SourceFrame], masks: Iterable[Bool[np.ndarray, "H W"]], headers: dict[Path, Any]) -> bytes:
    """The masks as bits, eight a byte, the first the lowest; frames follow each other without a gap."""
    data, left = bytearray(), np.zeros(0, bool)
    for frame, mask in zip(frames, masks, strict=True):
        header = headers[frame.path]
        if mask.shape != (header.Rows, header.Columns):
            raise InputError(
                f"{shown(frame.path)}: its header says {header.Columns}x{header.Rows} pixels, its picture has "
                f"{mask.shape[1]}x{mask.shape[0]}; a segmentation has to match the header.",
                "Have the header put right, then export again.",
            )
        bits = np.concatenate([left, mask.ravel()])
        whole = len(bits) // 8 * 8
        data += np.packbits(bits[:whole], bitorder="little").tobytes()
        left = bits[whole:]
    data += np.packbits(left, bitorder="little").tobytes()
    return bytes(data + bytes(len(data) % 2))
