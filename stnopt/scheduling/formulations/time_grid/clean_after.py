"""Cleaning after so many batches, on a time grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.time_grid.points import unloaded_point

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.unit_rules.clean_after import CleanAfter
    from stnopt.scheduling.formulations.time_grid.tables import GridTables

RULES = ("clean_after",)


def add(m: pyo.ConcreteModel, tables: GridTables) -> None:
    """Say by `clean` whether a unit is cleaned right before the batch that starts at a point."""
    network = tables.network
    rules = {u: r.clean_after for u, r in network.unit_rules.items() if r.clean_after}
    if not rules:
        return
    steps = {unit: round(rule.duration / tables.width) for unit, rule in rules.items()}
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
    _add_times(m, tables, steps)
    _add_counts(m, tables, rules)


def _add_times(m: pyo.ConcreteModel, tables: GridTables, steps: Mapping[str, int]) -> None:
    """Let nothing run in the time before a start that its cleaning takes (eq. G13).

    It may fall together with a changeover: both keep the unit empty, and either does for both.
    """
    busy: dict[tuple[str, int], list] = {}
    for unit, event in m.clean:
        for point in range(event - steps[unit], event):
            busy.setdefault((unit, point), []).append(m.clean[unit, event])
    m.being_cleaned = pyo.Var(list(busy), bounds=(0, 1))

    @m.Constraint(list(busy))
    def cleaned_or_changed(m, *key):
        return m.being_cleaned[key] >= sum(busy[key])

    @m.Constraint(list(busy))
    def changed_or_cleaned(m, *key):
        changing = tables.kept_empty.get(key, ())
        return m.being_cleaned[key] >= sum(changing) if changing else pyo.Constraint.Skip

    @m.Constraint(list(busy))
    def idle_while_cleaned(m, unit, point):
        on_unit = (b for b in m.BATCHES if b[1] == unit)
        running = [b for b in on_unit if b[2] <= point < unloaded_point(tables, b)]
        return sum(m.run[b] for b in running) + sum(busy[unit, point]) <= 1

    for key in busy:
        tables.kept_empty[key] = [m.being_cleaned[key]]


def _add_counts(m: pyo.ConcreteModel, tables: GridTables, rules: Mapping[str, CleanAfter]) -> None:
    """Count the batches since each cleaning (eq. G11-G12).

    since[p] >= since[p-1] + starts[p] - batches * clean[p];  since[p] >= starts[p];
    clean[p] <= starts[p].
    """

    def starts(unit: str, event: int) -> pyo.Expression:
        starting = [b for b in tables.running[unit, event] if b[2] == event]
        return sum(m.run[b] for b in starting if b[0] not in tables.at_start)

    @m.Constraint(list(rules), m.EVENTS)
    def batches_since_cleaning(m, unit, event):
        before = tables.given.since_cleaning.get(unit, 0)
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
