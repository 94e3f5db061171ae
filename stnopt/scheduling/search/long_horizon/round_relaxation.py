"""The best of the batches that run in the relaxation of a whole grid, as one program.

Of thousands of batches to choose from, a few hundred run at all in the relaxation. Branch and bound
on those alone finds in seconds what it finds on the whole grid in minutes, if ever.

References
----------
Relaxation enforced neighbourhood search: Berthold (2014), Math. Program. Comput. 6, 33,
doi:10.1007/s12532-013-0060-9.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.choose_grid import count_batches, rank_again
from stnopt.scheduling.search.long_horizon.dive_grids import OnGrid
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.near import near
from stnopt.solvers.linear_program import (
    ProgramStatus,
    Relaxation,
    fix_columns,
    fix_integers,
    solve_program,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.long_horizon.choose_grid import Width
    from stnopt.scheduling.search.long_horizon.grid import Grid

#: A grid with more batches per second is left out; one with more than the second number has one
#: mode for each pair of task and unit.
_MOST_PER_SECOND, _FEW_PER_SECOND = 600, 400
_GAP = 5e-4
#: A batch runs in the relaxation above this.
_RUNS = 1e-6
#: Where the best of them is known with this share of the time left, those so many steps away are
#: chosen from, too.
_ENOUGH_LEFT, _REACHES = 0.3, (0.0, 1.0)


def round_relaxation(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    *,
    most_modes: int,
    start: PlantState | None,
    seconds: float,
    many_batches: int,
    known: float,
    around: Callable[[Grid], NDArray[np.float64]],
) -> OnGrid | None:
    """Choose among the batches that run in the relaxation of the most promising grid in time.

    From nothing: HiGHS 1.15.1 calls some solutions that it is given optimal where they are not,
    and its own first ones are found elsewhere.

    Parameters
    ----------
    network : Network
    problem : Problem
        With a horizon.
    ranked : sequence of Width
        As `rank_widths` returns them.
    most_modes : int
        Per pair of task and unit, where that leaves few enough batches; else one mode.
    start : PlantState or None
    seconds : float
        Of the clock.
    many_batches : int
        As in `rank_widths`.
    known : float
        Value, on a grid, of a solution that meets the demand.
    around : callable
        Returns a solution on a grid, whose batches may run, too: they meet the demand, mostly.

    Returns
    -------
    OnGrid or None
        None where nothing better was found, or all grids are too large.
    """
    begun = time.perf_counter()
    again = rank_again(network, problem, ranked, most_modes=1, many_batches=many_batches)
    in_time = [each for each in again if each.n_batches <= _MOST_PER_SECOND * seconds]
    if not in_time:
        return None
    width = in_time[0].width
    count = count_batches(network, width, problem.horizon or 0.0, most_modes)
    fits = count <= _FEW_PER_SECOND * seconds
    modes = choose_modes(network, width, most=most_modes if fits else 1)
    grid = build_grid(network, problem, width=width, modes=modes, start=start)
    relaxed = Relaxation(grid.program).solve(seconds=seconds)
    if relaxed is None:
        return None
    running = np.flatnonzero(relaxed[grid.run] > _RUNS)
    numbers = [grid.modes[mode].number for mode in grid.mode_of[running]]
    batches = list(zip(numbers, grid.start_of[running].tolist(), strict=True))
    others = around(grid)[grid.run] > 0.5
    best: NDArray[np.float64] | None = None
    for reach in _REACHES:
        left = seconds - (time.perf_counter() - begun)
        if left < _ENOUGH_LEFT * seconds and reach:
            break
        some = near(grid, batches, reach=reach) if reach else relaxed[grid.run] > _RUNS
        some |= others
        if best is not None:
            some |= best[grid.run] > 0.5
        program = fix_columns(grid.program, grid.run[~some], np.zeros(int(np.sum(~some))))
        answer = solve_program(
            program, time_limit=max(0.1, left), relative_gap=_GAP, heuristic_effort=0.2
        )
        if answer.x is not None and answer.objective is not None and answer.objective > known:
            best, known = fix_integers(program, answer.x, time_limit=seconds), answer.objective
        if answer.status not in (ProgramStatus.OPTIMAL, ProgramStatus.INFEASIBLE) or some.all():
            break
    return None if best is None else OnGrid(grid=grid, x=best)
