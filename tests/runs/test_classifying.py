from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from tests.grouping.grouped_run import write_run

from cuemask.cli import main
from cuemask.errors import InputError, OutputError
from cuemask.grouping.classes import read_classes, read_groups
from cuemask.phantom import PhantomScene
from cuemask.phantom.heads import KINDS
from cuemask.runs.classifying import classify

FRAMES = (0, 12, 24, 36)
PAIRS = [(0, 1), (2, 3), (4, 0), (1, 2), (3, 4)]


def scene(seed: int, *kinds: int) -> PhantomScene:
    named = tuple(KINDS[kind] for kind in kinds)
    return PhantomScene(seed, 160, 200, tools=len(kinds), kinds=named, leaving=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("classes")
    return write_run(place, {f"clip{n}": scene(n, *pair) for n, pair in enumerate(PAIRS)}, FRAMES)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


@pytest.fixture(scope="module")
def classified(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with five groups, which no test changes."""
    run = Path(shutil.copytree(made, tmp_path_factory.mktemp("classified") / "run"))
    classify(run, count=5)
    return run


@pytest.fixture
def named(classified: Path, tmp_path: Path) -> Path:
    """A copy of it in which the first group has a name."""
    run = Path(shutil.copytree(classified, tmp_path / "named"))
    file = run / "classes.toml"
    file.write_text(file.read_text().replace('number = 1\nname = ""', 'number = 1\nname = "Grasper"'))
    return run


def true_class(run: Path, clip: str, instrument: int) -> int:
    found: list[np.ndarray] = []
    for path in sorted((run / clip / "instances").glob("*.png")):
        own = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) == instrument
        found.append(cv2.imread(str(run / clip / "truth" / path.name), cv2.IMREAD_UNCHANGED)[own])
    return int(np.bincount(np.concatenate(found)).argmax())


def purity(run: Path) -> float:
    groups = read_groups(run / "classes.toml")
    kinds = [np.bincount([true_class(run, *track) for track in group.tracks]) for group in groups]
    return sum(int(counts.max()) for counts in kinds) / sum(int(counts.sum()) for counts in kinds)


def test_groups_of_five_kinds_are_pure(classified):
    assert purity(classified) >= 0.9
    groups = read_groups(classified / "classes.toml")
    assert len(groups) == 5
    assert sum(len(group.tracks) for group in groups) == 10
    sheet = cv2.imread(str(classified / "classes.png"))
    assert sheet.shape[0] > 5 * 180
    assert sheet.std() > 10


def test_the_same_run_gives_the_same_bytes(run, classified):
    found = classify(run, count=5)
    assert found.file.read_bytes() == (classified / "classes.toml").read_bytes()
    assert found.sheet.read_bytes() == (classified / "classes.png").read_bytes()


def test_without_a_number_the_silhouette_decides_and_is_told(run):
    found = classify(run)
    groups = read_groups(found.file)
    assert 2 <= len(groups) <= 8
    assert "silhouettes by number of groups: 2: " in found.lines[-1]
    assert {exemplar.partition("/")[0] for group in groups for exemplar in group.exemplars} > {"clip0", "clip1"}


def test_what_the_user_wrote_is_kept(named):
    file = named / "classes.toml"
    file.write_text(file.read_text().replace('number = 3\nname = ""', 'number = 3\nname = ""\nmerge = 2'))
    found = classify(named, count=5)
    assert read_groups(file)[0].name == "Grasper"
    assert read_groups(file)[2].merge == 2
    assert len(read_classes(file).names) == 4
    assert "group 1 (Grasper)" in found.lines[0]


def test_names_of_other_groups_are_not_overwritten(named):
    file = named / "classes.toml"
    before = file.read_bytes()
    with pytest.raises(OutputError, match="others now") as error:
        classify(named, count=2)
    assert "mv " in error.value.remedy
    assert file.read_bytes() == before


def test_more_groups_than_tracks_is_an_error(run):
    with pytest.raises(InputError, match="99 groups of 10 tracks"):
        classify(run, count=99)
    assert not (run / "classes.toml").exists()


@pytest.mark.parametrize("gone", ["tracks.csv", "instances"])
def test_a_run_without_instances_says_what_to_run_first(run, gone):
    path = run / "clip3" / gone
    path.unlink() if path.is_file() else shutil.rmtree(path)
    result = CliRunner().invoke(main, ["classes", str(run)])
    assert result.exit_code == 2
    assert gone in result.output
    assert f"cuemask group {run}" in result.output


def test_one_frame_is_enough(tmp_path):
    run = write_run(tmp_path, {"one": scene(3, 0, 4)}, [5])
    found = classify(run)
    assert sum(len(group.tracks) for group in read_groups(found.file)) == 2


def test_a_run_without_instruments_is_an_error(tmp_path):
    run = write_run(tmp_path, {"none": PhantomScene(0, 160, 200, tools=0)}, [0])
    with pytest.raises(InputError, match="no instrument in it is large enough"):
        classify(run)


def test_instances_of_another_size_are_an_error(run):
    path = run / "clip0" / "instances" / "000012.png"
    cv2.imwrite(str(path), np.ones((80, 100), np.uint16))
    with pytest.raises(InputError, match="100x80 pixels, its frame 200x160"):
        classify(run)


def test_what_is_no_complete_run_is_an_error(run, tmp_path):
    with pytest.raises(InputError, match="no run"):
        classify(tmp_path / "absent")
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(told | {"status": "running"}))
    with pytest.raises(InputError, match="not complete"):
        classify(run)


def test_the_command_says_what_it_found(run):
    result = CliRunner().invoke(main, ["classes", str(run), "--classes", "3"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("group 1: ")
    assert lines[-2:] == [str(run / "classes.png"), str(run / "classes.toml")]
