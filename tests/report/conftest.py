from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cuemask.media.masks import write_mask


@pytest.fixture
def write_mask_pairs(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of two predictions and their truth: one is right, of the other half is found."""
    for folder in ("predicted", "truth"):
        (tmp_path / "pairs" / folder).mkdir(parents=True)
    whole = np.zeros((8, 8), bool)
    whole[:4] = True
    half = whole & (np.arange(8) < 4)
    for name, predicted in (("right", whole), ("half", half)):
        write_mask(tmp_path / "pairs" / "predicted" / f"{name}.png", predicted)
        write_mask(tmp_path / "pairs" / "truth" / f"{name}.png", whole)
    return tmp_path / "pairs" / "predicted", tmp_path / "pairs" / "truth"
