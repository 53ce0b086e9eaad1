from __future__ import annotations

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment
from tests.evaluation.labels import clip
from torchmetrics.detection import PanopticQuality

from cuemask.evaluation.instances import FoundInstances, instance_figures
from cuemask.evaluation.overlaps import box_overlaps, mask_overlaps
from cuemask.grouping.assignment import best_pairs


def found(seed: int, frames: int = 12) -> tuple[list[FoundInstances], list[np.ndarray], list[np.ndarray]]:
    predicted, true = clip(seed, frames)
    rng = np.random.default_rng(seed + 1000)
    records = [mask_overlaps(p, t) for p, t in zip(predicted, true, strict=True)]
    # A few steps only, so that equal confidences occur.
    return [FoundInstances(one, rng.integers(1, 5, len(one.predicted)) / 4) for one in records], predicted, true


def coco_figures(frames: list[FoundInstances], predicted: list[np.ndarray], true: list[np.ndarray]) -> list[float]:
    """AP and AP50 by pycocotools."""

    def annotation(image: int, mask: np.ndarray, **more: float) -> dict[str, object]:
        rle = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        area = float(mask.sum())
        return {"image_id": image, "category_id": 1, "segmentation": rle, "area": area, "bbox": [0, 0, 1, 1], **more}

    truth, detections = COCO(), []
    annotations = []
    for n, (frame, p, t) in enumerate(zip(frames, predicted, true, strict=True), start=1):
        annotations += [annotation(n, t == number, iscrowd=0) for number in frame.overlaps.true]
        pairs = zip(frame.overlaps.predicted, frame.confidences, strict=True)
        detections += [annotation(n, p == number, score=float(score)) for number, score in pairs]
    for number, one in enumerate(annotations, start=1):
        one["id"] = number
    images = [{"id": n, "height": 24, "width": 32} for n in range(1, len(frames) + 1)]
    truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1}], "info": {}}
    truth.createIndex()
    judged = COCOeval(truth, truth.loadRes(detections), "segm")
    judged.evaluate()
    judged.accumulate()
    precision = judged.eval["precision"][:, :, 0, 0, 2]
    return [float(precision.mean()), float(precision[0].mean())]


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_coco(seed: int) -> None:
    frames, predicted, true = found(seed)
    figures = instance_figures(frames)
    assert [figures["ap"], figures["ap50"]] == pytest.approx(coco_figures(frames, predicted, true), abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_panoptic_quality_is_that_of_torchmetrics(seed: int) -> None:
    frames, predicted, true = found(seed)
    metric = PanopticQuality(things={1}, stuffs={0}, return_sq_and_rq=True, return_per_class=True)
    for p, t in zip(predicted, true, strict=True):
        maps = [torch.from_numpy(np.stack([m > 0, m], axis=-1).astype(np.int64))[None] for m in (p, t)]
        metric.update(*maps)
    figures = instance_figures(frames)
    things = metric.compute().reshape(-1, 3)[0]
    assert [figures["pq"], figures["sq"], figures["rq"]] == pytest.approx(things.tolist(), abs=1e-6)


def test_instruments_that_are_all_right_score_one() -> None:
    _, true = clip(3)
    frames = [FoundInstances(mask_overlaps(t, t), np.ones(len(np.unique(t)) - 1)) for t in true]
    figures = instance_figures(frames)
    assert [figures[name] for name in ("ap50", "ap", "pq", "sq", "rq")] == [1.0] * 5
    assert figures["missed"] == figures["surplus"] == 0


def test_a_surer_wrong_instrument_costs_more_than_a_less_sure_one() -> None:
    true = np.zeros((8, 8), np.uint16)
    true[:4] = 1
    predicted = np.where(true > 0, 1, 2).astype(np.uint16)
    figures = [
        instance_figures([FoundInstances(mask_overlaps(predicted, true), np.array(confidences))])["ap50"]
        for confidences in ([0.9, 0.5], [0.5, 0.9])
    ]
    assert figures == [1.0, 0.5]


def test_frames_without_any_instrument_have_no_figures() -> None:
    empty = np.zeros((4, 4), np.uint16)
    figures = instance_figures([FoundInstances(mask_overlaps(empty, empty), np.zeros(0))])
    assert figures["ap"] is figures["ap50"] is figures["pq"] is figures["sq"] is None


def test_nothing_found_scores_zero_and_counts_what_is_missed() -> None:
    empty, true = np.zeros((4, 4), np.uint16), np.ones((4, 4), np.uint16)
    figures = instance_figures([FoundInstances(mask_overlaps(empty, true), np.zeros(0))])
    assert [figures["ap"], figures["pq"], figures["sq"], figures["rq"], figures["missed"]] == [0.0, 0.0, 0.0, 0.0, 1]


def test_boxes_overlap_as_coco_counts_them() -> None:
    predicted, true = (maps[0] for maps in clip(5))
    found_boxes = box_overlaps(predicted, true)

    def boxes(labels: np.ndarray) -> np.ndarray:
        places = [np.nonzero(labels == number) for number in np.unique(labels) if number]
        return np.array([(x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1) for y, x in places], np.float64)

    expected = coco_masks.iou(boxes(predicted), boxes(true), [0] * len(found_boxes.true))
    np.testing.assert_allclose(found_boxes.iou, expected)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (1, 5), (4, 4), (5, 2), (7, 12), (12, 7)])
def test_the_best_pairs_are_those_of_scipy(shape: tuple[int, int]) -> None:
    for seed in range(20):
        gain = np.random.default_rng(seed).normal(size=shape)
        rows, columns = linear_sum_assignment(gain, maximize=True)
        pairs = best_pairs(gain)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(shape)
        assert sum(gain[pair] for pair in pairs) == pytest.approx(gain[rows, columns].sum())
