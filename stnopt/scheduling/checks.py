"""What a plant cannot be asked for: targets, deliveries, orders and states refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.arguments import NON_NEGATIVE
from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import with_calendars
from stnopt.plant.checks import did_you_mean
from stnopt.plant.state import check_state
from stnopt.plant.tolerance import time_tolerance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery
    from stnopt.plant.state import PlantState


def check_targets(network: Network, targets: Mapping[str, float]) -> None:
    """Refuse targets that the plant cannot be asked for, naming each (see `require_targets`)."""
    produced = [
        s.name for s in network.states.values() if network.producers(s.name) and not s.unlimited
    ]
    for state, amount in targets.items():
        if state not in network.states:
            raise InvalidInputError(
                f"target {state!r}: {network.name!r} has no such state; it produces {produced}"
            )
        if state not in produced:
            raise InvalidInputError(
                f"target {state!r}: no task produces it; targets can be set for {produced}"
            )
        if not NON_NEGATIVE.fits(amount):
            raise InvalidInputError(
                f"target {state!r}: the amount must be a number of at least 0, got {amount}"
            )


def check_orders(
    network: Network, orders: Iterable[Order], *, horizon: float | None = None
) -> None:
    """Refuse orders that the plant cannot be asked for, naming each (`require_orders`)."""
    problems = []
    for order in orders:
        what = f"order {order.id!r} of {order.state!r}"
        if order.state not in network.states:
            known = did_you_mean(order.state, network.states)
            problems.append(f"{what}: {network.name!r} has no such state{known}")
            continue
        state = network.states[order.state]
        made = network.producers(order.state) or state.initial > 0 or state.arrivals
        if state.unlimited:
            problems.append(f"{what}: its supply is unlimited; there is nothing to plan")
        elif state.zero_wait:
            problems.append(f"{what}: it is zero_wait and cannot be kept for an order")
        elif not made:
            problems.append(f"{what}: no task produces it, and there is none in stock")
        for name, time in (("due", order.due), ("earliest", order.earliest)):
            if horizon is not None and time > horizon:
                problems.append(f"{what}: {name} {time:g} is after the horizon, {horizon:g}")
    if problems:
        raise InvalidInputError(problems[0] if len(problems) == 1 else problems)


def check_deliveries(
    network: Network, deliveries: Iterable[Delivery], *, horizon: float | None = None
) -> None:
    """Refuse deliveries that the plant cannot be asked for, naming each (`require_deliveries`)."""
    problems = []
    for delivery in deliveries:
        what = f"delivery of {delivery.state!r} at {delivery.time:g}"
        if delivery.state not in network.states:
            known = did_you_mean(delivery.state, network.states)
            problems.append(f"{what}: {network.name!r} has no such state{known}")
        elif network.states[delivery.state].unlimited:
            problems.append(f"{what}: its supply is unlimited; there is nothing to plan")
        elif network.states[delivery.state].zero_wait:
            problems.append(f"{what}: it is zero_wait and cannot be kept for a delivery")
        if horizon is not None and delivery.time > horizon:
            problems.append(f"{what} is after the horizon, {horizon:g}")
    if problems:
        raise InvalidInputError(problems[0] if len(problems) == 1 else problems)


def check_start(
    network: Network, start: PlantState, *, horizon: float | None, date: datetime | None
) -> None:
    """Refuse a state at time 0 that does not fit the plant, or that runs beyond the horizon.

    Parameters
    ----------
    network : Network
    start : PlantState
    horizon : float or None
        In the plant's time unit.
    date : datetime or None
        When time 0 is, for weekly patterns.

    Raises
    ------
    InvalidInputError
        With every problem, each naming its element.
    """
    if horizon is None:
        check_state(start, network)
        return
    check_state(start, with_calendars(network, start=date, horizon=horizon))
    problems = [
        f"now: running batch of {batch.task!r} on {batch.unit!r}: it still runs for "
        f"{batch.remaining:g}, beyond the horizon ({horizon:g})"
        for batch in start.running
        if batch.remaining > horizon + time_tolerance(horizon)
    ]
    if problems:
        raise InvalidInputError(problems)
