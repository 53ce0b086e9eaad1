from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import silhouette_score

from cuemask.errors import InputError
from cuemask.grouping.groups import grouped, nearest_group, silhouette, ward


def clouds(count: int, each: int = 6, spread: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(1)
    middles = 5.0 * np.eye(count, 7)
    return np.concatenate([middle + spread * rng.standard_normal((each, 7)) for middle in middles])


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one[:, None] == one[None], other[:, None] == other[None])


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_clouds_apart_are_found_with_their_number(count):
    points = clouds(count)
    found = grouped(points)
    assert same_partition(found.labels, np.repeat(np.arange(count), 6))


def test_ward_equals_scikit_learn():
    points = np.random.default_rng(0).standard_normal((40, 5))
    ours = ward(points)
    for count in (2, 3, 7, 20):
        theirs = AgglomerativeClustering(count, linkage="ward").fit_predict(points)
        assert same_partition(ours[count], theirs)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2, 2, 3], [0, 1, 1, 1, 1, 1, 1, 1]])
def test_silhouette_equals_scikit_learn(labels):
    points = np.random.default_rng(3).standard_normal((8, 4))
    assert silhouette(points, np.array(labels)) == pytest.approx(silhouette_score(points, labels), abs=1e-12)


def test_of_numbers_that_are_nearly_as_good_the_largest_is_taken():
    # Two pairs of clouds near each other: two groups and four are both clear, and four can be merged to two.
    points = clouds(4)
    points[6:12] = points[:6] + 1.6 * np.eye(7)[4]
    points[18:] = points[12:18] + 1.6 * np.eye(7)[5]
    found = grouped(points)
    best = max(found.silhouettes.values())
    assert len(np.unique(found.labels)) == max(k for k, value in found.silhouettes.items() if value >= 0.9 * best)


def test_one_cloud_is_one_group():
    points = np.random.default_rng(2).standard_normal((30, 25))
    assert set(grouped(points).labels) == {0}


def test_the_largest_group_comes_first():
    points = np.concatenate([clouds(2), clouds(1)[:4] + 30.0])
    assert np.bincount(grouped(points[::-1], 3).labels).tolist() == [6, 6, 4]


def test_more_groups_than_tracks_is_an_error():
    with pytest.raises(InputError, match="9 groups of 4 tracks") as error:
        grouped(clouds(1)[:4], 9)
    assert "--classes 4" in error.value.remedy
    with pytest.raises(InputError, match="0 groups"):
        grouped(clouds(1), 0)


def test_no_track_is_an_error():
    with pytest.raises(InputError, match="no instrument"):
        grouped(np.zeros((0, 4)))


def test_one_track_is_one_group():
    assert grouped(np.zeros((1, 4))).labels.tolist() == [0]


def test_equal_tracks_are_one_group():
    assert set(grouped(np.zeros((5, 4))).labels) == {0}


def test_a_track_seen_seldom_goes_to_the_nearest_group():
    points = clouds(3)
    labels = grouped(points, 3).labels
    assert nearest_group(points[[2, 9]] + 0.5, points, labels).tolist() == labels[[2, 9]].tolist()
