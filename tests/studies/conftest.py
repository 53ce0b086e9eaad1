from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.tiny import TINY

from cuemask.phantom import PhantomScene, write_phantom
from cuemask.recipe import Recipe, load_recipe
from cuemask.runs.learning import train
from cuemask.runs.options import Options


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """One that makes a run take a second."""
    return load_recipe("default", TINY)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of four small frames."""
    folder = tmp_path_factory.mktemp("clip")
    return write_phantom(folder, 4, PhantomScene(seed=1, height_px=64, width_px=80)).video


@pytest.fixture(scope="session")
def model(clip: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network."""
    return train([clip], Options(tmp_path_factory.mktemp("model"), recipe, report=False))


@pytest.fixture
def videos(clip: Path, tmp_path: Path) -> Path:
    """A folder with three videos, one of which cannot be read."""
    folder = tmp_path / "videos"
    (folder / "day2").mkdir(parents=True)
    shutil.copy(clip, folder / "op1.mp4")
    shutil.copy(clip, folder / "day2" / "op2.mp4")
    (folder / "bad.mp4").write_bytes(clip.read_bytes()[:400])
    return folder


@pytest.fixture
def options(recipe: Recipe, tmp_path: Path) -> Options:
    return Options(tmp_path / "study", recipe, overlay=False, report=False)
