"""Shapley values: how much of a difference each of several changes explains."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

Array = NDArray[np.float64]

MOST_EXACT = 8
"""With more changes than this, orders are sampled instead of all subsets tried."""
_PAIRS_OF_ORDERS = 12
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapleyPlan:
    """What to evaluate for `n` changes, and how to add it up.

    Attributes
    ----------
    changed : (m, n) bool array
        Which changes each evaluation has made.
    weights : (n, m) array
        `weights @ values` are the Shapley values; they add up to the value of all changes minus
        that of none.
    """

    changed: NDArray[np.bool_]
    weights: Array


def plan_shapley(n: int) -> ShapleyPlan:
    """Plan the evaluations for `n` changes: all subsets, or sampled orders where they are many.

    The mean over all orders in which the changes could be made one after the other of what each
    did. Up to 8 changes all `2^n` subsets are evaluated. Beyond, 12 random orders and their
    reverses are: an order and its reverse together are exact for every function without
    interactions of three or more changes, and the values always add up to the whole difference.

    References
    ----------
    Lundberg & Lee (2017), eq. 4 (arXiv:1705.07874); reversed orders: Mitchell et al. (2022),
    Journal of Machine Learning Research 23, 1 (arXiv:2104.12199).
    """
    return _exact(n) if n <= MOST_EXACT else _sampled(n)


def _exact(n: int) -> ShapleyPlan:
    subsets = [s for size in range(n + 1) for s in combinations(range(n), size)]
    changed = np.array([[i in s for i in range(n)] for s in subsets], dtype=bool)
    changed = changed.reshape(len(subsets), n)
    weights = np.empty((n, len(subsets)))
    for column, subset in enumerate(subsets):
        k = len(subset)
        for i in range(n):
            if i in subset:
                weights[i, column] = factorial(k - 1) * factorial(n - k) / factorial(n)
            else:
                weights[i, column] = -factorial(k) * factorial(n - k - 1) / factorial(n)
    return ShapleyPlan(changed=changed, weights=weights)


def _sampled(n: int) -> ShapleyPlan:
    rng = np.random.default_rng(_SEED)
    orders = [rng.permutation(n) for _ in range(_PAIRS_OF_ORDERS)]
    orders += [order[::-1] for order in orders]
    position: dict[bytes, int] = {}
    rows: list[NDArray[np.bool_]] = []

    def index(mask: NDArray[np.bool_]) -> int:
        key = mask.tobytes()
        if key not in position:
            position[key] = len(rows)
            rows.append(mask.copy())
        return position[key]

    steps: list[tuple[int, int, int]] = []
    for order in orders:
        mask = np.zeros(n, dtype=bool)
        before = index(mask)
        for i in _as_ints(order):
            mask[i] = True
            after = index(mask)
            steps.append((i, before, after))
            before = after
    weights = np.zeros((n, len(rows)))
    for i, before, after in steps:
        weights[i, after] += 1 / len(orders)
        weights[i, before] -= 1 / len(orders)
    return ShapleyPlan(changed=np.array(rows), weights=weights)


def _as_ints(order: Iterable[np.integer]) -> list[int]:
    return [int(i) for i in order]
