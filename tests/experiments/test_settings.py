from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

import pytest

from cuemask.experiments.plan import Split, rows_of, with_diffusion
from cuemask.experiments.settings import settings_of, settings_of_rows
from cuemask.recipe import DEFAULT, LESION, PAPER, RELEASED, Recipe, load_recipe

SPLIT = Split(((("a",), ("b",)), (("b",), ("a",))))
ALL_CUES = "cues.use=color,contour,motion,objectness,location,shape"
FROM_CHANCE = load_recipe("default", ("network.start=chance", ALL_CUES))  # so that the network may have any form
FULL = with_diffusion(FROM_CHANCE)  # all cues, both terms, every step of anchors and masks
NOT_OF_DEFAULT = {
    ("network", "weights"),
    ("network", "skips"),
    ("masks", "otsu_range"),
    ("network", "start"),
    ("network", "class_names"),
}  # `FULL` has no use of them
SECTIONS = ("input", "cues", "anchors", "network", "features", "losses", "masks")
FIELDS = [(section, field.name) for section in SECTIONS for field in dataclasses.fields(getattr(FULL, section))]


def changed(section: str, key: str) -> Recipe:
    """`FULL` with another value of one field."""
    part = getattr(FULL, section)
    value, kind = getattr(part, key), get_type_hints(type(part))[key]
    other: Any
    if isinstance(value, bool):
        other = not value
    elif key == "blob_connectivity":
        other = 4
    elif key == "own":
        other = ("mine:0.5",)
    elif isinstance(value, (int, float)):
        other = value + 1 if isinstance(value, int) else value / 2 or 0.5
    elif isinstance(value, tuple):
        other = value[:-1]
    else:
        other = next((word for word in get_args(kind) if word != value), "other.safetensors")
    return dataclasses.replace(FULL, **{section: dataclasses.replace(part, **{key: other})})


@pytest.mark.parametrize(("section", "key"), [f for f in FIELDS if f not in NOT_OF_DEFAULT])
def test_every_choice_of_losses_features_threshold_cues_and_network_is_told(section, key):
    before, after = settings_of(FULL), settings_of(changed(section, key))
    assert before != after


@pytest.mark.parametrize("setting", ["weights=random", "skips=before", "normalization=none"])
def test_what_concerns_an_encoder_is_told(setting):
    other = load_recipe("released", (f"network.{setting}",))
    assert settings_of(RELEASED)["network"] != settings_of(other)["network"]


def test_the_say_of_shape_is_told_where_it_has_one():
    shaped = load_recipe("default", ("cues.use=color,shape",))
    weighed = load_recipe("default", ("cues.use=color,shape", "cues.shape_weight=2"))
    assert settings_of(shaped)["anchors"] != settings_of(weighed)["anchors"]


def test_a_start_from_the_drawn_network_is_told():
    chance, drawn = load_recipe("default", ("network.start=chance",)), load_recipe("default")
    assert settings_of(chance)["network"] != settings_of(drawn)["network"]


def test_under_otsu_the_range_of_its_levels_is_told():
    unit = load_recipe("paper", ("masks.otsu_range=unit",))
    assert settings_of(PAPER)["threshold"] != settings_of(unit)["threshold"]


@pytest.mark.parametrize(
    "setting",
    ["frames=apart", "steps=7", "pairs_per_step=7", "pairing=random", "learning_rate=0.1", "schedule=cosine"],
)
def test_the_length_of_training_is_told(setting):
    assert settings_of(load_recipe("paper", (f"training.{setting}",))) != settings_of(PAPER)


def test_what_does_not_come_into_play_is_not_told():
    margins = load_recipe("default", ("losses.foreground_margin=0.7", "features.extractor=vgg16"))
    off = dataclasses.replace(
        margins, losses=dataclasses.replace(margins.losses, foreground_weight=0.0, background_weight=0.0)
    )
    told = settings_of(off)
    assert "no diffusion" in told["losses"]
    assert "0.7" not in told["losses"]
    assert not told["features of diffusion"]
    assert settings_of(PAPER)["anchors"] == "plain products"
    single = load_recipe("default", ("cues.use=objectness",))
    assert "color" not in " ".join(settings_of(single).values())
    assert "sharpened" not in settings_of(single)["anchors"]


def test_table_1_says_once_what_is_shared_and_the_losses_row_by_row():
    told = settings_of_rows(rows_of("table1", SPLIT, PAPER))
    assert told.shared["features of diffusion"] == "VGG16 relu5_3, linear interpolation"
    assert told.shared["threshold"] == "Otsu, own range"
    assert [list(own) for _, own in told.own] == [["losses"]] * 4
    assert "no diffusion" in told.own[0][1]["losses"]
    assert "foreground diffusion 1 (margin 0.2), background diffusion 1 (margin 0.8)" in told.own[3][1]["losses"]


def test_rows_beside_the_papers_figures_are_told_together_and_the_recipe_as_it_is_apart():
    told = settings_of_rows(rows_of("table2", SPLIT, DEFAULT))
    (beside, of_paper), (own, of_own) = told.own
    assert (beside, own) == (("rows beside the paper's figures",), ("default as it is",))
    assert of_paper["anchors"] == "plain products"
    assert "exponents color 0.5" in of_own["anchors"]
    assert told.shared["threshold of anchors"] == "Otsu"
    assert "cues" not in of_paper  # they stand at the left of each row
    assert "  - anchors: plain products" in told.lines()


def test_a_table_of_one_recipe_says_all_of_it_once():
    assert settings_of_rows(rows_of("table3", SPLIT, PAPER)).own == ()
    assert {rows for rows, _ in settings_of_rows(rows_of("table4", SPLIT, LESION)).own} == {
        ("rows beside the paper's figures",),
        ("lesion",),
    }
