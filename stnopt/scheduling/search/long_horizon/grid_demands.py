"""Rows of a grid for what is asked for and what is shared: orders, targets, utilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.draft import ROUNDING, OrderColumns
from stnopt.scheduling.search.worth import order_worth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.orders import Order
    from stnopt.plant.rules import Utility
    from stnopt.scheduling.search.long_horizon.draft import Draft
    from stnopt.scheduling.search.worth import OrderWorth


def add_orders(draft: Draft) -> None:
    """Whether each order is delivered at each point, and what is missing of it.

    A whole one: amount * sum of there + missing = amount, which costs what is late at each point.
    In parts: amount[p] <= all * there[p], late >= time - due where something is there, and
    horizon - due where some is missing. Where stock can wait, nothing is delivered before the last
    point that is in time.
    """
    for order in draft.problem.orders:
        assert draft.problem.horizon is not None
        worth = order_worth(order, draft.problem, horizon=draft.problem.horizon, improve="both")
        points = _points_of(draft, order)
        most = order.amount
        if worth.must:
            missing = draft.miss(order.state, draft.n_steps + 1, most)
        else:
            missing = draft.rows.column(upper=most, cost=-worth.missing)
        if order.partial:
            draft.orders[order.id] = _add_partial(draft, order, worth, points, missing)
        else:
            draft.orders[order.id] = _add_whole(draft, order, worth, points, missing)


def _points_of(draft: Draft, order: Order) -> NDArray[np.int64]:
    first = draft.point_from(order.earliest)
    state = draft.network.states[order.state]
    if math.isinf(state.capacity) and not order.partial:
        first = max(first, draft.point_until(order.due))
    return np.arange(first, draft.n_steps + 1)


def _late(draft: Draft, order: Order, points: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.maximum(0.0, points * draft.width - order.due)


def _add_whole(
    draft: Draft, order: Order, worth: OrderWorth, points: NDArray[np.int64], missing: int
) -> OrderColumns:
    rows = draft.rows
    assert draft.problem.horizon is not None
    at_end = max(0.0, draft.problem.horizon - order.due)
    # What is missing is late as well: said of what is there, since the sum of the two is all.
    cost = worth.late * (at_end - _late(draft, order, points))
    there = rows.columns(len(points), upper=1.0, cost=cost, integer=True)
    rows.offset -= worth.late * at_end
    whole = rows.rows(1, lower=order.amount, upper=order.amount)
    rows.put(whole, there, order.amount)
    rows.put(whole, missing, 1.0)
    return OrderColumns(points=points, there=there, amount=None, missing=missing)


def _add_partial(
    draft: Draft, order: Order, worth: OrderWorth, points: NDArray[np.int64], missing: int
) -> OrderColumns:
    rows, all_of_it = draft.rows, order.amount
    assert draft.problem.horizon is not None
    at_end = max(0.0, draft.problem.horizon - order.due)
    there = rows.columns(len(points), upper=1.0, integer=True)
    amount = rows.columns(len(points), upper=all_of_it)
    late = rows.column(upper=at_end, cost=-worth.late)
    complete = int(rows.columns(1, upper=1.0, integer=True)[0])
    only = rows.rows(len(points), upper=0.0)
    rows.put(only, amount, 1.0)
    rows.put(only, there, -all_of_it)
    whole = rows.rows(1, lower=all_of_it, upper=all_of_it)
    rows.put(whole, amount, 1.0)
    rows.put(whole, missing, 1.0)
    rows.row([(missing, 1.0), (complete, all_of_it)], upper=all_of_it)
    lateness = _late(draft, order, points)
    some = lateness > 0
    wait = rows.rows(int(some.sum()), lower=0.0)
    rows.put(wait, late, 1.0)
    rows.put(wait, there[some], -lateness[some])
    rows.row([(late, 1.0), (complete, at_end)], lower=at_end)
    return OrderColumns(
        points=points, there=there, amount=amount, missing=missing, others=(late, complete)
    )


def add_utilities(draft: Draft) -> None:
    """Draws of all that runs in a step <= capacity."""
    rows = draft.rows
    for name, utility in draft.network.utilities.items():
        within = rows.rows(draft.n_steps, upper=_supply(draft, utility))
        for n, mode in enumerate(draft.modes):
            fit = mode.suitability
            if name not in fit.utilities:
                continue
            starts, finishes = draft.starts[n], draft.finishes[n]
            draws = draft.units[fit.unit].draws
            for step in range(int((finishes - starts).max(initial=0))):
                inside = starts + step < finishes
                inside[inside] = draws[(starts + step)[inside]]
                at = within[(starts + step)[inside]]
                rows.put(at, draft.run[n][inside], fit.draws.get(name, 0.0))
                rows.put(at, draft.size[n][inside], fit.draws_per_amount.get(name, 0.0))


def _supply(draft: Draft, utility: Utility) -> NDArray[np.float64]:
    """Return the least of a utility in each step, less what runs since before time 0."""
    least = np.full(draft.n_steps, math.inf)
    steps = utility.steps or ((0.0, utility.capacity),)
    ends = [time for time, _ in steps[1:]] + [math.inf]
    for (begin, level), end in zip(steps, ends, strict=True):
        first = math.floor(begin / draft.width + ROUNDING)
        last = draft.n_steps
        if math.isfinite(end):
            last = math.ceil(end / draft.width - ROUNDING)
        least[first:last] = np.minimum(least[first:last], level)
    for batch in draft.opening.start.running:
        drawn = draft.network.tasks[batch.task].units[batch.unit].draw(utility.name, batch.size)
        until = math.ceil(batch.remaining / draft.width - ROUNDING)
        draws = draft.units[batch.unit].draws[:until]
        least[:until] -= drawn * draws
    return np.maximum(least, 0.0)


def add_targets(draft: Draft) -> None:
    """Stock at the end + missed >= target (== for `exactly`, with what is over)."""
    exact = draft.problem.sense == "exactly"
    for state, amount in draft.problem.targets.items():
        terms = [
            (int(draft.stock[state][-1]), 1.0),
            (draft.miss(state, draft.n_steps + 1, amount), 1.0),
        ]
        if exact:
            terms.append((draft.miss(state, draft.n_steps + 1), -1.0))
        draft.rows.row(terms, lower=amount, upper=amount if exact else math.inf)
