"""Batches near known ones, and from a schedule to a solution on any grid by choosing among them.

A schedule rarely fits a grid as it stands: batches take longer there, and start at its points. The
batches that start within a few steps of a scheduled one are few, so that the best of them all is
found in a second, over the whole horizon at once.

References
----------
Neighbourhoods of a known solution that a MILP solver searches: Fischetti & Lodi (2003), Math.
Program. 98, 23, doi:10.1007/s10107-003-0395-5.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.restrict import restrict
from stnopt.solvers.linear_program import ProgramStatus, fix_integers, solve_program

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.long_horizon.grid import Grid

#: A scheduled batch may start so many steps sooner or later on a grid: first few, then as many as
#: this many batches to choose from allow.
_REACHES, _MANY = (2.0, 3.0, 4.0, 6.0), 600
#: Of more batches than this the best are not chosen at once.
_MOST = 3_000
#: Gap at which the choice is good enough.
_GAP = 0.005
_ROUNDING = 1e-6


def near(grid: Grid, batches: Iterable[tuple[int, float]], *, reach: float) -> NDArray[np.bool_]:
    """Say which batches of a grid are near given ones.

    Parameters
    ----------
    grid : Grid
    batches : iterable of (int, float)
        Number of the pair of task and unit, and start in steps of the grid.
    reach : float
        In steps.

    Returns
    -------
    (n,) array
        In any mode.
    """
    among = np.zeros((len(grid.network.suitabilities), grid.n_steps + 1), dtype=bool)
    for number, start in batches:
        first = max(0, int(np.ceil(start - reach - _ROUNDING)))
        among[number, first : max(0, int(np.floor(start + reach + _ROUNDING)) + 1)] = True
    number_of = np.array([mode.number for mode in grid.modes], dtype=int)
    return among[number_of[grid.mode_of], grid.start_of]


def near_solution(grid: Grid, x: NDArray[np.float64], *, reach: float) -> NDArray[np.bool_]:
    """Say which batches are near those that run in a solution, (n,) array."""
    runs = np.flatnonzero(x[grid.run] > 0.5)
    numbers = [grid.modes[mode].number for mode in grid.mode_of[runs]]
    return near(grid, zip(numbers, grid.start_of[runs].tolist(), strict=True), reach=reach)


def choose_among(
    grid: Grid,
    base: NDArray[np.float64],
    *,
    runs: NDArray[np.bool_],
    sizes: NDArray[np.bool_],
    relative_gap: float,
    seconds: float,
) -> tuple[NDArray[np.float64] | None, bool]:
    """Choose which of some batches run, and the sizes of some; all others stay as they are.

    Parameters
    ----------
    grid : Grid
    base : (n,) array
        A solution, but for what is chosen.
    runs, sizes : (n,) arrays
        Of the grid's batches.
    relative_gap, seconds : float

    Returns
    -------
    x : (n,) array or None
        None where nothing was found.
    solved : bool
        Whether it is as close to the best as was asked.
    """
    free = np.ones(len(base), dtype=bool)
    free[grid.run], free[grid.size] = runs, sizes
    part = restrict(grid.program, base, np.flatnonzero(free))
    answer = solve_program(
        part.program,
        time_limit=seconds,
        relative_gap=relative_gap,
        start=part.start,
        heuristic_effort=0.2,
    )
    solved = answer.status is ProgramStatus.OPTIMAL
    if answer.x is None:
        return None, solved
    x = part.expand(fix_integers(part.program, answer.x, time_limit=seconds))
    x[grid.run] = np.round(x[grid.run])
    return x, solved


def carry_over(schedule: Schedule, grid: Grid, *, seconds: float) -> NDArray[np.float64] | None:
    """Choose on a grid the best batches near those of a schedule.

    Parameters
    ----------
    schedule : Schedule
    grid : Grid
        Of the same plant.
    seconds : float

    Returns
    -------
    (n,) array or None
        A solution, which may miss some of the demand; None where the schedule has too many batches,
        or nothing was found in time.
    """
    numbers = {
        (fit.task, fit.unit): number for number, fit in enumerate(grid.network.suitabilities)
    }
    batches = [
        (numbers[batch.task, batch.unit], batch.start / grid.width)
        for batch in schedule.batches
        if batch.start >= 0
    ]
    best, until = do_nothing(grid), time.perf_counter() + seconds
    for number, reach in enumerate(_REACHES):
        chosen, left = near(grid, batches, reach=reach), until - time.perf_counter()
        if not 0 < chosen.sum() <= (_MANY if number else _MOST) or left <= 0:
            break
        found, solved = choose_among(
            grid, best, runs=chosen, sizes=chosen, relative_gap=_GAP, seconds=left
        )
        best = best if found is None else found
        if not solved or time.perf_counter() > until - seconds / 2:
            break
    return best if (best[grid.run] > 0.5).any() else None
