"""The page of a run, from real runs and from runs made up on disk."""

from __future__ import annotations

import csv
import json
import re
import shutil
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.report.parsed import Page
from tests.runs.test_damage import cuemask

from cuemask.errors import InputError
from cuemask.media.area import fixed_area
from cuemask.media.frames import Frame
from cuemask.media.masks import read_mask, write_mask
from cuemask.runs.confidences import FILE, Confidences, Told
from cuemask.runs.reporting import LARGEST_BYTES, report
from cuemask.runs.shown import Shown, read_shown, sheet_of


def told_of_a_clip(folder: Path, frames: int, size: tuple[int, int] = (60, 80), noise: int = 0) -> None:
    """Write what a run leaves of a clip whose confidence dips once, for long; the mask is the same in all frames."""
    confidences, shown = Confidences(folder.parent / ".work" / folder.name, resume=False), Shown()
    random = np.random.default_rng(noise)
    rgb = random.integers(0, 256, (*size, 3), np.uint8) if noise else np.full((*size, 3), (200, 60, 60), np.uint8)
    mask = np.zeros(size, bool)
    mask[10:30, 10:40] = True
    (folder / "masks").mkdir(parents=True)
    for number in range(frames):
        dips = frames // 3 <= number < frames // 2
        told = Told(round(0.2 + 0.001 * (number % 7), 4) if dips else round(0.8 + 0.01 * (number % 11), 4), 0.125)
        name = f"{number:06d}"
        confidences.tell(name, told)
        shown.add(Frame(name, number, number / 25, rgb), told, fixed_area(0, 0, *size, *size))
    confidences.finish(folder / FILE)
    shown.write(folder)
    for one in read_shown(folder):
        write_mask(folder / "masks" / f"{one.frame}.png", mask)
    shutil.rmtree(folder.parent / ".work")


def made_up(out: Path, clips: dict[str, int], **changes) -> Path:
    size, noise = changes.pop("size", (60, 80)), changes.pop("noise", 0)
    for name, frames in clips.items():
        told_of_a_clip(out / name, frames, size, noise)
    record = {
        "cuemask": "0.1.0",
        "status": "complete",
        "command": "predict",
        "recipe": {"name": "default", "training": {"steps": 7}},
        "inputs": [{"clip": name, "source": f"/secret/place/{name}.mp4"} for name in clips],
        "seconds": {"prediction": 12.0},
    }
    (out / "run.json").write_text(json.dumps(record | changes))
    return out


def page_of(run: Path) -> Page:
    return Page(report(run).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def learnt(phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.runs.conftest import SETTINGS

    out = tmp_path_factory.mktemp("learnt") / "out"
    quick = [flag for setting in SETTINGS for flag in ("--set", setting)]
    done = cuemask("segment", phantom.video, "--out", out, *quick)
    assert done.exit_code == 0, done.output
    assert str(out / "report.html") in done.output
    return out


def test_the_page_of_a_run_loads_nothing_from_anywhere(learnt):
    page = Page((learnt / "report.html").read_text(encoding="utf-8"))
    assert page.references()
    assert all(reference.startswith(("#", "data:image/jpeg;base64,")) for reference in page.references())
    assert not page.of("script", "link", "iframe", "object", "form")
    assert not re.search(r"@import|url\(", page.html)
    (policy,) = [meta for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_everything_that_a_link_leads_to_is_there_and_every_picture_is_told(learnt):
    page = Page((learnt / "report.html").read_text(encoding="utf-8"))
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    assert {reference for reference in page.references() if reference.startswith("#")} <= {f"#{name}" for name in ids}
    assert page.of("img")
    assert all(image["alt"] for image in page.of("img"))
    assert page.of("html")[0]["lang"] == "en"
    assert [len(page.of(tag)) for tag in ("h1", "main")] == [1, 1]


def test_the_page_tells_what_was_done_and_what_it_is_not(learnt):
    text = " ".join(Page((learnt / "report.html").read_text(encoding="utf-8")).text.split())
    assert "Not a medical device" in text
    assert "Limits" in text
    assert "Learning curve" in text
    assert "training.steps 150 4" in text  # what differs from the named recipe
    assert "time of prediction" in text
    assert "10 frames of 1 clip" in text


def test_the_page_tells_how_many_labels_training_met_and_not_where_they_lay(tmp_path):
    labels = {"given": "/secret/place/corrected", "frames": {"op": 12}, "sha256": "0"}
    run = made_up(tmp_path / "run", {"op": 20}, labels=labels, labels_met={"op": 11})
    page = page_of(run)
    assert "corrected, 12 frames, 11 of them met in training" in " ".join(page.text.split())
    assert "secret" not in page.html


@pytest.mark.parametrize("given", ["run", "run/op"])
def test_what_evaluate_finds_of_a_run_stands_on_its_page(tmp_path, given):
    run = made_up(tmp_path / "run", {"op": 20})
    report(run)
    (tmp_path / "truth").mkdir()
    look = next(one.frame for one in read_shown(run / "op") if one.look)
    shutil.copy(run / "op" / "masks" / f"{look}.png", tmp_path / "truth")
    done = cuemask("evaluate", tmp_path / given, tmp_path / "truth", "--only-truth")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / given / "evaluation.json").read_text())["frame_count"] == 1
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert "IoU 1.0000" in page.text
    assert "0 to 1" in page.text


def test_a_folder_of_masks_that_is_no_run_is_left_as_it_is(tmp_path):
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "a.png", np.ones((4, 4), bool))
    assert cuemask("evaluate", tmp_path, tmp_path / "masks").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


def test_frames_to_look_at_are_apart_in_time_and_the_worst_is_among_them(tmp_path):
    run = made_up(tmp_path / "run", {"op": 700})
    looks = sorted((one for one in read_shown(run / "op") if one.look), key=lambda one: one.look)
    assert [one.look for one in looks] == list(range(1, 9))
    assert looks[0].confidence == 0.2
    numbers = sorted(one.number for one in looks)
    assert np.diff(numbers).min() >= 700 // 8 // 2
    assert [mark["class"] for mark in page_of(run).of("circle")] == ["target", "mark"] * 8


def test_the_strip_goes_from_one_end_of_the_clip_to_the_other(tmp_path):
    run = made_up(tmp_path / "run", {"op": 700})
    strip = [one.number for one in read_shown(run / "op") if one.in_strip]
    assert len(strip) == 24
    assert strip[0] == 0
    assert strip[-1] > 670
    gaps = np.diff(strip)
    assert gaps.max() <= 2 * gaps.min()


def test_pictures_are_made_of_frames_that_stay_and_show_them(tmp_path, monkeypatch):
    made: list[int] = []
    monkeypatch.setattr("cuemask.runs.shown._fitted", lambda rgb, *_: made.append(int(rgb[0, 0, 0])) or rgb)
    shown, frames = Shown(), 1000
    for number in range(frames):  # each is less sure than all before it
        rgb = np.full((16, 16, 3), number % 251, np.uint8)
        told = Told(round(1 - number / frames, 4), 0.1)
        shown.add(Frame(f"{number:06d}", number, number / 25, rgb), told, fixed_area(0, 0, 16, 16, 16, 16))
    shown.write(tmp_path)
    assert len(made) < 500  # a frame by itself 64 times, then two of each stretch; it was each of the thousand
    for one in read_shown(tmp_path):
        picture = cv2.imread(str(tmp_path / "shown" / f"{one.frame}.jpg"))
        assert abs(int(picture[0, 0, 0]) - one.number % 251) <= 2


@pytest.mark.parametrize(("clips", "noise"), [(1, 1), (12, 1), (203, 0)])
def test_the_page_stays_below_five_megabytes_however_much_there_is(tmp_path, clips, noise):
    """Of pictures of noise, which pack worst."""
    size = (600, 800) if clips == 1 else (120, 160)
    run = made_up(tmp_path / "run", {f"op{k}": 60 if clips == 1 else 3 for k in range(clips)}, size=size, noise=noise)
    page = page_of(run)
    assert len(page.html.encode()) <= LARGEST_BYTES
    assert len(page.of("svg")) == min(clips, 200)
    assert page.of("img")


def test_a_page_holds_no_more_of_a_longer_video(tmp_path):
    sizes, peaks = [], []
    for frames in (3000, 9000):
        run = made_up(tmp_path / str(frames), {"op": frames})
        tracemalloc.start()
        sizes.append(len(page_of(run).html))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert sizes[1] <= 1.2 * sizes[0]
    assert peaks[1] <= 1.3 * peaks[0]


def test_names_from_outside_are_text(tmp_path):
    name = "<img src=x onerror=alert(1)>&amp;"
    page = page_of(made_up(tmp_path / "run", {name: 12, "op": 12}, device="<b>cpu</b>"))
    assert page.text.count(name) >= 2
    assert "<b>cpu</b>" in page.text
    assert all(reference.startswith(("#", "data:")) for reference in page.references())


def test_where_a_recording_lay_is_not_told(tmp_path):
    page = page_of(made_up(tmp_path / "run", {"op": 12}))
    assert "op.mp4" in page.text
    assert "secret" not in page.html


def test_figures_of_evaluate_in_the_run_are_shown(learnt, phantom, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(learnt, run)
    assert cuemask("evaluate", run / "clip", phantom.masks, "--csv", run / "clip" / "frames.csv").exit_code == 0
    assert cuemask("report", run / "clip").output.strip() == str(run / "report.html")
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "Figures against truth" in text
    assert "clip/frames.csv" in text
    rows = list(csv.DictReader((run / "clip" / "frames.csv").read_text(encoding="utf-8").splitlines()))
    assert f"left out: {np.mean([float(row['iou']) for row in rows]):.4f} of all 10 frames" in text
    assert len(re.findall(r"IoU [\d.]+</figcaption>", text)) == sum(one.look > 0 for one in read_shown(run / "clip"))


def test_what_was_interrupted_or_lost_its_pictures_has_a_page_that_says_so(tmp_path):
    run = made_up(tmp_path / "run", {"op": 12}, status="running")
    shutil.rmtree(run / "op" / "shown")
    (run / "op" / "shown.json").write_text("[{]")
    page = page_of(run)
    assert "not complete" in page.text
    assert not page.of("img")
    assert page.of("svg")


@pytest.mark.parametrize("record", [None, {"command": "anchors", "cuemask": "0"}])
def test_what_is_no_run_of_masks_is_refused(tmp_path, record):
    if record is not None:
        (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="holds no run"):
        report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_is_gone_is_made_again_and_left_out_on_request(phantom, tmp_path):
    run = ("predict", "drawn", phantom.frames, "--every", "5", "--out", tmp_path / "out", "--quiet", "--no-overlay")
    assert cuemask(*run, "--no-report").exit_code == 0
    assert not (tmp_path / "out" / "report.html").exists()
    before = (tmp_path / "out" / "run.json").read_bytes()
    assert cuemask(*run, "--resume").exit_code == 0
    assert (tmp_path / "out" / "report.html").exists()
    assert (tmp_path / "out" / "run.json").read_bytes() == before, "more was done than the page"


def test_the_sheet_shows_the_least_sure_frame_bare_and_outlined(tmp_path):
    told_of_a_clip(tmp_path / "op", 60)
    sheet = sheet_of(tmp_path / "op")
    assert sheet.shape[1] <= 800
    assert sheet.shape[0] >= 6 * 60
    pictures = (np.abs(sheet.astype(int) - (200, 60, 60)) < 12).all(axis=2)
    assert pictures[:, 190 : 190 + 84].sum() > pictures[:, 190 + 88 :].sum() > 0, "the second picture is marked"


def test_shown_pictures_have_square_pixels_and_show_the_endoscopes_picture_only(tmp_path):
    from fractions import Fraction

    rgb, mask = np.zeros((100, 120, 3), np.uint8), np.zeros((100, 120), bool)
    rgb[20:80, 40:100] = 255
    mask[20:80, 40:70] = True
    shown = Shown(Fraction(2))
    shown.add(Frame("a", 0, None, rgb), Told(0.5, 0.1), fixed_area(20, 40, 60, 60, 100, 120))
    shown.write(tmp_path)
    picture = cv2.imread(str(tmp_path / "shown" / "a.jpg"))
    assert picture.shape == (60, 120, 3)
    assert picture.min() > 245
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "a.png", mask)
    assert read_mask(tmp_path / "masks" / "a.png").any()
    sheet = sheet_of(tmp_path).astype(int)
    right = sheet[:, 190 + 4 + 120 + 4 :][:60]
    tinted = right[:, :, 0] < right[:, :, 2] - 20
    assert tinted[20:40, 5:50].all()
    assert not tinted[20:40, 70:].any()
