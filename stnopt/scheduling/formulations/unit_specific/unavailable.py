"""Unavailable periods in the unit-event model: a batch lies before or after each period.

One binary per event point and period says which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.calendars import unloading_delay

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.scheduling.formulations.unit_specific.tables import EventTables, Period

RULES = ("unavailable",)
#: Times closer than this share of the horizon are one time.
_SAME_TIME = 1e-9


def first_free_time(network: Network, unit: str, soonest: float, horizon: float) -> float:
    """Return when a unit can start at the soonest, given when its tasks could."""
    return _merge_periods(network, unit, soonest, horizon)[0]


def _merge_periods(
    network: Network, unit: str, soonest: float, horizon: float
) -> tuple[float, list[Period]]:
    """Return when a unit can start at the soonest, and the periods that its batches must pass.

    A period belongs to the one before it, or to the time before the soonest start, if no batch fits
    between them.
    """
    periods: list[Period] = []
    if unit not in network.unit_rules:
        return soonest, periods
    shortest = _shortest_batch(network, unit)
    same = _SAME_TIME * horizon
    for begin, end in network.unit_rules[unit].unavailable:
        start = max(0.0, begin)
        if start >= horizon - same or end <= soonest:
            continue
        if periods and start - periods[-1][1] < shortest - same:
            periods[-1] = (periods[-1][0], end)
        elif not periods and start - soonest < shortest - same:
            soonest = end
        else:
            periods.append((start, end))
    return soonest, periods


def _shortest_batch(network: Network, unit: str) -> float:
    fits = network.suitabilities
    return min(fit.duration(fit.min_batch) for fit in fits if fit.unit == unit)


def declare(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Say which periods the batches of each unit have to pass."""
    tables.periods = {
        (unit, number): period
        for unit in tables.network.units
        for number, period in enumerate(
            _merge_periods(tables.network, unit, m.unit_time[unit, 0].lb, tables.horizon)[1]
        )
    }


def add(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Every point of a unit, and the batch that starts there, lies before or after each period.

    Nothing runs after a period behind which no batch fits.
    """
    if not tables.periods:
        return
    m.after_period = pyo.Var(
        [(unit, event, number) for unit, number in tables.periods for event in m.EVENTS],
        domain=pyo.Binary,
    )
    closing: dict[str, float] = {}
    for (unit, number), (start, end) in tables.periods.items():
        if end + _shortest_batch(tables.network, unit) > tables.horizon * (1 + _SAME_TIME):
            closing[unit] = closing.get(unit, start)
            for event in m.EVENTS:
                m.after_period[unit, event, number].fix(0)
    _add_before_or_after(m, tables)
    _add_room_between(m, tables, closing)


def _add_before_or_after(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """unit_time >= end * after_period, and before the period the batch ends in time (eq. U23-U24).

    unit_time + duration <= start + (horizon - start) * after_period;  after_period grows from event
    to event, and shrinks from period to period; a batch has no period inside.
    """
    horizon, periods = tables.horizon, tables.periods

    @m.Constraint(m.after_period.index_set())
    def start_after_period(m, unit, event, number):
        soonest = m.unit_time[unit, event].lb
        wait = min(periods[unit, number][1], horizon) - soonest
        return m.unit_time[unit, event] >= soonest + wait * m.after_period[unit, event, number]

    @m.Constraint(m.after_period.index_set())
    def finish_before_period(m, unit, event, number):
        start = periods[unit, number][0]
        later = (horizon - start) * m.after_period[unit, event, number]
        # What nobody can unload is still in the unit.
        busy = sum(
            m.duration[b] + unloading_delay(m, tables, b) for b in tables.started(unit, event)
        )
        return m.unit_time[unit, event] + busy <= start + later

    @m.Constraint(m.after_period.index_set())
    def after_period_from_then_on(m, unit, event, number):
        if event == m.EVENTS.last():
            return pyo.Constraint.Skip
        after = m.after_period
        return after[unit, event + 1, number] >= after[unit, event, number]

    @m.Constraint(m.after_period.index_set())
    def no_period_within_batch(m, unit, event, number):
        within = [b for b in tables.on[unit] if b[2] < event <= b[2] + b[3]]
        if not within:
            return pyo.Constraint.Skip
        return period_begins(m, unit, event, number) <= 1 - sum(m.run[b] for b in within)

    @m.Constraint(m.after_period.index_set())
    def periods_in_order(m, unit, event, number):
        if number == 0:
            return pyo.Constraint.Skip
        return m.after_period[unit, event, number] <= m.after_period[unit, event, number - 1]


def _add_room_between(m: pyo.ConcreteModel, tables: EventTables, closing: dict[str, float]) -> None:
    """Leave room for the periods in all that lies before and after a point (eq. U25-U26).

    `closing` has the starts of periods behind which no batch fits, by unit.
    """
    away = [u for u in m.UNITS if any(u == unit for unit, _ in tables.periods)]

    def lengths_passed(unit: str, event: int) -> pyo.Expression:
        """Return how long the periods are that a unit's point comes after."""
        return sum(
            (end - start) * m.after_period[unit, event, number]
            for (where, number), (start, end) in tables.periods.items()
            if where == unit
        )

    @m.Constraint(away, m.EVENTS)
    def later_batches_and_periods_fit(m, unit, event):
        later = sum(m.duration[b] for b in tables.on[unit] if b[2] >= event)
        to_come = lengths_passed(unit, m.EVENTS.last()) - lengths_passed(unit, event)
        end = m.latest_finish + m.idle_until[unit]
        return m.unit_time[unit, event] + later + to_come <= end

    @m.Constraint(away, m.POINTS)
    def earlier_batches_and_periods_fit(m, unit, point):
        earlier = sum(m.duration[b] for b in tables.on[unit] if b[2] + b[3] < point)
        passed = lengths_passed(unit, min(point, m.EVENTS.last()))
        return m.unit_time[unit, point] >= m.unit_time[unit, point].lb + earlier + passed

    @m.Constraint([(unit, event) for unit in closing for event in m.EVENTS])
    def later_batches_fit_before_closing(m, unit, event):
        later = sum(m.duration[b] for b in tables.on[unit] if b[2] >= event)
        return m.unit_time[unit, event] + later <= closing[unit]


def period_begins(m: pyo.ConcreteModel, unit: str, point: int, number: int) -> pyo.Expression:
    """Return 1 if a unit's period lies between its point and the one before, else 0.

    The last point comes after every period: what the unit holds then has to leave before each.
    """
    if point == 0:
        return 0
    after = 1 if point == m.POINTS.last() else m.after_period[unit, point, number]
    return after - m.after_period[unit, point - 1, number]
