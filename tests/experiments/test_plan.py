from __future__ import annotations

from pathlib import Path

import pytest

from cuemask.datasets.catalogue import read_dataset
from cuemask.datasets.dataset import Dataset
from cuemask.errors import DatasetError
from cuemask.experiments.plan import Split, rows_of, split_of
from cuemask.experiments.published import NETWORK, POSITIVE
from cuemask.phantom.layouts import write_layout
from cuemask.recipe import DEFAULT, PAPER

NAMES = ("a", "b")
SPLIT = Split(((("a",), ("b",)), (("b",), ("a",))))


def made(folder: Path, layout: str, recordings: int) -> Dataset:
    write_layout(layout, folder / "set", recordings=recordings, frames=2)
    return read_dataset(layout.partition("-")[0], folder / "set")


def test_the_folds_of_endovis_2017_are_those_of_the_challenge_winners(tmp_path):
    split = split_of(made(tmp_path, "endovis2017", 8))
    held_out = [{name[-1] for name in fold} for _, fold in split.folds]
    assert held_out == [{"1", "3"}, {"2", "5"}, {"4", "8"}, {"6", "7"}]
    assert all(len(learn) == 6 and not set(learn) & set(fold) for learn, fold in split.folds)
    assert len(set(split.scored)) == 8


def test_a_set_with_a_test_part_is_learnt_from_on_the_other(tmp_path):
    assert split_of(made(tmp_path, "isic2016", 2)).folds == ((("training",), ("test",)),)


def test_without_folds_each_recording_is_held_out_in_turn(tmp_path):
    split = split_of(made(tmp_path, "folders", 3))
    assert [fold for _, fold in split.folds] == [("recording_1",), ("recording_2",), ("recording_3",)]


def test_one_recording_cannot_be_divided(tmp_path):
    with pytest.raises(DatasetError, match="--folds FILE"):
        split_of(made(tmp_path, "folders", 1))


def test_a_file_tells_the_folds(tmp_path):
    (tmp_path / "folds.txt").write_text("# two folds\nrecording_1, recording_3\n\nrecording_2\n")
    split = split_of(made(tmp_path, "folders", 3), tmp_path / "folds.txt")
    assert [fold for _, fold in split.folds] == [("recording_1", "recording_3"), ("recording_2",)]
    assert [learn for learn, _ in split.folds] == [("recording_2",), ("recording_1", "recording_3")]


@pytest.mark.parametrize(
    ("text", "told"),
    [("1\n1,2\n", "held out twice"), ("", "no fold"), ("9\n", "no recording '9'"), ("1,2,3", "nothing is left")],
)
def test_a_file_that_does_not_divide_the_set_is_refused(text, told, tmp_path):
    (tmp_path / "folds.txt").write_text(text)
    with pytest.raises(DatasetError, match=told):
        split_of(made(tmp_path, "endovis2018", 3), tmp_path / "folds.txt")


def test_table_1_takes_the_diffusion_losses_away_one_by_one():
    rows = rows_of("table1", SPLIT, PAPER)
    weights = [(r.cells[0].recipe.losses.foreground_weight, r.cells[0].recipe.losses.background_weight) for r in rows]
    assert weights == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert [row.printed[NETWORK].iou for row in rows] == [49.47, 50.78, 67.26, 70.56]
    assert rows[-1].cells[0].recipe == PAPER
    assert all(cell.learn == cell.score == ("b", "a") for row in rows for cell in row.cells)


def test_a_recipe_without_diffusion_is_its_own_first_row_and_gets_the_papers_weights_in_the_others():
    rows = rows_of("table1", SPLIT, DEFAULT)
    weights = [(r.cells[0].recipe.losses.foreground_weight, r.cells[0].recipe.losses.background_weight) for r in rows]
    assert weights == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert [row.cells[0].key == "SS-0" for row in rows] == [True, False, False, False]
    assert rows[0].cells[0].recipe == DEFAULT


def test_table_2_has_the_seven_cue_sets_and_the_recipes_own():
    paper = rows_of("table2", SPLIT, PAPER)
    assert len({row.cells[0].recipe.cues.use for row in paper}) == len(paper) == 7
    assert all(row.cells[0].anchors for row in paper)
    ours = rows_of("table2", SPLIT, DEFAULT)
    assert len(ours) == 8
    assert ours[-1].cells[0].recipe.cues.use == DEFAULT.cues.use
    assert not ours[-1].printed


def test_of_a_single_cue_the_paper_prints_one_figure_for_both_anchors():
    for row in rows_of("table2", SPLIT, PAPER)[:3]:
        assert row.printed[POSITIVE] == row.printed["1 - negative anchor"]


def test_table_3_has_ours_at_every_supervision_and_quotes_the_others():
    rows = rows_of("table3", SPLIT, PAPER)
    ours = {(row.head["labels"], row.head["setting"]): row.cells for row in rows if row.cells}
    assert list(ours) == [("100 %", "TT"), ("50 %", "TT"), ("0 %", "TT"), ("0 %", "SS")]
    assert [cell.labels for cell in ours["50 %", "TT"]] == [50, 50]
    assert [(cell.learn, cell.score) for cell in ours["0 %", "TT"]] == [(("a",), ("b",)), (("b",), ("a",))]
    assert [row.head["method"] for row in rows if not row.cells] == [
        "U-Net",
        "TernausNet",
        "MF-TAPNet",
        "Semi-MF-TAPNet",
    ]


def test_table_4_leaves_colour_out_and_adds_a_cue_for_lesions_of_ours():
    rows = rows_of("table4", Split(((("training",), ("test",)),)), PAPER)
    paper = [cell.recipe for row in rows if row.printed for cell in row.cells]
    assert {recipe.cues.use for recipe in paper} == {("objectness", "location")}
    assert {recipe.cues.location for recipe in paper} == {"gaussian"}
    assert {recipe.training.pairing for recipe in paper} == {"random"}
    lesion = [cell for row in rows if not row.printed for cell in row.cells]
    assert [cell.recipe.cues.color_channels for cell in lesion] == ["lesion", "lesion"]


def test_tables_share_the_network_of_the_whole_recipe():
    cells = [
        [cell for row in rows_of(table, SPLIT, PAPER) for cell in row.cells] for table in ("table1", "table2", "table3")
    ]
    shared = [next(cell for cell in of_table if cell.key == "SS-0") for of_table in cells]
    assert len({(cell.recipe, cell.learn, cell.score, cell.labels) for cell in shared}) == 1
    for of_table in cells:
        assert len({cell.key for cell in of_table}) == len(of_table)
