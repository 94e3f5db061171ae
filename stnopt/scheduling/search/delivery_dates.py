"""The same deliveries at fewer dates, for sums that need not know each of hundreds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stnopt.plant.problem import Problem


def with_fewer_dates(problem: Problem, most: int) -> Problem:
    """Let deliveries be due at so many dates at most: each at the last of those near its own.

    What is due later is easier, so that bounds stay bounds; sums with fewer dates are smaller.
    """
    dates = sorted({due.time for due in problem.deliveries})
    if len(dates) <= most:
        return problem
    last = {date: group[-1] for group in np.array_split(dates, most) for date in group.tolist()}
    due = tuple(replace(each, time=float(last[each.time])) for each in problem.deliveries)
    return replace(problem, deliveries=due)
