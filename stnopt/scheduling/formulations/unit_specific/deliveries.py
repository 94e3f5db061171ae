"""Deliveries and orders: amounts that leave the plant, in the unit-event model.

A taking takes what batches have released by then, which one binary per event point of each producer
says, less what other batches have consumed. Consumers at later event points leave enough for it. A
delivery's time and amount are given. An order's are not: its parts come in order of time, each
before or after the other takings of its state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.calendars import time_to_release
from stnopt.scheduling.formulations.unit_specific.tables import (
    Taking,
    Takings,
    leaves_early,
    tables_of,
)
from stnopt.scheduling.handle import scheduling_handle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyomo.core.base.block import BlockData

    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery
    from stnopt.scheduling.formulations.unit_specific.tables import BatchKey, EventTables

RULES = ("deliveries", "orders")
#: Parts of an order that may be delivered in parts, where its storage is limited. (Elsewhere one is
#: enough: nothing is won by delivering before the last part.)
_PARTS = 3


def add_takings(
    m: pyo.ConcreteModel,
    deliveries: Iterable[Delivery],
    orders: Iterable[Order],
    *,
    may_miss: bool,
) -> None:
    """Serve each delivery and order, in place of all that were asked for before (U40-U45, U76-U84).

    The big-M is the time between a delivery and the horizon, or the most that batches make or take.
    With `may_miss` every order may be missing in part or whole, else those that have a cost for it.
    """
    tables = tables_of(m)
    if m.component("deliveries") is not None:
        for (state, point), limit in tables.takings.former_limit.items():
            m.stock[state, point].setub(limit)
        m.del_component("deliveries")
        limited = scheduling_handle(m).storage_limited
        for state in limited:  # it knew the former deliveries; added again where needed
            del m.storage_in_time[state]
        limited.clear()
    m.deliveries = pyo.Block()
    tables.takings = _declare_takings(m, tables, deliveries, tuple(orders))
    _add_orders(m, tables, may_miss=may_miss)
    if not tables.takings.due:
        return
    _add_precedence(m.deliveries, tables)
    _add_releases(m, tables)
    _add_consumers(m, tables)
    _add_balances(m, tables)


def _declare_takings(
    m: pyo.ConcreteModel,
    tables: EventTables,
    deliveries: Iterable[Delivery],
    orders: tuple[Order, ...],
) -> Takings:
    """Declare when how much is delivered of each order, in parts; list it after the deliveries."""
    block, states = m.deliveries, tables.network.states
    due = {
        (state, number): Taking(delivery.time, delivery.amount, delivery.amount, fixed=True)
        for state in states
        for number, delivery in enumerate(
            sorted((d for d in deliveries if d.state == state), key=lambda d: d.time)
        )
    }
    parts = {
        o.id: range(_PARTS if o.partial and math.isfinite(states[o.state].capacity) else 1)
        for o in orders
    }
    of_part = {(order.id, part): order for order in orders for part in parts[order.id]}
    block.part_time = pyo.Var(
        list(of_part), bounds=lambda b, *key: (of_part[key].earliest, tables.horizon)
    )
    block.part_amount = pyo.Var(list(of_part), bounds=lambda b, *key: (0.0, of_part[key].amount))
    number = {state: sum(s == state for s, _ in due) for state in states}
    for key, order in of_part.items():
        due[order.state, number[order.state]] = Taking(
            block.part_time[key], order.amount, block.part_amount[key], fixed=False
        )
        number[order.state] += 1
    return Takings(due=due, orders={order.id: order for order in orders}, parts=parts)


def _add_orders(m: pyo.ConcreteModel, tables: EventTables, *, may_miss: bool) -> None:
    """Say what is delivered of each order, and how late its last part is (U76-U79).

    late >= time of the last part - due; where something is missing, late >= horizon - due.
    """
    block, horizon = m.deliveries, tables.horizon
    orders, parts = tables.takings.orders, tables.takings.parts
    block.complete = pyo.Var(list(orders), domain=pyo.Binary)
    block.late = pyo.Var(
        list(orders), bounds=lambda b, name: (0.0, max(0.0, horizon - orders[name].due))
    )
    for name, order in orders.items():
        if not may_miss and order.missing_cost is None:
            block.complete[name].fix(1)

    @block.Expression(list(orders))
    def ordered(b, name):
        return sum(b.part_amount[name, part] for part in parts[name])

    @block.Constraint(list(orders))
    def all_of_it(b, name):
        order = orders[name]
        if order.partial:
            return pyo.inequality(0, b.ordered[name] - order.amount * b.complete[name], None)
        return b.ordered[name] == order.amount * b.complete[name]

    @block.Constraint([n for n in orders if orders[n].partial])
    def no_more_than_ordered(b, name):
        return b.ordered[name] <= orders[name].amount

    @block.Constraint([key for key in block.part_time if key[1] > 0])
    def parts_in_order(b, name, part):
        return b.part_time[name, part] >= b.part_time[name, part - 1]

    @block.Constraint(list(orders))
    def late_by_last_part(b, name):
        last = b.part_time[name, parts[name][-1]]
        return b.late[name] >= last - orders[name].due

    @block.Constraint(list(orders))
    def late_where_missing(b, name):
        longest = horizon - orders[name].due
        if longest <= 0 or b.complete[name].fixed:
            return pyo.Constraint.Skip
        return b.late[name] >= longest * (1 - b.complete[name])

    @block.Constraint(list(block.part_time))
    def part_before_latest_finish(b, name, part):
        return b.part_time[name, part] <= m.latest_finish


def _add_precedence(block: pyo.Block, tables: EventTables) -> None:
    """Put the takings of a state in order of time; one of any two comes first (U80-U82)."""
    horizon, due = tables.horizon, tables.takings.due
    pairs = [
        (state, j, k)
        for (state, j), (other, k) in combinations(due, 2)
        if state == other and not (due[state, j].fixed and due[state, k].fixed)
    ]
    block.taking_first = pyo.Var(pairs, domain=pyo.Binary)

    @block.Constraint(pairs)
    def first_of_two(b, state, j, k):
        loose = horizon * (1 - b.taking_first[state, j, k])
        return due[state, j].time <= due[state, k].time + loose

    @block.Constraint(pairs)
    def second_of_two(b, state, j, k):
        return due[state, k].time <= due[state, j].time + horizon * b.taking_first[state, j, k]

    many = {state: sum(s == state for s, _ in due) for state, _ in due}
    ranked = [(s, j) for s, j in due if many[s] > 2 and any(p[0] == s for p in pairs)]
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
        for (s, j), (o, k) in combinations(due, 2)
        if s == o and many[s] > 2 and due[s, j].fixed and due[s, k].fixed
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Releases:
    """Batches that make what leaves the plant.

    Attributes
    ----------
    slots : list of (state, number of the taking, unit, event)
        At which batches may start that make the state.
    most_made : mapping of str to mapping of str to float
        By state and unit, the most that one batch makes.
    """

    slots: list[tuple[str, int, str, int]]
    most_made: Mapping[str, Mapping[str, float]]


def _add_releases(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Say by released_by[s, j, u, n] what a delivery finds of what was made on u at event n."""
    block, due = m.deliveries, tables.takings.due
    releases = _Releases(
        slots=[
            (*key, unit, event)
            for key in due
            for unit in m.UNITS
            for event in m.EVENTS
            if tables.producing(unit, event, key[0])
        ],
        most_made={state: tables.network.most_made(state) for state, _ in due},
    )
    block.released_by = pyo.Var(releases.slots, domain=pyo.Binary)
    block.released = pyo.Var(
        releases.slots,
        bounds=lambda b, state, j, unit, event: (0, releases.most_made[state][unit]),
    )
    _add_released_amounts(m, tables, releases)
    _add_order_of_releases(block, tables, releases)
    _add_time_of_releases(m, tables, releases)


def _add_released_amounts(m: pyo.ConcreteModel, tables: EventTables, releases: _Releases) -> None:
    """Count a batch only from its release on, and as no more than it makes (eq. U40, U41).

    unit_time + release <= time + (horizon - time) * (1 - released_by); what counts as released is
    at most what the batch makes, and nothing where released_by = 0.
    """
    block, horizon, due = m.deliveries, tables.horizon, tables.takings.due

    @block.Constraint(releases.slots)
    def released_in_time(b, state, j, unit, event):
        time = due[state, j].time
        # One batch starts at an event: the sum has one term.
        making = tables.producing(unit, event, state)
        after = sum(time_to_release(m, tables, state, c) for c in making)
        longest = horizon - time if due[state, j].fixed else horizon
        loose = longest * (1 - b.released_by[state, j, unit, event])
        return m.unit_time[unit, event] + after <= time + loose

    @block.Constraint(releases.slots)
    def released_only_if_made(b, state, j, unit, event):
        made = tables.producing(unit, event, state)
        amount = sum(tables.network.tasks[c[0]].produces[state] * m.size[c] for c in made)
        return b.released[state, j, unit, event] <= amount

    @block.Constraint(releases.slots)
    def released_only_by_then(b, state, j, unit, event):
        key = (state, j, unit, event)
        return b.released[key] <= releases.most_made[state][unit] * b.released_by[key]


def _add_order_of_releases(block: pyo.Block, tables: EventTables, releases: _Releases) -> None:
    """Let whatever finds a batch find those before it, and a later delivery find it, too (U41)."""

    @block.Constraint(releases.slots)
    def earlier_batches_released(b, state, j, unit, event):
        earlier = (state, j, unit, event - 1)
        if earlier not in b.released_by:
            return pyo.Constraint.Skip
        return b.released_by[earlier] >= b.released_by[state, j, unit, event]

    @block.Constraint(releases.slots)
    def released_by_earlier_delivery(b, state, j, unit, event):
        if j == 0 or not tables.takings.due[state, j].fixed:
            return pyo.Constraint.Skip
        now, before = (state, j, unit, event), (state, j - 1, unit, event)
        return b.released_by[now] >= b.released_by[before]


def _add_time_of_releases(m: pyo.ConcreteModel, tables: EventTables, releases: _Releases) -> None:
    """Give a unit the time that all it has released by a delivery takes, for the relaxation.

    Per amount that has left it, a unit was busy at least so long; what leaves early, with the batch
    still running, may be one batch more.
    """
    block, due = m.deliveries, tables.takings.due
    slots_of: dict[tuple, list] = {}
    for slot in releases.slots:
        slots_of.setdefault(slot[:3], []).append(slot)

    @block.Constraint(sorted(slots_of))
    def releases_fit_in_time(b, state, j, unit):
        made_on = [
            (fit, tables.network.tasks[fit.task].produces[state])
            for fit in tables.fits.values()
            if fit.unit == unit and state in tables.network.tasks[fit.task].produces
        ]
        quickest = min(
            fit.duration(fit.max_batch) / (share * fit.max_batch) for fit, share in made_on
        )
        running = max(
            (share * fit.max_batch for fit, share in made_on if leaves_early(fit, state)), default=0
        )
        if not due[state, j].fixed:
            return pyo.Constraint.Skip
        room = max(due[state, j].time - m.unit_time[unit, 0].lb, 0.0)
        total = sum(b.released[s] for s in slots_of[state, j, unit])
        return quickest * (total - running) <= room


def _add_consumers(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Let every consumer start no later than a delivery, or leave its amount.

    unit_time <= time where passed[s, j, n] = 0, and taken_before counts what is taken there; where
    it is 1, from some event on, the stock after the event covers the delivery.
    """
    network, horizon, block, due = tables.network, tables.horizon, m.deliveries, tables.takings.due
    shares = {
        (task.name, state): share
        for task in network.tasks.values()
        for state, share in task.consumes.items()
    }
    taking: dict[tuple[str, int], list[BatchKey]] = {}
    for batch in m.BATCHES:
        for state in network.tasks[batch[0]].consumes:
            taking.setdefault((state, batch[2]), []).append(batch)
    points = [(*key, event) for key in due for event in m.EVENTS if (key[0], event) in taking]
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
        if j == 0 or not due[state, j].fixed:
            return pyo.Constraint.Skip
        return b.passed[state, j - 1, event] >= b.passed[state, j, event]

    ahead = [
        (state, j, k, event)
        for state, j, event in points
        for other, k in due
        if other == state and k != j and not (due[state, j].fixed and due[state, k].fixed)
    ]

    @block.Constraint(ahead)
    def passed_with_those_before(b, state, j, k, event):
        # At one time, too, who comes after a taking comes after those before it.
        first = _first(b, state, k, j)
        return b.passed[state, k, event] >= b.passed[state, j, event] - (1 - first)

    @block.Constraint(points, m.UNITS)
    def consumed_before_delivery(b, state, j, event, unit):
        consuming = tables.consuming(unit, event, state)
        if not consuming:
            return pyo.Constraint.Skip
        time = due[state, j].time
        idle = 1 - sum(m.run[c] for c in consuming)
        longest = horizon - time if due[state, j].fixed else horizon
        loose = longest * (b.passed[state, j, event] + idle)
        return m.unit_time[unit, event] <= time + loose

    @block.Constraint(points)
    def taken_unless_passed(b, state, j, event):
        taken = sum(shares[c[0], state] * m.size[c] for c in taking[state, event])
        return (
            b.taken_before[state, j, event]
            >= taken - most[state, event] * b.passed[state, j, event]
        )


def _add_balances(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Cover every delivery by what is there at its time, and at every point those passed by then.

    initial + released - taken_before >= this and all earlier deliveries of the state;
    stock[s, p] >= sum of passed[s, j, p] * amount, and at the last point all amounts.
    """
    block, due = m.deliveries, tables.takings.due
    states = dict.fromkeys(state for state, _ in due)

    def most(state: str) -> float:
        return sum(d.amount for (s, _), d in due.items() if s == state)

    free = [key for key, taking in due.items() if not taking.fixed]
    # What a taking leaves to those that come first, and to consumers that have passed it.
    ahead = [
        (s, j, k)
        for s, j in due
        for o, k in due
        if s == o and j != k and ((s, j) in free or (s, k) in free)
    ]
    block.gone_first = pyo.Var(ahead, bounds=lambda b, s, j, k: (0.0, due[s, k].amount))

    @block.Constraint(ahead)
    def goes_first(b, state, j, k):
        """gone_first[j, k] >= quantity of k, if k comes before j."""
        later = 1 - _first(b, state, k, j)
        taking = due[state, k]
        return b.gone_first[state, j, k] >= taking.quantity - taking.amount * later

    @block.Expression(list(due))
    def on_hand(b, state, j):
        came = sum(b.released[key] for key in b.released if key[:2] == (state, j))
        went = sum(b.taken_before[key] for key in b.taken_before if key[:2] == (state, j))
        return tables.network.states[state].initial + came - went

    @block.Constraint(list(due))
    def delivery_served(b, state, j):
        others = [k for s, k in due if s == state and k != j]
        first = sum(
            b.gone_first[state, j, k]
            if (state, j, k) in b.gone_first
            else due[state, k].amount * int(k < j)
            for k in others
        )
        return b.on_hand[state, j] >= first + due[state, j].quantity

    passed_free = [key for key in block.passed if key[:2] in free]
    block.kept_for = pyo.Var(passed_free, bounds=lambda b, s, j, _: (0.0, due[s, j].amount))

    @block.Constraint(passed_free)
    def kept_where_passed(b, state, j, event):
        taking = due[state, j]
        return b.kept_for[state, j, event] >= taking.quantity - taking.amount * (
            1 - b.passed[state, j, event]
        )

    @block.Constraint(list(states), m.POINTS)
    def left_for_deliveries(b, state, point):
        if point == m.POINTS.last():
            return m.stock[state, point] >= sum(
                taking.quantity for (s, _), taking in due.items() if s == state
            )
        passed = [key for key in b.passed if key[0] == state and key[2] == point]
        if not passed:
            return pyo.Constraint.Skip
        return m.stock[state, point] >= sum(
            b.kept_for[k] if k in b.kept_for else due[k[:2]].amount * b.passed[k] for k in passed
        )

    # Stock is counted without the deliveries, so that it may be that much more.
    former = {(s, p): m.stock[s, p].ub for s in states for p in m.POINTS}
    tables.takings = replace(tables.takings, former_limit=former)
    for (state, point), limit in former.items():
        m.stock[state, point].setub(limit + most(state))


def read_parts(m: BlockData) -> dict[str, list[tuple[float, float]]]:
    """Read, by order, when how much of it is delivered."""
    block = m.deliveries
    return {
        name: [(block.part_time[name, p].value, block.part_amount[name, p].value) for p in parts]
        for name, parts in tables_of(m).takings.parts.items()
    }
