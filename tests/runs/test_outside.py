"""What runs do with frames filmed outside the body."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuemask.cues.clip import keep_clip
from cuemask.errors import InputError
from cuemask.media.area import PictureArea
from cuemask.media.clips import open_clips
from cuemask.phantom import PhantomScene
from cuemask.recipe import load_recipe
from cuemask.runs.confidences import read_confidences
from cuemask.runs.learning import segment
from cuemask.runs.options import Options
from cuemask.runs.outside import outside_rows
from cuemask.runs.predicting import predict
from cuemask.runs.reporting import report
from cuemask.runs.shown import read_shown

from .conftest import SETTINGS

GREEN = (60, 120, 90)
OUTSIDE = (4, 5, 6, 13)
STRETCHES = [
    ("000004", "000006", 4, 6, 3),
    ("000013", "000013", 13, 13, 1),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen pictures, four of them of a green towel."""
    folder = tmp_path_factory.mktemp("outside") / "op"
    folder.mkdir()
    scene = PhantomScene(seed=2, height_px=96, width_px=128)
    for t in range(14):
        rgb = np.full((96, 128, 3), GREEN, np.uint8) if t in OUTSIDE else scene.frame(8 * t).rgb
        cv2.imwrite(str(folder / f"{t:06d}.png"), rgb[..., ::-1])
    return folder


def stretches(out: Path) -> list[tuple[object, ...]]:
    told = json.loads((out / "run.json").read_text())["outside"]["op"]
    return [tuple(one[key] for key in ("first", "last", "first_number", "last_number", "frames")) for one in told]


def is_green(path: Path) -> bool:
    rgb = cv2.imread(str(path))[..., ::-1].astype(int)
    return bool(np.abs(np.median(rgb, axis=(0, 1)) - GREEN).max() < 12)


def test_predict_masks_them_empty_and_lists_them(clip: Path, tmp_path: Path) -> None:
    said: list[str] = []
    out = predict(Path("drawn"), [clip], Options(tmp_path / "out", save_probability=True, say=said.append))
    assert stretches(out) == STRETCHES
    assert "op: 4 frames look filmed outside the body" in " ".join(said)
    assert "000004 to 000006, 000013; all are listed in run.json" in " ".join(said)
    masks = {path.stem: cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in (out / "op" / "masks").iterdir()}
    assert len(masks) == 14
    for t in OUTSIDE:
        assert masks[f"{t:06d}"].shape == (96, 128)
        assert not masks[f"{t:06d}"].any()
        assert not cv2.imread(str(out / "op" / "probability" / f"{t:06d}.png")).any()
    assert masks["000000"].any()
    assert dict(read_confidences(out / "op" / "confidence.csv"))["000005"] == (1.0, 0.0)
    assert is_green(out / "op" / "shown" / "000004.jpg")  # nothing is blanked unless asked
    page = (out / "report.html").read_text()
    assert "000004 to 000006" in page


def test_what_is_to_be_blanked_leaves_no_pixel_in_what_people_look_at(clip: Path, tmp_path: Path) -> None:
    out = predict(Path("drawn"), [clip], Options(tmp_path / "out", blank_outside=True))
    assert {one.frame for one in read_shown(out / "op") if one.outside} == {f"{t:06d}" for t in OUTSIDE}
    for t in OUTSIDE:
        assert not is_green(out / "op" / "shown" / f"{t:06d}.jpg")
    video = cv2.VideoCapture(str(out / "op" / "overlay.mp4"))
    frames = [video.read()[1] for _ in range(14)]
    for t, frame in enumerate(frames):
        grey = np.median(frame[:96].astype(int), axis=(0, 1))
        assert (np.abs(grey - 40).max() < 6) == (t in OUTSIDE)


def test_the_page_of_a_finished_run_is_blanked_on_demand(clip: Path, tmp_path: Path) -> None:
    out = predict(Path("drawn"), [clip], Options(tmp_path / "out", overlay=False))
    bare = report(out).read_text()
    assert report(out, blanks_outside=True).read_text() != bare
    assert report(out).read_text() == bare


def test_a_resumed_run_finds_the_same_and_makes_it_anew(clip: Path, tmp_path: Path) -> None:
    out = predict(Path("drawn"), [clip], Options(tmp_path / "out"))
    (out / "op" / "masks" / "000005.png").unlink()
    (out / "op" / "shown" / "000004.jpg").unlink()
    predict(Path("drawn"), [clip], Options(tmp_path / "out", resume=True))
    assert stretches(out) == STRETCHES
    assert not cv2.imread(str(out / "op" / "masks" / "000005.png")).any()


def test_segment_learns_without_them(clip: Path, tmp_path: Path) -> None:
    options = Options(tmp_path / "out", recipe=load_recipe("default", SETTINGS), overlay=False)
    out = segment([clip], options)
    assert stretches(out) == STRETCHES
    assert json.loads((out / "run.json").read_text())["clips"][0]["frames"] == 10
    assert not cv2.imread(str(out / "op" / "masks" / "000013.png")).any()


def test_the_papers_recipe_keeps_them_unless_they_are_to_be_blanked(clip: Path, tmp_path: Path) -> None:
    paper = load_recipe("paper", [*SETTINGS, "features.extractor=texture", "cues.objectness_windows=30"])
    for blanks in (False, True):
        options = Options(tmp_path / str(blanks), recipe=paper, overlay=False, report=False, blank_outside=blanks)
        record = json.loads((segment([clip], options) / "run.json").read_text())
        assert ("outside" in record) == blanks
        assert record["recipe"]["input"]["outside"] == ("found" if blanks else "kept")


def test_a_frame_with_a_true_mask_is_kept_wherever_it_was_filmed(clip: Path, tmp_path: Path) -> None:
    (source,) = open_clips([clip])
    recipe = load_recipe("default", SETTINGS)
    area, labelled = PictureArea(0, 0, 96, 128, None), frozenset({"000005"})
    kept = keep_clip(source, area, recipe, tmp_path, 0, source.frames(), labelled)
    assert kept.names == [f"{t:06d}" for t in range(14) if t not in (4, 6, 13)]
    assert [(one.first, one.last) for one in kept.outside] == [
        ("000004", "000004"),
        ("000006", "000006"),
        ("000013", "000013"),
    ]


@pytest.mark.parametrize("damaged", [None, [], {"op": [{"first": 1}]}, {"op": ["x"]}, {"op": 3}])
def test_a_damaged_list_makes_no_rows(damaged: object) -> None:
    assert outside_rows(damaged) == []


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen pictures with the same words over them."""
    folder = tmp_path_factory.mktemp("captioned") / "op"
    folder.mkdir()
    scene = PhantomScene(seed=2, height_px=192, width_px=256, camera_motion=2.0)
    for t in range(14):
        rgb = scene.frame(30 * t).rgb.copy()
        cv2.putText(rgb, "DOE JOHN", (70, 100), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
        cv2.imwrite(str(folder / f"{t:06d}.png"), rgb[..., ::-1])
    return folder


def test_the_page_of_a_finished_run_is_blanked_of_text_on_demand(captioned: Path, tmp_path: Path) -> None:
    out = predict(Path("drawn"), [captioned], Options(tmp_path / "out", overlay=False, report=False))
    ((top, left, height, width),) = json.loads((out / "run.json").read_text())["text"]["op"]
    inner = np.s_[top + 4 : top + height - 4, left + 4 : left + width - 4]

    def brightest(page: str) -> list[int]:
        """In the line, of all pictures of the page."""
        found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
        jpegs = [cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR) for text in found]
        return [int(cv2.resize(jpeg, (256, 192))[inner].max()) for jpeg in jpegs]

    bare = brightest(report(out).read_text())
    assert min(bare) > 180
    blank = brightest(report(out, blanks_text=True).read_text())
    assert len(blank) == len(bare)
    assert max(blank) < 90


def test_the_page_is_not_blanked_of_what_the_run_did_not_look_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    record = {"command": "predict", "recipe": {"input": {"text": "kept", "outside": "kept"}}}
    (out / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="did not look for what --blank-text blanks"):
        report(out, blanks_text=True)
    with pytest.raises(InputError, match="did not look for what --blank-outside blanks"):
        report(out, blanks_outside=True)


def test_text_over_the_picture_is_never_masked_and_blanked_on_demand(captioned: Path, tmp_path: Path) -> None:
    said: list[str] = []
    options = Options(tmp_path / "out", blank_text=True, report=False, say=said.append)
    out = predict(Path("drawn"), [captioned], options)
    ((top, left, height, width),) = json.loads((out / "run.json").read_text())["text"]["op"]
    assert "op: 1 line of text found over the picture" in " ".join(said)
    line = np.s_[top : top + height, left : left + width]
    for mask in (out / "op" / "masks").iterdir():
        assert not cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)[line].any()
    video = cv2.VideoCapture(str(out / "op" / "overlay.mp4"))
    inner = np.s_[top + 4 : top + height - 4, left + 4 : left + width - 4]
    for _ in range(14):
        assert np.abs(video.read()[1][inner].astype(int) - 40).max() < 30  # letters have 215 more
    for shown in (out / "op" / "shown").iterdir():
        assert np.abs(cv2.imread(str(shown))[inner].astype(int) - 40).max() < 30


@pytest.mark.parametrize("blank_text", [False, True])
def test_the_sheet_of_cues_is_blanked_of_text_too(captioned: Path, tmp_path: Path, blank_text: bool) -> None:
    recipe = load_recipe("default", [*SETTINGS, "input.height_px=96", "input.width_px=128"])
    options = Options(tmp_path / "out", recipe=recipe, blank_text=blank_text, overlay=False, report=False)
    out = segment([captioned], options)
    ((top, left, height, width),) = json.loads((out / "run.json").read_text())["text"]["op"]
    sheet, scale = cv2.imread(str(out / "op" / "cues.png")), 240 / 256  # rows of pictures 240 wide
    first = sheet.shape[0] - round(192 * scale)  # of the last row, which has no border
    rows = np.s_[first + round((top + 6) * scale) : first + round((top + height - 6) * scale)]
    for begin in (0, sheet.shape[1] - 240):  # the frame, and the frame with its mask
        columns = np.s_[begin + round((left + 6) * scale) : begin + round((left + width - 6) * scale)]
        assert (np.abs(sheet[rows, columns].astype(int) - 40).max() < 30) == blank_text
