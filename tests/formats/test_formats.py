from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from cuemask.cli import main
from cuemask.media.masks import read_mask, write_mask

from . import decoders
from .shapes import Masks, masks_of, write_run

# pycocotools 2.0.11 gives numpy 2 its arrays in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZES = [(24, 37), (33, 20), (1, 5), (64, 64)]
FILES = ["coco", "coco-video", "cvat", "labelstudio"]
COMES_BACK = [*FILES, "davis"]


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def exported(kind: str, run: Path, out: Path, *flags: object) -> str:
    done = cuemask("export", kind, run, "--out", out, *flags)
    assert done.exit_code == 0, done.output
    return done.output


def imported(kind: str, file: Path, out: Path, *flags: object) -> Masks:
    done = cuemask("import", kind.removesuffix("-video"), file, "--out", out, "--quiet", *flags)
    assert done.exit_code == 0, done.output
    return {p.relative_to(out).with_suffix("").as_posix(): read_mask(p) > 0 for p in out.rglob("*.png")}


def assert_same(found: Masks, masks: Masks) -> None:
    assert found.keys() == masks.keys()
    for name, mask in masks.items():
        np.testing.assert_array_equal(found[name], mask, err_msg=name)


@pytest.fixture(params=SIZES, ids=str)
def masks(request: pytest.FixtureRequest) -> Masks:
    height, width = request.param
    if min(request.param) > 9:
        return masks_of(height, width)
    return {
        "000000": np.zeros((height, width), bool),
        "000001": np.arange(height * width).reshape(height, width) % 3 == 1,
    }


@pytest.fixture
def run(tmp_path: Path, masks: Masks) -> Path:
    return write_run(tmp_path / "run", {"op1": masks})


@pytest.mark.parametrize("kind", COMES_BACK)
def test_no_pixel_differs_there_and_back(kind, run, masks, tmp_path):
    exported(kind, run, tmp_path / "out")
    found = imported(kind, tmp_path / "out", tmp_path / "labels")
    assert_same({name.removeprefix("op1/"): mask for name, mask in found.items()}, masks)


@pytest.mark.parametrize("kind", COMES_BACK)
def test_no_pixel_differs_at_1080p_and_with_several_clips(kind, tmp_path):
    random = np.random.default_rng(0)
    full, blobs = np.ones((1080, 1920), bool), cv2.blur(random.random((1080, 1920)), (41, 41)) > 0.5
    clips = {"op1": {"000000": full, "000001": blobs}, "op2": {"a b": np.eye(20, 31, dtype=bool)}}
    exported(kind, write_run(tmp_path / "run", clips), tmp_path / "out")
    expected = {f"{clip}/{name}": mask for clip, masks in clips.items() for name, mask in masks.items()}
    assert_same(imported(kind, tmp_path / "out", tmp_path / "labels"), expected)


def test_pycocotools_reads_every_pixel(run, masks, tmp_path):
    exported("coco", run, tmp_path / "out.json")
    coco = COCO(tmp_path / "out.json")
    found = {}
    for image in coco.loadImgs(coco.getImgIds()):
        mask = np.zeros((image["height"], image["width"]), bool)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"], iscrowd=0))
        for annotation in annotations:
            mask |= coco.annToMask(annotation) > 0
            assert annotation["area"] == coco_masks.area(annotation["segmentation"]) == np.count_nonzero(mask)
            assert annotation["bbox"] == coco_masks.toBbox(annotation["segmentation"]).tolist()
        assert len(annotations) == mask.any()
        found[Path(image["file_name"]).stem] = mask
    assert_same(found, masks)
    assert min(coco.anns) == min(coco.imgs) == min(coco.cats) == 1


def test_counts_are_packed_as_pycocotools_packs_them(run, masks, tmp_path):
    exported("coco", run, tmp_path / "out.json")
    annotations = json.loads((tmp_path / "out.json").read_text())["annotations"]
    theirs = [coco_masks.encode(np.asfortranarray(mask.view(np.uint8))) for mask in masks.values() if mask.any()]
    assert [each["segmentation"]["counts"].encode() for each in annotations] == [each["counts"] for each in theirs]


def test_masks_of_a_whole_video_are_read_by_pycocotools(run, masks, tmp_path):
    exported("coco-video", run, tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    (video,), (track,) = content["videos"], content["annotations"]
    names = [Path(name).stem for name in video["file_names"]]
    empty = np.zeros((video["height"], video["width"]), bool)
    found = {
        n: empty if s is None else coco_masks.decode(s) > 0 for n, s in zip(names, track["segmentations"], strict=True)
    }
    assert_same(found, masks)
    assert video["length"] == len(track["bboxes"]) == len(track["areas"]) == len(masks)
    assert [area or 0 for area in track["areas"]] == [np.count_nonzero(mask) for mask in masks.values()]


def test_cvat_is_read_as_its_format_is_described(run, masks, tmp_path):
    exported("cvat", run, tmp_path / "out.xml")
    assert_same(decoders.cvat(tmp_path / "out.xml"), {f"{name}.png": mask for name, mask in masks.items()})
    text = (tmp_path / "out.xml").read_text()
    assert text.count("<mask ") == sum(mask.any() for mask in masks.values())
    assert "track" not in text
    assert all(f'<image id="{int(name)}" name="{name}.png"' in text for name in masks)


def test_label_studios_brush_is_read_as_rle_pack_is_described(run, masks, tmp_path):
    exported("labelstudio", run, tmp_path / "out.json", "--images", "/data/local-files/?d=op1/")
    expected = {f"/data/local-files/?d=op1/{name}.png": mask for name, mask in masks.items()}
    assert_same(decoders.label_studio(tmp_path / "out.json"), expected)


def test_a_brush_of_single_values_and_of_repeated_ones_is_read():
    from cuemask.formats.brush import brush_values

    bits = f"{12:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    bits += "0" + "00" + f"{4:03b}" + "".join(f"{value:08b}" for value in (0, 1, 2, 255, 9))
    bits += "1" + "01" + f"{6:04b}" + f"{7:08b}"
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    assert brush_values(data, 12).tolist() == [0, 1, 2, 255, 9, *[7] * 7] == decoders.rle_pack(list(data)).tolist()


def test_yolo_loses_holes_alone_and_says_how_many_pixels(run, masks, tmp_path):
    told = exported("yolo", run, tmp_path / "out")
    shape = next(iter(masks.values())).shape
    lost = frames = 0
    found = decoders.yolo(tmp_path / "out", shape)
    assert found.keys() == masks.keys()
    for name, mask in masks.items():
        contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros(shape, np.uint8), contours, -1, 1, cv2.FILLED) > 0
        np.testing.assert_array_equal(found[name], filled)
        lost += np.count_nonzero(filled != mask)
        frames += bool((filled != mask).any())
    assert (f"{lost:,} pixels of {frames} frames were filled" in told) == (lost > 0)


@pytest.mark.parametrize("kind", ["davis", "voc"])
def test_palettes_are_read_as_indices(kind, run, masks, tmp_path):
    exported(kind, run, tmp_path / "out")
    places = {"davis": ["Annotations/Full-Resolution/op1"], "voc": ["SegmentationClass", "SegmentationObject"]}
    for place in places[kind]:
        assert_same(decoders.indices(tmp_path / "out" / place), masks)
    listing = {"davis": "ImageSets/2017/val.txt", "voc": "ImageSets/Segmentation/default.txt"}[kind]
    names = (tmp_path / "out" / listing).read_text().split()
    assert names == (["op1"] if kind == "davis" else list(masks))


@pytest.mark.parametrize("kind", ["coco", "cvat", "voc", "labelstudio"])
def test_their_own_readers_read_every_pixel(kind, tmp_path):
    python = os.environ.get("CUEMASK_READERS")
    if not python:
        pytest.skip("CUEMASK_READERS names no python that has datumaro and label-studio-sdk (tests/formats/readers.py)")
    masks = masks_of(33, 47)
    run, place = write_run(tmp_path / "run", {"op1": masks}), tmp_path / "set"
    layout = {"coco": "annotations/instances_val.json", "cvat": "default.xml", "labelstudio": "out.json"}
    pictures = {"coco": "images/val", "cvat": "images", "voc": "JPEGImages"}.get(kind)
    out = place / layout.get(kind, "")
    out.parent.mkdir(parents=True, exist_ok=True)
    exported(kind, run, out)
    if pictures:
        (place / pictures).mkdir(parents=True)
        for name, mask in masks.items():
            write_mask(place / pictures / f"{name}.png", mask)
    theirs = {"coco": "coco_instances", "voc": "voc_segmentation"}.get(kind, kind)
    given = out if kind == "labelstudio" else place
    script = Path(__file__).with_name("readers.py")
    subprocess.run([python, script, theirs, given, tmp_path / "found.npz"], check=True, timeout=120)
    with np.load(tmp_path / "found.npz") as found:
        assert_same(dict(found), masks)
