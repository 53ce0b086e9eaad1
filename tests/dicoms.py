"""DICOM files for tests, small, of all kinds that endoscopes store."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended, itemize_fragment
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from .numbered import numbered

SIZE = (64, 96)
VIDEO = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
ENDOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.1"
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.4"  # secondary capture in true colours
H264, HEVC, MPEG2 = (f"1.2.840.10008.1.2.4.{number}" for number in (102, 107, 100))
JPEG, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
NAME, NUMBER, BIRTH = "Käsebier^Ottilie", "PX48151623", "19421231"
RATE = Fraction(30000, 1001)


def dataset(syntax: str, sop_class: str = ENDOSCOPIC, **values: Any) -> Dataset:
    """An instance of a patient, without pixels."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(entropy_srcs=["study"]), generate_uid()
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = NAME, NUMBER, BIRTH, "F"
    ds.AccessionNumber = ds.StudyID = ds.StudyDate = ds.StudyTime = ds.ReferringPhysicianName = ""
    ds.Modality, ds.InstanceNumber, ds.SeriesNumber = "ES", 1, 1
    ds.Rows, ds.Columns = SIZE
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    for name, value in values.items():
        setattr(ds, name, value)
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    return ds


def save(ds: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def stream(codec: str = "libx264", container: str = "h264", count: int = 12, rate: Fraction = RATE) -> bytes:
    """A stream of numbered frames."""
    file = io.BytesIO()
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(file, "w", format=container) as writing:
        track: Any = writing.add_stream(codec, rate=rate, options=options)
        track.height, track.width, track.pix_fmt = *SIZE, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(number, *SIZE)).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            writing.mux(track.encode(frame))
        writing.mux(track.encode(None))
    return file.getvalue()


def video(path: Path, data: bytes, syntax: str = H264, *, fragments: int = 1, count: int = 12, **values: Any) -> Path:
    """A video instance; its stream in one fragment or several."""
    told = {"NumberOfFrames": count, "FrameTime": float(1000 / RATE), "PhotometricInterpretation": "YBR_PARTIAL_420"}
    ds = dataset(syntax, VIDEO, **(told | values))
    step = -(-len(data) // fragments) + (-(-len(data) // fragments)) % 2
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    pieces = [piece + b"\0" * (len(piece) % 2) for piece in pieces]
    ds.PixelData = itemize_fragment(b"") + b"".join(itemize_fragment(piece) for piece in pieces)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return save(ds, path)


def jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def images(path: Path, frames: Sequence[np.ndarray], syntax: str = ExplicitVRLittleEndian, **values: Any) -> Path:
    """An image instance of one frame or several, as RGB; with JPEG as YBR_FULL_422."""
    if len(frames) > 1:
        values = {"SOPClassUID": MULTI_FRAME, "NumberOfFrames": len(frames), "FrameTime": 40.0} | values
    if syntax == JPEG:
        values = {"PhotometricInterpretation": "YBR_FULL_422"} | values
    ds = dataset(syntax, **values)
    extended = values.get("extended", False)
    if syntax == JPEG:
        data = [jpeg(frame) for frame in frames]
        if extended:
            ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(data)
        else:
            ds.PixelData = encapsulate(data)
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    else:
        raw = np.ascontiguousarray(np.stack(frames)).tobytes()
        ds.PixelData = raw + b"\0" * (len(raw) % 2)
        ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
        if syntax == RLE:
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            ds.compress(RLE, generate_instance_uid=False)
    return save(ds, path)


def changed(path: Path, change: Callable[[Dataset], None]) -> Path:
    ds = pydicom.dcmread(path)
    change(ds)
    return save(ds, path)
