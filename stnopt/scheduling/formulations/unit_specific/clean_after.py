"""Cleaning after so many batches, in the unit-event model: a counter that a cleaning sets back.

A binary says whether a unit is cleaned directly before the batch that starts at an event. The
cleaning and a changeover may fall together: the longer of the two has to fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.calendars import unloading_delay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.unit_rules.clean_after import CleanAfter
    from stnopt.scheduling.formulations.unit_specific.tables import EventTables

RULES = ("clean_after",)


def _rules(tables: EventTables) -> Mapping[str, CleanAfter]:
    rules = tables.network.unit_rules.items()
    return {unit: rule.clean_after for unit, rule in rules if rule.clean_after is not None}


def declare(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Say which units are kept empty for a cleaning."""
    tables.cleaned |= set(_rules(tables))


def add(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Count the batches since each cleaning, and leave it its time (docs/formulation.md, U60-U65).

    since[n] >= since[n-1] + starts[n] - batches * clean[n];  since[n] >= starts[n];
    since[n] <= batches;  clean[n] <= starts[n]; the time lies before the start, in no period.
    """
    rules, network, given = _rules(tables), tables.network, tables.given
    if not rules:
        return
    changed = {unit for unit in rules if network.unit_rules[unit].changeovers}
    past = {batch.task for batch in given.batches}
    m.clean = pyo.Var(list(rules), m.EVENTS, domain=pyo.Binary)
    m.since_cleaning = pyo.Var(
        list(rules), m.EVENTS, bounds=lambda m, unit, _: (0, rules[unit].batches)
    )
    longest = {
        unit: max(rule.duration, *network.unit_rules[unit].changeovers.values(), 0.0)
        for unit, rule in rules.items()
    }
    m.cleaning_length = pyo.Var(
        list(rules), m.POINTS, bounds=lambda m, unit, _: (0.0, longest[unit])
    )

    def starts(unit: str, event: int) -> pyo.Expression:
        return sum(m.run[b] for b in tables.started(unit, event) if b[0] not in past)

    @m.Constraint(list(rules), m.EVENTS)
    def batches_since_cleaning(m, unit, event):
        before = given.since_cleaning.get(unit, 0)
        if event:
            before = m.since_cleaning[unit, event - 1]
        counted = before + starts(unit, event) - rules[unit].batches * m.clean[unit, event]
        return m.since_cleaning[unit, event] >= counted

    @m.Constraint(list(rules), m.EVENTS)
    def first_batch_since_cleaning(m, unit, event):
        return m.since_cleaning[unit, event] >= starts(unit, event)

    @m.Constraint(list(rules), m.EVENTS)
    def cleaned_before_batch(m, unit, event):
        return m.clean[unit, event] <= starts(unit, event)

    @m.Constraint(list(rules), m.EVENTS)
    def cleaning_takes(m, unit, event):
        return m.cleaning_length[unit, event] >= rules[unit].duration * m.clean[unit, event]

    @m.Constraint([unit for unit in rules if unit in changed], m.EVENTS)
    def changeover_takes(m, unit, event):
        return m.cleaning_length[unit, event] >= m.changeover_time[unit, event]

    @m.Constraint(list(rules), m.EVENTS, list(tables.spans))
    def cleaning_before_start(m, unit, event, span):
        following = event + span + 1
        if following not in m.EVENTS:
            return pyo.Constraint.Skip
        ended = [b for b in tables.started(unit, event) if b[3] <= span]
        gap = m.unit_time[unit, following] - m.unit_time[unit, event]
        busy = sum(m.duration[b] + unloading_delay(m, tables, b) for b in ended)
        return gap >= busy + rules[unit].duration * m.clean[unit, following]

    @m.Constraint(list(rules), m.EVENTS)
    def cleaning_after_opening(m, unit, event):
        # The unit is there from then on: it cannot be cleaned in a period before its first batch.
        soonest = m.unit_time[unit, event].lb
        passed = [end for _, end in network.unit_rules[unit].unavailable if end <= soonest]
        cleaning = rules[unit].duration * m.clean[unit, event]
        return m.unit_time[unit, event] >= max(passed, default=0.0) + cleaning

    @m.Constraint([(*key, e) for key in tables.periods for e in m.EVENTS if key[0] in rules])
    def cleaning_after_period(m, unit, number, event):
        passed = tables.periods[unit, number][1] * m.after_period[unit, event, number]
        cleaning = rules[unit].duration * m.clean[unit, event]
        return m.unit_time[unit, event] >= passed + cleaning

    @m.Constraint(list(rules), m.EVENTS)
    def later_cleanings_fit(m, unit, event):
        later = sum(m.duration[b] for b in tables.on[unit] if b[2] >= event)
        between = sum(m.clean[unit, n] for n in m.EVENTS if n > event)
        end = m.latest_finish + m.idle_until[unit]
        return m.unit_time[unit, event] + later + rules[unit].duration * between <= end
