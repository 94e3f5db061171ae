"""Where a horizon may be shortened, and the windows between which feasibility can change."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.schedule import Batch
    from stnopt.scheduling.search.question import Question


def latest_date(problem: Problem, keep: Iterable[Batch] = ()) -> float:
    """Return the last time at which something is due, leaves or is done as kept; 0 without any."""
    dates = [delivery.time for delivery in problem.deliveries]
    dates += [time for order in problem.orders for time in (order.due, order.earliest)]
    dates += [batch.finish for batch in keep]
    return max(dates, default=0.0)


def away_starts(network: Network) -> list[float]:
    """Return the times at which a unit is taken away and must be empty, in order, each once."""
    return sorted({start for rule in network.unit_rules.values() for start, _ in rule.unavailable})


def shorten_horizon(question: Question, until: float) -> float:
    """Return the shortest window that asks the same of what ends by a time as the horizon does.

    What has ended may wait in its unit until the window ends, but not through a period away: a
    window may end before such a period only if the horizon does, too. At the start of a period the
    window ends in time.

    Parameters
    ----------
    question : Question
    until : float
        By when every batch has ended and everything has left that has a date.

    Returns
    -------
    float
        Between `until` and the horizon.
    """
    horizon = question.horizon
    if question.lasts:
        return horizon
    within = [
        (start, end)
        for rule in question.network.unit_rules.values()
        for start, end in rule.unavailable
        if until <= start < horizon
    ]
    if not within:
        return min(until, horizon)
    return min(horizon, max(end for _, end in within))


def feasibility_windows(network: Network, horizon: float) -> list[tuple[float, float]]:
    """Return intervals (after, up to] of horizons within each of which longer is never worse.

    They lie between consecutive starts of periods away; the last one ends at `horizon`.
    """
    edges = [0.0, *(start for start in away_starts(network) if 0 < start < horizon), horizon]
    return list(pairwise(edges))
