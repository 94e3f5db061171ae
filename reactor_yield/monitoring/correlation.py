"""How many independent rows a series of correlated ones is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_WINDOW = 5.0
"""The autocorrelation is summed up to this many correlation times (Sokal's window)."""
_MOST_RUNS = 4
_FEWEST_RUN_ROWS = 10
_MOST_ROWS = 200_000
"""Longer series are judged by their last rows: a correlation time needs no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationTime:
    """Rows that are worth one independent row.

    Attributes
    ----------
    rows
        Integrated autocorrelation time, 1 for independent rows.
    upper
        The same with its own uncertainty: about one in forty true values is larger.
    """

    rows: float
    upper: float


INDEPENDENT = CorrelationTime(rows=1.0, upper=1.0)


def find_correlation_time(*series: Array) -> CorrelationTime:
    """Integrated autocorrelation time that several stretches of one kind of series share.

    `tau = 1 + 2 sum_k rho_k`, summed up to the first `k >= 5 tau(k)`. Estimates from short series
    are too small, by `(2 k + 1) / n` of them, and uncertain by `tau sqrt((4 k + 2) / n)`; both are
    made up for.

    Parameters
    ----------
    *series : (n_i,) arrays
        Each is centred by itself. Stretches without any change count as independent.

    Notes
    -----
    Where no autocorrelation stands out of the noise the rows count as independent. So they do when
    at most four runs of different level explain all of it: such tables are sorted by a mode of
    operation that they do not name.

    References
    ----------
    Wolff (2004), Computer Physics Communications 156, 143, eqs. 41-49,
    doi:10.1016/S0010-4655(03)00467-3.
    """
    scaled = [s for s in (_standardise(x[-_MOST_ROWS:]) for x in series) if s is not None]
    if not scaled or _is_white(scaled):
        return INDEPENDENT
    without_runs = [s for s in (_standardise(_level_runs(x)) for x in scaled) if s is not None]
    if without_runs and _is_white(without_runs):
        return INDEPENDENT
    n = sum(map(len, scaled))
    correlation = _autocorrelation(scaled)
    tau = 1 + 2 * np.cumsum(correlation[1:])
    lags = np.arange(1, len(tau) + 1)
    beyond = np.flatnonzero(lags >= _WINDOW * np.maximum(tau, 0.5))
    window = int(beyond[0]) if len(beyond) else len(tau) - 1
    width = int(lags[window])
    raw = max(1.0, float(tau[window]))
    rows = raw * (1 + (2 * width + 1) / n)
    upper = rows * (1 + 2 * np.sqrt((4 * width + 2) / n))
    return CorrelationTime(rows=float(rows), upper=float(upper))


def _standardise(series: Array) -> Array | None:
    spread = float(series.std()) if len(series) > 2 else 0.0
    if not spread > 1e-12 * max(1.0, float(np.abs(series).max(initial=0.0))):
        return None
    return np.asarray((series - series.mean()) / spread)


def _autocorrelation(scaled: list[Array]) -> Array:
    """Mean autocorrelation over lags, longer stretches counting more."""
    longest = max(map(len, scaled))
    total, weight = np.zeros(longest // 2), np.zeros(longest // 2)
    for x in scaled:
        n = len(x)
        spectrum = np.fft.rfft(x, 2 * n)
        covariance = np.fft.irfft(np.abs(spectrum) ** 2)[: n // 2]
        total[: n // 2] += covariance
        weight[: n // 2] += n
    known = weight > 0
    return np.asarray(np.divide(total[known], weight[known]))


def _is_white(scaled: list[Array]) -> bool:
    """Whether none of the first five autocorrelations stands out (a few out of noise alone do)."""
    n = sum(map(len, scaled))
    first = _autocorrelation(scaled)[1:6]
    return bool(np.all(np.abs(first) < 3.3 / np.sqrt(n)))


def _level_runs(series: Array) -> Array:
    """Series with the level taken out of each of at most four runs, found one cut at a time."""
    pieces = [series]
    while len(pieces) < _MOST_RUNS:
        gains = [_best_cut(piece) for piece in pieces]
        best = int(np.argmax([gain for gain, _ in gains]))
        gain, at = gains[best]
        if gain <= 0:
            break
        piece = pieces[best]
        pieces[best : best + 1] = [piece[:at], piece[at:]]
    return np.concatenate([(p - p.mean()) / (p.std() or 1.0) for p in pieces])


def _best_cut(piece: Array) -> tuple[float, int]:
    """Largest fall of the sum of squares by one change of level, and where."""
    n = len(piece)
    if n < 2 * _FEWEST_RUN_ROWS:
        return 0.0, 0
    count = np.arange(1, n)
    left = np.cumsum(piece)[:-1]
    right = piece.sum() - left
    gain = left**2 / count + right**2 / (n - count) - piece.sum() ** 2 / n
    inner = slice(_FEWEST_RUN_ROWS - 1, n - _FEWEST_RUN_ROWS)
    at = int(np.argmax(gain[inner])) + _FEWEST_RUN_ROWS
    return float(gain[at - 1]), at
