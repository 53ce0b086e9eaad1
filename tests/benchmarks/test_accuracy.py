from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from benchmarks.accuracy import REDUCED, able, chosen_cases, contestant, minutes_left, write_results
from benchmarks.accuracy_tables import correlations, markdown, spearman
from benchmarks.cells import Cell, differences, load_cells, run_cell
from benchmarks.clips import (
    PHANTOMS,
    Case,
    Phantom,
    Source,
    endovis_together,
    masks_of_run,
    phantom_case,
    train_test_cases,
    true_masks,
)
from benchmarks.scores import METHODS, NETWORK, FrameScore, confidences
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import cells as cells_module
from cuemask.media.masks import read_mask, write_mask
from cuemask.phantom import PhantomScene
from cuemask.recipe import Recipe, load_recipe, recipe_as_mapping
from cuemask.runs.options import Options

SMALL = Phantom("phantom_small", PhantomScene(seed=3, height_px=64, width_px=80), frames=4)
SMALL_SETTINGS = ("input.height_px=48", "input.width_px=64", "cues.objectness_windows=20")
RECIPE = load_recipe("default", SMALL_SETTINGS)


def cell(label: str, case: str, seed: int, iou: float, *, minutes: float = 1.0, **recipe: str) -> Cell:
    figures = dict.fromkeys(METHODS, (0.1, 0.2, 0.3)) | {NETWORK: (iou, iou, iou)}
    mapping = recipe_as_mapping(load_recipe(recipe.get("base", "default"), recipe.get("settings", "").split()))
    return Cell(label, case, seed, minutes, mapping, "a machine", (FrameScore(case, "0", figures),))


def row(text: str, title: str, name: str) -> list[str]:
    """The values of the row `name` in the section `title`."""
    (section,) = [part for part in text.split("\n## ") if part.startswith(title)]
    (line,) = [line for line in section.splitlines() if line.startswith(f"| {name} |")]
    return [value.strip() for value in line.split("|")[2:-1]]


@pytest.fixture
def perfect(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """`segment` that knows the truth; where it was asked to write."""
    asked: list[Path] = []

    def segment(inputs: list[str], options: Options) -> Path:
        asked.append(options.out)
        folder = options.out / "frames"
        (folder / "masks").mkdir(parents=True)
        for path in Path(inputs[0]).parent.glob("masks/*.png"):
            write_mask(folder / "masks" / path.name, read_mask(path) > 0)
        (folder / "confidence.csv").write_text("frame,confidence\n000000,0.75\n000005,0.5\n")
        return options.out

    monkeypatch.setattr(cells_module, "segment", segment)
    return asked


def test_a_phantom_has_a_true_mask_for_every_frame(tmp_path):
    case = phantom_case(SMALL, tmp_path)
    frames = sorted(path.stem for path in Path(case.inputs[0]).iterdir())
    assert frames == ["000000", "000005", "000010", "000015"]
    masks = true_masks(case)
    assert list(masks) == [("frames", name) for name in frames]
    np.testing.assert_array_equal(masks["frames", "000005"], SMALL.scene.frame(5).mask)


def test_a_phantom_is_drawn_again_only_when_its_description_changes(tmp_path):
    phantom_case(SMALL, tmp_path)
    picture = tmp_path / "frames" / "000000.png"
    picture.write_bytes(b"")
    phantom_case(SMALL, tmp_path)
    assert picture.read_bytes() == b""
    case = phantom_case(replace(SMALL, first=1, frames=2), tmp_path)
    assert sorted(path.name for path in picture.parent.iterdir()) == ["000001.png", "000006.png"]
    assert len(true_masks(case)) == 2


def test_a_third_of_the_frames_of_the_leaving_phantom_is_without_instrument():
    (leaving,) = [phantom for phantom in PHANTOMS if phantom.name == "phantom_leaving"]
    scene = replace(leaving.scene, height_px=64, width_px=80)  # the same scene, smaller
    assert sum(not scene.frame(t).mask.any() for t in leaving.numbers) == 6


def test_the_phantoms_differ_in_name_and_seed_and_have_16_frames_each():
    assert len({phantom.name for phantom in PHANTOMS}) == len({p.scene.seed for p in PHANTOMS}) == len(PHANTOMS) == 9
    assert {len(phantom.numbers) for phantom in PHANTOMS} == {16}


def test_clips_that_share_a_folder_name_are_told_apart_when_together(tmp_path):
    single = []
    for name in ("endovis_a", "endovis_b", "other"):
        (source,) = phantom_case(replace(SMALL, name=name, frames=2), tmp_path / name).sources
        single.append(Case(name, (source,)))
    both = endovis_together(single)
    truth = true_masks(both)
    assert {clip for clip, _ in truth} == {"endovis_a_frames", "endovis_b_frames"}
    for (clip, frame), mask in truth.items():
        (tmp_path / "run" / clip / "masks").mkdir(parents=True, exist_ok=True)
        write_mask(tmp_path / "run" / clip / "masks" / f"{frame}.png", mask)
    found = masks_of_run(both, tmp_path / "run")
    assert found.keys() == truth.keys()
    assert all((found[key] == truth[key]).all() for key in truth)


def test_masks_of_several_instruments_and_codes_are_put_together(tmp_path):
    for name, codes in (("a", [[5, 0, 0]]), ("b", [[0, 7, 9]])):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.array(codes, np.uint8))
    files = (("0", (str(tmp_path / "a.png"), str(tmp_path / "b.png"))),)
    assert Source("", files).masks()["0"].tolist() == [[True, True, True]]
    assert Source("", files, (5, 9)).masks()["0"].tolist() == [[True, False, True]]


def test_a_run_is_scored_kept_and_not_run_again(tmp_path, perfect):
    case = phantom_case(SMALL, tmp_path / "phantom")
    first = run_cell(RECIPE, "default", case, 0, tmp_path)
    assert [frame.frame for frame in first.frames] == ["000000", "000005", "000010", "000015"]
    assert [frame.confidence for frame in first.frames] == [0.75, 0.5, None, None]
    assert first.frames[0].figures.keys() == set(METHODS)
    assert first.mean() == first.mean(figure="boundary_f") == 1.0
    assert 0 < first.mean("color") < 1
    assert not perfect[0].exists()
    sheet = cv2.imread(str(tmp_path / "sheets" / "default_phantom_small.png"))
    assert sheet.shape[1] == 5 * 240 + 4 * 4
    second = run_cell(RECIPE, "another name", case, 0, tmp_path)
    assert len(perfect) == 1
    assert second == replace(first, label="another name", frames=second.frames)
    assert second.mean("color") == pytest.approx(first.mean("color"), abs=1e-6)


def test_another_seed_or_setting_or_again_runs(tmp_path, perfect):
    case = phantom_case(SMALL, tmp_path / "phantom")
    run_cell(RECIPE, "default", case, 0, tmp_path)
    run_cell(RECIPE, "default", case, 1, tmp_path)
    run_cell(replace(RECIPE, training=replace(RECIPE.training, steps=7)), "other", case, 0, tmp_path)
    run_cell(RECIPE, "default", case, 0, tmp_path, again=True, keep_run=True)
    assert len(perfect) == 4
    assert (perfect[-1] / "frames" / "masks").is_dir()
    assert sorted((found.label, found.seed) for found in load_cells(tmp_path)) == [
        ("default", 0),
        ("default", 1),
        ("other", 0),
    ]


def test_a_field_that_recipes_have_got_since_changes_no_older_cell(tmp_path, perfect, monkeypatch):
    case = phantom_case(SMALL, tmp_path / "phantom")
    whole = cells_module.recipe_as_mapping

    def older(recipe: Recipe) -> dict[str, Any]:
        mapping = whole(recipe)
        del mapping["masks"]["refinement_radius"]  # as if that field were new; RECIPE has it as its type does
        return mapping

    with monkeypatch.context() as before:
        before.setattr(cells_module, "recipe_as_mapping", older)
        run_cell(RECIPE, "default", case, 0, tmp_path)
    run_cell(RECIPE, "default", case, 0, tmp_path)
    run_cell(replace(RECIPE, name="the same by another name"), "default", case, 0, tmp_path)
    assert len(perfect) == 1
    run_cell(replace(RECIPE, masks=replace(RECIPE.masks, refinement_radius=0.02)), "other", case, 0, tmp_path)
    assert len(perfect) == 2
    run_cell(RECIPE, "default", case, 1, tmp_path)
    assert [(found.label, found.seed) for found in load_cells(tmp_path)] == [
        ("default", 0),
        ("other", 0),
        ("default", 1),
    ]


def test_cells_of_another_drawn_network_are_run_again_where_it_has_a_say(tmp_path, perfect, monkeypatch):
    case = phantom_case(SMALL, tmp_path / "phantom")
    plain = load_recipe("paper", SMALL_SETTINGS)
    for weights in (b"one", b"one", b"another"):
        (tmp_path / "weights").write_bytes(weights)
        monkeypatch.setattr(cells_module, "WEIGHTS", tmp_path / "weights")
        run_cell(RECIPE, "default", case, 0, tmp_path)
        run_cell(plain, "paper", case, 0, tmp_path)
    assert len(perfect) == 3
    assert sorted(found.label for found in load_cells(tmp_path)) == ["default", "paper"]


def test_cells_of_a_recipe_that_has_changed_since_are_not_shown(tmp_path, perfect):
    case = phantom_case(SMALL, tmp_path / "phantom")
    run_cell(RECIPE, "default", case, 0, tmp_path)
    run_cell(RECIPE, "fast", case, 0, tmp_path)
    changed = replace(RECIPE, anchors=replace(RECIPE.anchors, sharpness=1.0))
    run_cell(changed, "default", case, 1, tmp_path)
    assert [(found.label, found.seed) for found in load_cells(tmp_path)] == [("default", 1)]


def test_a_frame_with_truth_that_the_clip_lacks_is_an_error(tmp_path, perfect):
    case = phantom_case(SMALL, tmp_path / "phantom")
    (tmp_path / "phantom" / "frames" / "000005.png").unlink()
    with pytest.raises(ValueError, match="no frame 000005"):
        run_cell(RECIPE, "default", case, 0, tmp_path)
    assert load_cells(tmp_path) == []


def test_a_clip_without_confidences_has_none(tmp_path):
    assert confidences(tmp_path) == {}


def test_tables_give_mean_and_deviation_over_seeds_and_means_over_groups():
    text = markdown(
        [
            cell("fast", "endovis17_dataset4", 0, 0.5, base="fast"),
            cell("default", "endovis17_dataset4", 0, 0.6, minutes=2.0),
            cell("default", "endovis17_dataset4", 1, 0.8, minutes=4.0),
            cell("default", "segcol_sequence", 0, 0.2),
            cell("default", "segcol_sequence", 1, 0.2),
            cell("default", "endovis_together", 0, 0.9),
            cell("default", "phantom_smoke", 0, 1.0),
        ]
    )
    title = "IoU of the network's masks"
    assert f"## {title}\n\n| clip | colour under Otsu (default) | default | fast |" in text
    assert row(text, title, "endovis17_dataset4") == ["0.100 ± 0.000", "**0.700** ± 0.141", "0.500 (1 of 2)"]
    assert row(text, title, "segcol_sequence") == ["0.100 ± 0.000", "**0.200** ± 0.000", ""]
    assert row(text, title, "phantom_smoke") == ["0.100 (1 of 2)", "**1.000** (1 of 2)", ""]
    assert row(text, title, "**mean over 2 real clips**") == ["0.100 ± 0.000", "**0.450** ± 0.071", ""]
    assert "mean over 1" not in text
    assert text.index("| endovis_together") < text.index("| segcol_sequence") < text.index("| phantom_smoke")
    assert row(text, "Minutes", "endovis17_dataset4") == ["3.00 ± 1.41", "1.00 (1 of 2)"]
    assert row(text, "Boundary", "segcol_sequence")[0] == "**0.300** ± 0.000"
    assert "## Confidence" not in text
    assert "## What was changed" not in text


def test_groups_count_frames_with_an_instrument_and_say_how_many_of_the_others_are_empty():
    bare = FrameScore("a", "1", dict.fromkeys(METHODS, (0.0, 0.0, 0.0)), None, instrument=False)
    empty = replace(bare, figures=dict.fromkeys(METHODS, (1.0, 1.0, 1.0)))
    first = cell("default", "endoscapes_seg50", 0, 0.4)
    second = cell("default", "endoscapes_seg50", 1, 0.6)
    text = markdown(
        [
            replace(first, frames=(*first.frames, bare, empty)),
            replace(second, frames=(*second.frames, empty)),
            cell("default", "endoscapes_seg50_half", 0, 0.7),
            cell("default", "endovis_together", 0, 0.3),
            cell("default", "segcol_sequence_from_others", 0, 0.2),
            *(cell("default", phantom.name, 0, 0.9) for phantom in PHANTOMS),
        ]
    )
    title = "Groups"
    assert row(text, title, "Endoscapes, single stage")[1] == "0.500 ± 0.141 (2 of 3 empty)"
    assert row(text, title, "EndoVis, single stage") == ["0.100 (1 of 2)", "0.300 (1 of 2)"]
    assert row(text, title, "phantoms, single stage")[1] == "0.900 (1 of 2)"
    assert row(text, title, "Endoscapes, learnt from half of its operations")[1] == "0.700 (1 of 2)"
    assert row(text, title, "SegCol, learnt from the other groups")[1] == "0.200 (1 of 2)"
    assert "CholecSeg8k" not in text
    assert text.index("| endoscapes_seg50 |") < text.index("| segcol_sequence_from_others |")


def test_train_test_cases_learn_from_all_other_groups_and_from_half_of_the_operations():
    def case(name: str, clips: int) -> Case:
        return Case(name, tuple(Source(f"{name}/{n}", ()) for n in range(clips)))

    singles = [case("endovis18_sequence", 1), case("endovis_together", 3), case("endoscapes_seg50", 3)]
    found = {one.name: one for one in train_test_cases(singles)}
    assert found.keys() == {"endovis_together_from_others", "endoscapes_seg50_from_others", "endoscapes_seg50_half"}
    assert found["endovis_together_from_others"].lessons == singles[2].sources
    assert found["endovis_together_from_others"].sources == singles[1].sources
    half = found["endoscapes_seg50_half"]
    assert [s.input for s in half.lessons] == ["endoscapes_seg50/0", "endoscapes_seg50/2"]
    assert half.inputs == ["endoscapes_seg50/1"]
    assert train_test_cases([singles[1]]) == []


def test_a_train_test_cell_predicts_with_what_its_lessons_taught(tmp_path, monkeypatch):
    (scored,) = phantom_case(SMALL, tmp_path / "scored").sources
    (lesson,) = phantom_case(replace(SMALL, first=100), tmp_path / "lesson").sources
    recipe = load_recipe("default", [*SMALL_SETTINGS, "training.steps=1", "training.pairs_per_step=1"])
    learnt: list[list[str]] = []
    original = cells_module.train

    def train(inputs, options):
        learnt.append(inputs)
        return original(inputs, options)

    monkeypatch.setattr(cells_module, "train", train)
    found = run_cell(recipe, "default", Case("x_from_others", (scored,), (lesson,)), 0, tmp_path)
    assert learnt == [[lesson.input]]
    assert len(found.frames) == 4


def test_no_cell_gives_a_document_that_says_so():
    assert "No cell yet" in markdown([])


def test_what_a_label_changes_is_stated_and_files_go_by_their_names():
    text = markdown([cell("paper (reduced)", "a", 0, 0.5, base="paper", settings="features.weights=/x/y.pth")])
    assert "- `paper (reduced)`: features.weights=y.pth" in text
    assert differences(recipe_as_mapping(load_recipe("fast"))) == []
    assert differences(recipe_as_mapping(load_recipe("fast", ["cues.use=color,location"]))) == [
        "cues.use=color,location"
    ]


def test_results_are_valid_json_and_the_printed_table(tmp_path):
    import json

    frames = tuple(FrameScore("a", str(n), dict.fromkeys(METHODS, (0.1 * n,) * 3), 0.5) for n in range(3))
    constant = replace(cell("default", "a", 0, 0.5), frames=frames)
    write_results([constant], tmp_path / "accuracy")
    kept = json.loads((tmp_path / "accuracy.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert kept["cells"][0]["network"]["iou"] == 0.1
    assert kept["confidence"]["default"]["real"] == [None, 3]
    assert (tmp_path / "accuracy.md").read_text() == markdown([constant])


def test_confidence_is_correlated_on_real_clips_phantoms_and_all():
    def confident(case: str, pairs: list[tuple[float | None, float]]) -> Cell:
        frames = tuple(
            FrameScore(case, str(n), dict.fromkeys(METHODS, (iou,) * 3), said) for n, (said, iou) in enumerate(pairs)
        )
        return replace(cell("default", case, 0, 0.5), frames=frames)

    cells = [
        confident("real", [(0.1, 0.2), (0.2, 0.3), (None, 0.9)]),
        confident("phantom_x", [(0.5, 0.8), (0.9, 0.4)]),
    ]
    found = correlations(cells)
    assert found["real"] == (pytest.approx(1.0), 2)
    assert found["phantoms"] == (pytest.approx(-1.0), 2)
    assert found["all"] == (pytest.approx(0.8), 4)
    assert "| default | 1.000 (2) | -1.000 (2) | 0.800 (4) |" in markdown(cells)


@pytest.mark.parametrize(
    ("x", "y", "rho"),
    [
        ([1, 2, 3], [10, 100, 1000], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 2, 3, 4, 5], [5, 6, 7, 8, 7], 0.8207826816681233),  # ties: SciPy's documentation
        ([1, 1, 2, 2], [1, 2, 1, 2], 0.0),
    ],
)
def test_rank_correlations_that_are_known(x, y, rho):
    assert spearman(x, y) == pytest.approx(rho)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_rank_correlation_is_that_of_ranks_counted_one_by_one(pairs):
    x, y = ([pair[k] for pair in pairs] for k in (0, 1))
    ranks = [[sum(v < u for v in side) + sum(v == u for v in side) / 2 for u in side] for side in (x, y)]
    if min(len(set(x)), len(set(y))) < 2:
        assert math.isnan(spearman(x, y))
    else:
        assert spearman(x, y) == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-12)


def test_reduced_recipes_say_so_unless_they_are_run_whole():
    for name in REDUCED:
        reduced, whole = contestant(name, ["training.steps=7"]), contestant(name, full=True)
        assert reduced.label == f"{name} (reduced) training.steps=7"
        assert reduced.recipe.training.steps == 7
        assert reduced.recipe.features.extractor == "resnet18"
        assert (whole.label, whole.recipe) == (name, load_recipe(name))
    assert contestant("default").label == "default"


def test_a_recipe_without_its_weights_is_left_out_and_why_is_printed(capsys, tmp_path):
    absent = contestant("lesion", ["features.extractor=resnet18", f"features.weights={tmp_path / 'absent'}"])
    assert [one.label for one in able([absent, contestant("fast")])] == ["fast"]
    assert "absent: no such file of weights" in capsys.readouterr().out


def test_an_unknown_clip_is_refused_with_those_that_are_there(monkeypatch, tmp_path):
    monkeypatch.setenv("CUEMASK_DATA", str(tmp_path / "none"))
    with pytest.raises(SystemExit, match=r"no clip smoke; there are phantom_smoke, phantom_blood"):
        chosen_cases(tmp_path, wanted=["smoke"])
    (case,) = chosen_cases(tmp_path, wanted=["phantom_no_tool"])
    assert not any(mask.any() for mask in true_masks(case).values())
    assert chosen_cases(tmp_path, phantoms=False) == []


def test_time_left_goes_by_the_same_recipe_where_one_is_done():
    assert minutes_left(["a", "b"], [("a", 60.0), ("a", 180.0)]) == pytest.approx(4.0)
    assert minutes_left(["a", "b"], [("a", 60.0), ("b", 600.0)]) == pytest.approx(11.0)
    assert minutes_left(["a"], []) == 0.0
