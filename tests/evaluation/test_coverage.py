from __future__ import annotations

import pytest

from cuemask.evaluation.coverage import iou_kept

CONFIDENCE, IOU = [0.9, 0.1, 0.5, 0.7], [0.8, 0.2, 0.6, 1.0]


def test_the_least_sure_frames_are_left_out_first():
    assert iou_kept(CONFIDENCE, IOU, [1.0, 0.75, 0.5, 0.25]) == pytest.approx([0.65, 0.8, 0.9, 0.8])


def test_one_frame_at_least_is_kept():
    assert iou_kept(CONFIDENCE, IOU, [0.01]) == [0.8]


def test_confidence_that_tells_nothing_leaves_the_mean_whatever_the_order():
    for iou in (IOU, IOU[::-1]):
        assert iou_kept([0.5] * 4, iou, [1.0, 0.5, 0.25]) == pytest.approx([0.65] * 3)
