"""Limited storage of what unattended units make: nothing is taken from them for a while.

What others need of it meanwhile is stowed, put into storage as a period begins; the rest stays in
its unit, locked, until the period ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.calendars import release_delay
from stnopt.scheduling.formulations.unit_specific.changeovers import cleaning_time

if TYPE_CHECKING:
    from stnopt.scheduling.formulations.unit_specific.limited_store import Store

#: What is in a unit at time 0 can be had before this share of the horizon.
_AT_ONCE = 1e-9


def _locks(store: Store) -> list[tuple[str, int, float, float]]:
    """List unit, number, begin and end of the periods within the horizon, producers' only."""
    horizon = store.tables.horizon
    return [
        (unit, number, start, min(end, horizon))
        for unit in store.producers
        for number, (start, end) in enumerate(store.tables.unattended.get(unit, ()))
        if start < horizon
    ]


def declare_stowing(block: pyo.Block, store: Store) -> None:
    """Declare what is stowed of what waits at a point, as a period begins; list it by period."""
    locks = _locks(store)
    if not locks:
        return
    block.stowed = pyo.Var(
        [(unit, point, w) for unit, w, _, _ in locks for point in block.POINTS if point > 0],
        bounds=lambda b, unit, *_: (0, store.most_made[unit]),
    )
    block.stows = pyo.Var(list(block.stowed), domain=pyo.Binary)
    for unit, w, start, _ in locks:
        x = (unit, w, "stow")
        store.when[x] = start
        store.amount[x] = sum(block.stowed[unit, p, w] for p in block.POINTS if p > 0)
        store.limit[x] = store.most_made[unit]


def stowed_at(block: pyo.Block, store: Store, unit: str, point: int) -> pyo.Expression:
    """Return what is stowed of what waits in a unit at a point."""
    if point == 0 or unit not in store.tables.unattended:
        return 0
    periods = range(len(store.tables.unattended[unit]))
    return sum(block.stowed[unit, point, w] for w in periods if (unit, point, w) in block.stowed)


def add_locked_units(block: pyo.Block, m: pyo.ConcreteModel, store: Store) -> None:
    """Take nothing from a unit inside a period; stow as it begins what has been released by then.

    stowed[p, n, w] <= M * stows[p, n, w], which is 1 only if all that p has ended by point n is
    released by the begin of w, and p is emptied later. Takings from the unit, and its emptying
    before a cleaning, lie before the period or after it (eq. U85-U89).
    """
    locks = _locks(store)
    if not locks:
        return
    _add_stowing(block, m, store, locks)
    _add_takings_outside(block, m, store, locks)
    _add_deliveries_outside(block, store, locks)


def _add_stowing(
    block: pyo.Block,
    m: pyo.ConcreteModel,
    store: Store,
    locks: list[tuple[str, int, float, float]],
) -> None:
    tables, horizon = store.tables, store.tables.horizon
    begin = {(unit, w): start for unit, w, start, _ in locks}
    longest = horizon + max(end for row in tables.unattended.values() for _, end in row)
    keys = list(block.stows)

    @block.Constraint(keys)
    def stowed_only_if(b, unit, point, w):
        return b.stowed[unit, point, w] <= store.most_made[unit] * b.stows[unit, point, w]

    @block.Constraint(keys, list(m.EVENTS))
    def stowed_after_release(b, unit, point, w, event):
        ended = [k for k in tables.started(unit, event) if event + k[3] < point]
        if event >= point or not ended:
            return pyo.Constraint.Skip
        released = m.unit_time[unit, event] + sum(
            m.duration[k] + release_delay(m, tables, k) for k in ended
        )
        start = begin[unit, w] + _AT_ONCE * horizon
        return released <= start + longest * (1 - b.stows[unit, point, w])

    @block.Constraint(keys)
    def stowed_before_emptied(b, unit, point, w):
        empty = m.unit_time[unit, point]
        if (unit, point) in b.emptied:
            empty = b.emptied[unit, point]
        elif point in m.EVENTS:
            empty -= cleaning_time(m, tables, unit, point)
        return empty >= begin[unit, w] * b.stows[unit, point, w]

    outside = [(u, p, w, s, e) for u, p in block.emptied for v, w, s, e in locks if u == v]
    block.emptied_after = pyo.Var([key[:3] for key in outside], domain=pyo.Binary)

    @block.Constraint(outside)
    def emptied_before_lock(b, unit, point, w, start, _):
        loose = (horizon - start) * b.emptied_after[unit, point, w]
        return b.emptied[unit, point] <= start + loose

    @block.Constraint(outside)
    def emptied_after_lock(b, unit, point, w, _, end):
        return b.emptied[unit, point] >= end * b.emptied_after[unit, point, w]


def _add_takings_outside(
    block: pyo.Block,
    m: pyo.ConcreteModel,
    store: Store,
    locks: list[tuple[str, int, float, float]],
) -> None:
    """Let a consumer take from the unit before the period begins, or when it has ended."""
    horizon = store.tables.horizon
    keys = [
        (unit, consumer, event, w, start, end)
        for unit, w, start, end in locks
        for consumer in store.consumers
        for event in m.EVENTS
        if consumer != unit
    ]
    block.direct_after = pyo.Var([key[:4] for key in keys], domain=pyo.Binary)

    @block.Constraint(keys)
    def direct_before_lock(b, unit, consumer, event, w, start, _):
        after = b.direct_after[unit, consumer, event, w]
        loose = 1 - b.taken_direct[unit, consumer, event] + after
        return m.unit_time[consumer, event] <= start + (horizon - start) * loose

    @block.Constraint(keys)
    def direct_after_lock(b, unit, consumer, event, w, _, end):
        return m.unit_time[consumer, event] >= end * b.direct_after[unit, consumer, event, w]


def _add_deliveries_outside(
    block: pyo.Block, store: Store, locks: list[tuple[str, int, float, float]]
) -> None:
    """Let a delivery take from the unit before the period begins, or when it has ended."""
    horizon, due = store.tables.horizon, store.due
    keys = [
        (unit, number, point, w, start, end)
        for unit, number, point in block.taken_by_delivery
        for u, w, start, end in locks
        if u == unit
    ]
    free = [key for key in keys if not due[key[1]].fixed]
    block.delivered_after = pyo.Var([key[:4] for key in free], domain=pyo.Binary)

    @block.Constraint(keys)
    def delivered_before_lock(b, unit, number, point, w, start, end):
        taken, time = b.taken_by_delivery[unit, number, point], due[number].time
        if due[number].fixed:
            return taken <= 0 if start < time < end else pyo.Constraint.Skip
        loose = 1 - taken + b.delivered_after[unit, number, point, w]
        return time <= start + (horizon - start) * loose

    @block.Constraint(free)
    def delivered_after_lock(b, unit, number, point, w, _, end):
        return due[number].time >= end * b.delivered_after[unit, number, point, w]
