from __future__ import annotations

from pathlib import Path

import pytest

from cuemask.phantom import PhantomFiles, PhantomScene, write_phantom

SETTINGS = (
    "network.start=chance",
    "network.width=4",
    "network.depth=2",
    "input.height_px=48",
    "input.width_px=64",
    "training.steps=4",
    "training.label_steps=0",
    "training.pairs_per_step=2",
    "losses.foreground_weight=0",
    "losses.background_weight=0",
)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> PhantomFiles:
    """Ten small frames with exact masks."""
    return write_phantom(tmp_path_factory.mktemp("phantom"), 10, PhantomScene(seed=1, height_px=96, width_px=128))


@pytest.fixture
def quick() -> list[str]:
    """Flags that make a run take a second."""
    return [flag for setting in SETTINGS for flag in ("--set", setting)]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
