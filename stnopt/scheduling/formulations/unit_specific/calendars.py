"""Units that are unattended or paused for a while, in the unit-event model.

A binary per event point and period says that what starts there starts after it. In a pause a batch
that has begun stops: one more says so, and its duration grows by the pause. A batch that ends while
its unit is unattended releases what it makes when somebody is back. What leaves a batch early comes
later in the same ways, with binaries of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pyomo.environ as pyo

from stnopt.plant.tolerance import time_tolerance
from stnopt.scheduling.formulations.unit_specific.tables import leaves_early

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stnopt.scheduling.formulations.unit_specific.tables import BatchKey, EventTables, Period

RULES = ("unattended", "paused")
#: A batch that is said to run into a period does so by this share of the horizon.
_INTO_PERIOD = 1e-5
#: What is in a unit at time 0 leaves it before this share of the horizon.
_AT_ONCE = 1e-9

#: A batch, or a batch and a state that leaves it early.
Key = tuple[Any, ...]


class _Milestone(NamedTuple):
    """What a batch gives out: after how much work, pauses not counted.

    Attributes
    ----------
    batch : BatchKey
    work : expression
    exact : bool
        Whether it may not come later than it does, either.
    """

    batch: BatchKey
    work: Any
    exact: bool


def declare(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Declare which pauses a batch runs into, and how long what it gives out is delayed.

    That is `paused_in[task, unit, event, span, number]` and `delay[task, unit, event, span]`; with
    a state behind the span, `early_release.paused_in` and `early_release.delay`. A period that has
    begun at 0 is over before anything starts.
    """
    rules = tables.network.unit_rules
    fixed = {batch.task for batch in tables.given.batches}
    tables.pauses = {u: _to_come(rule.paused) for u, rule in rules.items() if rule.paused}
    tables.unattended = {
        u: _to_come(rule.unattended) for u, rule in rules.items() if _to_come(rule.unattended)
    }
    _delay_what_is_given(m, tables)
    ends = [b for b in m.BATCHES if b[0] not in fixed]
    _declare_delays(m, tables, ends)
    early = [
        (*b, state)
        for b in ends
        if b[1] in tables.pauses or b[1] in tables.unattended
        for state in tables.fits[b[:2]].release_time
        if leaves_early(tables.fits[b[:2]], state)
    ]
    if early:
        m.early_release = pyo.Block()
        _declare_delays(m.early_release, tables, early)


def _to_come(periods: tuple[Period, ...]) -> tuple[Period, ...]:
    return tuple(period for period in periods if period[0] >= 0)


def _declare_delays(block: pyo.Block, tables: EventTables, keys: list[Key]) -> None:
    block.paused_in = pyo.Var(
        [(*k, number) for k in keys for number in range(len(tables.pauses.get(k[1], ())))],
        domain=pyo.Binary,
    )
    block.delay = pyo.Var(
        [k for k in keys if k[1] in tables.unattended], domain=pyo.NonNegativeReals
    )


def _delay_what_is_given(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Work out how long nobody unloads what is in a unit at time 0, as the replay does.

    What is held may still leave at the begin of a period, at 0; to be empty the unit has to wait.
    """
    rules = tables.network.unit_rules
    for given in tables.given.batches:
        if given.outside or given.unit not in rules or not rules[given.unit].unattended:
            continue
        fit = tables.fits[given.task, given.unit]
        held = fit.fixed_time <= _AT_ONCE * tables.horizon
        last = fit.fixed_time
        for batch in (b for b in m.BATCHES if b[:2] == (given.task, given.unit)):
            for state, time in fit.release_time.items():
                overdue = time <= _AT_ONCE * tables.horizon
                late = _delay_at(tables, given.unit, time, since_before=overdue)
                tables.given_delay[(*batch, state)] = late
            if held and given.empty:
                continue
            emptied = _delay_at(tables, given.unit, last, since_before=held)
            tables.given_unloading[batch] = emptied
            tables.given_delay[batch] = _delay_at(tables, given.unit, last, since_before=False)


def _delay_at(tables: EventTables, unit: str, time: float, *, since_before: bool) -> float:
    same = time_tolerance(tables.horizon)
    for start, end in tables.network.unit_rules[unit].unattended:
        if (start - same if since_before else start + same) < time < end - same:
            return end - time
    return 0.0


def pause_time(m: pyo.ConcreteModel, tables: EventTables, batch: BatchKey) -> pyo.Expression:
    """Return how long a batch stops in all."""
    return _stopped(m, tables, batch)


def _stopped(block: pyo.Block, tables: EventTables, key: Key, up_to: int = -1) -> pyo.Expression:
    pauses = tables.pauses.get(key[1], ())
    return sum(
        (end - start) * block.paused_in[(*key, number)]
        for number, (start, end) in enumerate(pauses if up_to < 0 else pauses[:up_to])
        if (*key, number) in block.paused_in
    )


def release_delay(m: pyo.ConcreteModel, tables: EventTables, batch: BatchKey) -> pyo.Expression:
    """Return how long after its end a batch releases what it makes."""
    if batch in m.delay:
        return m.delay[batch]
    return tables.given_delay.get(batch, 0.0)


def unloading_delay(m: pyo.ConcreteModel, tables: EventTables, batch: BatchKey) -> pyo.Expression:
    """Return how long after a batch's end its unit can be empty."""
    if batch in tables.given_unloading:
        return tables.given_unloading[batch]
    return release_delay(m, tables, batch)


def time_to_release(
    m: pyo.ConcreteModel, tables: EventTables, state: str, batch: BatchKey
) -> pyo.Expression:
    """Return the time from a batch's start until it releases a state; 0 if it does not run."""
    fit = tables.fits[batch[:2]]
    if not leaves_early(fit, state):
        return m.duration[batch] + release_delay(m, tables, batch)
    key = (*batch, state)
    after = (fit.release_time[state] + tables.given_delay.get(key, 0.0)) * m.run[batch]
    early = m.component("early_release")
    if early is None:
        return after
    delay = early.delay[key] if key in early.delay else 0.0  # noqa: SIM401 (it has no get)
    return after + _stopped(early, tables, key) + delay


def add(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Start nothing inside a period; stop in pauses; release when attended (eq. U67-U75)."""
    closed = [
        (unit, start, end)
        for unit, rules in tables.network.unit_rules.items()
        for start, end in (*rules.unattended, *rules.paused)
        if unit in m.UNITS and start < tables.horizon
    ]
    if not (closed or len(m.delay) or len(m.paused_in)):
        return  # no empty components: they take a fifth of the time to build a small model
    _add_starts(m, tables, closed)
    ends = dict(_ends(m, tables))
    _add_pause_rows(m, m, tables, ends)
    _add_delays(m, m, tables, ends)
    early = m.component("early_release")
    if early is not None:
        releases = dict(_early_releases(m, tables))
        _add_pause_rows(early, m, tables, releases)
        _add_delays(early, m, tables, releases)


def _ends(m: pyo.ConcreteModel, tables: EventTables) -> Iterator[tuple[Key, _Milestone]]:
    """Pair each batch that is not given with its end."""
    fixed = {batch.task for batch in tables.given.batches}
    states = tables.network.states
    for batch in m.BATCHES:
        if batch[0] in fixed:
            continue
        fit = tables.fits[batch[:2]]
        work = fit.fixed_time * m.run[batch] + fit.time_per_amount * m.size[batch]
        exact = any(states[s].zero_wait for s in tables.network.tasks[batch[0]].produces)
        yield batch, _Milestone(batch, work, exact)


def _early_releases(m: pyo.ConcreteModel, tables: EventTables) -> Iterator[tuple[Key, _Milestone]]:
    """Pair each batch and state that leaves it early with that release.

    Material that cannot wait, in its unit or in storage without a limit, may not be said to come
    later than it does.
    """
    for key in dict.fromkeys((*m.early_release.delay, *(k[:5] for k in m.early_release.paused_in))):
        batch, state = key[:4], tables.network.states[key[4]]
        work = tables.fits[batch[:2]].release_time[state.name] * m.run[batch]
        exact = state.zero_wait or state.capacity < float("inf")
        yield key, _Milestone(batch, work, exact)


def _add_starts(
    m: pyo.ConcreteModel, tables: EventTables, closed: list[tuple[str, float, float]]
) -> None:
    """Let what starts at an event start before a period begins or after it has ended."""
    horizon = tables.horizon
    keys = [(number, event) for number in range(len(closed)) for event in m.EVENTS]
    past = {batch.task for batch in tables.given.batches}
    m.started_after = pyo.Var(keys, domain=pyo.Binary)

    @m.Constraint(keys)
    def start_after_closed(m, number, event):
        unit, _, end = closed[number]
        return m.unit_time[unit, event] >= min(end, horizon) * m.started_after[number, event]

    @m.Constraint(keys)
    def start_before_closed(m, number, event):
        unit, start, _ = closed[number]
        started = [b for b in tables.started(unit, event) if b[0] not in past]
        if not started:
            return pyo.Constraint.Skip
        idle = 1 - sum(m.run[b] for b in started)
        loose = (horizon - start) * (m.started_after[number, event] + idle)
        return m.unit_time[unit, event] <= start + loose


def _add_pause_rows(
    block: pyo.Block, m: pyo.ConcreteModel, tables: EventTables, stops: Mapping[Key, _Milestone]
) -> None:
    """Have a batch that begins before a pause end before it, or stop in it.

    With the pauses before it counted: end of work <= start where it neither stops in this one nor
    starts after it; end of work >= start where it stops in it.
    """
    horizon, pauses = tables.horizon, tables.pauses
    keys = list(block.paused_in)

    def worked(key: Key) -> pyo.Expression:
        batch, work, _ = stops[key[:-1]]
        return m.unit_time[batch[1:3]] + work + _stopped(block, tables, key[:-1], key[-1])

    block.begun_after = pyo.Var(keys, domain=pyo.Binary)

    @block.Constraint(keys)
    def stop_only_if_run(b, *key):
        return b.paused_in[key] + b.begun_after[key] <= m.run[key[:4]]

    @block.Constraint(keys)
    def begun_after_pause(b, *key):
        _, end = pauses[key[1]][key[-1]]
        return m.unit_time[key[1], key[2]] >= min(end, horizon) * b.begun_after[key]

    @block.Constraint(keys)
    def begun_before_pause(b, *key):
        start, _ = pauses[key[1]][key[-1]]
        loose = max(0.0, horizon - start) * (1 - b.paused_in[key])
        return m.unit_time[key[1], key[2]] <= start + loose

    @block.Constraint(keys)
    def ends_before_pause(b, *key):
        start, _ = pauses[key[1]][key[-1]]
        loose = 2 * horizon * (1 - m.run[key[:4]] + b.paused_in[key] + b.begun_after[key])
        return worked(key) <= start + loose

    @block.Constraint(keys)
    def runs_into_pause(b, *key):
        start, _ = pauses[key[1]][key[-1]]
        by = _INTO_PERIOD * horizon if stops[key[:-1]].exact else 0.0
        return worked(key) >= (start + by) * b.paused_in[key]


def _add_delays(
    block: pyo.Block, m: pyo.ConcreteModel, tables: EventTables, stops: Mapping[Key, _Milestone]
) -> None:
    """Release at a period's end what ends in it, while its unit is unattended.

    ends_in: start <= finish, finish + delay = end;  ends_after: finish >= end; neither: finish <=
    start;  delay <= sum of lengths * ends_in.
    """
    periods, horizon = tables.unattended, tables.horizon
    keys = [(*k, number) for k in block.delay for number in range(len(periods[k[1]]))]
    block.ends_in = pyo.Var(keys, domain=pyo.Binary)
    block.ends_after = pyo.Var(keys, domain=pyo.Binary)
    longest = horizon + max((end for row in periods.values() for _, end in row), default=0.0)

    def finish(key: Key) -> pyo.Expression:
        batch, work, _ = stops[key]
        return m.unit_time[batch[1:3]] + work + _stopped(block, tables, key)

    @block.Constraint(list(block.delay))
    def delayed_in_period(b, *key):
        lengths = sum(
            (end - start) * b.ends_in[(*key, k)] for k, (start, end) in enumerate(periods[key[1]])
        )
        return b.delay[key] <= lengths

    @block.Constraint(keys)
    def ends_in_or_after(b, *key):
        return b.ends_in[key] + b.ends_after[key] <= m.run[key[:4]]

    @block.Constraint(keys)
    def end_in_period(b, *key):
        by = _INTO_PERIOD * horizon if stops[key[:-1]].exact else 0.0
        return finish(key[:-1]) >= (periods[key[1]][key[-1]][0] + by) * b.ends_in[key]

    @block.Constraint(keys)
    def released_not_before(b, *key):
        released = finish(key[:-1]) + b.delay[key[:-1]]
        return released >= periods[key[1]][key[-1]][1] * b.ends_in[key]

    @block.Constraint(keys)
    def released_not_after(b, *key):
        released = finish(key[:-1]) + b.delay[key[:-1]]
        return released <= periods[key[1]][key[-1]][1] + longest * (1 - b.ends_in[key])

    @block.Constraint(keys)
    def end_after_period(b, *key):
        return finish(key[:-1]) >= periods[key[1]][key[-1]][1] * b.ends_after[key]

    @block.Constraint(keys)
    def end_before_period(b, *key):
        loose = longest * (1 - m.run[key[:4]] + b.ends_in[key] + b.ends_after[key])
        return finish(key[:-1]) <= periods[key[1]][key[-1]][0] + loose
