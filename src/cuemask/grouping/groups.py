"""Which instruments look alike: Ward's agglomeration, and as many groups as the silhouette says."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from cuemask.errors import InputError

MOST_GROUPS = 8  # that are looked for unless a number is asked for
LEAST_SILHOUETTE = 0.2  # below which there is but one group
NEARLY = 0.9  # of the best silhouette: numbers of groups that reach it count as equally good


class Grouping(NamedTuple):
    """Groups of points.

    Attributes
    ----------
    labels
        The group of each point, from 0, the largest first.
    silhouettes
        The mean silhouette of so many groups, -1 to 1, as far as it was asked for.
    """

    labels: Int[np.ndarray, " n"]
    silhouettes: dict[int, float]


def grouped(points: Float[np.ndarray, "n F"], count: int | None = None) -> Grouping:
    """Points in groups, decided by nothing but the points.

    Without `count` the mean silhouette (Rousseeuw 1987) of 2 to `MOST_GROUPS` groups decides: of the numbers that come
    to `NEARLY` times the best, the largest is taken, since people can merge groups and not split them. Where the best
    stays below `LEAST_SILHOUETTE`, there is one group.

    Parameters
    ----------
    points
        One a track, so scaled that their distances compare.
    count
        How many groups are wanted.

    Raises
    ------
    InputError
        If more groups are wanted than there are points, or none; or if there is no point.
    """
    n = len(points)
    if n == 0:
        raise InputError("no instrument is there to be grouped.", "Give a run with instruments in its masks.")
    if count is not None and not 1 <= count <= n:
        raise InputError(
            f"{count} groups of {n} tracks cannot be made.", f"Ask for 1 to {n}: --classes {min(n, max(1, count))}"
        )
    partitions = ward(points, 1 if count is None else count)
    if count is not None:
        return Grouping(_by_size(partitions[count]), {count: silhouette(points, partitions[count])})
    found = {k: silhouette(points, partitions[k]) for k in range(2, min(MOST_GROUPS, n - 1) + 1)}
    most = max(found.values(), default=0.0)
    best = 1 if most < LEAST_SILHOUETTE else max(k for k, value in found.items() if value >= NEARLY * most)
    return Grouping(_by_size(partitions[best]), found)


def ward(points: Float[np.ndarray, "n F"], fewest: int = 1) -> dict[int, Int[np.ndarray, " n"]]:
    """Groups by Ward's method (1963): from one a point, always the two are joined that widen their groups least.

    Of equal ones those that come first are joined, so that the same points always give the same groups.

    Returns
    -------
    For each number of groups from n down to `fewest` the group of each point.
    """
    n = len(points)
    labels = np.arange(n)
    sizes = np.ones(n)
    distance = ((points[:, None] - points[None]) ** 2).sum(-1)  # squared; Lance and Williams's recurrence below
    np.fill_diagonal(distance, np.inf)
    found = {n: labels.copy()}
    for left in range(n - 1, max(fewest, 1) - 1, -1):
        a, b = sorted(int(part) for part in np.unravel_index(int(distance.argmin()), distance.shape))
        both = sizes[a] + sizes[b]
        joined = (sizes[a] + sizes) * distance[a] + (sizes[b] + sizes) * distance[b] - sizes * distance[a, b]
        distance[a] = distance[:, a] = joined / (both + sizes)
        distance[a, a] = np.inf
        distance[b] = distance[:, b] = np.inf
        sizes[a] = both
        labels[labels == b] = a
        found[left] = labels.copy()
    return found


def silhouette(points: Float[np.ndarray, "n F"], labels: Int[np.ndarray, " n"]) -> float:
    """Mean silhouette: how much nearer points are to their own group than to the next one, -1 to 1.

    A point that is a group by itself counts 0; so does all where there is one group.
    """
    groups = np.unique(labels)
    if len(groups) < 2:
        return 0.0
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))
    sums = np.stack([distance[:, labels == group].sum(1) for group in groups], 1)
    sizes = np.array([(labels == group).sum() for group in groups])
    own = np.searchsorted(groups, labels)
    at = np.arange(len(points))
    inside = sums[at, own] / np.maximum(sizes[own] - 1, 1)
    others = sums / sizes
    others[at, own] = np.inf
    beside = others.min(1)
    score = (beside - inside) / np.maximum(np.maximum(beside, inside), 1e-12)
    return float(np.where(sizes[own] > 1, score, 0.0).mean())


def nearest_group(
    points: Float[np.ndarray, "m F"], known: Float[np.ndarray, "n F"], labels: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " m"]:
    """Of each point the group whose mean is nearest."""
    groups = np.unique(labels)
    means = np.stack([known[labels == group].mean(0) for group in groups])
    return groups[((points[:, None] - means[None]) ** 2).sum(-1).argmin(1)]


def _by_size(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Groups numbered from 0, the largest first; of equal ones that whose first point comes first."""
    groups, first, counts = np.unique(labels, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    number = np.empty(len(groups), np.int64)
    number[order] = np.arange(len(groups))
    return number[np.searchsorted(groups, labels)]
