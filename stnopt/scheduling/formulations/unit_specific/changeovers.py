"""Changeovers in the unit-event model: the last task of a unit, as a flow from event to event.

They need no binaries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.calendars import unloading_delay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.network import Network
    from stnopt.scheduling.formulations.unit_specific.tables import EventTables

RULES = ("changeovers",)
#: Least share of the largest batch that lies between two others whose changeover it shortens.
_LEAST_SHARE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changing:
    """Units with changeovers: times by (unit, pair of tasks), tasks by unit, (unit, task) pairs."""

    times: Mapping[str, Mapping[tuple[str, str], float]]
    tasks: Mapping[str, list[str]]
    ran: list[tuple[str, str]]


def _changing_units(m: pyo.ConcreteModel, tables: EventTables) -> _Changing:
    times = {u: rule.changeovers for u, rule in tables.network.unit_rules.items()}
    tasks = {
        unit: [task for task, where in tables.fits if where == unit]
        for unit in m.UNITS
        if times.get(unit)
    }
    ran = [(unit, task) for unit, on_unit in tasks.items() for task in on_unit]
    return _Changing(times=times, tasks=tasks, ran=ran)


def declare(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Say which units are kept empty for a changeover."""
    tables.cleaned |= set(_changing_units(m, tables).tasks)


def add(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Follow which task each unit ran last, and leave the time that the next one needs."""
    changing = _changing_units(m, tables)
    if not changing.tasks:
        return
    _add_last_task(m, changing)
    _add_times(m, tables, changing)

    shortcuts = {(t, unit) for unit, t in changing.ran if _shortens(tables.network, unit, t)}

    @m.Constraint([b for b in m.BATCHES if b[:2] in shortcuts])
    def no_empty_batch_between(m, *batch):
        return m.size[batch] >= _LEAST_SHARE * tables.fits[batch[:2]].max_batch * m.run[batch]


def _add_last_task(m: pyo.ConcreteModel, changing: _Changing) -> None:
    """Follow the last task of a unit (eq. U27).

    last_task[i, n+1] = last_task[i, n] + starts[i, n] - sum_j changed[i, j, n];
    sum_j changed[i, j, n] <= last_task[i, n];  sum_i changed[i, j, n] <= starts[j, n];
    sum_i last_task[i, n] <= 1.
    """
    ran, tasks_on = changing.ran, changing.tasks
    starts: dict[tuple, list] = {}
    for batch in m.BATCHES:
        starts.setdefault(batch[:3], []).append(batch)
    m.last_task = pyo.Var(ran, m.POINTS, bounds=(0, 1))
    for unit, task in ran:
        m.last_task[unit, task, 0].fix(0)
    m.changed = pyo.Var(
        [(unit, task, to, n) for unit, task in ran for to in tasks_on[unit] for n in m.EVENTS],
        bounds=(0, 1),
    )

    def started(unit: str, task: str, event: int) -> pyo.Expression:
        return sum(m.run[b] for b in starts.get((task, unit, event), ()))

    later_events = list(m.EVENTS)[1:]

    @m.Expression(list(tasks_on), m.POINTS)
    def changeover_time(m, unit, point):
        if point not in later_events:
            return 0.0
        return sum(
            time * m.changed[unit, first, following, point]
            for (first, following), time in changing.times[unit].items()
        )

    @m.Constraint(ran, m.EVENTS)
    def last_task_changes(m, unit, task, event):
        left = sum(m.changed[unit, task, following, event] for following in tasks_on[unit])
        kept = m.last_task[unit, task, event] - left
        return m.last_task[unit, task, event + 1] == kept + started(unit, task, event)

    @m.Constraint(ran, m.EVENTS)
    def changed_from_last_task(m, unit, task, event):
        left = sum(m.changed[unit, task, following, event] for following in tasks_on[unit])
        return left <= m.last_task[unit, task, event]

    @m.Constraint(ran, m.EVENTS)
    def changed_to_started_task(m, unit, task, event):
        entered = sum(m.changed[unit, first, task, event] for first in tasks_on[unit])
        return entered <= started(unit, task, event)

    @m.Constraint(list(tasks_on), m.POINTS)
    def one_last_task(m, unit, point):
        if point == 0:
            return pyo.Constraint.Skip
        return sum(m.last_task[unit, task, point] for task in tasks_on[unit]) <= 1


def _add_times(m: pyo.ConcreteModel, tables: EventTables, changing: _Changing) -> None:
    """Leave a changeover its time before the next start, alone and in sums (eq. U28-U30)."""
    units, later_events = list(changing.tasks), list(m.EVENTS)[1:]

    @m.Constraint(units, m.EVENTS, list(tables.spans))
    def changeover_before_start(m, unit, event, span):
        following = event + span + 1
        if following not in later_events:
            return pyo.Constraint.Skip
        ended = [b for b in tables.started(unit, event) if b[3] <= span]
        gap = m.unit_time[unit, following] - m.unit_time[unit, event]
        busy = sum(m.duration[b] + unloading_delay(m, tables, b) for b in ended)
        return gap >= busy + m.changeover_time[unit, following]

    @m.Constraint(units, m.EVENTS)
    def later_changeovers_fit(m, unit, event):
        later = sum(m.duration[b] for b in tables.on[unit] if b[2] >= event)
        between = sum(m.changeover_time[unit, n] for n in later_events if n > event)
        end = m.latest_finish + m.idle_until[unit]
        return m.unit_time[unit, event] + later + between <= end

    @m.Constraint(units, m.POINTS)
    def earlier_changeovers_fit(m, unit, point):
        earlier = sum(m.duration[b] for b in tables.on[unit] if b[2] + b[3] < point)
        between = sum(m.changeover_time[unit, n] for n in later_events if n <= point)
        soonest = m.unit_time[unit, point].lb
        return m.unit_time[unit, point] >= soonest + earlier + between


def _shortens(network: Network, unit: str, task: str) -> bool:
    """Whether an empty batch of a task would shorten the changeover between two others."""
    fit, times = network.tasks[task].units[unit], network.unit_rules[unit].changeovers
    return fit.min_batch == 0 and any(
        times.get((first, task), 0.0) + fit.fixed_time + times.get((task, last), 0.0) < time
        for (first, last), time in times.items()
    )


def cleaning_time(
    m: pyo.ConcreteModel, tables: EventTables, unit: str, point: int
) -> pyo.Expression:
    """Return how long before a unit's point it is kept empty for the batch that starts there."""
    if m.component("cleaning_length") is not None and (unit, point) in m.cleaning_length:
        return m.cleaning_length[unit, point]
    return m.changeover_time[unit, point] if unit in tables.cleaned else 0.0
