"""Rows and columns matched one to one, exactly."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

Gain = Float64[np.ndarray, "n m"]


def best_pairs(gain: Gain) -> list[tuple[int, int]]:
    """Rows and columns, each at most once, whose gain is greatest in sum; as many pairs as the shorter side has.

    The Hungarian method with potentials (Kuhn 1955, Munkres 1957), n n m steps.

    Parameters
    ----------
    gain
        Finite numbers of either sign.

    Returns
    -------
    Pairs of row and column, by row.
    """
    if gain.shape[0] > gain.shape[1]:
        return sorted((row, column) for column, row in best_pairs(gain.T))
    rows, columns = gain.shape
    of_row, of_column = np.zeros(rows + 1), np.zeros(columns + 1)
    taken_by = np.zeros(columns + 1, np.int64)  # the row of each column, from 1; column 0 is where a search starts
    for row in range(1, rows + 1):
        taken_by[0] = row
        _augment(-gain, of_row, of_column, taken_by)
    return sorted((int(row) - 1, column) for column, row in enumerate(taken_by[1:]) if row > 0)


def _augment(cost: Gain, of_row: np.ndarray, of_column: np.ndarray, taken_by: np.ndarray) -> None:
    """Give the row that waits in column 0 a column, on the cheapest path of rows that give way."""
    least, came_from = np.full(len(of_column), np.inf), np.zeros(len(of_column), np.int64)
    is_used = np.zeros(len(of_column), np.bool_)
    column = 0
    while taken_by[column] > 0:
        is_used[column] = True
        row = taken_by[column]
        reduced = cost[row - 1] - of_row[row] - of_column[1:]
        nearer = np.flatnonzero(~is_used[1:] & (reduced < least[1:])) + 1
        least[nearer], came_from[nearer] = reduced[nearer - 1], column
        following = int(np.argmin(np.where(is_used, np.inf, least)))
        step = least[following]
        of_row[taken_by[is_used]] += step
        of_column[is_used] -= step
        least[~is_used] -= step
        column = following
    while column:
        before = came_from[column]
        taken_by[column] = taken_by[before]
        column = int(before)
