"""Capacities that hold at every instant, added to the model for the states that need them.

Keeping a finished batch in its unit never hurts, so storage takes material at two kinds of times
only: when a unit that still holds some starts its next batch, and when a part leaves a batch early.
Those *unloadings* and all consumptions of the state are put in order of time by binaries, material
is followed from unloading to consumption, and none leaves more than the capacity in storage.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.unit_rules import cleaning_time, period_begins

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.plant.recipe import Suitability
    from stnopt.scheduling.formulations.unit_specific.deliveries import Taking

#: In the place of the unit that takes a state: it leaves the plant, in a delivery.
_LEAVES_PLANT = -1


def add_storage_in_time(m: pyo.ConcreteModel, network: Network, state: str, horizon: float) -> None:
    """Limit a state's storage to its capacity at every instant (docs/formulation.md, eq. U13-U22).

    The big-M for times is the horizon, for amounts the largest batch or consumption. Units with
    rules must be empty sooner, and deliveries consume as well (eq. U46-U49).
    """
    block = m.storage_in_time[state]
    block.due = {
        number: delivery
        for (name, number), delivery in getattr(m.component("deliveries"), "due", {}).items()
        if name == state
    }
    _add_waiting(block, m, network, state, horizon)
    _add_rules_of_waiting(block, m, horizon)
    _add_deliveries_from_units(block, m, state, horizon)
    _add_order(block, horizon)
    _add_flows(block, network, state)
    _add_levels(block, network.states[state].capacity, network.states[state].initial)


def leaves_early(fit: Suitability, state: str) -> bool:
    """Whether a state leaves its unit before the batch ends, so that it cannot wait there."""
    shortest = fit.duration(fit.min_batch)
    varies = fit.time_per_amount > 0
    return state in fit.release_time and (varies or fit.release_time[state] < shortest)


def _add_waiting(
    block: pyo.Block, m: pyo.ConcreteModel, network: Network, state: str, horizon: float
) -> None:
    """Account for what waits in a unit: consumed from it, or unloaded when it starts again.

    waiting[p, k] = kept[p, k-1] + released[p, k]
    kept[p, k] = waiting[p, k] - direct[p, ., k] - unloaded[p, k]
    unloaded[p, k] <= M * starts[p, k];  kept[p, k] <= M * (1 - starts[p, k])
    A direct consumption comes before the unit's next start (eq. U13-U16).
    """
    made = {t.name: t.produces[state] for t in network.tasks.values() if state in t.produces}
    used = {t.name: t.consumes[state] for t in network.tasks.values() if state in t.consumes}
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    early = {key for key, fit in fits.items() if key[0] in made and leaves_early(fit, state)}
    producers = sorted({unit for task, unit in fits if task in made})
    consumers = sorted({unit for task, unit in fits if task in used})
    last = m.POINTS.last()

    def most(unit: str, shares: dict[str, float]) -> float:
        return max(
            shares[t] * f.max_batch for (t, u), f in fits.items() if u == unit and t in shares
        )

    block.PRODUCERS = pyo.Set(initialize=producers)
    block.CONSUMERS = pyo.Set(initialize=consumers)
    block.EVENTS = pyo.Set(initialize=list(m.EVENTS))
    block.POINTS = pyo.Set(initialize=list(m.POINTS))
    block.most_made = {unit: most(unit, made) for unit in producers}
    block.most_used = {unit: most(unit, used) for unit in consumers}
    if block.due:
        block.most_used[_LEAVES_PLANT] = max(delivery.amount for delivery in block.due.values())
    away = {unit for unit, _ in m.periods}
    block.ruled = {unit for unit in producers if unit in away or unit in m.cleaned}
    # Every amount has a bound: HiGHS 1.15 loses optima, or calls a feasible model infeasible,
    # where big-M rows meet unbounded columns.
    block.kept = pyo.Var(producers, m.POINTS, bounds=lambda b, unit, _: (0, b.most_made[unit]))
    block.unloaded = pyo.Var(
        [(unit, p) for unit in producers for p in m.POINTS if p != last or unit in away],
        bounds=lambda b, unit, _: (0, b.most_made[unit]),
    )
    block.direct = pyo.Var(
        producers,
        consumers,
        m.EVENTS,
        bounds=lambda b, unit, consumer, _: (0, min(b.most_made[unit], b.most_used[consumer])),
    )
    block.taken_direct = pyo.Var(producers, consumers, m.EVENTS, domain=pyo.Binary)
    block.delivered_direct = pyo.Var(
        [
            (unit, number, p)
            for unit in producers
            for number in block.due
            for p in m.POINTS
            if p > 0
        ],
        bounds=lambda b, unit, number, _: (0, min(b.most_made[unit], b.due[number].amount)),
    )

    @block.Expression(producers, m.EVENTS)
    def starts(b, unit, event):
        return sum(m.run[k] for k in m.BATCHES if k[1] == unit and k[2] == event)

    @block.Expression(consumers, m.EVENTS)
    def taken(b, unit, event):
        return sum(
            used[k[0]] * m.size[k] for k in m.BATCHES if k[0] in used and k[1:3] == (unit, event)
        )

    @block.Constraint(producers, m.POINTS)
    def waiting_in_unit(b, unit, point):
        ended = [
            k
            for k in m.BATCHES
            if k[1] == unit and k[0] in made and k[:2] not in early and k[2] + k[3] + 1 == point
        ]
        waiting = sum(made[k[0]] * m.size[k] for k in ended)
        if point > 0:
            waiting += b.kept[unit, point - 1]
            waiting -= sum(b.delivered_direct[unit, number, point] for number in b.due)
        if point != last:
            waiting -= sum(b.direct[unit, consumer, point] for consumer in consumers)
        if (unit, point) in b.unloaded:
            waiting -= b.unloaded[unit, point]
        return b.kept[unit, point] == waiting

    @block.Constraint(list(block.unloaded))
    def unloaded_at_start(b, unit, point):
        empties = b.starts[unit, point] if point != last else 0
        empties += sum(period_begins(m, unit, point, w) for u, w in m.periods if u == unit)
        return b.unloaded[unit, point] <= b.most_made[unit] * empties

    @block.Constraint(producers, m.EVENTS)
    def nothing_kept_at_start(b, unit, event):
        return b.kept[unit, event] <= b.most_made[unit] * (1 - b.starts[unit, event])

    @block.Constraint(producers, consumers, m.EVENTS)
    def direct_only_if_taken(b, unit, consumer, event):
        limit = min(b.most_made[unit], b.most_used[consumer])
        return b.direct[unit, consumer, event] <= limit * b.taken_direct[unit, consumer, event]

    apart = [(p, c, e) for p in producers for c in consumers for e in m.EVENTS if p != c]
    own = [(u, u, e) for u in producers for e in m.EVENTS if u in m.cleaned and u in consumers]

    @block.Constraint([*apart, *own])
    def direct_before_next_start(b, unit, consumer, event):
        loose = horizon * (2 - b.taken_direct[unit, consumer, event] - b.starts[unit, event])
        empty = m.unit_time[unit, event] - cleaning_time(m, unit, event)
        return m.unit_time[consumer, event] <= empty + loose

    @block.Constraint(apart)
    def direct_before_next_point(b, unit, consumer, event):
        loose = horizon * (1 - b.taken_direct[unit, consumer, event])
        empty = m.unit_time[unit, event + 1] - cleaning_time(m, unit, event + 1)
        return m.unit_time[consumer, event] <= empty + loose

    block.emptied = pyo.Var([k for k in block.unloaded if k[0] in block.ruled], bounds=(0, horizon))
    block.when, block.amount, block.limit, block.place = {}, {}, {}, {}
    for unit in producers:
        for point in list(m.POINTS)[1:]:
            if (unit, point) in block.unloaded:
                x = (unit, point, "start")
                ruled = unit in block.ruled
                block.when[x] = (block.emptied if ruled else m.unit_time)[unit, point]
                block.amount[x] = block.unloaded[unit, point]
                block.limit[x] = block.most_made[unit]
        for event in m.EVENTS:
            leaving = [k for k in m.BATCHES if k[1] == unit and k[2] == event and k[:2] in early]
            if leaving:
                x = (unit, event, "early")
                block.when[x] = m.unit_time[unit, event] + sum(
                    fits[k[:2]].release_time[state] * m.run[k] for k in leaving
                )
                block.amount[x] = sum(made[k[0]] * m.size[k] for k in leaving)
                block.limit[x] = block.most_made[unit]
    block.consumed_at = {
        (consumer, event): m.unit_time[consumer, event]
        for consumer in consumers
        for event in m.EVENTS
    }
    block.consumed_at |= {(_LEAVES_PLANT, j): due.time for j, due in block.due.items()}
    # A given one comes after those given before it; an order's part may come anywhere.
    block.after_earlier = {
        c
        for c in block.consumed_at
        if c[0] != _LEAVES_PLANT or (c[1] > 0 and block.due[c[1]].fixed)
    }


def _add_rules_of_waiting(block: pyo.Block, m: pyo.ConcreteModel, horizon: float) -> None:
    """Empty a unit before it is cleaned, and before an unavailable period starts.

    release <= emptied <= unit_time - changeover;  emptied <= start of a period that lies before the
    point; nothing is kept during it, or taken from the unit after its start (eq. U46-U47).
    """
    away = [key for key in m.periods if key[0] in block.ruled]

    @block.Constraint([key for key in block.emptied if key[1] in m.EVENTS])
    def emptied_before_cleaning(b, unit, event):
        return b.emptied[unit, event] <= m.unit_time[unit, event] - cleaning_time(m, unit, event)

    @block.Constraint(list(block.emptied), sorted({b[3] for b in m.BATCHES}))
    def emptied_after_release(b, unit, point, span):
        event = point - span - 1
        if event < 0:
            return pyo.Constraint.Skip
        ended = [k for k in m.BATCHES if k[1] == unit and k[2] == event and k[3] <= span]
        gap = b.emptied[unit, point] - m.unit_time[unit, event]
        return gap >= sum(m.duration[k] for k in ended)

    @block.Constraint([(*key, w) for key in block.emptied for u, w in away if u == key[0]])
    def emptied_before_period(b, unit, point, number):
        start = m.periods[unit, number][0]
        loose = (horizon - start) * (1 - period_begins(m, unit, point, number))
        return b.emptied[unit, point] <= start + loose

    @block.Constraint(away, list(m.POINTS)[1:])
    def nothing_kept_in_period(b, unit, number, point):
        kept = 1 - period_begins(m, unit, point, number)
        return b.kept[unit, point] <= b.most_made[unit] * kept

    @block.Constraint(away, list(block.CONSUMERS), m.EVENTS)
    def direct_before_period(b, unit, number, consumer, event):
        start = m.periods[unit, number][0]
        begins = sum(period_begins(m, unit, p, number) for p in (event, event + 1))
        loose = (horizon - start) * (2 - b.taken_direct[unit, consumer, event] - begins)
        return m.unit_time[consumer, event] <= start + loose


def _add_deliveries_from_units(
    block: pyo.Block, m: pyo.ConcreteModel, state: str, horizon: float
) -> None:
    """Deliver what waits in a unit: after its release, before the unit is emptied.

    delivered_direct <= M * taken_by_delivery, which is 1 only if what has ended by that point is
    released by then and the unit is emptied later (eq. U48-U49).
    """
    keys = list(block.delivered_direct)
    block.taken_by_delivery = pyo.Var(keys, domain=pyo.Binary)
    last = m.POINTS.last()

    @block.Constraint(keys)
    def delivered_only_if_taken(b, unit, number, point):
        most = min(b.most_made[unit], b.due[number].amount)
        taken = b.taken_by_delivery[unit, number, point]
        return b.delivered_direct[unit, number, point] <= most * taken

    @block.Constraint(keys, m.EVENTS)
    def delivered_after_release(b, unit, number, point, event):
        released = (state, number, unit, event)
        if event >= point or released not in m.deliveries.released_by:
            return pyo.Constraint.Skip
        ended = [k for k in m.BATCHES if k[1:3] == (unit, event) and event + k[3] < point]
        ran = b.taken_by_delivery[unit, number, point] + sum(m.run[k] for k in ended)
        return ran <= 1 + m.deliveries.released_by[released]

    @block.Constraint([key for key in keys if key[2] != last])
    def delivered_before_next_start(b, unit, number, point):
        time = b.due[number].time
        loose = 2 - b.taken_by_delivery[unit, number, point] - b.starts[unit, point]
        empty = m.unit_time[unit, point] - cleaning_time(m, unit, point)
        return empty >= time - _latest(b.due[number], horizon) * loose

    @block.Constraint([key for key in keys if key[2] != last])
    def delivered_before_next_point(b, unit, number, point):
        time = b.due[number].time
        loose = 1 - b.taken_by_delivery[unit, number, point]
        empty = m.unit_time[unit, point + 1] - cleaning_time(m, unit, point + 1)
        return empty >= time - _latest(b.due[number], horizon) * loose

    @block.Constraint([(*key, w) for key in keys for unit, w in m.periods if unit == key[0]])
    def delivered_before_period(b, unit, number, point, period):
        start, _ = m.periods[unit, period]
        begins = sum(period_begins(m, unit, p, period) for p in (point, point + 1) if p <= last)
        taken = b.taken_by_delivery[unit, number, point]
        if not b.due[number].fixed:
            return b.due[number].time <= start + (horizon - start) * (2 - taken - begins)
        if b.due[number].time <= start:
            return pyo.Constraint.Skip
        return taken <= 1 - begins


def _latest(taking: Taking, horizon: float) -> float:
    return taking.time if taking.fixed else horizon


def _add_order(block: pyo.Block, horizon: float) -> None:
    """first[c, x] = 1: consumption c is no later than unloading x; 0: no earlier (eq. U17-U19).

    later[y, x] = 1: unloading y is no earlier than x; 0: no later. At one instant either may hold,
    but of three or more one is the last: rank[y] > rank[x] if later[y, x] = 1, and < if 0.
    together[c, x] = 1: c happens at the instant of x, consumes from it and leaves it less to store.
    Only what leaves its batch early needs that: other material is consumed from its unit.
    """
    unloadings = list(block.when)
    pairs = [
        (c, x) for c in block.consumed_at for x in unloadings if not _fixed_order(block, c, x)[0]
    ]
    block.PAIRS = pyo.Set(dimen=5, initialize=[(*c, *x) for c, x in pairs])
    block.first = pyo.Var(block.PAIRS, domain=pyo.Binary)

    @block.Constraint(block.PAIRS)
    def consumption_first(b, *pair):
        c, x = pair[:2], pair[2:]
        return b.consumed_at[c] <= b.when[x] + horizon * (1 - b.first[pair])

    block.AT_RELEASE = pyo.Set(dimen=5, initialize=[p for p in block.PAIRS if p[4] == "early"])
    block.together = pyo.Var(block.AT_RELEASE, domain=pyo.Binary)

    @block.Constraint(block.PAIRS)
    def unloading_first(b, *pair):
        c, x = pair[:2], pair[2:]
        return b.when[x] <= b.consumed_at[c] + horizon * (b.first[pair] - _together(b, c, x))

    @block.Constraint(block.AT_RELEASE)
    def together_only_if_first(b, *pair):
        return b.together[pair] <= b.first[pair]

    @block.Constraint(block.PAIRS)
    def earlier_consumption_first(b, *pair):
        if pair[:2] not in b.after_earlier:
            return pyo.Constraint.Skip
        earlier = (pair[0], pair[1] - 1, *pair[2:])
        return b.first[earlier] >= b.first[pair] if earlier in b.PAIRS else pyo.Constraint.Skip

    others = [(y, x) for y, x in combinations(unloadings, 2) if y[0] != x[0] or y[2] != x[2]]
    block.TWO_DELIVERIES = pyo.Set(dimen=6, initialize=[(*y, *x) for y, x in others])
    block.later = pyo.Var(block.TWO_DELIVERIES, domain=pyo.Binary)

    @block.Constraint(block.TWO_DELIVERIES)
    def later_unloading(b, *pair):
        return b.when[pair[:3]] >= b.when[pair[3:]] - horizon * (1 - b.later[pair])

    @block.Constraint(block.TWO_DELIVERIES)
    def earlier_unloading(b, *pair):
        return b.when[pair[:3]] <= b.when[pair[3:]] + horizon * b.later[pair]

    if len({(x[0], x[2]) for x in unloadings}) < 3:
        return
    # Without ranks each of three at one instant could come before the next, all round, and none
    # of them would count the others all.
    n_unloadings = len(unloadings)
    block.rank = pyo.Var(unloadings, bounds=(0, n_unloadings - 1))

    @block.Constraint(block.TWO_DELIVERIES)
    def higher_rank_if_later(b, *pair):
        loose = n_unloadings * (1 - b.later[pair])
        return b.rank[pair[:3]] >= b.rank[pair[3:]] + 1 - loose

    @block.Constraint(block.TWO_DELIVERIES)
    def lower_rank_if_earlier(b, *pair):
        return b.rank[pair[3:]] >= b.rank[pair[:3]] + 1 - n_unloadings * b.later[pair]


def _fixed_order(block: pyo.Block, consumption: tuple, unloading: tuple) -> tuple[bool, int]:
    """Whether one unit's own points already order the two, and then the value of `first`.

    A unit with rules may be emptied well before it starts again.
    """
    same = consumption[0] == unloading[0] and unloading[2] == "start"
    if consumption[1] == unloading[1] and unloading[0] in block.ruled:
        return False, 0
    return same, int(consumption[1] <= unloading[1])


def _first(block: pyo.Block, consumption: tuple, unloading: tuple) -> pyo.Var | int:
    known, value = _fixed_order(block, consumption, unloading)
    return value if known else block.first[(*consumption, *unloading)]


def _together(block: pyo.Block, consumption: tuple, unloading: tuple) -> pyo.Var | int:
    pair = (*consumption, *unloading)
    return block.together[pair] if pair in block.AT_RELEASE else 0


def _add_flows(block: pyo.Block, network: Network, state: str) -> None:
    """Consumption = taken from units + from earlier unloadings + from initial stock (eq. U20)."""
    routes = [
        (*c, *x)
        for c in block.consumed_at
        for x in block.when
        if _fixed_order(block, c, x) != (True, 1)
    ]
    block.ROUTES = pyo.Set(dimen=5, initialize=routes)
    block.flow = pyo.Var(
        block.ROUTES, bounds=lambda b, *r: (0, min(b.limit[r[2:]], b.most_used[r[0]]))
    )
    initial = network.states[state].initial
    block.from_initial = pyo.Var(
        list(block.consumed_at),
        bounds=lambda b, consumer, _: (0, min(initial, b.most_used[consumer])),
    )

    @block.Constraint(list(block.consumed_at))
    def supply(b, consumer, event):
        stored = _from_storage(b, (consumer, event))
        if consumer == _LEAVES_PLANT:
            direct = sum(b.delivered_direct[key] for key in b.delivered_direct if key[1] == event)
            return direct + stored == b.due[event].quantity
        direct = sum(b.direct[unit, consumer, event] for unit in b.PRODUCERS)
        return b.taken[consumer, event] == direct + stored

    @block.Constraint(block.ROUTES)
    def flow_after_unloading(b, *route):
        c, x = route[:2], route[2:]
        order = 1 - _first(b, c, x) + _together(b, c, x)
        return b.flow[route] <= min(b.limit[x], b.most_used[c[0]]) * order

    @block.Constraint(list(block.when))
    def unloaded_once(b, *x):
        return sum(b.flow[r] for r in b.ROUTES if r[2:] == x) <= b.amount[x]

    @block.Constraint()
    def initial_once(b):
        if not b.consumed_at:  # a product: nobody takes from its stock
            return pyo.Constraint.Skip
        return sum(b.from_initial.values()) <= initial


def _from_storage(block: pyo.Block, consumption: tuple) -> pyo.Expression:
    stored = sum(block.flow[r] for r in block.ROUTES if r[:2] == consumption)
    return stored + block.from_initial[consumption]


def _add_levels(block: pyo.Block, capacity: float, initial: float) -> None:
    """Limit: initial + unloadings - consumption from storage so far <= capacity (eq. U21-U22)."""
    unloadings = list(block.when)
    two = [(y, x) for y in unloadings for x in unloadings if y != x]
    block.counted = pyo.Var(
        [(*y, *x) for y, x in two], bounds=lambda b, *pair: (0, b.limit[pair[:3]])
    )
    block.gone = pyo.Var(
        [(*c, *x) for c in block.consumed_at for x in unloadings],
        bounds=lambda b, *pair: (0, b.most_used[pair[0]]),
    )

    @block.Constraint([(*y, *x) for y, x in two])
    def unloading_counts(b, *pair):
        y, x = pair[:3], pair[3:]
        if y[0] == x[0] and y[2] == x[2]:
            not_yet: pyo.Var | int = int(y[1] > x[1])
        elif pair in b.TWO_DELIVERIES:
            not_yet = b.later[pair]
        else:
            not_yet = 1 - b.later[(*x, *y)]
        return b.counted[pair] >= b.amount[y] - b.limit[y] * not_yet

    @block.Constraint([(*c, *x) for c in block.consumed_at for x in unloadings])
    def consumption_counts(b, *pair):
        c, x = pair[:2], pair[2:]
        return b.gone[pair] <= b.most_used[c[0]] * _first(b, c, x)

    @block.Constraint([(*c, *x) for c in block.consumed_at for x in unloadings])
    def consumption_from_storage(b, *pair):
        return b.gone[pair] <= _from_storage(b, pair[:2])

    @block.Constraint(unloadings)
    def capacity_at_unloading(b, *x):
        came = b.amount[x] + sum(b.counted[(*y, *x)] for y in unloadings if y != x)
        went = sum(b.gone[(*c, *x)] for c in b.consumed_at)
        return initial + came - went <= capacity
