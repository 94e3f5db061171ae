"""What a unit's own rules add to the unit-event model: unavailable periods and changeovers.

A batch lies before or after each period, by one binary per event point and period. Changeovers need
no binaries: the last task that a unit ran follows from its batches as a flow from event to event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.calendars import release_delay

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.plant.recipe import Suitability

#: Times closer than this share of the horizon are one time.
_SAME_TIME = 1e-9
#: Least share of the largest batch that lies between two others whose changeover it shortens.
_LEAST_SHARE = 1e-5


def first_free_time(network: Network, unit: str, soonest: float, horizon: float) -> float:
    """Return when a unit can start at the soonest, given when its tasks could."""
    return _settle_periods(network, unit, soonest, horizon)[0]


def _settle_periods(
    network: Network, unit: str, soonest: float, horizon: float
) -> tuple[float, list[tuple[float, float]]]:
    """Return when a unit can start at the soonest, and the periods that its batches must pass.

    A period belongs to the one before it, or to the time before the soonest start, if no batch fits
    between them.
    """
    periods: list[tuple[float, float]] = []
    if unit not in network.unit_rules:
        return soonest, periods
    shortest = min(fit.duration(fit.min_batch) for fit in _fits_on(network, unit))
    same = _SAME_TIME * horizon
    for start, end in network.unit_rules[unit].unavailable:
        if start >= horizon - same or end <= soonest:
            continue
        if periods and start - periods[-1][1] < shortest - same:
            periods[-1] = (periods[-1][0], end)
        elif not periods and start - soonest < shortest - same:
            soonest = end
        else:
            periods.append((start, end))
    return soonest, periods


def _fits_on(network: Network, unit: str) -> list[Suitability]:
    return [fit for fit in network.suitabilities if fit.unit == unit]


def add_unavailable_periods(m: pyo.ConcreteModel, network: Network, horizon: float) -> None:
    """Every point of a unit, and the batch that starts there, lies before or after each period.

    unit_time >= end * after_period;  unit_time + duration <= start + (horizon - start) *
    after_period, and sums of all that lies before and after a point (eq. U23-U26). Nothing runs
    after a period behind which no batch fits.
    """
    m.periods = {}
    for unit in network.units:
        soonest = m.unit_time[unit, 0].lb
        _, periods = _settle_periods(network, unit, soonest, horizon)
        m.periods |= {(unit, number): period for number, period in enumerate(periods)}
    if not m.periods:
        return
    m.after_period = pyo.Var(
        [(unit, event, number) for unit, number in m.periods for event in m.EVENTS],
        domain=pyo.Binary,
    )
    closing = []
    for (unit, number), (start, end) in m.periods.items():
        shortest = min(fit.duration(fit.min_batch) for fit in _fits_on(network, unit))
        if end + shortest > horizon * (1 + _SAME_TIME):
            closing.append((unit, number, start))
            for event in m.EVENTS:
                m.after_period[unit, event, number].fix(0)
    away = {unit for unit, _ in m.periods}

    def lengths_passed(unit: str, event: int) -> pyo.Expression:
        """Return how long the periods are that a unit's point comes after."""
        return sum(
            (end - start) * m.after_period[unit, event, number]
            for (where, number), (start, end) in m.periods.items()
            if where == unit
        )

    @m.Constraint(m.after_period.index_set())
    def start_after_period(m, unit, event, number):
        soonest = m.unit_time[unit, event].lb
        wait = min(m.periods[unit, number][1], horizon) - soonest
        return m.unit_time[unit, event] >= soonest + wait * m.after_period[unit, event, number]

    @m.Constraint(m.after_period.index_set())
    def finish_before_period(m, unit, event, number):
        start = m.periods[unit, number][0]
        later = (horizon - start) * m.after_period[unit, event, number]
        started = [b for b in m.BATCHES if b[1] == unit and b[2] == event]
        # What nobody can unload is still in the unit.
        busy = sum(m.duration[b] + release_delay(m, b) for b in started)
        return m.unit_time[unit, event] + busy <= start + later

    @m.Constraint(m.after_period.index_set())
    def after_period_from_then_on(m, unit, event, number):
        if event == m.EVENTS.last():
            return pyo.Constraint.Skip
        after = m.after_period
        return after[unit, event + 1, number] >= after[unit, event, number]

    @m.Constraint(m.after_period.index_set())
    def no_period_within_batch(m, unit, event, number):
        within = [b for b in m.BATCHES if b[1] == unit and b[2] < event <= b[2] + b[3]]
        if not within:
            return pyo.Constraint.Skip
        return period_begins(m, unit, event, number) <= 1 - sum(m.run[b] for b in within)

    @m.Constraint(m.after_period.index_set())
    def periods_in_order(m, unit, event, number):
        if number == 0:
            return pyo.Constraint.Skip
        return m.after_period[unit, event, number] <= m.after_period[unit, event, number - 1]

    @m.Constraint([u for u in m.UNITS if u in away], m.EVENTS)
    def later_batches_and_periods_fit(m, unit, event):
        later = sum(m.duration[b] for b in m.BATCHES if b[1] == unit and b[2] >= event)
        to_come = lengths_passed(unit, m.EVENTS.last()) - lengths_passed(unit, event)
        end = m.latest_finish + m.idle_until[unit]
        return m.unit_time[unit, event] + later + to_come <= end

    @m.Constraint([u for u in m.UNITS if u in away], m.POINTS)
    def earlier_batches_and_periods_fit(m, unit, point):
        earlier = sum(m.duration[b] for b in m.BATCHES if b[1] == unit and b[2] + b[3] < point)
        passed = lengths_passed(unit, min(point, m.EVENTS.last()))
        return m.unit_time[unit, point] >= m.unit_time[unit, point].lb + earlier + passed

    @m.Constraint([(unit, event) for unit, _, _ in closing for event in m.EVENTS])
    def later_batches_fit_before_closing(m, unit, event):
        start = next(start for where, _, start in closing if where == unit)
        later = sum(m.duration[b] for b in m.BATCHES if b[1] == unit and b[2] >= event)
        return m.unit_time[unit, event] + later <= start


def period_begins(m: pyo.ConcreteModel, unit: str, point: int, number: int) -> pyo.Expression:
    """Return 1 if a unit's period lies between its point and the one before, else 0.

    The last point comes after every period: what the unit holds then has to leave before each.
    """
    if point == 0:
        return 0
    after = 1 if point == m.POINTS.last() else m.after_period[unit, point, number]
    return after - m.after_period[unit, point - 1, number]


def add_changeovers(m: pyo.ConcreteModel, network: Network) -> None:
    """Follow which task each unit ran last, and leave the time that the next one needs.

    last_task[i, n+1] = last_task[i, n] + starts[i, n] - sum_j changed[i, j, n];
    sum_j changed[i, j, n] <= last_task[i, n];  sum_i changed[i, j, n] <= starts[j, n];
    sum_i last_task[i, n] <= 1 (eq. U27). The time for it lies before the next start (eq. U28-U30).
    """
    rules = {unit: rule.changeovers for unit, rule in network.unit_rules.items()}
    tasks_on = {
        unit: [fit.task for fit in _fits_on(network, unit)] for unit in m.UNITS if rules.get(unit)
    }
    ran = [(unit, task) for unit, tasks in tasks_on.items() for task in tasks]
    m.cleaned = set(tasks_on)
    if not tasks_on:
        return
    later_events = list(m.EVENTS)[1:]
    m.last_task = pyo.Var(ran, m.POINTS, bounds=(0, 1))
    for unit, task in ran:
        m.last_task[unit, task, 0].fix(0)
    m.changed = pyo.Var(
        [(unit, task, to, n) for unit, task in ran for to in tasks_on[unit] for n in m.EVENTS],
        bounds=(0, 1),
    )

    def started(unit: str, task: str, event: int) -> pyo.Expression:
        return sum(m.run[b] for b in m.BATCHES if b[:3] == (task, unit, event))

    @m.Expression(list(tasks_on), m.POINTS)
    def changeover_time(m, unit, point):
        if point not in later_events:
            return 0.0
        return sum(
            time * m.changed[unit, first, following, point]
            for (first, following), time in rules[unit].items()
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

    @m.Constraint(list(tasks_on), m.EVENTS, sorted({b[3] for b in m.BATCHES}))
    def changeover_before_start(m, unit, event, span):
        following = event + span + 1
        if following not in later_events:
            return pyo.Constraint.Skip
        ended = [b for b in m.BATCHES if b[1] == unit and b[2] == event and b[3] <= span]
        gap = m.unit_time[unit, following] - m.unit_time[unit, event]
        busy = sum(m.duration[b] + release_delay(m, b) for b in ended)
        return gap >= busy + m.changeover_time[unit, following]

    @m.Constraint(list(tasks_on), m.EVENTS)
    def later_changeovers_fit(m, unit, event):
        later = sum(m.duration[b] for b in m.BATCHES if b[1] == unit and b[2] >= event)
        between = sum(m.changeover_time[unit, n] for n in later_events if n > event)
        end = m.latest_finish + m.idle_until[unit]
        return m.unit_time[unit, event] + later + between <= end

    @m.Constraint(list(tasks_on), m.POINTS)
    def earlier_changeovers_fit(m, unit, point):
        earlier = sum(m.duration[b] for b in m.BATCHES if b[1] == unit and b[2] + b[3] < point)
        between = sum(m.changeover_time[unit, n] for n in later_events if n <= point)
        soonest = m.unit_time[unit, point].lb
        return m.unit_time[unit, point] >= soonest + earlier + between

    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    shortcuts = {(task, unit) for unit, task in ran if _shortens(network, unit, task)}

    @m.Constraint([b for b in m.BATCHES if b[:2] in shortcuts])
    def no_empty_batch_between(m, *batch):
        return m.size[batch] >= _LEAST_SHARE * fits[batch[:2]].max_batch * m.run[batch]


def _shortens(network: Network, unit: str, task: str) -> bool:
    """Whether an empty batch of a task would shorten the changeover between two others."""
    fit, times = network.tasks[task].units[unit], network.unit_rules[unit].changeovers
    return fit.min_batch == 0 and any(
        times.get((first, task), 0.0) + fit.fixed_time + times.get((task, last), 0.0) < time
        for (first, last), time in times.items()
    )


def cleaning_time(m: pyo.ConcreteModel, unit: str, point: int) -> pyo.Expression:
    """Return how long before a unit's point it is cleaned for the batch that starts there."""
    if m.component("cleaning_length") is not None and (unit, point) in m.cleaning_length:
        return m.cleaning_length[unit, point]
    return m.changeover_time[unit, point] if unit in m.cleaned else 0.0
