"""Capacities that hold at every instant, added to the model for the states that need them.

Keeping a finished batch in its unit never hurts, so storage takes material at two kinds of times
only: when a unit that still holds some starts its next batch, and when a part leaves a batch early.
Those *unloadings* and all consumptions of the state are put in order of time by binaries, material
is followed from unloading to consumption, and none leaves more than the capacity in storage.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.calendars import time_to_release
from stnopt.scheduling.formulations.unit_specific.changeovers import cleaning_time
from stnopt.scheduling.formulations.unit_specific.limited_store import LEAVES_PLANT, Store
from stnopt.scheduling.formulations.unit_specific.tables import leaves_early, tables_of
from stnopt.scheduling.formulations.unit_specific.unattended_storage import (
    add_locked_units,
    declare_stowing,
    stowed_at,
)
from stnopt.scheduling.formulations.unit_specific.unavailable import period_begins

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from stnopt.scheduling.formulations.unit_specific.limited_store import Consumption, Unloading
    from stnopt.scheduling.formulations.unit_specific.tables import BatchKey, EventTables, Taking

RULES = ("storage",)


def add_storage_in_time(m: pyo.ConcreteModel, state: str) -> None:
    """Limit a state's storage to its capacity at every instant (docs/formulation.md, eq. U13-U22).

    The big-M for times is the horizon, for amounts the largest batch or consumption. Units with
    rules must be empty sooner, and deliveries consume as well (eq. U46-U49).
    """
    store, block = _describe(tables_of(m), state), m.storage_in_time[state]
    _add_amounts(block, m, store)
    _add_waiting(block, m, store)
    _add_direct_in_time(block, m, store)
    _add_events(block, m, store)
    _add_rules_of_waiting(block, m, store)
    _add_deliveries_from_units(block, m, store)
    add_locked_units(block, m, store)
    _add_order(block, store)
    _add_flows(block, store)
    _add_levels(block, store)


@contextmanager
def stock_within_capacity(
    m: pyo.ConcreteModel, *, limited: AbstractSet[str], kept: AbstractSet[str]
) -> Iterator[None]:
    """Hold all stock at the event points to the capacity for a while, what waits in units included.

    Schedules are lost by that; what is left rarely overfills a storage between its points. States
    that are `limited` in time are left as they are; batches of tasks that are `kept` run or not as
    their present values say.
    """
    states = tables_of(m).network.states
    upper = {key: m.stock[key].ub for key in m.stock if key[0] not in limited}
    runs = [m.run[b] for b in m.BATCHES if b[0] in kept and not m.run[b].fixed]
    try:
        for (state, point), limit in upper.items():
            m.stock[state, point].setub(min(limit, states[state].capacity))
        for run in runs:
            run.fix(round(run.value))
        yield
    finally:
        for key, limit in upper.items():
            m.stock[key].setub(limit)
        for run in runs:
            run.unfix()


def _describe(tables: EventTables, state: str) -> Store:
    """Say who makes and takes a state, and how much of it at the most."""
    tasks, fits = tables.network.tasks.values(), tables.fits
    made = {t.name: t.produces[state] for t in tasks if state in t.produces}
    used = {t.name: t.consumes[state] for t in tasks if state in t.consumes}
    producers = tuple(sorted({unit for task, unit in fits if task in made}))
    consumers = tuple(sorted({unit for task, unit in fits if task in used}))
    due = tables.takings.of(state)

    def most(unit: str, shares: dict[str, float]) -> float:
        return max(
            shares[t] * f.max_batch for (t, u), f in fits.items() if u == unit and t in shares
        )

    most_used: dict[Any, float] = {unit: most(unit, used) for unit in consumers}
    if due:
        most_used[LEAVES_PLANT] = max(taking.amount for taking in due.values())
    ruled = tables.cleaned | {unit for unit, _ in tables.periods}
    return Store(
        name=state,
        tables=tables,
        made=made,
        used=used,
        early=frozenset(k for k, fit in fits.items() if k[0] in made and leaves_early(fit, state)),
        producers=producers,
        consumers=consumers,
        most_made={unit: most(unit, made) for unit in producers},
        most_used=most_used,
        ruled=ruled.intersection(producers),
        due=due,
    )


def _add_amounts(block: pyo.Block, m: pyo.ConcreteModel, store: Store) -> None:
    """Declare what waits in units, and what leaves them how.

    Every amount has a bound: HiGHS 1.15 loses optima, or calls a feasible model infeasible, where
    big-M rows meet unbounded columns.
    """
    producers, consumers, last = store.producers, store.consumers, m.POINTS.last()
    most_made, most_used = store.most_made, store.most_used
    block.PRODUCERS = pyo.Set(initialize=producers)
    block.CONSUMERS = pyo.Set(initialize=consumers)
    block.EVENTS = pyo.Set(initialize=list(m.EVENTS))
    block.POINTS = pyo.Set(initialize=list(m.POINTS))
    block.kept = pyo.Var(producers, m.POINTS, bounds=lambda b, unit, _: (0, most_made[unit]))
    block.unloaded = pyo.Var(
        [(u, p) for u in producers for p in m.POINTS if p != last or u in store.away],
        bounds=lambda b, unit, _: (0, most_made[unit]),
    )
    block.direct = pyo.Var(
        producers,
        consumers,
        m.EVENTS,
        bounds=lambda b, unit, consumer, _: (0, min(most_made[unit], most_used[consumer])),
    )
    block.taken_direct = pyo.Var(producers, consumers, m.EVENTS, domain=pyo.Binary)
    block.delivered_direct = pyo.Var(
        [(u, number, p) for u in producers for number in store.due for p in m.POINTS if p > 0],
        bounds=lambda b, unit, number, _: (0, min(most_made[unit], store.due[number].amount)),
    )

    declare_stowing(block, store)

    @block.Expression(producers, m.EVENTS)
    def starts(b, unit, event):
        return sum(m.run[k] for k in store.tables.started(unit, event))

    @block.Expression(consumers, m.EVENTS)
    def taken(b, unit, event):
        started = store.tables.started(unit, event)
        return sum(store.used[k[0]] * m.size[k] for k in started if k[0] in store.used)


def _add_waiting(block: pyo.Block, m: pyo.ConcreteModel, store: Store) -> None:
    """Account for what waits in a unit: consumed from it, or unloaded when it starts again.

    waiting[p, k] = kept[p, k-1] + released[p, k]
    kept[p, k] = waiting[p, k] - direct[p, ., k] - unloaded[p, k]
    unloaded[p, k] <= M * starts[p, k];  kept[p, k] <= M * (1 - starts[p, k])  (eq. U13-U15)
    """
    producers, consumers, made = store.producers, store.consumers, store.made
    last = m.POINTS.last()

    def ended(unit: str, point: int) -> list[BatchKey]:
        on = (k for k in store.tables.on[unit] if k[0] in made and k[:2] not in store.early)
        return [k for k in on if k[2] + k[3] + 1 == point]

    @block.Constraint(producers, m.POINTS)
    def waiting_in_unit(b, unit, point):
        waiting = sum(made[k[0]] * m.size[k] for k in ended(unit, point))
        if point > 0:
            waiting += b.kept[unit, point - 1]
            waiting -= sum(b.delivered_direct[unit, number, point] for number in store.due)
        if point != last:
            waiting -= sum(b.direct[unit, consumer, point] for consumer in consumers)
        if (unit, point) in b.unloaded:
            waiting -= b.unloaded[unit, point]
        waiting -= stowed_at(b, store, unit, point)
        return b.kept[unit, point] == waiting

    @block.Constraint(list(block.unloaded))
    def unloaded_at_start(b, unit, point):
        empties = b.starts[unit, point] if point != last else 0
        periods = [w for u, w in store.tables.periods if u == unit]
        empties += sum(period_begins(m, unit, point, w) for w in periods)
        return b.unloaded[unit, point] <= store.most_made[unit] * empties

    @block.Constraint(producers, m.EVENTS)
    def nothing_kept_at_start(b, unit, event):
        return b.kept[unit, event] <= store.most_made[unit] * (1 - b.starts[unit, event])


def _add_direct_in_time(block: pyo.Block, m: pyo.ConcreteModel, store: Store) -> None:
    """Consume from a unit directly only before it is emptied for its next start (eq. U16)."""
    producers, consumers, tables = store.producers, store.consumers, store.tables

    @block.Constraint(producers, consumers, m.EVENTS)
    def direct_only_if_taken(b, unit, consumer, event):
        limit = min(store.most_made[unit], store.most_used[consumer])
        return b.direct[unit, consumer, event] <= limit * b.taken_direct[unit, consumer, event]

    apart = [(p, c, e) for p in producers for c in consumers for e in m.EVENTS if p != c]
    own = [(u, u, e) for u in producers for e in m.EVENTS if u in tables.cleaned and u in consumers]

    @block.Constraint([*apart, *own])
    def direct_before_next_start(b, unit, consumer, event):
        loose = tables.horizon * (2 - b.taken_direct[unit, consumer, event] - b.starts[unit, event])
        empty = m.unit_time[unit, event] - cleaning_time(m, tables, unit, event)
        return m.unit_time[consumer, event] <= empty + loose

    @block.Constraint(apart)
    def direct_before_next_point(b, unit, consumer, event):
        loose = tables.horizon * (1 - b.taken_direct[unit, consumer, event])
        empty = m.unit_time[unit, event + 1] - cleaning_time(m, tables, unit, event + 1)
        return m.unit_time[consumer, event] <= empty + loose


def _add_events(block: pyo.Block, m: pyo.ConcreteModel, store: Store) -> None:
    """List the unloadings and consumptions that have to be put in order of time."""
    keys = [k for k in block.unloaded if k[0] in store.ruled]
    block.emptied = pyo.Var(keys, bounds=(0, store.tables.horizon))
    for unit in store.producers:
        for point in list(m.POINTS)[1:]:
            if (unit, point) in block.unloaded:
                x = (unit, point, "start")
                ruled = unit in store.ruled
                store.when[x] = (block.emptied if ruled else m.unit_time)[unit, point]
                store.amount[x] = block.unloaded[unit, point]
                store.limit[x] = store.most_made[unit]
        for event in m.EVENTS:
            leaving = [k for k in store.tables.started(unit, event) if k[:2] in store.early]
            if leaving:
                x = (unit, event, "early")
                store.when[x] = m.unit_time[unit, event] + sum(
                    time_to_release(m, store.tables, store.name, k) for k in leaving
                )
                store.amount[x] = sum(store.made[k[0]] * m.size[k] for k in leaving)
                store.limit[x] = store.most_made[unit]
    for consumer in store.consumers:
        for event in m.EVENTS:
            store.consumed_at[consumer, event] = m.unit_time[consumer, event]
    for number, taking in store.due.items():
        store.consumed_at[LEAVES_PLANT, number] = taking.time
    # A given one comes after those given before it; an order's part may come anywhere.
    store.after_earlier.update(
        c for c in store.consumed_at if c[0] != LEAVES_PLANT or (c[1] > 0 and store.due[c[1]].fixed)
    )


def _add_rules_of_waiting(block: pyo.Block, m: pyo.ConcreteModel, store: Store) -> None:
    """Empty a unit before it is cleaned, and before an unavailable period starts.

    release <= emptied <= unit_time - changeover;  emptied <= start of a period that lies before the
    point; nothing is kept during it, or taken from the unit after its start (eq. U46-U47).
    """
    tables, horizon = store.tables, store.tables.horizon
    away = [key for key in tables.periods if key[0] in store.ruled]

    @block.Constraint([key for key in block.emptied if key[1] in m.EVENTS])
    def emptied_before_cleaning(b, unit, event):
        empty = m.unit_time[unit, event] - cleaning_time(m, tables, unit, event)
        return b.emptied[unit, event] <= empty

    @block.Constraint(list(block.emptied), list(tables.spans))
    def emptied_after_release(b, unit, point, span):
        event = point - span - 1
        if event < 0:
            return pyo.Constraint.Skip
        ended = [k for k in tables.started(unit, event) if k[3] <= span]
        gap = b.emptied[unit, point] - m.unit_time[unit, event]
        return gap >= sum(m.duration[k] for k in ended)

    @block.Constraint([(*key, w) for key in block.emptied for u, w in away if u == key[0]])
    def emptied_before_period(b, unit, point, number):
        start = tables.periods[unit, number][0]
        loose = (horizon - start) * (1 - period_begins(m, unit, point, number))
        return b.emptied[unit, point] <= start + loose

    @block.Constraint(away, list(m.POINTS)[1:])
    def nothing_kept_in_period(b, unit, number, point):
        kept = 1 - period_begins(m, unit, point, number)
        return b.kept[unit, point] <= store.most_made[unit] * kept

    @block.Constraint(away, list(block.CONSUMERS), m.EVENTS)
    def direct_before_period(b, unit, number, consumer, event):
        start = tables.periods[unit, number][0]
        begins = sum(period_begins(m, unit, p, number) for p in (event, event + 1))
        loose = (horizon - start) * (2 - b.taken_direct[unit, consumer, event] - begins)
        return m.unit_time[consumer, event] <= start + loose


def _add_deliveries_from_units(block: pyo.Block, m: pyo.ConcreteModel, store: Store) -> None:
    """Deliver what waits in a unit: after its release, before the unit is emptied.

    delivered_direct <= M * taken_by_delivery, which is 1 only if what has ended by that point is
    released by then and the unit is emptied later (eq. U48-U49).
    """
    tables, horizon, due = store.tables, store.tables.horizon, store.due
    keys = list(block.delivered_direct)
    block.taken_by_delivery = pyo.Var(keys, domain=pyo.Binary)
    last = m.POINTS.last()

    @block.Constraint(keys)
    def delivered_only_if_taken(b, unit, number, point):
        most = min(store.most_made[unit], due[number].amount)
        taken = b.taken_by_delivery[unit, number, point]
        return b.delivered_direct[unit, number, point] <= most * taken

    @block.Constraint(keys, m.EVENTS)
    def delivered_after_release(b, unit, number, point, event):
        released = (store.name, number, unit, event)
        if event >= point or released not in m.deliveries.released_by:
            return pyo.Constraint.Skip
        ended = [k for k in tables.started(unit, event) if event + k[3] < point]
        ran = b.taken_by_delivery[unit, number, point] + sum(m.run[k] for k in ended)
        return ran <= 1 + m.deliveries.released_by[released]

    @block.Constraint([key for key in keys if key[2] != last])
    def delivered_before_next_start(b, unit, number, point):
        loose = 2 - b.taken_by_delivery[unit, number, point] - b.starts[unit, point]
        empty = m.unit_time[unit, point] - cleaning_time(m, tables, unit, point)
        return empty >= due[number].time - _latest(due[number], horizon) * loose

    @block.Constraint([key for key in keys if key[2] != last])
    def delivered_before_next_point(b, unit, number, point):
        loose = 1 - b.taken_by_delivery[unit, number, point]
        empty = m.unit_time[unit, point + 1] - cleaning_time(m, tables, unit, point + 1)
        return empty >= due[number].time - _latest(due[number], horizon) * loose

    @block.Constraint([(*key, w) for key in keys for unit, w in tables.periods if unit == key[0]])
    def delivered_before_period(b, unit, number, point, period):
        start, _ = tables.periods[unit, period]
        begins = sum(period_begins(m, unit, p, period) for p in (point, point + 1) if p <= last)
        taken = b.taken_by_delivery[unit, number, point]
        if not due[number].fixed:
            return due[number].time <= start + (horizon - start) * (2 - taken - begins)
        if due[number].time <= start:
            return pyo.Constraint.Skip
        return taken <= 1 - begins


def _latest(taking: Taking, horizon: float) -> float:
    return taking.time if taking.fixed else horizon


def _add_order(block: pyo.Block, store: Store) -> None:
    """first[c, x] = 1: consumption c is no later than unloading x; 0: no earlier (eq. U17-U19).

    later[y, x] = 1: unloading y is no earlier than x; 0: no later. At one instant either may hold,
    but of three or more one is the last: rank[y] > rank[x] if later[y, x] = 1, and < if 0.
    together[c, x] = 1: c happens at the instant of x, consumes from it and leaves it less to store.
    Only what leaves its batch early needs that: other material is consumed from its unit.
    """
    when = store.when
    # What leaves an unattended unit may do so after the horizon.
    ends = [end for row in store.tables.unattended.values() for _, end in row]
    horizon = max(store.tables.horizon, *ends) if ends else store.tables.horizon
    unloadings = list(when)
    pairs = [
        (c, x) for c in store.consumed_at for x in unloadings if not _fixed_order(store, c, x)[0]
    ]
    block.PAIRS = pyo.Set(dimen=5, initialize=[(*c, *x) for c, x in pairs])
    block.first = pyo.Var(block.PAIRS, domain=pyo.Binary)

    @block.Constraint(block.PAIRS)
    def consumption_first(b, *pair):
        c, x = pair[:2], pair[2:]
        return store.consumed_at[c] <= when[x] + horizon * (1 - b.first[pair])

    block.AT_RELEASE = pyo.Set(dimen=5, initialize=[p for p in block.PAIRS if p[4] == "early"])
    block.together = pyo.Var(block.AT_RELEASE, domain=pyo.Binary)

    @block.Constraint(block.PAIRS)
    def unloading_first(b, *pair):
        c, x = pair[:2], pair[2:]
        return when[x] <= store.consumed_at[c] + horizon * (b.first[pair] - _together(b, c, x))

    @block.Constraint(block.AT_RELEASE)
    def together_only_if_first(b, *pair):
        return b.together[pair] <= b.first[pair]

    @block.Constraint(block.PAIRS)
    def earlier_consumption_first(b, *pair):
        if pair[:2] not in store.after_earlier:
            return pyo.Constraint.Skip
        earlier = (pair[0], pair[1] - 1, *pair[2:])
        return b.first[earlier] >= b.first[pair] if earlier in b.PAIRS else pyo.Constraint.Skip

    others = [(y, x) for y, x in combinations(unloadings, 2) if y[0] != x[0] or y[2] != x[2]]
    block.TWO_DELIVERIES = pyo.Set(dimen=6, initialize=[(*y, *x) for y, x in others])
    block.later = pyo.Var(block.TWO_DELIVERIES, domain=pyo.Binary)

    @block.Constraint(block.TWO_DELIVERIES)
    def later_unloading(b, *pair):
        return when[pair[:3]] >= when[pair[3:]] - horizon * (1 - b.later[pair])

    @block.Constraint(block.TWO_DELIVERIES)
    def earlier_unloading(b, *pair):
        return when[pair[:3]] <= when[pair[3:]] + horizon * b.later[pair]

    if len({(x[0], x[2]) for x in unloadings}) >= 3:
        _add_ranks(block, unloadings)


def _add_ranks(block: pyo.Block, unloadings: list[Unloading]) -> None:
    """Put the unloadings at one instant in one order, too (after eq. U19).

    Without ranks each of three could come before the next, all round, and none of them would count
    the others all.
    """
    n_unloadings = len(unloadings)
    block.rank = pyo.Var(unloadings, bounds=(0, n_unloadings - 1))

    @block.Constraint(block.TWO_DELIVERIES)
    def higher_rank_if_later(b, *pair):
        loose = n_unloadings * (1 - b.later[pair])
        return b.rank[pair[:3]] >= b.rank[pair[3:]] + 1 - loose

    @block.Constraint(block.TWO_DELIVERIES)
    def lower_rank_if_earlier(b, *pair):
        return b.rank[pair[3:]] >= b.rank[pair[:3]] + 1 - n_unloadings * b.later[pair]


def _fixed_order(store: Store, consumption: Consumption, unloading: Unloading) -> tuple[bool, int]:
    """Whether one unit's own points already order the two, and then the value of `first`.

    A unit with rules may be emptied well before it starts again.
    """
    same = consumption[0] == unloading[0] and unloading[2] == "start"
    if consumption[1] == unloading[1] and unloading[0] in store.ruled:
        return False, 0
    return same, int(consumption[1] <= unloading[1])


def _first(
    block: pyo.Block, store: Store, consumption: Consumption, unloading: Unloading
) -> pyo.Var | int:
    known, value = _fixed_order(store, consumption, unloading)
    return value if known else block.first[(*consumption, *unloading)]


def _together(block: pyo.Block, consumption: Consumption, unloading: Unloading) -> pyo.Var | int:
    pair = (*consumption, *unloading)
    return block.together[pair] if pair in block.AT_RELEASE else 0


def _add_flows(block: pyo.Block, store: Store) -> None:
    """Consumption = taken from units + from earlier unloadings + from initial stock (eq. U20)."""
    limit, most_used, due = store.limit, store.most_used, store.due
    routes = [
        (*c, *x)
        for c in store.consumed_at
        for x in store.when
        if _fixed_order(store, c, x) != (True, 1)
    ]
    block.ROUTES = pyo.Set(dimen=5, initialize=routes)
    block.flow = pyo.Var(block.ROUTES, bounds=lambda b, *r: (0, min(limit[r[2:]], most_used[r[0]])))
    initial = store.tables.network.states[store.name].initial
    block.from_initial = pyo.Var(
        list(store.consumed_at),
        bounds=lambda b, consumer, _: (0, min(initial, most_used[consumer])),
    )
    of_consumption: dict[tuple, list] = {}
    of_unloading: dict[tuple, list] = {}
    for route in block.ROUTES:
        of_consumption.setdefault(route[:2], []).append(block.flow[route])
        of_unloading.setdefault(route[2:], []).append(block.flow[route])

    @block.Expression(list(store.consumed_at))
    def from_storage(b, *consumption):
        return sum(of_consumption.get(consumption, ())) + b.from_initial[consumption]

    @block.Constraint(list(store.consumed_at))
    def supply(b, consumer, event):
        stored = b.from_storage[consumer, event]
        if consumer == LEAVES_PLANT:
            direct = sum(b.delivered_direct[key] for key in b.delivered_direct if key[1] == event)
            return direct + stored == due[event].quantity
        direct = sum(b.direct[unit, consumer, event] for unit in b.PRODUCERS)
        return b.taken[consumer, event] == direct + stored

    @block.Constraint(block.ROUTES)
    def flow_after_unloading(b, *route):
        c, x = route[:2], route[2:]
        order = 1 - _first(b, store, c, x) + _together(b, c, x)
        return b.flow[route] <= min(limit[x], most_used[c[0]]) * order

    @block.Constraint(list(store.when))
    def unloaded_once(b, *x):
        return sum(of_unloading.get(x, ())) <= store.amount[x]

    @block.Constraint()
    def initial_once(b):
        if not store.consumed_at:  # a product: nobody takes from its stock
            return pyo.Constraint.Skip
        return sum(b.from_initial.values()) <= initial


def _add_levels(block: pyo.Block, store: Store) -> None:
    """Limit: initial + unloadings - consumption from storage so far <= capacity (eq. U21-U22)."""
    state = store.tables.network.states[store.name]
    unloadings, limit, amount = list(store.when), store.limit, store.amount
    pairs = [(*c, *x) for c in store.consumed_at for x in unloadings]
    two = [(y, x) for y in unloadings for x in unloadings if y != x]
    block.counted = pyo.Var(
        [(*y, *x) for y, x in two], bounds=lambda b, *pair: (0, limit[pair[:3]])
    )
    block.gone = pyo.Var(pairs, bounds=lambda b, *pair: (0, store.most_used[pair[0]]))

    @block.Constraint([(*y, *x) for y, x in two])
    def unloading_counts(b, *pair):
        y, x = pair[:3], pair[3:]
        if y[0] == x[0] and y[2] == x[2]:
            not_yet: pyo.Var | int = int(y[1] > x[1])
        elif pair in b.TWO_DELIVERIES:
            not_yet = b.later[pair]
        else:
            not_yet = 1 - b.later[(*x, *y)]
        return b.counted[pair] >= amount[y] - limit[y] * not_yet

    @block.Constraint(pairs)
    def consumption_counts(b, *pair):
        c, x = pair[:2], pair[2:]
        return b.gone[pair] <= store.most_used[c[0]] * _first(b, store, c, x)

    @block.Constraint(pairs)
    def consumption_from_storage(b, *pair):
        return b.gone[pair] <= b.from_storage[pair[:2]]

    @block.Constraint(unloadings)
    def capacity_at_unloading(b, *x):
        came = amount[x] + sum(b.counted[(*y, *x)] for y in unloadings if y != x)
        went = sum(b.gone[(*c, *x)] for c in store.consumed_at)
        return state.initial + came - went <= state.capacity
