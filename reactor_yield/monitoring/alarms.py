"""Low-yield alarm: is the predicted yield below target by more than the model's error, and why."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reactor_yield.errors import InvalidConditionsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reactor_yield.yield_model import YieldModel

_BLOCK = 200
"""Rows explained at once; bounds the memory of their mixed conditions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowYieldAlarms:
    """What `low_yield_alarm` found.

    Attributes
    ----------
    target
        Yield that should be reached.
    baseline
        Conditions that the current ones are compared with.
    rows : DataFrame, indexed like the conditions
        `alarm`; `predicted`, `lower`, `upper`; `shortfall` (target minus the interval's upper end,
        positive where the alarm is raised); `outside` (what is beyond the model's training range).
    causes : DataFrame
        For each row in alarm, conditions from the one that explains most: `row`, `rank`,
        `condition`, `baseline`, `current`, `change` and `effect` (its share of predicted minus
        baseline yield; the effects of a row add up to that difference).
    """

    target: float
    baseline: Mapping[str, float]
    rows: pd.DataFrame
    causes: pd.DataFrame

    @property
    def n_alarms(self) -> int:
        """Rows in alarm."""
        return int(self.rows["alarm"].sum())


def low_yield_alarm(
    model: YieldModel,
    conditions: pd.DataFrame,
    *,
    target: float | None = None,
    baseline: Mapping[str, float] | pd.DataFrame | None = None,
    coverage: float = 0.9,
) -> LowYieldAlarms:
    """Raise an alarm where the yield is below target by more than the model's error.

    Parameters
    ----------
    model
        From `fit_yield_model`.
    conditions : (n, ...) DataFrame
        Current operating conditions.
    target
        Yield that should be reached; by default what the model predicts for the baseline.
    baseline
        Good operation: one set of conditions, or a table whose mean is taken; by default the
        medians of the model's training data.
    coverage
        Of the interval whose upper end must stay above the target.

    Notes
    -----
    Causes are Shapley values between the baseline and the current conditions: the mean, over all
    orders in which the conditions could have changed one after the other, of what each change did
    to the prediction. `Cto` is no condition of its own where P and To are: it follows them.

    References
    ----------
    Lundberg & Lee (2017), Advances in Neural Information Processing Systems 30, eq. 4
    (arXiv:1705.07874).
    """
    normal = _read_baseline(model, baseline)
    normal_row = pd.DataFrame([normal])
    if target is None:
        target = float(model.predict(normal_row)[model.target].iloc[0])
    predicted = model.predict(conditions)
    bounds = model.interval(conditions, coverage=coverage)
    shortfall = target - bounds["upper"]
    rows = pd.DataFrame(
        {
            "alarm": shortfall > 0,
            "predicted": predicted[model.target],
            "lower": bounds["lower"],
            "upper": bounds["upper"],
            "shortfall": shortfall,
            "outside": predicted["outside"],
        }
    )
    alarmed = conditions[rows["alarm"].to_numpy()]
    blocks = [alarmed.iloc[first : first + _BLOCK] for first in range(0, len(alarmed), _BLOCK)]
    causes = [_explain(model, normal, block) for block in blocks]
    columns = ["row", "rank", "condition", "baseline", "current", "change", "effect"]
    return LowYieldAlarms(
        target=target,
        baseline=normal,
        rows=rows,
        causes=pd.concat(causes, ignore_index=True) if causes else pd.DataFrame(columns=columns),
    )


def _read_baseline(
    model: YieldModel, baseline: Mapping[str, float] | pd.DataFrame | None
) -> dict[str, float]:
    if baseline is None:
        return {name: float(value) for name, value in model.baseline.items()}
    needed = _players(model)
    given = baseline.mean(numeric_only=True) if isinstance(baseline, pd.DataFrame) else baseline
    missing = [c for c in needed if c not in given]
    if missing:
        message = f"the baseline lacks {missing}; it needs {needed}"
        raise InvalidConditionsError(message)
    return {c: float(given[c]) for c in needed}


def _players(model: YieldModel) -> list[str]:
    """Conditions that can change by themselves."""
    derived = {"Cto"} if {"P", "To", "Cto"} <= set(model.features) else set()
    return [c for c in model.features if c not in derived]


def _explain(model: YieldModel, normal: Mapping[str, float], rows: pd.DataFrame) -> pd.DataFrame:
    """Shapley value of each condition for each row, the most negative first."""
    players = _players(model)
    n = len(players)
    subsets = [frozenset(s) for size in range(n + 1) for s in combinations(range(n), size)]
    changed = np.array([[i in s for i in range(n)] for s in subsets])
    current = rows[players].to_numpy(dtype=float)
    baseline = np.array([normal[c] for c in players])
    mixed = np.where(changed, current[:, None, :], baseline).reshape(-1, n)
    predicted = model.predict(pd.DataFrame(mixed, columns=players))[model.target].to_numpy()
    values = predicted.reshape(len(rows), len(subsets))
    position = {s: i for i, s in enumerate(subsets)}
    effects = np.zeros((len(rows), n))
    for i in range(n):
        for subset in (s for s in subsets if i not in s):
            weight = factorial(len(subset)) * factorial(n - len(subset) - 1) / factorial(n)
            gain = values[:, position[subset | {i}]] - values[:, position[subset]]
            effects[:, i] += weight * gain
    order = np.argsort(effects, axis=1, kind="stable")
    return pd.DataFrame(
        {
            "row": np.repeat(rows.index.to_numpy(), n),
            "rank": np.tile(np.arange(1, n + 1), len(rows)),
            "condition": np.array(players)[order].ravel(),
            "baseline": baseline[order].ravel(),
            "current": np.take_along_axis(current, order, axis=1).ravel(),
            "change": np.take_along_axis(current - baseline, order, axis=1).ravel(),
            "effect": np.take_along_axis(effects, order, axis=1).ravel(),
        }
    )
