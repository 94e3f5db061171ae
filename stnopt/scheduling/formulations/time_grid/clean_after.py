"""Cleaning after so many batches, on a time grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.time_grid.points import unloaded_point

if TYPE_CHECKING:
    from stnopt.scheduling.formulations.time_grid.tables import GridTables

RULES = ("clean_after",)


def add(m: pyo.ConcreteModel, tables: GridTables) -> None:
    """Count the batches since each cleaning, which takes its time before a start (eq. G11-G13).

    since[p] >= since[p-1] + starts[p] - batches * clean[p];  since[p] >= starts[p];
    clean[p] <= starts[p]; nothing runs and no period lies in the time before p that it takes.
    """
    network, given = tables.network, tables.given
    rules = {u: r.clean_after for u, r in network.unit_rules.items() if r.clean_after}
    if not rules:
        return
    steps = {unit: round(rule.duration / tables.width) for unit, rule in rules.items()}

    def starts(unit: str, event: int) -> pyo.Expression:
        starting = [b for b in tables.running[unit, event] if b[2] == event]
        return sum(m.run[b] for b in starting if b[0] not in tables.at_start)

    m.clean = pyo.Var(
        [
            (unit, event)
            for unit in rules
            for event in m.EVENTS
            if event >= steps[unit]
            and not any(
                start < event and event - steps[unit] < end
                for start, end in tables.periods.get(unit, ())
            )
        ],
        domain=pyo.Binary,
    )
    m.since_cleaning = pyo.Var(
        list(rules), m.EVENTS, bounds=lambda m, unit, _: (0, rules[unit].batches)
    )
    busy: dict[tuple, list] = {}
    for unit, event in m.clean:
        for point in range(event - steps[unit], event):
            busy.setdefault((unit, point), []).append(m.clean[unit, event])
            tables.changing.setdefault((unit, point), [])
    # It may fall together with a changeover: both keep the unit empty, and either does for both.
    m.being_cleaned = pyo.Var(list(busy), bounds=(0, 1))

    @m.Constraint(list(busy))
    def cleaned_or_changed(m, unit, point):
        return m.being_cleaned[unit, point] >= sum(busy[unit, point])

    @m.Constraint(list(busy))
    def changed_or_cleaned(m, unit, point):
        changing = tables.changing[unit, point]
        return m.being_cleaned[unit, point] >= sum(changing) if changing else pyo.Constraint.Skip

    @m.Constraint(list(busy))
    def idle_while_cleaned(m, unit, point):
        on_unit = (b for b in m.BATCHES if b[1] == unit)
        running = [b for b in on_unit if b[2] <= point < unloaded_point(tables, b)]
        return sum(m.run[b] for b in running) + sum(busy[unit, point]) <= 1

    @m.Constraint(list(rules), m.EVENTS)
    def batches_since_cleaning(m, unit, event):
        before = given.since_cleaning.get(unit, 0)
        if event:
            before = m.since_cleaning[unit, event - 1]
        cleaned = rules[unit].batches * m.clean[unit, event] if (unit, event) in m.clean else 0
        return m.since_cleaning[unit, event] >= before + starts(unit, event) - cleaned

    @m.Constraint(list(rules), m.EVENTS)
    def first_batch_since_cleaning(m, unit, event):
        return m.since_cleaning[unit, event] >= starts(unit, event)

    @m.Constraint(list(m.clean))
    def cleaned_before_batch(m, unit, event):
        return m.clean[unit, event] <= starts(unit, event)


def kept_empty(m: pyo.ConcreteModel, tables: GridTables, unit: str, point: int) -> pyo.Expression:
    """Return 1 if a unit is kept empty, for a cleaning or a changeover, in an interval."""
    if m.component("being_cleaned") is not None and (unit, point) in m.being_cleaned:
        return m.being_cleaned[unit, point]
    return sum(tables.changing.get((unit, point), []))
