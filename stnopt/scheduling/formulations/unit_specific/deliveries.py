"""Deliveries and orders: amounts that leave the plant, in the unit-event model.

A taking takes what batches have released by then, which one binary per event point of each producer
says, less what other batches have consumed. Consumers at later event points leave enough for it. A
delivery's time and amount are given. An order's are not: its parts come in order of time, each
before or after the other takings of its state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.calendars import release_delay
from stnopt.scheduling.formulations.unit_specific.storage import leaves_early
from stnopt.scheduling.handle import scheduling_handle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery

#: Parts of an order that may be delivered in parts, where its storage is limited. (Elsewhere one is
#: enough: nothing is won by delivering before the last part.)
_PARTS = 3


@dataclass(frozen=True, slots=True)
class Taking:
    """What leaves the plant at once: a delivery, or a part of an order.

    Attributes
    ----------
    time : number or variable
    amount : float
        The most of it.
    quantity : number or variable
        How much of it, at most `amount`.
    fixed : bool
        Whether time and quantity are given.
    """

    time: Any
    amount: float
    quantity: Any
    fixed: bool


def add_takings(
    m: pyo.ConcreteModel,
    network: Network,
    deliveries: Iterable[Delivery],
    orders: Iterable[Order],
    horizon: float,
    *,
    may_miss: bool,
) -> None:
    """Serve each delivery and order, in place of all that were asked for before (U40-U45, U76-U84).

    The big-M is the time between a delivery and the horizon, or the most that batches make or take.
    With `may_miss` every order may be missing in part or whole, else those that have a cost for it.
    """
    if m.component("deliveries") is not None:
        for (state, point), limit in m.deliveries.former_limit.items():
            m.stock[state, point].setub(limit)
        m.del_component("deliveries")
        limited = scheduling_handle(m).storage_limited
        for state in limited:  # it knew the former deliveries; added again where needed
            del m.storage_in_time[state]
        limited.clear()
    block = m.deliveries = pyo.Block()
    block.former_limit = {}
    block.due = {
        (state, number): Taking(delivery.time, delivery.amount, delivery.amount, fixed=True)
        for state in network.states
        for number, delivery in enumerate(
            sorted((d for d in deliveries if d.state == state), key=lambda d: d.time)
        )
    }
    _add_orders(m, network, list(orders), horizon, may_miss=may_miss)
    if not block.due:
        return
    _add_precedence(block, horizon)
    _add_releases(m, network, horizon)
    _add_consumers(m, network, horizon)
    _add_balances(m, network)


def _add_orders(
    m: pyo.ConcreteModel, network: Network, orders: list[Order], horizon: float, *, may_miss: bool
) -> None:
    """Declare what is delivered of each order when, and how late its last part is (U76-U79).

    late >= time of the last part - due; where something is missing, late >= horizon - due.
    """
    block = m.deliveries
    block.orders = {order.id: order for order in orders}
    block.parts = {}
    limits: dict[tuple[str, int], Order] = {}
    for order in orders:
        limited = math.isfinite(network.states[order.state].capacity)
        block.parts[order.id] = range(_PARTS if order.partial and limited else 1)
        limits |= {(order.id, part): order for part in block.parts[order.id]}
    block.part_time = pyo.Var(
        list(limits), bounds=lambda b, name, part: (limits[name, part].earliest, horizon)
    )
    block.part_amount = pyo.Var(
        list(limits), bounds=lambda b, name, part: (0.0, limits[name, part].amount)
    )
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
        return sum(b.part_amount[name, part] for part in b.parts[name])

    @block.Constraint(list(block.orders))
    def all_of_it(b, name):
        order = b.orders[name]
        if order.partial:
            return pyo.inequality(0, b.ordered[name] - order.amount * b.complete[name], None)
        return b.ordered[name] == order.amount * b.complete[name]

    @block.Constraint([n for n in block.orders if block.orders[n].partial])
    def no_more_than_ordered(b, name):
        return b.ordered[name] <= b.orders[name].amount

    @block.Constraint([key for key in limits if key[1] > 0])
    def parts_in_order(b, name, part):
        return b.part_time[name, part] >= b.part_time[name, part - 1]

    @block.Constraint(list(block.orders))
    def late_by_last_part(b, name):
        last = b.part_time[name, b.parts[name][-1]]
        return b.late[name] >= last - b.orders[name].due

    @block.Constraint(list(block.orders))
    def late_where_missing(b, name):
        longest = horizon - b.orders[name].due
        if longest <= 0 or b.complete[name].fixed:
            return pyo.Constraint.Skip
        return b.late[name] >= longest * (1 - b.complete[name])

    @block.Constraint(list(limits))
    def part_before_latest_finish(b, name, part):
        return b.part_time[name, part] <= m.latest_finish

    number = {state: sum(s == state for s, _ in block.due) for state in network.states}
    for name, part in limits:
        state = block.orders[name].state
        block.due[state, number[state]] = Taking(
            block.part_time[name, part],
            block.orders[name].amount,
            block.part_amount[name, part],
            fixed=False,
        )
        number[state] += 1


def _add_precedence(block: pyo.Block, horizon: float) -> None:
    """Put the takings of a state in order of time; one of any two comes first (U80-U82)."""
    pairs = [
        (state, j, k)
        for (state, j), (other, k) in combinations(block.due, 2)
        if state == other and not (block.due[state, j].fixed and block.due[state, k].fixed)
    ]
    block.taking_first = pyo.Var(pairs, domain=pyo.Binary)

    @block.Constraint(pairs)
    def first_of_two(b, state, j, k):
        loose = horizon * (1 - b.taking_first[state, j, k])
        return b.due[state, j].time <= b.due[state, k].time + loose

    @block.Constraint(pairs)
    def second_of_two(b, state, j, k):
        return b.due[state, k].time <= b.due[state, j].time + horizon * b.taking_first[state, j, k]

    many = {state: sum(s == state for s, _ in block.due) for state, _ in block.due}
    ranked = [(s, j) for s, j in block.due if many[s] > 2 and any(p[0] == s for p in pairs)]
    # Of three takings at one time one must come first: no circles.
    block.taking_rank = pyo.Var(ranked, bounds=lambda b, state, _: (0, many[state] - 1))

    @block.Constraint([pair for pair in pairs if many[pair[0]] > 2])
    def rank_of_first(b, state, j, k):
        gap = b.taking_rank[state, k] - b.taking_rank[state, j]
        return gap >= 1 - many[state] * (1 - b.taking_first[state, j, k])

    @block.Constraint([pair for pair in pairs if many[pair[0]] > 2])
    def rank_of_second(b, state, j, k):
        gap = b.taking_rank[state, j] - b.taking_rank[state, k]
        return gap >= 1 - many[state] * b.taking_first[state, j, k]

    in_time = [
        (s, j, k)
        for (s, j), (o, k) in combinations(block.due, 2)
        if s == o and many[s] > 2 and block.due[s, j].fixed and block.due[s, k].fixed
    ]

    @block.Constraint([pair for pair in in_time if (pair[0], pair[1]) in ranked])
    def rank_of_given(b, state, j, k):
        return b.taking_rank[state, k] >= b.taking_rank[state, j] + 1


def _first(block: pyo.Block, state: str, j: int, k: int) -> Any:
    """Return 1 if one taking of a state comes before another."""
    if (state, j, k) in block.taking_first:
        return block.taking_first[state, j, k]
    if (state, k, j) in block.taking_first:
        return 1 - block.taking_first[state, k, j]
    return int(j < k)


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
            else m.duration[c] + release_delay(m, c)
            for c in made
        )
        longest = horizon - time if b.due[state, j].fixed else horizon
        loose = longest * (1 - b.released_by[state, j, unit, event])
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
        if j == 0 or not b.due[state, j].fixed:
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
        if not b.due[state, j].fixed:
            return pyo.Constraint.Skip
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
        if j == 0 or not b.due[state, j].fixed:
            return pyo.Constraint.Skip
        return b.passed[state, j - 1, event] >= b.passed[state, j, event]

    ahead = [
        (state, j, k, event)
        for state, j, event in points
        for other, k in block.due
        if other == state
        and k != j
        and not (block.due[state, j].fixed and block.due[state, k].fixed)
    ]

    @block.Constraint(ahead)
    def passed_with_those_before(b, state, j, k, event):
        # At one time, too, who comes after a taking comes after those before it.
        first = _first(b, state, k, j)
        return b.passed[state, k, event] >= b.passed[state, j, event] - (1 - first)

    @block.Constraint(points, m.UNITS)
    def consumed_before_delivery(b, state, j, event, unit):
        taking = [c for c in m.BATCHES if c[1:3] == (unit, event) and (c[0], state) in shares]
        if not taking:
            return pyo.Constraint.Skip
        time = b.due[state, j].time
        idle = 1 - sum(m.run[c] for c in taking)
        longest = horizon - time if b.due[state, j].fixed else horizon
        loose = longest * (b.passed[state, j, event] + idle)
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

    def most(state: str) -> float:
        return sum(d.amount for (s, _), d in block.due.items() if s == state)

    free = [key for key, taking in block.due.items() if not taking.fixed]
    # What a taking leaves to those that come first, and to consumers that have passed it.
    ahead = [
        (s, j, k)
        for s, j in block.due
        for o, k in block.due
        if s == o and j != k and ((s, j) in free or (s, k) in free)
    ]
    block.gone_first = pyo.Var(ahead, bounds=lambda b, s, j, k: (0.0, b.due[s, k].amount))

    @block.Constraint(ahead)
    def goes_first(b, state, j, k):
        """gone_first[j, k] >= quantity of k, if k comes before j."""
        later = 1 - _first(b, state, k, j)
        taking = b.due[state, k]
        return b.gone_first[state, j, k] >= taking.quantity - taking.amount * later

    @block.Expression(list(block.due))
    def on_hand(b, state, j):
        came = sum(b.released[key] for key in b.released if key[:2] == (state, j))
        went = sum(b.taken_before[key] for key in b.taken_before if key[:2] == (state, j))
        return network.states[state].initial + came - went

    @block.Constraint(list(block.due))
    def delivery_served(b, state, j):
        others = [k for s, k in b.due if s == state and k != j]
        first = sum(
            b.gone_first[state, j, k]
            if (state, j, k) in b.gone_first
            else b.due[state, k].amount * int(k < j)
            for k in others
        )
        return b.on_hand[state, j] >= first + b.due[state, j].quantity

    passed_free = [key for key in block.passed if key[:2] in free]
    block.kept_for = pyo.Var(passed_free, bounds=lambda b, s, j, _: (0.0, b.due[s, j].amount))

    @block.Constraint(passed_free)
    def kept_where_passed(b, state, j, event):
        taking = b.due[state, j]
        return b.kept_for[state, j, event] >= taking.quantity - taking.amount * (
            1 - b.passed[state, j, event]
        )

    @block.Constraint(list(states), m.POINTS)
    def left_for_deliveries(b, state, point):
        if point == m.POINTS.last():
            return m.stock[state, point] >= sum(
                taking.quantity for (s, _), taking in b.due.items() if s == state
            )
        passed = [key for key in b.passed if key[0] == state and key[2] == point]
        if not passed:
            return pyo.Constraint.Skip
        return m.stock[state, point] >= sum(
            b.kept_for[k] if k in b.kept_for else b.due[k[:2]].amount * b.passed[k] for k in passed
        )

    # Stock is counted without the deliveries, so that it may be that much more.
    block.former_limit = {(s, p): m.stock[s, p].ub for s in states for p in m.POINTS}
    for (state, point), limit in block.former_limit.items():
        m.stock[state, point].setub(limit + most(state))


def read_parts(m: pyo.ConcreteModel) -> dict[str, list[tuple[float, float]]]:
    """Read, by order, when how much of it is delivered."""
    block = m.deliveries
    return {
        name: [
            (block.part_time[name, part].value, block.part_amount[name, part].value)
            for part in block.parts[name]
        ]
        for name in block.orders
    }
