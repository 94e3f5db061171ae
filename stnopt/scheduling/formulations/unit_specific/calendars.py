"""Units that are unattended or paused for a while, in the unit-event model.

A binary per event point and period says that what starts there starts after it. In a pause a batch
that has begun stops: one more says so, and its duration grows by the pause. A batch that ends while
its unit is unattended releases what it makes when somebody is back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.errors import UnsupportedModelError

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.scheduling.formulations.unit_specific.tables import BatchKey, EventTables

RULES = ("unattended", "paused")
#: A batch that is said to run into a pause does so by this share of the horizon.
_INTO_PAUSE = 1e-5


def refuse_calendars(network: Network) -> None:
    """Refuse by name what these equations do not express of units that are unattended or paused.

    Raises
    ------
    UnsupportedModelError
        Such a unit that runs tasks with release times; a paused one with draws, which stop with it;
        an unattended one that makes a state of limited capacity, which may have to leave it
        beforehand.
    """
    problems = []
    for fit in network.suitabilities:
        rules = network.unit_rules.get(fit.unit)
        kinds = [kind for kind in ("unattended", "paused") if rules and getattr(rules, kind)]
        for kind in kinds:
            what = f"unit {fit.unit!r} is {kind} at times, and its task {fit.task!r}"
            if fit.release_time:
                problems.append(f"{what} releases states early")
            if fit.utilities and kind == "paused":  # it draws nothing while it stops
                problems.append(f"{what} draws on {', '.join(map(repr, fit.utilities))}")
        if "unattended" in kinds:
            problems += [
                f"unit {fit.unit!r} is unattended at times, and makes {state!r}, whose storage is "
                "limited"
                for state in network.tasks[fit.task].produces
                if network.states[state].capacity < float("inf")
                and not network.states[state].zero_wait
            ]
    if problems:
        raise UnsupportedModelError(
            "formulation 'unit_events' cannot express:\n  - "
            + "\n  - ".join(dict.fromkeys(problems))
            + "\nuse formulation='time_grid', which can"
        )


def declare(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Declare which pauses a batch runs into, and how long its release is delayed.

    That is `paused_in[task, unit, event, span, number]` and `delay[task, unit, event, span]`.
    """
    rules = tables.network.unit_rules
    refuse_calendars(tables.network)
    fixed = {batch.task for batch in tables.given.batches}
    empty = {batch.task for batch in tables.given.batches if batch.empty}
    tables.pauses = {unit: rule.paused for unit, rule in rules.items() if rule.paused}
    m.paused_in = pyo.Var(
        [
            (*b, number)
            for b in m.BATCHES
            if b[1] in tables.pauses and b[0] not in fixed
            for number in range(len(tables.pauses[b[1]]))
        ],
        domain=pyo.Binary,
    )
    m.delay = pyo.Var(
        [b for b in m.BATCHES if b[1] in rules and rules[b[1]].unattended and b[0] not in empty],
        domain=pyo.NonNegativeReals,
    )


def pause_time(m: pyo.ConcreteModel, tables: EventTables, batch: BatchKey) -> pyo.Expression:
    """Return how long a batch stops in all."""
    return sum(
        (end - start) * m.paused_in[(*batch, number)]
        for number, (start, end) in enumerate(tables.pauses.get(batch[1], ()))
        if (*batch, number) in m.paused_in
    )


def release_delay(m: pyo.ConcreteModel, batch: BatchKey) -> pyo.Expression:
    """Return how long after its end a batch releases what it makes."""
    if batch not in m.delay:
        return 0.0
    return m.delay[batch]


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
    _add_pause_rows(m, tables)
    _add_delays(m, tables)


def _add_starts(
    m: pyo.ConcreteModel, tables: EventTables, closed: list[tuple[str, float, float]]
) -> None:
    """Let what starts at an event start before a period begins or after it has ended."""
    horizon = tables.horizon
    keys = [(number, event) for number in range(len(closed)) for event in m.EVENTS]
    m.started_after = pyo.Var(keys, domain=pyo.Binary)

    @m.Constraint(keys)
    def start_after_closed(m, number, event):
        unit, _, end = closed[number]
        return m.unit_time[unit, event] >= min(end, horizon) * m.started_after[number, event]

    @m.Constraint(keys)
    def start_before_closed(m, number, event):
        unit, start, _ = closed[number]
        started = tables.started(unit, event)
        if not started:
            return pyo.Constraint.Skip
        idle = 1 - sum(m.run[b] for b in started)
        loose = (horizon - start) * (m.started_after[number, event] + idle)
        return m.unit_time[unit, event] <= start + loose


def _add_pause_rows(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Have a batch that begins before a pause end before it, or stop in it.

    With the pauses before it counted: end of work <= start where it neither stops in this one nor
    starts after it; end of work >= start where it stops in it.
    """
    network, horizon, pauses = tables.network, tables.horizon, tables.pauses
    keys = list(m.paused_in)
    zero_wait = {s.name for s in network.states.values() if s.zero_wait}

    def worked(m: pyo.ConcreteModel, batch: BatchKey, number: int) -> pyo.Expression:
        fit = network.tasks[batch[0]].units[batch[1]]
        earlier = sum(
            (end - start) * m.paused_in[(*batch, k)]
            for k, (start, end) in enumerate(pauses[batch[1]][:number])
        )
        work = fit.fixed_time * m.run[batch] + fit.time_per_amount * m.size[batch]
        return m.unit_time[batch[1], batch[2]] + work + earlier

    m.begun_after = pyo.Var(keys, domain=pyo.Binary)

    @m.Constraint(keys)
    def stop_only_if_run(m, *key):
        return m.paused_in[key] + m.begun_after[key] <= m.run[key[:4]]

    @m.Constraint(keys)
    def begun_after_pause(m, *key):
        _, end = pauses[key[1]][key[4]]
        return m.unit_time[key[1], key[2]] >= min(end, horizon) * m.begun_after[key]

    @m.Constraint(keys)
    def begun_before_pause(m, *key):
        start, _ = pauses[key[1]][key[4]]
        loose = max(0.0, horizon - start) * (1 - m.paused_in[key])
        return m.unit_time[key[1], key[2]] <= start + loose

    @m.Constraint(keys)
    def ends_before_pause(m, *key):
        start, _ = pauses[key[1]][key[4]]
        loose = 2 * horizon * (1 - m.run[key[:4]] + m.paused_in[key] + m.begun_after[key])
        return worked(m, key[:4], key[4]) <= start + loose

    @m.Constraint(keys)
    def runs_into_pause(m, *key):
        start, _ = pauses[key[1]][key[4]]
        exact = not zero_wait.isdisjoint(network.tasks[key[0]].produces)
        by = _INTO_PAUSE * horizon if exact else 0.0
        return worked(m, key[:4], key[4]) >= (start + by) * m.paused_in[key]


def _add_delays(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Release at a period's end what ends in it, while its unit is unattended.

    ends_in: start <= finish, finish + delay = end;  ends_after: finish >= end; neither: finish <=
    start;  delay <= sum of lengths * ends_in.
    """
    periods = {
        unit: rules.unattended
        for unit, rules in tables.network.unit_rules.items()
        if rules.unattended
    }
    keys = [(*b, number) for b in m.delay for number in range(len(periods[b[1]]))]
    m.ends_in = pyo.Var(keys, domain=pyo.Binary)
    m.ends_after = pyo.Var(keys, domain=pyo.Binary)
    longest = tables.horizon + max((end for row in periods.values() for _, end in row), default=0.0)

    def finish(m: pyo.ConcreteModel, batch: BatchKey) -> pyo.Expression:
        return m.unit_time[batch[1], batch[2]] + m.duration[batch]

    @m.Constraint(list(m.delay))
    def delayed_in_period(m, *batch):
        lengths = sum(
            (end - start) * m.ends_in[(*batch, k)]
            for k, (start, end) in enumerate(periods[batch[1]])
        )
        return m.delay[batch] <= lengths

    @m.Constraint(keys)
    def ends_in_or_after(m, *key):
        return m.ends_in[key] + m.ends_after[key] <= m.run[key[:4]]

    @m.Constraint(keys)
    def end_in_period(m, *key):
        return finish(m, key[:4]) >= periods[key[1]][key[4]][0] * m.ends_in[key]

    @m.Constraint(keys)
    def released_not_before(m, *key):
        released = finish(m, key[:4]) + m.delay[key[:4]]
        return released >= periods[key[1]][key[4]][1] * m.ends_in[key]

    @m.Constraint(keys)
    def released_not_after(m, *key):
        released = finish(m, key[:4]) + m.delay[key[:4]]
        return released <= periods[key[1]][key[4]][1] + longest * (1 - m.ends_in[key])

    @m.Constraint(keys)
    def end_after_period(m, *key):
        return finish(m, key[:4]) >= periods[key[1]][key[4]][1] * m.ends_after[key]

    @m.Constraint(keys)
    def end_before_period(m, *key):
        loose = longest * (1 - m.run[key[:4]] + m.ends_in[key] + m.ends_after[key])
        return finish(m, key[:4]) <= periods[key[1]][key[4]][0] + loose
