from __future__ import annotations

import numpy as np

from cuemask.media.numbers import color_of, with_classes


def test_each_class_is_tinted_in_its_colour_and_the_rest_stays():
    rgb, codes = np.full((60, 80, 3), 100, np.uint8), np.zeros((60, 80), np.uint8)
    codes[10:50, 5:30], codes[10:50, 50:75] = 1, 3
    drawn = with_classes(rgb, codes)
    for code, (row, column) in {1: (30, 17), 3: (30, 62)}.items():
        assert np.abs(drawn[row, column] - (70 + 0.3 * np.array(color_of(code)))).max() <= 1
    assert np.array_equal(drawn[:, 38:42], rgb[:, 38:42])
    assert with_classes(rgb, codes, "side-by-side").shape == (60, 160, 3)
    assert np.array_equal(with_classes(rgb, np.zeros_like(codes)), rgb)
