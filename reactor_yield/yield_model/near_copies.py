"""Rows that are near copies of others: left out one by one they say nothing about new rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

_ROWS_ASKED = 500
_FEWEST_ROWS = 60
_MOST_GROWTH = math.log(2) + 0.15
"""From the k-th to the 2k-th neighbour the distance of independent rows grows by 2 in one dimension
and by less in more (by 2 to the power 1/d); with something for the chance of few rows beside it."""
_FEWEST_COPIED = 20
"""Copies are looked for in sets of at most a 20th of the rows; larger ones are operating modes."""
_ADJACENT, _AROUND = 0.25, 10
_NEARER = math.log(1.25)


def share_of_near_copies(inputs: Array, continuous: NDArray[np.bool_]) -> float:
    """Share of rows that belong to a set of near copies; 0 where the rows look independent.

    Two signs: distances to a row's neighbours jump after the first few, as they do in records of
    one steady hold; or it is often one of the rows just before and after that is nearest, and all
    others are further off, as in a slow series.

    Parameters
    ----------
    inputs : (n, q) array
        Encoded rows, in the order in which they were given.
    continuous : (q,) bool array
        Which inputs are not 0 or 1; the others do not count.

    Notes
    -----
    Of independent rows in d dimensions the volume up to the k-th neighbour grows as k (Levina &
    Bickel 2004, Maximum likelihood estimation of intrinsic dimension, eq. 2-4), so that distance
    grows by 2^(1/d) from k to 2k. Columns that only rise or only fall are an order and not a
    condition, and distances below the smallest step of a rounded column are none.
    """
    values = inputs[:, continuous]
    steps = np.diff(values, axis=0)
    ordered = (steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)
    values = values[:, ~ordered]  # constant columns are ordered, too
    if len(values) < _FEWEST_ROWS or not values.shape[1]:
        return 0.0
    values = values / values.std(axis=0)
    asked = np.linspace(0, len(values) - 1, min(_ROWS_ASKED, len(values))).astype(int)
    most = max(2, 2 * (len(values) // (2 * _FEWEST_COPIED)))
    distance, nearest = cKDTree(values).query(values[asked], k=most + 1)
    distance, nearest = _without_itself(distance, nearest, asked)
    distance = np.maximum(distance, _smallest_step(values))
    allowed = _MOST_GROWTH + 3 / math.sqrt(len(asked))
    share = 0.0
    k = 1
    while 2 * k <= most:
        growth = np.log(distance[:, 2 * k - 1] / distance[:, k - 1])
        if np.median(growth) > allowed:
            share = max(share, float(np.mean(growth > allowed)))
        k *= 2
    lag = np.abs(nearest - asked[:, None])
    beside = lag[:, 0] <= 2
    elsewhere = np.where(lag > _AROUND, distance, distance[:, -1:]).min(axis=1)
    if beside.mean() > _ADJACENT and np.median(np.log(elsewhere / distance[:, 0])) > _NEARER:
        share = max(share, float(beside.mean()))
    return share


def _without_itself(
    distance: Array, nearest: NDArray[np.int64], asked: NDArray[np.int64]
) -> tuple[Array, NDArray[np.int64]]:
    """Drop the row that was asked for, or the last one where copies of it came before."""
    own = nearest == asked[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(asked), nearest.shape[1] - 1)
    return distance[~own].reshape(shape), nearest[~own].reshape(shape)


def _smallest_step(values: Array) -> float:
    """Largest of the columns' smallest differences, and never 0."""
    steps = [np.diff(np.unique(column)).min() for column in values.T]
    return max(float(max(steps)), 1e-9)
