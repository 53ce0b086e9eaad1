"""Every example in the documentation of what `import cuemask` gives runs as it stands."""

from __future__ import annotations

import doctest
import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import cuemask
from cuemask.phantom.layouts import write_layout

MODULES = (
    "cuemask.cues.anchors",
    "cuemask.cues.color",
    "cuemask.cues.contour",
    "cuemask.cues.lesion",
    "cuemask.cues.location",
    "cuemask.cues.motion",
    "cuemask.cues.objectness",
    "cuemask.cues.otsu",
    "cuemask.cues.shape",
    "cuemask.datasets.catalogue",
    "cuemask.errors",
    "cuemask.evaluation.results",
    "cuemask.learning.losses",
    "cuemask.library.calls",
    "cuemask.library.models",
    "cuemask.library.results",
    "cuemask.recipe",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to work in: `op.mp4`, its `masks`, a data set in `set`, and the `result` of the first example of all."""
    folder = tmp_path_factory.mktemp("docs")
    scene = cuemask.phantom.PhantomScene(seed=1, height_px=96, width_px=128)
    files = cuemask.phantom.write_phantom(folder / "phantom", 12, scene)
    shutil.move(files.video, folder / "op.mp4")
    shutil.move(files.masks, folder / "masks")
    write_layout("folders", folder / "set", recordings=1, frames=2)
    here = Path.cwd()
    os.chdir(folder)
    _run("cuemask")
    yield folder
    os.chdir(here)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("module", MODULES)
def test_examples_run_as_they_stand(module: str) -> None:
    assert _run(module) > 0


def _run(name: str) -> int:
    """Run a module's examples, and give their number."""
    flags = doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=flags, extraglobs={"cuemask": cuemask})
    assert failed == 0
    return tried
