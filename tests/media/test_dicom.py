from __future__ import annotations

import logging
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from cuemask.errors import CuemaskError, InputError, InstallationError, PictureError, VideoError
from cuemask.media import dicom
from cuemask.media.clips import Clip, Selection, open_clips
from cuemask.media.dicom_stream import FragmentedStream
from cuemask.media.identity import holds

from ..dicoms import (
    BIRTH,
    H264,
    HEVC,
    JPEG,
    MPEG2,
    NUMBER,
    RATE,
    RLE,
    SIZE,
    changed,
    dataset,
    images,
    jpeg,
    save,
    stream,
    video,
)
from ..numbered import number_of, numbered

FRAMES = [numbered(number, *SIZE) for number in range(5)]
RGB = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
SECRETS = ("käsebier", "kasebier", "kaesebier", "ottilie", NUMBER.lower(), BIRTH, "23121942")


def only(*inputs: str | Path) -> Clip:
    [clip] = open_clips(inputs)
    return clip


def numbers(clip: Clip) -> list[int]:
    return [number_of(frame.rgb) for frame in clip.frames()]


def picture(path: Path) -> np.ndarray:
    [frame] = list(only(path).frames())
    return frame.rgb


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize(
    ("codec", "container", "syntax"),
    [
        ("libx264", "h264", H264),
        ("libx264", "mp4", H264),
        ("libx264", "mpegts", H264 + ".1"),
        ("libx265", "hevc", HEVC),
        ("mpeg2video", "mpeg2video", MPEG2),
    ],
)
def test_every_frame_of_a_video_is_read_and_keeps_its_number(tmp_path, caplog, codec, container, syntax, fragments):
    path = video(tmp_path / "op.dcm", stream(codec, container), syntax, fragments=fragments)
    clip = only(path)
    assert (clip.name, clip.kind, clip.frame_rate, clip.frame_count) == ("op", "video", RATE, 12)
    assert numbers(clip) == list(range(12))
    [late] = open_clips([path], Selection(start_seconds=0.2, every=2))
    assert [number_of(frame.rgb) for frame in late.frames()] == [6, 8, 10]
    assert not caplog.records


def test_fragments_are_read_as_one_file_from_any_byte(tmp_path):
    data = bytes(range(200))
    (tmp_path / "a").write_bytes(b"x" * 10 + data[:70] + b"gap" + data[70:71] + b"gap" + data[71:])
    with FragmentedStream(tmp_path / "a", [(10, 70), (83, 1), (87, 129)]) as file:
        for start, count in ((0, 200), (30, 25), (69, 3), (199, 5), (200, 4)):
            file.seek(start)
            assert b"".join(iter(lambda count=count: file.read(min(7, count)), b""))[:count] == data[start:][:count]
        assert file.seek(-3, 2) == file.tell() == 197


def test_where_header_and_stream_disagree_the_stream_counts_and_it_is_said(tmp_path, caplog):
    path = video(tmp_path / "op.dcm", stream(), HEVC, count=20, Rows=1080, Columns=1920, FrameTime=40.0)
    clip = only(path)
    assert (clip.height_px, clip.width_px, clip.frame_rate) == (*SIZE, RATE)
    assert "1920x1080 pixels and not 96x64" in caplog.text
    assert "25 frames a second and not 29.97" in caplog.text
    assert "HEVC/H.265 Main Profile / Level 5.1 and not h264" in caplog.text
    assert numbers(clip) == list(range(12))
    assert "says 20 frames, its stream holds 12" in caplog.text


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLE, JPEG])
def test_images_of_several_frames_play_at_the_rate_that_they_tell(tmp_path, syntax):
    clip = only(images(tmp_path / "IM0007", FRAMES, syntax))
    assert (clip.name, clip.kind, clip.frame_rate, clip.frame_count) == ("IM0007", "frames", Fraction(25), 5)
    assert numbers(clip) == list(range(5))
    assert clip.names() == [f"{number:06d}" for number in range(5)]
    assert [number_of(rgb) for rgb in clip.sample(2)] == [0, 4]
    [late] = open_clips([tmp_path / "IM0007"], Selection(start_seconds=0.08, every=2))
    assert [frame.name for frame in late.frames()] == late.names() == ["000002", "000004"]


def test_jpeg_2000_is_read(tmp_path):
    grey = np.ascontiguousarray(RGB[..., 0])
    told = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
    path = images(tmp_path / "a.dcm", [grey], ExplicitVRLittleEndian, **told)

    def compressed(ds: pydicom.Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        lossless = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
        ds.PixelData = encapsulate([cv2.imencode(".jp2", grey, lossless)[1].tobytes()])

    np.testing.assert_allclose(picture(changed(path, compressed))[..., 0].astype(int), grey, atol=1)


def test_an_extended_offset_table_is_followed(tmp_path):
    assert numbers(only(images(tmp_path / "a.dcm", FRAMES, JPEG, extended=True))) == list(range(5))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLE])
def test_colours_without_loss_are_read_as_they_were(tmp_path, syntax):
    np.testing.assert_array_equal(picture(images(tmp_path / "a.dcm", [RGB], syntax)), RGB)
    planes = images(tmp_path / "b.dcm", [RGB.transpose(2, 0, 1)], PlanarConfiguration=1)
    np.testing.assert_array_equal(picture(planes), RGB)


def test_deflated_files_are_read(tmp_path):
    np.testing.assert_array_equal(picture(images(tmp_path / "a.dcm", [RGB], "1.2.840.10008.1.2.1.99")), RGB)


def test_colours_as_luminance_and_chrominance_are_turned_into_rgb(tmp_path):
    red = np.broadcast_to(np.array([76, 85, 255], np.uint8), (*SIZE, 3))  # full-range BT.601 of pure red
    full = picture(images(tmp_path / "a.dcm", [red], PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(full.reshape(-1, 3)[0], (254, 0, 0), atol=2)
    half = np.broadcast_to(np.array([76, 76, 85, 255], np.uint8), (SIZE[0] * SIZE[1] // 2, 4))
    path = images(tmp_path / "b.dcm", [half], PhotometricInterpretation="YBR_FULL_422")
    np.testing.assert_allclose(picture(path).reshape(-1, 3)[-1], (254, 0, 0), atol=2)


def test_jpeg_colours_come_out_right(tmp_path):
    smooth = np.full((*SIZE, 3), (200, 60, 40), np.uint8)
    np.testing.assert_allclose(picture(images(tmp_path / "a.dcm", [smooth], JPEG)).astype(int), smooth, atol=4)


def test_where_a_jpeg_is_of_another_size_than_its_header_says_the_jpeg_counts(tmp_path, caplog):
    assert picture(images(tmp_path / "a.dcm", [FRAMES[3]], JPEG, Rows=100, Columns=100)).shape == (*SIZE, 3)
    assert "100x100 pixels and not 96x64" in caplog.text


@pytest.mark.parametrize(("kind", "expected"), [("MONOCHROME2", (0, 64, 255)), ("MONOCHROME1", (255, 191, 0))])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_grey_is_spread_over_its_bits_and_turned_round_where_0_is_white(tmp_path, kind, expected, bits):
    grey = np.zeros(SIZE, np.uint8 if bits == 8 else np.uint16)
    grey[:, 1], grey[:, 2] = 1 << bits - 2, (1 << bits) - 1
    path = images(
        tmp_path / "a.dcm",
        [grey],
        SamplesPerPixel=1,
        PhotometricInterpretation=kind,
        BitsAllocated=8 if bits == 8 else 16,
        BitsStored=bits,
        HighBit=bits - 1,
    )
    np.testing.assert_array_equal(picture(path)[0, :3], [[value] * 3 for value in expected])


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_are_looked_up(tmp_path, bits):
    def palette(ds: pydicom.Dataset) -> None:
        for name, values in (("Red", (0, 200)), ("Green", (0, 100)), ("Blue", (0, 50))):
            table = np.array([*values, *[0] * 254], f"<u{bits // 8}") * (1 if bits == 8 else 257)
            ds.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, bits])
            setattr(ds, f"{name}PaletteColorLookupTableData", table.astype(f"<u{bits // 8}").tobytes())

    indices = np.zeros(SIZE, np.uint8)
    indices[:, 1] = 1
    path = images(tmp_path / "a.dcm", [indices], SamplesPerPixel=1, PhotometricInterpretation="PALETTE COLOR")
    np.testing.assert_array_equal(picture(changed(path, palette))[0, :2], [(0, 0, 0), (200, 100, 50)])


def series_of(folder: Path, order: list[int], **values: object) -> None:
    series = generate_uid()
    for place, number in enumerate(order):
        images(folder / f"IM{place}.dcm", [FRAMES[number]], SeriesInstanceUID=series, InstanceNumber=number, **values)


def test_a_folder_of_images_is_one_clip_a_series_in_the_order_of_their_numbers(tmp_path, caplog):
    series_of(tmp_path / "case", [2, 0, 1])
    clip = only(tmp_path / "case")
    assert (clip.name, clip.kind, numbers(clip)) == ("case", "pictures", [0, 1, 2])
    assert [frame.name for frame in clip.frames()] == clip.names() == ["IM1", "IM2", "IM0"]
    images(tmp_path / "case" / "other", [FRAMES[4]], SeriesNumber=7)
    video(tmp_path / "case" / "op.dcm", stream())
    save(dataset(ExplicitVRLittleEndian, "1.2.840.10008.5.1.4.1.1.88.11"), tmp_path / "case" / "report")
    clips = open_clips([tmp_path / "case"])
    assert sorted(clip.name for clip in clips) == ["case_series1", "case_series7", "op"]
    assert "1 x Basic Text SR Storage" in caplog.text


def test_images_named_one_by_one_or_by_a_pattern_are_sorted_too(tmp_path):
    series_of(tmp_path / "case", [2, 0, 1])
    assert numbers(only(tmp_path / "case" / "*.dcm")) == [0, 1, 2]
    assert numbers(only(*(tmp_path / "case" / f"IM{place}.dcm" for place in range(3)))) == [0, 1, 2]


def test_a_dicomdir_gives_the_files_that_it_names(tmp_path):
    series = generate_uid()
    directory = dataset(ExplicitVRLittleEndian, "1.2.840.10008.1.3.10", DirectoryRecordSequence=[])
    for kind in ("PATIENT", "STUDY", "SERIES"):
        directory.DirectoryRecordSequence.append(pydicom.Dataset())
        directory.DirectoryRecordSequence[-1].DirectoryRecordType = kind
    for number in (1, 0):
        path = tmp_path / "disc" / "DICOM" / f"IM{number}"
        images(path, [FRAMES[number]], SeriesInstanceUID=series, InstanceNumber=number)
        directory.DirectoryRecordSequence.append(pydicom.Dataset())
        directory.DirectoryRecordSequence[-1].DirectoryRecordType = "IMAGE"
        directory.DirectoryRecordSequence[-1].ReferencedFileID = ["DICOM", path.name]
    save(directory, tmp_path / "disc" / "DICOMDIR")
    assert numbers(only(tmp_path / "disc" / "DICOMDIR")) == [0, 1]
    assert only(tmp_path / "disc").name == "disc"
    path.unlink()
    with pytest.raises(PictureError, match="1 of 2 files that it names are not there"):
        open_clips([tmp_path / "disc"])


def test_a_folder_of_pictures_and_dicom_is_not_guessed_at(tmp_path, draw_picture):
    images(tmp_path / "case" / "a.dcm", [RGB])
    draw_picture(tmp_path / "case" / "a.png")
    with pytest.raises(InputError, match="holds pictures and DICOM files, 1 and 1"):
        open_clips([tmp_path / "case"])


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("ordinary", "Ottilie_Kaesebier_op.dcm"),
        ("ordinary", f"scan {NUMBER}"),
        ("Käsebier", "IM0001"),
        ("1942-12-31", "a.dcm"),
        ("ordinary", "OttilieKasebier.dcm"),
        ("ordinary", "Kaesebier 2.dcm"),
    ],
)
@pytest.mark.parametrize("kind", ["video", "frames", "image", "cut", "folder"])
def test_nothing_that_is_said_or_kept_tells_who_the_patient_is(tmp_path, caplog, recwarn, folder, name, kind):
    caplog.set_level(logging.DEBUG)
    path = tmp_path / folder / name
    if kind in ("video", "cut"):
        video(path, stream(), count=20, PatientBirthDate=BIRTH, Rows=999)
    else:
        images(path, FRAMES[:3] if kind == "frames" else FRAMES[:1], JPEG, Rows=999, extended=False)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    said = ""
    try:
        for clip in open_clips([path.parent if kind == "folder" else path]):
            said += f"{clip.name} {clip.source} {clip.names()} {[frame.name for frame in clip.frames()]}"
    except CuemaskError as error:
        assert kind == "cut"
        said = str(error)
    said = (said + caplog.text + " ".join(str(warning.message) for warning in recwarn)).lower()
    assert not [secret for secret in SECRETS if secret in said.replace("-", "")]
    assert kind == "folder" or "dicom-" in said


def test_a_name_is_looked_for_in_any_spelling_but_not_in_every_syllable():
    identity = frozenset({"lee", "kasebier", "7", "lijun"})
    assert holds("Lee_op1", identity)
    assert holds("op 7", identity)
    assert holds("KÄSEBIER-2", identity)
    assert not holds("fleet 17", identity)


def test_a_missing_library_is_named_with_how_to_get_it(tmp_path, monkeypatch):
    path = images(tmp_path / "a.dcm", [RGB])
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InstallationError, match=r"pip install 'cuemask\[dicom\]'"):
        open_clips([path])


@pytest.mark.parametrize("write", [lambda path: video(path, stream()), lambda path: images(path, FRAMES, JPEG)])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.6, 0.95])
def test_a_truncated_file_is_refused_with_a_remedy(tmp_path, write, share):
    path = write(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(PictureError, match=r"Copy|Give|copy"):
        list(only(path).frames())


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLE])
def test_what_is_missing_of_pixels_is_not_made_up(tmp_path, syntax):
    path = images(tmp_path / "a.dcm", FRAMES, syntax)
    with pytest.raises(PictureError, match="cut off"):
        list(only(changed(path, lambda ds: setattr(ds, "NumberOfFrames", 6))).frames())


def test_a_file_without_pixels_says_what_it_is(tmp_path):
    path = save(dataset(ExplicitVRLittleEndian, "1.2.840.10008.5.1.4.1.1.88.11"), tmp_path / "a.dcm")
    with pytest.raises(PictureError, match=r"without pixels of a picture .Basic Text SR Storage"):
        open_clips([path])


def test_a_transfer_syntax_that_nothing_decodes_is_named_with_a_remedy(tmp_path):
    def as_htj2k(ds: pydicom.Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.840.10008.1.2.4.201")

    with pytest.raises(PictureError, match=r"(?s)High-Throughput JPEG 2000.*gdcmconv --raw"):
        open_clips([changed(images(tmp_path / "a.dcm", FRAMES, JPEG), as_htj2k)])


def test_a_video_instance_without_a_video_in_it_is_refused(tmp_path):
    with pytest.raises(VideoError, match="no video"):
        open_clips([video(tmp_path / "a.dcm", bytes(range(256)) * 40)])


def test_a_header_that_asks_for_gigabytes_is_refused_before_a_pixel_is_read(tmp_path):
    path = images(tmp_path / "a.dcm", [RGB], RLE)
    with pytest.raises(PictureError, match="60,000x60,000"):
        open_clips([changed(path, lambda ds: (setattr(ds, "Rows", 60000), setattr(ds, "Columns", 60000)))])


def test_what_only_ends_like_dicom_is_refused(tmp_path):
    (tmp_path / "a.dcm").write_bytes(jpeg(RGB))
    with pytest.raises(PictureError, match="DICOM"):
        open_clips([tmp_path / "a.dcm"])


def test_reading_dicom_leaves_no_warning_of_the_library(tmp_path):
    path = images(tmp_path / "a.dcm", [RGB])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dicom.read_instance(path).rate is None
