"""Orders where time is cut into points: how much of each is delivered at which, and how late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    block.orders = {order.id: order for order in orders}
    block.times = {point: time_of(point) for row in points.values() for point in row}
    keys = [(order.id, point) for order in orders for point in points[order.id]]
    block.part_amount = pyo.Var(keys, bounds=lambda b, name, point: (0.0, b.orders[name].amount))
    block.delivered_at = pyo.Var(keys, domain=pyo.Binary)
    block.complete = pyo.Var(list(block.orders), domain=pyo.Binary)
    block.late = pyo.Var(
        list(block.orders),
        bounds=lambda b, name: (0.0, max(0.0, horizon - b.orders[name].due)),
    )
    for name, order in block.orders.items():
        if not may_miss and order.missing_cost is None:
            block.complete[name].fix(1)

    @block.Expression(list(block.orders))
    def ordered(b, name):
        return sum(b.part_amount[name, point] for point in points[name])

    @block.Constraint(keys)
    def only_where_delivered(b, name, point):
        most = b.orders[name].amount * b.delivered_at[name, point]
        if b.orders[name].partial:
            return b.part_amount[name, point] <= most
        return b.part_amount[name, point] == most

    @block.Constraint(list(block.orders))
    def all_of_it(b, name):
        return b.ordered[name] >= b.orders[name].amount * b.complete[name]

    @block.Constraint(list(block.orders))
    def no_more_than_ordered(b, name):
        return b.ordered[name] <= b.orders[name].amount

    @block.Constraint(keys)
    def late_by_part(b, name, point):
        wait = b.times[point] - b.orders[name].due
        if wait <= 0:
            return pyo.Constraint.Skip
        return b.late[name] >= wait * b.delivered_at[name, point]

    @block.Constraint(list(block.orders))
    def late_where_missing(b, name):
        longest = horizon - b.orders[name].due
        if longest <= 0 or b.complete[name].fixed:
            return pyo.Constraint.Skip
        return b.late[name] >= longest * (1 - b.complete[name])

    @block.Constraint(keys)
    def part_before_latest_finish(b, name, point):
        return b.times[point] * b.delivered_at[name, point] <= m.latest_finish


def read_parts(m: pyo.ConcreteModel) -> dict[str, list[tuple[float, float]]]:
    """Read, by order, when how much of it is delivered."""
    block = m.deliveries
    return {
        name: [
            (block.times[point], amount.value)
            for (order, point), amount in block.part_amount.items()
            if order == name
        ]
        for name in block.orders
    }
