"""How conditions vary around what was set: a recipe's spread, or deviations of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reactor_yield.arguments import FUNCTION, NUMBER, TABLE, Kind, by_name
from reactor_yield.data.dataset import OperatingMode
from reactor_yield.errors import InvalidConditionsError

Array = NDArray[np.float64]

Disturbances: TypeAlias = (
    OperatingMode
    | Mapping[str, float]
    | pd.DataFrame
    | Callable[[int, np.random.Generator], pd.DataFrame]
)
"""Deviations from the conditions set, in the columns' units: the spread of an `OperatingMode`;
standard deviations of independent normal deviations per column; a table of deviations that were
seen, whose rows are drawn at random; or a function of a number of rows and a random generator."""

#: How an argument of that kind is checked; what it holds is checked when it is drawn from.
DISTURBANCES = Kind(
    "an OperatingMode, deviations by column, a table of them, a function, or None",
    lambda value: (
        value is None
        or isinstance(value, OperatingMode)
        or TABLE.fits(value)
        or by_name(NUMBER).fits(value)
        or FUNCTION.fits(value)
    ),
)


def draw_deviations(
    disturbances: Disturbances | None, n_draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw deviations, (n_draws, ...); none where `disturbances` is None.

    Raises
    ------
    InvalidConditionsError
        When standard deviations are negative or no numbers, or a table has gaps or no rows.
    """
    if disturbances is None:
        return pd.DataFrame(index=range(n_draws))
    if isinstance(disturbances, OperatingMode):
        return draw_deviations(disturbances.spread(), n_draws, rng)
    if isinstance(disturbances, pd.DataFrame):
        numbers = disturbances.apply(pd.to_numeric, errors="coerce")
        bad = [c for c in numbers if not np.isfinite(numbers[c]).all()]
        if not len(numbers) or bad:
            message = f"disturbances: the table has no rows, or no numbers in the columns {bad}"
            raise InvalidConditionsError(message)
        return numbers.iloc[rng.integers(len(numbers), size=n_draws)].reset_index(drop=True)
    if isinstance(disturbances, Mapping):
        bad = [c for c, sd in disturbances.items() if not (np.isfinite(sd) and sd >= 0)]
        if bad:
            message = f"disturbances: the standard deviations of {bad} must be numbers from 0 on"
            raise InvalidConditionsError(message)
        names = list(disturbances)
        normal = rng.standard_normal((n_draws, len(names)))
        return pd.DataFrame(normal * [float(disturbances[c]) for c in names], columns=names)
    drawn = disturbances(n_draws, rng)
    if len(drawn) != n_draws:
        message = f"disturbances: {len(drawn)} rows were drawn where {n_draws} were asked for"
        raise InvalidConditionsError(message)
    return drawn.reset_index(drop=True)


def disturb(nominal: pd.DataFrame, deviations: pd.DataFrame) -> pd.DataFrame:
    """Add deviations, row by row, to conditions; columns without any stay as they are.

    Raises
    ------
    InvalidConditionsError
        When a deviation has no condition to be added to.
    """
    unknown = [c for c in deviations.columns if c not in nominal.columns]
    if unknown:
        message = f"disturbances of {unknown}, which are no conditions; found {list(nominal)}"
        raise InvalidConditionsError(message)
    columns = {
        c: nominal[c].to_numpy(dtype=float) + deviations[c].to_numpy(dtype=float)
        for c in deviations.columns
    }
    return nominal.reset_index(drop=True).assign(**columns)


def repeat_rows(nominal: Mapping[str, object], n_rows: int) -> pd.DataFrame:
    """Repeat one set of conditions as a table."""
    return pd.DataFrame({name: [value] * n_rows for name, value in nominal.items()})
