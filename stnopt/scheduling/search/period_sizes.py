"""How long a batch took says how large it can be: rows for sums over periods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.recipe import Suitability
    from stnopt.solvers.linear_program import ProgramBuilder

#: Of the points between the longest and the shortest duration before another one, so many are used.
_MOST_BETWEEN = 3


def limit_sizes_by_time(
    rows: ProgramBuilder,
    fit: Suitability,
    points: NDArray[np.float64],
    columns: tuple[NDArray[np.int64], ...],
    *,
    earliest: float,
    same: float,
) -> None:
    """Let what took less time be smaller, where a duration grows with the size.

    Of the batches that ended by point k but had not started by point j each took at most
    d = theta_k - theta_j, so that its size is at most s = (d - fixed time) / (time per amount);
    those that had started by j but not ended by k took at least d, and are as large or larger.
    The batches that did both are on either side of

        ended[k] - started[j] <= s (n_ended[k] - n_started[j]),

    which therefore holds for any two points; it says something where s lies between the smallest
    and the largest batch. None has started before the task can start at all, which bounds what has
    ended soon after that. Nothing may stretch a batch: no pause.

    Parameters
    ----------
    rows : ProgramBuilder
    fit : Suitability
    points : (k,) array
        Increasing times.
    columns : four (k,) arrays
        Amounts started and ended, numbers started and ended, by each point.
    earliest : float
        No batch starts before this time.
    same : float
        Times closer than this are one.
    """
    shortest, longest = fit.duration(fit.min_batch), fit.duration(fit.max_batch)
    if longest - shortest <= 2 * same:
        return
    started, ended, n_started, n_ended = columns
    first = np.searchsorted(points, points - longest + same, side="right")
    last = np.searchsorted(points, points - shortest - same)
    for k, time in enumerate(points.tolist()):
        if shortest + same < time - earliest < longest - same:
            size = (time - earliest - fit.fixed_time) / fit.time_per_amount
            rows.row([(int(ended[k]), 1.0), (int(n_ended[k]), -size)], upper=0.0)
        count = min(_MOST_BETWEEN, last[k] - first[k])
        for j in np.linspace(first[k], last[k] - 1, max(0, count)).round().astype(int):
            size = float(time - points[j] - fit.fixed_time) / fit.time_per_amount
            rows.row(
                [
                    (int(ended[k]), 1.0),
                    (int(started[j]), -1.0),
                    (int(n_ended[k]), -size),
                    (int(n_started[j]), size),
                ],
                upper=0.0,
            )
