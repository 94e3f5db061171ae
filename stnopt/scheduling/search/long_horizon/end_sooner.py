"""The same production sooner, and something better from an instant on.

On a grid each batch takes a whole number of steps. In continuous time what was found on it ends
sooner than the horizon, and what is left at the end holds more: the plant's state at an instant
near the end is where a search of a short horizon begins.

References
----------
Freeing all that comes after an instant: rolling horizons, e.g. Dimitriadis, Shah & Pantelides
(1997), Comput. Chem. Eng. 21, S1061.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.plant.calendar import with_calendars
from stnopt.plant.tolerance import time_tolerance
from stnopt.scheduling.cut import from_time, rest_of
from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon.choose_grid import count_in_window
from stnopt.scheduling.search.long_horizon.dive_grids import FEW_IN_WINDOW
from stnopt.scheduling.search.retiming.retime import placed_from_schedule
from stnopt.scheduling.search.worth import MAXIMISED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.schedule import Batch, Schedule
    from stnopt.scheduling.search.retiming.timing import PlacedBatch

    #: A search of a plant and a problem from a state, which begins with a schedule.
    Search = Callable[[Network, Problem, PlantState, Schedule], Schedule | None]

#: Modes per pair of task and unit.
_ONE_MODE = 1
#: All of what is made but for this share of it must be made again.
_NEARLY = 1e-4


def may_end_sooner(network: Network, problem: Problem, widths: Sequence[float]) -> bool:
    """Whether more is better, and a plant too large for its grids to be solved to the end.

    Parameters
    ----------
    network : Network
    problem : Problem
    widths : sequence of float
        Of grids, the most promising first.
    """
    if problem.objective not in MAXIMISED or problem.orders or not widths:
        return False
    return count_in_window(network, widths[0], _ONE_MODE) > FEW_IN_WINDOW


def end_sooner(
    schedule: Schedule, network: Network, problem: Problem, *, start: PlantState | None
) -> Schedule | None:
    """Return a schedule that makes as much of each product, and ends as soon as its order allows.

    Parameters
    ----------
    schedule : Schedule
        Replayed.
    network : Network
    problem : Problem
        With a horizon, without orders.
    start : PlantState or None
        The plant at time 0.

    Returns
    -------
    Schedule or None
        Of the same horizon; None where times cannot be chosen anew.
    """
    assert problem.horizon is not None
    made = {name: schedule.final_stock.get(name, 0.0) for name in network.products}
    targets = {name: (1 - _NEARLY) * amount for name, amount in made.items() if amount > 0}
    found = retime_repeatedly(
        read_order(schedule.batches, network, problem, start),
        network,
        replace(problem, objective="makespan", targets=targets, sense="at_least"),
        start=start,
    )
    return None if found is None else replace(found, horizon=problem.horizon)


def search_after(
    schedule: Schedule,
    time: float,
    network: Network,
    problem: Problem,
    search: Search,
    *,
    start: PlantState | None,
) -> Schedule | None:
    """Keep what a schedule begins up to an instant, and search for something better after it.

    Parameters
    ----------
    schedule : Schedule
        Replayed.
    time : float
        From 0 to before the horizon, in the plant's time unit.
    network : Network
    problem : Problem
        With a horizon, without orders.
    search : callable
        Of a plant, a problem, the plant's state and a schedule to begin with.
    start : PlantState or None
        The plant at time 0.

    Returns
    -------
    Schedule or None
        Times of all batches are chosen anew; None where nothing was found, or that fails.
    """
    assert problem.horizon is not None
    rest = rest_of(schedule, time, network)
    assert rest.start is not None
    plant, asked = from_time(network, problem, time)
    found = search(plant, asked, rest.start, rest)
    if found is None:
        return None
    same = time_tolerance(problem.horizon)
    kept = [batch for batch in schedule.batches if batch.start <= time + same]
    later = [
        replace(batch, start=batch.start + time, finish=batch.finish + time)
        for batch in found.batches
    ]
    return retime_repeatedly(
        read_order([*kept, *later], network, problem, start), network, problem, start=start
    )


def read_order(
    batches: Sequence[Batch], network: Network, problem: Problem, start: PlantState | None
) -> list[PlacedBatch]:
    """Read the order of batches from their times, on calendars of that week."""
    assert problem.horizon is not None
    dated = with_calendars(network, start=problem.start, horizon=problem.horizon)
    return placed_from_schedule(batches, dated, horizon=problem.horizon, start=start)
