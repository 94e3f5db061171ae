"""Rows with a text that no training row has: a new lot differs from the others as they do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverLevels:
    """What is predicted of rows, where some have new levels.

    Attributes
    ----------
    mean, bar : (n,) arrays
        Of the predictor; over all known levels where the row's own is new.
    spread : (n,) array
        Standard deviation of what a new level adds; 0 where none is new, infinite where one level
        alone is known.
    n_levels : (n,) int array
        How many known levels that is from; 0 where none is new.
    """

    mean: Array
    bar: Array
    spread: Array
    n_levels: Indices

    def widen(self, half: Array, coverage: float) -> Array:
        """Half width of the interval, (n,), with what new levels add to the one of known levels."""
        new = self.n_levels > 0
        if not new.any():
            return half
        factor = student.ppf((1 + coverage) / 2, np.maximum(self.n_levels[new] - 1, 1))
        wider = half.copy()
        wider[new] = np.hypot(half[new], factor * self.spread[new])
        return wider


def find_new_levels(inputs: Array, known: Array, text_columns: Sequence[Indices]) -> Flags:
    """Which rows have a level that no known row has, (n, number of text columns).

    Parameters
    ----------
    inputs : (n, q) array
    known : (m, q) array
        Encoded rows that a predictor was fitted to.
    text_columns
        Of each column of text, where its levels are among the q.
    """
    found = np.zeros((len(inputs), len(text_columns)), dtype=bool)
    for k, columns in enumerate(text_columns):
        found[:, k] = ~(inputs[:, _seen(known, columns)] > 0).any(axis=1)
    return found


def _seen(known: Array, columns: Indices) -> Indices:
    """Which of the levels some row has."""
    return columns[known[:, columns].any(axis=0)]


def predict_over_levels(
    predict: Callable[[Array], tuple[Array, Array]],
    inputs: Array,
    *,
    new: Flags,
    text_columns: Sequence[Indices],
    known: Array | None = None,
) -> OverLevels:
    """Predict rows; one with a new level as if it had each of the known levels, one after another.

    Parameters
    ----------
    predict
        Mean and error bar of encoded rows.
    inputs : (n, q) array
    new : (n, number of text columns) bool array
        Where a row's level is new.
    text_columns
        Of each column of text, where its levels are among the q.
    known : (m, q) array, optional
        Encoded rows that the predictor was fitted to, where they lack some of the levels.

    Notes
    -----
    The levels are taken as a random effect: a new one is drawn as they were. Its mean is theirs,
    and the variance of one more is theirs times 1 + 1/k for k levels, with k - 1 degrees of freedom
    (Searle, Casella & McCulloch 1992, chapter 7, doi:10.1002/9780470316856). Where levels of two
    columns are new the two are taken in turn together, and the smaller number of levels counts.
    """
    mean, bar = predict(inputs)
    spread, n_levels = np.zeros(len(inputs)), np.zeros(len(inputs), dtype=np.int64)
    any_new = new.any(axis=1)
    if not any_new.any():
        return OverLevels(mean=mean, bar=bar, spread=spread, n_levels=n_levels)
    mean, bar = mean.copy(), bar.copy()
    found = [columns if known is None else _seen(known, columns) for columns in text_columns]
    for pattern in np.unique(new[any_new], axis=0):
        rows = np.flatnonzero((new == pattern).all(axis=1))
        texts = [k for k, is_new in enumerate(pattern) if is_new]
        blank = inputs[rows].copy()
        blank[:, np.concatenate([text_columns[k] for k in texts])] = 0.0
        n_turns = max(len(found[k]) for k in texts)
        means, bars = np.empty((2, n_turns, len(rows)))
        for turn in range(n_turns):
            standing = blank.copy()
            standing[:, [found[k][turn % len(found[k])] for k in texts]] = 1.0
            means[turn], bars[turn] = predict(standing)
        least = min(len(found[k]) for k in texts)
        mean[rows], bar[rows] = means.mean(axis=0), bars.mean(axis=0)
        n_levels[rows] = least
        spread[rows] = (
            means.std(axis=0, ddof=1) * math.sqrt(1 + 1 / least) if least > 1 else math.inf
        )
    return OverLevels(mean=mean, bar=bar, spread=spread, n_levels=n_levels)
