from __future__ import annotations

import dataclasses
import json

import pytest

from cuemask.errors import RecipeError
from cuemask.recipe import (
    DEFAULT,
    FAST,
    NAMED,
    PAPER,
    RELEASED,
    load_recipe,
    recipe_as_mapping,
    recipe_as_toml,
    recipe_from_mapping,
)


@pytest.mark.parametrize("recipe", NAMED.values(), ids=lambda r: r.name)
def test_a_recipe_survives_toml_and_mapping(recipe, tmp_path):
    file = tmp_path / f"{recipe.name}.toml"
    file.write_text(recipe_as_toml(recipe))
    assert load_recipe(str(file)) == recipe
    assert recipe_from_mapping(recipe_as_mapping(recipe)) == recipe


def test_a_file_starts_from_its_base_and_is_named_after_itself(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('base = "paper"\n[training]\nsteps = 7\n')
    recipe = load_recipe(str(file))
    changed = dataclasses.replace(PAPER, name="mine", training=dataclasses.replace(PAPER.training, steps=7))
    assert recipe == changed


def test_settings_take_toml_values_and_bare_words():
    recipe = load_recipe(
        "default",
        ["training.steps=12", "training.learning_rate=1", "masks.threshold=0.4", "cues.use=color,location"],
    )
    assert recipe.training.steps == 12
    assert recipe.training.learning_rate == 1.0
    assert recipe.masks.threshold == 0.4
    assert recipe.cues.use == ("color", "location")
    assert load_recipe("default", ["masks.threshold=otsu", "features.weights=/x/y.pth"]).features.weights == "/x/y.pth"


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("training.step=3", "training.steps"),
        ("trainin.steps=3", "training"),
        ("losses.anchor_form=lin", "linear"),
        ("training.steps=1.5", "int"),
        ("training.flip=1", "bool"),
        ("training.steps=true", "int"),
        ("masks.threshold=2", "otsu or"),
        ("training.steps=0", "at least 1"),
        ("cues.use=color,color", "each once"),
        ("cues.use=colour", "color"),
        ("cues.dark=-1", "from 0 to 100"),
        ("cues.dark=101", "from 0 to 100"),
        ("cues.color_weight=0", "above 0"),
        ("cues.contour_weight=0", "above 0"),
        ("cues.motion_weight=-0.5", "above 0"),
        ("cues.objectness_weight=0", "above 0"),
        ("cues.location_weight=0", "above 0"),
        ("cues.use=countour", "contour"),
        ("cues.superpixel_cost=0", "above 0"),
        ("cues.shape_weight=0", "above 0"),
        ("anchors.positive_power=0", "above 0"),
        ("network.depth=3", "depth 4"),
        ("network.dropout=1", "from 0 to below 1"),
        ("network.mirror_px=256", "below the picture"),
        ("network.skips=behind", "after"),
        ("masks.blob_connectivity=6", "of 4 or 8"),
        ("training.frames=both", "together"),
        ("anchors.threshold=clips", "clip"),
        ("anchors.threshold=0.5", "frame or clip"),
        ("anchors.least_contour=1", "from 0 to below 1"),
        ("anchors.least_contour=-0.1", "from 0 to below 1"),
        ("anchors.sharpness=-1", "at least 0"),
        ("steps", "section.key=value"),
        ("training=3", "section.key=value"),
    ],
)
def test_wrong_settings_name_the_nearest_right_one(setting, hint):
    with pytest.raises(RecipeError, match=hint):
        load_recipe("default", [setting])


def test_settings_are_judged_together_and_the_later_of_two_counts():
    one = load_recipe("default", ["network.depth=3", "network.start=chance"])
    assert one == load_recipe("default", ["network.start=chance", "network.depth=2", "network.depth=3"])
    assert (one.network.depth, one.network.start) == (3, "chance")


def test_fast_reads_less_than_a_quarter_of_the_default_s_pixels():
    def pixels_read(recipe):
        frames = recipe.training.steps * recipe.training.pairs_per_step
        return frames * recipe.input.height_px * recipe.input.width_px

    assert 4 * pixels_read(FAST) < pixels_read(DEFAULT)
    assert FAST.network == DEFAULT.network
    assert FAST.cues == DEFAULT.cues


def test_neither_the_paper_nor_the_released_recipe_uses_what_is_ours():
    for recipe in (PAPER, RELEASED):
        assert not {"contour", "motion"} & set(recipe.cues.use)
        assert (recipe.cues.dark, recipe.anchors.sharpness, recipe.anchors.least_contour) == (0, 0, 0)
        assert recipe.anchors.threshold == "frame"


def test_an_unknown_recipe_suggests_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean paper"):
        load_recipe("papper")


def test_a_damaged_file_is_named(tmp_path):
    file = tmp_path / "r.toml"
    file.write_text("[training\n")
    with pytest.raises(RecipeError, match=r"r\.toml: not a TOML file"):
        load_recipe(str(file))


def test_the_paper_recipe_holds_the_papers_numbers():
    losses = PAPER.losses
    assert (losses.foreground_margin, losses.background_margin) == (0.2, 0.8)
    assert (losses.positive_weight, losses.negative_weight) == (1, 1)
    assert (losses.foreground_weight, losses.background_weight) == (1, 1)
    assert losses.anchor_form == "linear"
    assert PAPER.features.extractor == RELEASED.features.extractor == "vgg16"
    assert (PAPER.network.architecture, PAPER.network.width, PAPER.network.depth) == ("unet", 64, 4)
    assert PAPER.masks.threshold == "otsu"
    assert set(PAPER.cues.use) == {"color", "objectness", "location"}
    assert DEFAULT.features.extractor == "drawn"


def test_released_has_the_published_settings():
    """The published configuration, on the paper's scale; what the code fixes besides."""
    r = RELEASED
    assert (r.input.height_px, r.input.width_px) == (512, 640)
    assert (r.network.architecture, r.network.normalization, r.network.skips) == ("resnet18_unet", "batch", "after")
    assert (r.features.extractor, r.features.normalize_pixels, r.features.interpolation) == ("vgg16", True, "cubic")
    assert (r.losses.anchor_form, r.losses.positive_weight, r.losses.negative_weight) == ("log", 1.5, 1.0)
    assert (r.losses.foreground_margin, r.losses.background_margin) == (2 * 0.05, 2 * 0.45)
    assert (r.losses.foreground_weight, r.losses.background_weight) == (0.5 / 2, 2 / 2)
    t = r.training
    assert (t.learning_rate, t.schedule, t.pairs_per_step, t.frames) == (5e-4, "constant", 6, "apart")
    assert (t.crop_smallest, t.flip) == (0.85, True)
    assert (t.brightness, t.contrast, t.saturation, t.hue) == (0.1, 0.1, 0.01, 0.01)
    assert t.steps == pytest.approx(6 * 8 * 224 / 6, rel=0.01)  # six passes over the pairs of eight videos
    assert r.anchors.smoothing == 4
    assert (r.masks.blob_connectivity, r.masks.height_px) == (4, 0)
    assert r.masks.smallest_blob * 1024 * 1280 == pytest.approx(10_000)


def test_isic_is_the_papers_recipe_but_for_section_3_5():
    isic = NAMED["isic"]
    changed = {
        f"{section}.{key}"
        for section, values in recipe_as_mapping(isic).items()
        if section != "name"
        for key, value in values.items()
        if value != recipe_as_mapping(PAPER)[section][key]
    }
    assert changed == {"input.area", "cues.use", "cues.location", "training.pairing"}


@pytest.mark.parametrize(("text", "value"), [(".5", 0.5), ("2.", 2.0), ("+.5", 0.5), ("1e-3", 1e-3)])
def test_numbers_may_be_written_as_people_write_them(text, value):
    assert load_recipe("paper", [f"losses.foreground_weight={text}"]).losses.foreground_weight == value


@pytest.mark.parametrize(
    "text", ["x = " + "[" * 5000, "x = " + "{a=" * 5000, "base = []", "x = " + "1" * 5000, "\udc80"]
)
def test_files_that_no_recipe_can_be_read_from_are_refused(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text, errors="surrogateescape")
    with pytest.raises(RecipeError):
        load_recipe(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    "value", ["[" * 5000, "[" * 90 + "]" * 90, "{a=" * 5000, "1" * 5000, "1" * 400, "-" + "1" * 400]
)
def test_values_that_no_field_can_have_are_refused(value):
    for field in ("cues.use", "training.learning_rate"):
        with pytest.raises(RecipeError):
            load_recipe("default", [f"{field}={value}"])


def test_a_recipe_of_too_long_a_name_is_no_file():
    with pytest.raises(RecipeError, match="nor a file"):
        load_recipe("e" * 300)


def test_names_of_classes_are_as_many_as_the_classes():
    with pytest.raises(RecipeError, match=r"network\.class_names"):
        load_recipe("default", ["network.classes=3", 'network.class_names=["hook"]'])
    recipe = load_recipe("default", ["network.classes=2", 'network.class_names=["hook", "scissors"]'])
    assert recipe.network.outputs == 3
    assert load_recipe("default").network.outputs == 1
    assert recipe_from_mapping(json.loads(json.dumps(recipe_as_mapping(recipe)))) == recipe
    with pytest.raises(RecipeError, match=r"network\.classes"):
        load_recipe("default", ["network.classes=0"])
