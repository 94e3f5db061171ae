"""Deliveries: amounts that leave the plant at given times, in the unit-event model.

A delivery takes what batches have released by then, which one binary per event point of each maker
says, less what other batches have consumed. Consumers at later event points leave enough for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.storage import leaves_early
from stnopt.scheduling.handle import scheduling_handle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Delivery


def add_deliveries(
    m: pyo.ConcreteModel, network: Network, deliveries: Iterable[Delivery], horizon: float
) -> None:
    """Serve each delivery at its time, in place of all that were asked for before (U40-U45).

    The big-M is the time between a delivery and the horizon, or the most that batches make or take.
    """
    if m.component("deliveries") is not None:
        for state, _ in m.deliveries.due:
            for point in m.POINTS:
                m.stock[state, point].setub(m.deliveries.former_limit[state, point])
        m.del_component("deliveries")
        limited = scheduling_handle(m).storage_limited
        for state in limited:  # it knew the former deliveries; added again where needed
            del m.storage_in_time[state]
        limited.clear()
    m.deliveries = pyo.Block()
    m.deliveries.due = {
        (state, number): delivery
        for state in network.states
        for number, delivery in enumerate(
            sorted((d for d in deliveries if d.state == state), key=lambda d: d.time)
        )
    }
    if not m.deliveries.due:
        return
    _add_releases(m, network, horizon)
    _add_consumers(m, network, horizon)
    _add_balances(m, network)


def _add_releases(m: pyo.ConcreteModel, network: Network, horizon: float) -> None:
    """Say by released_by[s, j, u, n] what a delivery finds of what was made on u at event n.

    unit_time + release <= time + (horizon - time) * (1 - released_by); what counts as released is
    at most what the batch makes, and nothing where released_by = 0.
    """
    block = m.deliveries
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}

    def making(state: str, unit: str, event: int) -> list[tuple]:
        return [
            b
            for b in m.BATCHES
            if b[1:3] == (unit, event) and state in network.tasks[b[0]].produces
        ]

    most_made = {state: network.most_made(state) for state, _ in block.due}
    slots = [
        (*key, unit, event)
        for key in block.due
        for unit in m.UNITS
        for event in m.EVENTS
        if making(key[0], unit, event)
    ]
    block.released_by = pyo.Var(slots, domain=pyo.Binary)
    block.released = pyo.Var(
        slots, bounds=lambda b, state, j, unit, event: (0, most_made[state][unit])
    )

    @block.Constraint(slots)
    def released_in_time(b, state, j, unit, event):
        time = b.due[state, j].time
        made = making(state, unit, event)
        # One batch starts at an event: the sum has one term.
        after = sum(
            fits[c[:2]].release_time[state] * m.run[c]
            if state in fits[c[:2]].release_time
            else m.duration[c]
            for c in made
        )
        loose = (horizon - time) * (1 - b.released_by[state, j, unit, event])
        return m.unit_time[unit, event] + after <= time + loose

    @block.Constraint(slots)
    def released_only_if_made(b, state, j, unit, event):
        made = making(state, unit, event)
        amount = sum(network.tasks[c[0]].produces[state] * m.size[c] for c in made)
        return b.released[state, j, unit, event] <= amount

    @block.Constraint(slots)
    def released_only_by_then(b, state, j, unit, event):
        key = (state, j, unit, event)
        return b.released[key] <= most_made[state][unit] * b.released_by[key]

    @block.Constraint(slots)
    def earlier_batches_released(b, state, j, unit, event):
        earlier = (state, j, unit, event - 1)
        if earlier not in b.released_by:
            return pyo.Constraint.Skip
        return b.released_by[earlier] >= b.released_by[state, j, unit, event]

    @block.Constraint(slots)
    def released_by_earlier_delivery(b, state, j, unit, event):
        if j == 0:
            return pyo.Constraint.Skip
        now, before = (state, j, unit, event), (state, j - 1, unit, event)
        return b.released_by[now] >= b.released_by[before]

    @block.Constraint(sorted({slot[:3] for slot in slots}))
    def releases_fit_in_time(b, state, j, unit):
        # Per amount that has left it, a unit was busy at least this long; what leaves early, with
        # the batch still running, may be one batch more.
        made_on = [
            (fit, network.tasks[fit.task].produces[state])
            for fit in network.suitabilities
            if fit.unit == unit and state in network.tasks[fit.task].produces
        ]
        quickest = min(
            fit.duration(fit.max_batch) / (share * fit.max_batch) for fit, share in made_on
        )
        running = max(
            (share * fit.max_batch for fit, share in made_on if leaves_early(fit, state)), default=0
        )
        room = max(b.due[state, j].time - m.unit_time[unit, 0].lb, 0.0)
        total = sum(b.released[s] for s in slots if s[:3] == (state, j, unit))
        return quickest * (total - running) <= room


def _add_consumers(m: pyo.ConcreteModel, network: Network, horizon: float) -> None:
    """Let every consumer start no later than a delivery, or leave its amount.

    unit_time <= time where passed[s, j, n] = 0, and taken_before counts what is taken there; where
    it is 1, from some event on, the stock after the event covers the delivery.
    """
    block = m.deliveries
    shares = {
        (task.name, state): share
        for task in network.tasks.values()
        for state, share in task.consumes.items()
    }
    points = [
        (*key, event)
        for key in block.due
        for event in m.EVENTS
        if any(b[2] == event and (b[0], key[0]) in shares for b in m.BATCHES)
    ]
    block.passed = pyo.Var(points, domain=pyo.Binary)
    most = {
        (state, event): sum(
            max(
                (
                    shares[fit.task, state] * fit.max_batch
                    for fit in network.suitabilities
                    if fit.unit == unit and (fit.task, state) in shares
                ),
                default=0.0,
            )
            for unit in m.UNITS
        )
        for state, _, event in points
    }
    block.taken_before = pyo.Var(points, bounds=lambda b, state, j, event: (0, most[state, event]))

    @block.Constraint(points)
    def passed_from_then_on(b, state, j, event):
        earlier = (state, j, event - 1)
        if earlier not in b.passed:
            return pyo.Constraint.Skip
        return b.passed[state, j, event] >= b.passed[earlier]

    @block.Constraint(points)
    def earlier_delivery_passed(b, state, j, event):
        if j == 0:
            return pyo.Constraint.Skip
        return b.passed[state, j - 1, event] >= b.passed[state, j, event]

    @block.Constraint(points, m.UNITS)
    def consumed_before_delivery(b, state, j, event, unit):
        taking = [c for c in m.BATCHES if c[1:3] == (unit, event) and (c[0], state) in shares]
        if not taking:
            return pyo.Constraint.Skip
        time = b.due[state, j].time
        idle = 1 - sum(m.run[c] for c in taking)
        loose = (horizon - time) * (b.passed[state, j, event] + idle)
        return m.unit_time[unit, event] <= time + loose

    @block.Constraint(points)
    def taken_unless_passed(b, state, j, event):
        taken = sum(
            shares[c[0], state] * m.size[c]
            for c in m.BATCHES
            if c[2] == event and (c[0], state) in shares
        )
        return (
            b.taken_before[state, j, event]
            >= taken - most[state, event] * b.passed[state, j, event]
        )


def _add_balances(m: pyo.ConcreteModel, network: Network) -> None:
    """Cover every delivery by what is there at its time, and at every point those passed by then.

    initial + released - taken_before >= this and all earlier deliveries of the state;
    stock[s, p] >= sum of passed[s, j, p] * amount, and at the last point all amounts.
    """
    block = m.deliveries
    states = dict.fromkeys(state for state, _ in block.due)

    def amounts(state: str, up_to: int) -> float:
        return sum(d.amount for (s, j), d in block.due.items() if s == state and j <= up_to)

    @block.Expression(list(block.due))
    def on_hand(b, state, j):
        came = sum(b.released[key] for key in b.released if key[:2] == (state, j))
        went = sum(b.taken_before[key] for key in b.taken_before if key[:2] == (state, j))
        return network.states[state].initial + came - went

    @block.Constraint(list(block.due))
    def delivery_served(b, state, j):
        return b.on_hand[state, j] >= amounts(state, j)

    @block.Constraint(list(states), m.POINTS)
    def left_for_deliveries(b, state, point):
        if point == m.POINTS.last():
            return m.stock[state, point] >= amounts(state, len(block.due))
        passed = [key for key in b.passed if key[0] == state and key[2] == point]
        if not passed:
            return pyo.Constraint.Skip
        return m.stock[state, point] >= sum(b.due[k[:2]].amount * b.passed[k] for k in passed)

    # Stock is counted without the deliveries, so that it may be that much more.
    block.former_limit = {(s, p): m.stock[s, p].ub for s in states for p in m.POINTS}
    for (state, point), limit in block.former_limit.items():
        m.stock[state, point].setub(limit + amounts(state, len(block.due)))
