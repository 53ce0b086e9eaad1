from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.evaluation.scores import EMPTY, FRAMES, frame

from cuemask.evaluation import Evaluation
from cuemask.evaluation.surfaces import TOLERANCE, Surface
from cuemask.evaluation.tables import csv_of, json_of, text_of, write_rows

ROWS = [
    {"run": "ours", "frames": 12, "iou": 1 / 3, "deviation": None},
    {"run": "b", "frames": 5, "iou": 1.0, "deviation": 0.5},
]


def test_text_is_aligned_words_left_and_numbers_right() -> None:
    assert text_of(ROWS).splitlines() == [
        "run   frames     iou  deviation",
        "ours      12  0.3333          -",
        "b          5  1.0000     0.5000",
    ]


def test_csv_has_six_digits_and_nothing_for_none() -> None:
    assert csv_of(ROWS) == "run,frames,iou,deviation\nours,12,0.333333,\nb,5,1.000000,0.500000\n"


def test_names_with_commas_stay_one_cell() -> None:
    assert csv_of([{"frame": 'a,"b"'}]) == 'frame\n"a,""b"""\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_figure_is_refused_everywhere(value: float) -> None:
    for writer in (text_of, csv_of, json_of):
        with pytest.raises(ValueError):
            writer([{"iou": value}])


def test_rows_with_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="same columns"):
        csv_of([{"a": 1}, {"b": 1}])


def test_the_ending_chooses_the_format_and_the_bytes_do_not_change(tmp_path: Path) -> None:
    for name, expected in (("a.csv", csv_of(ROWS)), ("a.txt", text_of(ROWS) + "\n"), ("a.json", json_of(ROWS) + "\n")):
        write_rows(tmp_path / name, ROWS)
        assert (tmp_path / name).read_bytes() == expected.encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.txt"]  # nothing aside is left


def test_a_frames_row_holds_figures_pixels_and_whether_it_counts() -> None:
    rows = Evaluation((FRAMES[1], EMPTY), "with-truth").frame_rows()
    assert [row["counted"] for row in rows] == [1, 0]
    half = rows[0]
    assert list(half)[:4] == ["video", "frame", "iou", "dice"]
    assert (half["video"], half["frame"], half["iou"]) == ("a", "half", pytest.approx(1 / 2))
    pixels = [half[f"{what}_px"] for what in ("intersection", "predicted", "truth", "total")]
    assert pixels == [10, 20, 10, 100]
    csv_of(rows)


def test_surface_figures_have_columns_where_they_were_measured() -> None:
    near = frame("", "near", 10, 10, 10, surface=Surface(0.75, 3.0))
    row = Evaluation((near,), tolerance=TOLERANCE).frame_rows()[0]
    assert (row["nsd"], row["hd95_px"]) == (0.75, 3.0)
    assert "nsd" not in Evaluation(FRAMES).frame_rows()[0]


def test_summary_rows_of_several_runs_make_a_table() -> None:
    rows = [Evaluation(frames, "with-truth").summary_row(run) for run, frames in (("all", FRAMES), ("two", FRAMES[:2]))]
    assert (
        csv_of(rows).splitlines()[0] == "run,protocol,frames,left_out,iou_mean,iou_deviation,dice_mean,dice_deviation"
    )
    assert csv_of(rows).splitlines()[1].startswith("all,with-truth,3,2,0.500000,")
    assert Evaluation(FRAMES, "global").summary_row("x")["iou_deviation"] is None


def test_a_table_says_how_many_frames_were_left_out_and_why() -> None:
    lines = Evaluation(FRAMES, "with-truth", without_truth=3, unpredicted=4).table().splitlines()
    assert lines[0] == "frames  3"
    assert "2 frames left out, without a true instrument" in lines
    assert "3 predicted frames without truth, not counted" in lines
    assert "4 frames with truth but without prediction, not counted" in lines
    assert not any(line.startswith("empty") for line in lines)


def test_a_table_of_videos_has_a_line_for_each() -> None:
    lines = Evaluation(FRAMES, "per-video").table().splitlines()
    assert [line.split()[:2] for line in lines[6:9]] == [["video", "IoU"], ["a", "0.7500"], ["b", "0.3333"]]


def test_a_table_gives_surface_figures_with_their_tolerance_and_units() -> None:
    near = frame("", "near", 10, 10, 10, surface=Surface(0.75, 3.0))
    table = Evaluation((near,), tolerance=TOLERANCE).table()
    assert "NSD     0.7500 +- 0.0000\nHD95    3.00 +- 0.00 px\n" in table
    assert "NSD within 1 % of the diagonal; both empty: NSD 1, HD95 0 px; one empty" in table


def test_json_has_every_figure_of_the_protocol_and_what_was_left_out() -> None:
    near = frame("v", "near", 10, 10, 10, surface=Surface(0.75, 3.0))
    told = json.loads(json_of(Evaluation((near,), "per-video", TOLERANCE, 2, 1).as_json()))
    assert told["tolerance"] == {"value": 0.01, "unit": "diagonal"}
    assert (told["nsd"], told["hd95_px"]) == ({"mean": 0.75, "deviation": 0}, {"mean": 3, "deviation": 0})
    assert (told["protocol_name"], told["left_out"], told["without_truth"], told["unpredicted"]) == (
        "per-video",
        0,
        2,
        1,
    )
    assert told["videos"] == [{"name": "v", "iou": 1, "dice": 1, "nsd": 0.75, "hd95_px": 3}]
    assert told["frames"] == [{"name": "v/near", "iou": 1, "dice": 1, "nsd": 0.75, "hd95_px": 3}]
