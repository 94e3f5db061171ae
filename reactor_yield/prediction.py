"""One table of all that a yield model says of conditions: what commands, alarms and service use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from reactor_yield.yield_model import YieldModel


def predict_table(
    model: YieldModel, conditions: pd.DataFrame, *, coverage: float = 0.9
) -> pd.DataFrame:
    """Prediction, interval and range checks of each row, from one pass of the model.

    Parameters
    ----------
    model
        From `fit_yield_model` or `load_yield_model`.
    conditions : (n, ...) DataFrame
    coverage
        Of the interval.

    Returns
    -------
    (n, 6) DataFrame, indexed like `conditions`
        The model's target, `lower`, `upper`; `in_range` (each condition within its training range),
        `joint_in_range` (their combination too, where the model knows), and `outside`, which says
        in words what is not. A row that cannot be judged has NaN in the first three.
    """
    if hasattr(model, "predict_interval"):
        table = model.predict_interval(conditions, coverage=coverage).copy()
    else:
        table = model.predict(conditions).join(model.interval(conditions, coverage=coverage))
    figures = [model.target, "lower", "upper"]
    # Conditions beyond all numbers (1e308) overflow inside a model; that is no prediction.
    unknown = ~np.isfinite(table[[model.target]].to_numpy(dtype=float)).all(axis=1)
    unknown |= table[["lower", "upper"]].isna().to_numpy().any(axis=1)
    if unknown.any():
        table.loc[unknown, figures] = np.nan
    table["joint_in_range"] = _joint_in_range(model, conditions, table)
    return table[[*figures, "in_range", "joint_in_range", "outside"]]


def _joint_in_range(model: YieldModel, conditions: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    if not hasattr(model, "out_of_range"):
        return table["in_range"].astype(bool)
    flag = model.out_of_range(conditions)
    return table["in_range"].astype(bool) & ~np.asarray(flag, dtype=bool)
