"""Orders where time is cut into points: how much of each is delivered at which, and how late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyomo.core.base.block import BlockData

    from stnopt.plant.orders import Order


def add_orders_at_points(
    m: pyo.ConcreteModel,
    orders: Sequence[Order],
    points: Mapping[str, range],
    time_of: Callable[[int], float],
    horizon: float,
    *,
    may_miss: bool,
) -> None:
    """Declare what is delivered of each order at each point, in place of all former orders.

    part_amount <= amount * delivered_at (whole: =);  sum of part_amount >= amount * complete;
    late >= time - due where something is delivered, and horizon - due where some is missing.
    """
    m.del_component("deliveries")
    block = m.deliveries = pyo.Block()
    named = {order.id: order for order in orders}
    times = {point: time_of(point) for row in points.values() for point in row}
    keys = [(order.id, point) for order in orders for point in points[order.id]]
    block.part_amount = pyo.Var(keys, bounds=lambda b, name, point: (0.0, named[name].amount))
    block.delivered_at = pyo.Var(keys, domain=pyo.Binary)
    block.complete = pyo.Var(list(named), domain=pyo.Binary)
    block.late = pyo.Var(
        list(named),
        bounds=lambda b, name: (0.0, max(0.0, horizon - named[name].due)),
    )
    for name, order in named.items():
        if not may_miss and order.missing_cost is None:
            block.complete[name].fix(1)

    @block.Expression(list(named))
    def ordered(b, name):
        return sum(b.part_amount[name, point] for point in points[name])

    @block.Constraint(keys)
    def only_where_delivered(b, name, point):
        most = named[name].amount * b.delivered_at[name, point]
        if named[name].partial:
            return b.part_amount[name, point] <= most
        return b.part_amount[name, point] == most

    @block.Constraint(list(named))
    def all_of_it(b, name):
        return b.ordered[name] >= named[name].amount * b.complete[name]

    @block.Constraint(list(named))
    def no_more_than_ordered(b, name):
        return b.ordered[name] <= named[name].amount

    @block.Constraint(keys)
    def late_by_part(b, name, point):
        wait = times[point] - named[name].due
        if wait <= 0:
            return pyo.Constraint.Skip
        return b.late[name] >= wait * b.delivered_at[name, point]

    @block.Constraint(list(named))
    def late_where_missing(b, name):
        longest = horizon - named[name].due
        if longest <= 0 or b.complete[name].fixed:
            return pyo.Constraint.Skip
        return b.late[name] >= longest * (1 - b.complete[name])

    @block.Constraint(keys)
    def part_before_latest_finish(b, name, point):
        return times[point] * b.delivered_at[name, point] <= m.latest_finish


def deliver_at_points(
    m: pyo.ConcreteModel, orders: Sequence[Order], ordered: pyo.Expression
) -> None:
    """Set the expressions, by state and point, of what leaves the stock for orders."""
    amounts: dict[tuple[str, int], list] = {}
    state_of = {order.id: order.state for order in orders}
    for (name, point), amount in m.deliveries.part_amount.items():
        amounts.setdefault((state_of[name], point), []).append(amount)
    for key in ordered:
        ordered[key].set_value(sum(amounts.get(key, ())))


def read_parts_at_points(
    m: BlockData, time_of: Callable[[int], float]
) -> dict[str, list[tuple[float, float]]]:
    """Read, by order, when how much of it is delivered."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for (name, point), amount in m.deliveries.part_amount.items():
        parts.setdefault(name, []).append((time_of(point), amount.value))
    return parts
