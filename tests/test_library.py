"""The front door: what `import cuemask` gives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import cuemask
from cuemask.cli import main
from cuemask.errors import CuemaskError, EvaluationError, InputError, RecipeError
from cuemask.inference.drawn import DrawnModel
from cuemask.library.models import Model
from cuemask.media.masks import read_mask
from cuemask.phantom.layouts import write_layout
from cuemask.recipe import DEFAULT
from cuemask.runs.options import Options
from tests.tiny import TINY

SECTIONS: dict[str, Any] = {"masks": {"threshold": "otsu"}, "set": TINY}


@pytest.fixture(scope="module")
def op(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of six small frames, with `masks` beside it."""
    folder = tmp_path_factory.mktemp("op")
    scene = cuemask.phantom.PhantomScene(seed=1, height_px=64, width_px=96)
    files = cuemask.phantom.write_phantom(folder / "phantom", 6, scene)
    files.video.rename(folder / "op.mp4")
    files.masks.rename(folder / "masks")
    return folder / "op.mp4"


@pytest.fixture(scope="module")
def run(op: Path) -> cuemask.Run:
    """What a tiny network found in it."""
    return cuemask.segment(str(op), out=op.parent / "run", save_probability=True, **SECTIONS)


def test_importing_it_loads_no_library_and_every_name_is_there() -> None:
    code = "import sys, cuemask; print([n for n in ('torch', 'numpy', 'cv2', 'click', 'typing') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, env=_path())
    assert done.stdout.strip() == "[]", done.stderr
    assert dir(cuemask) == sorted(cuemask.__all__)
    assert all(getattr(cuemask, name) is not None for name in cuemask.__all__)
    with pytest.raises(AttributeError, match="segmant"):
        _ = cuemask.segmant  # pyright: ignore


def test_report_is_the_function_whatever_imports_the_room_of_that_name() -> None:
    import cuemask.report.page

    assert callable(cuemask.report)
    assert cuemask.cues.color is not sys.modules["cuemask.cues.color"]


def test_every_public_name_has_an_example() -> None:
    rooms = [cuemask, cuemask.cues, cuemask.losses]
    documented = [getattr(room, name) for room in rooms for name in room.__all__ if not name.startswith("_")]
    for one in documented:
        if callable(one) and not isinstance(one, type(cuemask)) and one.__name__ not in ("Regions", "Anchors"):
            assert ">>>" in (one.__doc__ or ""), one


def test_masks_are_those_of_the_command_line(run: cuemask.Run, op: Path) -> None:
    out = op.parent / "by-command"
    words = ["segment", str(op), "--out", str(out), "--quiet", "--no-overlay", "--no-report"]
    words += ["--set", "masks.threshold=otsu"]
    words += [word for setting in TINY for word in ("--set", setting)]
    assert CliRunner().invoke(main, words).exit_code == 0
    names = sorted(path.name for path in (out / "op" / "masks").iterdir())
    assert names == [f"{name}.png" for name in run.clips[0].frames]
    for name in names:
        assert (out / "op" / "masks" / name).read_bytes() == (run.folder / "op" / "masks" / name).read_bytes()


@pytest.mark.parametrize("given", ["run", "file", "drawn"])
def test_a_loaded_model_gives_the_masks_of_predict(run: cuemask.Run, op: Path, tmp_path: Path, given: str) -> None:
    model = {"run": run, "file": run.folder / "model.safetensors", "drawn": "drawn"}[given]
    expected = dict(cuemask.predict(model, op, out=tmp_path / "out", overlay=False, report=False).clips[0].masks())
    rgb = [frame.rgb for frame in cuemask.frames(op)]
    loaded = cuemask.load(model)
    np.testing.assert_array_equal(np.stack(list(loaded(iter(rgb)))), np.stack(list(expected.values())))
    np.testing.assert_array_equal(loaded(np.stack(rgb)), np.stack(list(expected.values())))
    one = loaded(rgb[2], crop=(0, 0, 64, 96))
    assert one.dtype == np.bool_
    assert (one == expected["000002"]).mean() > 0.99, "one picture alone differs by rounding only"


def test_a_model_finds_the_endoscopes_picture_or_takes_the_crop() -> None:
    model = Model(DrawnModel(replace(DEFAULT, name="drawn")), "drawn")
    framed = np.zeros((80, 120, 3), np.uint8)
    framed[8:72, 12:108] = np.random.default_rng(0).integers(60, 255, (64, 96, 3))
    inner = model.probability(framed[8:72, 12:108])
    found, given = model.probability(framed), model.probability(framed, crop=(8, 12, 64, 96))
    np.testing.assert_array_equal(given[8:72, 12:108], inner)
    np.testing.assert_array_equal(found, given)
    assert given.sum() == given[8:72, 12:108].sum(), "nothing outside the picture"
    assert not model(np.zeros((80, 120, 3), np.uint8)).any(), "all black is the whole picture, and no error"
    assert list(model([])) == []


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.float32), np.zeros((4, 6, 4), np.uint8)],
    ids=["grey", "float", "alpha"],
)
def test_what_is_no_picture_is_told_with_what_is_wanted(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"is no picture.*\n.*uint8 in RGB"):
        cuemask.load("drawn")(wrong)


def test_pictures_of_two_sizes_in_one_stream_are_refused() -> None:
    sizes = iter([np.full((8, 8, 3), 99, np.uint8), np.full((8, 10, 3), 99, np.uint8)])
    with pytest.raises(InputError, match="one stream"):
        list(cuemask.load("drawn")(sizes))


def test_a_run_gives_what_lies_in_its_folder(run: cuemask.Run) -> None:
    (clip,) = run.clips
    assert clip.frames == tuple(f"{i:06}" for i in range(6))
    written = read_mask(run.folder / "op" / "masks" / "000003.png")
    np.testing.assert_array_equal(clip.mask("000003"), written > 0)
    np.testing.assert_allclose(clip.probability("000003") * 255, read_mask(run.folder / "op/probability/000003.png"))
    lines = (run.folder / "op" / "confidence.csv").read_text().splitlines()[1:]
    told = [[float(value) for value in line.split(",")[1:]] for line in lines]
    np.testing.assert_allclose(np.stack([clip.confidence, clip.share], 1), told, rtol=1e-6)
    assert (run.command, run.is_complete, run.recipe.masks.threshold) == ("segment", True, "otsu")
    assert run.page.is_file()
    with pytest.raises(InputError, match="Did you mean 000003"):
        clip.mask("00003")


def test_probabilities_that_were_not_saved_name_the_remedy(op: Path, tmp_path: Path) -> None:
    made = cuemask.predict("drawn", op, out=tmp_path / "out", overlay=False, report=False)
    with pytest.raises(InputError, match="save_probability=True"):
        made.clips[0].probability("000000")


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        cuemask.Run(tmp_path)


def test_evaluation_is_that_of_the_command_line_and_kept_in_the_run(run: cuemask.Run, op: Path) -> None:
    found = cuemask.evaluate(run, str(op.parent / "masks"))
    words = ["evaluate", str(run.folder), str(op.parent / "masks"), "--json"]
    assert f'"mean": {found.iou_mean}' in CliRunner().invoke(main, words).stdout
    assert (run.folder / "evaluation.json").is_file()


def test_a_data_set_is_an_input_and_a_truth(tmp_path: Path) -> None:
    write_layout("folders", tmp_path / "set", recordings=1, frames=3)
    known = cuemask.read_dataset("folders", str(tmp_path / "set"))
    made = cuemask.predict("drawn", known, out=tmp_path / "out", overlay=False, report=False)
    assert len(cuemask.evaluate(made, known).frames) == 3
    with pytest.raises(EvaluationError, match="a data set knows its own codes"):
        cuemask.evaluate(made, known, positive=[1])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"trainng": {"steps": 2}}, "Did you mean training?"),
        ({"training": {"stepz": 2}}, "Did you mean training.steps?"),
        ({"training": 25}, "training is a section"),
        ({"set": ["training.steps=no"]}, "training.steps = 'no'"),
        ({"device": "gpu"}, "device 'gpu' is none of auto, cpu, cuda"),
        ({"overlay_style": "outlin"}, "Did you mean outline?"),
        ({"seed": -1}, "seed -1"),
        ({"recipe": "fsat"}, "Did you mean fast?"),
        ({"every": 0}, "every"),
    ],
)
def test_a_wrong_setting_is_our_error_and_leaves_no_trace(
    op: Path, tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(CuemaskError) as error:
        cuemask.segment(op, out=tmp_path / "out", **settings)
    assert says in str(error.value)
    assert not (tmp_path / "out").exists()


def test_what_concerns_learning_is_no_setting_of_predict(op: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown setting 'training'"):
        cuemask.predict("drawn", op, out=tmp_path / "out", training={"steps": 2})  # pyright: ignore


def test_options_take_strings_and_paths_and_hold_paths() -> None:
    assert Options(out="x") == Options(Path("x"))
    assert Options("x").out / "y" == Path("x/y")
    assert replace(Options("x"), seed=3).out == Path("x")
    assert repr(Options("x")).startswith(f"Options(out={Path('x')!r}")
    with pytest.raises(TypeError):
        Options()  # pyright: ignore


def test_settings_of_a_section_and_single_ones_are_applied_together() -> None:
    recipe = cuemask.load_recipe(DEFAULT, ["training.steps=7"], {"training": {"steps": 5, "flip": False}})
    assert (recipe.training.steps, recipe.training.flip) == (7, False)
    assert cuemask.load_recipe(recipe) == recipe


def test_what_is_shown_is_short_and_in_notebooks_one_page_that_loads_nothing(run: cuemask.Run, op: Path) -> None:
    shown = [run, *run.clips, run.model, run.recipe, cuemask.evaluate(run, op.parent / "masks"), cuemask.verify(run)]
    for one in shown:
        assert len(repr(one)) < 300, one
    for one in shown[:-1]:
        html = one._repr_html_()
        assert html.count("<table>") == 1
        assert len(html) < 200_000
        assert "http" not in html
        assert 'src="data:image/jpeg;base64,' in html or "<img" not in html
    assert "<img" in run._repr_html_()


def test_names_are_escaped_in_notebooks(tmp_path: Path, op: Path) -> None:
    made = cuemask.predict("drawn", op, out=tmp_path / "<b>", overlay=False, report=False)
    assert "<b>" not in made._repr_html_()
    assert "&lt;b&gt;" in made._repr_html_()


def _path() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(cuemask.__file__).parents[1])}
