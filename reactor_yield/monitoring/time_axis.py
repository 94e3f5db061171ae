"""Times of rows, and what of a column's movement a trend or a season explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from reactor_yield.data.times import parse_times
from reactor_yield.errors import InvalidConditionsError, InvalidFileError
from reactor_yield.monitoring.correlation import find_correlation_time
from reactor_yield.tables import place

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]

_SEASONS = {"day": 1.0, "week": 7.0, "year": 365.25}
_PERIODS_NEEDED = 1.5
_ROWS_PER_PERIOD = 8
_SIGNIFICANCE = 1e-3


def read_times(table: pd.DataFrame, column: str, *, what: str) -> pd.Series:
    """Time of each row in days, from time stamps or numbers (taken as days).

    Raises
    ------
    InvalidFileError
        Naming file, line and value of the first row that is no time.
    InvalidConditionsError
        When there is no such column.
    """
    if column not in table.columns:
        message = f"{what} lack the column {column!r} of times; found {list(table.columns)}"
        raise InvalidConditionsError(message)
    raw = table[column]
    found = pd.to_numeric(raw, errors="coerce")
    if found.isna().mean() > 0.5:
        stamps = parse_times(raw)
        origin = pd.Timestamp("2000-01-01", tz="UTC")
        found = (stamps - origin) / pd.Timedelta(days=1)
    bad = np.flatnonzero(found.isna().to_numpy())
    if len(bad):
        first = int(bad[0])
        message = (
            f"{place(table, first)}, column {column!r}: {raw.iloc[first]!r} is no time "
            "such as 2025-03-01 06:30 or 01.03.2025 06:30 "
            f"({len(bad)} of {len(raw)} rows of {what})"
        )
        raise InvalidFileError(message)
    return found.astype(float)


def take_out_time(
    times: tuple[Array, Array], values: tuple[Array, Array]
) -> tuple[str, Array, Array] | None:
    """Take the reference's own trend and seasons out of both sides, where it has any.

    A straight line, and a sine of each period (day, week, year) of which the reference holds at
    least 1.5 with 8 rows in each, are fitted to the reference by least squares. A term stays when
    it is significant at 0.001 with the number of independent rows that its residuals are worth.

    Parameters
    ----------
    times, values : pairs of (n,), (m,) arrays
        Days and values of reference and current rows.

    Returns
    -------
    None or (name, reference residuals, current residuals)
        `None` where nothing of the kind stands out.
    """
    old_time, old = times[0], values[0]
    span = float(np.ptp(old_time))
    if not span > 0:
        return None
    usual_step = span / max(1, len(old) - 1)
    seasons = [
        (f"season of a {name}", period)
        for name, period in _SEASONS.items()
        if span >= _PERIODS_NEEDED * period and period >= _ROWS_PER_PERIOD * usual_step
    ]
    start = float(old_time.min())
    kept: list[tuple[str, float | None]] = []
    for term in [("trend", None), *seasons]:
        if _is_significant(old_time, old, start, span, kept, term):
            kept.append(term)
    if not kept:
        return None
    design = _design(old_time, start, span, kept)
    weights = np.linalg.lstsq(design, old, rcond=None)[0]
    now = values[1] - _design(times[1], start, span, kept) @ weights
    return " and ".join(name for name, _ in kept), old - design @ weights, now


def _design(
    time: Array, start: float, span: float, terms: Sequence[tuple[str, float | None]]
) -> Array:
    columns = [np.ones(len(time))]
    for _, period in terms:
        if period is None:
            columns.append((time - start) / span)
        else:
            phase = 2 * np.pi * time / period
            columns += [np.sin(phase), np.cos(phase)]
    return np.column_stack(columns)


def _is_significant(
    time: Array,
    values: Array,
    start: float,
    span: float,
    kept: list[tuple[str, float | None]],
    term: tuple[str, float | None],
) -> bool:
    """F-test of one more term, in independent rows."""
    residuals = []
    for terms in (kept, [*kept, term]):
        design = _design(time, start, span, terms)
        residuals.append(values - design @ np.linalg.lstsq(design, values, rcond=None)[0])
    before, after = (float((r**2).sum()) for r in residuals)
    if not before > 0 or after <= 0:
        return before > after
    extra = 1 if term[1] is None else 2
    rows = len(values) / find_correlation_time(residuals[1]).upper
    freedom = rows - 1 - extra - sum(1 if p is None else 2 for _, p in kept)
    if freedom < 1:
        return False
    # The correlation that is left makes the term look as firm as if all rows were independent.
    f = (before - after) / extra / (after / freedom)
    return bool(stats.f.sf(f, extra, freedom) < _SIGNIFICANCE and after < 0.9 * before)
