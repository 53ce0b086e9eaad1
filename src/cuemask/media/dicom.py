"""DICOM instances: what their headers say of their frames, without a pixel and without a word about the patient.

pydicom is loaded when the first one is opened. What it would say itself is kept quiet, as it quotes values.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from cuemask.errors import InputError, InstallationError, PictureError
from cuemask.media.identity import holds, identity_words
from cuemask.media.names import shown, withhold

ENDINGS = frozenset({".dcm", ".dicom", ".dic"})
_MARK = 128  # bytes before "DICM"
_PIXELS = 0x7FE00010
_UNTOLD = 0xFFFFFFFF
_DEFLATED = "1.2.840.10008.1.2.1.99"
# MPEG-2, H.264 and HEVC, whole and fragmentable: one stream for all frames.
_VIDEO_SYNTAXES = "1.2.840.10008.1.2.4.10"
# Pixel data that are no picture of anything.
_NO_PICTURES = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.30"})


class NoPictureError(PictureError):
    """A DICOM file of another kind: a report, a presentation, a segmentation.

    Parameters
    ----------
    kind
        Which.
    """

    def __init__(self, kind: str, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.kind = kind


class PixelData(NamedTuple):
    """Where an instance's pixels lie in its file: first byte of the value, and its length (None: encapsulated)."""

    start: int
    length: int | None


@dataclass(frozen=True)
class Instance:
    """What a DICOM file says of its frames.

    Attributes
    ----------
    uid, series
        UIDs of the instance and of its series.
    series_number, number
        Of the series in its study, and of the instance in its series, where told.
    syntax, syntax_name
        Its transfer syntax.
    is_video
        Whether its frames are one stream of MPEG-2, H.264 or HEVC.
    rate
        Frames per second, where told.
    pixels
        Where its pixels lie; None where the file is deflated as a whole.
    identity
        Words that tell who the patient is.
    """

    path: Path
    uid: str
    series: str
    series_number: int | None
    number: int | None
    syntax: str
    syntax_name: str
    is_video: bool
    frame_count: int
    height_px: int
    width_px: int
    rate: Fraction | None
    pixels: PixelData | None
    identity: frozenset[str] = field(repr=False)

    @property
    def neutral_name(self) -> str:
        """A name that tells nothing of the patient, the same at each reading."""
        return neutral_name(self.uid)


def neutral_name(uid: str) -> str:
    """A name for what has a UID."""
    return f"dicom-{hashlib.sha256(uid.encode()).hexdigest()[:10]}"


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: its mark says so, or the ending of a file that does without the mark."""
    try:
        if not path.is_file():  # a pipe would be waited for, and can be read only once
            return False
        with path.open("rb") as file:
            head = file.read(_MARK + 4)
    except OSError:
        return False
    return head[_MARK:] == b"DICM" or (path.suffix.lower() in ENDINGS and len(head) > 0)


def header_of(path: Path) -> Instance | None:
    """What a DICOM file says of its frames; None of any other file.

    Raises
    ------
    InputError
        As `read_instance`.
    """
    return read_instance(path) if is_dicom(path) else None


def read_instance(path: Path) -> Instance:
    """Read the header of a DICOM file.

    Raises
    ------
    InstallationError
        If pydicom is missing.
    PictureError
        If the file is damaged, cut off, or has no pixels.
    """
    state = path.stat()
    return _instance(path, state.st_mtime_ns, state.st_size)


def pydicom_of(path: Path) -> Any:
    """The module pydicom.

    Raises
    ------
    InstallationError
        If it is missing.
    """
    try:
        pydicom: Any = import_module("pydicom")
        for part in ("config", "encaps", "pixels", "uid"):
            import_module(f"pydicom.{part}")
    except ModuleNotFoundError as error:
        raise InstallationError(
            f"{shown(path)}: a DICOM file, and pydicom is not installed.",
            "Run: pip install 'cuemask[dicom]'",
        ) from error
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"(pydicom|highdicom)(\.|$)")
    return pydicom


@contextmanager
def damage_told(path: Path, what: str) -> Generator[None, None, None]:
    """Turn whatever pydicom raises at a damaged file into our own error, without its words, which quote the file."""
    try:
        yield
    except (InputError, InstallationError, MemoryError):
        raise
    except Exception as error:
        raise PictureError(
            f"{shown(path)}: {what} ({type(error).__name__}; {path.stat().st_size:,} bytes); "
            "the DICOM file is cut off or damaged.",
            "Copy it again from its source.",
        ) from None


def read_dataset(path: Path, file: BinaryIO | None = None) -> Any:
    """The header of a DICOM file, or with `file` None the whole of it, as pydicom's `Dataset`.

    Raises
    ------
    InstallationError, PictureError
        As `read_instance`.
    """
    pydicom = pydicom_of(path)
    with damage_told(path, "its header cannot be read"):
        if file is None:
            return pydicom.dcmread(path, force=True)
        return pydicom.dcmread(file, stop_before_pixels=True, force=True)


@lru_cache(maxsize=4096)
def _instance(path: Path, changed: int, size_bytes: int) -> Instance:
    del changed
    with path.open("rb") as file:
        header = read_dataset(path, file)
        place = file.tell()
    with damage_told(path, "its header cannot be read"):
        syntax = str(header.file_meta.get("TransferSyntaxUID", "")) or "1.2.840.10008.1.2"
        sop_class = str(header.get("SOPClassUID", ""))
        uid, identity = str(header.get("SOPInstanceUID", "")), identity_words(header)
        if holds(str(path), identity):
            withhold(path, neutral_name(uid))
        pixels = None if syntax == _DEFLATED else _pixels(path, place, syntax, size_bytes)
        if pixels is None and not (syntax == _DEFLATED and "PixelData" in read_dataset(path)):
            raise _no_pixels(path, header, size_bytes)
        if sop_class in _NO_PICTURES:
            raise _no_pixels(path, header, size_bytes)
        found = Instance(
            path=path,
            uid=uid,
            series=str(header.get("SeriesInstanceUID", "")),
            series_number=_whole(header, "SeriesNumber"),
            number=_whole(header, "InstanceNumber"),
            syntax=syntax,
            syntax_name=str(_uid(path, syntax).name),
            is_video=syntax.startswith(_VIDEO_SYNTAXES),
            frame_count=max(1, _whole(header, "NumberOfFrames") or 1),
            height_px=int(header.Rows),
            width_px=int(header.Columns),
            rate=_rate(header),
            pixels=pixels,
            identity=identity,
        )
    last = (pieces(found) or [(size_bytes, 1)])[-1] if pixels is not None else (0, 0)
    if sum(last) > size_bytes:
        raise cut_off(path, sum(last) - size_bytes)
    return found


def pieces(instance: Instance) -> list[tuple[int, int]]:
    """First byte and length of each fragment of an instance's pixels; one where they are not in fragments.

    Raises
    ------
    PictureError
        If what should be fragments is something else.
    """
    pixels, path = instance.pixels, instance.path
    if pixels is None or pixels.length is not None:
        return [] if pixels is None else [(pixels.start, pixels.length or 0)]
    encaps = pydicom_of(path).encaps
    with damage_told(path, "its fragments cannot be read"), path.open("rb") as file:
        file.seek(pixels.start)
        encaps.parse_basic_offsets(file)
        _, items = encaps.parse_fragments(file)
        found: list[tuple[int, int]] = []
        for item in items:
            file.seek(item + 4)
            found.append((item + 8, int.from_bytes(file.read(4), "little")))
    return found


def cut_off(path: Path, missing: int) -> PictureError:
    """Say that a file ends before its pixels do."""
    return PictureError(
        f"{shown(path)}: the DICOM file is cut off: {missing:,} bytes of its pixels are missing "
        f"({path.stat().st_size:,} are there).",
        "Copy it again from its source.",
    )


def _uid(path: Path, value: str) -> Any:
    return pydicom_of(path).uid.UID(value)


def _pixels(path: Path, place: int, syntax: str, size_bytes: int) -> PixelData | None:
    """The value of Pixel Data, whose tag begins at byte `place`; None where there is another or none."""
    is_little, is_implicit = syntax != "1.2.840.10008.1.2.2", syntax == "1.2.840.10008.1.2"
    order = "little" if is_little else "big"
    with path.open("rb") as file:
        file.seek(place)
        head = file.read(8 if is_implicit else 12)
    if len(head) < (8 if is_implicit else 12) or place >= size_bytes:
        return None
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    length = int.from_bytes(head[-4:], order)
    if tag != _PIXELS or length == 0:
        return None
    return PixelData(place + len(head), None if length == _UNTOLD else length)


def _no_pixels(path: Path, header: Any, size_bytes: int) -> NoPictureError:
    uid = str(header.get("SOPClassUID", ""))
    kind = _uid(path, uid).name if uid else "no DICOM that says what it is"
    return NoPictureError(
        kind,
        f"{shown(path)}: a DICOM file without pixels of a picture ({kind}; {size_bytes:,} bytes).",
        "Give images or videos; or copy the file again from its source, if it should be one.",
    )


def _whole(header: Any, keyword: str) -> int | None:
    try:
        return int(header.get(keyword))
    except (TypeError, ValueError, AttributeError):
        return None


def _rate(header: Any) -> Fraction | None:
    """Frames per second, from the first of what tells it."""
    try:
        milliseconds = Fraction(str(header.get("FrameTime") or 0))
        vector = [Fraction(str(value)) for value in header.get("FrameTimeVector") or []][1:]
        if not milliseconds and vector:
            milliseconds = sum(vector, Fraction(0)) / len(vector)
        told = [Fraction(str(header.get(name) or 0)) for name in ("CineRate", "RecommendedDisplayFrameRate")]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if milliseconds > 0:
        return _usual(1000 / milliseconds)
    return next((rate for rate in told if 0 < rate <= 1000), None)


def _usual(rate: Fraction) -> Fraction | None:
    """33.37 ms are 30000/1001 frames a second, as video has it, and no fraction of its own."""
    for exact in (Fraction(n * 1000, 1001) for n in (24, 30, 60, 120)):
        if abs(rate - exact) / exact < Fraction(1, 4000):
            return exact
    near = rate.limit_denominator(100)
    return near if 0 < near <= 1000 else None
