from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from sklearn.metrics.cluster import contingency_matrix
from torchmetrics.classification import MulticlassJaccardIndex

from cuemask.evaluation.classes import best_names, class_figures, purity
from cuemask.evaluation.overlaps import joint_counts
from cuemask.evaluation.parts import found_parts, part_figures
from cuemask.evaluation.tips import found_tips, tip_figures


def codes(seed: int, count: int, frames: int = 5, shape: tuple[int, int] = (12, 16)) -> list[np.ndarray]:
    """Random codes 0 to `count` in blocks of 4 x 4; frames lack some of them."""
    rng = np.random.default_rng(seed)
    small = [rng.integers(0, rng.integers(2, count + 2), (shape[0] // 4, shape[1] // 4)) for _ in range(frames)]
    return [np.kron(one, np.ones((4, 4), int)).astype(np.uint16) for one in small]


def changed(maps: list[np.ndarray], count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.where(rng.random(m.shape) < 0.3, rng.integers(0, count + 1, m.shape), m).astype(np.uint16) for m in maps]


def challenge_reference(predicted: list[np.ndarray], true: list[np.ndarray], count: int) -> dict[str, float]:
    """Challenge IoU, IoU and mcIoU as ISINet's evaluation counts them, in plain loops."""
    challenge, plain = [], []
    of_class: dict[int, list[float]] = {c: [] for c in range(1, count + 1)}
    for p, t in zip(predicted, true, strict=True):
        in_truth, in_either = [], []
        for c in range(1, count + 1):
            both, either = ((p == c) & (t == c)).sum(), ((p == c) | (t == c)).sum()
            if either:
                in_either.append(both / either)
                of_class[c].append(both / either)
                if (t == c).any():
                    in_truth.append(both / either)
        challenge += [np.mean(in_truth)] if in_truth else []
        plain += [np.mean(in_either)] if in_either else []
    means = [np.mean(values) for values in of_class.values() if values]
    return {"challenge_iou": np.mean(challenge), "iou": np.mean(plain), "mciou": np.mean(means)}


@pytest.mark.parametrize("seed", range(5))
def test_class_figures_are_those_of_isinet(seed: int) -> None:
    true = codes(seed, 4)
    predicted = changed(true, 5, seed)  # 5: a class that the truth never has
    figures = class_figures([joint_counts(p, t) for p, t in zip(predicted, true, strict=True)])
    for name, value in challenge_reference(predicted, true, 5).items():
        assert figures[f"named_{name}"] == pytest.approx(value)


def test_mean_iou_over_classes_is_that_of_torchmetrics() -> None:
    true = codes(1, 4)
    predicted = changed(true, 4, 1)
    metric = MulticlassJaccardIndex(5, average="none")
    metric.update(*(torch.from_numpy(np.stack(maps).astype(np.int64)) for maps in (predicted, true)))
    figures = class_figures([joint_counts(p, t) for p, t in zip(predicted, true, strict=True)])
    assert figures["named_mean_iou"] == pytest.approx(float(metric.compute()[1:].mean()), abs=1e-6)


def test_groups_with_other_numbers_are_right_when_assigned_and_wrong_as_named() -> None:
    true = codes(2, 3)
    predicted = [np.array([0, 12, 10, 11], np.uint16)[t] for t in true]
    frames = [joint_counts(p, t) for p, t in zip(predicted, true, strict=True)]
    figures = class_figures(frames)
    assert best_names(frames) == {12: 1, 10: 2, 11: 3}
    assert figures["named_challenge_iou"] == figures["named_mciou"] == 0.0
    assert figures["assigned_challenge_iou"] == figures["assigned_mciou"] == figures["purity"] == 1.0


def test_a_group_too_many_is_a_class_that_the_truth_lacks() -> None:
    true = np.ones((4, 4), np.uint16)
    predicted = np.ones((4, 4), np.uint16)
    predicted[:1] = 2
    figures = class_figures([joint_counts(predicted, true)])
    assert best_names([joint_counts(predicted, true)]) == {1: 1}
    assert figures["assigned_challenge_iou"] == pytest.approx(0.75)
    assert figures["assigned_iou"] == figures["assigned_mciou"] == pytest.approx(0.375)
    assert figures["purity"] == 1.0


def test_purity_is_the_share_of_the_most_frequent_class_of_each_group() -> None:
    true, predicted = codes(3, 4), codes(4, 3)
    p, t = np.concatenate(predicted).ravel(), np.concatenate(true).ravel()
    table = contingency_matrix(t[(p > 0) & (t > 0)], p[(p > 0) & (t > 0)])
    expected = table.max(axis=0).sum() / table.sum()
    assert purity([joint_counts(p, t) for p, t in zip(predicted, true, strict=True)]) == pytest.approx(expected)


def test_frames_without_instruments_have_no_class_figures() -> None:
    empty = np.zeros((4, 4), np.uint16)
    assert set(class_figures([joint_counts(empty, empty)]).values()) == {None}


def test_parts_iou_is_that_of_torchmetrics() -> None:
    true = [10 * m for m in codes(5, 3)]
    predicted = [10 * m for m in changed(codes(5, 3), 3, 5)]
    metric = MulticlassJaccardIndex(4, average="none")
    metric.update(*(torch.from_numpy(np.stack(maps).astype(np.int64) // 10) for maps in (predicted, true)))
    figures = part_figures([found_parts(p, t, None) for p, t in zip(predicted, true, strict=True)])
    expected = metric.compute()[1:].tolist()
    assert [figures[f"iou_{name}"] for name in ("shaft", "wrist", "clasper")] == pytest.approx(expected, abs=1e-6)
    assert figures["mean_iou"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert figures["part_pq"] is None


def part_pq_reference(frames: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> float:
    """PartPQ of predicted and true parts and instances: sklearn's confusion matrix as panoptic_parts takes it."""
    iou, matched, count = 0.0, 0, 0
    for p, t, p_instances, t_instances in frames:
        count += len(np.unique(p_instances[p_instances > 0])) + len(np.unique(t_instances[t_instances > 0]))
        for n in np.unique(t_instances[t_instances > 0]):
            for m in np.unique(p_instances[p_instances > 0]):
                a, b = p_instances == m, t_instances == n
                if (a & b).sum() / (a | b).sum() <= 0.5:
                    continue
                judged = ~(b & (t == 0))
                table = confusion_matrix(np.where(b, t, 0)[judged], np.where(a, p, 0)[judged])
                both = np.diagonal(table)
                iou += float(np.mean(both / (table.sum(0) + table.sum(1) - both)))
                matched += 1
    return iou / (matched + (count - 2 * matched) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_part_pq_is_that_of_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(4):
        t_instances, p_instances = np.zeros((2, 16, 24), np.uint16)
        for n in (1, 2, 3):
            t_instances[2:14, 8 * n - 7 : 8 * n - 1] = n
            p_instances[2 + rng.integers(0, 8) : 14, 8 * n - 7 : 8 * n - rng.integers(0, 3)] = n
        t = np.where(t_instances > 0, 10 * (np.arange(16) // 5)[:, None], 0).astype(np.uint16)  # some told nothing
        p = np.where(p_instances > 0, 10 * rng.integers(1, 4, t.shape), 0).astype(np.uint16)
        frames.append(
            (np.where(rng.random(t.shape) < 0.7, np.where(p_instances > 0, t, 0), p), t, p_instances, t_instances)
        )
    figures = part_figures([found_parts(p, t, (a, b)) for p, t, a, b in frames])
    assert 0.1 < part_pq_reference(frames) < 0.9
    assert figures["part_pq"] == pytest.approx(part_pq_reference(frames))


def tips(*places: tuple[float, float]) -> np.ndarray:
    return np.array(places, np.float64).reshape(-1, 2)


SHAPE = (300, 400)  # a diagonal of 500


def test_distances_of_tips_are_in_pixels_and_shares_of_the_diagonal() -> None:
    frame = found_tips(tips((13, 14), (200, 100)), tips((200, 105), (10, 10)), np.array([1, 2]), SHAPE)
    figures = tip_figures([frame])
    assert figures["rmse_px"] == pytest.approx(5.0)
    assert figures["rmse_share"] == pytest.approx(0.01)
    assert [figures[name] for name in ("matched", "missed", "surplus")] == [2, 0, 0]
    assert figures["true_within"] == figures["predicted_within"] == figures["frames_within"] == 1.0


def test_tips_far_from_any_true_one_are_surplus_and_the_true_one_is_missed() -> None:
    figures = tip_figures([found_tips(tips((0, 0), (100, 0)), tips((60, 0)), np.array([1]), SHAPE)])
    assert [figures[name] for name in ("matched", "missed", "surplus")] == [1, 0, 1]
    assert figures["rmse_px"] == pytest.approx(40.0)
    assert figures["true_within"] == 0.0
    figures = tip_figures([found_tips(tips((0, 0)), tips((60, 0)), np.array([1]), SHAPE)])
    assert [figures[name] for name in ("matched", "missed", "surplus")] == [0, 1, 1]
    assert figures["rmse_px"] is None


def test_one_tip_of_an_open_jaw_is_enough_for_its_instrument_but_not_for_both_tips() -> None:
    figures = tip_figures([found_tips(tips((10, 10)), tips((10, 12), (30, 12)), np.array([1, 1]), SHAPE)])
    assert figures["instruments_within"] == figures["frames_within"] == figures["predicted_within"] == 1.0
    assert figures["true_within"] == 0.5
    assert figures["missed"] == 1


def test_a_tip_is_matched_once_and_the_distances_are_least_together() -> None:
    frame = found_tips(tips((0, 0), (20, 0)), tips((15, 0), (30, 0)), np.array([1, 2]), SHAPE)
    # The nearest pair alone, 5 px, would leave 30 px for the other.
    assert sorted(frame.distances * 500) == pytest.approx([10.0, 15.0])


def test_frames_without_true_tips_do_not_count_as_right_or_wrong() -> None:
    none = found_tips(tips((5, 5)), tips(), np.zeros(0, np.int64), SHAPE)
    figures = tip_figures([none])
    assert figures["frames_within"] is figures["true_within"] is None
    assert figures["surplus"] == 1
