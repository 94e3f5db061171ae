"""How good a yield model is, on rows whose yield is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reactor_yield.arguments import COUNT, PREDICTS, SHARE, TABLE, WHOLE, check_arguments
from reactor_yield.errors import InvalidConditionsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reactor_yield.yield_model.model import YieldModel


def evaluate_yield_model(
    model: YieldModel, data: pd.DataFrame, *, coverage: float = 0.9
) -> pd.DataFrame:
    """Compare predictions with known yields, over all rows and, where there is a `Mode`, in each.

    Rows without a known yield, or that cannot be predicted, are left out and counted.

    Returns
    -------
    DataFrame
        Indexed `all` and the modes; columns `n_rows` (rows compared), `mae`, `rmse`,
        `largest_error`, `r2`, `coverage` (share of rows inside the interval asked for),
        `mean_width`, and `n_left_out`.

    Raises
    ------
    InvalidConditionsError
        When no row can be compared.
    """
    check_arguments(model=(model, PREDICTS), data=(data, TABLE), coverage=(coverage, SHARE))
    truth = _read_truth(model, data)
    found = model.predict_interval(data, coverage=coverage)
    error = (found[model.target] - truth).to_numpy(dtype=float)
    compared = np.isfinite(error)
    if not compared.any():
        message = (
            f"none of {len(data)} rows has both a known {model.target!r} and conditions that can "
            "be predicted"
        )
        raise InvalidConditionsError(message)
    inside = truth.between(found["lower"], found["upper"]).to_numpy()
    width = (found["upper"] - found["lower"]).to_numpy(dtype=float)
    chosen: dict[str, NDArray[np.bool_]] = {"all": np.ones(len(data), dtype=bool)}
    if "Mode" in data.columns:
        for mode in sorted(data["Mode"].dropna().unique(), key=str):
            said = f"{mode:g}" if isinstance(mode, int | float | np.number) else str(mode)
            chosen[f"mode {said}"] = (data["Mode"] == mode).to_numpy()
    rows = {}
    for name, belongs in chosen.items():
        used = belongs & compared
        if used.any():
            rows[name] = _summarise(error[used], truth.to_numpy()[used], inside[used], width[used])
            rows[name]["n_left_out"] = int((belongs & ~compared).sum())
    return pd.DataFrame.from_dict(rows, orient="index")


def permutation_importance(
    model: YieldModel, data: pd.DataFrame, *, seed: int = 0, n_repeats: int = 5
) -> pd.DataFrame:
    """Rank features by how much the error grows when their values are shuffled between rows.

    Shuffling `Cto` apart from P and To makes rows that cannot exist; the figure says what the model
    reads, not what the reactor does. Rows without a known yield, or that cannot be predicted, are
    left out.

    Returns
    -------
    DataFrame, most important first
        Columns `feature`, `importance` (mean increase of the mean absolute error) and `spread`
        (standard deviation over the repeats).

    Raises
    ------
    InvalidConditionsError
        When no row can be used, or a feature is missing.
    """
    check_arguments(
        model=(model, PREDICTS),
        data=(data, TABLE),
        seed=(seed, WHOLE),
        n_repeats=(n_repeats, COUNT),
    )
    rng = np.random.default_rng(seed)
    truth = _read_truth(model, data).to_numpy()
    first = np.abs(model.predict(data)[model.target].to_numpy(dtype=float) - truth)
    used = np.isfinite(first)
    if not used.any():
        message = f"none of {len(data)} rows has a known {model.target!r} and can be predicted"
        raise InvalidConditionsError(message)
    rows_used, truth, error = data[used], truth[used], first[used].mean()
    missing = [c for c in model.features if c not in data.columns]
    if missing:
        message = f"the data lack the columns {missing}; found {list(data.columns)}"
        raise InvalidConditionsError(message)
    rows = []
    for feature in model.features:
        grown = []
        for _ in range(n_repeats):
            order = rng.permutation(len(rows_used))
            shuffled = rows_used.assign(**{feature: rows_used[feature].to_numpy()[order]})
            predicted = model.predict(shuffled)[model.target].to_numpy(dtype=float)
            grown.append(np.abs(predicted - truth).mean() - error)
        rows.append((feature, float(np.mean(grown)), float(np.std(grown))))
    table = pd.DataFrame(rows, columns=["feature", "importance", "spread"])
    return table.sort_values("importance", ascending=False, ignore_index=True)


def _read_truth(model: YieldModel, data: pd.DataFrame) -> pd.Series:
    if model.target not in data.columns:
        message = f"the data lack the column {model.target!r}; found {list(data.columns)}"
        raise InvalidConditionsError(message)
    return pd.to_numeric(data[model.target], errors="coerce").astype(float)


def _summarise(
    error: NDArray[np.float64],
    truth: NDArray[np.float64],
    inside: NDArray[np.bool_],
    width: NDArray[np.float64],
) -> dict[str, float]:
    spread = truth.var()
    return {
        "n_rows": len(error),
        "mae": float(np.abs(error).mean()),
        "rmse": math.sqrt((error**2).mean()),
        "largest_error": float(np.abs(error).max()),
        "r2": float(1 - (error**2).mean() / spread) if spread > 0 else math.nan,
        "coverage": float(inside.mean()),
        "mean_width": float(width.mean()),
    }
