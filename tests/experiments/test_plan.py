from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cuemask.datasets.catalogue import read_dataset
from cuemask.datasets.dataset import Dataset
from cuemask.errors import DatasetError
from cuemask.experiments.cells import Bench, folder_of
from cuemask.experiments.plan import TABLES, Row, Split, rows_of, split_of
from cuemask.experiments.published import CUES, NETWORK, POSITIVE
from cuemask.phantom.layouts import write_layout
from cuemask.recipe import DEFAULT, FAST, LESION, PAPER, RELEASED, Recipe, load_recipe

NAMES = ("a", "b")
SPLIT = Split(((("a",), ("b",)), (("b",), ("a",))))
ISIC = Split(((("training",), ("test",)),))
OFF = "losses.foreground_weight=0"
RECIPES = {
    "default": DEFAULT,
    "paper": PAPER,
    "released": RELEASED,
    "fast": FAST,
    "lesion": LESION,
    "paper without diffusion": load_recipe("paper", (OFF, "losses.background_weight=0")),
    "paper without foreground": load_recipe("paper", (OFF,)),
    "released without background": load_recipe("released", ("losses.background_weight=0", "losses.label_weight=3")),
    "given anchors": load_recipe("default", ("anchors.source=given",)),
}
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def recipes_of(rows: list[Row]) -> list[Recipe]:
    """Of every network beside a printed figure."""
    return [cell.recipe for row in rows if row.printed for cell in row.cells]


def weights_of(recipe: Recipe) -> tuple[float, float]:
    """Of diffusion."""
    return recipe.losses.foreground_weight, recipe.losses.background_weight


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


@every_recipe
def test_table_1_ticks_the_terms_that_its_rows_have_and_differs_in_nothing_else(recipe):
    rows = rows_of("table1", SPLIT, recipe)
    for row, made in zip(rows, recipes_of(rows), strict=True):
        ticked = tuple(bool(row.head[term]) for term in ("foreground", "background"))
        assert tuple(weight != 0 for weight in weights_of(made)) == ticked
        wanted = weights_of(recipe)
        assert weights_of(made) == tuple((w or 1.0) * on for w, on in zip(wanted, ticked, strict=True))
        losses = dataclasses.replace(made.losses, foreground_weight=wanted[0], background_weight=wanted[1])
        assert dataclasses.replace(made, losses=losses) == recipe


@every_recipe
def test_the_recipe_as_it_is_is_always_a_row_of_tables_1_to_3(recipe):
    for table in TABLES[:3]:
        own = [row for row in rows_of(table, SPLIT, recipe) for cell in row.cells if cell.recipe == recipe]
        assert own, table
        if 0 in weights_of(recipe):
            assert all(f"{recipe.name} as it is" in row.name for row in own)
            assert table == "table1" or not any(row.printed for row in own)


@every_recipe
@pytest.mark.parametrize("table", TABLES[1:])
def test_every_row_beside_a_printed_figure_of_tables_2_to_4_has_both_terms_of_diffusion(table, recipe):
    made = recipes_of(rows_of(table, ISIC if table == "table4" else SPLIT, recipe))
    assert {weights_of(one) for one in made} == {tuple(weight or 1.0 for weight in weights_of(recipe))}
    assert all(one.losses.anchor_form == recipe.losses.anchor_form for one in made)


@every_recipe
def test_cues_are_compared_in_plain_products_and_nothing_else_of_the_recipe_is_changed(recipe):
    rows = [row for row in rows_of("table2", SPLIT, recipe) if row.printed]
    assert [tuple(row.head["cues"].split(", ")) for row in rows] == list(CUES)
    for row, made in zip(rows, recipes_of(rows), strict=True):
        assert made.cues.use == tuple(row.head["cues"].split(", "))
        assert {getattr(made.cues, f"{cue}_weight") for cue in made.cues.use} == {1}
        assert (made.anchors.sharpness, made.anchors.threshold, made.anchors.least_contour) == (0, "frame", 0)
        assert made.anchors.source == "cues"
        assert made.anchors.smoothing == recipe.anchors.smoothing
        assert made.cues.color_channels == recipe.cues.color_channels
        same = ("input", "network", "features", "training", "masks")
        assert all(getattr(made, section) == getattr(recipe, section) for section in same)
        assert all(cell.anchors for cell in row.cells)


def test_table_2_has_a_row_of_its_own_only_for_a_recipe_that_is_none_of_the_seven():
    assert len(rows_of("table2", SPLIT, PAPER)) == len(rows_of("table2", SPLIT, RELEASED)) == 7
    *seven, own = rows_of("table2", SPLIT, DEFAULT)
    assert len(seven) == 7
    assert (own.printed, own.name) == ({}, "default as it is")
    assert own.cells[0].recipe == DEFAULT
    assert own.cells[0].anchors


def test_anchors_that_came_with_the_data_are_not_scored_as_computed_ones():
    own = rows_of("table2", SPLIT, RECIPES["given anchors"])[-1]
    assert own.cells[0].recipe.anchors.source == "given"
    assert not own.cells[0].anchors


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


def test_a_recipe_without_diffusion_stands_beside_l_full_at_every_supervision_of_table_3():
    without = load_recipe("default", ["losses.foreground_weight=0", "losses.background_weight=0"])
    rows = [row for row in rows_of("table3", SPLIT, without) if row.cells]
    assert [row.head["method"] for row in rows] == ["default with L_full", "default as it is"] * 4
    for full, own in zip(rows[::2], rows[1::2], strict=True):
        assert (full.head["labels"], full.head["setting"]) == (own.head["labels"], own.head["setting"])
        assert {weights_of(cell.recipe) for cell in full.cells} == {(1, 1)}
        assert {cell.recipe for cell in own.cells} == {without}
        assert not own.printed
        assert [cell.labels for cell in full.cells] == [cell.labels for cell in own.cells]


@every_recipe
def test_section_3_5_has_plain_products_and_random_pairs_whatever_the_recipe(recipe):
    for made in recipes_of(rows_of("table4", ISIC, recipe)):
        assert made.cues.use == ("objectness", "location")
        assert (made.cues.objectness_weight, made.cues.location_weight) == (1, 1)
        assert (made.anchors.source, made.anchors.least_contour) == ("cues", 0)
        assert (made.training.pairing, made.input.area, made.cues.location) == ("random", "full", "gaussian")


def test_table_4_leaves_colour_out_and_adds_a_cue_for_lesions_of_ours():
    rows = rows_of("table4", ISIC, PAPER)
    paper = [cell.recipe for row in rows if row.printed for cell in row.cells]
    assert {recipe.cues.use for recipe in paper} == {("objectness", "location")}
    assert {recipe.cues.location for recipe in paper} == {"gaussian"}
    assert {recipe.training.pairing for recipe in paper} == {"random"}
    lesion = [cell for row in rows if not row.printed for cell in row.cells]
    assert [cell.recipe.cues.color_channels for cell in lesion] == ["lesion", "lesion"]


def test_tables_share_the_network_of_l_full_and_no_cell_of_other_settings(tmp_path):
    dataset = made(tmp_path, "endovis2018", 2)
    bench = Bench(dataset, tmp_path / "out", "endovis2017")

    def folders(recipe: Recipe, *, is_quick: bool = False) -> list[set[Path]]:
        tables = [rows_of(table, split_of(dataset), recipe, is_quick=is_quick) for table in TABLES[:3]]
        return [{folder_of(cell, bench) for row in rows for cell in row.cells} for rows in tables]

    for folder in {path for table in folders(PAPER) for path in table}:
        folder.mkdir(parents=True, exist_ok=True)  # as a first table leaves them
    of_paper = folders(PAPER)
    assert [len(table) for table in of_paper] == [4, 7, 4]
    assert len(set.intersection(*of_paper)) == 1
    assert len(set.union(*of_paper)) == 15 - 2
    others = [folders(DEFAULT), folders(PAPER, is_quick=True), folders(load_recipe("paper", ("training.steps=9",)))]
    assert all(not set.union(*of_paper) & set.union(*other) for other in others)


def test_a_recording_of_the_same_name_and_other_content_makes_another_cell(tmp_path):
    sets = [made(tmp_path / name, "folders", 2) for name in ("one", "moved")]
    (cell,) = rows_of("table1", split_of(sets[0]), PAPER)[-1].cells
    one, other = (folder_of(cell, Bench(dataset, tmp_path / "out", "with-truth")) for dataset in sets)
    assert one == other
    picture = sets[1].recordings[0].files.paths[0]
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert folder_of(cell, Bench(sets[1], tmp_path / "out", "with-truth")) != one
