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
    """Prediction, interval and range check of each row, from one pass of the model.

    Parameters
    ----------
    model
        From `fit_yield_model` or `load_yield_model`.
    conditions : (n, ...) DataFrame
    coverage
        Of the interval.

    Returns
    -------
    (n, 5) DataFrame, indexed like `conditions`
        The model's target, `lower`, `upper`; `in_range` (each condition and their combination are
        like the training rows), and `outside`, which says in words what is not. A row that cannot
        be judged has NaN in the first three.
    """
    # Conditions beyond all numbers (1e308) overflow inside a model; that is no prediction.
    with np.errstate(over="ignore", invalid="ignore"):
        table = model.predict_interval(conditions, coverage=coverage)
    figures = [model.target, "lower", "upper"]
    unknown = ~np.isfinite(table[model.target].to_numpy(dtype=float))
    for end in ("lower", "upper"):
        unknown |= np.isnan(table[end].to_numpy(dtype=float))
    if unknown.any():
        table = table.assign(**{c: table[c].mask(unknown) for c in figures})
    return table
