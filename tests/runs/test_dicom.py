from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import highdicom
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from cuemask.cli import main
from cuemask.media.clips import open_clips
from cuemask.media.files import make_folder
from cuemask.media.masks import write_mask
from cuemask.recipe import load_recipe
from cuemask.runs.record import told

from ..dicoms import BIRTH, JPEG, NUMBER, SIZE, dataset, images, save, stream, video
from ..numbered import numbered

FRAMES = [numbered(number, *SIZE) for number in range(4)]


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_of(source: Path, out: Path) -> dict[str, dict[str, np.ndarray]]:
    """A run with drawn masks, as `predict` leaves it."""
    clips = open_clips([source])
    facts = told("predict", load_recipe("fast"), 0, clips, None)
    make_folder(out)
    (out / "run.json").write_text(json.dumps({"cuemask": "0", "status": "complete", **facts}))
    masks: dict[str, dict[str, np.ndarray]] = {}
    random = np.random.default_rng(0)
    for clip in clips:
        folder = make_folder(out / clip.name / "masks")
        names = [frame.name for frame in clip.frames()]
        masks[clip.name] = {name: random.random((clip.height_px, clip.width_px)) > 0.7 for name in names}
        masks[clip.name][names[-1]][:] = False
        for name, mask in masks[clip.name].items():
            write_mask(folder / f"{name}.png", mask)
    return masks


def exported(out: Path, name: str) -> highdicom.seg.Segmentation:
    return highdicom.seg.segread(out / f"{name}.dcm")


def references(segmentation: pydicom.Dataset) -> list[tuple[str, int | None]]:
    found = []
    for item in segmentation.PerFrameFunctionalGroupsSequence:
        source = item.DerivationImageSequence[0].SourceImageSequence[0]
        found.append((source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")))
    return found


@pytest.mark.parametrize("size", [SIZE, (17, 11)])  # the latter: frames that end within a byte
def test_masks_of_an_image_of_several_frames_come_back_as_they_were(tmp_path, size):
    source = images(
        tmp_path / "op.dcm", [frame[: size[0], : size[1]] for frame in FRAMES], Rows=size[0], Columns=size[1]
    )
    masks = run_of(source, tmp_path / "run")["op"]
    result = cuemask("export", "dicom-seg", tmp_path / "run", "--out", tmp_path / "seg")
    assert result.exit_code == 0, result.output
    segmentation = exported(tmp_path / "seg", "op")
    np.testing.assert_array_equal(segmentation.pixel_array, np.stack(list(masks.values())))
    original = pydicom.dcmread(source)
    assert references(segmentation) == [(original.SOPInstanceUID, number) for number in (1, 2, 3, 4)]
    contents = [item.FrameContentSequence[0] for item in segmentation.PerFrameFunctionalGroupsSequence]
    assert [content.TemporalPositionIndex for content in contents] == [1, 2, 3, 4]
    assert [list(content.DimensionIndexValues) for content in contents] == [[1, 1], [1, 2], [1, 3], [1, 4]]
    assert segmentation.PatientOrientation in ("", None)  # which viewers and validators ask for
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID"):
        assert segmentation[keyword].value == original[keyword].value
    back = segmentation.get_pixels_by_source_frame(original.SOPInstanceUID, [3, 1], combine_segments=True)
    np.testing.assert_array_equal(back, [masks["000002"], masks["000000"]])
    assert cuemask("export", "dicom-seg", tmp_path / "run", "--out", tmp_path / "seg").exit_code == 0  # its own again


def test_masks_of_a_series_reference_each_its_own_image(tmp_path):
    series = generate_uid()
    for number in (2, 0, 1):
        place = {"SeriesInstanceUID": series, "InstanceNumber": number}
        images(tmp_path / "case" / f"IM{9 - number}", [FRAMES[number]], JPEG, **place)
    masks = run_of(tmp_path / "case", tmp_path / "run")["case"]
    assert cuemask("export", "dicom-seg", tmp_path / "run", "--out", tmp_path / "seg").exit_code == 0
    segmentation = exported(tmp_path / "seg", "case")
    by_uid = {pydicom.dcmread(path).SOPInstanceUID: masks[path.name] for path in (tmp_path / "case").iterdir()}
    found = references(segmentation)
    assert {uid for uid, _ in found} == by_uid.keys()
    assert {number for _, number in found} == {None}
    for (uid, _), mask in zip(found, segmentation.pixel_array, strict=True):
        np.testing.assert_array_equal(mask, by_uid[uid])
    assert len(segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 3


def test_masks_of_a_video_reference_its_frames_where_its_header_knows_them(tmp_path):
    source = video(tmp_path / "op.dcm", stream())
    masks = run_of(source, tmp_path / "run")["op"]
    assert cuemask("export", "dicom-seg", tmp_path / "run", "--out", tmp_path / "seg").exit_code == 0
    segmentation = exported(tmp_path / "seg", "op")
    uid = pydicom.dcmread(source).SOPInstanceUID
    assert references(segmentation) == [(uid, number) for number in range(1, 13)]
    np.testing.assert_array_equal(segmentation.pixel_array, np.stack(list(masks.values())))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy, of dicom3tools, is not installed")
def test_an_independent_validator_finds_no_error(tmp_path):
    images(tmp_path / "image.dcm", FRAMES)
    video(tmp_path / "video.dcm", stream())
    for name in ("image", "video"):
        run_of(tmp_path / f"{name}.dcm", tmp_path / "run" / name)
        assert cuemask("export", "dicom-seg", tmp_path / "run" / name, "--out", tmp_path / "seg").exit_code == 0
        told = subprocess.run(
            ["dciodvfy", "-new", str(tmp_path / "seg" / f"{name}.dcm")], capture_output=True, text=True, check=False
        )
        assert "Segmentation" in told.stdout + told.stderr
        assert [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize(
    ("values", "words"),
    [({"count": 11}, "says 11 frames"), ({"Rows": 100}, "says 96x100 pixels, its picture has 96x64")],
)
def test_a_video_whose_header_is_wrong_is_refused(tmp_path, values, words):
    run_of(video(tmp_path / "op.dcm", stream(), **values), tmp_path / "run")
    result = cuemask("export", "dicom-seg", tmp_path / "run", "--out", tmp_path / "seg")
    assert result.exit_code == 2
    assert words in result.stderr
    assert not list((tmp_path / "seg").glob("*.dcm"))


def test_what_is_no_dicom_or_was_changed_or_moved_is_refused_with_a_remedy(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), FRAMES[0])
    run_of(tmp_path / "a.png", tmp_path / "plain")
    result = cuemask("export", "dicom-seg", tmp_path / "plain", "--out", tmp_path / "seg")
    assert result.exit_code == 2
    assert "no DICOM" in result.stderr
    source = images(tmp_path / "op.dcm", FRAMES)
    run_of(source, tmp_path / "run")
    moved = source.rename(tmp_path / "moved.dcm")
    result = cuemask("export", "dicom-seg", tmp_path / "run", "--out", tmp_path / "seg")
    assert result.exit_code == 2
    assert "FILE_OR_FOLDER" in result.stderr
    assert cuemask("export", "dicom-seg", tmp_path / "run", moved, "--out", tmp_path / "seg").exit_code == 0
    images(moved, FRAMES[::-1])
    result = cuemask("export", "dicom-seg", tmp_path / "run", moved, "--out", tmp_path / "seg")
    assert result.exit_code == 2
    assert "not the same as it was" in result.stderr


def test_a_file_that_is_not_ours_is_never_replaced(tmp_path):
    source = images(tmp_path / "op.dcm", FRAMES)
    before = source.read_bytes()
    run_of(source, tmp_path / "run")
    result = cuemask("export", "dicom-seg", tmp_path / "run", "--out", tmp_path)
    assert result.exit_code == 2
    assert source.read_bytes() == before


def test_a_dicom_video_runs_through_segment_and_export_and_nothing_tells_the_patient(tmp_path, quick):
    source = video(tmp_path / f"Käsebier {NUMBER}.dcm", stream())
    out = tmp_path / "out"
    result = cuemask("segment", source, "--out", out, *quick)
    assert result.exit_code == 0, result.output
    [clip] = [path for path in out.iterdir() if path.is_dir()]
    assert len(list((clip / "masks").iterdir())) == 12
    names = " ".join(str(path.relative_to(out)) for path in out.rglob("*"))
    told = (result.output + (out / "run.json").read_text() + names).lower()
    assert not [word for word in ("sebier", "ottilie", NUMBER.lower(), BIRTH) if word in told]
    assert cuemask("predict", out, source, "--out", tmp_path / "again").exit_code == 0
    assert cuemask("anchors", source, "--out", tmp_path / "cues", *quick).exit_code == 0
    result = cuemask("export", "dicom-seg", out, source, "--out", tmp_path / "seg")
    assert result.exit_code == 0, result.output
    assert exported(tmp_path / "seg", clip.name).NumberOfFrames == 12


def test_a_report_is_refused_with_exit_code_2(tmp_path):
    path = save(dataset(ExplicitVRLittleEndian, "1.2.840.10008.5.1.4.1.1.88.11"), tmp_path / "a.dcm")
    result = cuemask("anchors", path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "without pixels" in result.stderr
