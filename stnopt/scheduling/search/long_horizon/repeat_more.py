"""A pattern along a horizon that is longer by what ending sooner saves.

On a grid each batch takes whole steps; in continuous time the same batches end sooner. Laid out
along a longer horizon, a pattern then fills the one that there is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.plant.tolerance import time_tolerance
from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon.cycle import lay_out
from stnopt.scheduling.search.long_horizon.end_sooner import end_sooner, read_order
from stnopt.scheduling.search.long_horizon.grid import build_grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.long_horizon.cycle_grids import Repeated

#: A horizon that turned out too long is followed by one that is this share shorter than it should
#: be; so many are tried.
_SHORTER, _TRIES = 0.002, 3
#: What ends sooner by less than this share of a cycle holds no more of it.
_PART_OF_CYCLE = 0.5


def repeat_more(
    repeated: Repeated,
    schedule: Schedule,
    network: Network,
    problem: Problem,
    *,
    start: PlantState | None,
    seconds: float,
    should_stop: Callable[[], bool],
) -> Schedule | None:
    """Lay a pattern out along longer horizons until it fills the one that there is.

    Parameters
    ----------
    repeated : Repeated
        A pattern, and a solution of the problem's grid that repeats it.
    schedule : Schedule
        What became of that.
    network : Network
    problem : Problem
        With a horizon.
    start : PlantState or None
        The plant at time 0.
    seconds : float
        For laying it out once.
    should_stop : callable
        Asked between two horizons.

    Returns
    -------
    Schedule or None
        None where nothing more fits, and where something must be made: a longer horizon asks for
        more of it, or later.
    """
    assert problem.horizon is not None
    if problem.deliveries or problem.orders or problem.targets:
        return None
    horizon, pattern = problem.horizon, repeated.pattern
    found = end_sooner(schedule, network, problem, start=start)
    if found is None or horizon - _end(found) < _PART_OF_CYCLE * pattern.ring.hours:
        return None
    longer = horizon * horizon / _end(found)
    for _ in range(_TRIES):
        if should_stop():
            return None
        asked = replace(problem, horizon=longer)
        grid = repeated.grid
        grid = build_grid(network, asked, width=grid.width, modes=grid.modes, start=start)
        on_it = replace(pattern, ring=replace(pattern.ring, grid=grid))
        x = lay_out(on_it, later=repeated.later, seconds=seconds)
        if x is None:
            return None
        placed = grid.place(x)
        more = retime_repeatedly(placed, network, asked, start=start, width=grid.width)
        found = None if more is None else end_sooner(more, network, asked, start=start)
        if found is None:
            return None
        if _end(found) <= horizon + time_tolerance(horizon):
            order = read_order(found.batches, network, problem, start)
            return retime_repeatedly(order, network, problem, start=start)
        longer *= (1 - _SHORTER) * horizon / _end(found)
    return None


def _end(schedule: Schedule) -> float:
    return max((batch.finish for batch in schedule.batches), default=0.0)
