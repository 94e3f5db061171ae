"""First solutions on several grids by diving, the smallest grid first; and from grid to grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.construct import construct, do_nothing
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.meet_demand import MET, meet_demand
from stnopt.scheduling.search.long_horizon.restrict import restrict
from stnopt.solvers.linear_program import solve_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.long_horizon.choose_grid import Width
    from stnopt.scheduling.search.long_horizon.grid import Grid

#: A grid that promises this share less than the best is not looked at.
_WORSE = 0.3
#: A solution is worth this share of what its grid promises less than the best, less.
_PROMISE = 0.5
#: Time grows with the number of batches to choose from to this power, about.
_GROWTH = 1.7
#: Relaxations of grids with more batches to choose from take too long to be solved many times: in
#: any time, and per second.
MOST_TO_DIVE, _MOST_PER_SECOND = 6_000, 500
#: Share of the time for meeting the demand on a grid.
_MEET_SHARE = 0.1
#: After so many dives that missed the demand, it must be met first.
_MOST_MISSED = 2
#: A solution that loses this share on narrower steps is not taken over.
_LOST = 0.05
#: Widths are the same, and one divides the other, if they are within this share.
_SAME = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class OnGrid:
    """A solution on a grid, and its value there."""

    grid: Grid
    x: NDArray[np.float64]

    @property
    def value(self) -> float:
        """Of the grid's program: more is better."""
        return self.grid.value(self.x)


def dive_on_grids(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    met: Mapping[float, tuple[Grid, NDArray[np.float64]]],
    *,
    most_modes: int,
    start: PlantState | None,
    seconds: float,
    clock: Callable[[], float],
    on_solution: Callable[[Grid, NDArray[np.float64]], object],
    should_stop: Callable[[], bool] | None = None,
) -> list[OnGrid]:
    """Dive on one width after the other, the one with the fewest batches to choose from first.

    Parameters
    ----------
    network : Network
    problem : Problem
    ranked : sequence of Width
    met : mapping of width to grid and solution
        Where the demand is met already: dives are around it. None of them: dives may miss it.
    most_modes : int
        Per pair of task and unit.
    start : PlantState or None
    seconds : float
        By `clock`; what is likely to take longer is not begun, but for the first.
    clock : callable
    on_solution : callable
        Called with each grid and solution that meets the demand.
    should_stop : callable, optional
        Asked between two dives.

    Returns
    -------
    list of OnGrid
        The most promising first; empty where all grids are too large, or nothing met the demand.
    """
    best = max((each.worth for each in ranked), default=0.0)
    promising = [
        each
        for each in ranked
        if each.worth >= best - _WORSE * abs(best) and each.n_batches <= most_to_dive(seconds)
    ]
    found: list[tuple[float, OnGrid]] = []
    until = clock() + seconds
    per_batch, missed, around = 0.0, 0, None
    for each in sorted(promising, key=lambda width: width.n_batches):
        begun = clock()
        if begun >= until or begun + per_batch * each.n_batches**_GROWTH > until:
            break
        if should_stop is not None and should_stop():
            break
        if each.width in met:
            grid = met[each.width][0]
        else:
            modes = choose_modes(network, each.width, most=most_modes)
            grid = build_grid(network, problem, width=each.width, modes=modes, start=start)
        if met:
            around = met[each.width][1] if each.width in met else None
            if around is None:
                around = meet_demand(grid, seconds=_MEET_SHARE * seconds)
            if around is None or grid.missed_amount(around) > MET * grid.largest:
                continue
        x = dive_on(grid, seconds=max(0.1, until - clock()), clock=clock, around=around)
        per_batch = max(per_batch, (clock() - begun) / each.n_batches**_GROWTH)
        if grid.missed_amount(x) > MET * grid.largest:
            missed += 1
            if missed == _MOST_MISSED:
                break
            continue
        solution = OnGrid(grid=grid, x=x)
        idle = OnGrid(grid=grid, x=do_nothing(grid))
        if idle.value > solution.value and grid.missed_amount(idle.x) <= MET * grid.largest:
            solution = idle  # nothing is done at a loss
        on_solution(grid, solution.x)
        # A grid that promises more has more to give.
        less = (best - each.worth) / max(abs(best), abs(each.worth), 1e-9)
        found.append((solution.value - _PROMISE * less * abs(solution.value), solution))
    return [solution for _, solution in sorted(found, key=lambda each: each[0], reverse=True)]


def most_to_dive(seconds: float) -> int:
    """Return from how many batches to choose from a dive takes longer than so many seconds."""
    return min(MOST_TO_DIVE, int(_MOST_PER_SECOND * seconds))


def dive_on(
    grid: Grid,
    *,
    seconds: float,
    clock: Callable[[], float],
    around: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Dive on the whole of a grid; with `around`, add to the batches of a solution."""
    return construct(
        grid,
        window=grid.n_steps,
        step=grid.n_steps,
        seconds=seconds,
        clock=clock,
        around=around,
        by_diving=True,
    )


def refine(coarse: OnGrid, grid: Grid) -> OnGrid | None:
    """Take a solution over to a grid whose steps are a whole part as wide; None if it is not one.

    Batches keep their starts and take no longer, so that they fit but for rare rules (None then);
    sizes are chosen again, and may be smaller where the grid has no mode for them.
    """
    times = coarse.grid.width / grid.width
    parts = round(times)
    if parts < 1 or abs(times - parts) > _SAME * parts or coarse.grid.problem != grid.problem:
        return None
    at: dict[tuple[int, int], list[int]] = {}
    for index, (mode, start) in enumerate(
        zip(grid.mode_of.tolist(), grid.start_of.tolist(), strict=True)
    ):
        at.setdefault((grid.modes[mode].number, start), []).append(index)
    chosen = np.zeros(len(grid.run), dtype=bool)
    steps, most = grid.finish_of - grid.start_of, np.array([mode.most for mode in grid.modes])
    for run in np.flatnonzero(coarse.x[coarse.grid.run] > 0.5).tolist():
        old = coarse.grid.modes[int(coarse.grid.mode_of[run])]
        size = float(coarse.x[coarse.grid.size[run]]) * (1 - _SAME)
        there = at.get((old.number, int(coarse.grid.start_of[run]) * parts))
        if there is None:
            return None
        # The shortest that holds as much, or what comes closest.
        chosen[min(there, key=lambda n: (max(0.0, size - most[grid.mode_of[n]]), steps[n]))] = True
    base = do_nothing(grid)
    base[grid.run] = chosen
    free = np.ones(len(base), dtype=bool)
    free[grid.run] = False
    free[grid.size[~chosen]] = False
    part = restrict(grid.program, base, np.flatnonzero(free))
    answer = solve_program(part.program)
    if answer.x is None:
        return None
    x = part.expand(answer.x)
    x[grid.run] = chosen
    found = OnGrid(grid=grid, x=x)
    return found if found.value >= coarse.value - _LOST * abs(coarse.value) else None
