"""Cues that people bring: maps in folders and functions, in the products of anchors like our own."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from tests.tiny import TINY

import cuemask
from cuemask.cli import main
from cuemask.cues.anchors import anchors
from cuemask.cues.clip import keep_clip
from cuemask.cues.own import FolderMaps, FunctionMaps, read_map, told_of_function
from cuemask.errors import CuemaskError, InputError, RecipeError
from cuemask.media.area import fixed_area
from cuemask.media.clips import open_clips
from cuemask.media.masks import read_mask
from cuemask.recipe import load_recipe
from cuemask.runs.again import LearningAgain
from cuemask.runs.options import Options
from cuemask.runs.own_cues import cue_of, own_maps, with_cues

HEIGHT, WIDTH = 48, 64
FRAMES = ("0", "1", "2")
SMALL = ["input.height_px=32", "input.width_px=32", "input.outside=kept", "input.text=kept", "input.area=full"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames."""
    folder = tmp_path_factory.mktemp("own") / "op"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in FRAMES:
        cv2.imwrite(str(folder / f"{name}.png"), rng.integers(60, 200, (HEIGHT, WIDTH, 3)).astype(np.uint8))
    return folder


def steps(index: int) -> np.ndarray:
    """A map: darker and brighter columns, others in each frame."""
    row = np.linspace(0, 1, WIDTH, dtype=np.float32)
    return np.tile(np.roll(row, 7 * index), (HEIGHT, 1))


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """A folder of maps: 8-bit pictures, and one as numpy's array."""
    folder = tmp_path / "maps"
    folder.mkdir()
    for index, name in enumerate(FRAMES[:2]):
        cv2.imwrite(str(folder / f"{name}.png"), np.rint(steps(index) * 255).astype(np.uint8))
    np.save(folder / "2.npy", steps(2).astype(np.float64))
    return folder


def look(pictures: Path, out: Path, *words: str) -> Any:
    settings = [word for setting in [*SMALL, 'cues.use=["color"]'] for word in ("--set", setting)]
    return CliRunner().invoke(main, ["anchors", str(pictures), "--out", str(out), "--quiet", *settings, *words])


def test_a_cue_of_a_folder_enters_both_products_with_its_weight(pictures: Path, maps: Path, tmp_path: Path) -> None:
    recipe = load_recipe("paper", [*SMALL, 'cues.use=["color"]'])
    options = with_cues(Options(tmp_path / "out", recipe, cues=(cue_of(f"mine={maps}:0.5"),)))
    (clip,) = open_clips([pictures])
    area = fixed_area(0, 0, HEIGHT, WIDTH, HEIGHT, WIDTH)
    own = own_maps([clip], [area], options).of_clips[0]
    (tmp_path / "work").mkdir()
    kept = keep_clip(clip, area, options.recipe, tmp_path / "work", 0, clip.frames())
    object.__setattr__(kept, "own", own)
    for index in range(3):
        mine = cv2.resize(steps(index), (32, 32), interpolation=cv2.INTER_AREA)
        found = kept.cues(index, options.recipe)
        np.testing.assert_allclose(found.own["mine"], mine, atol=0.003)
        expected = anchors([found.color, found.own["mine"]], weights=[1.0, 0.5])
        both = kept.anchors(index, options.recipe)
        np.testing.assert_allclose(both.positive, found.color * np.sqrt(found.own["mine"]), atol=1e-6)
        np.testing.assert_array_equal(both.negative, expected.negative)


def test_it_is_cut_as_the_picture_is(tmp_path: Path) -> None:
    np.save(tmp_path / "0.npy", steps(0))
    cut = FolderMaps("mine", {"0": tmp_path / "0.npy"}, lambda values: values[8:24, 4:36])
    np.testing.assert_array_equal(cut("0", np.zeros((16, 32, 3), np.uint8)), steps(0)[8:24, 4:36])


def test_the_command_writes_its_maps_and_records_it_and_goes_on_with_it(
    pictures: Path, maps: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = look(pictures, out, "--cue", f"mine={maps}:0.5")
    assert done.exit_code == 0, done.output
    written = read_mask(out / "op" / "mine" / "2.png") / 255
    np.testing.assert_allclose(written, cv2.resize(steps(2), (32, 32), interpolation=cv2.INTER_AREA), atol=0.003)
    record = json.loads((out / "run.json").read_text())
    assert record["recipe"]["cues"]["own"] == ["mine:0.5"]
    ((told),) = record["cues"]
    assert (told["name"], told["folder"], len(told["sha256"])) == ("mine", str(maps), 64)
    assert cuemask.verify(out).holds
    assert look(pictures, out, "--cue", f"mine={maps}:0.5", "--resume").exit_code == 0
    (out / "op" / "mine" / "1.png").unlink()
    again = look(pictures, out, "--cue", f"mine={maps}:0.5", "--resume")
    assert again.exit_code == 0
    assert (out / "op" / "mine" / "1.png").is_file(), "what is gone is made again"
    other = look(pictures, out, "--cue", f"mine={maps}:0.6", "--resume")
    assert other.exit_code == 2
    assert "another recipe" in other.output
    cv2.imwrite(str(maps / "0.png"), np.zeros((HEIGHT, WIDTH), np.uint8))
    changed = look(pictures, out, "--cue", f"mine={maps}:0.5", "--resume")
    assert changed.exit_code == 2
    assert "another cues: sha256" in changed.output


@pytest.mark.parametrize(
    ("spoilt", "says"),
    [
        ("missing", "no map of 1."),
        ("size", "the map of op, 1, is 20x10 pixels, its frame 64x48"),
        ("range", "values from 0 to 1.5"),
        ("nan", "values from nan to nan"),
        ("integers", "values of type uint8"),
        ("axes", "an array of shape (48, 64, 1), not of two axes"),
        ("pickle", "no array of numpy's"),
        ("cut", "no array of numpy's"),
        ("empty", "the file is empty"),
        ("twice", "are maps of one frame"),
    ],
)
def test_maps_that_do_not_fit_are_refused_before_anything_is_written(
    pictures: Path, maps: Path, tmp_path: Path, spoilt: str, says: str
) -> None:
    if spoilt != "twice":
        (maps / "1.png").unlink()
    arrays = {
        "range": steps(1) * 1.5,
        "nan": steps(1) * np.nan,
        "integers": np.zeros((HEIGHT, WIDTH), np.uint8),
        "axes": steps(1)[..., None],
        "pickle": np.array([{}]),
        "twice": steps(1),
    }
    if spoilt == "cut":
        np.save(maps / "1.npy", steps(1))
        (maps / "1.npy").write_bytes((maps / "1.npy").read_bytes()[:200])
    elif spoilt == "empty":
        (maps / "1.png").write_bytes(b"")
    elif spoilt in arrays:
        np.save(maps / "1.npy", arrays[spoilt], allow_pickle=True)
    elif spoilt == "size":
        cv2.imwrite(str(maps / "1.png"), np.zeros((10, 20), np.uint8))
    done = look(pictures, tmp_path / "out", "--cue", f"mine={maps}")
    assert done.exit_code == 2
    assert says in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("cue", "says"),
    [
        ("color=M", "a cue, folder or setting of ours has that name"),
        ("Masks=M", "a cue, folder or setting of ours has that name"),
        ("dark=M", "a cue, folder or setting of ours has that name"),
        ("a-b=M", "not a name"),
        ("aux=M", "device on Windows"),
        ("mine=M:0", "no number above 0"),
        ("mine=M:nan", "no number above 0"),
        ("mine=nowhere", "no folder"),
        (f"mine={'e' * 300}", "no folder"),
        ("mine", "not NAME=FOLDER"),
        ("mine=M --cue mine=M", "given twice"),
        ("mine=M --cue Mine=M", "given twice"),
    ],
)
def test_a_name_weight_or_folder_that_is_none_is_told(
    pictures: Path, maps: Path, tmp_path: Path, cue: str, says: str
) -> None:
    words = f"--cue {cue}".replace("=M", f"={maps}").split(" ")
    done = look(pictures, tmp_path / "out", *words)
    assert done.exit_code == 2
    assert says in done.output
    assert not (tmp_path / "out").exists()


def test_a_recipe_may_hold_the_weight_and_wants_the_maps(pictures: Path, maps: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[cues]\nuse = []\nown = ["mine:0.25"]\n')
    recipe = load_recipe(file)
    assert recipe.cues.own_weights == {"mine": 0.25}
    with pytest.raises(InputError, match="Add --cue mine=FOLDER"):
        with_cues(Options(tmp_path / "out", recipe))
    cue = cue_of(f"mine={maps}")
    assert with_cues(Options(tmp_path, recipe, cues=(cue,))).recipe.cues.own == ("mine:0.25",)
    words = ["anchors", str(pictures), "--recipe", str(file), "--cue", f"mine={maps}", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*words, "--quiet", *[w for s in SMALL for w in ("--set", s)]])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in (tmp_path / "out" / "op").iterdir() if p.is_dir()) == ["mine", "negative", "positive"]
    with pytest.raises(RecipeError, match="none only beside cues of your own"):
        load_recipe("paper", ["cues.use=[]"])
    with pytest.raises(InputError, match="would have no say"):
        with_cues(Options(tmp_path, load_recipe("paper", ["anchors.source=given"]), cues=(cue,)))


def test_a_colon_in_a_folder_is_no_weight() -> None:
    assert cue_of("mine=C:/maps").source == Path("C:/maps")
    assert cue_of("mine=C:/maps:2").weight == 2
    assert cue_of("mine=C:/maps:2").source == Path("C:/maps")


def test_the_maps_of_several_clips_lie_in_folders_of_their_names(pictures: Path, maps: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in pictures.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    done = CliRunner().invoke(
        main, ["anchors", str(pictures), str(other), "--cue", f"mine={maps}", "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 2
    assert "no folder op in it" in done.output


def halves(rgb: np.ndarray) -> np.ndarray:
    """A cue as people write them: the left half."""
    rgb[:] = 0  # which is the function's own copy
    return np.arange(rgb.shape[1]) < rgb.shape[1] // 2 * np.ones(rgb.shape[:2])


def test_a_function_is_a_cue_in_python_and_known_to_the_record(pictures: Path, tmp_path: Path) -> None:
    sections: dict[str, Any] = {"cues": {"mine": (halves, 0.5)}, "set": TINY, "overlay": False, "report": False}
    run = cuemask.segment(pictures, out=tmp_path / "out", **sections)
    assert run.recipe.cues.own == ("mine:0.5",)
    (told,) = run.record["cues"]
    assert told["function"].endswith("test_own_cues.halves")
    assert run.model.recipe.cues.own == ("mine:0.5",), "and the model needs no function"
    assert cuemask.segment(pictures, out=tmp_path / "out", resume=True, **sections).is_complete
    with pytest.raises(CuemaskError, match="another cues"):
        cuemask.segment(
            pictures,
            out=tmp_path / "out",
            resume=True,
            **sections | {"cues": {"mine": (lambda rgb: rgb[..., 0] > 9, 0.5)}},
        )
    again = LearningAgain(run.folder, run.record, [str(pictures)], tmp_path / "corrections")
    with pytest.raises(InputError, match="'mine' is a function in Python"):
        again.command()


def test_learning_again_gives_the_folders_of_cues(tmp_path: Path) -> None:
    recipe = load_recipe("paper", ["cues.own=mine:0.5"])
    record = {
        "recipe": {"cues": {"own": list(recipe.cues.own)}},
        "inputs": [{"selection": {}}],
        "cues": [{"name": "mine", "folder": "maps", "sha256": ""}],
    }
    command = LearningAgain(tmp_path, record, ["op.mp4"], tmp_path / "corrections").command()
    assert command[-4:] == ["--cue", "mine=maps", "--", "op.mp4"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda rgb: np.zeros((4, 4)), "an array of shape \\(4, 4\\), its picture is \\(32, 40\\)"),
        (lambda rgb: rgb[..., 0], "values of type uint8"),
        (lambda rgb: rgb[..., 0] / 100, "values from"),
    ],
)
def test_what_a_function_gives_is_looked_at_before_any_work(
    pictures: Path, tmp_path: Path, given: Any, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        cuemask.segment(pictures, out=tmp_path / "out", cues={"mine": given}, set=TINY)
    assert not (tmp_path / "out").exists()


def test_in_python_folders_are_strings_paths_and_pairs(pictures: Path, maps: Path, tmp_path: Path) -> None:
    for given in (str(maps), maps, (str(maps), 1.0)):
        run = cuemask.anchors(pictures, out=tmp_path / "out", cues={"mine": given, "dark": 0.0}, set=SMALL, resume=True)
        assert (run.folder / "op" / "mine").is_dir()
    with pytest.raises(RecipeError, match=r"Did you mean cues\.dark"):
        cuemask.anchors(pictures, out=tmp_path / "out", cues={"drak": "maps"})


def test_a_function_is_known_by_its_name_and_its_source() -> None:
    assert told_of_function(halves) == told_of_function(functools.partial(halves))
    assert "sha256" not in told_of_function(np.abs)
    rgb = np.full((4, 6, 3), 9, np.uint8)
    made = FunctionMaps("mine", halves)("0", rgb)
    assert (rgb == 9).all(), "what the function does to its picture is its own affair"
    np.testing.assert_array_equal(made, np.tile([1, 1, 1, 0, 0, 0], (4, 1)))


def test_a_map_that_is_gone_since_is_our_error(maps: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_map("mine", maps / "gone.npy")
