from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cuemask.formats.polygons import draw_polygon
from cuemask.formats.runlengths import flat_of, unpacked
from cuemask.media.masks import read_mask, write_mask

from .shapes import masks_of, write_run
from .test_formats import cuemask, exported, imported

SQUARE = "1, 2, 1"  # the right column of two pixels by two, row by row, would be 1, 1, 1, 1


def coco_of(name: str = "a.png", size: tuple[int, int] = (2, 2), segmentation: object = None, **image: object) -> str:
    images = [{"id": 1, "file_name": name, "height": size[0], "width": size[1], **image}]
    annotations = [] if segmentation is None else [{"id": 1, "image_id": 1, "segmentation": segmentation}]
    return json.dumps({"images": images, "annotations": annotations, "categories": []})


def cvat_of(shape: str = "", name: str = "a.png", size: tuple[int, int] = (2, 2), head: str = "") -> str:
    image = f'<image id="0" name="{name}" width="{size[1]}" height="{size[0]}">{shape}</image>'
    return f"{head}<annotations>{image}</annotations>"


def mask_of(rle: str, left: int = 0, top: int = 0, width: int = 2, height: int = 2) -> str:
    return f'<mask label="x" rle="{rle}" left="{left}" top="{top}" width="{width}" height="{height}"/>'


def studio_of(regions: list[dict[str, object]] | None = None, **data: object) -> str:
    data = {"image": "http://host/a.png", "width": 2, "height": 2} | data
    return json.dumps([{"data": data, "annotations": [{"result": regions or []}]}])


BRUSH = {"type": "brushlabels", "original_width": 2, "original_height": 2}

REFUSED = {
    "leads out by ..": ("coco", coco_of("../../a.png"), "ends in a dot"),
    "leads out by backslashes": ("coco", coco_of("..\\a.png"), "ends in a dot"),
    "a device": ("coco", coco_of("sub/con.png"), "device"),
    "no name": ("coco", coco_of("sub/"), "is empty"),
    "a folder of a run's": ("cvat", cvat_of(name="run.json/a.png"), "a file of theirs"),
    "a null in the name": ("labelstudio", studio_of(frame="a\0b.png"), "may not have"),
    "no size": ("coco", coco_of(width=None), "no size"),
    "a size below 0": ("cvat", cvat_of(size=(-2, 2)), "no size"),
    "too large": ("coco", coco_of(size=(100_000, 100_000)), "million allowed"),
    "too large for CVAT": ("cvat", cvat_of(size=(100_000, 100_000)), "million allowed"),
    "too large for Label Studio": ("labelstudio", studio_of(width=100_000, height=100_000), "million allowed"),
    "runs of another size": ("coco", coco_of(segmentation={"size": [2, 2], "counts": [1, 2]}), "do not add up"),
    "runs below 0": ("coco", coco_of(segmentation={"size": [2, 2], "counts": [5, -1]}), "do not add up"),
    "no packed runs": ("coco", coco_of(segmentation={"size": [2, 2], "counts": "\x7f!"}), "no packed run"),
    "another size than the frame's": ("coco", coco_of(segmentation={"size": [4, 1], "counts": [4]}), "its size is"),
    "half a polygon": ("coco", coco_of(segmentation=[[0, 0, 1, 1]]), "at least 3 corners"),
    "an image unheard of": ("coco", coco_of(segmentation=[]).replace('"image_id": 1', '"image_id": 7'), "image 7"),
    "another JSON": ("coco", "[1]", "no COCO file"),
    "no JSON": ("coco", "{", "no JSON"),
    "deep JSON": ("coco", "[" * 100_000, "no JSON"),
    "no frame": ("cvat", "<annotations></annotations>", "no frame"),
    "another XML": ("cvat", "<html></html>", "no file of CVAT"),
    "no XML": ("cvat", "<annotations>", "no XML"),
    "entities": ("cvat", cvat_of(head='<!DOCTYPE a [<!ENTITY b "c">]>'), "declares XML entities"),
    "tracks": ("cvat", "<annotations><track/></annotations>", "CVAT for video"),
    "a box": ("cvat", cvat_of("<box/>"), "holds a box"),
    "a mask that leaves the frame": ("cvat", cvat_of(mask_of(SQUARE, left=1)), "leaves the frame"),
    "a mask that is not filled": ("cvat", cvat_of(mask_of("1, 1")), "do not add up"),
    "a mask without runs": ("cvat", cvat_of(mask_of("")), "cannot be read"),
    "a rectangle": ("labelstudio", studio_of([{**BRUSH, "type": "rectanglelabels"}]), "rectanglelabels"),
    "half a brush": ("labelstudio", studio_of([{**BRUSH, "value": {"rle": [0, 0, 0, 16]}}]), "its end is missing"),
    "a brush of another size": ("labelstudio", studio_of([{**BRUSH, "value": {"rle": [0] * 40}}]), "it holds 0"),
    "turned": ("labelstudio", studio_of([{**BRUSH, "image_rotation": 90, "value": {}}]), "turned"),
    "JSON-MIN": ("labelstudio", '[{"image": "a.png", "tag": []}]', "not JSON-MIN"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_such_file_is_refused_and_leaves_nothing(what, tmp_path):
    kind, content, words = REFUSED[what]
    (tmp_path / "file").write_text(content, encoding="utf-8")
    done = cuemask("import", kind, tmp_path / "file", "--out", tmp_path / "labels")
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_absent_is_refused(tmp_path):
    for kind in ("coco", "cvat", "labelstudio", "davis"):
        assert cuemask("import", kind, tmp_path / "absent", "--out", tmp_path / "labels").exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_two_frames_are_never_one_file(tmp_path):
    content = json.loads(coco_of("x/op/a.png"))
    content["images"].append({**content["images"][0], "id": 2, "file_name": "y/op/A.png"})
    (tmp_path / "file").write_text(json.dumps(content))
    done = cuemask("import", "coco", tmp_path / "file", "--out", tmp_path / "labels")
    assert done.exit_code == 2
    assert "would both be" in done.stderr


def test_labels_are_not_written_among_other_files(tmp_path):
    (tmp_path / "file").write_text(coco_of())
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "mine.txt").write_text("mine")
    assert cuemask("import", "coco", tmp_path / "file", "--out", tmp_path / "labels").exit_code == 2
    assert [path.name for path in (tmp_path / "labels").iterdir()] == ["mine.txt"]


def test_only_an_own_file_is_replaced(tmp_path):
    run = write_run(tmp_path / "run", {"op1": masks_of(12, 11)})
    for kind in ("coco", "coco-video", "cvat", "labelstudio"):
        out = tmp_path / kind
        exported(kind, run, out)
        first = out.read_bytes()
        exported(kind, run, out)
        assert out.read_bytes() == first
        out.write_text('{"info": {"description": "mine"}}')
        assert cuemask("export", kind, run, "--out", out).exit_code == 2
        assert "mine" in out.read_text()


def test_a_failed_export_leaves_nothing(tmp_path):
    run = write_run(tmp_path / "run", {"op1": masks_of(12, 11)})
    (run / "op1" / "masks" / "000009.png").write_bytes(b"no picture")
    for kind in ("coco", "cvat", "labelstudio", "yolo", "davis", "voc"):
        assert cuemask("export", kind, run, "--out", tmp_path / "out").exit_code == 2
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_is_no_complete_run_is_refused(tmp_path):
    run = write_run(tmp_path / "run", {"op1": masks_of(12, 11)})
    for place, words in ((tmp_path, "no run.json"), (run / "corrections", "no clip")):
        done = cuemask("export", "coco", place, "--out", tmp_path / "out")
        assert done.exit_code == 2
        assert words in done.stderr
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"status": "running"}))
    assert "not complete" in cuemask("export", "coco", run, "--out", tmp_path / "out").stderr


def test_corrections_take_the_place_of_masks(tmp_path):
    masks, other = masks_of(24, 21), masks_of(10, 13)
    run = write_run(tmp_path / "run", {"op1": masks, "op2": other})
    done = cuemask("export", "coco", run, "--out", tmp_path / "out", "--corrections")
    assert done.exit_code == 2
    assert "nothing was corrected" in done.stderr
    (run / "corrections" / "op1").mkdir(parents=True)
    write_mask(run / "corrections" / "op1" / "000003.png", ~masks["000003"])
    told = exported("coco", run, tmp_path / "out", "--corrections")
    assert "14 frames, 1 of them corrected" in told
    found = imported("coco", tmp_path / "out", tmp_path / "labels")
    np.testing.assert_array_equal(found["op1/000003"], ~masks["000003"])
    np.testing.assert_array_equal(found["op1/000006"], masks["000006"])
    exported("coco", run / "op2", tmp_path / "op2.json")
    assert imported("coco", tmp_path / "op2.json", tmp_path / "labels2").keys() == other.keys()


@pytest.mark.parametrize(
    ("name", "size", "words"), [("000004", (24, 21), "no frame"), ("000003", (24, 20), "20 by 24")]
)
def test_a_correction_that_fits_no_frame_is_refused(name, size, words, tmp_path):
    run = write_run(tmp_path / "run", {"op1": masks_of(24, 21)})
    (run / "corrections" / "op1").mkdir(parents=True)
    write_mask(run / "corrections" / "op1" / f"{name}.png", np.ones(size, bool))
    done = cuemask("export", "voc", run, "--out", tmp_path / "out", "--corrections")
    assert done.exit_code == 2
    assert words in done.stderr


def test_pictures_keep_the_names_of_their_files(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for name in ("a.jpg", "b.PNG"):
        (frames / name).write_bytes(b"")
    masks = dict(zip("ab", masks_of(12, 11).values(), strict=False))
    run = write_run(tmp_path / "run", {"op1": masks})
    record = json.loads((run / "run.json").read_text())
    record["inputs"][0]["source"] = str(frames)
    (run / "run.json").write_text(json.dumps(record))
    exported("coco", run, tmp_path / "out")
    assert [image["file_name"] for image in json.loads((tmp_path / "out").read_text())["images"]] == ["a.jpg", "b.PNG"]


def test_frames_of_a_video_task_get_their_numbers(tmp_path):
    (tmp_path / "file").write_text(cvat_of(mask_of(SQUARE), name="frame_000012"))
    assert imported("cvat", tmp_path / "file", tmp_path / "labels", "--video").keys() == {"000012"}
    (tmp_path / "file").write_text(cvat_of(name="frame_12a"))
    assert cuemask("import", "cvat", tmp_path / "file", "--out", tmp_path / "other", "--video").exit_code == 2


def test_shapes_of_one_frame_are_united_and_a_mask_runs_row_by_row(tmp_path):
    shapes = mask_of("0, 1, 1", width=2, height=1) + mask_of("2, 1", left=3, width=1, height=3)
    polygon = '<polygon points="1.0,2.0;3.0,2.0;3.0,3.0;1.0,3.0"/>'
    (tmp_path / "file").write_text(cvat_of(shapes + polygon, size=(3, 4)))
    (found,) = imported("cvat", tmp_path / "file", tmp_path / "labels").values()
    assert found.astype(int).tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 1]]


def test_of_label_studio_what_people_decided_counts_and_the_last_of_it(tmp_path):
    whole = {**BRUSH, "type": "polygonlabels", "value": {"points": [[0, 0], [100, 0], [100, 100], [0, 100]]}}
    tasks = [json.loads(studio_of(frame=name))[0] for name in ("a.png", "b.png", "c.png")]
    tasks[0]["annotations"] = [
        {"result": [whole], "updated_at": "2026-02-01"},
        {"result": [], "updated_at": "2026-01-01"},
        {"result": [], "updated_at": "2026-03-01", "was_cancelled": True},
    ]
    tasks[1]["annotations"] = [{"result": [], "was_cancelled": True}]
    del tasks[2]["annotations"]
    tasks[2]["predictions"] = [{"result": [whole]}]
    (tmp_path / "file").write_text(json.dumps(tasks))
    found = imported("labelstudio", tmp_path / "file", tmp_path / "labels")
    assert found.keys() == {"a"}
    assert found["a"].all()


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://host/op1/a%20b.png", "op1/a b"),
        ("/data/local-files/?d=op1/a.png", "op1/a"),
        ("/data/upload/3/0123abcd-a.png", "a"),
        ("s3://bucket/op1/a.png", "op1/a"),
    ],
)
def test_a_frame_is_found_in_label_studios_address(address, name, tmp_path):
    (tmp_path / "file").write_text(studio_of(image=address))
    assert imported("labelstudio", tmp_path / "file", tmp_path / "labels").keys() == {name}


def test_a_polygon_takes_the_pixels_whose_centres_it_holds():
    mask = np.zeros((4, 5), bool)
    draw_polygon(mask, np.array([[0.4, 0.6], [3.6, 0.6], [3.6, 9.0], [1.6, 9.0], [1.6, 2.4], [0.4, 2.4]]))
    assert mask.astype(int).tolist() == [[0, 0, 0, 0, 0], [1, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0]]


def test_runs_that_would_overflow_are_refused():
    with pytest.raises(ValueError, match="do not add up"):
        flat_of(np.array([2**62, 2**62, 2**62, 2**62 + 4]), 4)
    with pytest.raises(ValueError, match="packed"):
        unpacked("o" * 20 + "0")


def test_davis_folders_are_read_whatever_their_resolution(tmp_path):
    for kind in ("480p", "1080p"):
        (tmp_path / "set" / "Annotations" / kind / "op1").mkdir(parents=True)
        write_mask(tmp_path / "set" / "Annotations" / kind / "op1" / "00000.png", np.ones((2, 3), bool))
    done = cuemask("import", "davis", tmp_path / "set", "--out", tmp_path / "labels")
    assert done.exit_code == 2
    assert "several resolutions" in done.stderr
    found = imported("davis", tmp_path / "set" / "Annotations" / "480p", tmp_path / "labels")
    assert found.keys() == {"op1/00000"}
    assert read_mask(Path(tmp_path / "labels" / "op1" / "00000.png")).max() == 255
