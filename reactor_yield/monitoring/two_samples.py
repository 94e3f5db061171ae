"""Tests of two samples of correlated rows, and the indices reported beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reactor_yield.arguments import COUNT, VALUES, check_arguments
from reactor_yield.monitoring.correlation import find_correlation_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

Array = NDArray[np.float64]

FEW_ROWS = 40
"""Below this many independent rows means are compared instead of whole distributions."""
FEWEST_ROWS = 10
"""Below this many independent rows no level can be stated."""
_FAR = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoSamples:
    """What differs between two samples of one column.

    Attributes
    ----------
    statistic
        Largest distance between the two distribution functions.
    p_value
        Of the more telling of two tests, doubled for having looked twice.
    independent_rows
        How many independent rows each side is worth.
    decided
        Whether those are enough for the p-value to hold.
    far
        Whether the means are more than four spreads apart: so far off that it counts without a
        level.
    """

    statistic: float
    p_value: float
    independent_rows: tuple[float, float]
    decided: bool
    far: bool


def compare(
    old: Array, now: Array, *, groups: tuple[Sequence[str], Sequence[str]] | None = None
) -> TwoSamples:
    """Test whether two samples come from one distribution, by location-and-shape and by spread.

    Kolmogorov-Smirnov and Brown-Forsythe, each with the number of independent rows that the
    correlated ones are worth in place of their number. With fewer than 40 of those, Welch's test of
    the means takes the place of Kolmogorov-Smirnov, with the pessimistic end of the correlation
    time.

    Parameters
    ----------
    old, now : (n,), (m,) arrays
        In the order in which the rows were taken, without gaps.
    groups
        Mode of each row, in which levels may differ: the correlation is looked for within modes.

    References
    ----------
    Brown & Forsythe (1974), doi:10.1080/01621459.1974.10482955.
    """
    distance = float(stats.ks_2samp(old, now, method="asymp").statistic)
    time = find_correlation_time(*_centred(old, now, groups))
    rows = (len(old) / time.rows, len(now) / time.rows)
    worst = (len(old) / time.upper, len(now) / time.upper)
    deviation = (np.abs(old - np.median(old)), np.abs(now - np.median(now)))
    spread_time = find_correlation_time(*_centred(*deviation, groups))
    if min(worst) >= FEW_ROWS:
        effective = worst[0] * worst[1] / (worst[0] + worst[1])
        first = float(stats.kstwo.sf(distance, max(1, round(effective))))
    else:
        first = _compare_means(old, now, time.upper)
    # Deviations from a level that was itself fitted to few rows are no firmer than the level.
    spread_rows = max(spread_time.upper, time.rows)
    second = _compare_means(deviation[0], deviation[1], spread_rows)
    return TwoSamples(
        statistic=distance,
        p_value=min(1.0, 2 * min(first, second)),
        independent_rows=rows,
        decided=min(worst) >= FEWEST_ROWS,
        far=bool(abs(now.mean() - old.mean()) > _FAR * np.sqrt((old.var() + now.var()) / 2)),
    )


def compare_shares(old: pd.Series, now: pd.Series, *, in_order: bool = True) -> TwoSamples:
    """Test whether categories have the same shares (chi-squared, counts in independent rows).

    Parameters
    ----------
    old, now
        A category per row, no gaps.
    in_order
        Whether the rows' order means anything; a table sorted by category has none.
    """
    categories = sorted(set(old) | set(now))
    if len(categories) == 1:
        return TwoSamples(
            statistic=0.0,
            p_value=1.0,
            independent_rows=(float(len(old)), float(len(now))),
            decided=True,
            far=False,
        )
    times = [
        find_correlation_time(*(np.asarray(t == c, dtype=float) for t in (old, now)))
        for c in categories
        if in_order
    ]
    upper = max((t.upper for t in times), default=1.0)
    rows = max((t.rows for t in times), default=1.0)
    counts = np.array([[int((t == c).sum()) for c in categories] for t in (old, now)])
    share = counts / counts.sum(axis=1, keepdims=True)
    worth = (len(old) / upper, len(now) / upper)
    return TwoSamples(
        statistic=float(np.abs(share[0] - share[1]).max()),
        p_value=float(stats.chi2_contingency(counts / upper).pvalue),
        independent_rows=(len(old) / rows, len(now) / rows),
        decided=min(worth) >= FEWEST_ROWS,
        far=False,
    )


def larger_errors(old: Array, now: Array) -> float:
    """p-value that the errors have not grown: Mann-Whitney's test, in independent rows."""
    time = find_correlation_time(old, now)
    u = float(stats.mannwhitneyu(now, old, alternative="greater").statistic)
    n, m = len(old) / time.upper, len(now) / time.upper
    share = u / (len(old) * len(now))
    return float(stats.norm.sf((share - 0.5) / np.sqrt((n + m + 1) / (12 * n * m))))


def missed_share(inside: NDArray[np.bool_], *, coverage: float, n_calibration: int) -> float:
    """p-value that intervals of this coverage miss no more rows than they may.

    Parameters
    ----------
    inside : (n,) bool array
        Whether the truth lies in its interval, in the order of the rows.
    coverage
        Promised.
    n_calibration
        Rows that the promise rests on: it is itself uncertain by so much.
    """
    missed = (~inside).astype(float)
    rows = len(missed) / find_correlation_time(missed).upper
    variance = coverage * (1 - coverage) * (1 / rows + 1 / max(1, n_calibration))
    return float(stats.norm.sf((missed.mean() - (1 - coverage)) / np.sqrt(variance)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of any false rejection stays below the level used."""
    order = np.argsort(p_values)
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def population_stability_index(reference: Array, current: Array, *, n_bins: int = 10) -> float:
    """Sum of (q - p) ln(q / p) over bins that hold equal shares p of the reference.

    Half a row is added to every bin, so that an empty one gives a large index and not an infinite
    one. A value that fills whole bins by itself, such as a set point, gets a bin of its own, so
    that leaving it shows whichever way it goes.

    Parameters
    ----------
    reference, current : (n,), (m,) arrays
        Values of one column, finite, at least one on each side.
    n_bins : int
        How many bins, where no value fills several by itself.

    Returns
    -------
    float
        0 for equal shares; by custom, little changed below 0.1 and much above 0.25.

    Raises
    ------
    InvalidConditionsError
        If an argument does not fit; it is named.
    """
    check_arguments(
        reference=(reference, VALUES), current=(current, VALUES), n_bins=(n_bins, COUNT)
    )
    quantiles = np.quantile(reference, np.linspace(0, 1, n_bins + 1)[1:-1])
    edges, repeats = np.unique(quantiles, return_counts=True)
    held = edges[(repeats > 1) | (np.ptp(reference) == 0)]
    edges = np.union1d(edges, np.nextafter(held, np.inf))
    n = len(edges) + 1
    old = np.bincount(np.searchsorted(edges, reference, side="right"), minlength=n) + 0.5
    now = np.bincount(np.searchsorted(edges, current, side="right"), minlength=n) + 0.5
    p, q = old / old.sum(), now / now.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def _compare_means(old: Array, now: Array, correlation_rows: float) -> float:
    """p-value of equal means: Student's test with independent rows (Brown-Forsythe's F is t^2)."""
    n, m = (max(1.0, len(x) / correlation_rows) for x in (old, now))
    freedom = n + m - 2
    if freedom <= 0:
        return 1.0
    # The mean is fitted to correlated rows: the variance about it is too small by 1 - 1 / n.
    parts = [
        k * float(x.var()) / max(1e-12, 1 - 1 / k) if k > 1 else k * float(x.var())
        for k, x in ((n, old), (m, now))
    ]
    squares = (parts[0] * (n - 1) / n + parts[1] * (m - 1) / m) / freedom
    difference = float(now.mean() - old.mean())
    if squares <= 0:
        return 1.0 if difference == 0 else 0.0
    t = difference / np.sqrt(squares * (1 / n + 1 / m))
    return float(2 * stats.t.sf(abs(t), freedom))


def _centred(
    old: Array, now: Array, groups: tuple[Sequence[str], Sequence[str]] | None
) -> tuple[Array, Array]:
    """Both sides with the level and spread of each mode taken out."""
    if groups is None:
        return old, now
    return _centre(old, groups[0]), _centre(now, groups[1])


def _centre(values: Array, group: Sequence[str]) -> Array:
    labels = np.asarray(group, dtype=object)
    centred = values.astype(float).copy()
    for label in sorted(set(group)):
        rows = labels == label
        part = centred[rows]
        centred[rows] = (part - part.mean()) / (part.std() or 1.0)
    return centred
