from __future__ import annotations

import cv2
import numpy as np
import pytest

from cuemask.report.curves import write_loss_curves
from cuemask.report.sheet import Cell, contact_sheet


def row(name: str, level: float) -> tuple[str, list[Cell]]:
    rgb = np.full((60, 80, 3), (200, 30, 30), np.uint8)
    return name, [Cell("input", rgb), Cell("map", np.full((60, 80), level, np.float32))]


def test_a_sheet_has_a_row_a_frame_and_shows_maps_in_grey():
    one, two = contact_sheet([row("a", 0.5)]), contact_sheet([row("a", 0.5), row("b", 1.0)])
    assert two.shape[1] == one.shape[1] == 2 * 240 + 4
    assert two.shape[0] > 1.8 * one.shape[0] - 60
    assert (two[100, 100] == (200, 30, 30)).all()
    assert (two[100, 400] == 128).all()
    assert (two[-20, 400] == 255).all()


@pytest.mark.parametrize("name", ["frame045", "endovis18_sequence_frames/" * 4 + "frame045"])
def test_names_of_any_length_end_within_their_cell(name):
    written = (contact_sheet([row(name, 0.0)])[26 + 4 :, :240] != (200, 30, 30)).any((0, 2)).nonzero()[0]
    assert written.min() >= 4
    assert 50 < written.max() <= 236


def test_of_a_long_name_the_end_is_read():
    first, second = (contact_sheet([row("case/" * 20 + end, 0.0)]) for end in ("frame045", "frame046"))
    assert not np.array_equal(first, second)


def test_an_empty_sheet_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        contact_sheet([])


@pytest.mark.parametrize("epochs", [[], [{"step": 1, "total": 2.0}], [{"step": k, "total": 1 / k} for k in (1, 2)]])
def test_loss_curves_are_a_readable_picture(tmp_path, epochs):
    write_loss_curves(tmp_path / "losses.png", epochs)
    assert cv2.imread(str(tmp_path / "losses.png")).shape[2] == 3
