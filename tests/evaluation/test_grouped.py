from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cuemask.cli import main
from cuemask.errors import EvaluationError, PictureError
from cuemask.evaluation import evaluate_grouped
from cuemask.evaluation.grouped import ROOM, What
from cuemask.media.masks import read_numbers, write_codes, write_numbers
from cuemask.phantom import named_scene, write_phantom

PERFECT: dict[What, tuple[str, ...]] = {
    "instances": ("ap50", "ap", "pq", "sq", "rq"),
    "tracks": ("hota", "deta", "assa", "idf1"),
    "parts": ("iou_shaft", "iou_wrist", "iou_clasper", "mean_iou", "part_pq"),
    "classes": ("named_challenge_iou", "named_iou", "named_mciou", "assigned_mean_iou", "purity"),
    "tips": ("true_within", "predicted_within", "instruments_within", "frames_within"),
}
HEADER = "frame,instrument,x0,y0,x1,y1,area,entry_x,entry_y,direction_x,direction_y,tip_x,tip_y,confidence"


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    write_phantom(out, 3, named_scene("crossing", 2, 64, 80))
    return out


@pytest.fixture
def predicted(phantom: Path, tmp_path: Path) -> Path:
    """A run of one clip that found all there is, its numbers others than the truth's."""
    clip = tmp_path / "run" / "clip"
    for room in ("parts", "classes"):
        shutil.copytree(phantom / room, clip / room)
    (clip / "instances").mkdir()
    for path in (phantom / "instances").iterdir():
        write_numbers(clip / "instances" / path.name, np.array([0, 300, 7], np.uint16)[read_numbers(path)])
    shutil.copy(phantom / "tips.csv", clip)
    (tmp_path / "run" / "run.json").write_text("{}")
    return tmp_path / "run"


@pytest.mark.parametrize("what", PERFECT)
def test_what_is_all_right_scores_one_of_a_run_and_of_its_clip(what: What, phantom: Path, predicted: Path) -> None:
    for folder in (predicted, predicted / "clip"):
        told = json.loads(run(folder, phantom, f"--{what}", "--json").output)
        assert [told[name] for name in PERFECT[what]] == [1.0] * len(PERFECT[what])
        assert told["what"] == what
        assert told["frame_count"] == len(told["frames"]) == 3


@pytest.mark.parametrize("what", PERFECT)
def test_the_figures_are_told_as_text_and_csv_too(what: What, phantom: Path, predicted: Path, tmp_path: Path) -> None:
    text = run(predicted, phantom, f"--{what}", "--csv", tmp_path / "frames.csv").output
    for name in PERFECT[what]:
        assert f"{name} " in text
    with (tmp_path / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["000000", "000001", "000002"]
    assert set(PERFECT[what]) <= set(rows[0])


def test_clips_have_figures_of_their_own_beside_those_of_all(phantom: Path, predicted: Path, tmp_path: Path) -> None:
    shutil.copytree(predicted / "clip", predicted / "other")
    for name in ("clip", "other"):
        shutil.copytree(phantom / "instances", tmp_path / "truth" / name / "instances")
    for path in (predicted / "other" / "instances").iterdir():
        write_numbers(path, np.minimum(read_numbers(path), 1))  # both instruments as one
    found = evaluate_grouped("instances", predicted, tmp_path / "truth")
    assert found.clips["clip"]["pq"] == 1.0
    assert found.clips["other"]["matched"] == 3
    assert found.figures["matched"] == 9
    assert found.figures["missed"] == 3
    assert "other" in found.table()


def test_confidences_and_tips_come_from_the_tracks(phantom: Path, predicted: Path) -> None:
    clip = predicted / "clip"
    (clip / "tips.csv").unlink()
    wrong = np.zeros((64, 80), np.uint16)
    wrong[60:, :3] = 5
    lines = [HEADER]
    for path in sorted((clip / "instances").iterdir()):
        numbers = read_numbers(path)
        write_numbers(path, np.where(wrong > 0, wrong, numbers))
        lines += [f"{path.stem},{n},0,0,1,1,1,0,0,1,0,40,30,{0.9 if n != 5 else 0.1}" for n in (7, 300)]
        lines += [f"{path.stem},5,0,0,1,1,1,0,0,1,0,,,0.1"]
    (clip / "tracks.csv").write_text("\n".join(lines) + "\n")
    assert evaluate_grouped("instances", predicted, phantom).figures["ap50"] == 1.0
    tips = evaluate_grouped("tips", predicted, phantom).figures
    assert isinstance(tips["matched"], int)
    assert tips["matched"] + tips["surplus"] == 6  # the third has none
    (clip / "tracks.csv").write_text("\n".join(line.replace(",0.1", ",1.0") for line in lines) + "\n")
    ap = evaluate_grouped("instances", predicted, phantom).figures["ap50"]
    assert isinstance(ap, float)
    assert ap < 1.0


def test_boxes_take_the_place_of_pixels(phantom: Path, predicted: Path) -> None:
    for path in (predicted / "clip" / "instances").iterdir():
        filled = np.zeros((64, 80), np.uint16)
        rows, columns = np.nonzero(read_numbers(path) == 7)
        filled[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 7
        write_numbers(path, filled)
    by_pixels = evaluate_grouped("instances", predicted, phantom).figures
    by_boxes = evaluate_grouped("instances", predicted, phantom, boxes=True).figures
    assert by_boxes["matched"] == 3
    assert by_boxes["sq"] == 1.0
    assert by_pixels["sq"] != 1.0
    assert json.loads(run(predicted, phantom, "--tracks", "--boxes", "--json").output)["deta"] == pytest.approx(0.5)


def test_masks_in_a_run_are_no_instances(predicted: Path, phantom: Path) -> None:
    shutil.rmtree(predicted / "clip" / "instances")
    shutil.copytree(phantom / "masks", predicted / "clip" / "masks")
    assert "no instances in it" in run(predicted, phantom, "--instances", code=2).output


def test_parts_without_instances_have_no_part_pq(predicted: Path, phantom: Path) -> None:
    shutil.rmtree(predicted / "clip" / "instances")
    figures = evaluate_grouped("parts", predicted, phantom).figures
    assert figures["mean_iou"] == 1.0
    assert figures["part_pq"] is None


def test_folders_without_tips_are_refused_with_what_would_tell_them(predicted: Path, phantom: Path) -> None:
    (predicted / "clip" / "tips.csv").unlink()
    with pytest.raises(EvaluationError, match="tells no tips") as error:
        evaluate_grouped("tips", predicted, phantom)
    assert "tracks.csv" in error.value.remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,instrument\n000000,300\n", "tells no confidence"),
        (f"{HEADER}\n000000,300,0,0,1,1,1,0,0,1,0,1,1,sure\n", "'sure'"),
        ("name,number\na,1\n", "without frame and instrument"),
        (f"{HEADER}\n000000,first,0,0,1,1,1,0,0,1,0,1,1,0.5\n", "without frame and instrument"),
    ],
)
def test_damaged_tracks_are_refused_with_the_file(text: str, message: str, predicted: Path, phantom: Path) -> None:
    (predicted / "clip" / "tracks.csv").write_text(text)
    with pytest.raises(EvaluationError, match=message) as error:
        evaluate_grouped("instances", predicted, phantom)
    assert "tracks.csv" in error.value.what


def test_sizes_that_differ_are_refused(predicted: Path, phantom: Path) -> None:
    write_codes(predicted / "clip" / "classes" / "000001.png", np.zeros((10, 10), np.uint8))
    with pytest.raises(EvaluationError, match="10x10"):
        evaluate_grouped("classes", predicted, phantom)


def test_numbers_in_colours_are_refused(predicted: Path, phantom: Path) -> None:
    shutil.copy(phantom / "frames" / "000001.png", predicted / "clip" / "instances")
    with pytest.raises(PictureError, match="in colours"):
        evaluate_grouped("instances", predicted, phantom)


@pytest.mark.parametrize("options", [["--surface"], ["--positive", "1"]])
def test_options_of_masks_are_refused_with_those_of_instruments(
    options: list[str], predicted: Path, phantom: Path
) -> None:
    assert "not with --parts" in run(predicted, phantom, "--parts", *options, code=2).output


def test_boxes_are_refused_where_there_are_none(predicted: Path, phantom: Path) -> None:
    for options in (["--boxes"], ["--boxes", "--parts"]):
        assert "--boxes is of" in run(predicted, phantom, *options, code=2).output


def test_without_truth_it_is_said_what_is_wanted(predicted: Path) -> None:
    assert "--tips needs TRUTH" in run(predicted, "--tips", code=2).output
    both = run(predicted, predicted, "--parts", "--dataset", "endovis2018", "--data", ".", code=2)
    assert "not both" in both.output


def test_every_measure_has_a_room() -> None:
    assert set(ROOM) == set(PERFECT)
