"""Deliveries and orders in intervals: taken from what is there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.intervals.tables import SAME_TIME, tables_of
from stnopt.scheduling.formulations.orders_at_points import (
    add_orders_at_points,
    deliver_at_points,
    read_parts_at_points,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyomo.core.base.block import BlockData

    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery


def serve_in_intervals(
    m: pyo.ConcreteModel,
    deliveries: Iterable[Delivery],
    orders: Iterable[Order],
    *,
    may_miss: bool,
) -> None:
    """Take each delivery and order from what is there in its interval, in place of all former ones.

    late >= begin of an interval in which some of it is delivered - due (eq. B17-B19).
    """
    tables, orders = tables_of(m), tuple(orders)
    width = tables.width
    for key in m.delivered_in:
        m.delivered_in[key] = 0.0
    for delivery in deliveries:
        point = min(math.floor(delivery.time / width + SAME_TIME), m.POINTS.last())
        m.delivered_in[delivery.state, point] = (
            pyo.value(m.delivered_in[delivery.state, point]) + delivery.amount
        )
    points = {
        order.id: range(math.floor(order.earliest / width + SAME_TIME), m.POINTS.last() + 1)
        for order in orders
    }
    add_orders_at_points(
        m, orders, points, lambda point: point * width, tables.horizon, may_miss=may_miss
    )
    deliver_at_points(m, orders, m.ordered_in)


def read_parts(m: BlockData) -> dict[str, list[tuple[float, float]]]:
    """Read, by order, when how much of it is delivered."""
    width = tables_of(m).width
    return read_parts_at_points(m, lambda point: point * width)
