"""Whole orders that are delivered in parts while a schedule is looked for, and whole in the end.

Whether each order is delivered at each point is as many choices as there are batches to choose
from, and says next to nothing as long as it is not known which batches run. In parts, it is a
matter of amounts: what an order misses costs in proportion, and what comes late does by when.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.restrict import restrict
from stnopt.solvers.linear_program import fix_columns, fix_integers, solve_program

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.orders import Order
    from stnopt.scheduling.search.long_horizon.grid import Grid

#: Rounding in the share of an order.
_ROUNDING = 1e-6
#: Gap at which the choice of orders is good enough.
_GAP = 1e-3
#: Amounts for given orders are a linear program, which may take so many seconds in any case.
_LEAST_SECONDS = 5.0


def deliver_in_parts(grid: Grid) -> Grid:
    """Return the grid with orders delivered in parts where what is made of them can wait.

    The grid itself where there are none. Each solution becomes one with whole orders by waiting.
    """
    orders = _waiting_orders(grid)
    if not orders:
        return grid
    integer = grid.program.integer.copy()
    for order in orders:
        integer[grid.orders[order.id].there] = False
    return replace(grid, program=replace(grid.program, integer=integer))


def deliver_whole(grid: Grid, x: NDArray[np.float64], *, seconds: float) -> NDArray[np.float64]:
    """Choose which orders are delivered when, whole, and the sizes of the batches that run.

    Parameters
    ----------
    grid : Grid
    x : (n,) array
        A solution with orders in parts.
    seconds : float

    Returns
    -------
    (n,) array
        A solution with whole orders; `x` where they are whole already, or nothing was found in the
        time.
    """
    orders = _waiting_orders(grid)
    columns = [grid.orders[order.id].there for order in orders]
    if all(_is_whole(x[each]) for each in columns):
        return x
    integer = grid.program.integer.copy()
    in_turn = np.zeros(len(x))
    for each in columns:
        integer[each] = True
    for state in dict.fromkeys(order.state for order in orders):
        in_turn[_in_turn(grid, x, [order for order in orders if order.state == state])] = 1.0
    runs, free, base = x[grid.run] > 0.5, np.ones(len(x), bool), x.copy()
    free[grid.run] = free[grid.size[~runs]] = False
    base[grid.run], base[grid.size[~runs]] = runs, 0.0  # rounding in what is held breaks rows
    part = restrict(replace(grid.program, integer=integer), base, np.flatnonzero(free))
    asked = np.flatnonzero(np.isin(part.free, np.concatenate(columns)))
    # Amounts for these orders are soon found; whether others are better, perhaps not in time.
    amounts = fix_columns(part.program, asked, in_turn[part.free[asked]])
    known = solve_program(amounts, time_limit=max(_LEAST_SECONDS, seconds)).x
    answer = solve_program(part.program, time_limit=seconds, relative_gap=_GAP, start=known)
    found = known if answer.x is None else answer.x
    if found is None:
        return x
    return part.expand(fix_integers(part.program, found, time_limit=max(_LEAST_SECONDS, seconds)))


def _waiting_orders(grid: Grid) -> list[Order]:
    """List the whole orders of states that are stored without limit."""
    states = grid.network.states
    return [
        order
        for order in grid.problem.orders
        if not order.partial and math.isinf(states[order.state].capacity)
    ]


def _is_whole(shares: NDArray[np.float64]) -> bool:
    return bool(np.all(np.abs(shares - np.round(shares)) <= _ROUNDING))


def _in_turn(grid: Grid, x: NDArray[np.float64], orders: list[Order]) -> list[int]:
    """Deliver a state's orders whole, in the order of their due dates, as amounts allow.

    What all of them take together by any point is no more than what they take in `x`; those of
    which `x` delivers least are left out where that is not enough for all.

    Returns the columns of what is delivered when.
    """
    taken = np.zeros(grid.n_steps + 1)
    share = {}
    for order in orders:
        columns = grid.orders[order.id]
        taken[columns.points] += order.amount * x[columns.there]
        share[order.id] = float(x[columns.there].sum())
    by_point = np.cumsum(taken)
    kept, left = [], float(by_point[-1]) * (1.0 + _ROUNDING)
    for order in sorted(orders, key=lambda order: -share[order.id]):
        if order.amount <= left:
            kept.append(order)
            left -= order.amount
    delivered, asked = [], 0.0
    for order in sorted(kept, key=lambda order: order.due):
        asked += order.amount
        columns = grid.orders[order.id]
        enough = int(np.searchsorted(by_point, asked * (1.0 - _ROUNDING)))
        at = int(np.searchsorted(columns.points, enough))
        if at < len(columns.points):
            delivered.append(int(columns.there[at]))
    return delivered
