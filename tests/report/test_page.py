from __future__ import annotations

import json

import pytest
from tests.report.parsed import Page

from cuemask.evaluation.folders import evaluate_folders
from cuemask.evaluation.tables import json_of, write_rows
from cuemask.report.charts import Bin, Mark, loss_chart, terms_in_use, timeline
from cuemask.report.page import ClipSummary, Look, clip_section, table
from cuemask.report.truth import truths_in
from cuemask.report.words import clock, counted, duration, percent

NASTY = "<script>alert('\"')</script>&amp;"
EPOCHS = [{"step": step, "total": 2.0 / step, "anchor": 2.0 / step, "foreground": 0.0} for step in (5, 10)]


def bins(*values: float) -> list[Bin]:
    return [Bin(1, value, value, 0.1, 0.1) for value in values]


def look(**changes) -> Look:
    told = {"name": "000007", "number": 7, "seconds": 0.28, "confidence": 0.25, "share": 0.125, "rank": 1}
    return Look(**told | {"plain": b"one", "outlined": b"two", "height_px": 60, "width_px": 80} | changes)


def section(clip_name: str = "op", **changes) -> Page:
    clip = ClipSummary(clip_name, f"{clip_name}.mp4", 10, 2, 0.5, 0.1)
    one = look(**changes)
    return Page(clip_section("clip-op", clip, bins(*[0.5] * 10), [one], [one], ("0:00", "0:01"), {}))


def test_every_name_from_outside_is_text_and_nothing_else():
    told = section(NASTY, name=NASTY)
    assert not told.of("script")
    assert told.text.count(NASTY) >= 4
    assert any(NASTY in (image["alt"] or "") for image in told.of("img"))
    assert NASTY in Page(table(NASTY, [NASTY], [[NASTY]])).text


def test_pictures_are_told_in_words_and_keep_their_place():
    plain, outlined, strip = section().of("img")
    assert plain["alt"] == "frame 000007 at 0:00.3, as it was taken"
    assert outlined["alt"] == "frame 000007 at 0:00.3, outline of the mask, which covers 12.5 %"
    assert strip["alt"]
    assert (plain["width"], plain["height"]) == ("80", "60")
    assert plain["src"] != outlined["src"]


def test_the_marks_of_the_timeline_lead_to_their_pictures():
    told = section(iou=0.5)
    (link,) = told.of("a")
    assert link["href"] in [f"#{figure.get('id')}" for figure in told.of("figure")]
    assert link["aria-label"] == "1. frame 000007 at 0:00.3, confidence 0.25, 12.5 % covered, IoU 0.5000"


def test_a_timeline_shows_each_frame_where_it_is_and_as_high_as_it_is():
    chart = Page(timeline(bins(0.0, 1.0), [Mark(1, 1.0, "1", "x", "told")], ("a", "b"), "title"))
    confidence = next(line for line in chart.of("polyline") if line["class"] == "confidence")
    assert confidence["points"] == "210.0,112.0 542.0,22.0"
    for circle in chart.of("circle"):
        assert (circle["cx"], circle["cy"]) == ("542.0", "22.0")
    assert "10 %" in chart.text


def test_a_mark_of_the_timeline_can_be_pressed_by_a_finger():
    narrowest_px = 34 * 16  # `min-width` of charts in report.css
    chart = Page(timeline(bins(0.0, 1.0), [Mark(1, 1.0, "1", "x", "told")], ("a", "b"), "title"))
    radius = max(float(circle["r"] or 0) for circle in chart.of("circle"))
    assert 2 * radius * narrowest_px / 720 >= 24


def test_bins_taken_together_keep_means_and_extremes():
    one, other = Bin(2, 1.0, 0.2, 0.4, 0.3), Bin(1, 0.1, 0.1, 0.5, 0.5)
    assert one.merged(other) == Bin(3, 1.1, 0.1, 0.9, 0.5)


def test_only_terms_in_use_are_plotted_and_a_sum_of_one_is_no_term_of_its_own():
    assert terms_in_use(EPOCHS) == ["anchor"]
    two = [{"step": 1, "total": 3.0, "anchor": 2.0, "foreground": 1.0, "background": 0.0}]
    assert terms_in_use(two) == ["total", "anchor", "foreground"]
    chart = Page(loss_chart(EPOCHS, "losses"))
    assert "anchor" in chart.text
    assert "foreground" not in chart.text
    assert loss_chart([], "losses") == ""


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0, "0:00.0"), (4.94, "0:04.9"), (59.97, "1:00"), (727.0, "12:07"), (3727.0, "1:02:07")]
)
def test_times_read_as_on_a_clock(seconds, told):
    assert clock(seconds) == told


def test_figures_read_as_people_write_them():
    took = [duration(seconds) for seconds in (0.42, 48.0, 725.0, 12000.0)]
    assert took == ["0.4 s", "48 s", "12 min 5 s", "3 h 20 min"]
    assert (percent(0.125), counted(1, "frame"), counted(2000, "frame")) == ("12.5 %", "1 frame", "2,000 frames")


def test_tables_of_evaluate_in_a_run_are_found_and_nothing_else_is(tmp_path, write_mask_pairs):
    predicted, truth = write_mask_pairs
    found = evaluate_folders(predicted, truth)
    (tmp_path / "op").mkdir()
    write_rows(tmp_path / "op" / "e.csv", found.frame_rows())
    (tmp_path / "e.json").write_text(json_of(found.as_json()))
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "other.csv").write_text("frame,confidence,share\na,1,1\n")
    (tmp_path / "cut.json").write_text(json.dumps({"protocol_name": 1, "frame_count": 2, "iou": 3, "frames": 4}))
    of_json, of_csv = truths_in(tmp_path, ["op"])
    assert (of_csv.file, of_csv.clip, of_csv.frames) == ("op/e.csv", "op", 2)
    assert of_csv.means["iou"] == pytest.approx(found.iou_mean, abs=1e-6)
    assert of_json.means["dice"] == pytest.approx(found.dice_mean)
    assert of_json.iou == pytest.approx(of_csv.iou, abs=1e-6)
    assert of_csv.iou["op", "half"] == pytest.approx(0.5)
    assert of_csv.words()[:3] == ["op/e.csv", "2", "0.7500"]
