"""What leads to a demand, and a first solution on a grid that meets it and makes nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.restrict import restrict
from stnopt.solvers.linear_program import fix_integers, solve_program

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.long_horizon.grid import Grid

#: Effort that goes to heuristics: any solution that misses nothing ends the search.
_HEURISTICS = 0.5
#: Share of the largest batch that may be missed before times are given.
MET = 1e-6
#: Modes of a pair of task and unit: all there are.
_ALL_MODES = 1_000


def tasks_towards(network: Network, states: Iterable[str]) -> frozenset[str]:
    """List the tasks that make some states, directly or through others.

    Those that take what such tasks make besides are among them, where it has no room to stay.
    """
    wanted = frozenset(states)
    tasks: set[str] = set()
    makers = [task for name in wanted for task in network.producers(name)]
    while makers:
        task = makers.pop()
        if task in tasks:
            continue
        tasks.add(task)
        for name in network.tasks[task].consumes:
            makers += network.producers(name)
        for name in network.tasks[task].produces:
            state = network.states[name]
            if name not in wanted and (state.zero_wait or math.isfinite(state.capacity)):
                makers += network.consumers(name)
    return frozenset(tasks)


def tasks_towards_demand(network: Network, problem: Problem) -> frozenset[str]:
    """List the tasks that lead to what must be there."""
    wanted = [*problem.targets, *(due.state for due in problem.deliveries)]
    return tasks_towards(network, [*wanted, *(order.state for order in problem.orders)])


def leads_to_demand(grid: Grid) -> NDArray[np.bool_]:
    """Say which batches are of `tasks_towards_demand`, (n,) array."""
    tasks = tasks_towards_demand(grid.network, grid.problem)
    leads = np.array([mode.suitability.task in tasks for mode in grid.modes], dtype=bool)
    return leads[grid.mode_of]


def build_grid_that_meets_demand(
    network: Network,
    problem: Problem,
    *,
    width: float,
    most_modes: int,
    seconds: float,
    start: PlantState | None = None,
) -> tuple[Grid, NDArray[np.float64] | None]:
    """Build a grid on which the demand can be met, and meet it.

    Where the modes of most throughput are too slow for a date, the tasks that lead to the demand
    get all others as well.

    Parameters
    ----------
    network : Network
    problem : Problem
    width : float
    most_modes : int
        Per pair of task and unit.
    seconds : float
        For each of the two.
    start : PlantState, optional

    Returns
    -------
    grid : Grid
    x : (n,) array or None
        A solution that meets the demand; None where none was found, or nothing is demanded.
    """
    few = choose_modes(network, width, most=most_modes)
    grid = build_grid(network, problem, width=width, modes=few, start=start)
    x = meet_demand(grid, seconds=seconds)
    if x is None or grid.missed_amount(x) <= MET * grid.largest:
        return grid, x
    towards = tasks_towards_demand(network, problem)
    every = choose_modes(network, width, most=_ALL_MODES)
    modes = [mode for mode in every if mode.suitability.task in towards or mode in few]
    if len(modes) == len(few):
        return grid, None
    finer = build_grid(network, problem, width=width, modes=modes, start=start)
    x = meet_demand(finer, seconds=seconds)
    if x is None or finer.missed_amount(x) > MET * finer.largest:
        return grid, None
    return finer, x


def meet_demand(grid: Grid, *, seconds: float) -> NDArray[np.float64] | None:
    """Choose batches that leave as little as can be of the demand unmet, and nothing beyond it.

    Parameters
    ----------
    grid : Grid
    seconds : float

    Returns
    -------
    (n,) array or None
        A solution, which may miss some of the demand; None where nothing is demanded or nothing
        was found in time.
    """
    if not len(grid.missed):
        return None
    program, nothing = grid.program, do_nothing(grid)
    if grid.missed_amount(nothing) <= 0:
        return None
    free = np.ones(len(program.cost), dtype=bool)
    other = ~leads_to_demand(grid)
    free[grid.run[other]] = free[grid.size[other]] = False
    part = restrict(program, nothing, np.flatnonzero(free))
    missed = np.isin(part.free, grid.missed)
    only_missed = replace(part.program, cost=np.where(missed, part.program.cost, 0.0), offset=0.0)
    answer = solve_program(
        only_missed, time_limit=seconds, start=part.start, heuristic_effort=_HEURISTICS
    )
    if answer.x is None:
        return None
    return _leave_out(grid, part.expand(answer.x), seconds=seconds)


def _leave_out(grid: Grid, x: NDArray[np.float64], *, seconds: float) -> NDArray[np.float64]:
    """Leave out the batches without which as much is met, and choose the sizes of the others."""
    free = np.ones(len(x), dtype=bool)
    absent = x[grid.run] < 0.5
    free[grid.run[absent]] = free[grid.size[absent]] = False
    part = restrict(grid.program, x, np.flatnonzero(free))
    answer = solve_program(part.program, time_limit=seconds, start=part.start)
    chosen = part.start if answer.x is None else answer.x
    found = part.expand(fix_integers(part.program, chosen, time_limit=seconds))
    found[grid.run] = np.round(found[grid.run])
    return found
