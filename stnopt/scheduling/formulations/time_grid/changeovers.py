"""Changeovers on a time grid: which task a unit that is idle ran last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.time_grid.points import unloaded_point

if TYPE_CHECKING:
    from stnopt.scheduling.formulations.time_grid.tables import GridTables

RULES = ("changeovers",)


def add(m: pyo.ConcreteModel, tables: GridTables) -> None:
    """Follow which task a unit that is idle ran last; a start takes it from there (eq. G3-G4).

    idle[i, p] = idle[i, p-1] + run[i, p - steps_i] - sum_j changed[i, j, p + changeover_ij];
    run[j, p] = first[j, p] + sum_i changed[i, j, p];  sum_j,p first[j, p] <= 1.
    """
    network = tables.network
    rules = {unit: rule.changeovers for unit, rule in network.unit_rules.items()}
    tasks_on = {
        unit: [task for task, where in tables.steps if where == unit]
        for unit in network.units
        if rules.get(unit)
    }
    if not tasks_on:
        return
    cleaning = {
        (unit, one, other): round(rules[unit].get((one, other), 0.0) / tables.width)
        for unit, tasks in tasks_on.items()
        for one in tasks
        for other in tasks
    }
    starts = {b for b in m.BATCHES if b[1] in tasks_on}
    ended: dict[tuple, list] = {}
    soonest: dict[tuple, int] = {}
    for batch in starts:
        point = unloaded_point(tables, batch)
        soonest[batch[:2]] = min(point, soonest.get(batch[:2], point))
        ended.setdefault((*batch[:2], point), []).append(batch)
    m.changed = pyo.Var(
        [
            (unit, one, other, event)
            for (unit, one, other), steps in cleaning.items()
            for event in m.EVENTS
            if (other, unit, event) in starts
            and other not in tables.at_start  # what runs at 0 follows nothing
            and event >= soonest.get((one, unit), len(m.EVENTS)) + steps
        ],
        bounds=(0, 1),
    )
    m.first = pyo.Var(sorted(starts), bounds=(0, 1))
    ran = [(unit, task) for unit, tasks in tasks_on.items() for task in tasks]
    m.idle = pyo.Var(ran, m.EVENTS, bounds=(0, 1))
    leaving: dict[tuple, list] = {(*key, point): [] for key in ran for point in m.EVENTS}
    entering: dict[tuple, list] = {batch: [m.first[batch]] for batch in starts}
    for (unit, one, other, event), changed in m.changed.items():
        steps = cleaning[unit, one, other]
        leaving[unit, one, event - steps].append(changed)
        entering[other, unit, event].append(changed)
        for point in range(event - steps, event):
            tables.kept_empty.setdefault((unit, point), []).append(
                m.changed[unit, one, other, event]
            )

    @m.Constraint(ran, m.EVENTS)
    def idle_after(m, unit, task, event):
        before = m.idle[unit, task, event - 1] if event else 0
        came = sum(m.run[b] for b in ended.get((task, unit, event), ()))
        return m.idle[unit, task, event] == before + came - sum(leaving[unit, task, event])

    @m.Constraint(sorted(starts))
    def start_follows(m, *batch):
        return m.run[batch] == sum(entering[batch])

    @m.Constraint(list(tasks_on))
    def one_first_batch(m, unit):
        first = [m.first[b] for b in m.first if b[1] == unit]
        return sum(first) <= 1 if first else pyo.Constraint.Skip
