"""Random forest and gradient-boosted trees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreesPredictor:
    """A fitted scikit-learn forest or boosting; it has no error bar of its own.

    Parameters
    ----------
    estimator
        `RandomForestRegressor` or `HistGradientBoostingRegressor`.
    """

    estimator: Any
    _threads: Any = field(init=False, repr=False, compare=False, default_factory=lambda: None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_threads", ThreadpoolController())

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Mean and an error bar of 1, both (n,)."""
        return self.expect(inputs), np.ones(len(inputs))

    def expect(self, inputs: Array) -> Array:
        """Mean alone, (n,)."""
        if isinstance(self.estimator, RandomForestRegressor):
            # The trees one by one: the forest's own call starts threads, 40 ms for a single row.
            rows = np.ascontiguousarray(inputs, dtype=np.float32)
            total = np.zeros(len(rows))
            for tree in self.estimator.estimators_:
                total += tree.tree_.predict(rows).reshape(len(rows))
            return total / len(self.estimator.estimators_)
        with self._threads.limit(limits=1):  # many threads fight over small batches
            return np.asarray(self.estimator.predict(inputs))


def fit_forest(inputs: Array, outputs: Array, *, seed: int, n_trees: int) -> TreesPredictor:
    """Fit a random forest; its `oob_prediction_` tells errors on rows left out of trees."""
    estimator = RandomForestRegressor(n_trees, random_state=seed, oob_score=True)
    return TreesPredictor(estimator=estimator.fit(inputs, outputs))


def fit_boosting(inputs: Array, outputs: Array, *, seed: int) -> TreesPredictor:
    """Fit 600 gradient-boosted trees."""
    estimator = HistGradientBoostingRegressor(max_iter=600, random_state=seed)
    return TreesPredictor(estimator=estimator.fit(inputs, outputs))
