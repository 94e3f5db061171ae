"""A first solution on a grid, window after window; what comes later is there as sums.

References
----------
Rolling horizons with an aggregate model of the future: Dimitriadis, Shah & Pantelides (1997),
Comput. Chem. Eng. 21, S1061, doi:10.1016/S0098-1354(97)87643-5.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import block_array, csc_array

from stnopt.scheduling.search.capacity_bound import bound_by_capacity
from stnopt.scheduling.search.delivery_dates import with_fewer_dates
from stnopt.scheduling.search.long_horizon.dive import dive
from stnopt.scheduling.search.long_horizon.restrict import Part, restrict
from stnopt.scheduling.search.period_sums import build_period_sums
from stnopt.solvers.linear_program import (
    Program,
    ProgramStatus,
    fix_columns,
    fix_integers,
    solve_program,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from stnopt.scheduling.search.long_horizon.grid import Grid
    from stnopt.scheduling.search.period_sums import PeriodSums

#: Periods in which the future is summed up.
_FUTURE_PERIODS = 4
#: Dates of deliveries in it.
_FUTURE_DATES = 12
#: What all hours of all units would cost if they were left for later, as a share of the bound; for
#: a makespan, what a batch that is left for later costs, as a share of missing a full one.
_URGENCY, _LEFT_FOR_LATER = 0.2, 0.1
#: Windows are at first so many longest batches; one that is not solved is cut, down to so many.
FIRST_WINDOW, _LEAST_WINDOW = 2.0, 1.2
#: Share of the time by which the windows together may be late.
_LATE = 0.5
#: So much later what is left stays empty.
_LATER = 0.15
#: Gap at which a window is good enough.
_GAP, _GAP_OF_ORDERS = 0.01, 0.001


def do_nothing(grid: Grid) -> NDArray[np.float64]:
    """Return the solution without batches; it misses the demand that the first stock leaves.

    No order is delivered in it.
    """
    program = grid.program
    base = np.clip(0.0, program.lower, program.upper)
    idle = np.ones(len(base), bool)
    idle[grid.run] = idle[grid.size] = idle[grid.choices] = False
    part = restrict(program, base, np.flatnonzero(idle))
    answer = solve_program(part.program)
    assert answer.x is not None, "doing nothing is always possible"
    return part.expand(answer.x)


def construct(
    grid: Grid,
    *,
    window: int,
    step: int,
    seconds: float,
    clock: Callable[[], float],
    around: NDArray[np.float64] | None = None,
    by_diving: bool = False,
) -> NDArray[np.float64]:
    """Fill the grid from its start: windows of `window` steps, each `step` after the last.

    Batches that start before a window stay; those in it are chosen together with the sums of what
    may follow; then the window moves on.

    Parameters
    ----------
    grid : Grid
    window, step : int
    seconds : float
        Time for all windows together, by `clock`; after half as much again the rest stays empty.
    clock : callable
    around : (n,) array, optional
        A solution that meets the demand: its batches stay, and others are added between them.
    by_diving : bool
        Whether a window's relaxation is rounded (`dive`), instead of branch and bound.

    Returns
    -------
    (n,) array
        A solution; it may miss demand that `around` does not meet.
    """
    x = do_nothing(grid) if around is None else around.copy()
    stays = None if around is None else around[grid.run] > 0.5
    deadline = clock() + seconds
    latest = deadline + _LATE * seconds
    bound = bound_by_capacity(grid.network, grid.problem, start=grid.opening.start, improve="both")
    urgency = 0.0 if bound is None or math.isinf(bound) else _URGENCY * abs(bound)
    begin = 0
    least = min(window, 1 + int(_LEAST_WINDOW * grid.longest + grid.path))
    while True:
        end = min(grid.n_steps, begin + window)
        left = 1 + math.ceil((grid.n_steps - end) / step)
        limit = max(1.5 * (deadline - clock()), _LATE * seconds) / left
        limit = min(limit, latest - clock())
        found = _fill(
            grid,
            x,
            begin,
            end,
            time_limit=max(limit, 0.05),
            urgency=urgency,
            stays=stays,
            clock=clock if by_diving else None,
        )
        if found is not None:
            x, solved = found
            if not solved:
                window = max(least, int(0.8 * window))
                step = max(1, window // 2)
        elif window > least:
            window = max(least, window // 2)
            step = max(1, window // 2)
            continue
        if end == grid.n_steps or clock() >= latest + _LATER * seconds:
            return x
        begin += step


def _fill(
    grid: Grid,
    x: NDArray[np.float64],
    begin: int,
    end: int,
    *,
    time_limit: float,
    urgency: float,
    stays: NDArray[np.bool_] | None,
    clock: Callable[[], float] | None,
) -> tuple[NDArray[np.float64], bool] | None:
    """Choose the batches from `begin` to `end`; those that start before stay, and those of `stays`.

    By diving, where there is a clock. Returns the solution and whether there was time to come close
    to the best; None if to nothing.
    """
    inside = (grid.start_of >= begin) & (grid.out_of <= end)
    inside &= grid.in_best_mode | (x[grid.run] > 0.5)
    resized = np.zeros_like(inside)
    if stays is not None:
        resized = inside & stays
        inside &= ~stays
    last = end == grid.n_steps
    free = [grid.run[inside], grid.size[inside], grid.size[resized]]
    free.append(grid.cleaned_between(begin, end))
    if stays is None:
        free.append(grid.missed[(grid.missed_at <= end) | (grid.missed_at > grid.n_steps)])
        free.append(grid.asked_between(x, begin, end))
    groups = []
    for columns in (*grid.stock.values(), *grid.waiting.values()):
        if len(columns) == 1:
            free.append(columns)
            continue
        free.append(columns[begin:end])
        groups.append(columns[end:])
    n_runs = int(inside.sum())
    if grid.orders and stays is None:  # the future may deliver any of them
        free.append(np.array([each.missing for each in grid.orders.values()], dtype=int))
    columns = np.concatenate(free)
    chosen = np.unique(columns[n_runs:])
    columns = np.concatenate([columns[:n_runs], chosen])
    part = restrict(grid.program, x, columns, groups)
    program = part.program
    if not last:
        program = _with_future(grid, part, x, end, urgency, demand_is_met=stays is not None)
    start = np.full(len(program.cost), np.nan)
    start[:n_runs] = x[grid.run[inside]]
    if clock is not None:
        rounded = dive(
            program,
            runs=np.arange(n_runs),
            starts=grid.start_of[inside],
            units=grid.unit_of[inside],
            look_ahead=grid.longest // 2 + 1,
            seconds=time_limit,
            clock=clock,
        )
        if rounded is None:
            return None
        program = fix_columns(program, np.arange(n_runs), rounded[:n_runs])
    answer = solve_program(
        program,
        time_limit=time_limit,
        relative_gap=_GAP_OF_ORDERS if grid.orders else _GAP,
        start=start,
        heuristic_effort=0.2,
    )
    if answer.x is None:
        return None
    settled = fix_integers(program, answer.x, time_limit=time_limit)
    found = part.expand(settled[: len(part.program.cost)])
    found[grid.run] = np.round(found[grid.run])
    return found, answer.status is ProgramStatus.OPTIMAL


def _with_future(
    grid: Grid,
    part: Part,
    x: NDArray[np.float64],
    end: int,
    urgency: float,
    *,
    demand_is_met: bool,
) -> Program:
    """Add the sums of what may come after a window, which start from the stock at its end."""
    problem = grid.problem
    if demand_is_met:
        problem = replace(problem, targets={}, deliveries=(), orders=())
    future = build_period_sums(
        grid.network,
        with_fewer_dates(problem, _FUTURE_DATES),
        start=grid.opening.start,
        improve="both",
        n_periods=_FUTURE_PERIODS,
        # Dates near the window count more than those far away.
        first_period=grid.longest * grid.width if grid.orders else None,
        after=end * grid.width,
        missed_cost=grid.penalty,
    )
    now = part.program
    cost = now.cost.copy()
    # What is missed of the targets is for the future to say.
    later = [each.missing for each in grid.orders.values()]
    targets = np.concatenate([grid.missed[grid.missed_at > grid.n_steps], later]).astype(int)
    if not demand_is_met:
        cost[: len(part.free)][np.isin(part.free, targets)] = 0.0
    links, values = _link_stocks(grid, part, future, x, end)
    opening = {name: c for name, c in future.opening.items() if name not in grid.stock}
    then = future.program
    # Sooner is better: the hours of what is left for later cost something.
    fits = grid.network.suitabilities
    hours = np.array([fit.duration(fit.max_batch) for fit in fits])
    if grid.problem.objective == "makespan":
        each = _LEFT_FOR_LATER * grid.penalty * grid.largest * hours / np.max(hours)
    else:
        each = urgency * hours / (len(grid.network.units) * grid.n_steps * grid.width)
    then.cost[future.n_ended[:, -1]] -= each
    upper = then.upper.copy()
    for name, column in opening.items():  # nothing takes these: what there is counts for nothing
        upper[column] = grid.network.states[name].initial
    return Program(
        cost=np.concatenate([cost, then.cost]),
        lower=np.concatenate([now.lower, then.lower]),
        upper=np.concatenate([now.upper, upper]),
        integer=np.concatenate([now.integer, then.integer]),
        matrix=csc_array(
            block_array([[now.matrix, None], [None, then.matrix], [links[0], links[1]]])
        ),
        row_lower=np.concatenate([now.row_lower, then.row_lower, values]),
        row_upper=np.concatenate([now.row_upper, then.row_upper, values]),
        offset=now.offset,
    )


def _link_stocks(
    grid: Grid, part: Part, future: PeriodSums, x: NDArray[np.float64], end: int
) -> tuple[tuple[csc_array, csc_array], NDArray[np.float64]]:
    """Link each opening stock of the future to the stock at the window's end, and open orders.

    That is a column of its own, where a state's stock is known at the end only; else it is where it
    stood and how far it has moved.
    """
    group_of = {int(group[0]): number for number, group in enumerate(part.groups)}
    free_of = {int(column): number for number, column in enumerate(part.free)}
    here, there, values = [], [], []
    for name, columns in grid.stock.items():
        alone = len(columns) == 1
        column = int(columns[0 if alone else end])
        here.append(free_of[column] if alone else len(part.free) + group_of[column])
        there.append(future.opening[name])
        values.append(0.0 if alone else x[column])
    for name in future.still_open:
        each = grid.orders[name]
        here.append(free_of[each.missing])
        there.append(future.still_open[name])
        values.append(0.0)
    count = len(values)
    rows = np.arange(count)

    def block(columns: list[int], factor: float, width: int) -> csc_array:
        entries = (np.full(count, factor), (rows, np.array(columns, dtype=int)))
        return csc_array(entries, shape=(count, width))

    links = (
        block(here, -1.0, len(part.program.cost)),
        block(there, 1.0, len(future.program.cost)),
    )
    return links, np.array(values)


def choose_window(
    grid: Grid, *, most_batches: int, beyond_path: float | None = None
) -> tuple[int, int]:
    """Return a window and a step, in steps of the grid: two longest batches, or as much as fits.

    Short windows are solved, long ones are cut. Where nothing comes out of short ones, they must
    reach so many longest batches beyond the plant's path from its first batch to a product.
    """
    longest = grid.longest
    per_step = max(1.0, len(grid.run) / max(1, grid.n_steps))
    needed = FIRST_WINDOW * longest
    if beyond_path is not None:
        needed = max(needed, grid.path + beyond_path * longest)
    window = max(math.ceil(needed), int(most_batches / per_step))
    window = min(window, grid.n_steps)
    return window, max(1, window // 2)
