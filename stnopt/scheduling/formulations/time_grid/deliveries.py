"""Deliveries and orders on a time grid: taken from the stock at its points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.errors import UnsupportedModelError
from stnopt.scheduling.formulations.orders_at_points import (
    add_orders_at_points,
    deliver_at_points,
    read_parts_at_points,
)
from stnopt.scheduling.formulations.time_grid.tables import tables_of
from stnopt.scheduling.formulations.time_grid.width import is_multiple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyomo.core.base.block import BlockData

    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery

RULES = ("deliveries", "orders")


def serve_on_grid(
    m: pyo.ConcreteModel,
    deliveries: Iterable[Delivery],
    orders: Iterable[Order],
    *,
    may_miss: bool,
) -> None:
    """Take deliveries and orders from the stock at their points, in place of all former ones.

    Raises
    ------
    UnsupportedModelError
        A delivery, or an order's earliest date, between two points.
    """
    deliveries, orders, tables = tuple(deliveries), tuple(orders), tables_of(m)
    width, horizon = tables.width, tables.horizon
    dates = [(f"delivery of {d.state!r} at {d.time:g}", d.time) for d in deliveries]
    dates += [(f"order {o.id!r} from {o.earliest:g} on", o.earliest) for o in orders]
    off = [what for what, time in dates if not is_multiple(time, width, horizon)]
    if off:
        raise UnsupportedModelError(
            f"formulation 'time_grid' has points {width:g} apart (horizon / n_events), and no "
            f"point for {', '.join(off)}; use another n_events, or formulation='unit_events'"
        )
    for key in m.delivered_at:
        m.delivered_at[key] = 0.0
    for delivery in deliveries:
        point = round(delivery.time / width)
        m.delivered_at[delivery.state, point] = (
            pyo.value(m.delivered_at[delivery.state, point]) + delivery.amount
        )
    points = {
        order.id: range(round(order.earliest / width), m.POINTS.last() + 1) for order in orders
    }
    add_orders_at_points(m, orders, points, lambda point: point * width, horizon, may_miss=may_miss)
    deliver_at_points(m, orders, m.ordered_at)


def read_parts(m: BlockData) -> dict[str, list[tuple[float, float]]]:
    """Read, by order, when how much of it is delivered."""
    width = tables_of(m).width
    return read_parts_at_points(m, lambda point: point * width)
