"""Shorter horizons that are worth a search of their own.

What is found for them is a schedule of the whole horizon as well, unless something is due later.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.plant.demands import demanded_rules
from stnopt.scheduling.search.capacity_bound import bound_by_capacity
from stnopt.scheduling.search.long_horizon.choose_grid import count_in_window
from stnopt.scheduling.search.long_horizon.dive_grids import length_to_dive
from stnopt.scheduling.search.long_horizon.fill import (
    DIVE_SHARE,
    PER_WINDOW,
    WINDOW_BATCHES,
)
from stnopt.scheduling.search.worth import MAXIMISED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.long_horizon.choose_grid import Width

#: Where something happens in time, a shorter horizon asks something else.
CHANGES_IN_TIME = frozenset(
    {
        "unavailable",
        "unattended",
        "paused",
        "arrivals",
        "utility_steps",
        "deliveries",
        "orders",
        "running",
        "held",
    }
)
#: A shorter horizon holds nearly all where its bound is as good, but for this share of it.
_SATURATED = 0.01
#: Horizons of fewer longest batches than this are not halved.
_STILL_LONG = 4.0
#: Constructing is hopeless where it takes so many times the time there is; what takes so many times
#: as long fits.
_HOPELESS, _FITS = 3.0, 1.5
#: A horizon for a dive is preferred to one for windows down to this share of it.
_DIVES_BETTER = 0.5


def horizon_of_nearly_all(
    network: Network, problem: Problem, bound: float, *, start: PlantState | None = None
) -> float:
    """Return a horizon in which raw material or storage, not time, limits what there is to gain.

    Parameters
    ----------
    network : Network
    problem : Problem
        With a horizon.
    bound : float
        Of the problem, for any schedule.
    start : PlantState, optional

    Returns
    -------
    float
        The whole horizon where there is none, or where something happens in time.
    """
    horizon = problem.horizon
    assert horizon is not None
    if {each.rule for each in demanded_rules(network, problem, start)} & CHANGES_IN_TIME:
        return horizon
    sign = 1.0 if problem.objective in MAXIMISED else -1.0
    longest = max(fit.duration(fit.max_batch) for fit in network.suitabilities)
    while horizon > _STILL_LONG * longest:
        value = bound_by_capacity(network, replace(problem, horizon=horizon / 2), start=start)
        if value is None or sign * value < sign * bound - _SATURATED * abs(bound):
            break
        horizon /= 2
    return horizon


def horizon_that_fits(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    time_limit: float,
    most_modes: int,
    *,
    start: PlantState | None = None,
) -> float:
    """Return a horizon that can be filled in the time there is, window after window or by diving.

    Parameters
    ----------
    network : Network
    problem : Problem
        With a horizon.
    ranked : sequence of Width
        The most promising first.
    time_limit : float
        In seconds.
    most_modes : int
        Per pair of task and unit.
    start : PlantState, optional
        The plant at time 0.

    Returns
    -------
    float
        The whole horizon where that fits, where something must be made in it, and where a batch
        that runs at time 0 ends after what would fit.
    """
    horizon = problem.horizon
    assert horizon is not None
    demand = problem.targets or problem.deliveries or problem.orders
    if problem.objective not in MAXIMISED or demand or not ranked:
        return horizon
    first = next((each for each in ranked if not each.wide), ranked[0])
    share = share_of_constructing(network, first, time_limit, most_modes)
    if share <= _HOPELESS:
        return horizon
    fits = horizon * _FITS / share
    dives = length_to_dive(network, horizon, ranked, DIVE_SHARE * time_limit)
    fits = min(horizon, dives if dives > _DIVES_BETTER * fits else fits)
    running = start.running if start is not None else ()
    return horizon if any(batch.remaining > fits for batch in running) else fits


def share_of_constructing(
    network: Network, width: Width, time_limit: float, most_modes: int
) -> float:
    """Return which share of the time it takes to fill a grid window after window, about."""
    in_window = max(count_in_window(network, width.width, most_modes), WINDOW_BATCHES)
    windows = 2 * width.n_batches / in_window  # they overlap by half
    return PER_WINDOW * windows / time_limit
