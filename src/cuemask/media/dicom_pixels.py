"""Frames of DICOM images as RGB: JPEG by OpenCV, everything else by pydicom."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8

from cuemask.errors import InputError, PictureError
from cuemask.media.dicom import Instance, cut_off, damage_told, pydicom_of, read_dataset, read_instance
from cuemask.media.frames import Frame, Selection, frame_name
from cuemask.media.headers import Claimed, claimed_size, refuse_too_large
from cuemask.media.names import shown

DEFAULT_RATE = Fraction(25)
_JPEG = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})  # baseline and extended
_CONVERT = "Write it uncompressed first: gdcmconv --raw FILE.dcm NEW.dcm; or pip install 'pylibjpeg[all]'"
_RGB = frozenset({"RGB", "YBR_ICT", "YBR_RCT"})  # the last two: turned into RGB by whoever decodes JPEG 2000


def dicom_frames(path: Path, selection: Selection) -> Generator[Frame, None, None]:
    """Decode the selected frames of a DICOM image of several, one at a time; they play at the rate that it tells.

    Raises
    ------
    InputError
        If no frame is selected.
    PictureError
        If one cannot be decoded.
    """
    instance = read_instance(path)
    rate = instance.rate or DEFAULT_RATE
    selected = selected_frames(instance, selection)
    if not selected:
        raise InputError(
            f"{shown(path)}: none of {instance.frame_count} frames is selected; they last "
            f"{float(instance.frame_count / rate):g} s and --start is {selection.start_seconds:g} s.",
            "Give an earlier --start, a later --end or a smaller --every.",
        )
    for place, (index, rgb) in enumerate(zip(selected, frames_rgb(instance, selected), strict=True)):
        yield Frame(frame_name(index), index, float(index / rate), rgb, place)


def selected_frames(instance: Instance, selection: Selection) -> list[int]:
    """Numbers of the selected frames, from 0."""
    rate = instance.rate or DEFAULT_RATE
    timed = ((index, index / rate, None) for index in range(instance.frame_count))
    return [index for index, _, _ in selection.take(timed, rate)]


def frames_rgb(instance: Instance, indices: Sequence[int]) -> Generator[UInt8[np.ndarray, "H W 3"], None, None]:
    """Decode frames of an instance.

    Parameters
    ----------
    indices
        Their numbers, from 0, ascending.

    Raises
    ------
    PictureError
        If one cannot be decoded, is not there, or is larger than pictures may be.
    """
    path = instance.path
    size_bytes = path.stat().st_size
    refuse_too_large(path, Claimed("DICOM", instance.width_px, instance.height_px), size_bytes)
    if instance.syntax in _JPEG:
        yield from _by_opencv(instance, indices)
        return
    header = read_dataset(path) if instance.pixels is None else _header(path)
    arrays = _arrays(instance, header, indices)
    for number in indices:
        with damage_told(path, f"its frame {number + 1} of {instance.frame_count} cannot be decoded"):
            values, kind = next(arrays)
            rgb = _as_rgb(values, kind, header, instance)
        yield rgb


def _header(path: Path) -> Any:
    with path.open("rb") as file:
        return read_dataset(path, file)


def _by_opencv(instance: Instance, indices: Sequence[int]) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    wanted = set(indices)
    found = 0
    header = _header(instance.path)
    with damage_told(instance.path, "its fragments cannot be read"):
        inverted = header.PhotometricInterpretation == "MONOCHROME1"
    for number, data in enumerate(_encoded(instance, header)):
        if number in wanted:
            found += 1
            rgb = _of_jpeg(instance, number, data)
            yield 255 - rgb if inverted else rgb
        if found == len(wanted):
            return
    raise _too_few(instance)


def _of_jpeg(instance: Instance, number: int, data: bytes) -> UInt8[np.ndarray, "H W 3"]:
    claimed = claimed_size(data)
    if claimed is not None:
        refuse_too_large(instance.path, claimed, len(data))
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        bgr = cast("np.ndarray | None", cv2.imdecode(np.frombuffer(data, np.uint8), flags))
    except cv2.error:
        bgr = None
    if bgr is None or bgr.dtype != np.uint8:
        raise PictureError(
            f"{shown(instance.path)}: frame {number + 1} of {instance.frame_count} cannot be decoded "
            f"({instance.syntax_name}, {len(data):,} bytes).",
            _CONVERT,
        )
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _encoded(instance: Instance, header: Any) -> Iterator[bytes]:
    """The frames as they are encoded, one after another."""
    pydicom = pydicom_of(instance.path)
    assert instance.pixels is not None
    offsets = None
    if "ExtendedOffsetTable" in header and "ExtendedOffsetTableLengths" in header:
        offsets = (header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths)
    with instance.path.open("rb") as file:
        file.seek(instance.pixels.start)
        if instance.pixels.length is not None:
            raise PictureError(
                f"{shown(instance.path)}: its pixels are not in fragments, as {instance.syntax_name} demands.",
                "Write it anew from its source.",
            )
        found = pydicom.encaps.generate_frames(file, number_of_frames=instance.frame_count, extended_offsets=offsets)
        while True:
            with damage_told(instance.path, "its fragments cannot be read"):
                data = next(found, None)
            if data is None:
                return
            yield data


def _arrays(instance: Instance, header: Any, indices: Sequence[int]) -> Iterator[tuple[np.ndarray, str]]:
    """Frames as pydicom decodes them, YBR turned into RGB, and their photometric interpretation."""
    pydicom = pydicom_of(instance.path)
    try:
        decoder = pydicom.pixels.get_decoder(instance.syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        raise PictureError(
            f"{shown(instance.path)}: nothing that is installed decodes {instance.syntax_name or instance.syntax}.",
            _CONVERT,
        )
    if instance.pixels is None:
        for values, told in decoder.iter_array(header, indices=list(indices)):
            yield values, str(told["photometric_interpretation"])
        return
    if decoder.is_encapsulated != (instance.pixels.length is None):
        raise PictureError(
            f"{shown(instance.path)}: its pixels are not stored as {instance.syntax_name} demands.",
            "Write it anew from its source.",
        )
    options = pydicom.pixels.as_pixel_options(header)
    options |= {"transfer_syntax_uid": pydicom.uid.UID(instance.syntax)}
    options |= {"pixel_keyword": "PixelData", "pixel_vr": "OW"}
    _refuse_short(instance, decoder, options)
    with instance.path.open("rb") as file:
        file.seek(instance.pixels.start)
        for values, told in decoder.iter_array(file, indices=list(indices), **options):
            yield values, str(told["photometric_interpretation"])


def _refuse_short(instance: Instance, decoder: Any, options: dict[str, Any]) -> None:
    """Uncompressed pixels have to be as many as the header says: what is missing would be read as nothing."""
    if decoder.is_encapsulated or instance.pixels is None or instance.pixels.length is None:
        return
    samples = 2 if options.get("photometric_interpretation") == "YBR_FULL_422" else options["samples_per_pixel"]
    bits = instance.height_px * instance.width_px * instance.frame_count * samples * options["bits_allocated"]
    missing = (bits + 7) // 8 - instance.pixels.length
    if missing > 0:
        raise cut_off(instance.path, missing)


def _as_rgb(values: np.ndarray, kind: str, header: Any, instance: Instance) -> UInt8[np.ndarray, "H W 3"]:
    bits, is_signed = int(header.BitsStored), bool(header.get("PixelRepresentation", 0))
    if kind == "PALETTE COLOR":
        colors = pydicom_of(instance.path).pixels.apply_color_lut(values, header)
        return _eight_bits(colors, 8 * colors.dtype.itemsize, is_signed=False)
    if kind in ("MONOCHROME1", "MONOCHROME2"):
        grey = _eight_bits(values, bits, is_signed=is_signed)
        return np.repeat((255 - grey if kind == "MONOCHROME1" else grey)[..., None], 3, axis=2)
    if kind in _RGB and values.ndim == 3 and values.shape[2] == 3:
        return _eight_bits(values, bits, is_signed=is_signed)
    raise PictureError(
        f"{shown(instance.path)}: colours of the kind {kind!r} are not read ({instance.syntax_name}).",
        _CONVERT,
    )


def _eight_bits(values: Shaped[np.ndarray, ...], bits: int, *, is_signed: bool) -> UInt8[np.ndarray, ...]:
    """The whole range of `bits` bits on 0 to 255; deeper ones lose their lower bits."""
    wide = values.astype(np.int64 if bits > 31 else np.int32) + ((1 << bits - 1) if is_signed else 0)
    scaled = wide >> (bits - 8) if bits >= 8 else wide * 255 // ((1 << bits) - 1)
    return np.ascontiguousarray(np.clip(scaled, 0, 255).astype(np.uint8))


def _too_few(instance: Instance) -> PictureError:
    return PictureError(
        f"{shown(instance.path)}: holds fewer frames than the {instance.frame_count} that its header says; "
        "the DICOM file is cut off or damaged.",
        "Copy it again from its source.",
    )
