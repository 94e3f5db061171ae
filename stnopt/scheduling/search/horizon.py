"""Where a horizon may be shortened, and the windows between which feasibility can change."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem


def latest_delivery(problem: Problem) -> float:
    """Return when the last delivery leaves the plant; 0 without any."""
    return max((delivery.time for delivery in problem.deliveries), default=0.0)


def away_starts(network: Network) -> list[float]:
    """Return the times at which a unit is taken away and must be empty, in order, each once."""
    return sorted({start for rule in network.unit_rules.values() for start, _ in rule.unavailable})


def shorten_horizon(network: Network, until: float, horizon: float) -> float:
    """Return the shortest window that asks the same of what ends by a time as the horizon does.

    What has ended may wait in its unit until the window ends, but not through a period away: a
    window may end before such a period only if the horizon does, too. At the start of a period the
    window ends in time.

    Parameters
    ----------
    network : Network
    until : float
        By when every batch has ended and every delivery has left.
    horizon : float

    Returns
    -------
    float
        Between `until` and `horizon`.
    """
    within = [
        (start, end)
        for rule in network.unit_rules.values()
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
